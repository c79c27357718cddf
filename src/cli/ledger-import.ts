/**
 * `countersign ledger import`: what a store lacks after a promotion or a restored copy, from the audit trail.
 *
 * No operator signs here. The events are those that a chain of hashes and checkpoints signed by a known key vouches for,
 * policies among them are adopted by replicas only with the operator's statement inside, and the ledger ends up fenced:
 * the statement behind `ledger activate` names the number above all that was imported, and nothing is decided before it.
 */
import { createPublicKey } from 'node:crypto';
import { Command } from 'commander';
import { auditFilesIn } from '../audit/file.js';
import type { ExportedEvent } from '../audit/line.js';
import { eventsOf, verifiedChain } from '../audit/read.js';
import type { Verified } from '../audit/verify.js';
import type { CheckpointKeys } from '../audit/walk.js';
import type { Config } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import type { Fence } from '../core/fence.js';
import type { JournalEvent, Ledger, LedgerState } from '../core/ports.js';
import { loadOperators } from '../keys/statements.js';
import { checkpointKeyOf } from '../replica/exporting.js';
import { checkpointKeys } from './audit-keys.js';
import { withLedger } from './ledger.js';
import { repeatable } from './options.js';

interface ImportOptions {
  readonly config: string;
  readonly workspace?: string;
  readonly publicKey: readonly string[];
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const WHAT = `
For a store without witnesses that came back with less than it had: a replica that lagged was promoted, or an older copy was
restored. The audit trail is verified (its chain, and checkpoints of a key that is known: --public-key, or that of the
configuration), and held against the ledger: both must be of one workspace and one ledger, and every event that the ledger
has must be in the files, the same. Then the events after its last one are added with all that they did, in one step at the
end. If the command dies, nothing has changed.

The ledger is fenced then, whether it was before or not: nothing is decided until \`countersign ledger activate\`. Do it before
anything is decided on the store: a ledger that has decided since is refused, at the first event that differs.

What was not exported yet when the store was lost, usually the last second, is in no file.`;

export function importCommand(): Command {
  return new Command('import')
    .description(
      'add the events that the ledger lacks from its audit trail, and leave it to an operator to activate it',
    )
    .argument('<path...>', 'folders with audit files, or files; several when several machines exported')
    .requiredOption('--config <file>', 'configuration document')
    .option('--workspace <name>', 'when the configuration has several')
    .option(
      '--public-key <file>',
      'whose checkpoints are believed (repeatable); otherwise audit.checkpointKey of the configuration',
      repeatable,
      [],
    )
    .option('--dry-run', 'show what would be added, and change nothing')
    .option('--json', 'print one JSON object')
    .addHelpText('after', WHAT)
    .action(importEvents);
}

async function importEvents(paths: readonly string[], options: ImportOptions): Promise<void> {
  await withLedger(options, async (ledger, { name: workspace }, config) => {
    const fence = fenceOf(ledger);
    // Somebody has to activate it afterwards.
    loadOperators(config.operators);
    const dryRun = options.dryRun === true;
    const files = auditFilesIn(paths);
    const keys = believedKeys(options.publicKey, files, config);
    const chain = await verifiedChain(files, keys);
    const state = await ledger.state();
    checkChain(chain, { workspace, state });
    const missing = () => after(state.sequence, eventsOf(files, keys));
    const lacking = await holdAgainst(ledger, { chain, state, events: eventsOf(files, keys) });
    const isLacking = chain.sequence > state.sequence;
    if (isLacking)
      await fence.rebuild({ kind: 'extend', after: state.sequence, missing, isRehearsal: dryRun });
    // Now it does not let a restarted store go on.
    const now = isLacking && !dryRun ? await fence.state() : undefined;
    const done = {
      workspace,
      identity: state.identity,
      dryRun,
      before: state.sequence,
      sequence: chain.sequence,
    };
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify({ ...done, added: lacking, ...(now && { fence: now }) })}\n`);
      return;
    }
    const lines = [
      `ledger      ${state.identity}, workspace ${workspace}`,
      `files       ${chain.events} events, the last is ${chain.sequence}, of ${chain.at}`,
      `before      the ledger ended at event ${state.sequence}`,
      ...Object.entries(lacking).map(
        ([what, count], index) => `${(index === 0 ? 'missing' : '').padEnd(12)}${count} × ${what}`,
      ),
      ...(now !== undefined && now.seen > now.sequence
        ? [
            `still       event ${now.seen} was seen by a replica, and is in no file: up to ${now.seen - now.sequence} are missing`,
          ]
        : []),
      endText(isLacking, dryRun),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  });
}

function endText(isLacking: boolean, dryRun: boolean): string {
  if (!isLacking) return 'The ledger lacks nothing that the files have: nothing was changed.';
  return dryRun
    ? 'These would be added. Nothing was changed (--dry-run).'
    : 'Added. Nothing is decided yet. Next: countersign ledger activate.';
}

function fenceOf({ fence, witnesses, kind }: Ledger): Fence {
  if (fence !== undefined) return fence;
  throw new CountersignError(
    'USAGE',
    witnesses === undefined
      ? `the ${kind} ledger is one file on one machine: bring back its newest copy`
      : 'replicas recover this ledger from its witnesses by themselves; when most of those have lost their disks, `countersign ledger activate` takes the audit trail too',
  );
}

/** Never the key that lies beside the files: whoever wrote those wrote that. */
export function believedKeys(
  given: readonly string[],
  files: readonly string[],
  { audit }: Config,
): CheckpointKeys {
  if (given.length > 0) return checkpointKeys(given, files).keys;
  if (audit === undefined) {
    throw new CountersignError(
      'USAGE',
      'the configuration has no section audit: name the key with --public-key FILE',
    );
  }
  const { id, privateKey } = checkpointKeyOf(audit);
  return new Map([[id, createPublicKey(privateKey)]]);
}

function checkChain(
  chain: Verified,
  { workspace, state: { identity, sequence } }: { readonly workspace: string; readonly state: LedgerState },
): void {
  if (chain.workspace !== workspace)
    throw failed(`the files are of workspace ${chain.workspace}, and not of ${workspace}`);
  if (chain.ledger !== identity)
    throw failed(`the files are of ledger ${chain.ledger}, and the store holds ${identity}`);
  if (chain.sequence < sequence) {
    throw failed(
      `the files end at event ${chain.sequence}, before the ledger, which ends at event ${sequence}`,
    );
  }
  if (chain.after >= sequence) {
    throw failed(
      `the files begin after event ${chain.after}, and the ledger ends at event ${sequence}: add the files before them`,
    );
  }
}

async function* after(sequence: number, events: AsyncIterable<ExportedEvent>): AsyncGenerator<ExportedEvent> {
  for await (const event of events) if (event.sequence > sequence) yield event;
}

interface Held {
  readonly chain: Verified;
  readonly state: LedgerState;
  readonly events: AsyncIterable<ExportedEvent>;
}

/** Throws CHECK_FAILED that names the first event that the ledger has and the files have not, or otherwise. Returns what it lacks. */
async function holdAgainst(
  ledger: Ledger,
  { chain, state, events }: Held,
): Promise<Readonly<Record<string, number>>> {
  const lacking: Record<string, number> = {};
  const own = journalOf(ledger, chain.after);
  let next = (await own.next()).value;
  const isBefore = (sequence: number) => next !== undefined && next.sequence < sequence;
  for await (const event of events) {
    if (isBefore(event.sequence)) break;
    if (next !== undefined && next.sequence === event.sequence) {
      if (!isSame(next, event)) break;
      next = (await own.next()).value;
    }
    if (event.sequence > state.sequence) {
      const what = describe(event);
      lacking[what] = (lacking[what] ?? 0) + 1;
    }
  }
  if (next === undefined) return lacking;
  throw failed(
    `event ${next.sequence} of the ledger is not event ${next.sequence} of the files: it was decided after the ledger was set back, or one of the two was altered`,
  );
}

const PAGE_EVENTS = 500;

async function* journalOf(ledger: Ledger, from: number): AsyncGenerator<JournalEvent, undefined> {
  for (let last = from; ; ) {
    const page = await ledger.events(last, PAGE_EVENTS);
    yield* page;
    const end = page.at(-1);
    if (end === undefined) return undefined;
    last = end.sequence;
  }
}

function isSame({ atMs, type, body }: JournalEvent, event: ExportedEvent): boolean {
  return atMs === event.atMs && type === event.type && JSON.stringify(body) === event.bodyText;
}

/** What is counted for people: approvals are why limits would have room that they have not. */
function describe({ type, bodyText }: ExportedEvent): string {
  const effect = type === 'decision' ? /"decision":\{"effect":"([a-z]+)"/.exec(bodyText)?.[1] : undefined;
  return effect === undefined ? type : `${type} (${effect})`;
}

function failed(message: string): CountersignError {
  return new CountersignError('CHECK_FAILED', message);
}
