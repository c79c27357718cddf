/** Witness disks are lost while a cluster runs: what its operator is told, what he types, and what is answered then. */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { parse, stringify } from 'yaml';
import { withLedger } from '../../src/cli/ledger.js';
import { loadConfig } from '../../src/config/load.js';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { createLocks } from '../../src/locks/locks.js';
import { lockNodes } from '../../src/replica/stores.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { countersign, outcomeOf } from '../support/command.js';
import { approving, type Deployment, deliver, eventually, writeDeployment } from '../support/deployment.js';
import { eventually as soon } from '../support/eventually.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-lost-'));
const META = 'countersign-witness:{main}:meta';
let server: RedisServer;
let witnesses: readonly RedisServer[] = [];
let deployment: Deployment;
let cluster: Cluster;

beforeAll(async () => {
  [server, ...witnesses] = await Promise.all([startRedis(), startRedis(), startRedis(), startRedis()]);
  deployment = writeDeployment(dir, {
    ledger: {
      kind: 'redis',
      redis: { url: server.url },
      durability: { mode: 'witness', witnesses: witnesses.map(({ url }) => ({ url })) },
    },
    policy: approving({ all: "{ sum: count, max: '6', window: lifetime }" }),
    deadline: '2s',
  });
  generateKeyFiles('ed25519', join(dir, 'keys/checkpoint.pem'));
  const config = parse(readFileSync(deployment.configFile, 'utf8'));
  const audit = { directory: 'audit', checkpointKey: { file: 'keys/checkpoint.pem' } };
  writeFileSync(deployment.configFile, stringify({ ...config, audit }));
  cluster = await startCluster({ configFile: deployment.configFile, replicas: 2 });
});

afterAll(async () => {
  await cluster?.discard();
  await Promise.all([server, ...witnesses].map((each) => each?.stop()));
  rmSync(dir, { recursive: true, force: true });
});

async function answer(id: string): Promise<string> {
  const reply = await deliver(cluster.up.http, deployment.request(id)).catch(() => undefined);
  return reply?.status === 200 ? deployment.read(reply, id).action : 'none';
}

const ask = (id: string) =>
  eventually(
    `no answer to ${id}`,
    async () => {
      const action = await answer(id);
      return ['RETRY', 'none'].includes(action) ? undefined : action;
    },
    90_000,
  );

const arguments_ = (...more: readonly string[]) => {
  const { configFile, operatorKeyFile } = deployment;
  return ['ledger', 'activate', '--config', configFile, '--key', operatorKeyFile, ...more];
};
const activating = (...more: readonly string[]) => outcomeOf(arguments_(...more));
const sequence = () =>
  withLedger({ config: deployment.configFile }, async (each) => (await each.state()).sequence);
const disk = (index: number) => {
  const found = witnesses[index];
  if (found === undefined) throw new Error('there are three');
  return found;
};
/** Two disks are lost, and the command is killed as soon as the first one has the field. False: it was over by then. */
async function activationKilledAt(field: string): Promise<boolean> {
  await Promise.all([disk(0), disk(1)].map((each) => each.command('FLUSHALL')));
  const command = countersign(arguments_());
  let isOver = false;
  const ended = command.ended.finally(() => {
    isOver = true;
  });
  const redis = new Redis(disk(0).url);
  // Without a pause: what is waited for passes quickly.
  while (!isOver) if ((await redis.hexists(META, field)) === 1) command.signal('SIGKILL');
  redis.disconnect();
  const { code, stderr } = await ended;
  if (code !== 0 && code !== 'SIGKILL' && !stderr.includes('look again')) throw new Error(stderr);
  return code === 'SIGKILL';
}
const fieldOf = (index: number, name: string) => disk(index).command('HGET', META, name);
const verifying = () =>
  outcomeOf(['audit', 'verify', join(dir, 'audit'), '--json', '--config', deployment.configFile]);

/** An exporter that has failed for a while waits up to 30 s. */
async function exported(): Promise<void> {
  await eventually(
    'it was not exported',
    async () => {
      const { stdout } = await verifying();
      return stdout !== '' && JSON.parse(stdout).chains[0]?.sequence === (await sequence())
        ? true
        : undefined;
    },
    120_000,
  );
}

test('while a majority holds the log it is refused, and nothing changes', async () => {
  expect([await ask('a'), await ask('b')]).toEqual(['APPROVE', 'APPROVE']);
  const promised = await fieldOf(0, 'promised');
  const refused = await activating();
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('replicas recover the ledger from it by themselves');
  expect(await fieldOf(0, 'promised')).toBe(promised);
  const given = await outcomeOf(['ledger', 'import', join(dir, 'audit'), '--config', deployment.configFile]);
  expect(given).toMatchObject({ code: 2, stderr: expect.stringContaining('countersign ledger activate') });
});

test('a blank witness gets the log by a command, unless a replica is recovering the ledger meanwhile', async () => {
  const initWitness = () => outcomeOf(['ledger', 'init-witness', '--config', deployment.configFile]);
  const promised = await fieldOf(1, 'promised');
  await disk(0).command('FLUSHALL');
  // So long that it need not be extended: a node that a busy machine keeps from answering at once would end it.
  const locks = createLocks({ nodes: lockNodes(loadConfig(deployment.configFile)), ttlMs: 60_000 });
  try {
    const held = await soon(() => locks.hold('recovery:main', {}, initWitness));
    expect(held).toMatchObject({ kind: 'done', value: { code: 1, stdout: '' } });
    expect(held).toMatchObject({
      value: { stderr: expect.stringContaining('a replica is recovering the ledger at this moment') },
    });
  } finally {
    locks.close();
  }
  expect([await fieldOf(0, 'ledger'), await fieldOf(1, 'promised')]).toEqual([null, promised]);
  const done = await initWitness();
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout).toMatch(/^Recovered the ledger in epoch \d+, .*: witness 1 votes again\.$/m);
  expect([await ask('a'), await fieldOf(0, 'promised')]).toEqual(['APPROVE', await fieldOf(1, 'promised')]);
});

describe('two disks, and the server', () => {
  test('the operator is told what to type, and shown what is left', async () => {
    // What the third one has missed is in the audit trail alone.
    await disk(2).kill('SIGKILL');
    expect(await ask('c')).toBe('APPROVE');
    await exported();
    await disk(2).restart();
    // The server last: while a majority of the witnesses holds the log, replicas recover an empty one by themselves.
    await Promise.all([disk(0), disk(1)].map((each) => each.command('FLUSHALL')));
    await server.command('FLUSHALL');
    await eventually('it goes on', async () => ((await answer('a')) === 'RETRY' ? true : undefined));
    await eventually('readiness does not say it', async () =>
      (await (await fetch(`${cluster.up.ops}/readyz`)).text()).includes('countersign ledger activate')
        ? true
        : undefined,
    );
    const shown = await activating('--dry-run');
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toMatch(
      /^witnesses {3}1 is blank\n {12}2 is blank\n {12}3 holds 4 events, epoch \d+\n/m,
    );
    expect(shown.stdout).toMatch(/^server {6}holds nothing of it\naudit {7}the trail ends at event 5\n/m);
    expect(shown.stdout).toMatch(/^together {4}5 events are known, the last is 5, of /m);
    expect(shown.stdout).toMatch(
      /^lost {8}Whether more came after event 5, or others in place of the last ones, nobody knows\. /m,
    );
    expect(shown.stdout).toMatch(/goes on at event 6\nNothing was changed \(--dry-run\)\.\n$/);
    expect(await fieldOf(0, 'ledger')).toBeNull();
    expect(await answer('a')).toBe('RETRY');
  });

  test('nobody else’s word is taken, and no trail is left out unseen', async () => {
    generateKeyFiles('ed25519', join(dir, 'stranger.pem'));
    const { configFile } = deployment;
    const strange = ['ledger', 'activate', '--config', configFile, '--key', join(dir, 'stranger.pem')];
    expect(await outcomeOf(strange)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no configured operator signed it'),
    });
    renameSync(join(dir, 'audit'), join(dir, 'elsewhere'));
    const without = await activating();
    renameSync(join(dir, 'elsewhere'), join(dir, 'audit'));
    expect(without).toMatchObject({ code: 2, stdout: '' });
    expect(without.stderr).toContain(
      'there is no audit trail of workspace main: name its folders with --audit',
    );
    expect(await fieldOf(0, 'ledger')).toBeNull();
  });

  test('by his word the ledger is what is known, and goes on', async () => {
    const done = await activating();
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toMatch(
      /^Activated in epoch \d+: every witness holds the log, and the ledger decides\.$/m,
    );
    expect([await ask('a'), await ask('b'), await ask('c')]).toEqual(['APPROVE', 'APPROVE', 'APPROVE']);
    expect(await sequence()).toBe(6);
    expect([await ask('d'), await ask('e'), await ask('f'), await ask('g')]).toEqual([
      ...['APPROVE', 'APPROVE', 'APPROVE', 'REJECT'],
    ]);
    expect(await activating()).toMatchObject({ code: 1, stdout: '' });
    await server.command('FLUSHALL');
    expect([await ask('a'), await ask('g')]).toEqual(['APPROVE', 'REJECT']);
    await eventually('not ready', async () =>
      (await fetch(`${cluster.up.ops}/readyz`)).status === 200 ? true : undefined,
    );
    await exported();
    const operator = `own-operator=${join(dir, 'keys/own-operator.pub.pem')}`;
    const trail = await outcomeOf([
      ...['audit', 'verify', join(dir, 'audit'), '--config', deployment.configFile, '--operator', operator],
    ]);
    expect(trail.code).toBe(0);
    expect(trail.stdout).toContain('activation of the ledger');
  });
});

describe('the command dies', () => {
  beforeAll(async () => {
    await withLedger({ config: deployment.configFile }, async (each) => {
      for (let n = 0; n < 20; n += 1) {
        const ids = Array.from({ length: 50 }, (_, index) => `f${n}-${index}`);
        const freeze = { scope: '{}', reason: 'r', author: 'a', answers: 'retry' } as const;
        await Promise.all(ids.map((id) => each.freeze({ id, ...freeze })));
        await Promise.all(ids.map((id) => each.unfreeze(id, ['a.b.c'])));
      }
    });
  });

  test('before a witness has the log: nothing has changed, and it is typed again', async () => {
    const before = await sequence();
    const ledgers = () => Promise.all([fieldOf(0, 'ledger'), fieldOf(1, 'ledger')]);
    // On a busy machine the kill may come too late.
    while (!(await activationKilledAt('staging')) || (await ledgers()).some((each) => each !== null));
    expect(await answer('a')).toBe('RETRY');
    expect(await activating()).toMatchObject({ code: 0, stderr: '' });
    expect([await ask('a'), await ask('g')]).toEqual(['APPROVE', 'REJECT']);
    expect(await sequence()).toBeGreaterThan(before);
  });

  test('when a witness has the log, and the others are told to: replicas go on from it by themselves', async () => {
    while (!(await activationKilledAt('base')));
    expect([await ask('a'), await ask('g')]).toEqual(['APPROVE', 'REJECT']);
    expect(await activating()).toMatchObject({ code: 1, stdout: '' });
    const events = await withLedger({ config: deployment.configFile }, async (each) =>
      each.events((await each.state()).sequence - 5, 5),
    );
    expect(events.some(({ type }) => type === 'activation')).toBe(true);
    expect(await verifying()).toMatchObject({ code: 0 });
  });
});
