/** The command line as a whole: which commands there are, and how a command ends. */
import { Command, CommanderError } from 'commander';
import { createChains } from '../chains/index.js';
import { CountersignError, ERROR_CODES, messageOf } from '../core/errors.js';
import { VERSION } from '../version.js';
import { assetsCommand } from './assets.js';
import { auditCommand } from './audit.js';
import { doctorCommand } from './doctor.js';
import { freezeCommand } from './freeze.js';
import { keysCommand } from './keys.js';
import { ledgerCommand } from './ledger.js';
import { activateLedgerCommand } from './ledger-activate.js';
import { importCommand } from './ledger-import.js';
import { rebuildCommand } from './ledger-rebuild.js';
import { releaseCommand } from './ledger-release.js';
import { mirrorCommand } from './mirror.js';
import { policyCommand } from './policy.js';
import { activateCommand } from './policy-activate.js';
import { serveCommand } from './serve.js';
import { simulateCommand } from './simulate.js';
import { statusCommand } from './status.js';
import { unfreezeCommand } from './unfreeze.js';
import { upCommand } from './up.js';
import { verifyTxCommand } from './verify-tx.js';

/** All commands; a faulty command line is thrown as a CommanderError when it is parsed. */
export function countersignProgram(): Command {
  const program = new Command('countersign')
    .description('The approval cluster for MPC co-signers.')
    .version(VERSION)
    .showHelpAfterError('(countersign --help lists the commands)')
    .addCommand(upCommand())
    .addCommand(serveCommand())
    .addCommand(simulateCommand())
    .addCommand(mirrorCommand())
    .addCommand(statusCommand())
    .addCommand(doctorCommand())
    .addCommand(freezeCommand())
    .addCommand(unfreezeCommand())
    .addCommand(auditCommand())
    .addCommand(policyCommand({ chains: createChains, print }).addCommand(activateCommand()))
    .addCommand(
      ledgerCommand()
        .addCommand(activateLedgerCommand())
        .addCommand(importCommand())
        .addCommand(rebuildCommand())
        .addCommand(releaseCommand()),
    )
    .addCommand(keysCommand())
    .addCommand(verifyTxCommand())
    .addCommand(assetsCommand());
  for (const command of [program, ...descendants(program)]) command.exitOverride();
  return program;
}

export async function run(argv: readonly string[]): Promise<void> {
  try {
    await countersignProgram().parseAsync([...argv]);
  } catch (error) {
    // Servers and connections that the command had opened must not keep a failed one alive.
    process.exit(report(error));
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A command's commands, and theirs. */
export function descendants(command: Command): readonly Command[] {
  return command.commands.flatMap((child) => [child, ...descendants(child)]);
}

/** Says what went wrong on standard error; the exit code tells scripts which kind of thing it was. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ERROR_CODES.USAGE.exit;
  if (error instanceof CountersignError && error.code !== 'INTERNAL') {
    process.stderr.write(`countersign: ${error.message}\n`);
    return ERROR_CODES[error.code].exit;
  }
  process.stderr.write(
    `countersign: unexpected fault: ${error instanceof Error ? error.stack : messageOf(error)}\n`,
  );
  return ERROR_CODES.INTERNAL.exit;
}
