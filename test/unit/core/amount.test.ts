import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  ceilJsonNumber,
  floorToBaseUnits,
  fromBaseUnits,
  isDecimal,
  normaliseDecimal,
  toBaseUnits,
} from '../../../src/core/amount.js';

describe('decimal text', () => {
  test.each(['0', '1', '0.1', '10.00', '123456789012345678901234567890.5'])('%s is one', (text) => {
    expect(isDecimal(text)).toBe(true);
  });

  test.each(['', '01', '.5', '1.', '-1', '+1', '1e3', ' 1', '1 ', '1,5', '0x10', '١', 'NaN', '1'.repeat(79)])(
    '%j is none',
    (text) => {
      expect(isDecimal(text)).toBe(false);
      expect(toBaseUnits(text, 18)).toEqual({ ok: false, problem: 'format' });
    },
  );
});

describe('base units', () => {
  test('keep every wei of an amount that no double can hold', () => {
    expect(toBaseUnits('150.000000000000000001', 18)).toEqual({ ok: true, units: 150000000000000000001n });
  });

  test('ignore zeros beyond the decimals of the asset and refuse other digits there', () => {
    expect(toBaseUnits('0.0100000000', 8)).toEqual({ ok: true, units: 1000000n });
    expect(toBaseUnits('0.000000001', 8)).toEqual({ ok: false, problem: 'precision' });
  });

  test('of a maximum are rounded down, so that a limit is never above what is written', () => {
    expect(floorToBaseUnits('1.9999999', 6)).toBe(1999999n);
    expect(floorToBaseUnits('-1', 6)).toBeUndefined();
  });

  test('survive the way through text and back, for any number of decimals', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 256n }),
        fc.integer({ min: 0, max: 36 }),
        (units, decimals) => {
          expect(toBaseUnits(fromBaseUnits(units, decimals), decimals)).toEqual({ ok: true, units });
        },
      ),
    );
  });
});

describe('a JSON number', () => {
  test.each([
    ['18.74292937', 8, 1874292937n],
    ['1e3', 2, 100000n],
    ['1.5E-1', 1, 2n],
    ['0.000000001', 8, 1n],
    ['0', 18, 0n],
    ['-0', 18, 0n],
    ['0.0e5', 0, 0n],
  ])('%s with %i decimals is %s units, rounded up', (text, decimals, units) => {
    expect(ceilJsonNumber(text, decimals)).toBe(units);
  });

  test.each(['-1', '1e9999', 'Infinity', '', '0x1', '1_000', '01'])('%j is refused', (text) => {
    expect(ceilJsonNumber(text, 18)).toBeUndefined();
  });
});

test('normalised decimals are equal exactly when the amounts are', () => {
  expect(normaliseDecimal('0.010000000000000000')).toBe(normaliseDecimal('0.01'));
  expect(normaliseDecimal('10')).toBe('10');
  expect(normaliseDecimal('1.0')).toBe('1');
  expect(normaliseDecimal('not an amount')).toBe('not an amount');
});
