/** Replicas that share what waits through a real ledger: counts, decisions elsewhere, giving up, and a board that is lost. */
import { afterEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { type UndecidedReason, undecided } from '../../src/core/decision.js';
import type { ConfigChangeRequest } from '../../src/core/request.js';
import { DEFAULT_RETRIES, deliveriesOf } from '../../src/core/waiting.js';
import { type Sharing, shareWaiting } from '../../src/replica/waiting.js';
import { RetryMetrics } from '../../src/telemetry/retry-metrics.js';
import { onEachLedger } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import { redisStore } from '../support/ledger-bench.js';

const MINUTE = 60_000;
const NEVER = 2 ** 30;

const REQUEST: Omit<ConfigChangeRequest, 'requestId'> = {
  protocol: 'fireblocks',
  workspace: 'main',
  cosigner: 'east',
  signer: 'alice',
  kind: 'config-change',
  stage: 'approval',
  type: 'UNMANAGED_WALLET',
  extraInfo: {},
};

const ended: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

/** A replica as far as what waits is concerned; nothing happens by itself. */
function replicaOf(ledger: Parameters<typeof shareWaiting>[0]['ledger'], clock: { ms: number }) {
  const registry = new Registry();
  const now = () => clock.ms;
  const retries = new RetryMetrics(registry, now);
  retries.expect({ workspace: 'main', cosigner: 'east' }, DEFAULT_RETRIES);
  const sharing = shareWaiting({ workspace: 'main', ledger, retries, now, everyMs: NEVER });
  if (sharing === undefined) throw new Error('nothing is shared');
  ended.push(() => sharing.stop());
  const figure = async (name: string) => {
    const values = (await registry.getSingleMetric(name)?.get())?.values ?? [];
    return values.reduce((sum, { value }) => sum + value, 0);
  };
  return {
    exchange: (): ReturnType<Sharing['exchange']> => sharing.exchange(),
    stop: () => sharing.stop(),
    ask(askKey: string, reason: UndecidedReason = 'DEADLINE') {
      const outcome = undecided(reason);
      if (outcome.kind === 'undecided')
        retries.askedAgain({ ...REQUEST, requestId: askKey }, askKey, outcome);
    },
    decided: (askKey: string) => retries.decided('main', askKey),
    /** Ask key → deliveries, as this replica knows them. */
    waiting: () =>
      Object.fromEntries(
        (retries.listOf('main')?.asks() ?? []).map((ask) => [ask.askKey, deliveriesOf(ask).count]),
      ),
    outstanding: () => figure('countersign_retries_outstanding'),
    givenUp: () => figure('countersign_retries_given_up_total'),
  };
}

onEachLedger('what waits, shared by replicas', (given) => {
  const board = async () => (await given.ledger.waiting.list()).asks.map(({ askKey }) => askKey).sort();
  const start = () => {
    const clock = { ms: Date.now() };
    const [one, two, three] = [1, 2, 3].map(() => replicaOf(given.another(), clock));
    if (one === undefined || two === undefined || three === undefined) throw new Error('no replicas');
    const all = [one, two, three];
    const round = async () => {
      for (const replica of all) await replica.exchange();
    };
    return { one, two, three, all, round, pass: (ms: number) => (clock.ms += ms) };
  };
  const ASK = 'test:transaction:signing:t:';

  test('each knows the deliveries of all, counted once', async () => {
    const { one, two, three, round, pass } = start();
    one.ask(ASK);
    pass(3 * MINUTE);
    two.ask(ASK);
    await round();
    await round();
    pass(3 * MINUTE);
    one.ask(ASK);
    // Of its own it knows more than the board.
    expect(one.waiting()).toEqual({ [ASK]: 3 });
    await round();
    await two.exchange();
    expect([one, two, three].map((each) => each.waiting())).toEqual([
      { [ASK]: 3 },
      { [ASK]: 3 },
      { [ASK]: 3 },
    ]);
    expect(await three.outstanding()).toBe(1);
  });

  test('the one that decides takes it off for all', async () => {
    const { one, two, three, round } = start();
    one.ask(ASK);
    await round();
    three.decided(ASK);
    expect(three.waiting()).toEqual({});
    await three.exchange();
    expect(await board()).toEqual([]);
    await two.exchange();
    expect(two.waiting()).toEqual({});
  });

  test('what was decided where nobody knew of it is found out, and not counted as given up', async () => {
    const { one, two, round, pass } = start();
    one.ask(ASK);
    two.ask(ASK);
    await round();
    await given.commit('t');
    pass(20_000);
    await round();
    expect(one.waiting()).toEqual({ [ASK]: 2 });
    pass(20_000);
    await round();
    expect([one.waiting(), two.waiting(), await board()]).toEqual([{}, {}, []]);
    expect(await one.givenUp()).toBe(0);
  });

  test('an approval from before a freeze does not end the wait under the freeze', async () => {
    const { one, round, pass } = start();
    await given.commit('t');
    pass(MINUTE);
    one.ask(ASK, 'FREEZE_RETRIES');
    await round();
    pass(MINUTE);
    await round();
    expect(one.waiting()).toEqual({ [ASK]: 1 });
    one.ask(ASK, 'LEDGER_UNAVAILABLE');
    pass(MINUTE);
    await round();
    expect(one.waiting()).toEqual({});
  });

  test('what nobody asks about any more is given up, and counted by one of them', async () => {
    const { one, two, all, round, pass } = start();
    for (let minute = 0; minute < 60; minute += 3) {
      (minute % 2 === 0 ? one : two).ask(ASK);
      if (minute === 0) one.ask('abandoned');
      await round();
      pass(3 * MINUTE);
    }
    pass(2 * MINUTE);
    await round();
    expect(two.waiting()).toEqual({ [ASK]: 20 });
    pass(MINUTE);
    await Promise.all(all.map((each) => each.exchange()));
    await round();
    expect(all.map((each) => each.waiting())).toEqual([{}, {}, {}]);
    expect(await board()).toEqual([]);
    const counts = await Promise.all(all.map((each) => each.givenUp()));
    expect(counts.reduce((sum, count) => sum + count)).toBe(2);
  });

  test('what is asked about while it is looked up stays', async () => {
    const clock = { ms: Date.now() };
    const { waiting, lookup } = given.ledger;
    let asks = 0;
    const one: ReturnType<typeof replicaOf> = replicaOf(
      {
        waiting,
        async lookup(askKey) {
          const decision = await lookup(askKey);
          asks += 1;
          one.ask(askKey);
          return decision;
        },
      },
      clock,
    );
    one.ask(ASK);
    await one.exchange();
    await given.commit('t');
    clock.ms += MINUTE;
    await one.exchange();
    expect(asks).toBe(1);
    expect(one.waiting()).toEqual({ [ASK]: 2 });
  });

  test('a replica that is told to stop posts what it saw last; one that is killed loses that alone', async () => {
    const { one, two, three, round } = start();
    one.ask(ASK);
    await round();
    one.ask(ASK);
    two.ask('seen by one that dies');
    await one.stop();
    await three.exchange();
    expect(three.waiting()).toEqual({ [ASK]: 2 });
  });

  test('a board that is lost is written again', async () => {
    const { one, two, round, pass } = start();
    one.ask(ASK);
    two.ask('another');
    await round();
    await given.ledger.waiting.remove([ASK, 'another']);
    pass(MINUTE);
    // Missed, posted by each, and read by all.
    for (const _ of [1, 2, 3]) await round();
    expect(await board()).toEqual(['another', ASK].sort());
    expect(one.waiting()).toEqual({ [ASK]: 1, another: 1 });
    expect(await one.givenUp()).toBe(0);
  });
});

test('while the ledger cannot be asked, what waits goes on waiting, and is posted afterwards', async () => {
  const store = await redisStore({ appendfsync: 'always' });
  ended.push(() => store.stop());
  const ledger = store.open('main');
  ended.push(() => ledger.close());
  await ledger.init();
  const clock = { ms: Date.now() };
  const one = replicaOf(ledger, clock);
  one.ask('ask-1');
  await one.exchange();
  await store.server.kill('SIGKILL');
  one.ask('ask-2', 'LEDGER_UNAVAILABLE');
  clock.ms += 90 * MINUTE;
  await expect(one.exchange()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  expect(one.waiting()).toEqual({ 'ask-1': 1, 'ask-2': 1 });
  expect(await one.givenUp()).toBe(0);
  await store.server.restart();
  await eventually(async () => {
    await one.exchange();
    expect([one.waiting(), await one.givenUp()]).toEqual([{}, 2]);
  });
});
