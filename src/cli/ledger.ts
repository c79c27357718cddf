/** `countersign ledger`: making a ledger and looking at one. */
import { Command } from 'commander';
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import type { Recovery, WitnessState } from '../core/fence.js';
import type { Ledger } from '../core/ports.js';
import type { Kept } from '../core/upkeep.js';
import { loadOperators } from '../keys/statements.js';
import { openLedger } from '../ledger/index.js';
import { createLocks, singleFlight } from '../locks/locks.js';
import { ledgerSettings, lockNodes } from '../replica/stores.js';
import { activatedBy, journalTable, newestEvents } from './ledger-journal.js';
import { wholeNumber } from './options.js';

interface InitOptions extends LedgerOptions {
  readonly existOk?: true;
}

interface LedgerOptions {
  readonly config: string;
  readonly workspace?: string;
  readonly json?: boolean;
}

export function ledgerCommand(): Command {
  const command = new Command('ledger').description(
    'the shared memory of a workspace: make one, look at one',
  );
  const withOptions = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .requiredOption('--config <file>', 'configuration document')
      .option('--workspace <name>', 'when the configuration has several')
      .option('--json', 'print one JSON object');
  withOptions('init', 'write the identity of a new ledger into an empty store, once')
    .option('--exist-ok', 'a ledger that is there stays as it is: for installers that may run twice')
    .action(init);
  withOptions('status', 'identity, active policy, freezes and problems of the store').action(status);
  withOptions(
    'init-witness',
    'give a witness whose disk was lost the log again, and with it a vote, by recovering the ledger',
  )
    .option('--dry-run', 'show what would be done, and change nothing')
    .action(initWitness);
  withOptions('journal', 'the newest decisions and other events, with the rule and the reason of each')
    .option('--last <number>', 'how many', (text) => wholeNumber(text, 1, 10_000), 20)
    .action(journal);
  return command;
}

/** Opens the ledger of one workspace for the time of a command. */
export async function withLedger<T>(
  options: Pick<LedgerOptions, 'config' | 'workspace'>,
  use: (ledger: Ledger, workspace: Config['workspaces'][number], config: Config) => Promise<T>,
): Promise<T> {
  const config = loadConfig(options.config);
  const workspace = workspaceNamed(config, options.workspace);
  // A recovery by a command and those of the replicas that meet it would overtake one another.
  const locks = createLocks({ nodes: lockNodes(config) });
  const alone = singleFlight(locks, () => undefined);
  const ledger = openLedger(workspace.name, ledgerSettings(config), { alone });
  try {
    return await use(ledger, workspace, config);
  } finally {
    await ledger.close();
    locks.close();
  }
}

function workspaceNamed(config: Config, name: string | undefined): Config['workspaces'][number] {
  const names = config.workspaces.map((workspace) => workspace.name);
  const found =
    name === undefined && names.length === 1
      ? config.workspaces[0]
      : config.workspaces.find((workspace) => workspace.name === name);
  if (found === undefined) {
    const problem =
      name === undefined
        ? 'the configuration has several workspaces'
        : `there is no workspace ${JSON.stringify(name)}`;
    throw new CountersignError('USAGE', `${problem}: choose with --workspace ${names.join('|')}`);
  }
  return found;
}

async function init(options: InitOptions): Promise<void> {
  await withLedger(options, async (ledger, { name }) => {
    const { identity, made } = await initOnce(ledger, options.existOk === true);
    if (!made) {
      print(
        options,
        { workspace: name, identity, made },
        `Workspace ${name} has the ledger ${identity} already; it stays as it is.`,
      );
      return;
    }
    print(
      options,
      { workspace: name, identity, made },
      `New ledger ${identity} for workspace ${name}. Next: countersign policy activate.`,
    );
  });
}

async function initOnce(
  ledger: Ledger,
  existOk: boolean,
): Promise<{ readonly identity: string; readonly made: boolean }> {
  try {
    return { identity: (await ledger.init()).identity, made: true };
  } catch (error) {
    if (!existOk || !(error instanceof CountersignError) || error.code !== 'LEDGER_EXISTS') throw error;
    return { identity: (await ledger.state()).identity, made: false };
  }
}

async function status(options: LedgerOptions): Promise<void> {
  await withLedger(options, async (ledger, { name }) => {
    const state = await ledger.state();
    const problems = await ledger.check();
    const fence = await ledger.fence?.state();
    const witnesses = await ledger.witnesses?.states();
    const policy = state.policy;
    const kept = await ledger.upkeep.kept();
    const text = [
      `workspace   ${name}`,
      `ledger      ${state.identity} (${ledger.kind})`,
      `events      ${keptText(state.sequence, kept)}`,
      `policy      ${policy === undefined ? 'none is active' : `${policy.version} since event ${policy.sequence}`}`,
      `freezes     ${state.freezes.length === 0 ? 'none' : state.freezes.map((freeze) => `${freeze.id} (${freeze.reason})`).join(', ')}`,
      ...(fence === undefined
        ? []
        : [`restarts    ${fence.restartsAlone ? 'go on by themselves' : 'need an operator'}`]),
      ...(witnesses === undefined
        ? []
        : [`witnesses   ${witnesses.map(witnessText).join('\n            ')}`]),
      `problems    ${problems.length === 0 ? 'none' : problems.map(({ text }) => text).join('\n            ')}`,
    ].join('\n');
    print(
      options,
      {
        workspace: name,
        identity: state.identity,
        kind: ledger.kind,
        sequence: state.sequence,
        kept,
        policy: policy === undefined ? null : { version: policy.version, sequence: policy.sequence },
        freezes: state.freezes,
        ...(fence === undefined ? {} : { fence }),
        ...(witnesses === undefined ? {} : { witnesses }),
        problems,
      },
      text,
    );
    if (problems.some(({ blocks }) => blocks)) process.exitCode = 1;
  });
}

function keptText(sequence: number, { nowMs, oldest, checkpoint, trimmed }: Kept): string {
  const lines = [
    String(sequence),
    ...(oldest === undefined
      ? []
      : [`the oldest that is kept is event ${oldest.sequence}, ${ageText(nowMs - oldest.atMs)} old`]),
    checkpoint === undefined || trimmed === undefined
      ? 'none was forgotten'
      : `forgotten up to event ${trimmed.sequence}, of ${new Date(trimmed.atMs).toISOString()}; checkpoint at event ${checkpoint.sequence}`,
  ];
  return lines.join('\n            ');
}

const DAY_MS = 86_400_000;

function ageText(ms: number): string {
  return ms < DAY_MS ? `${Math.floor(ms / 60_000)} minutes` : `${Math.floor(ms / DAY_MS)} days`;
}

export function witnessText(state: WitnessState, index: number): string {
  switch (state.kind) {
    case 'member':
      return `${index + 1} holds ${state.events} events, epoch ${state.promised}`;
    case 'blank':
      return `${index + 1} is blank`;
    case 'unreachable':
      return `${index + 1} does not answer: ${state.problem}`;
  }
}

/** Blank witnesses get the log by a recovery, in which nothing is decided for a moment. */
async function initWitness(options: LedgerOptions & { readonly dryRun?: boolean }): Promise<void> {
  await withLedger(options, async ({ witnesses }, { name }) => {
    if (witnesses === undefined) {
      throw new CountersignError('USAGE', 'the configuration names no witnesses (ledger.durability)');
    }
    const before = await witnesses.states();
    const blank = before.flatMap(({ kind }, index) => (kind === 'blank' ? [index + 1] : []));
    const isDone = options.dryRun !== true && blank.length > 0;
    const recovery = isDone ? await witnesses.recover() : undefined;
    const after = await witnesses.states();
    print(
      options,
      {
        workspace: name,
        blank,
        dryRun: options.dryRun === true,
        recovery: recovery ?? null,
        witnesses: after,
      },
      [
        ...after.map((state, index) => `witness     ${witnessText(state, index)}`),
        blank.length === 0 ? 'No witness is blank: nothing was done.' : initWitnessText(blank, recovery),
      ].join('\n'),
    );
  });
}

function initWitnessText(blank: readonly number[], recovery: Recovery | undefined): string {
  const who = `witness ${blank.join(', ')}`;
  if (recovery === undefined) {
    return `Would recover the ledger, so that ${who} gets the log and a vote. Nothing was changed (--dry-run).`;
  }
  const took = `${recovery.events} events in ${Math.round(recovery.milliseconds)} ms`;
  return `Recovered the ledger in epoch ${recovery.epoch}, ${took}: ${who} votes again.`;
}

async function journal(options: LedgerOptions & { readonly last: number }): Promise<void> {
  await withLedger(options, async (ledger, { name: workspace }, config) => {
    const events = await newestEvents(ledger, options.last);
    const { identity } = await ledger.state();
    const operators = loadOperators(config.operators);
    const activators = await activatedBy(events, { operators, workspace, identity });
    print(options, { events }, journalTable(events, activators));
  });
}

function print(options: LedgerOptions, json: unknown, text: string): void {
  process.stdout.write(`${options.json === true ? JSON.stringify(json) : text}\n`);
}
