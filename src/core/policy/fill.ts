/**
 * What a change of the document does to counters. A limit keeps its counters as long as its name, sum, window and
 * `per` stay; any other limit gets new ones, filled from the journal so that no window starts empty by surprise.
 */
import { z } from 'zod';
import type { Charge, WindowSpan } from '../decision.js';
import type { MomentEntry } from '../moments.js';
import { newNeed } from '../moments.js';
import type { ActivePolicy, CounterEntry, JournalEvent } from '../ports.js';
import { type CompiledLimit, type Need, needsOf } from './charges.js';
import type { CompiledPolicy } from './compile.js';
import { parsePolicy } from './document.js';
import type { Facts } from './facts.js';
import { paymentMoment } from './remembered.js';
import { durationMs, type Limit } from './schema.js';

export interface InstancePlan {
  /** Limit name → instance, for the activation. */
  readonly instances: Readonly<Record<string, string>>;
  /** Limits whose instance is new: they must be filled. */
  readonly fresh: readonly string[];
}

/**
 * @param mark makes the names of new instances unique: counters that an activation filled and then did not come to
 *   use must never be charged by another one
 */
export function planInstances(
  previous: Pick<ActivePolicy, 'document' | 'instances'> | undefined,
  next: CompiledPolicy,
  mark: string,
): InstancePlan {
  const before = previous === undefined ? {} : parsePolicy(previous.document, 'the active policy').limits;
  const instances: Record<string, string> = {};
  const fresh: string[] = [];
  for (const [name, { limit }] of next.limits) {
    const old = Object.hasOwn(before, name) ? before[name] : undefined;
    const kept =
      previous !== undefined && Object.hasOwn(previous.instances, name)
        ? previous.instances[name]
        : undefined;
    if (old !== undefined && kept !== undefined && shapeOf(old) === shapeOf(limit)) instances[name] = kept;
    else {
      instances[name] = `${name}.${mark}`;
      fresh.push(name);
    }
  }
  return { instances, fresh };
}

/** What a counter's content depends on; `1h` and `60m` are one window. */
function shapeOf({ sum, of, window, per, newDestinations }: Limit): string {
  const span =
    window === 'lifetime' || window.lifetime === true
      ? 'lifetime'
      : window.rolling === undefined
        ? [window.calendar, window.timezone ?? 'UTC']
        : durationMs(window.rolling);
  const ofNew = newDestinations === undefined ? [] : [durationMs(newDestinations)];
  return JSON.stringify([sum, of ?? null, span, [...per].sort(), ...ofNew]);
}

/** How far back the journal must reach to fill these limits: Unix milliseconds; `beginning` for a lifetime. */
export function historyNeeded(
  policy: CompiledPolicy,
  fresh: readonly string[],
  nowMs: number,
): number | 'beginning' | undefined {
  const starts = fresh.flatMap((name) => {
    const limit = policy.limits.get(name);
    return limit === undefined ? [] : [startOf(limit.spanAt(nowMs), nowMs)];
  });
  if (starts.length === 0) return undefined;
  const earliest = Math.min(...starts);
  return earliest === Number.NEGATIVE_INFINITY ? 'beginning' : earliest;
}

export interface Filling {
  readonly entries: readonly CounterEntry[];
  /** When destinations were paid first, as far as the journal says, of those that these events name first. */
  readonly moments: readonly MomentEntry[];
  /** Approved transactions of which the journal does not say what a limit needs: it cannot be filled in full. */
  readonly gaps: readonly { readonly limit: string; readonly sequence: number; readonly unknown: string }[];
}

export interface FillOrder {
  readonly policy: CompiledPolicy;
  readonly plan: InstancePlan;
  /** The ledger's clock at the activation. */
  readonly nowMs: number;
  /** Moments of all events so far, Unix milliseconds; later ones are added. */
  readonly paid: Map<string, number>;
}

/** The part of a decision event that filling reads; what else it holds is not looked at. */
const approvalSchema = z.object({
  ask: z.object({ moneyKey: z.string().nullish() }),
  decision: z.object({ effect: z.string(), rule: z.string().nullish() }),
  journal: z.object({ facts: z.custom<Facts>((value) => typeof value === 'object' && value !== null) }),
  moments: z.record(z.string(), z.number()).optional(),
});

/**
 * The entries that the journal holds for new limits. An entry that several events speak of (one transaction at two
 * stages) is there once, with the largest need and the latest time: counters may then count too long, never too little.
 */
export function entriesFor(
  { policy, plan, nowMs, paid }: FillOrder,
  events: Iterable<JournalEvent>,
): Filling {
  const limits = plan.fresh.flatMap((name) => policy.limits.get(name) ?? []);
  const naming = new Map(policy.rules.map(({ rule }) => [rule.name, new Set(rule.limits)]));
  const entries = new Map<string, CounterEntry>();
  const gaps: Filling['gaps'][number][] = [];
  const moments: MomentEntry[] = [];
  for (const event of events) {
    if (event.type !== 'decision') continue;
    const approval = approvalSchema.safeParse(event.body);
    if (!approval.success || approval.data.decision.effect !== 'approve') continue;
    const { ask, decision, journal } = approval.data;
    const { moneyKey } = ask;
    for (const { key } of journal.facts.transaction?.destinations ?? []) {
      if (key === null || paid.has(paymentMoment(key))) continue;
      const sinceMs = approval.data.moments?.[paymentMoment(key)] ?? event.atMs;
      paid.set(paymentMoment(key), sinceMs);
      moments.push({ key: paymentMoment(key), sinceMs });
    }
    if (moneyKey === null || moneyKey === undefined) continue;
    for (const limit of limits) {
      if (limit.limit.counts === 'matched' && naming.get(decision.rule ?? '')?.has(limit.name) !== true)
        continue;
      if (event.atMs < startOf(limit.spanAt(nowMs), nowMs)) continue;
      const needed = needsOf(limit.limit, journal.facts);
      if ('unknown' in needed) {
        gaps.push({ limit: limit.name, sequence: event.sequence, unknown: needed.unknown });
        continue;
      }
      for (const { counter, need: whole, newOnly } of needed.needs) {
        const need =
          newOnly === undefined
            ? whole
            : needOfNew({ need: whole, newOnly, limit: limit.limit }, event, paid);
        if (need === undefined) continue;
        const id = `${plan.instances[limit.name]}|${counter}`;
        const key = JSON.stringify([id, moneyKey]);
        const held = entries.get(key);
        entries.set(key, {
          counter: id,
          window: limit.spanAt(nowMs),
          moneyKey,
          atMs: Math.max(event.atMs, held?.atMs ?? 0),
          need: held === undefined ? need : larger(held.need, need),
        });
      }
    }
  }
  return { entries: [...entries.values()], moments, gaps };
}

/** What those destinations needed that were new at the time of the event; undefined when none was. */
function needOfNew(
  { need, newOnly, limit }: Required<Pick<Need, 'need' | 'newOnly'>> & Pick<CompiledLimit, 'limit'>,
  { atMs }: JournalEvent,
  paid: ReadonlyMap<string, number>,
): Charge['need'] | undefined {
  const forMs = durationMs(limit.newDestinations ?? '') ?? 0;
  return newNeed({ ...newOnly, forMs }, need, (moment) => {
    const since = paid.get(moment);
    return since === undefined || since + forMs > atMs;
  });
}

/** The earliest instant of which the window still holds entries. */
function startOf(span: WindowSpan, nowMs: number): number {
  switch (span.kind) {
    case 'rolling':
      return nowMs - span.lengthMs;
    case 'calendar':
      return span.startMs;
    case 'lifetime':
      return Number.NEGATIVE_INFINITY;
  }
}

function larger(a: Charge['need'], b: Charge['need']): Charge['need'] {
  if (a.kind === 'distinct' && b.kind === 'distinct')
    return { kind: 'distinct', members: [...new Set([...a.members, ...b.members])] };
  if (a.kind === 'amount' && b.kind === 'amount') return BigInt(a.amount) >= BigInt(b.amount) ? a : b;
  return b;
}
