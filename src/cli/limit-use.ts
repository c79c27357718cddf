/** How full the limits of the active policy are now: the fullest counter of each, for people. */
import { z } from 'zod';
import { fromBaseUnits } from '../core/amount.js';
import type { Charge } from '../core/decision.js';
import type { CompiledLimit } from '../core/policy/charges.js';
import type { CompiledPolicy } from '../core/policy/compile.js';
import { unitOf } from '../core/policy/explain.js';
import type { JournalEvent, Ledger, LedgerState } from '../core/ports.js';

export interface LimitFill {
  readonly limit: string;
  /** What the counter counts apart from others, e.g. `asset=ETH`; empty when the limit has one counter. */
  readonly counter: string;
  /** Decimal text in the limit's own unit. */
  readonly used: string;
  readonly max: string;
  readonly unit: string;
  /** Whole percent, rounded down. */
  readonly percent: number;
  readonly near: boolean;
  /** How many counters of this limit were looked at. */
  readonly of: number;
}

/** The ledger cannot list its counters, so those that the newest events charged are looked at; no more than so many. */
const MAX_COUNTERS = 500;

const chargedSchema = z.object({
  charged: z.array(z.object({ limit: z.string(), counter: z.string(), mode: z.string() })),
});

export async function limitFills(
  ledger: Pick<Ledger, 'usage'>,
  {
    policy,
    state,
    events,
  }: {
    readonly policy: CompiledPolicy;
    readonly state: LedgerState;
    readonly events: readonly JournalEvent[];
  },
): Promise<readonly LimitFill[]> {
  const charges = [...policy.limits.values()].flatMap((limit) => chargesOn(limit, policy, state, events));
  if (charges.length === 0) return [];
  const used = await ledger.usage(charges);
  const fills = charges.map((charge, index) => fillOf(charge, BigInt(used[index] ?? '0'), policy));
  return [...policy.limits.keys()].flatMap((name) => {
    const own = fills.filter(({ limit }) => limit === name);
    const [fullest] = own.sort((one, other) => other.percent - one.percent);
    return fullest === undefined ? [] : [{ ...fullest, of: own.length }];
  });
}

function chargesOn(
  { name, limit, spanAt, bounds }: CompiledLimit,
  policy: CompiledPolicy,
  { policy: active, nowMs }: LedgerState,
  events: readonly JournalEvent[],
): readonly Charge[] {
  const prefix = `${active?.instances[name]}|`;
  const isShared = limit.per.length === 0 && limit.sum !== 'native' && limit.sum !== 'fee';
  const counters = isShared ? [prefix] : countersIn(events, name, prefix);
  return counters.map((counter) => {
    const charge: Charge = {
      limit: name,
      counter,
      mode: 'enforce',
      window: spanAt(nowMs),
      need: limit.sum === 'distinct' ? { kind: 'distinct', members: [] } : { kind: 'amount', amount: '0' },
      max: '0',
      near: '0',
      whenFull: limit.whenFull,
      sentence: '',
    };
    return { ...charge, ...bounds(unitOf(charge, { policy }).decimals) };
  });
}

/** Counters of a limit that were charged, the newest first. */
function countersIn(events: readonly JournalEvent[], limit: string, prefix: string): readonly string[] {
  const found = new Set<string>();
  for (const { body } of events.toReversed()) {
    const { data } = chargedSchema.safeParse(body);
    for (const charge of data?.charged ?? [])
      if (charge.limit === limit && charge.mode === 'enforce' && charge.counter.startsWith(prefix))
        found.add(charge.counter);
    if (found.size >= MAX_COUNTERS) break;
  }
  return [...found].slice(0, MAX_COUNTERS);
}

function fillOf(charge: Charge, used: bigint, policy: CompiledPolicy): LimitFill {
  const { unit, decimals } = unitOf(charge, { policy });
  const max = BigInt(charge.max);
  return {
    limit: charge.limit,
    counter: charge.counter.slice(charge.counter.indexOf('|') + 1),
    used: fromBaseUnits(used, decimals),
    max: fromBaseUnits(max, decimals),
    unit,
    percent: max === 0n ? 100 : Number((used * 100n) / max),
    near: used >= BigInt(charge.near),
    of: 1,
  };
}
