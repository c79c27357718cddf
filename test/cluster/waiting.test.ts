/** What waits, on a cluster of processes: each ask is listed once with all of its deliveries, whoever got them and died. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Cluster, startCluster } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import { approving, type Deployment, deliver, eventually, writeDeployment } from '../support/deployment.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

/** Replicas exchange what they saw every 10 s. */
const SHARED_MS = 90_000;

interface Line {
  readonly requestId: string;
  readonly deliveries: number;
  readonly attempts: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly givesUpAtMs: number;
}

const dir = mkdtempSync(join(tmpdir(), 'countersign-waiting-'));
let redis: RedisServer;
let deployment: Deployment;
let cluster: Cluster;

beforeAll(async () => {
  redis = await startRedis({ settings: { appendfsync: 'always' } });
  const ledger = { kind: 'redis', redis: { url: redis.url } } as const;
  deployment = writeDeployment(dir, { ledger, policy: approving() });
  cluster = await startCluster({ configFile: deployment.configFile, replicas: 3 });
});

afterAll(async () => {
  await cluster?.discard();
  await redis?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const ask = async (replica: number, id: string) => {
  const origin = cluster.up.replicaUrls[replica];
  if (origin === undefined) throw new Error(`there is no replica ${replica}`);
  return deployment.read(await deliver(origin, deployment.request(id)), id).action;
};

const run = (...args: readonly string[]) => outcomeOf([...args, '--config', deployment.configFile]);

async function waiting() {
  const { stdout, stderr } = await run('status', '--json');
  expect(stderr).toBe('');
  return JSON.parse(stdout).workspaces[0].waiting as {
    readonly total: number;
    readonly problem: string | null;
    readonly asks: readonly Line[];
  };
}

/** Request id → deliveries. */
async function counts(): Promise<Readonly<Record<string, number>>> {
  const { asks } = await waiting();
  return Object.fromEntries(asks.map(({ requestId, deliveries }) => [requestId, deliveries]));
}

function counted(expected: Readonly<Record<string, number>>): Promise<true> {
  let seen = {};
  const wanted = JSON.stringify(Object.entries(expected).sort());
  return eventually(
    'it does not list what it should',
    async () => {
      seen = await counts();
      return JSON.stringify(Object.entries(seen).sort()) === wanted ? true : undefined;
    },
    SHARED_MS,
  ).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(seen)} instead of ${wanted}`);
  });
}

test('asks under a freeze wait, are counted across replicas, outlive one that is killed, and go when decided', async () => {
  expect(await waiting()).toMatchObject({ total: 0, asks: [], problem: null });
  await run('freeze', '--all', '--reason', 'a drill', '--author', 'us', '--id', 'drill');
  for (const replica of [0, 1, 2, 1]) expect(await ask(replica, 'asked-everywhere')).toBe('RETRY');
  expect(await ask(0, 'asked-once')).toBe('RETRY');
  await counted({ 'asked-everywhere': 4, 'asked-once': 1 });

  await cluster.killReplica(0);
  expect(await ask(1, 'asked-everywhere')).toBe('RETRY');
  await counted({ 'asked-everywhere': 5, 'asked-once': 1 });

  const { asks, problem } = await waiting();
  expect(problem).toBeNull();
  // Fifteen attempts are left to one and nineteen to the other: the one nearest to its end comes first.
  expect(asks.map(({ requestId }) => requestId)).toEqual(['asked-everywhere', 'asked-once']);
  const [worst] = asks;
  expect(worst).toMatchObject({
    cosigner: 'own',
    signer: 'approver',
    kind: 'transaction',
    stage: 'approval',
    txId: 'asked-everywhere',
    cause: 'policy',
    reason: 'FREEZE_RETRIES',
    attempts: 20,
    endsBy: 'attempts',
  });
  expect((worst?.givesUpAtMs ?? 0) - (worst?.lastMs ?? 0)).toBe(15 * 180_000);
  const page = (await run('status')).stdout;
  expect(page).toContain('waiting     2 asks were told to come again\n  asked-everywhere\n');
  expect(page).toMatch(
    /since \d+ (s|min), asked 5 of 20 times, last \d+ (s|min) ago; the vendor gives up in 4[0-5] min/,
  );
  expect(page).toContain('    FREEZE_RETRIES: ');

  await run('unfreeze', 'drill', '--key', deployment.operatorKeyFile);
  expect(await ask(2, 'asked-everywhere')).toBe('APPROVE');
  expect(await ask(1, 'asked-once')).toBe('APPROVE');
  await counted({});
  expect((await run('status')).stdout).toContain('waiting     nothing, as far as replicas have posted\n');
}, 400_000);

test('a list that nobody can post to says so', async () => {
  await redis.command('CONFIG', 'SET', 'appendonly', 'no');
  const { problem } = await waiting();
  expect(problem).toMatch(/^While nothing is decided replicas cannot post what waits/);
  await redis.kill('SIGKILL');
  const gone = await run('status');
  expect(gone.code).toBe(1);
  expect(gone.stdout).toContain('The list of what waits cannot be read: ');
});
