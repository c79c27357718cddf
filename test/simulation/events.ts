/** What the models' logs are made of: as little as a decision needs, in the form that witnesses keep. */
import type { KnownFate, SettlingReport } from '../../src/core/report.js';
import type { Checkpoint } from '../../src/ledger/journal-body.js';
import type { LogEvent } from '../../src/ledger/witness/ports.js';
import type { Chance } from './chance.js';

/** One question: the same content asked again must get the same answer, another content under the same ask a conflict. */
export interface Question {
  readonly ask: string;
  readonly content: string;
  /** Of several asks about one transaction the highest amount is charged, once. */
  readonly money: string;
  readonly amount: number;
  /** Where it is paid to; empty text where nothing is paid. */
  readonly to: string;
  /** The destination that it whitelists, which is not paid for a while from then on. */
  readonly whitelists?: string;
}

/** For the trace. */
export function textOf({ ask, content, money, amount, to, whitelists }: Question): string {
  const what = whitelists === undefined ? `${amount} of ${money} to ${to}` : `whitelisting ${whitelists}`;
  return `${ask} as ${content}, ${what}`;
}

export interface Verdict {
  readonly effect: 'approve' | 'reject';
  readonly reason:
    | 'APPROVED'
    | 'LIMIT_EXCEEDED'
    | 'COOLING_OFF'
    | 'REJECTED_BEFORE'
    | 'RELEASED_BEFORE'
    | 'CONFLICT_CONTENT';
}

export type Decided = Question & Verdict & { readonly moments?: Readonly<Record<string, number>> };

export type Body =
  | ({ readonly type: 'decision' | 'conflict' } & Decided)
  | { readonly type: 'freeze' | 'unfreeze'; readonly id: string; readonly reason?: string }
  | { readonly type: 'activation'; readonly history: string; readonly statement: string }
  | { readonly type: 'policy'; readonly version: string }
  | { readonly type: 'report'; readonly money: string; readonly known: KnownFate }
  | { readonly type: 'release'; readonly money: string; readonly amount: number }
  | ({ readonly type: 'checkpoint' } & Checkpoint)
  | { readonly type: 'ledger' };

/** Why something is frozen. */
export const FREEZE_REASON = 'why';

export interface Entry extends LogEvent {
  /** By the clock of the server that recorded it. */
  readonly at: number;
  readonly body: Body;
}

/** What is charged against the limit of amounts, and how many destinations may be paid at all. */
export const LIMIT = 10;
export const MOST_DESTINATIONS = 4;

/** For so many steps nothing is paid to a destination that was whitelisted. */
export const COOLING_STEPS = 60;

/** @param at tells apart what was recorded twice under one number, as the time does in the product */
export function entryOf(sequence: number, at: number, body: Body): Entry {
  const { type, ...rest } = body;
  return { sequence, at, event: `${type} ${at} ${JSON.stringify(rest)}`, body };
}

/** The same few events are read again and again. */
const ENTRIES = new Map<string, Pick<Entry, 'at' | 'body'>>();

const MOST_ENTRIES = 10_000;

export function entryFrom({ sequence, event }: LogEvent): Entry {
  let read = ENTRIES.get(event);
  if (read === undefined) {
    if (ENTRIES.size >= MOST_ENTRIES) ENTRIES.clear();
    const [type = '', at = ''] = event.split(' ', 2);
    const body: Body = { type, ...JSON.parse(event.slice(event.indexOf('{'))) };
    read = { at: Number(at), body };
    ENTRIES.set(event, read);
  }
  return { sequence, event, ...read };
}

/** The last event that the newest checkpoint of a log covers. */
export function coveredBy(journal: readonly Entry[]): number {
  const newest = journal.findLast(({ body }) => body.type === 'checkpoint')?.body;
  return newest?.type === 'checkpoint' ? newest.to : 0;
}

export const CONFLICT: Verdict = { effect: 'reject', reason: 'CONFLICT_CONTENT' };
export const RELEASED_BEFORE: Verdict = { effect: 'reject', reason: 'RELEASED_BEFORE' };

/**
 * A few transactions of two asks each, and now and then an ask with other content, or one that whitelists a destination.
 *
 * @param others how often that is; where it is often, there are few questions
 */
export function questions(chance: Chance, others: number): readonly Question[] {
  const length = others < 0.5 ? 24 : 6;
  return Array.from({ length }, (_, index): Question => {
    const to = `to-${chance.below(6)}`;
    if (index % 6 === 5) {
      const content = 'content';
      return { ask: `ask-${index}`, content, money: `money-of-${index}`, amount: 0, to: '', whitelists: to };
    }
    const isOther = index > 0 && chance.happens(others);
    const number = isOther ? chance.below(index) : index;
    return {
      ask: `ask-${number}`,
      content: isOther ? `other-${index}` : 'content',
      money: `money-${Math.floor(number / 2)}`,
      amount: chance.between(1, 4),
      to,
    };
  });
}

const STORIES: readonly (readonly SettlingReport['fate'][])[] = [
  ['never-signed'],
  ['signed', 'completed'],
  ['signed', 'never-signed'],
  ['never-signed', 'signed'],
];

/** What a vendor says of each of these transactions in the course of time: told late, twice, and in any order. */
export function reportsOf(chance: Chance, asked: readonly Question[]): readonly SettlingReport[] {
  const paid = [...new Set(asked.flatMap(({ money, to }) => (to === '' ? [] : [money])))];
  return paid.flatMap((moneyKey) =>
    (chance.pick(STORIES) ?? []).map((fate, index) => ({
      moneyKey,
      txId: moneyKey,
      protocol: 'any',
      source: 'webhook',
      fate,
      status: fate.toUpperCase(),
      createdAtMs: 0,
      updatedAtMs: index + 1,
    })),
  );
}
