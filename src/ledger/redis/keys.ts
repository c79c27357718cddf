/**
 * Where the ledger of one workspace lives. All keys share one hash tag, so that one script reaches them all on a
 * Redis Cluster. What a recovery would load anew stands under an epoch; the identity of the ledger outlives epochs.
 */
import type { Charge } from '../../core/decision.js';
import { checkWorkspace } from '../proposal.js';

export interface Keys {
  readonly meta: string;
  /** Hash: ask key → what waits, for people. Outside of the epochs: nothing is decided by it, and no recovery loads it. */
  readonly waiting: string;
  /** Stream of events; an event's id is its sequence number. */
  readonly journal: string;
  /** Sorted set: sequence numbers of events that are not known to be on enough witnesses. */
  readonly pending: string;
  /** Hash: ask key → fingerprint, effect, decision. */
  readonly asks: string;
  /** Hash: fingerprint and ask key → decision. */
  readonly conflicts: string;
  /** Hash: money key → what is known of a transaction; see transactions.lua. */
  readonly transactions: string;
  /** Hash: request key → number of the last event about it, transaction id. */
  readonly bindings: string;
  /** Hash: money key → number of the event, whether a signature may exist, what reports have said; see report.lua. */
  readonly fates: string;
  /** Hash: fact → value. */
  readonly facts: string;
  /** Hash: what has a beginning → number of the last event about it, since when; see moments.lua. */
  readonly moments: string;
  /** Text: the active policy. */
  readonly policy: string;
  /** Hash: freeze id → sequence number, freeze. */
  readonly freezes: string;
  /** The three keys a counter may have; see counters.lua. The kind of window is part of them, so types never clash. */
  counter(charge: Pick<Charge, 'counter' | 'mode' | 'window'>): CounterKeys;
}

export interface CounterKeys {
  readonly held: string;
  readonly times: string;
  readonly members: string;
}

/** What the names of all keys that stand under an epoch begin with; its number and a colon follow. */
export function epochsPrefix(workspace: string): string {
  checkWorkspace(workspace);
  return `countersign:{${workspace}}:`;
}

/** All of them, as SCAN takes it. */
export function epochsPattern(workspace: string): string {
  return `${epochsPrefix(workspace).replace(/[[\]*?\\]/g, '\\$&')}[0-9]*`;
}

/** @param epochNumber grows with every recovery; a ledger begins in epoch 0, or 1 where witnesses keep it */
export function keysOf(workspace: string, epochNumber: number): Keys {
  checkWorkspace(workspace);
  const ledger = `countersign:{${workspace}}`;
  const epoch = `${ledger}:${epochNumber}`;
  return {
    meta: `${ledger}:meta`,
    waiting: `${ledger}:waiting`,
    journal: `${epoch}:journal`,
    pending: `${epoch}:pending`,
    asks: `${epoch}:asks`,
    conflicts: `${epoch}:conflicts`,
    transactions: `${epoch}:transactions`,
    bindings: `${epoch}:bindings`,
    fates: `${epoch}:fates`,
    facts: `${epoch}:facts`,
    moments: `${epoch}:moments`,
    policy: `${epoch}:policy`,
    freezes: `${epoch}:freezes`,
    counter({ counter, mode, window }) {
      const span = window.kind === 'calendar' ? `calendar-${window.startMs}` : window.kind;
      const name = `${mode}:${span}:${counter}`;
      return {
        held: `${epoch}:held:${name}`,
        times: `${epoch}:times:${name}`,
        members: `${epoch}:members:${name}`,
      };
    },
  };
}
