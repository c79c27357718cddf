/** `countersign freeze`: stop approvals of everything, or of a part, on all replicas at once. */
import { randomBytes } from 'node:crypto';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import { type CompiledFreeze, compileFreeze } from '../core/policy/compile.js';
import type { Facts } from '../core/policy/facts.js';
import { freezeCovers } from '../core/policy/match.js';
import { durationMs } from '../core/policy/schema.js';
import type { Freeze, JournalEvent } from '../core/ports.js';
import { loadOperatorPrivateKey, loadOperators, operatorOf } from '../keys/statements.js';
import { chainsOf } from '../replica/replica.js';
import { type ScopeOptions, scopeFrom, scopeOptions } from './freeze-scope.js';
import { describeFreeze } from './freeze-text.js';
import { withLedger } from './ledger.js';
import { newestEvents } from './ledger-journal.js';

interface FreezeOptions extends ScopeOptions {
  readonly config: string;
  readonly workspace?: string;
  readonly reason: string;
  readonly author?: string;
  readonly key?: string;
  readonly for?: number;
  readonly until?: number;
  readonly answers: Freeze['answers'];
  readonly id?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

const MAX_REASON = 500;
/** How many of the newest events are held against the scope, to show what it would have covered. */
const SAMPLE = 1_000;

export function freezeCommand(): Command {
  const command = new Command('freeze')
    .description(
      'stop approvals of everything or of a part, on all replicas from the next decision on; approvals that stand already are not repeated while it lasts, rejections are. Anybody who reaches the ledger may freeze; lifting takes operators (countersign unfreeze)',
    )
    .requiredOption('--config <file>', 'configuration document')
    .requiredOption(
      '--reason <text>',
      'why, for the journal and for whoever is to lift it',
      nonEmpty('reason', MAX_REASON),
    );
  for (const option of scopeOptions()) command.addOption(option);
  return command
    .option('--author <name>', 'who freezes; or --key', nonEmpty('author', 64))
    .addOption(
      new Option('--key <file>', "an operator's private key: its name is the author").conflicts('author'),
    )
    .option(
      '--for <duration>',
      'how long, by the ledger’s clock: 90s, 30m, 4h, 2d; otherwise until lifted',
      lengthOf,
    )
    .addOption(
      new Option('--until <time>', 'until this instant, with its zone: 2026-03-04T06:00:00Z')
        .conflicts('for')
        .argParser(instantOf),
    )
    .addOption(
      new Option(
        '--answers <answer>',
        'retry: co-signers ask again later, and nothing is lost while their retries last. reject: what is asked meanwhile is refused FOR GOOD and must be made anew',
      )
        .choices(['retry', 'reject'])
        .default('retry'),
    )
    .option(
      '--id <id>',
      'instead of a random one; the same freeze under the same id again changes nothing',
      idOf,
    )
    .option('--workspace <name>', 'when the configuration has several')
    .option('--dry-run', 'show what it would cover, and change nothing')
    .option('--json', 'print one JSON object')
    .action(freeze);
}

async function freeze(options: FreezeOptions): Promise<void> {
  await withLedger(options, async (ledger, workspace, config) => {
    const chains = chainsOf(workspace);
    const scope = scopeFrom(options, workspace, chains);
    const author = authorOf(options, config);
    const { nowMs } = await ledger.state();
    const expiresAtMs = expiryOf(options, nowMs);
    const wanted: Omit<Freeze, 'sequence'> = {
      id: options.id ?? `f${randomBytes(4).toString('hex')}`,
      scope,
      reason: options.reason,
      author,
      answers: options.answers,
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    };
    // Compiled before it is written: a scope that replicas cannot read would leave everything undecided.
    const compiled = compileFreeze({ ...wanted, sequence: 0 }, chains);
    const isDry = options.dryRun === true;
    const sequence = isDry ? undefined : (await ledger.freeze(wanted)).sequence;
    const covered = coveredOf(compiled, await newestEvents(ledger, SAMPLE));
    if (options.json === true) {
      const done = {
        workspace: workspace.name,
        ...wanted,
        scope: JSON.parse(scope),
        sequence: sequence ?? null,
        covered,
      };
      process.stdout.write(`${JSON.stringify(done)}\n`);
      return;
    }
    const lines = [
      ...describeFreeze({ ...wanted, sequence: sequence ?? 0 }, nowMs),
      `covers      ${covered.covered} of the newest ${covered.of} requests in the journal`,
      isDry
        ? 'Nothing was changed (--dry-run).'
        : `Frozen since event ${sequence}. To lift it: countersign unfreeze ${wanted.id} --config FILE --key OPERATOR.pem`,
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  });
}

function authorOf({ author, key }: FreezeOptions, config: Config): string {
  if (author !== undefined) return author;
  if (key === undefined)
    throw new CountersignError('USAGE', 'say who freezes: --author NAME, or --key OPERATOR.pem');
  return operatorOf(loadOperators(config.operators), loadOperatorPrivateKey(key), key);
}

/** By the ledger's clock: the one on this desk may be wrong. */
function expiryOf({ for: lengthMs, until }: FreezeOptions, nowMs: number): number | undefined {
  if (lengthMs !== undefined) return nowMs + lengthMs;
  if (until === undefined || until > nowMs) return until;
  throw new CountersignError(
    'USAGE',
    `--until is in the past: by the ledger's clock it is ${new Date(nowMs).toISOString()}`,
  );
}

interface Covered {
  readonly covered: number;
  readonly of: number;
}

/** What the freeze would have covered of what was asked lately: none of it may mean that a name in it is mistyped. */
function coveredOf({ conditions }: CompiledFreeze, events: readonly JournalEvent[]): Covered {
  const occasions = events.flatMap(({ body, atMs }) => {
    const { journal } = body as { readonly journal?: { readonly facts?: Facts } };
    return journal?.facts === undefined ? [] : [{ facts: journal.facts, instantMs: atMs }];
  });
  const covered = occasions.filter((occasion) => freezeCovers(conditions, occasion) !== 'false');
  return { covered: covered.length, of: occasions.length };
}

function lengthOf(text: string): number {
  const ms = durationMs(text);
  if (ms === undefined || ms === 0)
    throw new InvalidArgumentError('expected a duration such as 90s, 30m, 4h or 2d.');
  return ms;
}

function instantOf(text: string): number {
  // Without a zone it would be this machine's.
  const ms = /(?:Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw new InvalidArgumentError('expected an instant with its zone such as 2026-03-04T06:00:00Z.');
  return ms;
}

function idOf(text: string): string {
  if (/^[A-Za-z0-9][\w.-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError('expected 1 to 64 letters, digits, dots, dashes and underscores.');
}

/** One line of people's words: nothing in it may steer a terminal later. */
function nonEmpty(what: string, atMost: number): (text: string) => string {
  return (text) => {
    if (text.trim() === '' || text.length > atMost || /\p{Cc}/u.test(text))
      throw new InvalidArgumentError(`expected a ${what} of one line and at most ${atMost} characters.`);
    return text;
  };
}
