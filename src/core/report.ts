/**
 * Reports: what a vendor says became of a transaction, by webhook or when asked. They arrive late, twice, in any order, or
 * never; so a report is merged into what is known already, and what was once seen to be signed stays signed.
 */
import type { Holding } from './release.js';

/**
 * What the vendor's status means for charges.
 *
 * - `pending`: nothing has happened yet that matters; never recorded.
 * - `signed`: a signature may exist, since it is being broadcast or later, or has a hash; charges can be released no more.
 * - `completed`: it is on the chain.
 * - `failed`: it ended otherwise, and a signature may exist: dropped, reverted, timed out. Charges stay.
 * - `never-signed`: it ended, and no signature can exist: charges are released, unless `signed` was ever seen.
 */
export const FATES = ['pending', 'signed', 'completed', 'failed', 'never-signed'] as const;
export type Fate = (typeof FATES)[number];

export interface Report {
  /** As asks are counted (see moneyKeyOf in fingerprint.ts), from the vendor's transaction id. */
  readonly moneyKey: string;
  readonly protocol: string;
  readonly txId: string;
  readonly fate: Fate;
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

/** What is known of a transaction from all reports about it. */
export interface KnownFate {
  readonly fate: Exclude<Fate, 'pending'>;
  /** A signature may exist: some report, the newest or not, said so. */
  readonly signed: boolean;
  readonly status: string;
  readonly subStatus?: string;
  readonly txHash?: string;
  readonly updatedAtMs: number;
  /** The event that recorded it. */
  readonly sequence: number;
}

/** What the ledger holds about approvals of the transaction; `batch`: of members of it, each counted by itself. */
export type Approval = 'approved' | 'rejected' | 'released' | 'batch' | 'unknown';

export interface Reported {
  readonly known: KnownFate;
  /** The report said something new, and is an event of the log now. */
  readonly changed: boolean;
  readonly approval: Approval;
}

export interface Reports {
  /** Records what is new in a report; repeating it, in whatever order, changes nothing. `pending` reports are refused. */
  report(report: Report): Promise<Reported>;
  /** What reports have said of a transaction. */
  fateOf(moneyKey: string): Promise<KnownFate | undefined>;
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
