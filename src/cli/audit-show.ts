/** `countersign audit show`: events of audit files, by what they are about. The chain is verified on the way. */
import { Command, InvalidArgumentError } from 'commander';
import { auditFilesIn } from '../audit/file.js';
import { type ExportedEvent, eventOf } from '../audit/line.js';
import { verifyFiles } from '../audit/verify.js';
import { CountersignError } from '../core/errors.js';
import { moneyKeyOf } from '../core/fingerprint.js';
import type { JournalEvent } from '../core/ports.js';
import { checkpointKeys } from './audit-keys.js';
import { eventPage } from './event-page.js';
import { journalTable } from './ledger-journal.js';
import { repeatable, wholeNumber } from './options.js';

interface ShowOptions {
  readonly publicKey: readonly string[];
  readonly request?: string;
  readonly transaction?: string;
  readonly sequence?: number;
  readonly from?: number;
  readonly to?: number;
  readonly last: number;
  readonly collected?: true;
  readonly json?: true;
}

export function auditShowCommand(): Command {
  return new Command('show')
    .description(
      'events by request, transaction, number or time, with what was asked, why it was decided so, and what the vendor reported of it since; the files are verified on the way',
    )
    .argument('<path...>', 'folders with audit files, or files')
    .option('--request <id>', 'of this request id')
    .option('--transaction <id>', 'of this transaction id')
    .option('--sequence <number>', 'this event', (text) => wholeNumber(text, 1, 1e15))
    .option('--from <time>', 'from this instant on: 2026-03-01, or 2026-03-01T08:00:00Z', instantIn)
    .option('--to <time>', 'before this instant', instantIn)
    .option('--last <number>', 'at most so many, the newest', (text) => wholeNumber(text, 1, 100_000), 1_000)
    .option(
      '--public-key <file>',
      'whose checkpoints are believed (repeatable); otherwise the key beside the files',
      repeatable,
      [],
    )
    .option('--collected', 'the files were collected from the standard output of countersign audit follow')
    .option('--json', 'print one JSON object a line, as it was exported')
    .action(show);
}

/** A day is its first instant, UTC. */
export function instantIn(text: string): number {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text);
  const ms = isDay || /(?:Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new InvalidArgumentError(
    'expected a day such as 2026-03-01 (UTC) or an instant such as 2026-03-01T08:00:00Z.',
  );
}

async function show(paths: readonly string[], options: ShowOptions): Promise<void> {
  const files = auditFilesIn(paths);
  const { keys, trust } = checkpointKeys(options.publicKey, files);
  const policies = new Map<string, number>();
  const found = new Map<string, { readonly event: ExportedEvent; readonly line: string }>();
  const verification = await verifyFiles(files, keys, {
    collected: options.collected === true,
    watch({ event: { sequence, type }, bytes, chain: { ledger, workspace } }) {
      if (type === 'policy') policies.set(versionIn(bytes), sequence);
      const event = matching(bytes, options);
      if (event === undefined) return undefined;
      found.set(`${ledger} ${workspace} ${sequence}`, { event, line: bytes.toString('utf8') });
      // The oldest gives way; files may overlap, so an event may come twice.
      for (const oldest of found.keys()) {
        if (found.size <= options.last) break;
        found.delete(oldest);
      }
      return undefined;
    },
  });
  const events = [...found.values()];
  process.stdout.write(
    options.json === true
      ? events.map(({ line }) => `${line}\n`).join('')
      : textOf(
          events.map(({ event }) => journalEvent(event)),
          options,
          (version) => policies.get(version),
        ),
  );
  if (verification.ok) {
    process.stderr.write(
      `${events.length} events of an unbroken chain; its checkpoints are signed ${trust}\n`,
    );
    return;
  }
  const { file, line, problem } = verification;
  throw new CountersignError(
    'CHECK_FAILED',
    `what was shown is not proven, and there may be more: ${file}:${line}: ${problem}`,
  );
}

function versionIn(bytes: Buffer): string {
  const { version } = JSON.parse(eventOf(bytes)?.bodyText ?? '{}') as { readonly version?: string };
  return version ?? '';
}

/** In full those that were asked for by an id. */
function textOf(
  events: readonly JournalEvent[],
  { request, transaction, sequence }: ShowOptions,
  activatedBy: (version: string) => number | undefined,
): string {
  const isNamed = request !== undefined || transaction !== undefined || sequence !== undefined;
  const pages = isNamed ? events.map((event) => `\n${eventPage(event, activatedBy)}\n`) : [];
  return [`${journalTable(events)}\n`, ...pages].join('');
}

interface AskedAbout {
  /** Of a report. */
  readonly txId?: string;
  /** Of a report or a release. */
  readonly moneyKey?: string;
  readonly ask?: { readonly txId?: string };
  readonly journal?: { readonly request?: { readonly requestId?: string; readonly txId?: string } };
}

function matching(
  bytes: Buffer,
  { request, transaction, sequence, from, to }: ShowOptions,
): ExportedEvent | undefined {
  // Most lines are left after a look at their bytes.
  for (const id of [request, transaction])
    if (id !== undefined && !namesOf(id).some((name) => bytes.includes(JSON.stringify(name))))
      return undefined;
  const event = eventOf(bytes);
  if (event === undefined) return undefined;
  if (sequence !== undefined && event.sequence !== sequence) return undefined;
  if (event.atMs < (from ?? Number.NEGATIVE_INFINITY) || event.atMs >= (to ?? Number.POSITIVE_INFINITY))
    return undefined;
  if (request === undefined && transaction === undefined) return event;
  const { txId, moneyKey, ask, journal } = JSON.parse(event.bodyText) as AskedAbout;
  const isAbout = (id: string | undefined, ...found: readonly (string | undefined)[]): boolean =>
    id === undefined || [moneyKey, ...found].some((name) => name !== undefined && namesOf(id).includes(name));
  if (!isAbout(request, journal?.request?.requestId)) return undefined;
  return isAbout(transaction, txId, ask?.txId, journal?.request?.txId) ? event : undefined;
}

/** A release names what its charges are counted by; of vendors who report there is one. */
function namesOf(id: string): readonly string[] {
  return [id, moneyKeyOf('fireblocks', id)];
}

function journalEvent({ sequence, atMs, type, bodyText }: ExportedEvent): JournalEvent {
  return { sequence, atMs, type: type as JournalEvent['type'], body: JSON.parse(bodyText) };
}
