/** The board of what waits: exact counts whoever posts them, once removed for all, and nothing that a decision reads. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { deliveriesOf, MAX_BOARD, type Sighting, type WaitingAbout } from '../../src/core/waiting.js';
import { onEachLedger } from '../support/each-ledger.js';
import { activate, redisStore } from '../support/ledger-bench.js';
import { ledgerKeys } from '../support/ledger-keys.js';

const ABOUT: WaitingAbout = {
  cosigner: 'east',
  signer: 'signer-1',
  kind: 'transaction',
  stage: 'signing',
  requestId: 'request-1',
  txId: 'tx-1',
  reason: 'FREEZE_RETRIES',
  sentence: 'A freeze covers it: "quoted"\n日本.',
};

function seen(
  askKey: string,
  deliveries: Sighting['deliveries'],
  about: Partial<WaitingAbout> = {},
): Sighting {
  return { askKey, about: { ...ABOUT, ...about }, deliveries };
}

onEachLedger('the board of what waits', (given) => {
  const board = () => given.ledger.waiting;
  const listed = async () =>
    Object.fromEntries(
      (await board().list()).asks.map((ask) => [ask.askKey, { ...deliveriesOf(ask), about: ask.about }]),
    );

  test('is empty at first, and says that nobody has posted', async () => {
    expect(await board().list()).toEqual({ asks: [] });
    expect(await board().remove(['a'])).toEqual([]);
  });

  test('counts what each replica saw, once, however often it says so', async () => {
    const before = Date.now();
    await board().post('r1', [seen('a', { firstMs: 100, lastMs: 300, count: 2 })]);
    await given
      .another()
      .waiting.post('r2', [
        seen('a', { firstMs: 200, lastMs: 200, count: 1 }, { sentence: 'older' }),
        seen('b', { firstMs: 50, lastMs: 50, count: 1 }),
      ]);
    await board().post('r1', [seen('a', { firstMs: 100, lastMs: 300, count: 2 })]);
    expect(await listed()).toEqual({
      a: { firstMs: 100, lastMs: 300, count: 3, about: ABOUT },
      b: { firstMs: 50, lastMs: 50, count: 1, about: ABOUT },
    });
    const newer = { reason: 'LEDGER_UNAVAILABLE', sentence: 'newer', signer: undefined } as const;
    await given.another().waiting.post('r2', [seen('a', { firstMs: 200, lastMs: 400, count: 2 }, newer)]);
    expect((await listed()).a).toMatchObject({ lastMs: 400, count: 4, about: { sentence: 'newer' } });
    const { postedAtMs = 0 } = await board().list();
    expect(postedAtMs).toBeGreaterThanOrEqual(before - 1);
  });

  test('tells one of several that remove an ask that it was there', async () => {
    await board().post('r1', [
      seen('a', { firstMs: 1, lastMs: 1, count: 1 }),
      seen('b', { firstMs: 1, lastMs: 1, count: 1 }),
    ]);
    await board().post('r2', [seen('a', { firstMs: 2, lastMs: 2, count: 1 })]);
    const removals = await Promise.all(
      Array.from({ length: 5 }, () => given.another().waiting.remove(['a', 'unknown'])),
    );
    expect(removals.flat()).toEqual(['a']);
    expect(Object.keys(await listed())).toEqual(['b']);
  });

  test('says that somebody is there when there is nothing new', async () => {
    await board().post('r1', []);
    expect(await board().list()).toEqual({ postedAtMs: expect.any(Number), asks: [] });
  });

  test('is bounded: the first stay, and those that are known go on', async () => {
    const many = Array.from({ length: MAX_BOARD + 50 }, (_, index) =>
      seen(`ask-${index}`, { firstMs: index, lastMs: index, count: 1 }),
    );
    await board().post('r1', many);
    expect((await board().list()).asks).toHaveLength(MAX_BOARD);
    await board().post('r1', [seen('ask-0', { firstMs: 0, lastMs: 9_999, count: 7 })]);
    const after = await listed();
    expect(Object.keys(after)).toHaveLength(MAX_BOARD);
    expect(after['ask-0']).toMatchObject({ count: 7 });
    await board().remove(['ask-1']);
    await board().post('r1', [seen('one more', { firstMs: 1, lastMs: 1, count: 1 })]);
    expect(await listed()).toHaveProperty('one more');
  });

  test('changes nothing that a decision reads', async () => {
    const before = await given.ledger.state();
    await board().post('r1', [seen('a', { firstMs: 1, lastMs: 1, count: 1 })]);
    await board().remove(['a']);
    const after = await given.ledger.state();
    expect({ ...after, nowMs: 0 }).toEqual({ ...before, nowMs: 0 });
    expect(await given.ledger.check()).toEqual([]);
  });
});

describe('on Redis', () => {
  const ended: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ended.splice(0).reverse()) await end();
  });

  test('nothing is written while the ledger is fenced, and what stands can be read', async () => {
    const store = await redisStore({ appendfsync: 'everysec' });
    ended.push(() => store.stop());
    const ledger = store.open('main');
    ended.push(() => ledger.close());
    await expect(ledger.waiting.post('r1', [])).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
    await ledger.init();
    await activate(ledger);
    await ledger.waiting.post('r1', [seen('a', { firstMs: 1, lastMs: 1, count: 1 })]);
    const before = await ledgerKeys(store.server.url, 'main');
    await store.server.written();
    await store.server.restart();
    const again = store.open('main');
    ended.push(() => again.close());
    const sighting = seen('b', { firstMs: 1, lastMs: 1, count: 1 });
    await expect(again.waiting.post('r1', [sighting])).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    await expect(again.waiting.remove(['a'])).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    expect((await again.waiting.list()).asks.map(({ askKey }) => askKey)).toEqual(['a']);
    expect(await ledgerKeys(store.server.url, 'main')).toEqual(before);
  });

  test('a replica that posts again takes no more room', async () => {
    const store = await redisStore();
    ended.push(() => store.stop());
    const ledger = store.open('main');
    ended.push(() => ledger.close());
    await ledger.init();
    for (let count = 1; count <= 20; count += 1)
      await ledger.waiting.post('r1', [seen('a', { firstMs: 1, lastMs: count, count })]);
    await ledger.waiting.post('r2', [seen('a', { firstMs: 1, lastMs: 5, count: 1 })]);
    const text = String(await store.server.command('HGET', 'countersign:{main}:waiting', 'a'));
    expect(text.split('\n').slice(1)).toEqual(['r1 1 20 20', 'r2 1 5 1']);
    expect(text).toMatch(/^20 \{/);
  });

  test('what another version wrote is left out', async () => {
    const store = await redisStore();
    ended.push(() => store.stop());
    const ledger = store.open('main');
    ended.push(() => ledger.close());
    await ledger.init();
    await ledger.waiting.post('r1', [seen('a', { firstMs: 1, lastMs: 1, count: 1 })]);
    for (const text of ['', 'nonsense', '1 {}\nr 1 1 1', '1 not json\nr 1 1 1'])
      await store.server.command('HSET', 'countersign:{main}:waiting', `odd ${text}`, text);
    expect((await ledger.waiting.list()).asks.map(({ askKey }) => askKey)).toEqual(['a']);
    await ledger.waiting.post('r1', [seen('odd nonsense', { firstMs: 5, lastMs: 5, count: 1 })]);
    expect((await ledger.waiting.list()).asks).toHaveLength(2);
  });
});
