/**
 * Asks that were answered "ask again" and are not decided yet. A vendor asks about one for a while and then gives up, and the
 * transaction has failed. Each replica sees a part of the deliveries, so they post what they saw to a board of the
 * workspace. The board is advice for people: no decision reads it, and who loses it loses a list.
 */
import type { UndecidedReason } from './decision.js';
import type { Request } from './request.js';

/** What people look such an ask up by, and what it was told last. No secrets, no amounts. */
export interface WaitingAbout {
  readonly cosigner: string;
  readonly signer?: string | undefined;
  readonly kind: Request['kind'];
  readonly stage: Request['stage'];
  readonly requestId: string;
  readonly txId?: string | undefined;
  readonly externalTxId?: string | undefined;
  readonly reason: UndecidedReason;
  /** Which rule, limit or fault, in words. */
  readonly sentence: string;
}

/** Deliveries of one ask, in Unix milliseconds by the clocks of those who saw them. */
export interface Deliveries {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
}

/** What one replica saw of one ask: all of it, so that posting it twice counts nothing twice. */
export interface Sighting {
  readonly askKey: string;
  readonly about: WaitingAbout;
  readonly deliveries: Deliveries;
}

/** One ask as the board has it. */
export interface WaitingAsk {
  readonly askKey: string;
  /** As whoever saw it last said. */
  readonly about: WaitingAbout;
  /** By the replica that saw them. */
  readonly seen: ReadonlyMap<string, Deliveries>;
}

export interface Board {
  /** The ledger's clock when somebody posted last, even if there was nothing new; absent: nobody has. */
  readonly postedAtMs?: number;
  readonly asks: readonly WaitingAsk[];
}

/** The most asks on a board: those that came first stay, because the vendor gives up on them first. */
export const MAX_BOARD = 1_000;

export interface WaitingBoard {
  /** Puts what a replica saw in the place of what it said before. LEDGER_FENCED where nothing may be written. */
  post(replica: string, sightings: readonly Sighting[]): Promise<void>;
  list(): Promise<Board>;
  /** Resolves to those that were there: of several that remove one, a single one is told so. */
  remove(askKeys: readonly string[]): Promise<readonly string[]>;
}

/** Of a ledger. */
export interface Boards {
  readonly waiting: WaitingBoard;
}

/** For how long a vendor asks, whichever ends first. */
export interface RetrySchedule {
  readonly intervalMs: number;
  /** How often in all, the first time included; undefined: nobody knows. */
  readonly attempts?: number | undefined;
  readonly totalMs: number;
}

/** Fireblocks' own, unless its support has set another: https://developers.fireblocks.com/reference/response-object */
export const DEFAULT_RETRIES = { intervalMs: 180_000, attempts: 20, totalMs: 3_600_000 } as const;

export interface Budget {
  /** When the vendor has probably asked for the last time. */
  readonly givesUpAtMs: number;
  readonly endsBy: 'attempts' | 'total';
  /** What is left of the whole budget: 1 at the first ask; 0 or less: nothing. */
  readonly left: (nowMs: number) => number;
}

export function budgetOf(
  { firstMs, lastMs, count }: Deliveries,
  { intervalMs, attempts, totalMs }: RetrySchedule,
): Budget {
  const byTotal = firstMs + totalMs;
  const remaining = attempts === undefined ? undefined : Math.max(0, attempts - count);
  const byAttempts = remaining === undefined ? byTotal : lastMs + remaining * intervalMs;
  const givesUpAtMs = Math.min(byTotal, byAttempts);
  const wholeMs = Math.min(totalMs, attempts === undefined ? totalMs : (attempts - 1) * intervalMs);
  return {
    givesUpAtMs,
    endsBy: byAttempts < byTotal ? 'attempts' : 'total',
    left: (nowMs) => (wholeMs === 0 ? 0 : (givesUpAtMs - nowMs) / wholeMs),
  };
}

/** What all replicas saw together. */
export function deliveriesOf({ seen }: Pick<WaitingAsk, 'seen'>): Deliveries {
  const parts = [...seen.values()];
  return {
    firstMs: Math.min(...parts.map(({ firstMs }) => firstMs)),
    lastMs: Math.max(...parts.map(({ lastMs }) => lastMs)),
    count: parts.reduce((sum, { count }) => sum + count, 0),
  };
}

/** Two of the vendor's intervals without an ask: it does not come back. */
export function isGivenUp(deliveries: Deliveries, schedule: RetrySchedule, nowMs: number): boolean {
  const { givesUpAtMs } = budgetOf(deliveries, schedule);
  return nowMs >= givesUpAtMs && nowMs - deliveries.lastMs >= 2 * schedule.intervalMs;
}

/** What the policy asks for is not a fault. */
const BY_POLICY: ReadonlySet<UndecidedReason> = new Set([
  'RULE_RETRIES',
  'LIMIT_FULL_RETRY',
  'FREEZE_RETRIES',
  'COOLING_OFF_RETRIES',
]);

export const CAUSES = ['fault', 'policy'] as const;
export type Cause = (typeof CAUSES)[number];

export function causeOf({ reason }: Pick<WaitingAbout, 'reason'>): Cause {
  return BY_POLICY.has(reason) ? 'policy' : 'fault';
}
