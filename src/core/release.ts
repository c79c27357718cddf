/**
 * Giving back what a transaction was charged, when no signature of it can exist. A transaction that was dropped, reverted
 * or timed out keeps its charges: its signed bytes may still be mined. Silence never releases anything.
 */
import type { Charge } from './decision.js';

/** Why no signature of a transaction can exist. */
export const RELEASE_REASONS = ['cancelled', 'rejected', 'blocked', 'failed'] as const;
export type ReleaseReason = (typeof RELEASE_REASONS)[number];

/** Whose word it is that no signature can exist; kept in the event. Never silence. */
export type ReleaseAuthority =
  | {
      readonly kind: 'operator' /** Compact JWS; whose it is is checked before. */;
      readonly statement: string;
    }
  /** The event that recorded what the vendor reported. */
  | { readonly kind: 'report'; readonly sequence: number };

export interface Release {
  readonly moneyKey: string;
  readonly reason: ReleaseReason;
  readonly note?: string;
  readonly authority: ReleaseAuthority;
}

/** What a transaction holds in one counter. */
export interface Holding {
  /** Absent when the counter was filled from the journal. */
  readonly limit?: string;
  readonly counter: string;
  readonly mode: Charge['mode'];
  readonly window: Charge['window'];
  /** Integer in decimal text. */
  readonly amount: string;
}

export interface KnownTransaction {
  readonly approved: boolean;
  readonly rejected: boolean;
  /** The event that released its charges. */
  readonly released?: number;
  /** Every counter of amounts that it was ever charged to. */
  readonly holdings: readonly Holding[];
}

export interface Released {
  readonly sequence: number;
  /** It was released before. */
  readonly repeated: boolean;
  readonly given: readonly Holding[];
}

export interface Releases {
  /**
   * Takes back what a transaction holds in every counter of amounts; from then on it is refused, whoever asks. Entries
   * of counters that count different members stay: another transaction may have the same ones, and to count too many is
   * safe. Doing it twice changes nothing. RELEASE_REFUSED when nothing is known of the transaction, or when a report said
   * that a signature of it may exist.
   */
  release(release: Release): Promise<Released>;
  /** What is known of a transaction, for people; no part of deciding. */
  transaction(moneyKey: string): Promise<KnownTransaction | undefined>;
}
