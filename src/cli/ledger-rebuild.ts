/** `countersign ledger rebuild`: everything that is read when deciding, anew from the journal. */
import { Command } from 'commander';
import { assert, CountersignError } from '../core/errors.js';
import type { KeyDifference, Rebuilt } from '../core/fence.js';
import type { Ledger } from '../core/ports.js';
import { withLedger } from './ledger.js';

interface RebuildOptions {
  readonly config: string;
  readonly workspace?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const WHAT = `
For when somebody has written to Redis, or a counter is doubted. Standing decisions, counters, transactions, facts, the policy
and the freezes are computed from the journal of the server, beside those that are there, and take their place in one step
at the end. Decisions go on meanwhile, and wait for less than a second then. It takes as much memory of the server again, and
about a second for 5,000 events. A ledger that is fenced stays fenced. If the command dies, nothing has changed.

With --dry-run the two are compared, and the keys that differ are named with their totals; what is in them is not shown. The
exit code is 1 when some do.

With witnesses (ledger.durability) the journal is theirs: the ledger is recovered from them, nothing is decided for about a
second, and --dry-run only says so. An embedded ledger needs none: its rows and its journal are written in one transaction.

The journal itself is believed. Whether somebody has changed that too, \`countersign audit verify\` shows where it is exported.`;

export function rebuildCommand(): Command {
  return new Command('rebuild')
    .description('compute everything that is read when deciding anew from the journal')
    .requiredOption('--config <file>', 'configuration document')
    .option('--workspace <name>', 'when the configuration has several')
    .option('--dry-run', 'show what differs from the journal, and change nothing')
    .option('--json', 'print one JSON object')
    .addHelpText('after', WHAT)
    .action(rebuild);
}

async function rebuild(options: RebuildOptions): Promise<void> {
  await withLedger(options, async (ledger, { name: workspace }) => {
    const startedAt = performance.now();
    const dryRun = options.dryRun === true;
    const result = await rebuilt(ledger, dryRun);
    const milliseconds = Math.round(performance.now() - startedAt);
    if (result.kind === 'compared' && result.differences.length > 0) process.exitCode = 1;
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify({ workspace, dryRun, ...result, milliseconds })}\n`);
      return;
    }
    process.stdout.write(`${textOf(result, milliseconds).join('\n')}\n`);
  });
}

type Result =
  | Exclude<Rebuilt, { readonly kind: 'rehearsed' }>
  | { readonly kind: 'recovered'; readonly epoch: number; readonly events: number }
  | { readonly kind: 'recovery' };

async function rebuilt({ fence, witnesses, kind }: Ledger, dryRun: boolean): Promise<Result> {
  if (fence !== undefined) {
    const result = await fence.rebuild({ kind: dryRun ? 'compare' : 'replace' });
    assert(result.kind !== 'rehearsed', 'only events that are added are rehearsed');
    return result;
  }
  if (witnesses === undefined) {
    throw new CountersignError(
      'USAGE',
      `the ${kind} ledger needs no rebuild: its rows and its journal are written in one transaction, and nothing but this program writes them`,
    );
  }
  if (dryRun) return { kind: 'recovery' };
  const { epoch, events } = await witnesses.recover();
  return { kind: 'recovered', epoch, events };
}

function textOf(result: Result, milliseconds: number): readonly string[] {
  switch (result.kind) {
    case 'recovery':
      return ['Would recover the ledger from its witnesses. Nothing was changed (--dry-run).'];
    case 'recovered':
      return [
        `Recovered the ledger from its witnesses in epoch ${result.epoch}: ${result.events} events in ${milliseconds} ms.`,
      ];
    case 'replaced':
      return [
        `Rebuilt the ledger from its journal in epoch ${result.epoch}: ${result.events} events, the last is ${result.sequence}, in ${milliseconds} ms.`,
      ];
    case 'compared':
      return comparedText(result);
  }
}

function comparedText({
  events,
  sequence,
  differences,
  certain,
}: Extract<Rebuilt, { kind: 'compared' }>): readonly string[] {
  return [
    `journal     ${events} events, the last is ${sequence}`,
    ...differences.map(differenceText),
    ...(certain
      ? []
      : [
          'Decisions were made while this was compared, and may be why it differs: repeat it when there are fewer.',
        ]),
    differences.length === 0
      ? 'The ledger is what its journal says. Nothing was changed (--dry-run).'
      : `${differences.length} ${differences.length === 1 ? 'key differs' : 'keys differ'}. Nothing was changed (--dry-run).`,
  ];
}

function differenceText({ key, missing, added, different, total }: KeyDifference): string {
  const counts = [
    ...(missing > 0 ? [`${missing} missing`] : []),
    ...(added > 0 ? [`${added} that the journal does not know`] : []),
    ...(different > 0 && total === undefined ? [`${different} different`] : []),
    ...(total === undefined ? [] : [`is ${total.ledger}, by the journal ${total.journal}`]),
  ];
  return `differs     ${key}: ${counts.join(', ')}`;
}
