import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { CounterUse } from '../../../src/core/ports.js';
import { LimitMetrics } from '../../../src/telemetry/limit-metrics.js';

const ROLLING = { kind: 'rolling', lengthMs: 3_600_000 } as const;

const use = (change: Partial<CounterUse>): CounterUse => ({
  limit: 'usd',
  counter: 'usd.1',
  mode: 'enforce',
  window: ROLLING,
  used: '50',
  max: '100',
  near: false,
  exceeded: false,
  ...change,
});

function setting() {
  const registry = new Registry();
  const limits = new LimitMetrics(registry);
  return {
    limits,
    ratio: async () => {
      const metric = await registry.getSingleMetric('countersign_limit_used_ratio')?.get();
      return (metric?.values ?? []).map(({ labels, value }) => [labels.limit, labels.mode, value]);
    },
    count: async (name: string) => (await registry.getSingleMetric(name)?.get())?.values ?? [],
  };
}

test('the fullest counter of a limit is shown, and follows its own charges down', async () => {
  const { limits, ratio } = setting();
  limits.charged('main', [use({ used: '30', counter: 'usd.1:a' })]);
  limits.charged('main', [use({ used: '80', counter: 'usd.1:b' })]);
  limits.charged('main', [use({ used: '40', counter: 'usd.1:a' })]);
  expect(await ratio()).toEqual([['usd', 'enforce', 0.8]]);
  limits.charged('main', [use({ used: '20', counter: 'usd.1:b' })]);
  expect(await ratio()).toEqual([['usd', 'enforce', 0.2]]);
});

test('a window that passes empties the figure although nobody charges', async () => {
  const { limits, ratio } = setting();
  limits.charged('main', [use({ used: '90' }), use({ mode: 'shadow', used: '70' })]);
  const asked: unknown[] = [];
  await limits.refresh('main', {
    usage: async (counters) => {
      asked.push(...counters.map(({ counter, mode, window }) => ({ counter, mode, window })));
      return ['10', '70'];
    },
  });
  expect(asked).toEqual([
    { counter: 'usd.1', mode: 'enforce', window: ROLLING },
    { counter: 'usd.1', mode: 'shadow', window: ROLLING },
  ]);
  expect(await ratio()).toEqual([
    ['usd', 'enforce', 0.1],
    ['usd', 'shadow', 0.7],
  ]);
});

test('a calendar window that is over counts nothing any more, whatever its counter still holds', async () => {
  const { limits, ratio } = setting();
  const yesterday = { kind: 'calendar', startMs: 0, endMs: Date.now() - 1 } as const;
  limits.charged('main', [use({ window: yesterday })]);
  await limits.refresh('main', { usage: async () => ['50'] });
  expect(await ratio()).toEqual([['usd', 'enforce', 0]]);
});

test('a ledger that cannot be asked leaves the figure as it was', async () => {
  const { limits, ratio } = setting();
  limits.charged('main', [use({})]);
  await expect(
    limits.refresh('main', {
      usage: async () => {
        throw new Error('unreachable');
      },
    }),
  ).rejects.toThrow('unreachable');
  expect(await ratio()).toEqual([['usd', 'enforce', 0.5]]);
});

test('with another policy its limits begin at zero, and those of the old one are gone', async () => {
  const { limits, ratio, count } = setting();
  limits.charged('main', [use({ limit: 'old' })]);
  limits.adopted('main', ['usd']);
  expect(await ratio()).toEqual([]);
  limits.refused('main', 'usd');
  expect(await count('countersign_limit_refusals_total')).toEqual([
    { labels: { workspace: 'main', limit: 'usd' }, value: 1 },
  ]);
  expect(await count('countersign_limit_near_total')).toEqual([
    { labels: { workspace: 'main', limit: 'usd', mode: 'enforce' }, value: 0 },
  ]);
});

test('what came near and what a shadow limit would have refused is counted', async () => {
  const { limits, count } = setting();
  limits.charged('main', [use({ near: true }), use({ mode: 'shadow', exceeded: true })]);
  expect((await count('countersign_limit_near_total'))[0]?.value).toBe(1);
  expect((await count('countersign_shadow_limit_exceeded_total'))[0]?.value).toBe(1);
});
