import { describe, expect, test } from '@jest/globals';
import {
  coveredUntil,
  type ForSigners,
  inOrderFor,
  type KeyWindow,
  stateAt,
  undecidable,
} from '../../../src/core/key-window.js';

const OPEN: KeyWindow = {};

test.each<readonly [KeyWindow, number, string]>([
  [OPEN, 0, 'valid'],
  [{ notBefore: 10 }, 9, 'not-yet'],
  [{ notBefore: 10 }, 10, 'valid'],
  [{ notAfter: 20 }, 19, 'valid'],
  [{ notAfter: 20 }, 20, 'expired'],
  [{ notBefore: 10, notAfter: 20 }, 9, 'not-yet'],
  [{ notBefore: 10, notAfter: 20 }, 15, 'valid'],
  [{ notBefore: 10, notAfter: 20 }, 20, 'expired'],
])('a key of %j is at %i %s', (window, atMs, state) => {
  expect(stateAt(window, atMs)).toBe(state);
});

test.each<readonly [string, readonly KeyWindow[], number | undefined]>([
  ['no key', [], undefined],
  ['one without end', [OPEN], Number.POSITIVE_INFINITY],
  ['one that ends', [{ notAfter: 20 }], 20],
  ['one that is over', [{ notAfter: 5 }], undefined],
  ['one that has not begun', [{ notBefore: 15 }], undefined],
  ['a successor in time', [{ notAfter: 20 }, { notBefore: 20, notAfter: 30 }], 30],
  ['a successor that overlaps', [{ notBefore: 15, notAfter: 40 }, { notAfter: 20 }], 40],
  ['a successor that comes too late', [{ notAfter: 20 }, { notBefore: 21 }], 20],
  [
    'a successor of a successor',
    [{ notAfter: 20 }, { notBefore: 30 }, { notBefore: 19, notAfter: 30 }],
    Infinity,
  ],
])('from 10 on, %s: covered until then', (_, windows, until) => {
  expect(coveredUntil(windows, 10)).toBe(until);
});

describe('which of several answer keys signs for a signer', () => {
  const keys: readonly (ForSigners & { readonly name: string })[] = [
    { name: 'own', signers: ['s', 't'] },
    { name: 'general, later', notBefore: 30 },
    { name: 'own, later', signers: ['s'], notBefore: 20 },
    { name: 'general', notBefore: 10 },
  ];
  const order = (signer: string | undefined) => inOrderFor(keys, signer).map(({ name }) => name);

  test('its own before those for all, the latest first', () => {
    expect(order('s')).toEqual(['own, later', 'own', 'general, later', 'general']);
    expect(order('t')).toEqual(['own', 'general, later', 'general']);
  });

  test('for others, and for nobody that is named, those without a list', () => {
    for (const signer of ['u', undefined]) expect(order(signer)).toEqual(['general, later', 'general']);
  });

  test('two that begin at one instant are told of', () => {
    expect(undecidable(keys)).toBeUndefined();
    expect(undecidable([...keys, { signers: ['x', 't'] }])).toBe('the signer "t"');
    expect(undecidable([...keys, { notBefore: 30 }])).toBe('signers that none lists');
    expect(undecidable([{ signers: ['s', 's'] }])).toBe('the signer "s"');
    expect(undecidable([{}, {}])).toBe('signers that none lists');
  });
});
