/** What co-signers are told while the store is gone, and that nothing is decided twice when it is back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Cluster, startCluster } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import {
  approving,
  type Deployment,
  deliver,
  eventually,
  problemsOf,
  writeDeployment,
} from '../support/deployment.js';
import { eventually as soon } from '../support/eventually.js';
import { readJournal } from '../support/journal.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-store-'));
let redis: RedisServer;
let deployment: Deployment;
let cluster: Cluster;

beforeAll(async () => {
  redis = await startRedis({ settings: { appendfsync: 'always' } });
  deployment = writeDeployment(dir, {
    ledger: { kind: 'redis', redis: { url: redis.url } },
    policy: approving({ all: "{ sum: count, max: '1000', window: { rolling: 1h } }" }),
    deadline: '1s',
  });
  cluster = await startCluster({ configFile: deployment.configFile });
});

afterAll(async () => {
  await redis?.kill('SIGCONT');
  await cluster?.discard();
  await redis?.stop();
  rmSync(dir, { recursive: true, force: true });
});

function replica(index: number): string {
  return cluster.up.replicaUrls[index] ?? '';
}

function ops(index: number): string {
  return cluster.up.replicaOps[index] ?? '';
}

async function answered(id: string, index = 0): Promise<string> {
  const reply = await deliver(replica(index), deployment.request(id));
  return deployment.read(reply, id).action;
}

/** As a co-signer asks: again and again until something final is heard. */
async function settled(id: string, index = 0): Promise<string> {
  return eventually(`${id} stayed undecided`, async () => {
    const action = await answered(id, index);
    return action === 'RETRY' ? undefined : action;
  });
}

async function decisions(id: string): Promise<number> {
  const journal = await readJournal(deployment.configFile);
  return journal.filter(({ type, body }) => type === 'decision' && JSON.stringify(body).includes(`"${id}"`))
    .length;
}

/** A busy machine may not finish a check within its second at once. */
async function says(index: number, problems: unknown): Promise<void> {
  await soon(async () => expect(await problemsOf(ops(index))).toEqual(problems));
}

async function allReady(): Promise<void> {
  for (const index of [0, 1, 2]) {
    await eventually(`replica ${index} did not become ready`, async () =>
      Object.keys(await problemsOf(ops(index))).length === 0 ? true : undefined,
    );
  }
}

describe('while the store does not answer', () => {
  test('every request gets a signed RETRY meanwhile, and readiness names the ledger', async () => {
    expect(await settled('before')).toBe('APPROVE');
    await redis.kill('SIGSTOP');
    const ids = ['stopped-1', 'stopped-2', 'stopped-3', 'before'];
    const replies = await Promise.all(
      ids.map(async (id, index) => ({
        id,
        reply: await deliver(replica(index % 3), deployment.request(id)),
      })),
    );
    for (const { id, reply } of replies)
      expect(deployment.read(reply, id)).toEqual({ action: 'RETRY', requestId: id });
    expect(Object.keys(await problemsOf(ops(0)))).toContain('ledger:main');
    expect((await fetch(`${ops(0)}/livez`)).status).toBe(200);
  });

  test('once it answers again they are decided, once each', async () => {
    await redis.kill('SIGCONT');
    for (const id of ['stopped-1', 'stopped-2', 'stopped-3', 'before']) {
      expect(await settled(id, 1)).toBe('APPROVE');
      expect(await decisions(id)).toBe(1);
    }
    await allReady();
  });
});

describe('when the store is killed', () => {
  test('requests get RETRY at once or at the deadline, and its data answers as before when it is back', async () => {
    expect(await settled('standing')).toBe('APPROVE');
    await redis.kill('SIGKILL');
    expect(await answered('standing', 1)).toBe('RETRY');
    await says(
      1,
      expect.objectContaining({ 'ledger:main': expect.stringContaining('Redis did not answer') }),
    );
    await redis.restart();
    expect(await settled('standing', 1)).toBe('APPROVE');
    expect(await decisions('standing')).toBe(1);
    await allReady();
  });

  test('requests that are under way meanwhile are decided once', async () => {
    const ids = Array.from({ length: 30 }, (_, index) => `under-way-${index}`);
    const asking = ids.map((id, index) => settled(id, index % 3));
    await redis.restart();
    expect(new Set(await Promise.all(asking))).toEqual(new Set(['APPROVE']));
    for (const id of ids) expect(await decisions(id)).toBe(1);
  });
});

describe('when the answer is lost', () => {
  test('another replica repeats the standing decision', async () => {
    for (const id of ['lost-1', 'lost-2', 'lost-3']) {
      await hangUp(replica(0), deployment.request(id));
      expect(await settled(id, 1)).toBe('APPROVE');
      expect(await decisions(id)).toBe(1);
    }
  });
});

/** Sends all of the request and is gone before the answer. */
async function hangUp(origin: string, body: string): Promise<void> {
  const call = request(`${origin}/own/v2/tx_sign_request`, { method: 'POST', agent: false });
  call.on('error', () => undefined);
  await new Promise<void>((resolve) => call.end(body, () => resolve()));
  await sleep(2);
  call.destroy();
}

describe('when the store has been emptied', () => {
  test('requests get RETRY, readiness says what to do, and nobody is restarted for it', async () => {
    await redis.command('FLUSHALL');
    expect(await answered('emptied')).toBe('RETRY');
    for (const index of [0, 1, 2]) {
      const missing = 'the store holds no ledger; `countersign ledger init` makes one';
      await says(index, { 'ledger:main': missing, 'policy:main': missing });
      expect((await fetch(`${ops(index)}/livez`)).status).toBe(200);
    }
    const all = (await (await fetch(`${cluster.up.ops}/readyz`)).json()) as { readonly status: string };
    expect(all.status).toBe('error');
  });

  test('a new ledger without a policy is no ledger to decide by, and says so', async () => {
    expect(await outcomeOf(['ledger', 'init', '--config', deployment.configFile])).toMatchObject({ code: 0 });
    expect(await answered('unruled')).toBe('RETRY');
    await says(0, {
      'policy:main': 'no policy is active in this ledger; `countersign policy activate` makes one so',
    });
    expect((await readJournal(deployment.configFile)).map(({ type }) => type)).toEqual(['ledger']);
  });

  test('an installer may make it twice, and it stays as it is', async () => {
    const before = await readJournal(deployment.configFile);
    const init = ['ledger', 'init', '--config', deployment.configFile];
    expect(await outcomeOf(init)).toMatchObject({ code: 1, stdout: '' });
    const again = await outcomeOf([...init, '--exist-ok', '--json']);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(again.stdout)).toMatchObject({ workspace: 'main', made: false });
    expect(await readJournal(deployment.configFile)).toEqual(before);
  });

  test('a policy activated in it is what they decide by', async () => {
    const activated = await outcomeOf([
      'policy',
      'activate',
      '--config',
      deployment.configFile,
      '--key',
      deployment.operatorKeyFile,
    ]);
    expect(activated).toMatchObject({ code: 0, stderr: '' });
    expect(await settled('emptied')).toBe('APPROVE');
    await allReady();
    await cluster.stop();
  });
});
