/** Comparisons of one fact with what a rule allows. */
import { floorToBaseUnits, toBaseUnits } from '../amount.js';
import type { Chains } from '../ports.js';
import { canonicalFormOf } from './canonical-address.js';
import { isGlob, matchesGlob } from './glob.js';
import type { Values } from './schema.js';
import { type Truth, truthOf } from './truth.js';

/** Named lists of the document. */
export type Lists = Readonly<Record<string, readonly string[]>>;

/** The texts that values stand for, named lists resolved. */
export function resolveValues(values: Values, lists: Lists): readonly string[] {
  const entries = Array.isArray(values) ? values : [values];
  return entries.flatMap((entry) => (typeof entry === 'string' ? [entry] : (lists[entry.list] ?? [])));
}

/** For people. */
export function valuesText(values: Values): string {
  const entries = Array.isArray(values) ? values : [values];
  const shown = entries
    .slice(0, 8)
    .map((entry) => (typeof entry === 'string' ? entry : `list ${entry.list}`));
  return entries.length > shown.length ? `${shown.join(', ')}, …` : shown.join(', ');
}

export type TextTest = (fact: string | null) => Truth;

export function textTest(allowed: readonly string[]): TextTest {
  const set = new Set(allowed);
  return (fact) => (fact === null ? 'unknown' : truthOf(set.has(fact)));
}

/** Like {@link textTest}, with `*` and `?` standing for any text and any one character. */
export function patternTest(allowed: readonly string[]): TextTest {
  const set = new Set(allowed);
  const globs = allowed.filter(isGlob);
  return (fact) =>
    fact === null ? 'unknown' : truthOf(set.has(fact) || globs.some((glob) => matchesGlob(glob, fact)));
}

export type AddressTest = (fact: string | null, asset: string) => Truth;

/** Sets of canonical addresses are kept for so many assets; beyond it they are made again. */
const MAX_ASSETS_REMEMBERED = 256;

/** Both sides in the canonical form of the asset's chain. What is no address of that chain cannot match. */
export function addressTest(allowed: readonly string[], chains: Chains): AddressTest {
  const sets = new Map<string, ReadonlySet<string | undefined>>();
  const setFor = (asset: string): ReadonlySet<string | undefined> => {
    const known = sets.get(asset);
    if (known !== undefined) return known;
    const canonical = canonicalFormOf(asset, chains);
    const set = new Set(allowed.map((address) => canonical(address)).filter((form) => form !== undefined));
    if (sets.size >= MAX_ASSETS_REMEMBERED) sets.clear();
    sets.set(asset, set);
    return set;
  };
  return (fact, asset) => (fact === null ? 'unknown' : truthOf(setFor(asset).has(fact)));
}

export interface Range {
  readonly min?: string | undefined;
  readonly max?: string | undefined;
}

export type RangeTest = (units: string | null, decimals: number | null) => Truth;

/** Both ends are inclusive and exact, also where they are finer than the asset's smallest unit. */
export function rangeTest({ min, max }: Range): RangeTest {
  const bounds = new Map<number, { readonly min: bigint | undefined; readonly max: bigint | undefined }>();
  const boundsFor = (decimals: number) => {
    const known = bounds.get(decimals);
    if (known !== undefined) return known;
    const made = {
      min: min === undefined ? undefined : ceilToBaseUnits(min, decimals),
      max: max === undefined ? undefined : floorToBaseUnits(max, decimals),
    };
    bounds.set(decimals, made);
    return made;
  };
  return (units, decimals) => {
    if (units === null || decimals === null) return 'unknown';
    const bound = boundsFor(decimals);
    const amount = BigInt(units);
    return truthOf(
      (bound.min === undefined || amount >= bound.min) && (bound.max === undefined || amount <= bound.max),
    );
  };
}

function ceilToBaseUnits(text: string, decimals: number): bigint | undefined {
  const exact = toBaseUnits(text, decimals);
  if (exact.ok) return exact.units;
  const floor = floorToBaseUnits(text, decimals);
  return floor === undefined ? undefined : floor + 1n;
}
