/** Everything that is read when deciding, anew from the journal, while replicas decide: exactly what was there before it was damaged. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import type { KeptEvent, RebuildOrder, Rebuilt } from '../../src/core/fence.js';
import type { Ledger } from '../../src/core/ports.js';
import { atLast, outcome } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import { codeOf } from '../support/fail-over.js';
import { age, forgetAll } from '../support/forgetting.js';
import { EVER, generation } from '../support/generations.js';
import {
  activate,
  type Bench,
  bench,
  PATIENT,
  type RedisStore,
  redisStore,
} from '../support/ledger-bench.js';
import { ledgerKeys } from '../support/ledger-keys.js';
import { charge, HOUR, LIFETIME, proposal, REJECT } from '../support/proposals.js';

let store: RedisStore;
let current: Bench;

beforeEach(async () => {
  store = await redisStore({}, PATIENT);
  current = await bench(store);
});
afterEach(async () => {
  await current.close();
  await store.stop();
});

const keys = () => ledgerKeys(store.server.url, current.workspace);
const meta = () => `countersign:{${current.workspace}}:meta`;
const inEpoch = (key: string, epoch = 0) => `countersign:{${current.workspace}}:${epoch}:${key}`;
const order = async (kind: 'replace' | 'compare', ledger: Ledger = current.ledger): Promise<Rebuilt> => {
  if (ledger.fence === undefined) throw new Error('it has no fence');
  return ledger.fence.rebuild({ kind } satisfies RebuildOrder);
};
const differences = async () => {
  const compared = await order('compare');
  return compared.kind === 'compared' && compared.certain ? compared.differences : compared;
};
const decide = (txId: string, parts: Partial<Parameters<typeof proposal>[1]> = {}) =>
  outcome(atLast(() => current.ledger.commit(proposal(txId, { versions: current.versions, ...parts }))));

/** Every key of the server as Redis would move it to another one; the numbers that a claim leaves aside. */
async function everything(): Promise<Readonly<Record<string, unknown>>> {
  const redis = new Redis(store.server.url);
  try {
    const names = (await redis.keys('*')).sort();
    const dumps = await Promise.all(
      names.map(async (name) => {
        if (name !== meta()) return [name, (await redis.dumpBuffer(name))?.toString('hex')] as const;
        const { claim: _, claimed: __, ...rest } = await redis.hgetall(name);
        return [name, rest] as const;
      }),
    );
    return Object.fromEntries(dumps);
  } finally {
    redis.disconnect();
  }
}

/** What somebody with a shell on the server might do. */
async function damage(epoch: number): Promise<void> {
  const { server } = store;
  await server.command('HSET', inEpoch('held:enforce:lifetime:ever', epoch), '', '1');
  await server.command('DEL', inEpoch('held:enforce:lifetime:new', epoch));
  await server.command('DEL', inEpoch('members:enforce:lifetime:places', epoch));
  await server.command('HDEL', inEpoch('asks', epoch), 'test:transaction:signing:t1-0:');
  await server.command('HSET', inEpoch('bindings', epoch), 'test:t1-0', '9 another');
  await server.command('HSET', inEpoch('facts', epoch), 'outpoint:0', '6');
  await server.command('DEL', inEpoch('freezes', epoch), inEpoch('policy', epoch));
  await server.command('HSET', inEpoch('transactions', epoch), 'made up', 'c - - - - - 3');
  await server.command('HSET', meta(), 'policy', '2');
}

describe('a rebuild', () => {
  test('restores every key that was damaged, behind a checkpoint too, and says before which', async () => {
    await generation(current.ledger, 0);
    const aged = await age();
    await decide('always', {
      ask: { askKey: 'also', amount: '99' },
      charges: [EVER],
      versions: (await current.ledger.state()).versions,
    });
    expect(await forgetAll(current.ledger, aged)).toMatchObject([{ kind: 'trimmed' }, {}]);
    await generation(current.ledger, 1);
    for (const epoch of [0, 2]) {
      const before = await keys();
      const state = await current.ledger.state();
      expect(await differences()).toEqual([]);
      const present = Number(await store.server.command('HGET', meta(), 'epoch'));
      expect(present === 0).toBe(epoch === 0);
      await damage(present);
      const found = await differences();
      expect(found).toMatchObject([
        { key: 'asks', missing: 1, added: 0, different: 0 },
        { key: 'bindings', missing: 0, added: 0, different: 1 },
        { key: 'facts', different: 1 },
        { key: 'freezes', missing: 1 },
        {
          key: 'held:enforce:lifetime:ever',
          missing: 0,
          added: 0,
          different: 0,
          total: { ledger: '1', journal: (before['held:enforce:lifetime:ever'] as { '': string })[''] },
        },
        { key: 'held:enforce:lifetime:new', missing: 1, total: { ledger: '0', journal: '6' } },
        { key: 'members:enforce:lifetime:places', missing: 3, total: { ledger: '0', journal: '3' } },
        { key: 'policy', missing: 1 },
        { key: 'transactions', added: 1 },
        { key: 'version of policy', total: { ledger: '2' } },
      ]);
      expect(JSON.stringify(found)).not.toMatch(/outpoint|made up|t1-0/);
      expect(await order('replace')).toMatchObject({ kind: 'replaced', sequence: state.sequence });
      expect(await keys()).toEqual(before);
      expect(await differences()).toEqual([]);
      const { policy, freezes, sequence } = await current.ledger.state();
      expect({ policy, freezes, sequence }).toEqual({
        policy: state.policy,
        freezes: state.freezes,
        sequence: state.sequence,
      });
      expect((await store.server.command('KEYS', inEpoch('*', present))) as string[]).toEqual([]);
    }
    const { versions } = await current.ledger.state();
    expect(await decide('t1-0', { versions, frozen: true, charges: [EVER] })).toBe('retry FREEZE_RETRIES');
    expect(await decide('t1-2', { versions, ask: { fingerprint: 'another-content' } })).toBe(
      'conflict CONFLICT_CONTENT again',
    );
  });

  test('that only compares changes nothing', async () => {
    await generation(current.ledger, 0);
    await damage(0);
    const before = await everything();
    expect(await order('compare')).toMatchObject({ kind: 'compared', certain: true });
    expect(await everything()).toEqual(before);
  });

  test('takes no entry for a difference whose time is over, whoever dropped it', async () => {
    const short = charge('short', { amount: '5', window: { kind: 'rolling', lengthMs: 3_000 } });
    const lately = charge('lately', { members: ['a'], window: { kind: 'rolling', lengthMs: 3_000 } });
    const hourly = charge('hourly', { amount: '7' });
    for (const txId of ['a', 'b', 'c']) await decide(txId, { charges: [short, lately, hourly] });
    await new Promise((resolve) => setTimeout(resolve, 3_100));
    // It drops what is over, and is not charged itself.
    expect(await decide('d', { charges: [short, charge('full', { max: '0' })] })).toBe(
      'reject LIMIT_EXCEEDED',
    );
    await decide('e', { charges: [short] });
    expect(await differences()).toEqual([]);
    // Its entry is as young again as can be when it is compared.
    await decide('e', { ask: { askKey: 'another stage' }, charges: [short] });
    await store.server.command('HINCRBY', inEpoch('held:enforce:rolling:hourly'), '', '-7');
    await store.server.command('HSET', inEpoch('held:enforce:rolling:short'), '', '0');
    expect(await differences()).toMatchObject([
      { key: 'held:enforce:rolling:hourly', total: { ledger: '14', journal: '21' } },
      { key: 'held:enforce:rolling:short', total: { ledger: '0', journal: '5' } },
    ]);
  });

  test('goes on while replicas decide: no total above a limit, nothing that was answered is missing', async () => {
    const limit = charge('limit', { amount: '3', max: '600', window: LIFETIME });
    const busy = charge('busy', { max: '1000000' });
    const answers = new Map<string, string>();
    // The last two of a rebuild that holds it for long, because the machine is busy.
    const again = ['stale', 'CLOCK_SKEW', 'LEDGER_FENCED'];
    let stopped = false;
    const replicas = [0, 1, 2].map(async (replica) => {
      const ledger = current.another();
      let { versions } = await ledger.state();
      for (let n = 0; !stopped; n += 1) {
        const txId = `t${replica}-${n}`;
        for (;;) {
          const reply = await outcome(
            ledger.commit(proposal(txId, { versions, charges: [limit, busy] })),
          ).catch(codeOf);
          if (!again.includes(reply)) {
            answers.set(txId, reply);
            break;
          }
          ({ versions } = await ledger.state());
        }
      }
    });
    for (let round = 0; round < 5; round += 1) {
      const before = answers.size;
      await eventually(async () => expect(answers.size).toBeGreaterThan(before + 50));
      expect(await order('replace')).toMatchObject({ kind: 'replaced' });
    }
    stopped = true;
    await Promise.all(replicas);
    const { sequence, versions } = await current.ledger.state();
    expect(sequence).toBe(answers.size + 2);
    expect([...answers.values()].filter((reply) => reply === 'approve APPROVED')).toHaveLength(200);
    expect(await current.ledger.usage([limit, busy])).toEqual(['600', '200']);
    for (const [txId, reply] of answers) {
      expect(await decide(txId, { versions, charges: [limit, busy] })).toBe(`${reply} again`);
    }
    expect(await differences()).toEqual([]);
  });

  test('that a busy ledger is compared by says nothing of what was decided meanwhile', async () => {
    const busy = charge('busy', { max: '1000000' });
    let stopped = false;
    const deciding = (async () => {
      for (let n = 0; !stopped; n += 1) await decide(`t${n}`, { charges: [busy] });
    })();
    await eventually(async () => expect((await current.ledger.state()).sequence).toBeGreaterThan(50));
    for (let round = 0; round < 2; round += 1) {
      const compared = await order('compare');
      expect(compared.kind === 'compared' && compared.certain ? compared.differences : []).toEqual([]);
    }
    stopped = true;
    await deciding;
  });

  test('leaves a fence that fell as it is, and one that stands', async () => {
    await decide('t', { charges: [EVER] });
    await store.server.command('HSET', meta(), 'fence', '', 'synced', '0');
    await order('replace');
    await expect(decide('u')).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    expect(await store.server.command('HGET', meta(), 'fence')).toBe('');
    expect(await current.ledger.usage([EVER])).toEqual(['123456789012345678901234567890']);
  });

  test('that ends in the middle leaves the ledger as it was, and the next one goes through', async () => {
    for (let n = 0; n < 600; n += 1) await decide(`t${n}`, { charges: [EVER] });
    const before = await keys();
    for (const afterMs of [2, 5, 10, 20, 40]) {
      const dying = store.open(current.workspace);
      await dying.state();
      const ended = order('replace', dying).catch((error: unknown) => error);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await dying.close();
      await ended;
      expect(await keys()).toEqual(before);
      expect(await decide('t7', { versions: (await current.ledger.state()).versions })).toBe(
        'approve APPROVED again',
      );
    }
    await order('replace');
    expect(await keys()).toEqual(before);
    const epoch = Number(await store.server.command('HGET', meta(), 'epoch'));
    const others = (
      (await store.server.command('KEYS', inEpoch('*').replace(':0:', ':*:'))) as string[]
    ).filter((name) => !name.startsWith(inEpoch('', epoch)));
    expect(others).toEqual([]);
  });

  test('is overtaken by another rebuild, and one of them goes through', async () => {
    for (let n = 0; n < 300; n += 1) await decide(`t${n}`);
    const before = await keys();
    const [one, other] = [current.another(), current.another()];
    const both = await Promise.allSettled([order('replace', one), order('replace', other)]);
    expect(both.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const ended of both)
      if (ended.status === 'rejected') expect(ended.reason.code).toBe('CONCURRENT_CHANGE');
    expect(await keys()).toEqual(before);
  });

  test('refuses a journal with a hole, wherever it is', async () => {
    for (const txId of ['a', 'b', 'c']) await decide(txId);
    const hole = async (sequence: number) => {
      const entry = (await store.server.command(
        'XRANGE',
        inEpoch('journal'),
        String(sequence),
        String(sequence),
      )) as [[string, string[]]];
      await store.server.command('XDEL', inEpoch('journal'), `${sequence}-0`);
      return entry;
    };
    await hole(5);
    await expect(order('replace')).rejects.toThrow('the journal ends at event 4, and the ledger at event 5');
    await hole(3);
    await expect(order('compare')).rejects.toThrow('the journal has no event between 2 and 4');
    await hole(1);
    await expect(order('replace')).rejects.toThrow('the journal begins at event 2, and no checkpoint says');
    expect(await store.server.command('HGET', meta(), 'epoch')).toBe('0');
    expect(
      ((await store.server.command('KEYS', '*')) as string[]).filter((name) => !name.includes(':0:')),
    ).toEqual([meta()]);
  });

  test('goes over numbers that an operator skipped', async () => {
    await decide('t');
    const { identity } = await current.ledger.state();
    const before = await current.ledger.fence?.state();
    await current.ledger.fence?.activate({
      identity,
      history: before?.history ?? '',
      sequence: 90,
      statement: 'a.b.c',
    });
    expect(await order('replace')).toMatchObject({ sequence: 90, events: 4 });
    expect(await decide('u', { versions: (await current.ledger.state()).versions })).toBe('approve APPROVED');
    expect((await current.ledger.state()).sequence).toBe(91);
  });

  test('lets a replica that has seen more go on noticing that a copy from before it has less', async () => {
    await decide('t');
    const before = await store.server.command('DUMP', inEpoch('journal'));
    expect(before).toBeDefined();
    await order('replace');
    await decide('u', { versions: (await current.ledger.state()).versions });
    // The server of before, by hand: the epoch and the number of the newest event.
    await store.server.command('HSET', meta(), 'epoch', '0', 'sequence', '3');
    await expect(decide('v')).rejects.toThrow('a replica has seen event 4, and the ledger ends at event 3');
  });

  test('replays another policy, and limits in shadow', async () => {
    await activate(current.ledger);
    await decide('no', { opinion: REJECT, charges: [charge('s', { mode: 'shadow', window: HOUR })] });
    const before = await keys();
    await order('replace');
    expect(await keys()).toEqual(before);
  });
});

describe('a ledger that lacks events at its end', () => {
  const kept = async (): Promise<readonly KeptEvent[]> =>
    (await current.ledger.events(0, 1000)).map(({ body, ...event }) => ({
      ...event,
      bodyText: JSON.stringify(body),
    }));
  const extend = async (events: readonly KeptEvent[], isRehearsal = false) =>
    current.ledger.fence?.rebuild({
      kind: 'extend',
      after: 2,
      isRehearsal,
      async *missing() {
        yield* events.filter(({ sequence }) => sequence > 2);
      },
    });
  const place = async () => {
    const { meta: fields, ...rest } = await keys();
    const { synced: _, seen: __, ...others } = fields as Readonly<Record<string, string>>;
    return { meta: others, ...rest };
  };

  test('has all that they did after them, a checkpoint among them too, and waits for an operator', async () => {
    const { server } = store;
    const [file, copy] = [join(server.directory, 'appendonlydir'), join(server.directory, 'copy')];
    cpSync(file, copy, { recursive: true });
    const lost: KeptEvent[] = [];
    for (const number of [0, 1]) {
      await generation(current.ledger, number);
      const aged = await age();
      const { versions } = await current.ledger.state();
      await decide('always', { ask: { askKey: `also ${number}`, amount: '99' }, charges: [EVER], versions });
      lost.push(...(await kept()));
      expect(await forgetAll(current.ledger, aged)).toMatchObject([{ kind: 'trimmed' }, {}]);
    }
    lost.push(...(await kept()));
    const events = [...new Map(lost.map((event) => [event.sequence, event])).values()];
    const before = await place();
    await server.kill('SIGKILL');
    rmSync(file, { recursive: true });
    cpSync(copy, file, { recursive: true });
    await server.restart();
    await eventually(() => current.ledger.state());

    const setBack = await everything();
    expect(await extend(events, true)).toMatchObject({
      kind: 'rehearsed',
      sequence: events.at(-1)?.sequence,
    });
    const first = events.filter(({ sequence }) => sequence <= 20);
    const changed = (parts: Partial<KeptEvent>) =>
      first.map((event) => (event.sequence === 9 ? { ...event, ...parts } : event));
    for (const [broken, problem] of [
      [first.filter(({ sequence }) => sequence !== 9), 'no event between 8 and 10'],
      [changed({ sequence: 8 }), 'event 8 comes after event 8'],
      [changed({ type: 'other' }), 'event 9 is a other'],
      [changed({ type: 'ledger' }), 'event 9 of the journal is a ledger'],
      [changed({ bodyText: '{}' }), 'an event 9 that cannot be read'],
      [changed({ bodyText: first[5]?.bodyText ?? '' }), 'two decisions of'],
    ] as const) {
      await expect(extend(broken)).rejects.toThrow(problem);
    }
    expect(await everything()).toEqual(setBack);

    expect(await extend(events)).toMatchObject({ kind: 'replaced', sequence: events.at(-1)?.sequence });
    expect(await place()).toEqual(before);
    await expect(decide('t')).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    await server.restart();
    await eventually(() => current.ledger.state());
    await expect(decide('t')).rejects.toThrow('an operator says so');
  });

  test('is left alone when it decides meanwhile', async () => {
    await decide('t');
    const [, , decision] = await kept();
    const missing = { ...decision, sequence: 4, type: 'freeze', bodyText: '{"id":"f"}' } as KeptEvent;
    // Before it has begun, and while it loads.
    for (const [turn, after] of [1, 2].entries()) {
      let calls = 0;
      const rebuilding = current.ledger.fence?.rebuild({
        kind: 'extend',
        after: 3 + turn,
        isRehearsal: false,
        async *missing() {
          calls += 1;
          if (calls === after) await decide(`meanwhile-${turn}`);
          yield { ...missing, sequence: 4 + turn };
        },
      });
      await expect(rebuilding).rejects.toThrow('decisions are made on this ledger');
      expect(calls).toBe(after);
    }
    expect(await keys()).toMatchObject({ meta: { sequence: '5', freezes: '0' } });
    expect(await decide('v')).toBe('approve APPROVED');
  });
});
