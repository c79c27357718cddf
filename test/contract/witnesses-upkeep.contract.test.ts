/** Forgetting where witnesses keep the log: a recovery brings back exactly what is left, whoever died at whatever step. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { asksOf } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import { age, forgetAll, orderOf } from '../support/forgetting.js';
import { EVER, FREEZE, generation, RELEASE } from '../support/generations.js';
import {
  activate,
  type Bench,
  bench,
  patiently,
  type WitnessedStore,
  witnessedStore,
} from '../support/ledger-bench.js';
import { ledgerKeys } from '../support/ledger-keys.js';
import { charge, LIFETIME, proposal, REJECT } from '../support/proposals.js';

const ALICE = { key: 'alice', keeps: 'first' } as const;
const WALLET = { key: 'wallet', keeps: 'newest' } as const;
const ENDED = {
  moneyKey: 'test:t',
  protocol: 'test',
  txId: 't',
  source: 'webhook',
  createdAtMs: 0,
  updatedAtMs: 0,
  fate: 'signed',
  status: 'COMPLETED',
} as const;

describe('a ledger that witnesses keep, and that forgets', () => {
  let store: WitnessedStore;
  let current: Bench;

  beforeEach(async () => {
    store = await witnessedStore();
    current = await bench(store);
  });
  afterEach(async () => {
    await current.close();
    await store.stop();
  });

  const { decided, asking } = asksOf(() => current.ledger);
  const keys = () => ledgerKeys(store.server.url, current.workspace);
  const meta = async (...words: readonly [string, ...string[]]) => {
    const [name, ...rest] = words;
    return store.server.command(name, `countersign:{${current.workspace}}:meta`, ...rest);
  };
  const logs = () =>
    Promise.all(
      store.witnesses.map(async (witness) => {
        const log = `countersign-witness:{${current.workspace}}:log`;
        return ((await witness.command('HKEYS', log)) as readonly string[]).map(Number).sort((a, b) => a - b);
      }),
    );
  /** Two are enough for an answer: before one is taken away it has to have heard of it too. */
  const allHold = (...events: readonly number[]) =>
    eventually(async () => expect(await logs()).toEqual(Array.from({ length: 3 }, () => events)));
  const settled = () => eventually(async () => expect(await keys()).not.toHaveProperty('pending'));

  /** The server loses everything, and is brought back from the witnesses: with every key as it was. */
  async function recoverAndCompare(): Promise<void> {
    await settled();
    const [before, events] = [await keys(), await current.ledger.events(0, 1000)];
    const state = await current.ledger.state();
    await store.server.command('FLUSHALL');
    await eventually(() => current.ledger.state());
    expect(await keys()).toEqual(before);
    expect(await current.ledger.events(0, 1000)).toEqual(events);
    const { policy, freezes, sequence } = await current.ledger.state();
    expect({ policy, freezes, sequence }).toEqual({
      policy: state.policy,
      freezes: state.freezes,
      sequence: state.sequence,
    });
  }

  test('comes back as it is, whatever generation of its events was forgotten', async () => {
    for (let number = 0; number < 5; number += 1) {
      await generation(current.ledger, number);
      const aged = await age();
      // About the one of before and about one that is about to be forgotten.
      await decided('always', { ask: { askKey: `also ${number}`, amount: '99' }, charges: [EVER] });
      await decided(`t${number}-5`, { ask: { askKey: `late ${number}` }, charges: [EVER] });
      expect(await forgetAll(current.ledger, aged)).toMatchObject([{ kind: 'trimmed' }, {}]);
      await recoverAndCompare();
    }
    await age();
    await forgetAll(current.ledger);
    await recoverAndCompare();
    expect(await current.ledger.transaction('test:always')).toBeUndefined();
    const [held] = await current.ledger.usage([EVER]);
    // In each generation: six transactions less the one that was released, and a change; the one of all once.
    expect(held).toBe(String(123456789012345678901234567890n * (5n * 6n + 1n)));
    expect(Math.max(...(await logs()).map((log) => log.length))).toBeLessThan(10);
    expect(await asking('new', { charges: [EVER] })).toBe('approve APPROVED');
  });

  describe('a janitor that ends', () => {
    beforeEach(async () => {
      await decided('t', { charges: [EVER], moments: [ALICE, WALLET] });
      await decided('t', { ask: { fingerprint: 'another-content' } });
      await age();
      await settled();
    });

    const other = () => current.another();
    const isForgotten = async () => {
      expect(await current.ledger.events(0, 10)).toMatchObject([{ sequence: 5, type: 'checkpoint' }]);
      expect(await logs()).toEqual([[5], [5], [5]]);
      expect(await current.ledger.usage([EVER])).toEqual([EVER.need.kind === 'amount' && EVER.need.amount]);
      await recoverAndCompare();
      expect(await asking('t', { ask: { fingerprint: 'another-content' } })).toBe('approve APPROVED');
    };

    test('before the witnesses have its checkpoint: nothing is decided by what is about to go', async () => {
      await Promise.all([0, 1].map((index) => store.witnesses[index]?.kill('SIGKILL')));
      await expect(current.ledger.upkeep.trim(orderOf())).rejects.toMatchObject({
        code: 'LEDGER_UNAVAILABLE',
      });
      await Promise.all([0, 1].map((index) => store.witnesses[index]?.restart()));
      const parts = { versions: current.versions };
      for (const ask of [{}, { fingerprint: 'another-content' }, { askKey: 'another stage' }]) {
        await expect(current.ledger.commit(proposal('t', { ...parts, ask }))).rejects.toThrow(
          /being forgotten/,
        );
      }
      await expect(current.ledger.release({ ...RELEASE, moneyKey: 'test:t' })).rejects.toMatchObject({
        code: 'RELEASE_REFUSED',
      });
      await expect(
        current.ledger.fill([
          {
            counter: 'f',
            window: LIFETIME,
            moneyKey: 'test:t',
            atMs: 1,
            need: { kind: 'amount', amount: '1' },
          },
        ]),
      ).rejects.toThrow(/being forgotten/);
      expect(await asking('u', parts)).toMatch(/^approve APPROVED/);
      expect(await eventually(() => other().upkeep.trim(orderOf()))).toMatchObject({ to: 4, checkpoint: 5 });
      expect(await current.ledger.events(0, 10)).toMatchObject([{ sequence: 5 }, { sequence: 6 }]);
      await recoverAndCompare();
      expect(await asking('t')).toBe('approve APPROVED');
    });

    test('before the witnesses have its checkpoint, and the server then dies: all is as if it had not begun', async () => {
      await Promise.all([0, 1, 2].map((index) => store.witnesses[index]?.kill('SIGSTOP')));
      await expect(current.ledger.upkeep.trim(orderOf())).rejects.toMatchObject({
        code: 'LEDGER_UNAVAILABLE',
      });
      await Promise.all(store.witnesses.map((witness) => witness.kill('SIGKILL')));
      await Promise.all(store.witnesses.map((witness) => witness.restart()));
      await store.server.command('FLUSHALL');
      expect(await asking('t')).toBe('approve APPROVED again');
      expect(await eventually(() => other().upkeep.trim(orderOf()))).toMatchObject({ to: 4, checkpoint: 5 });
      await isForgotten();
    });

    test('before the server has forgotten: the next one goes on, or a recovery does', async () => {
      await store.server.command('ACL', 'SETUSER', 'default', '-xtrim');
      await expect(current.ledger.upkeep.trim(orderOf())).rejects.toThrow();
      const before = await keys();
      await store.server.command('ACL', 'SETUSER', 'default', '+xtrim');
      expect(before).toMatchObject({ meta: { covered: '4', trimmed: '0' } });
      expect(await other().upkeep.trim(orderOf())).toMatchObject({ kind: 'trimmed', to: 4, checkpoint: 5 });
      await isForgotten();
    });

    test('before the server has forgotten: what began with it has no beginning any more', async () => {
      await store.server.command('ACL', 'SETUSER', 'default', '-xtrim');
      await expect(current.ledger.upkeep.trim(orderOf())).rejects.toThrow();
      const coolingOff = { keys: [WALLET.key], periodMs: 1e9, whenEarly: 'reject', sentence: '' } as const;
      expect(await decided('u', { coolingOff, moments: [ALICE] })).toBe('approve APPROVED');
      const [event] = (await current.ledger.events(5, 10)).slice(-1);
      expect(event?.body.moments).toEqual({ alice: event?.atMs });
      await store.server.command('ACL', 'SETUSER', 'default', '+xtrim');
      expect(await other().upkeep.trim(orderOf())).toMatchObject({ kind: 'trimmed', to: 4, checkpoint: 5 });
      expect(await keys()).toMatchObject({ moments: { alice: `6 ${event?.atMs}` } });
      await recoverAndCompare();
    });

    test('before the server has forgotten, and the server then dies', async () => {
      await store.server.command('ACL', 'SETUSER', 'default', '-xtrim');
      await expect(current.ledger.upkeep.trim(orderOf())).rejects.toThrow();
      await store.server.command('FLUSHALL');
      expect(await asking('u')).toBe('approve APPROVED');
      expect(await current.ledger.events(0, 10)).toMatchObject([
        { type: 'checkpoint' },
        { type: 'decision' },
      ]);
      expect(await asking('t')).toBe('approve APPROVED');
    });

    test('before the witnesses have forgotten', async () => {
      const restrict = (rule: string) =>
        Promise.all(store.witnesses.map((witness) => witness.command('ACL', 'SETUSER', 'default', rule)));
      await restrict('-hdel');
      expect(await current.ledger.upkeep.trim(orderOf())).toMatchObject({ kind: 'trimmed' });
      expect(await logs()).toEqual(Array.from({ length: 3 }, () => [1, 2, 3, 4, 5]));
      await restrict('+hdel');
      expect(await other().upkeep.trim(orderOf())).toEqual({ kind: 'nothing' });
      await isForgotten();
    });
  });

  test('several janitors at once say it once', async () => {
    for (let index = 0; index < 60; index += 1) await decided(`t${index}`, { charges: [EVER] });
    await age();
    const replicas = Array.from({ length: 4 }, () => current.another());
    await Promise.all(replicas.map((replica) => replica.state()));
    const steps = await Promise.all(replicas.map((replica) => replica.upkeep.trim(orderOf())));
    expect(steps.filter(({ kind }) => kind === 'trimmed')).toHaveLength(1);
    await forgetAll(current.ledger);
    expect(await current.ledger.events(0, 9)).toMatchObject([{ type: 'checkpoint', body: { to: 62 } }]);
    await recoverAndCompare();
  });

  test('a witness that missed the checkpoint keeps its events until it holds a later one', async () => {
    await decided('t', { charges: [EVER] });
    await allHold(1, 2, 3);
    await age();
    await store.witnesses[2]?.kill('SIGKILL');
    expect(await forgetAll(current.ledger)).toMatchObject([{ to: 3 }, {}]);
    await store.witnesses[2]?.restart();
    await eventually(async () => expect(await current.ledger.check()).toEqual([]));
    await current.ledger.upkeep.trim(orderOf());
    expect(await logs()).toEqual([[4], [4], [1, 2, 3]]);
    await decided('u', { charges: [EVER] });
    await age();
    expect(await forgetAll(current.ledger)).toMatchObject([{ to: 5, checkpoint: 6 }, {}]);
    expect(await logs()).toEqual([[6], [6], [6]]);
    await recoverAndCompare();
  });

  test('a recovery that reads a witness which missed the checkpoint forgets all the same', async () => {
    await decided('t', { charges: [EVER] });
    await age();
    await store.witnesses[2]?.kill('SIGKILL');
    await forgetAll(current.ledger);
    await store.witnesses[2]?.restart();
    await store.witnesses[0]?.kill('SIGKILL');
    await recoverAndCompare();
    expect((await logs().catch(() => [])).slice(1)).toEqual([]);
    await store.witnesses[0]?.restart();
    expect((await logs()).slice(1)).toEqual([[4], [4]]);
  });

  test('a dead witness is replaced after events were forgotten', async () => {
    await decided('t', { charges: [EVER] });
    await age();
    await forgetAll(current.ledger);
    await store.witnesses[0]?.command('FLUSHALL');
    expect(await current.ledger.witnesses?.recover()).toMatchObject({ events: 1 });
    await store.witnesses[1]?.kill('SIGKILL');
    await recoverAndCompare();
    expect(await asking('u', { charges: [EVER] })).toBe('approve APPROVED');
    await age();
    expect(await forgetAll(current.ledger)).toMatchObject([{ kind: 'trimmed' }, {}]);
    await recoverAndCompare();
  });

  test.each([
    [
      'a decision about a transaction that it would carry',
      () => decided('t', { ask: { askKey: 'stage 2' }, opinion: REJECT }),
    ],
    ['the lifting of a freeze', () => current.ledger.unfreeze('f', [])],
    ['another policy', () => activate(current.ledger)],
  ])('nothing is said of what a fail-over could still undo: %s', async (_what, act) => {
    await decided('t');
    await current.ledger.freeze({ ...FREEZE, id: 'f' });
    await decided('u');
    await settled();
    const aged = await age();
    await Promise.all([0, 1].map((index) => store.witnesses[index]?.kill('SIGKILL')));
    await expect(act()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    const order = orderOf({ nowMs: aged });
    expect(await current.ledger.upkeep.trim(order)).toEqual({ kind: 'waits', why: 'durability' });
    await Promise.all([0, 1].map((index) => store.witnesses[index]?.restart()));
    await eventually(async () => expect(await current.ledger.check()).toEqual([]));
    await settled();
    await age();
    expect(await forgetAll(current.ledger)).toMatchObject([{ kind: 'trimmed' }, {}]);
    await recoverAndCompare();
  });

  test('a log that begins late is not taken for a ledger', async () => {
    await decided('t', { charges: [EVER] });
    await settled();
    for (const witness of store.witnesses)
      await witness.command('HDEL', `countersign-witness:{${current.workspace}}:log`, '1', '2');
    await store.server.command('FLUSHALL');
    await expect(patiently(() => decided('u'))).resolves.toBe('LEDGER_CORRUPT');
    await expect(current.ledger.state()).rejects.toThrow(/begins at event 3, and no checkpoint/);
  });

  test('a server whose clock jumped ahead forgets nothing', async () => {
    await decided('t');
    await age();
    await meta('HSET', 'clock', String(Date.now() + 365 * 86_400_000));
    expect(await current.ledger.upkeep.trim(orderOf())).toEqual({ kind: 'waits', why: 'clocks' });
    expect(await current.ledger.events(0, 1)).toMatchObject([{ sequence: 1 }]);
  });

  test.each<readonly [string, () => Promise<unknown>]>([
    ['decision', () => decided('t')],
    ['conflict', () => decided('t', { ask: { fingerprint: 'another-content' } })],
    ['checkpoint', async () => forgetAll(current.ledger, await age())],
  ])('the time of a recovered ledger does not step back behind its newest %s', async (type, record) => {
    await decided('t');
    await record();
    await settled();
    const last = (await current.ledger.events(0, 100)).at(-1);
    expect(last).toMatchObject({ type });
    await store.server.command('FLUSHALL');
    await eventually(() => current.ledger.state());
    expect(await meta('HGET', 'clock')).toBe(String(last?.atMs));
  });

  test.each<readonly [string, (ledger: Bench['ledger']) => Promise<unknown>]>([
    ['a report', (ledger) => ledger.report(ENDED)],
    ['a freeze', (ledger) => ledger.freeze({ ...FREEZE, id: 'ahead' })],
    ['a release', (ledger) => ledger.release({ ...RELEASE, moneyKey: 'test:t' })],
    ['a policy', (ledger) => activate(ledger)],
  ])(
    '%s that was recorded while the clock of the server was ahead holds up no decision after a recovery',
    async (_, record) => {
      await decided('t');
      const mark = String(await meta('HGET', 'clock'));
      await meta('HSET', 'clock', String(Date.now() + 365 * 86_400_000));
      await record(current.ledger);
      await meta('HSET', 'clock', mark);
      await settled();
      const last = (await current.ledger.events(0, 100)).at(-1);
      expect(last?.atMs).toBeGreaterThan(Date.now() + 364 * 86_400_000);
      await store.server.command('FLUSHALL');
      await eventually(() => current.ledger.state());
      expect((await current.ledger.events(0, 100)).at(-1)).toEqual(last);
      expect((await current.ledger.state()).nowMs).toBeLessThan(Date.now() + 60_000);
      await expect(patiently(() => asking('u', {}))).resolves.toBe('approve APPROVED');
    },
  );

  test('what is not exported stays, where an export is demanded', async () => {
    await decided('t');
    await age();
    const order = () => orderOf({ demandsExport: true });
    const waits = { kind: 'waits', why: 'export' };
    expect(await current.ledger.upkeep.trim(order())).toEqual(waits);
    await meta('HSET', 'exported', `2 ${'0'.repeat(64)} 2`);
    expect(await current.ledger.upkeep.trim(order())).toEqual(waits);
    await meta('HSET', 'exported', `3 ${'0'.repeat(64)} 3`);
    expect(await current.ledger.upkeep.trim(order())).toMatchObject({ kind: 'trimmed', to: 3 });
  });

  test('keys of epochs that are over are removed, but for the last of them', async () => {
    const epochs = async () => {
      const names = (await store.server.command('KEYS', '*')) as readonly string[];
      return [...new Set(names.map((name) => /:(\d+):/.exec(name)?.[1] ?? 'meta'))].sort();
    };
    for (let index = 0; index < 40; index += 1)
      await decided(`t${index}`, { charges: [charge(`c${index}`)] });
    for (let turn = 0; turn < 3; turn += 1) await current.ledger.witnesses?.recover();
    await decided('u');
    expect(await epochs()).toEqual(['1', '2', '3', '4', 'meta']);
    const elsewhere = await bench(store);
    const before = await keys();
    expect(await current.ledger.upkeep.sweep()).toBeGreaterThan(80);
    expect(await epochs()).toEqual(['1', '3', '4', 'meta']);
    await elsewhere.close();
    expect(await keys()).toEqual(before);
    expect(await current.ledger.upkeep.sweep()).toBe(0);
    expect(await asking('t1')).toBe('approve APPROVED again');
  });
});
