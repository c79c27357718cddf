/** The part of `countersign status` that tells what waits for a decision, and why. */
import type { WorkspaceConfig } from '../config/schema.js';
import { CountersignError, messageOf } from '../core/errors.js';
import type { Ledger } from '../core/ports.js';
import {
  type Budget,
  budgetOf,
  type Cause,
  causeOf,
  deliveriesOf,
  MAX_BOARD,
  type RetrySchedule,
  type WaitingAbout,
  type WaitingAsk,
} from '../core/waiting.js';
import { retriesOf } from '../replica/endpoints.js';

export interface WaitingStatus {
  /** How many wait; of the most endangered ones `asks` has the particulars. */
  readonly total: number;
  readonly asks: readonly WaitingLine[];
  /** The ledger's clock when a replica last posted; null: none has, and nothing waits as far as anybody knows. */
  readonly postedAtMs: number | null;
  /** Why the list is not to be relied upon; null when it is. */
  readonly problem: string | null;
}

interface WaitingLine extends WaitingAbout {
  readonly cause: Cause;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly deliveries: number;
  /** Null: nobody knows how often this co-signer asks. */
  readonly attempts: number | null;
  readonly givesUpAtMs: number;
  readonly endsBy: Budget['endsBy'];
}

/** Particulars on one page. */
const MOST_LINES = 20;
/** A replica posts every 10 s while anything waits. */
const STALE_MS = 60_000;

/** @param isDeciding false: nothing is written to the ledger now, and so nothing to the board */
export async function waitingStatus(
  { waiting }: Pick<Ledger, 'waiting'>,
  { cosigners }: Pick<WorkspaceConfig, 'cosigners'>,
  { nowMs, isDeciding }: { readonly nowMs: number; readonly isDeciding: boolean },
): Promise<WaitingStatus> {
  const schedules = new Map(cosigners.map((cosigner) => [cosigner.name, retriesOf(cosigner)]));
  try {
    const { asks, postedAtMs = null } = await waiting.list();
    const lines = asks
      .map((ask) => lineOf(ask, schedules.get(ask.about.cosigner)))
      .sort((one, other) => one.givesUpAtMs - other.givesUpAtMs);
    return {
      total: lines.length,
      asks: lines.slice(0, MOST_LINES),
      postedAtMs,
      problem: problemOf(lines.length, { ageMs: nowMs - (postedAtMs ?? nowMs), isDeciding }),
    };
  } catch (error) {
    if (error instanceof CountersignError) return unreachableWaiting(messageOf(error));
    throw error;
  }
}

export function unreachableWaiting(why: string): WaitingStatus {
  return { total: 0, asks: [], postedAtMs: null, problem: `The list of what waits cannot be read: ${why}` };
}

function problemOf(
  count: number,
  { ageMs, isDeciding }: { readonly ageMs: number; readonly isDeciding: boolean },
): string | null {
  if (!isDeciding)
    return 'While nothing is decided replicas cannot post what waits: the list may lack the newest. Their metrics and logs have all.';
  if (count > 0 && ageMs > STALE_MS)
    return `No replica has posted for ${durationText(ageMs)}: those that knew of these asks are gone, and what was asked since may be missing.`;
  return count >= MAX_BOARD ? `More may wait: the list ends at ${MAX_BOARD}.` : null;
}

function lineOf(ask: WaitingAsk, schedule: RetrySchedule | undefined): WaitingLine {
  const { firstMs, lastMs, count } = deliveriesOf(ask);
  // A co-signer that this configuration does not know asks as Virtual Signers do.
  const known = schedule ?? { intervalMs: 180_000, totalMs: 3_600_000 };
  const { givesUpAtMs, endsBy } = budgetOf({ firstMs, lastMs, count }, known);
  return {
    ...ask.about,
    cause: causeOf(ask.about),
    firstMs,
    lastMs,
    deliveries: count,
    attempts: known.attempts ?? null,
    givesUpAtMs,
    endsBy,
  };
}

/** @param nowMs by the ledger; undefined: it cannot be read */
export function waitingLines(
  { total, asks, problem }: WaitingStatus,
  nowMs: number | undefined,
): readonly string[] {
  const none = nowMs === undefined ? 'not known' : 'nothing, as far as replicas have posted';
  const count = total === 0 ? none : `${total} ${plural(total)}`;
  const rest = total - asks.length;
  return [
    `waiting     ${count}`,
    ...(problem === null ? [] : [`            ${problem}`]),
    ...asks.flatMap((ask) => askLines(ask, nowMs ?? ask.lastMs)),
    ...(rest > 0 ? [`  and ${rest} more, which have longer`] : []),
  ];
}

function plural(total: number): string {
  return total === 1 ? 'ask was told to come again' : 'asks were told to come again';
}

function askLines(ask: WaitingLine, nowMs: number): readonly string[] {
  const { requestId, txId, externalTxId, kind, stage, cosigner, signer, attempts, deliveries } = ask;
  const ids = [
    requestId,
    ...(txId === undefined || txId === requestId ? [] : [`tx ${txId}`]),
    ...(externalTxId === undefined ? [] : [`external ${externalTxId}`]),
  ];
  const leftMs = ask.givesUpAtMs - nowMs;
  const end =
    leftMs > 0
      ? `the vendor gives up in ${durationText(leftMs)} (${new Date(ask.givesUpAtMs).toISOString()}, by its ${ask.endsBy})`
      : `the vendor has probably given up since ${durationText(-leftMs)} (by its ${ask.endsBy})`;
  return [
    `  ${printable(ids.join(', '))}`,
    `    ${kind}, ${stage}, of ${cosigner}${signer === undefined ? '' : ` for ${printable(signer)}`}`,
    `    since ${durationText(nowMs - ask.firstMs)}, asked ${deliveries}${attempts === null ? '' : ` of ${attempts}`} times, last ${durationText(nowMs - ask.lastMs)} ago; ${end}`,
    `    ${ask.reason}: ${printable(ask.sentence)}`,
  ];
}

/** Ids come from outside: nothing of them may move the cursor. */
function printable(text: string): string {
  return text.replace(/\p{C}+/gu, ' ');
}

function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
