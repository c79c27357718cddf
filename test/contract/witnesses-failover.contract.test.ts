/** Fail-overs of a ledger that witnesses keep, with real Sentinels and a real Cluster: nobody has to do anything. */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Ledger } from '../../src/core/ports.js';
import type { RedisConnection } from '../../src/ledger/redis/connection.js';
import { createRedisLedger } from '../../src/ledger/redis/redis-ledger.js';
import { outcome } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import { activate, patiently } from '../support/ledger-bench.js';
import { charge, proposal } from '../support/proposals.js';
import { startCluster } from '../support/redis-cluster.js';
import { PRIMARY_NAME, startSentinels } from '../support/redis-sentinel.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const WORKSPACE = 'main';
/** Or again, after an attempt whose outcome the fail-over hid. */
const APPROVED = /^approve APPROVED/;

const ended: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function servers(count: number): Promise<readonly RedisServer[]> {
  const started = await Promise.all(Array.from({ length: count }, () => startRedis()));
  ended.push(() => Promise.all(started.map((server) => server.stop())));
  return started;
}

async function ledgerOn(connection: RedisConnection) {
  const witnesses = (await servers(3)).map(({ url }) => ({ url }));
  const open = (): Ledger => {
    const ledger = createRedisLedger({ workspace: WORKSPACE, connection, witnesses });
    ended.push(() => ledger.close());
    return ledger;
  };
  const ledger = open();
  await ledger.init();
  await activate(ledger);
  const ten = charge('ten', { max: '10' });
  const commit = (txId: string, replica = ledger) =>
    patiently(async () => {
      const { versions } = await replica.state();
      return outcome(replica.commit(proposal(txId, { versions, charges: [ten] })));
    });
  return { ledger, open, commit, ten };
}

async function sentinels() {
  const bed = await startSentinels();
  ended.push(() => bed.stop());
  const connection = { sentinel: { name: PRIMARY_NAME, nodes: bed.nodes }, commandTimeoutMs: 500 };
  return { bed, connection };
}

describe('behind Sentinels', () => {
  test('the primary dies, and the new one decides from where the old one was', async () => {
    const { bed, connection } = await sentinels();
    const { ledger, commit, ten } = await ledgerOn(connection);
    for (let index = 0; index < 5; index += 1) expect(await commit(`t${index}`)).toMatch(APPROVED);
    const old = await bed.primary();
    await old.kill('SIGKILL');
    expect(await commit('t0')).toBe('approve APPROVED again');
    expect(await commit('t5')).toMatch(APPROVED);
    expect(await eventually(() => ledger.usage([ten]))).toEqual(['6']);
    await old.restart();
    expect(await commit('t5')).toBe('approve APPROVED again');
  });

  test('a promoted replica that never saw the last decisions has them all the same', async () => {
    const { bed, connection } = await sentinels();
    const { ledger, commit, ten } = await ledgerOn(connection);
    await commit('t0');
    const old = await bed.primary();
    // The replicas hear nothing any more of what is decided now.
    await Promise.all(bed.servers.filter((server) => server !== old).map((server) => server.kill('SIGSTOP')));
    for (let index = 1; index < 8; index += 1) await commit(`t${index}`);
    await old.kill('SIGKILL');
    await Promise.all(bed.servers.filter((server) => server !== old).map((server) => server.kill('SIGCONT')));
    for (let index = 0; index < 8; index += 1)
      expect(await commit(`t${index}`)).toBe('approve APPROVED again');
    expect(await eventually(() => ledger.usage([ten]))).toEqual(['8']);
  });

  test('the primary hangs and comes back: what it still decides is answered to nobody', async () => {
    const { bed, connection } = await sentinels();
    const { ledger, open, commit, ten } = await ledgerOn(connection);
    await commit('t0');
    const old = await bed.primary();
    await old.kill('SIGSTOP');
    expect(await commit('t1')).toMatch(APPROVED);
    await old.kill('SIGCONT');
    const replies = await Promise.all(
      Array.from({ length: 12 }, (_, index) => commit(`new${index}`, open())),
    );
    expect(replies.filter((reply) => APPROVED.test(reply))).toHaveLength(8);
    expect(await eventually(() => ledger.usage([ten]))).toEqual(['10']);
  });

  test('the primary comes back empty before anybody noticed, and its replicas with it', async () => {
    const { bed, connection } = await sentinels();
    const { ledger, commit, ten } = await ledgerOn(connection);
    for (let index = 0; index < 5; index += 1) await commit(`t${index}`);
    const old = await bed.primary();
    await old.restart({ appendonly: 'no' });
    await eventually(async () => {
      for (let index = 0; index < 5; index += 1)
        expect(await commit(`t${index}`)).toBe('approve APPROVED again');
    });
    expect(await eventually(() => ledger.usage([ten]))).toEqual(['5']);
  });
});

describe('on a Cluster', () => {
  test('the primary of the slot dies, and its replica decides from where it was', async () => {
    const bed = await startCluster();
    ended.push(() => bed.stop());
    const connection = { cluster: { nodes: bed.nodes }, commandTimeoutMs: 500 };
    const { ledger, commit, ten } = await ledgerOn(connection);
    for (let index = 0; index < 5; index += 1) await commit(`t${index}`);
    const owner = await bed.ownerOf(`countersign:{${WORKSPACE}}:meta`);
    await owner.kill('SIGKILL');
    expect(await commit('t0')).toBe('approve APPROVED again');
    expect(await commit('t5')).toMatch(APPROVED);
    expect(await eventually(() => ledger.usage([ten]))).toEqual(['6']);
  });
});
