/** What the models' logs are made of: as little as a decision needs, in the form that witnesses keep. */
import type { LogEvent } from '../../src/ledger/witness/ports.js';
import type { Chance } from './chance.js';

/** One question: the same content asked again must get the same answer, another content under the same ask a conflict. */
export interface Question {
  readonly ask: string;
  readonly content: string;
  /** Of several asks about one transaction the highest amount is charged, once. */
  readonly money: string;
  readonly amount: number;
}

/** For the trace. */
export function textOf({ ask, content, money, amount }: Question): string {
  return `${ask} as ${content}, ${amount} of ${money}`;
}

export interface Verdict {
  readonly effect: 'approve' | 'reject';
  readonly reason: 'APPROVED' | 'LIMIT_EXCEEDED' | 'REJECTED_BEFORE' | 'CONFLICT_CONTENT';
}

export type Body =
  | ({ readonly type: 'decision' | 'conflict' } & Question & Verdict)
  | { readonly type: 'freeze' | 'unfreeze'; readonly id: string }
  | { readonly type: 'policy'; readonly version: string }
  | { readonly type: 'ledger' };

export interface Entry extends LogEvent {
  readonly body: Body;
}

/** What is charged against the one limit there is. */
export const LIMIT = 10;

/** @param at tells apart what was recorded twice under one number, as the time does in the product */
export function entryOf(sequence: number, at: number, body: Body): Entry {
  return { sequence, event: `${body.type} ${at} ${JSON.stringify(body)}`, body };
}

/** The same few events are read again and again. */
const BODIES = new Map<string, Body>();

const MOST_BODIES = 10_000;

export function entryFrom({ sequence, event }: LogEvent): Entry {
  let body = BODIES.get(event);
  if (body === undefined) {
    if (BODIES.size >= MOST_BODIES) BODIES.clear();
    const parsed: Body = JSON.parse(event.slice(event.indexOf('{')));
    BODIES.set(event, parsed);
    body = parsed;
  }
  return { sequence, event, body };
}

/** What money keys hold by the approvals of a log. */
export function heldBy(journal: readonly Entry[]): ReadonlyMap<string, number> {
  const held = new Map<string, number>();
  for (const { body } of journal) {
    if (body.type === 'decision' && body.effect === 'approve') {
      held.set(body.money, Math.max(body.amount, held.get(body.money) ?? 0));
    }
  }
  return held;
}

export function totalOf(held: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const amount of held.values()) total += amount;
  return total;
}

/** The freezes that stand at the end of a log. */
export function frozenBy(journal: readonly Entry[]): ReadonlyMap<string, Entry> {
  const standing = new Map<string, Entry>();
  for (const entry of journal) {
    if (entry.body.type === 'freeze') standing.set(entry.body.id, entry);
    if (entry.body.type === 'unfreeze') standing.delete(entry.body.id);
  }
  return standing;
}

export const CONFLICT: Verdict = { effect: 'reject', reason: 'CONFLICT_CONTENT' };
export const REJECTED_BEFORE: Verdict = { effect: 'reject', reason: 'REJECTED_BEFORE' };

/** The decision of an ask. */
export function standing(journal: readonly Entry[], ask: string) {
  for (const { body, sequence, event } of journal) {
    if (body.type === 'decision' && body.ask === ask) return { sequence, event, body };
  }
  return undefined;
}

export function conflictOf(journal: readonly Entry[], { ask, content }: Question): Entry | undefined {
  return journal.find(({ body }) => body.type === 'conflict' && body.ask === ask && body.content === content);
}

export function verdictOf(journal: readonly Entry[], { money, amount }: Question): Verdict {
  const held = heldBy(journal);
  const added = Math.max(0, amount - (held.get(money) ?? 0));
  return totalOf(held) + added <= LIMIT
    ? { effect: 'approve', reason: 'APPROVED' }
    : { effect: 'reject', reason: 'LIMIT_EXCEEDED' };
}

/**
 * A few transactions of two asks each, and now and then an ask with other content.
 *
 * @param others how often that is; where it is often, there are few questions
 */
export function questions(chance: Chance, others: number): readonly Question[] {
  const length = others < 0.5 ? 24 : 6;
  return Array.from({ length }, (_, index) => {
    const isOther = index > 0 && chance.happens(others);
    const number = isOther ? chance.below(index) : index;
    return {
      ask: `ask-${number}`,
      content: isOther ? `other-${index}` : 'content',
      money: `money-${Math.floor(number / 2)}`,
      amount: chance.between(1, 4),
    };
  });
}
