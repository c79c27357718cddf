/** A co-signer that does not know "ask again" is kept waiting, and at last gets no answer: never a wrong one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Cluster, startCluster } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import { approving, type Deployment, deliver, writeDeployment } from '../support/deployment.js';
import { readJournal } from '../support/journal.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-no-retry-'));
let redis: RedisServer;
let deployment: Deployment;
let cluster: Cluster;

beforeAll(async () => {
  redis = await startRedis();
  deployment = writeDeployment(dir, {
    ledger: { kind: 'redis', redis: { url: redis.url } },
    policy: approving(),
    deadline: '1s',
    retrySupported: false,
  });
  cluster = await startCluster({ configFile: deployment.configFile, replicas: 1 });
});

afterAll(async () => {
  await redis?.kill('SIGCONT');
  await cluster?.discard();
  await redis?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function ask(id: string): Promise<string> {
  return deployment.read(await deliver(cluster.up.http, deployment.request(id), 40_000), id).action;
}

describe('without retrySupported', () => {
  test('an answer comes as soon as there is one, however long that takes', async () => {
    await redis.kill('SIGSTOP');
    const answer = ask('late');
    await sleep(4_000);
    await redis.kill('SIGCONT');
    expect(await answer).toBe('APPROVE');
  });

  test('the connection is closed without an answer before the co-signer gives up, and asking again decides', async () => {
    await redis.kill('SIGSTOP');
    const startedAt = performance.now();
    const lost = ask('lost');
    await expect(lost).rejects.toThrow('fetch failed');
    const seconds = (performance.now() - startedAt) / 1_000;
    expect(seconds).toBeGreaterThan(23);
    await redis.kill('SIGCONT');
    const { stdout } = await outcomeOf(['status', '--config', deployment.configFile, '--json']);
    expect(JSON.parse(stdout).workspaces[0].waiting).toMatchObject({ total: 0, asks: [] });
    expect(await ask('lost')).toBe('APPROVE');
    const decided = (await readJournal(deployment.configFile)).filter(({ type }) => type === 'decision');
    expect(decided).toHaveLength(2);
    await cluster.stop();
  });
});
