/** What one Redis can do to a replica: be away, come back, hang, forget, refuse, hold what we did not write. */
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Ledger } from '../../src/core/ports.js';
import { connect } from '../../src/ledger/redis/connection.js';
import { createRedisLedger } from '../../src/ledger/redis/redis-ledger.js';
import { cuttingProxy } from '../support/cutting-proxy.js';
import { eventually } from '../support/eventually.js';
import { activate, type Bench, bench, type RedisStore, redisStore } from '../support/ledger-bench.js';
import { charge, proposal } from '../support/proposals.js';
import { startRedis } from '../support/redis-server.js';

const UNAVAILABLE = { code: 'LEDGER_UNAVAILABLE' };

describe('faults of one Redis', () => {
  let store: RedisStore;
  let current: Bench;

  beforeAll(async () => {
    store = await redisStore();
  });
  afterAll(() => store.stop());
  beforeEach(async () => {
    current = await bench(store);
  });
  afterEach(() => current.close());

  const commit = (txId: string, ledger: Ledger = current.ledger) =>
    ledger.commit(proposal(txId, { versions: current.versions, charges: [charge('c')] }));

  const meta = async () => String((await keysOf('meta'))[0]);
  const keysOf = async (name: string) => {
    const keys = (await store.server.command('KEYS', `*:${name}`)) as readonly string[];
    return [...keys].sort((a, b) => numberOf(b) - numberOf(a));
  };

  test('killed and started again: unavailable meanwhile, then everything is still there', async () => {
    const first = await commit('t');
    await store.server.kill('SIGKILL');
    const took: number[] = [];
    for (const call of [() => commit('t'), () => current.ledger.state(), () => current.ledger.check()]) {
      const started = performance.now();
      await expect(call()).rejects.toMatchObject(UNAVAILABLE);
      took.push(performance.now() - started);
    }
    // None was queued: each would have waited for its own two seconds, and a busy machine does not keep each of them so long.
    expect(Math.min(...took)).toBeLessThan(2_000);
    await store.server.restart();
    const again = await eventually(() => commit('t'));
    expect(again).toMatchObject({ repeated: true, decision: 'decision' in first && first.decision });
    expect(await current.ledger.usage([charge('c')])).toEqual(['1']);
  });

  test('not there when the replica starts: unavailable, and found without help when it comes', async () => {
    const server = await startRedis();
    await server.kill('SIGKILL');
    const ledger = createRedisLedger({ workspace: 'late', connection: { url: server.url } });
    await expect(ledger.init()).rejects.toMatchObject(UNAVAILABLE);
    await expect(ledger.check()).rejects.toMatchObject(UNAVAILABLE);
    await server.restart();
    await eventually(() => ledger.init());
    await ledger.close();
    await expect(ledger.state()).rejects.toMatchObject(UNAVAILABLE);
    await server.stop();
  });

  test('hanging: unavailable after the time-out, and what it did meanwhile is found by asking again', async () => {
    const { url } = store.server;
    const ledger = createRedisLedger({
      workspace: workspaceOf(await meta()),
      connection: { url, commandTimeoutMs: 100 },
    });
    await eventually(() => ledger.state());
    await store.server.kill('SIGSTOP');
    try {
      await expect(commit('t', ledger)).rejects.toMatchObject(UNAVAILABLE);
    } finally {
      await store.server.kill('SIGCONT');
    }
    const reply = await eventually(() => commit('t', ledger));
    expect(reply).toMatchObject({ kind: 'decided', repeated: true });
    expect((await current.ledger.state()).sequence).toBe(3);
    await ledger.close();
  });

  test('a connection cut before the reply: unavailable, the script ran once, and asking again finds it', async () => {
    const cut = await cuttingProxy(store.server.port);
    const ledger = createRedisLedger({ workspace: workspaceOf(await meta()), connection: { url: cut.url } });
    await ledger.lookup('x');
    await commit('loads-the-script');
    const before = await scriptCalls();
    cut.armed = true;
    await expect(commit('t', ledger)).rejects.toMatchObject(UNAVAILABLE);
    await eventually(() => ledger.lookup('x'));
    expect((await scriptCalls()) - before).toBe(2);
    expect(await commit('t', ledger)).toMatchObject({ repeated: true });
    await ledger.close();
    await cut.stop();
  });

  test('emptied: no ledger any more, not a new one', async () => {
    const { ledger } = current;
    await commit('t');
    await store.server.command('FLUSHALL');
    await expect(commit('t')).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
    await expect(ledger.state()).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
    await ledger.init();
    expect(await activate(ledger)).toEqual({ sequence: 2 });
  });

  test('its identity lost but not its journal: nobody may begin anew on top', async () => {
    await store.server.command('DEL', await meta());
    await expect(commit('t')).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
    await expect(current.ledger.init()).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
  });

  test('scripts forgotten: sent again', async () => {
    await commit('t');
    await store.server.command('SCRIPT', 'FLUSH');
    expect(await commit('t')).toMatchObject({ repeated: true });
  });

  test('a script killed by an operator: unavailable, not corrupt', async () => {
    const ready = Promise.withResolvers<void>();
    const connection = connect({ url: store.server.url, commandTimeoutMs: 60_000 }, async () =>
      ready.resolve(),
    );
    await store.server.command('CONFIG', 'SET', 'busy-reply-threshold', '10');
    try {
      await ready.promise;
      const killed = connection.call('EVAL', ['while true do end', '0']);
      const refused = expect(killed).rejects.toMatchObject({
        ...UNAVAILABLE,
        message: expect.stringContaining('killed by user'),
      });
      await eventually(() => store.server.command('SCRIPT', 'KILL'));
      await refused;
    } finally {
      await store.server.command('CONFIG', 'SET', 'busy-reply-threshold', '5000');
      await connection.close();
    }
  });

  test('out of memory: unavailable, and nothing is half written', async () => {
    await store.server.command('CONFIG', 'SET', 'maxmemory', '1');
    try {
      await expect(commit('t')).rejects.toMatchObject(UNAVAILABLE);
    } finally {
      await store.server.command('CONFIG', 'SET', 'maxmemory', '0');
    }
    expect((await current.ledger.state()).sequence).toBe(2);
    expect(await current.ledger.usage([charge('c')])).toEqual(['0']);
  });

  test('turned into a replica: it decides nothing, repeats nothing and tells nothing', async () => {
    await commit('t');
    await store.server.command('CONFIG', 'SET', 'replica-serve-stale-data', 'yes');
    const dead = await startRedis();
    await dead.stop();
    await store.server.command('REPLICAOF', '127.0.0.1', String(dead.port));
    try {
      for (const attempt of [() => commit('t'), () => commit('u'), () => current.ledger.state()]) {
        await expect(attempt()).rejects.toMatchObject(UNAVAILABLE);
      }
      const problems = await eventually(() => current.ledger.check());
      expect(problems).toEqual([
        {
          code: 'ROLE',
          text: "The Redis server's role is slave. Connect to the primary, not to a replica.",
          blocks: true,
        },
      ]);
    } finally {
      await store.server.command('REPLICAOF', 'NO', 'ONE');
    }
    // It was promoted: what it decided before may not be what the old primary decided last.
    await eventually(() => current.ledger.state());
    await expect(commit('t')).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
  });

  test('its clock behind the last recorded instant: the clock of the ledger does not step back', async () => {
    const key = await meta();
    const ahead = Date.now() + 1900;
    await store.server.command('HSET', key, 'clock', String(ahead));
    expect(await commit('t')).toMatchObject({ ledgerNowMs: ahead });
    await store.server.command('HSET', key, 'clock', String(ahead + 30_000));
    await expect(commit('u')).rejects.toMatchObject({ code: 'CLOCK_SKEW' });
    // Also where nobody asks, or readiness would say that decisions are made.
    const [problem, ...others] = await current.ledger.check();
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ code: 'CLOCK', blocks: true });
    expect(problem?.text).toMatch(/^The ledger's clock is [123]\d\.\d s ahead of this machine's\./);
  });

  test('the clock does not step back behind an instant at which entries were dropped', async () => {
    const window = { kind: 'rolling', lengthMs: 1 } as const;
    const need = { kind: 'amount', amount: '1' } as const;
    await current.ledger.fill([{ counter: 'c', window, moneyKey: 'm', atMs: 1, need }]);
    const charges = [charge('c', { window }), charge('full', { max: '1', whenFull: 'retry' })];
    const attempt = (txId: string) =>
      current.ledger.commit(proposal(txId, { versions: current.versions, charges }));
    await attempt('t');
    await new Promise((resolve) => setTimeout(resolve, 5));
    const dropping = await attempt('u');
    expect(dropping.kind).toBe('retry');
    expect(await store.server.command('HGET', await meta(), 'clock')).toBe(String(dropping.ledgerNowMs));
  });

  test('a long log of expired entries is dropped in bounded steps', async () => {
    const window = { kind: 'rolling', lengthMs: 1000 } as const;
    await current.ledger.fill(
      Array.from({ length: 1200 }, (_, index) => ({
        counter: 'long',
        window,
        moneyKey: `m${index}`,
        atMs: 1,
        need: { kind: 'amount', amount: '1' } as const,
      })),
    );
    const before = await scriptCalls();
    await current.ledger.commit(
      proposal('t', { versions: current.versions, charges: [charge('long', { window, max: '1' })] }),
    );
    expect((await scriptCalls()) - before).toBe(3);
  });

  test.each([
    ['a record of another type', async (key: string) => store.server.command('SET', key, 'x'), 'asks'],
    ['another format', async (key: string) => store.server.command('HSET', key, 'format', '1'), 'meta'],
  ])('%s: corrupt, and nothing is written', async (_, spoil, name) => {
    const key = name === 'meta' ? await meta() : (await meta()).replace(/meta$/, `0:${name}`);
    await spoil(key);
    await expect(commit('t')).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
    expect(await store.server.command('HGET', await meta(), 'sequence')).toBe('2');
  });

  test('a wrong password: unavailable, and the password stands in no error', async () => {
    const server = await startRedis({ settings: { requirepass: 'right-secret' } });
    const ledger = createRedisLedger({
      workspace: 'locked',
      connection: { url: server.url, password: () => 'wrong-secret' },
    });
    const error = await ledger.state().catch((failure: unknown) => failure);
    expect(error).toMatchObject(UNAVAILABLE);
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('wrong-secret');
    await ledger.close();
    const opened = createRedisLedger({
      workspace: 'locked',
      connection: { url: server.url, password: () => 'right-secret' },
    });
    await opened.init();
    await opened.close();
    await server.stop();
  });

  test.each([
    [
      'appendonly',
      'no',
      'Redis keeps no append-only file, so a restart forgets decisions. Set `appendonly yes`.',
    ],
    [
      'maxmemory-policy',
      'allkeys-lru',
      'Redis may evict keys (maxmemory-policy is allkeys-lru): an evicted counter is a limit reset. Set `maxmemory-policy noeviction`.',
    ],
  ])('unsafe settings are named: %s %s', async (name, value, problem) => {
    await store.server.command('CONFIG', 'SET', 'maxmemory', '100mb');
    const [, before = ''] = (await store.server.command('CONFIG', 'GET', name)) as readonly string[];
    await store.server.command('CONFIG', 'SET', name, value);
    try {
      const problems = await current.ledger.check();
      expect(problems.map(({ text, blocks }) => [text, blocks])).toEqual([[problem, true]]);
    } finally {
      await store.server.command('CONFIG', 'SET', name, before);
      await store.server.command('CONFIG', 'SET', 'maxmemory', '0');
    }
  });

  /** How many scripts the server has run. */
  async function scriptCalls(): Promise<number> {
    const info = String(await store.server.command('INFO', 'commandstats'));
    const calls = [...info.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)];
    return calls.reduce((total, [, count]) => total + Number(count), 0);
  }
});

/** Workspaces of the bench are numbered: the newest is the one under test. */
function numberOf(key: string): number {
  return Number(/(\d+)\}/.exec(key)?.[1] ?? 0);
}

function workspaceOf(key: string): string {
  return /\{(.*)\}/.exec(key)?.[1] ?? '';
}
