import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { matchesGlob } from '../../../../src/core/policy/glob.js';
import { cpuClock } from '../../../support/cpu-clock.js';

test.each([
  ['USDC', 'USDC', true],
  ['USDC', 'USDC_POLYGON', false],
  ['USDC*', 'USDC_POLYGON', true],
  ['*_POLYGON', 'USDC_POLYGON', true],
  ['*_*', 'USDC_POLYGON', true],
  ['USD?', 'USDC', true],
  ['USD?', 'USD', false],
  ['*', '', true],
  ['?', '', false],
  ['a.c', 'abc', false],
  ['**a', 'bba', true],
])('%s and %s: %s', (pattern, text, expected) => expect(matchesGlob(pattern, text)).toBe(expected));

/** By the definition, trying everything. */
function oracle(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern[0] === '*')
    return Array.from({ length: text.length + 1 }, (_, index) => index).some((skipped) =>
      oracle(pattern.slice(1), text.slice(skipped)),
    );
  return (
    text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && oracle(pattern.slice(1), text.slice(1))
  );
}

test('agrees with the definition', () => {
  const letters = (alphabet: string) => fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 8 });
  fc.assert(
    fc.property(letters('ab*?'), letters('ab'), (pattern, text) => {
      expect(matchesGlob(pattern, text)).toBe(oracle(pattern, text));
    }),
    { numRuns: 5000 },
  );
});

test('no pattern stalls', () => {
  const cpuMs = cpuClock();
  expect(matchesGlob(`${'a*'.repeat(250)}b`, 'a'.repeat(10_000))).toBe(false);
  expect(cpuMs()).toBeLessThan(1_000);
});
