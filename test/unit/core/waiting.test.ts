/** When the vendor gives up, from what replicas saw and from its schedule. */
import { expect, test } from '@jest/globals';
import {
  budgetOf,
  causeOf,
  DEFAULT_RETRIES,
  deliveriesOf,
  isGivenUp,
  type RetrySchedule,
} from '../../../src/core/waiting.js';

const MINUTE = 60_000;
const at = (minutes: number) => minutes * MINUTE;

test.each<[string, { first: number; last: number; count: number }, RetrySchedule, number, string]>([
  ['the first ask of twenty', { first: 0, last: 0, count: 1 }, DEFAULT_RETRIES, 57, 'attempts'],
  ['one that came late', { first: 0, last: 58, count: 2 }, DEFAULT_RETRIES, 60, 'total'],
  ['the last of twenty', { first: 0, last: 57, count: 20 }, DEFAULT_RETRIES, 57, 'attempts'],
  ['more than twenty', { first: 0, last: 58, count: 25 }, DEFAULT_RETRIES, 58, 'attempts'],
  [
    'a total that is short',
    { first: 5, last: 5, count: 1 },
    { intervalMs: at(1), attempts: 20, totalMs: at(10) },
    15,
    'total',
  ],
  [
    'attempts that nobody knows',
    { first: 5, last: 9, count: 900 },
    { intervalMs: at(3), totalMs: at(60) },
    65,
    'total',
  ],
])('%s', (_, { first, last, count }, schedule, givesUp, endsBy) => {
  const budget = budgetOf({ firstMs: at(first), lastMs: at(last), count }, schedule);
  expect([budget.givesUpAtMs / MINUTE, budget.endsBy]).toEqual([givesUp, endsBy]);
});

test('what is left is a share of the whole: 1 at the first ask, 0 at the end, less beyond', () => {
  const { left } = budgetOf({ firstMs: 0, lastMs: 0, count: 1 }, DEFAULT_RETRIES);
  expect([left(0), left(at(28.5)), left(at(57)), left(at(114))]).toEqual([1, 0.5, 0, -1]);
  const once = { intervalMs: at(3), attempts: 1, totalMs: at(60) };
  expect(budgetOf({ firstMs: 0, lastMs: 0, count: 1 }, once).left(0)).toBe(0);
});

test('an ask is given up when its time is over and two intervals pass without it', () => {
  const given = (lastMs: number, count: number, nowMs: number) =>
    isGivenUp({ firstMs: 0, lastMs, count }, DEFAULT_RETRIES, nowMs);
  expect(given(at(57), 20, at(62.9))).toBe(false);
  expect(given(at(57), 20, at(63))).toBe(true);
  // It was asked about once, and the vendor may come back until the end.
  expect(given(0, 1, at(56.9))).toBe(false);
  expect(given(0, 1, at(57))).toBe(true);
});

test('what several replicas saw adds up', () => {
  const seen = new Map([
    ['a', { firstMs: 10, lastMs: 30, count: 2 }],
    ['b', { firstMs: 20, lastMs: 40, count: 1 }],
  ]);
  expect(deliveriesOf({ seen })).toEqual({ firstMs: 10, lastMs: 40, count: 3 });
});

test('what the policy asks for is told apart from faults', () => {
  expect(causeOf({ reason: 'FREEZE_RETRIES' })).toBe('policy');
  expect(causeOf({ reason: 'SIGNER_NOT_LISTED' })).toBe('fault');
});
