/** The command line as a whole: which commands there are, and how a command ends. */
import { Command, CommanderError } from 'commander';
import { CountersignError, ERROR_CODES, messageOf } from '../core/errors.js';
import { VERSION } from '../version.js';

interface Entry {
  /** One line of the list of commands; the command itself says more. */
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/**
 * In the order of the list. The code of a command is loaded when it is asked for: no command needs all parts of a replica,
 * and they take a second to load.
 */
const COMMANDS: Readonly<Record<string, Entry>> = {
  up: {
    summary: 'start a development cluster: keys, ledger, policy and replicas behind one port',
    load: async () => (await import('./up.js')).upCommand(),
  },
  serve: {
    summary: 'run one replica',
    load: async () => (await import('./serve.js')).serveCommand(),
  },
  simulate: {
    summary: 'play co-signers against a running cluster and check every signed answer',
    load: async () => (await import('./simulate.js')).simulateCommand(),
  },
  mirror: {
    summary: 'beside an existing handler: decide copies of its requests, and answer nobody',
    load: async () => (await import('./mirror.js')).mirrorCommand(),
  },
  status: {
    summary: 'one page: whether decisions are made and why not, freezes, limits, what waits',
    load: async () => (await import('./status.js')).statusCommand(),
  },
  doctor: {
    summary: 'check keys, certificates, ledger and policy, and what the vendor knows of this handler',
    load: async () => (await import('./doctor.js')).doctorCommand(),
  },
  freeze: {
    summary: 'stop approvals of everything or of a part, on all replicas from the next decision on',
    load: async () => (await import('./freeze.js')).freezeCommand(),
  },
  unfreeze: {
    summary: 'lift a freeze, by the signed statement of one operator or of two',
    load: async () => (await import('./unfreeze.js')).unfreezeCommand(),
  },
  audit: {
    summary: 'the exported journal: verify it, look into it, hand out a part as evidence; originals',
    load: async () => (await import('./audit.js')).auditCommand(),
  },
  policy: { summary: 'check, test, explain and activate policy documents', load: loadPolicy },
  ledger: {
    summary: 'the shared memory of a workspace: make one, look at one, mend one',
    load: loadLedger,
  },
  keys: {
    summary: 'make key pairs, pin published keys, and see what a key file holds',
    load: async () => (await import('./keys.js')).keysCommand(),
  },
  'verify-tx': {
    summary: 'what the bytes of a signing request do, and each check against what it says',
    load: async () => (await import('./verify-tx.js')).verifyTxCommand(),
  },
  assets: {
    summary: 'the asset registry, imported from the vendor’s own listings',
    load: async () => (await import('./assets.js')).assetsCommand(),
  },
};

async function loadPolicy(): Promise<Command> {
  const [{ policyCommand }, { activateCommand }, { createChains }] = await Promise.all([
    import('./policy.js'),
    import('./policy-activate.js'),
    import('../chains/index.js'),
  ]);
  return policyCommand({ chains: createChains, print }).addCommand(activateCommand());
}

async function loadLedger(): Promise<Command> {
  const [ledger, activate, importing, rebuild, release] = await Promise.all([
    import('./ledger.js'),
    import('./ledger-activate.js'),
    import('./ledger-import.js'),
    import('./ledger-rebuild.js'),
    import('./ledger-release.js'),
  ]);
  return ledger
    .ledgerCommand()
    .addCommand(activate.activateLedgerCommand())
    .addCommand(importing.importCommand())
    .addCommand(rebuild.rebuildCommand())
    .addCommand(release.releaseCommand());
}

export async function run(argv: readonly string[]): Promise<void> {
  const asked = argv.slice(2).find((word) => Object.hasOwn(COMMANDS, word));
  try {
    const program = await countersignProgram((name) => name === asked);
    await program.parseAsync([...argv]);
  } catch (error) {
    // Servers and connections that the command had opened must not keep a failed one alive.
    process.exit(report(error));
  }
}

/**
 * All commands by name; as a whole those that are wanted.
 * A faulty command line is thrown as a CommanderError when it is parsed.
 */
export async function countersignProgram(isWanted: (name: string) => boolean): Promise<Command> {
  const program = new Command('countersign')
    .description('The approval cluster for MPC co-signers.')
    .version(VERSION)
    .showHelpAfterError('(countersign --help lists the commands)');
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    const command = isWanted(name) ? await load() : new Command(name);
    program.addCommand(command.summary(summary));
  }
  for (const command of [program, ...descendants(program)]) command.exitOverride();
  return program;
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
