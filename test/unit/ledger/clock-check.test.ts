import { expect, test } from '@jest/globals';
import { clockProblems } from '../../../src/ledger/clock-check.js';

const SECOND = 1_000;

test.each([
  [
    'ahead',
    32 * SECOND,
    /^The ledger's clock is 3[12]\.\d s ahead of this machine's\. .*CountersignClockSkew\.md\.$/,
  ],
  ['behind', -32 * SECOND, /^The ledger's clock is 3[2-9]\.\d s behind this machine's\. /],
])('a clock that is %s is a problem that blocks', async (_, offMs, text) => {
  const problems = await clockProblems(async () => ({ nowMs: Date.now() + offMs }));
  expect(problems).toEqual([{ code: 'CLOCK', text: expect.stringMatching(text), blocks: true }]);
});

test('a little is none, nor is what the time of the answer may explain', async () => {
  expect(await clockProblems(async () => ({ nowMs: Date.now() + 1_900 }))).toEqual([]);
  const waited = 2_200;
  const late = async () => {
    const nowMs = Date.now() - 1_000;
    await new Promise((resolve) => setTimeout(resolve, waited));
    return { nowMs };
  };
  expect(await clockProblems(late)).toEqual([]);
});

test('of a ledger that cannot be read nothing is said', async () => {
  expect(await clockProblems(() => Promise.reject(new Error('away')))).toEqual([]);
});
