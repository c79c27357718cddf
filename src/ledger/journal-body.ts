/** The shape of what the journal keeps of a decision, the same in both stores: enough to load every record again. */
import type { Charge, LedgerFact } from '../core/decision.js';
import type { AskIdentity, CounterEntry } from '../core/ports.js';

export type JournalAsk = Readonly<Record<string, string | undefined>>;

export function askOf(ask: AskIdentity): JournalAsk {
  return {
    askKey: ask.askKey,
    fingerprint: ask.fingerprint,
    moneyKey: ask.moneyKey,
    coreFingerprint: ask.coreFingerprint,
    amount: ask.amount,
    requestKey: ask.binding?.requestKey,
    txId: ask.binding?.txId,
  };
}

/** A charge without what only its check needed; the store adds `added` and `total`. */
export function chargeOf({ limit, counter, mode, window, need }: Charge): Readonly<Record<string, unknown>> {
  return { limit, counter, mode, window, ...needOf(need) };
}

/** The body of an event that fills counters. */
export function fillOf(entries: readonly CounterEntry[]): Readonly<Record<string, unknown>> {
  return {
    entries: entries.map(({ counter, window, moneyKey, atMs, need }) => ({
      counter,
      window,
      moneyKey,
      atMs,
      ...needOf(need),
    })),
  };
}

function needOf(need: Charge['need']): Readonly<Record<string, unknown>> {
  return need.kind === 'amount' ? { need: need.amount } : { members: need.members };
}

export function factsOf(facts: readonly LedgerFact[]): Readonly<Record<string, string>> {
  return Object.fromEntries(facts.map((fact) => [fact.key, fact.value]));
}
