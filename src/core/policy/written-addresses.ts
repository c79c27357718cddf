/**
 * Addresses that no request can have, as they are written: a rule that refuses them refuses nothing, and a freeze of them
 * freezes nothing. Not every typing error can be seen; those are that a checksum tells, or the form.
 */
import type { Problem } from '../document.js';
import type { Chains } from '../ports.js';
import { canonicalFormOf } from './canonical-address.js';
import { isAddressKey } from './change-conditions.js';
import type { CompiledPolicy } from './compile.js';
import { isGlob } from './glob.js';
import type { Match, Values } from './schema.js';
import { type Lists, resolveValues } from './values.js';

interface Misspelt {
  readonly address: string;
  /** Where it is named, below the match. */
  readonly path: Problem['path'];
}

/** By what an address looks like: assets of which it would be one. A list may hold those of many chains. */
const LOOKS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^(?:0x)?[0-9a-f]{40}$/i, ['ETH']],
  [/^(?:bc1|tb1)/i, ['BTC', 'BTC_TEST']],
];

export function misspeltAddresses(match: Match, lists: Lists, chains: Chains): readonly Misspelt[] {
  return namedAddresses(match).flatMap(([values, path, named]) =>
    resolveValues(values, lists)
      .filter((address) => {
        const looked = LOOKS.find(([look]) => look.test(address))?.[1];
        return looked?.concat(named).every((asset) => canonicalFormOf(asset, chains)(address) === undefined);
      })
      .map((address) => ({ address, path })),
  );
}

export function addressWarnings({ document: { rules, lists }, chains }: CompiledPolicy): readonly Problem[] {
  return rules.flatMap(({ match }, index) =>
    misspeltAddresses(match, lists, chains).map(({ address, path }) => ({
      path: ['rules', index, 'match', ...path],
      message: misspeltMessage(address),
    })),
  );
}

export function misspeltMessage(address: string): string {
  return `${address} is no address as it is written, so no request is ever equal to it: look at its beginning, and at its case (EIP-55); all in lower case is right too`;
}

type Named = readonly [values: Values, path: Problem['path'], assets: readonly string[]];

function namedAddresses({ asset, source, destination, contract, extraInfo = {} }: Match): readonly Named[] {
  const assets = exactly(asset);
  const places: readonly (readonly [Values | undefined, Problem['path']])[] = [
    [source?.address, ['source', 'address']],
    [destination?.address, ['destination', 'address']],
    ...(contract ?? []).map((each, index) => [each.address, ['contract', index, 'address']] as const),
  ];
  return [
    ...places.flatMap(([values, path]): Named[] => (values === undefined ? [] : [[values, path, assets]])),
    ...Object.entries(extraInfo)
      .filter(([key]) => isAddressKey(key))
      .map(([key, values]): Named => [values, ['extraInfo', key], []]),
  ];
}

/** One of these may have checksums of its own (EIP-1191). */
function exactly(asset: Values | undefined): readonly string[] {
  const entries = asset === undefined ? [] : [asset].flat();
  return entries.filter((entry) => typeof entry === 'string' && !isGlob(entry)).map(String);
}
