/** A ledger whose calls somebody takes the time of. */
import type { Ledger } from '../core/ports.js';

/** What a replica asks of its ledger while it runs. */
export type Operation = 'state' | 'commit' | 'events' | 'lookup' | 'usage' | 'check';

/** Told when a call has ended. */
export type CallObserver = (operation: Operation, seconds: number, failure?: unknown) => void;

/** The same ledger; the calls that only commands make are not observed. */
export function observed(ledger: Ledger, told: CallObserver): Ledger {
  const timed = async <T>(operation: Operation, call: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const seconds = () => (performance.now() - startedAt) / 1_000;
    try {
      const value = await call();
      told(operation, seconds());
      return value;
    } catch (error) {
      told(operation, seconds(), error);
      throw error;
    }
  };
  return {
    ...ledger,
    state: () => timed('state', () => ledger.state()),
    commit: (proposal, observer) => timed('commit', () => ledger.commit(proposal, observer)),
    events: (after, limit) => timed('events', () => ledger.events(after, limit)),
    lookup: (askKey) => timed('lookup', () => ledger.lookup(askKey)),
    usage: (counters) => timed('usage', () => ledger.usage(counters)),
    check: () => timed('check', () => ledger.check()),
  };
}
