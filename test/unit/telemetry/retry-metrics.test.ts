/** What waits for a decision, as one replica counts it by itself; what several share: contract/waiting-sharing. */
import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { type UndecidedReason, undecided } from '../../../src/core/decision.js';
import type { ConfigChangeRequest } from '../../../src/core/request.js';
import { DEFAULT_RETRIES } from '../../../src/core/waiting.js';
import { RetryMetrics } from '../../../src/telemetry/retry-metrics.js';

const MINUTE = 60_000;

const REQUEST: Omit<ConfigChangeRequest, 'cosigner' | 'requestId'> = {
  protocol: 'fireblocks',
  workspace: 'main',
  signer: undefined,
  kind: 'config-change',
  stage: 'approval',
  type: 'UNMANAGED_WALLET',
  extraInfo: {},
};

function setting() {
  const registry = new Registry();
  const clock = { ms: 1_000 };
  const retries = new RetryMetrics(registry, () => clock.ms);
  retries.expect({ workspace: 'main', cosigner: 'east' }, DEFAULT_RETRIES);
  retries.expect(
    { workspace: 'main', cosigner: 'west' },
    { ...DEFAULT_RETRIES, attempts: 1_000, totalMs: 600 * MINUTE },
  );
  /** By co-signer and cause; `idle` is what a figure is when nothing waits. */
  const figures = async (name: string, idle = 0) => {
    const values = (await registry.getSingleMetric(name)?.get())?.values ?? [];
    return Object.fromEntries(
      values
        .filter(({ value }) => value !== idle)
        .map(({ labels: { cosigner, cause }, value }) => [`${cosigner} ${cause ?? ''}`.trim(), value]),
    );
  };
  return {
    pass: (ms: number) => {
      clock.ms += ms;
    },
    ask: (cosigner: 'east' | 'west' | 'no-retry', askKey: string, reason: UndecidedReason = 'DEADLINE') => {
      const outcome = undecided(reason);
      if (outcome.kind === 'undecided')
        retries.askedAgain({ ...REQUEST, cosigner, requestId: askKey }, askKey, outcome);
    },
    decided: (askKey: string) => retries.decided('main', askKey),
    outstanding: () => figures('countersign_retries_outstanding'),
    oldest: () => figures('countersign_retry_oldest_seconds'),
    left: () => figures('countersign_retry_budget_ratio', 1),
    seconds: () => figures('countersign_retry_budget_seconds', Number.NaN),
    forgotten: async () =>
      (await registry.getSingleMetric('countersign_retries_forgotten_total')?.get())?.values[0]?.value,
    series: async (name: string) => (await registry.getSingleMetric(name)?.get())?.values.length,
  };
}

test('an ask waits from its first "ask again" to its decision', async () => {
  const { ask, decided, pass, outstanding, oldest } = setting();
  ask('east', 'ask-1');
  pass(3 * MINUTE);
  ask('east', 'ask-1');
  ask('east', 'ask-2');
  pass(MINUTE);
  expect(await outstanding()).toEqual({ 'east fault': 2 });
  expect(await oldest()).toEqual({ 'east fault': 240 });
  decided('ask-1');
  expect(await oldest()).toEqual({ 'east fault': 60 });
  decided('ask-2');
  expect(await outstanding()).toEqual({});
  expect(await oldest()).toEqual({});
});

test('what is left is that of the ask nearest to its end, by the schedule of its own co-signer', async () => {
  const { ask, decided, pass, left, seconds } = setting();
  expect([await left(), await seconds()]).toEqual([{}, {}]);
  ask('east', 'early');
  ask('west', 'patient', 'FREEZE_RETRIES');
  pass(28.5 * MINUTE);
  ask('east', 'late');
  expect(await left()).toEqual({ 'east fault': 0.5, 'west policy': 1 - 28.5 / 600 });
  expect(await seconds()).toEqual({ 'east fault': 28.5 * 60, 'west policy': 571.5 * 60 });
  pass(30 * MINUTE);
  expect((await seconds())['east fault']).toBe(-90);
  decided('early');
  expect((await seconds())['east fault']).toBe(27 * 60);
  decided('late');
  decided('patient');
  expect([await left(), await seconds()]).toEqual([{}, {}]);
});

test('there are figures of every co-signer and cause from the beginning', async () => {
  const { series } = setting();
  expect(await series('countersign_retries_outstanding')).toBe(4);
  expect(await series('countersign_retry_budget_ratio')).toBe(4);
  expect(await series('countersign_retry_budget_seconds')).toBe(0);
});

test('what the policy asks to wait is told apart, by the newest reason', async () => {
  const { ask, outstanding } = setting();
  ask('east', 'ask-1', 'FREEZE_RETRIES');
  ask('west', 'ask-2', 'LIMIT_FULL_RETRY');
  ask('west', 'ask-2', 'DEADLINE');
  ask('west', 'ask-3', 'NOT_VOTING');
  expect(await outstanding()).toEqual({ 'east policy': 1, 'west fault': 1 });
});

test('a co-signer that does not know "ask again" waits for nothing', async () => {
  const { ask, outstanding } = setting();
  ask('no-retry', 'ask-1');
  ask('east', 'ask-2');
  expect(await outstanding()).toEqual({ 'east fault': 1 });
});

test('memory is bounded: the one that was asked about longest ago is forgotten, and counted', async () => {
  const { ask, decided, outstanding, forgotten } = setting();
  for (let index = 0; index < 10_000; index += 1) ask('east', `ask-${index}`);
  ask('east', 'ask-0');
  expect(await forgotten()).toBe(0);
  ask('west', 'one more');
  expect(await outstanding()).toEqual({ 'east fault': 9_999, 'west fault': 1 });
  expect(await forgotten()).toBe(1);
  // ask-1 was the one.
  decided('ask-1');
  expect(await outstanding()).toEqual({ 'east fault': 9_999, 'west fault': 1 });
});
