import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { CHANGE_TYPES, isDangerous } from '../../../src/core/policy/change-types.js';
import { ChangeMetrics } from '../../../src/telemetry/change-metrics.js';
import { alerts } from '../../support/alerts.js';
import { configChange, question } from '../../support/policy.js';

function metrics() {
  const registry = new Registry();
  const changes = new ChangeMetrics(registry);
  const counted = async () => {
    const { values = [] } = (await registry.getSingleMetric('countersign_config_changes_total')?.get()) ?? {};
    return values.map(({ labels, value }) => `${labels.workspace} ${labels.type} ${labels.effect} ${value}`);
  };
  return { changes, counted };
}

test('types that raise an alert begin at zero, and types that nobody documents are one', async () => {
  const { changes, counted } = metrics();
  changes.expect('main');
  const dangerous = [...Object.keys(CHANGE_TYPES).filter(isDangerous), 'other'];
  expect(await counted()).toHaveLength(4 * dangerous.length);
  for (const type of ['ADD_USER', 'NEW_TYPE', 'toString', '__proto__', 'UNMANAGED_WALLET'])
    changes.answered(configChange({ type }).request, 'ignore');
  changes.answered(question().request, 'approve');
  expect((await counted()).filter((line) => !line.endsWith(' 0'))).toEqual([
    'main ADD_USER ignore 1',
    'main other ignore 3',
    'main UNMANAGED_WALLET ignore 1',
  ]);
});

test('the alerts ring for exactly these', () => {
  const wanted = [...Object.keys(CHANGE_TYPES).filter(isDangerous), 'other'];
  const ringing = alerts().filter(({ alert }) => alert.startsWith('CountersignControlChange'));
  expect(ringing).toHaveLength(2);
  for (const { expr } of ringing) expect(/type=~"([^"]*)"/.exec(expr)?.[1]?.split('|')).toEqual(wanted);
});
