/** What waits for a decision: figures that an alert can be built on, although each replica knows a part only. */
import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { RetryMetrics } from '../../../src/telemetry/retry-metrics.js';

const MINUTE = 60_000;
const EAST = { workspace: 'main', cosigner: 'east' };
const WEST = { workspace: 'main', cosigner: 'west' };

function setting() {
  const registry = new Registry();
  const clock = { ms: 1_000 };
  const retries = new RetryMetrics(registry, () => clock.ms);
  retries.expect(EAST);
  retries.expect(WEST);
  /** By co-signer and cause. */
  const figures = async (name: string) => {
    const values = (await registry.getSingleMetric(name)?.get())?.values ?? [];
    return Object.fromEntries(
      values
        .filter(({ value }) => value !== 0)
        .map(({ labels: { cosigner, cause }, value }) => [`${cosigner} ${cause ?? ''}`.trim(), value]),
    );
  };
  return {
    retries,
    pass: (ms: number) => {
      clock.ms += ms;
    },
    outstanding: () => figures('countersign_retries_outstanding'),
    oldest: () => figures('countersign_retry_oldest_seconds'),
    givenUp: () => figures('countersign_retries_given_up_total'),
    forgotten: async () =>
      (await registry.getSingleMetric('countersign_retries_forgotten_total')?.get())?.values[0]?.value,
    series: async () =>
      (await registry.getSingleMetric('countersign_retries_outstanding')?.get())?.values.length,
  };
}

const nothing = async () => false;

test('an ask waits from its first "ask again" to its decision', async () => {
  const { retries, pass, outstanding, oldest } = setting();
  retries.askedAgain(EAST, 'ask-1', 'LEDGER_UNAVAILABLE');
  pass(3 * MINUTE);
  retries.askedAgain(EAST, 'ask-1', 'LEDGER_UNAVAILABLE');
  retries.askedAgain(EAST, 'ask-2', 'LEDGER_UNAVAILABLE');
  pass(MINUTE);
  expect(await outstanding()).toEqual({ 'east fault': 2 });
  expect(await oldest()).toEqual({ 'east fault': 240 });
  retries.decided('main', 'ask-1');
  expect(await oldest()).toEqual({ 'east fault': 60 });
  retries.decided('main', 'ask-2');
  expect(await outstanding()).toEqual({});
  expect(await oldest()).toEqual({});
});

test('there are figures of every co-signer and cause from the beginning', async () => {
  expect(await setting().series()).toBe(4);
});

test('what the policy asks to wait is told apart, by the newest reason', async () => {
  const { retries, outstanding } = setting();
  retries.askedAgain(EAST, 'ask-1', 'FREEZE_RETRIES');
  retries.askedAgain(WEST, 'ask-2', 'LIMIT_FULL_RETRY');
  retries.askedAgain(WEST, 'ask-2', 'DEADLINE');
  expect(await outstanding()).toEqual({ 'east policy': 1, 'west fault': 1 });
});

test('what another replica has decided is found out and dropped', async () => {
  const { retries, pass, outstanding, givenUp } = setting();
  retries.askedAgain(EAST, 'ask-1', 'LEDGER_UNAVAILABLE');
  retries.askedAgain(EAST, 'ask-2', 'LEDGER_UNAVAILABLE');
  const asked: string[] = [];
  const isDecided = async (askKey: string) => {
    asked.push(askKey);
    return askKey === 'ask-1';
  };
  await retries.refresh('main', isDecided);
  expect(asked).toEqual([]);
  pass(MINUTE);
  await retries.refresh('other', isDecided);
  expect(asked).toEqual([]);
  await retries.refresh('main', isDecided);
  expect(asked).toEqual(['ask-1', 'ask-2']);
  expect(await outstanding()).toEqual({ 'east fault': 1 });
  expect(await givenUp()).toEqual({});
});

test('while the ledger cannot be asked, what waits goes on waiting', async () => {
  const { retries, pass, outstanding } = setting();
  retries.askedAgain(EAST, 'ask-1', 'LEDGER_UNAVAILABLE');
  pass(50 * MINUTE);
  await retries.refresh('main', async () => {
    throw new Error('unreachable');
  });
  expect(await outstanding()).toEqual({ 'east fault': 1 });
});

test('an ask that nobody asks about any more is given up an hour after it began, and counted', async () => {
  const { retries, pass, outstanding, givenUp } = setting();
  retries.askedAgain(EAST, 'abandoned', 'DEADLINE');
  for (let minute = 0; minute < 60; minute += 3) {
    retries.askedAgain(EAST, 'asked', 'DEADLINE');
    pass(3 * MINUTE);
  }
  await retries.refresh('main', nothing);
  expect(await outstanding()).toEqual({ 'east fault': 1 });
  expect(await givenUp()).toEqual({ east: 1 });
  pass(16 * MINUTE);
  await retries.refresh('main', nothing);
  expect(await outstanding()).toEqual({});
  expect(await givenUp()).toEqual({ east: 2 });
});

test('memory is bounded: the one that was asked about longest ago is forgotten, and counted', async () => {
  const { retries, outstanding, forgotten } = setting();
  for (let index = 0; index < 10_000; index += 1) retries.askedAgain(EAST, `ask-${index}`, 'DEADLINE');
  retries.askedAgain(EAST, 'ask-0', 'DEADLINE');
  expect(await forgotten()).toBe(0);
  retries.askedAgain(WEST, 'one more', 'DEADLINE');
  expect(await outstanding()).toEqual({ 'east fault': 9_999, 'west fault': 1 });
  expect(await forgotten()).toBe(1);
  // ask-1 was the one: it counts as new.
  retries.decided('main', 'ask-1');
  expect(await outstanding()).toEqual({ 'east fault': 9_999, 'west fault': 1 });
});

test('an ask that comes back while the ledger is asked stays', async () => {
  const { retries, pass, outstanding } = setting();
  retries.askedAgain(EAST, 'ask-1', 'DEADLINE');
  pass(MINUTE);
  await retries.refresh('main', async () => {
    retries.askedAgain(EAST, 'ask-1', 'DEADLINE');
    return true;
  });
  expect(await outstanding()).toEqual({ 'east fault': 1 });
});
