/**
 * What the ledger says that it charged, decision by decision in the order of its numbers, against what the same decisions
 * charge to counters of our own: every transaction once in each of its limits, nothing for destinations that were paid
 * long enough ago where a limit is for new ones, and every total exact.
 */

import type { AskFacts } from '../workload/errands.js';
import { counterOf, isNewTo, type LimitFacts, needOf } from '../workload/limits.js';
import type { Evidence } from './check.js';
import { Counter } from './counter.js';
import type { Charged, Entry } from './entries.js';
import { type History, questionKey } from './history.js';
import type { Released } from './settled.js';
import type { Violation } from './violation.js';

export function chargedWrongly(
  { questions }: History,
  { entries, settled }: Pick<Evidence, 'entries' | 'settled'>,
  limits: readonly LimitFacts[],
): readonly Violation[] {
  const counters = new Map<string, Counter>();
  const paidFirst = new Map<string, number>();
  const charge = (limit: LimitFacts, entry: Entry, ask: AskFacts): Charged | undefined => {
    const name = counterOf(limit, ask);
    if (name === undefined || !isNewTo(limit, paidFirst.get(ask.destination), entry.atMs)) return undefined;
    const counter = counters.get(`${limit.name} of ${name}`) ?? new Counter(limit.window);
    counters.set(`${limit.name} of ${name}`, counter);
    return counter.charge(entry.requestId, needOf(limit, ask), entry.atMs);
  };
  return [...entries, ...settled.releases]
    .sort((a, b) => a.sequence - b.sequence)
    .flatMap((entry): readonly Violation[] => {
      if ('given' in entry) return givenBackWrongly(entry, counters, limits);
      const { charged, key, sequence, action } = entry;
      const ask = questions.get(questionKey(entry))?.ask;
      // The control does not say what it charged, and what nobody asked is another check's.
      if (charged === undefined || ask === undefined) return [];
      const violations = limits.flatMap((limit): readonly Violation[] => {
        const should = action === 'APPROVE' ? charge(limit, entry, ask) : undefined;
        const is = charged.get(limit.name);
        if (is?.added === should?.added && is?.total === should?.total) return [];
        const text = `${key} (event ${sequence}) charged ${limit.name} ${inWords(is)}, and should have charged ${inWords(should)}`;
        return [{ check: 'charged', text }];
      });
      if (action === 'APPROVE' && !paidFirst.has(ask.destination)) paidFirst.set(ask.destination, entry.atMs);
      return violations;
    });
}

/** What it holds in a window that has passed, or may have, is whatever the ledger has kept of it. */
function givenBackWrongly(
  { txId, sequence, atMs, given }: Released,
  counters: ReadonlyMap<string, Counter>,
  limits: readonly LimitFacts[],
): readonly Violation[] {
  return limits.flatMap(({ name: limit }) =>
    [...counters].flatMap(([name, counter]): readonly Violation[] => {
      if (!name.startsWith(`${limit} of `)) return [];
      const held = counter.giveBack(txId, atMs);
      if (held === undefined || held === given.get(limit)) return [];
      const text = `${txId} (event ${sequence}) gave back ${given.get(limit) ?? 'nothing'} to ${limit}, and held ${held}`;
      return [{ check: 'charged', text }];
    }),
  );
}

function inWords(charged: Charged | undefined): string {
  return charged === undefined ? 'nothing' : `${charged.added} to a total of ${charged.total}`;
}
