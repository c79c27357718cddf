/** What an approval would add to each counter of a limit. */
import { ceilJsonNumber, floorToBaseUnits, USD_DECIMALS } from '../amount.js';
import type { Charge, WindowSpan } from '../decision.js';
import { unreachable } from '../errors.js';
import type { NewOnly } from '../moments.js';
import { partyKey, safe } from './destination-keys.js';
import type { Facts, TransactionFacts } from './facts.js';
import { paymentMoment } from './remembered.js';
import { durationMs, type Limit, PER } from './schema.js';
import { windowReader } from './windows.js';

export interface CompiledLimit {
  readonly name: string;
  readonly limit: Limit;
  readonly spanAt: (instantMs: number) => WindowSpan;
  /** The max in units of 10^-decimals, and the total at which a warning is raised. */
  readonly bounds: (decimals: number) => Pick<Charge, 'max' | 'near'>;
}

/** What one request needs of one counter. */
export interface Need {
  /** Without the limit's instance. */
  readonly counter: string;
  /** What a sum is in: an asset's id where it is counted in its base units. */
  readonly asset: string | undefined;
  readonly need: Charge['need'];
  /** Of a limit of new destinations: the part that each destination has in it. */
  readonly newOnly?: Omit<NewOnly, 'forMs'>;
}

/** All needs, or the fact that is missing. */
export type Needs = { readonly needs: readonly Need[] } | { readonly unknown: string };

const NEAR_DECIMALS = 20;

export function compileLimit(name: string, limit: Limit): CompiledLimit {
  const known = new Map<number, Pick<Charge, 'max' | 'near'>>();
  const fraction = ceilJsonNumber(String(limit.nearLimit), NEAR_DECIMALS) ?? 0n;
  return {
    name,
    limit,
    spanAt: windowReader(limit.window),
    bounds: (decimals) => {
      const bounds = known.get(decimals);
      if (bounds !== undefined) return bounds;
      const max = floorToBaseUnits(limit.max, decimals) ?? 0n;
      const scale = 10n ** BigInt(NEAR_DECIMALS);
      const made = { max: max.toString(), near: ((max * fraction + scale - 1n) / scale).toString() };
      known.set(decimals, made);
      return made;
    },
  };
}

/** One part of a transaction that a limit may count apart from the others. */
interface Part {
  readonly asset: string;
  readonly destination: string | null;
  readonly units: bigint;
}

/** Pure: the same facts, read back from the journal, give the same needs. */
export function needsOf(limit: Limit, facts: Facts): Needs {
  const { transaction } = facts;
  if (transaction === null) return { unknown: 'it is no transaction' };
  if (limit.sum === 'distinct') return distinctNeeds(limit, facts, transaction);
  const parts = partsOf(limit, transaction);
  if (typeof parts === 'string') return { unknown: parts };
  // One transaction is one transaction, and has one fee, for every destination and asset it counts for.
  const combine = limit.sum === 'count' || limit.sum === 'fee' ? 'largest' : 'sum';
  const totals = new Map<string, Total>();
  for (const part of parts) {
    const counter = counterOf(limit, facts, part);
    if (typeof counter === 'object') return counter;
    if (isOfNew(limit) && part.destination === null) return { unknown: 'a destination is not known' };
    const asset = limit.sum === 'native' || limit.sum === 'fee' ? part.asset : undefined;
    const total = totals.get(counter) ?? { asset, units: 0n, destinations: new Map<string, bigint>() };
    totals.set(counter, total);
    const added = (units: bigint) => (combine === 'sum' ? units + part.units : part.units);
    total.units = added(total.units);
    const destination = part.destination ?? '';
    total.destinations.set(destination, added(total.destinations.get(destination) ?? 0n));
  }
  return {
    needs: [...totals].map(([counter, { asset, units, destinations }]) => ({
      counter,
      asset,
      need: { kind: 'amount', amount: units.toString() },
      ...(isOfNew(limit) && { newOnly: { combine, parts: [...destinations].map(partOf) } }),
    })),
  };
}

interface Total {
  readonly asset: string | undefined;
  units: bigint;
  readonly destinations: Map<string, bigint>;
}

function partOf([destination, units]: readonly [string, bigint]): NewOnly['parts'][number] {
  return { moment: paymentMoment(destination), need: units.toString() };
}

function isOfNew({ newDestinations }: Limit): boolean {
  return newDestinations !== undefined;
}

/** Whether its parts are told apart by destination. */
function splits(limit: Limit): boolean {
  return isOfNew(limit) || limit.per.includes('destination');
}

/** Text: what is not known. */
function partsOf(limit: Limit, facts: TransactionFacts): readonly Part[] | string {
  switch (limit.sum) {
    case 'native':
      return (
        facts.moves?.map(({ asset, destination, amount }) => ({
          asset,
          destination,
          units: BigInt(amount),
        })) ?? 'the amount is not known'
      );
    case 'usd':
      return usdParts(limit, facts);
    case 'fee': {
      const { fee } = facts;
      if (fee === null) return 'the fee is not known';
      return destinationsOf(limit, facts).map((destination) => ({
        asset: fee.asset,
        destination,
        units: BigInt(fee.amount),
      }));
    }
    case 'count':
      return assetsOf(limit, facts).flatMap((asset) =>
        destinationsOf(limit, facts).map((destination) => ({ asset, destination, units: 1n })),
      );
    case 'distinct':
      return 'a number of destinations is no sum';
    default:
      return unreachable(limit.sum);
  }
}

function usdParts(limit: Limit, facts: TransactionFacts): readonly Part[] | string {
  if (facts.usd === null) return 'the USD value is not known';
  if (!splits(limit)) return [{ asset: facts.asset, destination: null, units: BigInt(facts.usd) }];
  return (facts.destinations ?? []).map(({ key, usd }) => ({
    asset: facts.asset,
    destination: key,
    units: BigInt(usd ?? '0'),
  }));
}

function destinationsOf(limit: Limit, { destinations }: TransactionFacts): readonly (string | null)[] {
  if (!splits(limit)) return [null];
  return destinations?.map(({ key }) => key) ?? [null];
}

function assetsOf(limit: Limit, { asset, moves }: TransactionFacts): readonly string[] {
  if (!limit.per.includes('asset')) return [asset];
  return [...new Set([asset, ...(moves ?? []).map((move) => move.asset)])];
}

function distinctNeeds(limit: Limit, facts: Facts, { destinations, asset }: TransactionFacts): Needs {
  const members = new Set<string>();
  for (const { key } of destinations ?? []) {
    if (key === null) return { unknown: 'a destination is not known' };
    members.add(key);
  }
  if (members.size === 0) return { unknown: 'the destinations are not known' };
  const counter = counterOf(limit, facts, { asset, destination: null, units: 0n });
  if (typeof counter === 'object') return counter;
  const parts = [...members].map((key) => ({ moment: paymentMoment(key), need: safe(key) }));
  const need = { kind: 'distinct', members: parts.map((part) => part.need) } as const;
  return {
    needs: [
      { counter, asset: undefined, need, ...(isOfNew(limit) && { newOnly: { combine: 'sum', parts } }) },
    ],
  };
}

function counterOf(limit: Limit, facts: Facts, part: Part): string | { readonly unknown: string } {
  const { transaction, signer, cosigner } = facts;
  const { type = null, id = null } = transaction?.source ?? {};
  const perAsset = limit.sum === 'native' || limit.sum === 'fee' || limit.per.includes('asset');
  const values: string[] = [];
  for (const per of PER) {
    if (per === 'asset' ? !perAsset : !limit.per.includes(per)) continue;
    const value = {
      asset: part.asset,
      source: type === null || id === null ? null : partyKey({ type, id }),
      destination: part.destination,
      signer,
      cosigner,
      operation: transaction?.operation ?? null,
    }[per];
    if (value === null) return { unknown: `the ${per} is not known` };
    values.push(`${per}=${safe(value)}`);
  }
  return values.join('|');
}

/** The needs as charges of one verdict. `prefix` is the limit's instance. */
export function chargesOf(
  { name, limit, spanAt, bounds }: CompiledLimit,
  needs: readonly Need[],
  charging: {
    readonly prefix: string;
    readonly mode: Charge['mode'];
    readonly instantMs: number;
    readonly decimalsOf: (asset: string) => number;
  },
): readonly Charge[] {
  const { prefix, mode, instantMs, decimalsOf } = charging;
  const window = spanAt(instantMs);
  const forMs = durationMs(limit.newDestinations ?? '') ?? 0;
  return needs.map(({ counter, asset, need, newOnly }) => ({
    limit: name,
    counter: `${prefix}|${counter}`,
    mode,
    window,
    need,
    ...bounds(limit.sum === 'usd' ? USD_DECIMALS : asset === undefined ? 0 : decimalsOf(asset)),
    whenFull: limit.whenFull,
    sentence: `Limit ${name} has no room for this transaction.`,
    ...(newOnly && { newOnly: { ...newOnly, forMs } }),
  }));
}
