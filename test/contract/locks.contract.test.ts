/** Locks on three real servers: who gets one, how long, and what happens when holders, servers or clocks fail. */
import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { createLocks, type Locks, type LocksSettings, singleFlight } from '../../src/locks/locks.js';
import { eventually } from '../support/eventually.js';
import { aclAddition, aclLine } from '../support/guide.js';
import { commandOn, type RedisServer, startRedis } from '../support/redis-server.js';

const TTL_MS = 2_500;
/** Longer than in production: a process that has to wait for its turn on a busy machine must not take that for silence. */
const ANSWER_MS = 800;
const KEY = 'countersign:lock:janitor';
const LOST = { code: 'LOCK_LOST' };
const UNAVAILABLE = { code: 'LOCKS_UNAVAILABLE' };
const BUSY = { kind: 'busy' };

const ended: (() => unknown)[] = [];
afterEach(async () => {
  jest.restoreAllMocks();
  for (const end of ended.splice(0).reverse()) await end();
});

type Three = readonly [RedisServer, RedisServer, RedisServer];

async function three(settings: Readonly<Record<string, string>> = {}): Promise<Three> {
  const start = async () => {
    const server = await startRedis({ settings: { appendonly: 'no', ...settings } });
    ended.push(() => server.stop());
    return server;
  };
  return Promise.all([start(), start(), start()]);
}

/** The locks of one replica. */
function locksOn(servers: readonly RedisServer[], settings: Partial<LocksSettings> = {}): Locks {
  const locks = createLocks({
    nodes: servers.map(({ url }) => ({ url })),
    ttlMs: TTL_MS,
    answerMs: ANSWER_MS,
    ...settings,
  });
  ended.push(() => locks.close());
  return locks;
}

/** Work that runs until it is told to end, or its signal says so. */
function lasting() {
  const { promise: end, resolve: finish } = Promise.withResolvers<string>();
  const { promise: started, resolve: begin } = Promise.withResolvers<AbortSignal>();
  const work = (signal: AbortSignal) => {
    begin(signal);
    return end;
  };
  return { work, started, finish };
}

const nothing = async () => 'done';

describe('a lock', () => {
  test('is held by one of many, and free when the work has ended, well or not', async () => {
    const servers = await three();
    const [one, other] = [locksOn(servers), locksOn(servers)];
    const { work, started, finish } = lasting();
    const holding = one.hold('janitor', {}, work);
    await started;
    expect(await other.hold('janitor', {}, nothing)).toEqual(BUSY);
    expect(await one.hold('janitor', {}, nothing)).toEqual(BUSY);
    expect(await other.hold('another', {}, nothing)).toEqual({ kind: 'done', value: 'done' });
    finish('value');
    expect(await holding).toEqual({ kind: 'done', value: 'value' });
    const failing = async () => {
      throw new Error('of the work');
    };
    await expect(other.hold('janitor', {}, failing)).rejects.toThrow('of the work');
    await expect(
      other.hold('janitor', {}, () => {
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
    expect(await one.hold('janitor', {}, nothing)).toMatchObject({ kind: 'done' });
    for (const { command } of servers) expect(await command('EXISTS', KEY)).toBe(0);
  });

  test('never two at once, whoever of many asks and asks again', async () => {
    const servers = await three();
    const replicas = Array.from({ length: 5 }, () => locksOn(servers));
    let [running, most, done] = [0, 0, 0];
    const work = async () => {
      running += 1;
      most = Math.max(most, running);
      await pause(10);
      running -= 1;
      done += 1;
    };
    await Promise.all(
      replicas.map(async (locks) => {
        for (let round = 0; round < 20; round += 1) {
          await locks.hold('janitor', {}, work);
          await pause(Math.random() * 20);
        }
      }),
    );
    expect(most).toBe(1);
    expect(done).toBeGreaterThan(5);
  });

  test('is kept for as long as the work runs', async () => {
    const servers = await three();
    const [one, other] = [locksOn(servers), locksOn(servers)];
    const { work, started, finish } = lasting();
    const holding = one.hold('janitor', {}, work);
    const signal = await started;
    const until = Date.now() + 2 * TTL_MS;
    while (Date.now() < until) {
      expect(await other.hold('janitor', {}, nothing)).toEqual(BUSY);
      await pause(50);
    }
    expect(signal.aborted).toBe(false);
    finish('long');
    expect(await holding).toEqual({ kind: 'done', value: 'long' });
  });

  test('is free some time after its holder died', async () => {
    const servers = await three();
    const [one, other] = [locksOn(servers), locksOn(servers)];
    const { work, started } = lasting();
    const dying = one.hold('janitor', {}, work).catch((error: unknown) => error);
    await started;
    one.close();
    expect(await other.hold('janitor', {}, nothing)).toEqual(BUSY);
    await eventually(async () =>
      expect(await other.hold('janitor', {}, nothing)).toMatchObject({ kind: 'done' }),
    );
    expect(await dying).toMatchObject(LOST);
  });

  test('is told to end by whoever asked for the work', async () => {
    const servers = await three();
    const locks = locksOn(servers);
    const cancel = new AbortController();
    const work = async (signal: AbortSignal) => {
      cancel.abort(new Error('shutting down'));
      signal.throwIfAborted();
    };
    await expect(locks.hold('janitor', { signal: cancel.signal }, work)).rejects.toThrow('shutting down');
    await expect(locks.hold('janitor', { signal: cancel.signal }, nothing)).rejects.toThrow('shutting down');
    expect(await locks.hold('janitor', {}, nothing)).toMatchObject({ kind: 'done' });
  });

  test('without nodes is one of this process', async () => {
    const locks = createLocks({ nodes: [] });
    const { work, started, finish } = lasting();
    const holding = locks.hold('janitor', {}, work);
    await started;
    expect(await locks.hold('janitor', {}, nothing)).toEqual(BUSY);
    finish('value');
    expect(await holding).toEqual({ kind: 'done', value: 'value' });
    expect(await locks.hold('janitor', {}, nothing)).toMatchObject({ kind: 'done' });
  });

  test('an even number of nodes, a short life and a name that is none are defects', async () => {
    const [one, two] = await three();
    expect(() => createLocks({ nodes: [{ url: one.url }, { url: two.url }] })).toThrow('an odd number');
    expect(() => createLocks({ nodes: [{ url: one.url }], ttlMs: 100 })).toThrow('at least 500 ms');
    await expect(locksOn([one]).hold('a b', {}, nothing)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});

describe('a lost lock', () => {
  test('aborts the work, and is an error whatever the work does then', async () => {
    const servers = await three();
    const locks = locksOn(servers);
    const { work, started } = lasting();
    const holding = locks.hold('janitor', {}, work).catch((error: unknown) => error);
    const signal = await started;
    const [one, two] = servers;
    await Promise.all([one.command('DEL', KEY), two.command('DEL', KEY)]);
    expect(await holding).toMatchObject({ ...LOST, message: 'the lock janitor was lost while its work ran' });
    expect(signal.reason).toMatchObject(LOST);
  });

  test('to another holder is not taken back', async () => {
    const servers = await three();
    const locks = locksOn(servers);
    const { work, started } = lasting();
    const holding = locks.hold('janitor', {}, work).catch((error: unknown) => error);
    await started;
    for (const { command } of servers) await command('SET', KEY, 'another');
    expect(await holding).toMatchObject(LOST);
    for (const { command } of servers) expect(await command('GET', KEY)).toBe('another');
  });

  test('while this process was suspended is an error, though the work has ended and nobody noticed', async () => {
    const servers = await three();
    const locks = locksOn(servers);
    const work = async () => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TTL_MS + 50);
      return 'too late';
    };
    await expect(locks.hold('janitor', {}, work)).rejects.toMatchObject(LOST);
    expect(await locks.hold('janitor', {}, nothing)).toMatchObject({ kind: 'done' });
  });

  test('by a clock that jumps ahead; one that jumps back changes nothing', async () => {
    const servers = await three();
    const locks = locksOn(servers);
    const { work, started, finish } = lasting();
    const back = locks.hold('janitor', {}, work);
    const signal = await started;
    const { now } = Date;
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000);
    await pause(1.5 * TTL_MS);
    expect(signal.aborted).toBe(false);
    finish('value');
    expect(await back).toMatchObject({ kind: 'done' });

    clock.mockRestore();
    const second = lasting();
    const ahead = locks.hold('janitor', {}, second.work).catch((error: unknown) => error);
    await second.started;
    jest.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
    expect(await ahead).toMatchObject(LOST);
  });
});

describe('work that is rather done twice than not at all', () => {
  test('is done by one at a time', async () => {
    const servers = await three();
    const troubled = jest.fn();
    const [one, other] = [locksOn(servers), locksOn(servers)].map((locks) => singleFlight(locks, troubled));
    const { work, started, finish } = lasting();
    const running = one?.run('recovery:main', work);
    await started;
    expect(await other?.run('recovery:main', nothing)).toBe('busy');
    finish('value');
    expect(await running).toBe('value');
    await expect(other?.run('recovery:main', () => Promise.reject(new Error('its own')))).rejects.toThrow(
      'its own',
    );
    expect(troubled).not.toHaveBeenCalled();
  });

  test('is done once, and to its end, when the lock is lost', async () => {
    const servers = await three();
    const troubled = jest.fn();
    const { work, started, finish } = lasting();
    let times = 0;
    const running = singleFlight(locksOn(servers), troubled).run('janitor', (signal) => {
      times += 1;
      return work(signal);
    });
    const signal = await started;
    for (const { command } of servers) await command('DEL', KEY);
    await eventually(async () => expect(signal.aborted).toBe(true));
    finish('all the same');
    expect(await running).toBe('all the same');
    expect(times).toBe(1);
    expect(troubled.mock.calls).toEqual([[expect.objectContaining(LOST)]]);
  });

  test('is done without the nodes', async () => {
    const servers = await three();
    for (const { kill } of servers) await kill('SIGKILL');
    const troubled = jest.fn();
    expect(await singleFlight(locksOn(servers), troubled).run('janitor', nothing)).toBe('done');
    expect(troubled.mock.calls).toEqual([[expect.objectContaining(UNAVAILABLE)]]);
  });
});

describe('servers', () => {
  test('one of three may be down', async () => {
    const servers = await three();
    const [one] = servers;
    await one.kill('SIGKILL');
    const [locks, other] = [locksOn(servers), locksOn(servers)];
    const first = lasting();
    const holding = locks.hold('janitor', {}, first.work);
    await first.started;
    expect(await other.hold('janitor', {}, nothing)).toEqual(BUSY);
    await pause(2 * TTL_MS);
    first.finish('value');
    expect(await holding).toMatchObject({ kind: 'done' });
    // And comes back into use by itself.
    await one.restart();
    await eventually(async () => {
      const seen = await locks.hold('janitor', {}, () => one.command('EXISTS', KEY));
      expect(seen).toEqual({ kind: 'done', value: 1 });
    });
  });

  test('one of three may forget', async () => {
    const servers = await three();
    const [locks, other] = [locksOn(servers), locksOn(servers)];
    const { work, started, finish } = lasting();
    const holding = locks.hold('janitor', {}, work);
    await started;
    await servers[0].command('FLUSHALL');
    expect(await other.hold('janitor', {}, nothing)).toEqual(BUSY);
    await pause(2 * TTL_MS);
    finish('value');
    expect(await holding).toMatchObject({ kind: 'done' });
  });

  test('one that hangs costs nothing but its time-out, and nothing of a lock stays on it', async () => {
    const servers = await three();
    const [one] = servers;
    const [locks, other] = [locksOn(servers), locksOn(servers)];
    await locks.hold('first', {}, nothing);
    await one.kill('SIGSTOP');
    const { work, started, finish } = lasting();
    const holding = locks.hold('janitor', {}, work);
    const signal = await started;
    expect(await other.hold('janitor', {}, nothing)).toEqual(BUSY);
    await pause(1.5 * TTL_MS);
    expect(signal.aborted).toBe(false);
    finish('value');
    expect(await holding).toMatchObject({ kind: 'done' });
    await one.kill('SIGCONT');
    await eventually(async () => expect(await one.command('EXISTS', KEY)).toBe(0));
    expect(await other.hold('janitor', {}, nothing)).toMatchObject({ kind: 'done' });
  });

  test.each<['SIGKILL' | 'SIGSTOP', RegExp]>([
    ['SIGKILL', /ECONNREFUSED/],
    ['SIGSTOP', /timed ?out/i],
  ])('most of them gone by %s: an error, and locks again when they are back', async (how, why) => {
    const servers = await three();
    const [one, two] = servers;
    const locks = locksOn(servers);
    await locks.hold('first', {}, nothing);
    const { work, started } = lasting();
    const holding = locks.hold('janitor', {}, work).catch((error: unknown) => error);
    await started;
    await Promise.all([one.kill(how), two.kill(how)]);
    expect(await holding).toMatchObject(LOST);
    for (const each of [locks, locksOn(servers)]) {
      // Why a connection broke is told until the first attempt to have another one.
      await eventually(async () => {
        const error = await each.hold('another', {}, nothing).catch((failure: unknown) => failure);
        expect(error).toMatchObject(UNAVAILABLE);
        expect(String(error)).toMatch(why);
        expect(String(error)).toContain(`most of the 3 lock nodes do not answer (${one.url}: `);
      });
    }
    await Promise.all([one, two].map((each) => (how === 'SIGKILL' ? each.restart() : each.kill('SIGCONT'))));
    await eventually(async () =>
      expect(await locks.hold('janitor', {}, nothing)).toMatchObject({ kind: 'done' }),
    );
  });

  test('a replica among them is as good as none', async () => {
    const servers = await three();
    const [one, two, other] = servers;
    for (const { command } of [one, two]) await command('REPLICAOF', '127.0.0.1', String(other.port));
    await expect(locksOn(servers).hold('janitor', {}, nothing)).rejects.toThrow(/READONLY|MASTERDOWN/);
  });

  test('a witness’s user may hold locks with the guide’s addition, and touch nothing else by it', async () => {
    const servers = await three();
    for (const { command } of servers) {
      await command(...aclLine('countersign-witness', 'secret'));
      await command(...aclAddition('countersign-witness'));
    }
    const access = { username: 'countersign-witness', password: () => 'secret' };
    const locks = locksOn(servers, { nodes: servers.map(({ url }) => ({ url, ...access })) });
    expect(await locks.hold('recovery:main', {}, () => pause(2 * TTL_MS))).toMatchObject({ kind: 'done' });
    const denied = ['SET', 'countersign-witness:{main}:log', 'x'] as const;
    await expect(
      commandOn(servers[0].port, { username: access.username, password: 'secret' }, denied),
    ).rejects.toThrow('NOPERM');
  });

  test('the user of the guide suffices, and a wrong password stands in no error', async () => {
    const servers = await three();
    for (const { command } of servers) await command(...aclLine('countersign-locks', 'right-secret'));
    let secret = 'wrong-secret';
    const access = { username: 'countersign-locks', password: () => secret };
    const locks = locksOn(servers, { nodes: servers.map(({ url }) => ({ url, ...access })) });
    const error = await locks.hold('janitor', {}, nothing).catch((failure: unknown) => failure);
    expect(error).toMatchObject(UNAVAILABLE);
    expect(inspect(error, { depth: 10, showHidden: true })).toContain('WRONGPASS');
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('wrong-secret');
    secret = 'right-secret';
    await eventually(async () =>
      expect(await locks.hold('janitor', {}, () => pause(2 * TTL_MS))).toMatchObject({ kind: 'done' }),
    );
    const [{ port }] = servers;
    const denied = ['SET', 'countersign:{main}:meta', 'x'] as const;
    await expect(commandOn(port, { username: access.username, password: secret }, denied)).rejects.toThrow(
      'NOPERM',
    );
  });
});
