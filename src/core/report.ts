/**
 * Reports: what a vendor says became of a transaction, by webhook or when asked. They arrive late, twice, in any order, or
 * never; so a report is merged into what is known already, and what was once seen to be signed stays signed.
 */
import type { Holding, ReleaseReason } from './release.js';

/**
 * What the vendor's status means for charges.
 *
 * - `pending`: nothing has happened yet that matters; never recorded.
 * - `signed`: a signature may exist, since it is being broadcast or later, or has a hash; charges can be released no more.
 * - `completed`: it is on the chain.
 * - `failed`: it ended otherwise, and a signature may exist: dropped, reverted, timed out. Charges stay.
 * - `never-signed`: it ended, and no signature can exist: charges are released, unless `signed` was ever seen.
 */
export const FATES = ['pending', 'signed', 'never-signed', 'failed', 'completed'] as const;
export type Fate = (typeof FATES)[number];

export interface Report {
  /** As asks are counted (see moneyKeyOf in fingerprint.ts), from the vendor's transaction id. */
  readonly moneyKey: string;
  readonly protocol: string;
  readonly txId: string;
  readonly fate: Fate;
  /** What `never-signed` is called when charges are given back for it; absent: `failed`. */
  readonly reason?: ReleaseReason;
  /** The vendor's words, upper case. */
  readonly status: string;
  readonly subStatus?: string;
  readonly txHash?: string;
  /** When it was made and last changed, Unix milliseconds by the vendor's clock. */
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly source: 'webhook' | 'api';
  /** The vendor's id of the notification; for people. */
  readonly notification?: string;
}

/** What is known of a transaction from all reports about it, in whatever order they came. */
export interface KnownFate {
  readonly fate: Exclude<Fate, 'pending'>;
  /** A signature may exist: some report, the newest or not, said so. */
  readonly signed: boolean;
  /** The vendor's words, by its newest report. */
  readonly status: string;
  readonly subStatus?: string;
  readonly updatedAtMs: number;
  /** Of the newest report that had one, and when that was. */
  readonly hash?: { readonly txHash: string; readonly atMs: number };
}

/** What the ledger holds about approvals of the transaction. */
export interface Approval {
  readonly approved: boolean;
  /** By a rule or a limit, at whatever stage. */
  readonly rejected: boolean;
  readonly released: boolean;
  /** Members of it were approved, each counted by itself. */
  readonly batch: boolean;
}

export interface Reported {
  readonly known: KnownFate;
  /** The event that recorded it. */
  readonly sequence: number;
  /** The report said something new, and is that event. */
  readonly changed: boolean;
  readonly approval: Approval;
}

export interface Reports {
  /** Records what is new in a report; repeating it, in whatever order, changes nothing. */
  report(report: SettlingReport): Promise<Reported>;
  /** What reports have said of a transaction. */
  fateOf(moneyKey: string): Promise<(KnownFate & { readonly sequence: number }) | undefined>;
}

/** What a report did, for logs, metrics and alarms. */
export interface Settlement {
  readonly fate: Fate;
  /** False: known before, or of no consequence. */
  readonly changed: boolean;
  /** What was given back by it. */
  readonly given: readonly Holding[];
  /**
   * A signature may exist, and no approval stands behind it: nobody asked here (`UNAPPROVED`), the answer was a rejection
   * (`REJECTED`), or the charges were released since no signature could exist (`RELEASED`).
   */
  readonly alarm?: 'UNAPPROVED' | 'REJECTED' | 'RELEASED';
}

/** A report that is recorded. */
export type SettlingReport = Report & { readonly fate: Exclude<Fate, 'pending'> };

/** The same whatever order they come in, and however often one comes. */
export function mergeFate(known: KnownFate | undefined, report: SettlingReport): KnownFate {
  const newest = known === undefined || isAfter(report, known) ? report : known;
  const { fate, status, subStatus, updatedAtMs } = newest;
  const hash = newestHash(known?.hash, report);
  const signed = known?.signed === true || report.fate !== 'never-signed' || report.txHash !== undefined;
  return {
    // It ended by this report, and was seen signed by another: it may be mined yet.
    fate: signed && fate === 'never-signed' ? 'failed' : fate,
    signed,
    status,
    ...(subStatus === undefined ? {} : { subStatus }),
    updatedAtMs,
    ...(hash === undefined ? {} : { hash }),
  };
}

/** Of two at one instant the one that says more counts; the rest only has to be the same everywhere. */
const RANK: Readonly<Record<KnownFate['fate'], number>> = {
  signed: 0,
  'never-signed': 1,
  failed: 1,
  completed: 2,
};

function isAfter(one: SettlingReport, other: KnownFate): boolean {
  if (one.updatedAtMs !== other.updatedAtMs) return one.updatedAtMs > other.updatedAtMs;
  if (RANK[one.fate] !== RANK[other.fate]) return RANK[one.fate] > RANK[other.fate];
  return wordsOf(one) > wordsOf(other);
}

function wordsOf({ status, subStatus = '' }: Pick<KnownFate, 'status' | 'subStatus'>): string {
  return `${status} ${subStatus}`;
}

function newestHash(
  known: KnownFate['hash'],
  { txHash, updatedAtMs: atMs }: SettlingReport,
): KnownFate['hash'] {
  if (txHash === undefined) return known;
  const isNewer = known === undefined || atMs > known.atMs || (atMs === known.atMs && txHash > known.txHash);
  return isNewer ? { txHash, atMs } : known;
}

/**
 * The fact that members of a transaction were approved, each counted by itself.
 * @param moneyKey of the transaction as a whole
 */
export function batchFactKey(moneyKey: string): string {
  return `batch:${moneyKey}`;
}
