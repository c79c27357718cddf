/**
 * What the ledger remembers the beginning of, by its own clock: that a destination was whitelisted here, that it was paid.
 * Nobody reads it before a commit: what depends on it is a condition of the verdict, which the commit checks and writes.
 * It is forgotten when nothing has mentioned it for the whole retention.
 */
import type { Charge } from './decision.js';

/** The part of a need that each destination has, for a limit of new destinations. */
export interface NewOnly {
  /** A destination is new until its first approved payment is this long ago, milliseconds. */
  readonly forMs: number;
  /** Amounts add up; a fee or a count is one, however many destinations share it. */
  readonly combine: 'sum' | 'largest';
  /** The destination's moment, and its amount; where different members are counted, the member that it is. */
  readonly parts: readonly { readonly moment: string; readonly need: string }[];
}

/** Something whose beginning the ledger remembers when the request is approved, by its own clock. */
export interface Moment {
  readonly key: string;
  /** It begins anew with each approval, or began with the first one that the ledger remembers. */
  readonly keeps: 'newest' | 'first';
}

/** What must have begun long enough ago, if the ledger knows that it has begun at all. */
export interface CoolingOff {
  /** Of moments. */
  readonly keys: readonly string[];
  readonly periodMs: number;
  readonly whenEarly: 'reject' | 'retry';
  readonly sentence: string;
}

/** A moment as it is filled from the journal. Of two instants of one the earlier stands. */
export interface MomentEntry {
  readonly key: string;
  /** Unix milliseconds. */
  readonly sinceMs: number;
}

/** What the new destinations of a charge need; undefined when there is none that needs anything. */
export function newNeed(
  { parts, combine }: NewOnly,
  need: Charge['need'],
  isNew: (moment: string) => boolean,
): Charge['need'] | undefined {
  const fresh = parts.filter(({ moment }) => isNew(moment)).map((part) => part.need);
  if (need.kind === 'distinct') return fresh.length === 0 ? undefined : { kind: 'distinct', members: fresh };
  const amount = fresh
    .map(BigInt)
    .reduce((total, each) => (combine === 'sum' ? total + each : each > total ? each : total), 0n);
  return amount === 0n ? undefined : { kind: 'amount', amount: String(amount) };
}
