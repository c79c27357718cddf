/**
 * What a range of the journal wrote, for both stores: what has to be forgotten with it, and what has to survive it.
 *
 * A transaction is forgotten when no later event is about it; one that is asked about again is carried whole. What a
 * forgotten transaction held in a lifetime counter stays in the total; in any other counter its window is over, or the
 * range would end before it. Members of lifetime counters stay, and so do facts: an outpoint may be spent whenever.
 */
import type { z } from 'zod';
import type { Charge, WindowSpan } from '../core/decision.js';
import { CountersignError } from '../core/errors.js';
import type { Counter, JournalEvent } from '../core/ports.js';
import type { TrimOrder } from '../core/upkeep.js';
import {
  type Checkpoint,
  carriedBy,
  checkpointBody,
  conflictBody,
  decisionBody,
  fillBody,
  neededBy,
  releaseBody,
  reportBody,
} from './journal-body.js';

/** Events that one checkpoint covers, and one step forgets. */
export const RANGE_EVENTS = 200;

/** Counters and members that they may name together, unless the first event alone names more. */
const RANGE_WEIGHT = 4000;

/** Fewer events wait for others, up to this share of the retention, and no longer than a day. */
const PATIENCE = 0.1;
const LONGEST_PATIENCE_MS = 86_400_000;

/** Who is charged: a transaction, or an ask without one. */
export interface Holder {
  readonly kind: 'transaction' | 'ask';
  readonly key: string;
  /** Counters of amounts. */
  readonly counters: readonly Counter[];
}

/** Different members that were counted, and when. */
export interface Members extends Counter {
  readonly members: ReadonlyMap<string, number>;
}

export interface Range {
  /** Covers the events `from` < n ≤ `to`. */
  readonly from: number;
  readonly to: number;
  /** When the newest of them was, Unix milliseconds. */
  readonly atMs: number;
  readonly events: number;
  readonly holders: readonly Holder[];
  readonly members: readonly Members[];
  readonly facts: ReadonlyMap<string, string>;
  /** Of earlier checkpoints in the range. */
  readonly totals: readonly (Counter & { readonly amount: string })[];
  readonly asks: readonly string[];
  readonly conflicts: readonly { readonly askKey: string; readonly fingerprint: string }[];
  /** Request keys. */
  readonly bindings: readonly string[];
  /** Money keys. */
  readonly fates: readonly string[];
  /** Of moments: each event says since when they are, so that none needs to be carried. */
  readonly moments: readonly string[];
}

/** The oldest events that may be forgotten together now; none when they are not worth a checkpoint yet. */
export function forgettable(
  events: readonly JournalEvent[],
  { retentionMs, nowMs }: Pick<TrimOrder, 'retentionMs' | 'nowMs'>,
): readonly JournalEvent[] {
  const chosen: JournalEvent[] = [];
  let weight = 0;
  for (const event of events) {
    const written = writtenBy(event);
    weight +=
      written.holders.reduce((sum, { counters }) => sum + counters.length, 0) +
      written.members.length +
      written.moments.length;
    if (Math.max(event.atMs + retentionMs, ...written.ends) >= nowMs) break;
    if (chosen.length > 0 && weight > RANGE_WEIGHT) return chosen;
    chosen.push(event);
    if (chosen.length === RANGE_EVENTS) return chosen;
  }
  // Else every checkpoint that is old enough would cause the next one, for ever.
  const patienceMs = Math.min(PATIENCE * retentionMs, LONGEST_PATIENCE_MS);
  const isLate = chosen.some(
    ({ type, atMs }) => type !== 'checkpoint' && atMs + retentionMs + patienceMs < nowMs,
  );
  return isLate ? chosen : [];
}

/** @param from the last event that is forgotten already; 0 when none is */
export function rangeOf(from: number, events: readonly JournalEvent[]): Range {
  const written = events.map(writtenBy);
  const holders = new Map<string, Holder & { readonly named: Map<string, Counter> }>();
  for (const { kind, key, counters } of written.flatMap((each) => each.holders)) {
    const known = holders.get(`${kind} ${key}`);
    const named = known?.named ?? new Map<string, Counter>();
    for (const counter of counters) named.set(nameOf(counter), counter);
    holders.set(`${kind} ${key}`, { kind, key, named, counters: [] });
  }
  return {
    from,
    to: events.at(-1)?.sequence ?? from,
    atMs: Math.max(0, ...events.map(({ atMs }) => atMs)),
    events: events.length,
    holders: [...holders.values()].map(({ kind, key, named }) => ({
      kind,
      key,
      counters: [...named.values()],
    })),
    members: membersOf(written.flatMap(({ members }) => members)),
    facts: new Map(written.flatMap(({ facts }) => facts)),
    totals: written.flatMap(({ totals }) => totals),
    asks: written.flatMap(({ asks }) => asks),
    conflicts: written.flatMap(({ conflicts }) => conflicts),
    bindings: [...new Set(written.flatMap(({ bindings }) => bindings))],
    fates: [...new Set(written.flatMap(({ fates }) => fates))],
    moments: [...new Set(written.flatMap(({ moments }) => moments))],
  };
}

/** A holder with the counters too in which a checkpoint says that it holds something. */
export function withCarried(holder: Holder, checkpoint: Checkpoint): Holder {
  if (holder.kind === 'ask') return holder;
  const named = [...holder.counters, ...carriedBy(holder.key, checkpoint)];
  return { ...holder, counters: [...new Map(named.map((each) => [nameOf(each), each])).values()] };
}

interface Member {
  readonly counter: Counter;
  readonly name: string;
  readonly atMs: number;
}

function membersOf(all: readonly Member[]): readonly Members[] {
  const counters = new Map<string, Counter & { readonly members: Map<string, number> }>();
  for (const { counter, name, atMs } of all) {
    const { members } = counters.get(nameOf(counter)) ?? { members: new Map<string, number>() };
    members.set(name, Math.max(atMs, members.get(name) ?? 0));
    counters.set(nameOf(counter), { ...counter, members });
  }
  return [...counters.values()];
}

/** Equal for the same counter. */
export function nameOf({ counter, mode, window }: Counter): string {
  return JSON.stringify([mode, window.kind === 'calendar' ? window.startMs : window.kind, counter]);
}

interface Written
  extends Pick<Range, 'holders' | 'totals' | 'asks' | 'conflicts' | 'bindings' | 'fates' | 'moments'> {
  readonly members: readonly Member[];
  readonly facts: readonly (readonly [string, string])[];
  /** When the windows that it was counted in are over, Unix milliseconds. */
  readonly ends: readonly number[];
}

const NOTHING: Written = {
  holders: [],
  members: [],
  facts: [],
  totals: [],
  asks: [],
  conflicts: [],
  bindings: [],
  fates: [],
  moments: [],
  ends: [],
};

function writtenBy(event: JournalEvent): Written {
  switch (event.type) {
    case 'decision':
      return writtenByDecision(event);
    case 'fill':
      return writtenByFill(event);
    case 'conflict': {
      const { askKey, fingerprint } = read(conflictBody, event).ask;
      return { ...NOTHING, conflicts: [{ askKey, fingerprint }] };
    }
    case 'release': {
      const { moneyKey, given } = read(releaseBody, event);
      return {
        ...NOTHING,
        holders: [{ kind: 'transaction', key: moneyKey, counters: given.map(counterOf) }],
      };
    }
    case 'report':
      return { ...NOTHING, fates: [read(reportBody, event).moneyKey] };
    case 'checkpoint': {
      const { totals, members, facts } = read(checkpointBody, event);
      return {
        ...NOTHING,
        totals,
        facts,
        members: members.flatMap((each) =>
          each.members.map(([name, atMs]) => ({ counter: counterOf(each), name, atMs })),
        ),
      };
    }
    default:
      return NOTHING;
  }
}

function writtenByDecision(event: JournalEvent): Written {
  const { ask, charged, facts = {}, moments = {} } = read(decisionBody, event);
  const { atMs } = event;
  return {
    ...NOTHING,
    holders: [
      {
        ...(ask.moneyKey === undefined
          ? { kind: 'ask', key: ask.askKey }
          : { kind: 'transaction', key: ask.moneyKey }),
        counters: charged.filter(({ need }) => need !== undefined).map(counterOf),
      },
    ],
    members: charged.flatMap((charge) => membersIn(counterOf(charge), neededBy(charge), atMs)),
    facts: Object.entries(facts),
    asks: [ask.askKey],
    bindings: ask.requestKey === undefined ? [] : [ask.requestKey],
    moments: Object.keys(moments),
    ends: charged.map(({ window }) => endOf(window, atMs)),
  };
}

function writtenByFill(event: JournalEvent): Written {
  const { moments = {}, ...body } = read(fillBody, event);
  const entries = body.entries.map((entry) => ({
    entry,
    counter: counterOf({ ...entry, mode: 'enforce' }),
  }));
  return {
    ...NOTHING,
    moments: Object.keys(moments),
    holders: entries.map(({ entry: { moneyKey, need }, counter }) => ({
      kind: 'transaction',
      key: moneyKey,
      counters: need === undefined ? [] : [counter],
    })),
    members: entries.flatMap(({ entry, counter }) => membersIn(counter, neededBy(entry), entry.atMs)),
    ends: entries.map(({ entry }) => endOf(entry.window, entry.atMs)),
  };
}

function membersIn(counter: Counter, need: Charge['need'], atMs: number): readonly Member[] {
  return need.kind === 'amount' ? [] : need.members.map((name) => ({ counter, name, atMs }));
}

function counterOf({ counter, mode, window }: Counter): Counter {
  return { counter, mode, window };
}

/** The last instant at which the window may hold what was counted then. */
function endOf(window: WindowSpan, atMs: number): number {
  switch (window.kind) {
    case 'rolling':
      return atMs + window.lengthMs;
    case 'calendar':
      return window.endMs;
    case 'lifetime':
      return Number.NEGATIVE_INFINITY;
  }
}

function read<T>(schema: z.ZodType<T>, { sequence, body }: JournalEvent): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new CountersignError('LEDGER_CORRUPT', `the ledger holds an event ${sequence} that cannot be read`);
}
