/** Conditions on configuration changes. What is none is known to be none that a rule means. */
import type { ChangeAddress, ChangeFacts } from './change-facts.js';
import type { Condition, Occasion, Surroundings } from './conditions.js';
import type { Match, Values } from './schema.js';
import type { Truth } from './truth.js';
import { addressTest, patternTest, resolveValues, textTest, valuesText } from './values.js';

const ONE_ADDRESS = 'addresses.';

/** Members of `extraInfo` that are compared as addresses. */
export function isAddressKey(key: string): boolean {
  return key === 'address' || key === 'addresses' || key.startsWith(ONE_ADDRESS);
}

export function changeConditions(
  { type, extraInfo = {} }: Match,
  { lists, chains }: Surroundings,
): readonly Condition<Occasion>[] {
  const conditions: Condition<Occasion>[] = [];
  const add = (path: string, values: Values, { test, seen }: Reading) =>
    conditions.push({
      path,
      wanted: valuesText(values),
      test: ({ facts: { change } }) => (change === null ? 'false' : test(change)),
      seen: ({ facts: { change } }) => (change === null ? 'unknown' : (seen(change) ?? 'unknown')),
    });
  if (type !== undefined) {
    const test = textTest(resolveValues(type, lists));
    add('type', type, { test: (change) => test(change.type), seen: (change) => change.type });
  }
  for (const [key, values] of Object.entries(extraInfo)) {
    const allowed = resolveValues(values, lists);
    const read = (change: ChangeFacts) =>
      Object.hasOwn(change.extraInfo, key) ? (change.extraInfo[key] ?? null) : null;
    if (key.startsWith(ONE_ADDRESS)) {
      const asset = key.slice(ONE_ADDRESS.length);
      const test = addressTest(allowed, chains);
      add(`extraInfo.${key}`, values, { test: (change) => oneAddress(change, asset, test), seen: read });
    } else if (!isAddressKey(key)) {
      const test = patternTest(allowed);
      add(`extraInfo.${key}`, values, { test: (change) => test(read(change)), seen: read });
    }
  }
  return conditions;
}

interface Reading {
  readonly test: (change: ChangeFacts) => Truth;
  readonly seen: (change: ChangeFacts) => string | null;
}

/** A change whose addresses are known, and that names none of this asset, is known to name none that is meant. */
function oneAddress(
  { addresses }: ChangeFacts,
  asset: string,
  test: (address: string | null, asset: string) => Truth,
): Truth {
  if (addresses === null) return 'unknown';
  const named = addresses.find((each) => each.member === 'addresses' && each.asset === asset);
  return named === undefined ? 'false' : test(named.address, asset);
}

/** On every address that a change adds: an approval needs all of them among the values. */
export function addedConditions(
  { extraInfo = {} }: Match,
  { lists, chains }: Surroundings,
): readonly Condition<ChangeAddress>[] {
  return (['address', 'addresses'] as const).flatMap((member) => {
    const values = extraInfo[member];
    if (values === undefined) return [];
    const test = addressTest(resolveValues(values, lists), chains);
    return [
      {
        path: `extraInfo.${member}`,
        wanted: valuesText(values),
        test: (added: ChangeAddress) =>
          added.member === member ? test(added.address, added.asset ?? '') : ('unknown' as const),
        seen: ({ asset, address }: ChangeAddress) => `${asset ?? 'unknown'} ${address ?? 'unknown'}`,
      },
    ];
  });
}
