import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CommitObserver } from '../../src/core/fence.js';
import { settle } from '../../src/core/settle.js';
import { asksOf } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import {
  activate,
  type Bench,
  bench,
  patiently,
  type WitnessedStore,
  witnessedStore,
} from '../support/ledger-bench.js';
import { ledgerKeys } from '../support/ledger-keys.js';
import { charge, IGNORE, LIFETIME, proposal, REJECT, RETRY } from '../support/proposals.js';

const RELEASE = { reason: 'failed', authority: { kind: 'operator', statement: 'a.b.c' } } as const;

describe('a ledger that witnesses keep', () => {
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

  const { commit, decided, asking } = asksOf(() => current.ledger);
  const keys = () => ledgerKeys(store.server.url, current.workspace);

  test('a commit that records shows what it waits for the witnesses, and one that does not has nothing to wait for', async () => {
    const { versions } = await current.ledger.state();
    const waits: string[] = [];
    const observer: CommitObserver = {
      during: (step, work) => {
        waits.push(step);
        return work();
      },
    };
    await current.ledger.commit(proposal('later', { versions, opinion: RETRY }), observer);
    expect(waits).toEqual([]);
    await current.ledger.commit(proposal('now', { versions }), observer);
    expect(waits).toEqual(['witness']);
  });

  describe('comes back as it was', () => {
    const month = { kind: 'calendar', startMs: 0, endMs: Date.now() + 1e9 } as const;
    const counters = [
      charge('hour', { amount: '123456789012345678901234567890', max: '9'.repeat(40) }),
      charge('month', { window: month, amount: '5', max: '100' }),
      charge('ever', { window: LIFETIME, amount: '5', max: '100' }),
      charge('places', { members: ['a', 'b'], max: '10' }),
      charge('tried', { mode: 'shadow', max: '1' }),
    ];

    /** One of everything that an event can be. */
    async function history(): Promise<void> {
      for (let index = 0; index < 8; index += 1) await decided(`t${index}`, { charges: counters });
      await decided('t1', { ask: { askKey: 'approval of t1', amount: '50' }, charges: counters });
      await decided('t2', { ask: { fingerprint: 'another-content' } });
      await decided('no', { opinion: REJECT, charges: counters });
      await decided('no', { ask: { askKey: 'approval of no' } });
      await decided('not-mine', { opinion: IGNORE });
      await decided('no-money', { ask: { moneyKey: undefined, amount: undefined, binding: undefined } });
      await decided('spends', {
        facts: [{ key: 'outpoint:1', value: '5', reason: 'INPUT_AMOUNT_CHANGED', sentence: 'Changed.' }],
      });
      const moments = [
        { key: 'whitelisted', keeps: 'newest' },
        { key: 'paid', keeps: 'first' },
      ] as const;
      await decided('begins', { moments });
      await decided('begins-anew', { moments });
      await current.ledger.release({ ...RELEASE, moneyKey: 'test:t5' });
      await decided('t5', { charges: counters });
      await decided('t5', { ask: { askKey: 'approval of t5' }, charges: counters });
      const freeze = { scope: '{}', reason: 'a test', author: 'alice', answers: 'retry' } as const;
      await current.ledger.freeze({ id: 'kept', ...freeze, expiresAtMs: 4e12 });
      await current.ledger.freeze({ id: 'lifted', ...freeze });
      await current.ledger.unfreeze('lifted', ['a.b.c']);
      await current.ledger.fill([
        { counter: 'new', window: LIFETIME, moneyKey: 'm', atMs: 1, need: { kind: 'amount', amount: '3' } },
        { counter: 'new', window: LIFETIME, moneyKey: 'm', atMs: 1, need: { kind: 'amount', amount: '7' } },
        {
          counter: 'seen',
          window: LIFETIME,
          moneyKey: 'm',
          atMs: 1,
          need: { kind: 'distinct', members: ['x'] },
        },
        {
          counter: 'new',
          window: LIFETIME,
          moneyKey: 'test:t3',
          atMs: 1,
          need: { kind: 'amount', amount: '4' },
        },
      ]);
      await current.ledger.release({ ...RELEASE, moneyKey: 'test:t6' });
      await activate(current.ledger);
    }

    test.each([
      ['the server lost all it had', () => store.server.restart({ appendonly: 'no' })],
      ['everything on the server was deleted', () => store.server.command('FLUSHALL')],
      [
        'the disk of a witness was lost too',
        async () => {
          await store.witnesses[0]?.command('FLUSHALL');
          await store.server.restart();
        },
      ],
      [
        'a witness is away',
        async () => {
          await store.witnesses[1]?.kill('SIGKILL');
          await store.server.restart();
        },
      ],
    ])('when %s', async (_what, fault) => {
      await history();
      await eventually(async () => expect(await keys()).not.toHaveProperty('pending'));
      const [before, events] = [await keys(), await current.ledger.events(0, 1000)];
      await fault();
      expect(await asking('t3', { charges: counters })).toBe('approve APPROVED again');
      expect(await keys()).toEqual(before);
      expect(await current.ledger.events(0, 1000)).toEqual(events);
      expect(await asking('new', { charges: counters })).toBe('approve APPROVED');
    });
  });

  test('comes back whole when the server came back with less', async () => {
    await decided('before');
    await store.server.command('SAVE');
    await decided('after');
    await store.server.restart({ appendonly: 'no' });
    expect(await asking('after')).toBe('approve APPROVED again');
    expect(await asking('before')).toBe('approve APPROVED again');
  });

  describe('a server that came back with less knows nothing of an approval, and', () => {
    const hour = charge('hour', { amount: '100', max: '300' });
    const comesBackWithLess = async () => {
      await decided('before');
      await store.server.command('SAVE');
      await decided('t', { charges: [hour] });
      await store.server.restart({ appendonly: 'no' });
    };

    test.each([
      ['never-signed', '0'],
      ['signed', '100'],
    ] as const)('a report that it is %s finds it all the same', async (fate, used) => {
      await comesBackWithLess();
      const nowMs = Date.now();
      const said = { status: 'X', createdAtMs: nowMs, updatedAtMs: 1, source: 'webhook' } as const;
      const report = { moneyKey: 'test:t', protocol: 'test', txId: 't', fate, ...said };
      const settled = await patiently(() => settle(current.ledger, report, { nowMs, retentionMs: 1e9 }));
      expect(settled).toMatchObject({ fate });
      expect(settled).not.toHaveProperty('alarm');
      expect(await current.ledger.usage([hour])).toEqual([used]);
    });

    test('what it holds is given back all the same', async () => {
      await comesBackWithLess();
      const release = { ...RELEASE, moneyKey: 'test:t' };
      expect(await patiently(() => current.ledger.release(release))).toMatchObject({
        given: [{ amount: '100' }],
      });
      expect(await current.ledger.usage([hour])).toEqual(['0']);
    });
  });

  test('a decision that too few witnesses hold is not answered, and is after they came back', async () => {
    await Promise.all([0, 1].map((index) => store.witnesses[index]?.kill('SIGKILL')));
    await expect(commit('t')).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await expect(commit('t')).rejects.toThrow(
      /1 witnesses hold the event, and 2 must: witness 1 does not answer/,
    );
    await store.witnesses[0]?.restart();
    expect(await asking('t')).toBe('approve APPROVED again');
  });

  test('one witness may be away', async () => {
    await store.witnesses[2]?.kill('SIGKILL');
    expect(await asking('t')).toBe('approve APPROVED');
    expect((await current.ledger.check()).map(({ code, blocks }) => [code, blocks])).toEqual([
      ['WITNESS', false],
    ]);
  });

  test('a decision that was never answered may be forgotten, and is then decided anew', async () => {
    await Promise.all(store.witnesses.map((witness) => witness.kill('SIGSTOP')));
    await expect(commit('t')).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await Promise.all(store.witnesses.map((witness) => witness.kill('SIGKILL')));
    await Promise.all(store.witnesses.map((witness) => witness.restart()));
    await store.server.command('FLUSHALL');
    expect(await asking('t', { opinion: REJECT })).toBe('reject RULE_REJECTS');
  });

  test('a conflict that was answered stands, although what it contradicted was never answered and is lost', async () => {
    const parts = { ask: { fingerprint: 'another-content' } };
    await Promise.all(store.witnesses.map((witness) => witness.kill('SIGSTOP')));
    await expect(commit('t')).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await Promise.all(store.witnesses.map((witness) => witness.kill('SIGKILL')));
    await Promise.all(store.witnesses.map((witness) => witness.restart()));
    expect(await patiently(() => decided('t', parts))).toMatch(/^conflict CONFLICT_CONTENT/);
    await store.server.command('FLUSHALL');
    expect(await patiently(() => decided('t', parts))).toBe('conflict CONFLICT_CONTENT again');
  });

  test('all replicas that find the server empty at once bring it back once, and lose nothing', async () => {
    const limit = charge('ten', { max: '10' });
    for (let index = 0; index < 6; index += 1) await decided(`t${index}`, { charges: [limit] });
    const replicas = Array.from({ length: 5 }, () => current.another());
    await store.server.command('FLUSHALL');
    const replies = await Promise.all(
      replicas.flatMap((replica, index) =>
        Array.from({ length: 4 }, (_, turn) => asking(`new-${index}-${turn}`, { charges: [limit] }, replica)),
      ),
    );
    expect(replies.filter((reply) => reply === 'approve APPROVED')).toHaveLength(4);
    expect(await asking('t0', { charges: [limit] })).toBe('approve APPROVED again');
  });

  test('a server that was cut off and still decides is answered by no witness', async () => {
    await decided('t');
    const cutOff = store.open(current.workspace);
    await cutOff.state();
    // Another replica is sent to another server, which is empty, and recovers there.
    const elsewhere = await witnessedStore();
    try {
      const other = store.openOn(current.workspace, elsewhere.server);
      expect(await asking('t', {}, other)).toBe('approve APPROVED again');
      await expect(commit('late', {}, cutOff)).rejects.toMatchObject({ code: 'LEDGER_RECOVERING' });
      await other.close();
    } finally {
      await cutOff.close();
      await elsewhere.stop();
    }
  });

  test('without a majority of witnesses it stays undecided, and says what it waits for', async () => {
    await decided('t');
    await Promise.all([0, 1].map((index) => store.witnesses[index]?.kill('SIGKILL')));
    await store.server.command('FLUSHALL');
    await expect(commit('t')).rejects.toMatchObject({ code: 'LEDGER_RECOVERING' });
    const problems = await current.ledger.check();
    expect(problems.filter(({ blocks }) => blocks).map(({ code }) => code)).toEqual([
      'RECOVERING',
      'WITNESSES',
    ]);
    await Promise.all([0, 1].map((index) => store.witnesses[index]?.restart()));
    expect(await asking('t')).toBe('approve APPROVED again');
    await eventually(async () => expect(await current.ledger.check()).toEqual([]));
  });

  test('a blank witness gets a vote by a recovery that an operator asks for', async () => {
    await decided('t');
    await store.witnesses[0]?.command('FLUSHALL');
    expect(await current.ledger.witnesses?.states()).toMatchObject([{ kind: 'blank' }, {}, {}]);
    expect(await current.ledger.witnesses?.recover()).toMatchObject({ epoch: 2, events: 3 });
    expect(await current.ledger.witnesses?.states()).toMatchObject(
      Array.from({ length: 3 }, () => ({ kind: 'member', promised: 2, events: 3 })),
    );
    await store.witnesses[1]?.kill('SIGKILL');
    await store.server.command('FLUSHALL');
    expect(await asking('t')).toBe('approve APPROVED again');
  });

  test('an operator’s command need not know the epoch', async () => {
    await decided('t');
    await store.witnesses[0]?.command('FLUSHALL');
    expect(await current.another().witnesses?.recover()).toMatchObject({ epoch: 2 });
    expect(await asking('t')).toBe('approve APPROVED again');
  });

  test('a server that came back from before the last recovery is recovered again', async () => {
    await decided('t');
    await store.server.command('SAVE');
    await current.ledger.witnesses?.recover();
    expect(await asking('u')).toBe('approve APPROVED');
    await store.server.restart({ appendonly: 'no' });
    expect(await asking('u')).toBe('approve APPROVED again');
    expect(await asking('t')).toBe('approve APPROVED again');
  });

  test.each([
    ['appendonly', 'no', /keeps no append-only file/],
    ['appendfsync', 'everysec', /may lose its last events/],
    ['maxmemory-policy', 'allkeys-lru', /may evict keys/],
  ])('a witness with %s %s cannot be relied upon', async (name, value, sentence) => {
    await store.witnesses[1]?.command('CONFIG', 'SET', 'maxmemory', '1gb');
    await store.witnesses[1]?.command('CONFIG', 'SET', name, value);
    expect(await current.ledger.check()).toEqual([
      { code: 'WITNESSES', text: expect.stringMatching(sentence), blocks: true },
    ]);
  });

  test('a server without memory answers, and is told to take no writes', async () => {
    expect(await current.ledger.check()).toEqual([]);
    await store.server.command('CONFIG', 'SET', 'maxmemory', '1');
    try {
      expect(await current.ledger.check()).toEqual([
        {
          code: 'WRITES',
          text: expect.stringMatching(/^Redis takes no writes: OOM command not allowed/),
          blocks: true,
        },
      ]);
      await expect(commit('t')).rejects.toThrow(/^Redis refused: OOM /);
    } finally {
      await store.server.command('CONFIG', 'SET', 'maxmemory', '0');
    }
    expect(await current.ledger.check()).toEqual([]);
  });

  test('an empty server and empty witnesses are no ledger', async () => {
    await Promise.all([store.server, ...store.witnesses].map((each) => each.command('FLUSHALL')));
    await expect(commit('t')).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
  });

  test('a replica that is not told of the witnesses decides nothing', async () => {
    const unaware = store.openAlone(current.workspace);
    await expect(unaware.state()).rejects.toThrow(/kept by witnesses, and the configuration names none/);
    await unaware.close();
  });

  test('a freeze that reached too few witnesses is in force and finished by whoever reads it', async () => {
    await Promise.all([0, 1].map((index) => store.witnesses[index]?.kill('SIGKILL')));
    const freeze = { id: 'f', scope: '{}', reason: 'r', author: 'a', answers: 'retry' } as const;
    await expect(current.ledger.freeze(freeze)).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await expect(current.ledger.state()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await store.witnesses[0]?.restart();
    await eventually(async () => expect((await current.ledger.state()).freezes).toHaveLength(1));
    await store.server.command('FLUSHALL');
    await eventually(async () => expect((await current.ledger.state()).freezes).toHaveLength(1));
  });
});
