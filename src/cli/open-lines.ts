/** For `countersign status`: the transactions that were approved and of which nobody has said how they ended. */
import type { WorkspaceConfig } from '../config/schema.js';
import { OpenTransactions } from '../core/open-transactions.js';
import type { Ledger } from '../core/ports.js';
import { isTold } from '../replica/vendor/vendor.js';

export interface OpenStatus {
  readonly count: number;
  /** The oldest few. */
  readonly oldest: readonly {
    readonly txId: string;
    readonly approvedAtMs: number;
    /** The event of the approval. */
    readonly sequence: number;
  }[];
  /** Only the newest part of the journal was read: older ones are not among them. */
  readonly sinceEvent?: number;
}

const PAGE_EVENTS = 1_000;
/** Read for one page of status; about a second of work for each 50,000. */
const MOST_EVENTS = 200_000;
const SHOWN = 5;

/** Undefined where nobody tells how transactions end: all would be open. */
export async function openStatus(
  ledger: Pick<Ledger, 'events' | 'exports'>,
  workspace: WorkspaceConfig,
): Promise<OpenStatus | undefined> {
  if (!isTold(workspace)) return undefined;
  const open = new OpenTransactions();
  const { newest } = await ledger.exports.state();
  const from = Math.max(0, newest - MOST_EVENTS);
  for (let position = from; position < newest; ) {
    const page = await ledger.events(position, PAGE_EVENTS);
    for (const event of page) open.take(event);
    position = page.at(-1)?.sequence ?? newest;
  }
  const oldest = [...open.all()]
    .slice(0, SHOWN)
    .map(({ txId, approvedAtMs, sequence }) => ({ txId, approvedAtMs, sequence }));
  return { count: open.size, oldest, ...(from > 0 ? { sinceEvent: from } : {}) };
}

export function openLines(open: OpenStatus | undefined, nowMs: number): readonly string[] {
  if (open === undefined) return [];
  const since = open.sinceEvent === undefined ? '' : ` of those approved since event ${open.sinceEvent}`;
  const count = open.count === 1 ? '1 approved transaction has' : `${open.count} approved transactions have`;
  const width = Math.max(0, ...open.oldest.map(({ txId }) => txId.length));
  return [
    `open        ${open.count === 0 ? `every approved transaction has ended${since}` : `${count} not ended${since}`}`,
    ...open.oldest.map(
      ({ txId, approvedAtMs, sequence }) =>
        `            ${txId.padEnd(width)}  approved ${ageText(nowMs - approvedAtMs)} ago, event ${sequence}`,
    ),
  ];
}

function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}
