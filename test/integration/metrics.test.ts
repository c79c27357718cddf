/** What one replica shows to Prometheus, from its first scrape to the day that its ledger is gone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { approving, type Deployment, deliver, writeDeployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { metricFamilies } from '../support/prometheus.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';
import { type RunningReplica, startReplica } from '../support/replica.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-metrics-'));
const BEGAN_S = Date.now() / 1_000;
let redis: RedisServer;
let deployment: Deployment;
let replica: RunningReplica;

beforeAll(async () => {
  redis = await startRedis();
  deployment = writeDeployment(dir, {
    ledger: { kind: 'redis', redis: { url: redis.url } },
    policy: approving({ three: "{ sum: count, max: '3', window: { rolling: 1h }, nearLimit: 0.6 }" }),
    deadline: '5s',
  });
  replica = await startReplica(deployment);
});

afterAll(async () => {
  await replica?.close();
  await redis?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** The samples of one metric: the values of the labels in question, and the value. */
async function scraped(name: string, ...labels: readonly string[]): Promise<readonly unknown[]> {
  const text = await (await fetch(`${replica.ops}/metrics`)).text();
  for (const family of metricFamilies(text).values()) {
    const samples = family.samples.filter((sample) => sample.name === name);
    if (samples.length > 0)
      return samples.map((sample) => [...labels.map((label) => sample.labels[label]), sample.value]);
  }
  return [];
}

async function ask(id: string, claims = {}): Promise<string> {
  const reply = await deliver(replica.http, deployment.request(id, claims));
  return deployment.read(reply, id).action;
}

test('the first scrape shows the state, and zero of whatever must ring at its first occurrence', async () => {
  await eventually(async () =>
    expect((await scraped('countersign_ready', 'check')).map(String).sort()).toEqual([
      ...['draining,1', 'ledger:main,1', 'policy:main,1'],
    ]),
  );
  expect(await scraped('countersign_policy_problem', 'code')).toEqual([
    ['POLICY_MISSING', 0],
    ['POLICY_UNTRUSTED', 0],
    ['POLICY_INVALID', 0],
  ]);
  expect(await scraped('countersign_build_info', 'version')).toEqual([['0.1.0', 1]]);
  expect(await scraped('countersign_conflicts_total', 'cosigner', 'reason')).toEqual([
    ['own', 'CONFLICT_CONTENT', 0],
    ['own', 'CONFLICT_TRANSACTION', 0],
    ['own', 'CONFLICT_BINDING', 0],
    ['own', 'CONFLICT_AMOUNT', 0],
  ]);
  expect(await scraped('countersign_limit_refusals_total', 'limit')).toEqual([['three', 0]]);
  expect(await scraped('countersign_refused_messages_total', 'path', 'reason')).toContainEqual([
    '/own',
    'SIGNATURE',
    0,
  ]);
  expect(await scraped('countersign_request_duration_seconds_count', 'path')).toEqual([['/own', 0]]);
  expect(await scraped('countersign_retry_oldest_seconds', 'cause')).toEqual([
    ['fault', 0],
    ['policy', 0],
  ]);
  expect(await scraped('countersign_freezes', 'answers')).toEqual([
    ['retry', 0],
    ['reject', 0],
  ]);
  expect(await scraped('countersign_ledger_retention_seconds', 'workspace')).toEqual([['main', 90 * 86_400]]);
  expect(await scraped('countersign_ledger_forgotten_events_total', 'workspace')).toEqual([['main', 0]]);
  const [[, oldest] = []] = (await scraped(
    'countersign_ledger_oldest_event_timestamp_seconds',
    'workspace',
  )) as [[string, number]];
  expect(oldest).toBeGreaterThan(BEGAN_S - 1);
  expect(oldest).toBeLessThan(Date.now() / 1_000 + 1);
  expect((await scraped('countersign_key_file_modified_timestamp_seconds', 'use')).length).toBe(2);
});

test('requests show as what became of them, and where their time went', async () => {
  expect([await ask('1'), await ask('2'), await ask('3'), await ask('4'), await ask('1')]).toEqual([
    ...['APPROVE', 'APPROVE', 'APPROVE', 'REJECT', 'APPROVE'],
  ]);
  expect(await ask('1', { asset: 'BTC' })).toBe('REJECT');
  expect((await deliver(replica.http, 'nonsense')).status).toBe(401);

  expect(await scraped('countersign_requests_total', 'path', 'stage', 'answer')).toEqual([
    ['/own', 'approval', 'approve', 4],
    ['/own', 'approval', 'reject', 2],
  ]);
  expect(await scraped('countersign_conflicts_total', 'reason')).toContainEqual(['CONFLICT_CONTENT', 1]);
  expect(await scraped('countersign_repeated_answers_total')).toEqual([[1]]);
  expect(await scraped('countersign_limit_refusals_total', 'limit')).toEqual([['three', 1]]);
  expect(await scraped('countersign_limit_near_total', 'limit', 'mode')).toEqual([['three', 'enforce', 2]]);
  expect(await scraped('countersign_limit_used_ratio', 'limit', 'mode')).toEqual([['three', 'enforce', 1]]);
  expect(await scraped('countersign_refused_messages_total', 'reason')).toContainEqual(['TOKEN', 1]);
  const steps = await scraped('countersign_step_duration_seconds_count', 'step');
  expect(steps).toEqual([
    ['receive', 6],
    ['examine', 6],
    ['evaluate', 6],
    ['commit', 6],
    ['answer', 6],
  ]);
  const calls = await scraped('countersign_ledger_duration_seconds_count', 'operation');
  expect(calls).toContainEqual(['commit', 6]);
});

test('while the ledger is gone, what waits is counted, and no more when it is decided', async () => {
  await redis.kill('SIGKILL');
  expect(await ask('5')).toBe('RETRY');
  expect(await scraped('countersign_retries_outstanding', 'cosigner', 'cause')).toEqual([
    ['own', 'fault', 1],
    ['own', 'policy', 0],
  ]);
  expect(await scraped('countersign_ready', 'check')).toContainEqual(['ledger:main', 0]);
  expect(await scraped('countersign_ledger_errors_total', 'operation', 'code')).toContainEqual([
    'commit',
    'LEDGER_UNAVAILABLE',
    expect.any(Number),
  ]);
  await redis.restart();
  await eventually(async () => expect(await ask('5')).toBe('REJECT'));
  expect(await scraped('countersign_retries_outstanding', 'cause')).toEqual([
    ['fault', 0],
    ['policy', 0],
  ]);
  await eventually(async () =>
    expect(await scraped('countersign_ready', 'check')).toContainEqual(['ledger:main', 1]),
  );
});

test('a scrape does not wait for a ledger that says nothing', async () => {
  await redis.kill('SIGSTOP');
  // It ends while Redis still hangs.
  expect(await scraped('countersign_ready', 'check')).toContainEqual(['ledger:main', 0]);
  await redis.kill('SIGCONT');
});
