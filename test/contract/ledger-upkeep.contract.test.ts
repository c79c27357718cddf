/** Forgetting what is older than the retention, and what must survive it, on every store. */
import { describe, expect, test } from '@jest/globals';
import type { WindowSpan } from '../../src/core/decision.js';
import { onEachLedger, outcome } from '../support/each-ledger.js';
import { age, forgetAll, orderOf } from '../support/forgetting.js';
import { activate } from '../support/ledger-bench.js';
import { charge, HOUR, LIFETIME, REJECT } from '../support/proposals.js';

const YEAR_MS = 365 * 86_400_000;
const SHORT: WindowSpan = { kind: 'rolling', lengthMs: 10 };
const RELEASE = { reason: 'failed', authority: { kind: 'operator', statement: 's' } } as const;
const FREEZE = { scope: '{}', reason: 'r', author: 'a', answers: 'retry' } as const;

onEachLedger('forgetting what is old', (given) => {
  const { commit, used } = given;
  const ever = charge('ever', { amount: '7', max: '20', window: LIFETIME });
  const tried = charge('tried', { amount: '3', window: LIFETIME, mode: 'shadow' });
  const places = (...members: readonly string[]) => charge('places', { members, window: LIFETIME, max: '9' });
  const short = charge('short', { amount: '5', max: '1000000', window: SHORT });
  const fresh = async () => {
    const { versions } = await given.ledger.state();
    return { versions };
  };

  test('the request is a new one afterwards, and what was recorded for it is gone', async () => {
    await commit('t', { charges: [short] });
    await commit('t', { ask: { fingerprint: 'another-content' } });
    await commit('no', { opinion: REJECT });
    await age();
    expect(await forgetAll(given.ledger)).toEqual([
      { kind: 'trimmed', events: 5, to: 5, checkpoint: 6 },
      { kind: 'nothing' },
    ]);
    expect(await given.ledger.events(0, 100)).toMatchObject([
      { sequence: 6, type: 'checkpoint', body: { from: 0, to: 5, totals: [], transactions: [] } },
    ]);
    expect(await given.ledger.upkeep.kept()).toMatchObject({
      oldest: { sequence: 6 },
      checkpoint: { sequence: 6, to: 5 },
      trimmed: { sequence: 5 },
    });
    expect(await given.ledger.lookup('test:transaction:signing:t:')).toBeUndefined();
    expect(await given.ledger.transaction('test:t')).toBeUndefined();
    expect(await used(short)).toEqual(['0']);
    expect(await outcome(commit('t', { ask: { fingerprint: 'another-content' } }))).toBe('approve APPROVED');
    expect(await outcome(commit('no'))).toBe('approve APPROVED');
    expect(
      await outcome(commit('no', { ask: { askKey: 'x', binding: { requestKey: 'test:no', txId: 'u' } } })),
    ).toBe('conflict CONFLICT_BINDING');
  });

  test('lifetime limits stay as full as they were', async () => {
    await commit('t', { charges: [ever, tried, places('a', 'b')] });
    await commit('u', { charges: [ever, tried, places('b', 'c')] });
    for (let round = 0; round < 3; round += 1) {
      await age();
      await forgetAll(given.ledger);
      expect(await used(ever, tried, places('x'))).toEqual(['14', '6', '3']);
      await commit(`without-${round}`);
    }
    expect(await outcome(commit('v', { charges: [ever] }))).toBe('reject LIMIT_EXCEEDED');
    expect(await outcome(commit('w', { charges: [{ ...ever, max: '21' }, places('a')] }))).toBe(
      'approve APPROVED',
    );
    expect(await used(ever, places('x'))).toEqual(['21', '3']);
    // Of what they held nothing can be given back any more.
    await expect(given.ledger.release({ ...RELEASE, moneyKey: 'test:t' })).rejects.toMatchObject({
      code: 'RELEASE_REFUSED',
    });
    await given.ledger.release({ ...RELEASE, moneyKey: 'test:w' });
    expect(await used(ever)).toEqual(['14']);
  });

  test('a transaction that is asked about again is known as before, for as long as it is', async () => {
    const later = charge('later', { amount: '2', window: LIFETIME });
    await commit('t', { charges: [ever, short] });
    const aged = await age();
    await commit('t', { ask: { askKey: 'stage 2', amount: '90' }, charges: [ever, later] });
    await commit('u', { ask: { askKey: 'of another' }, charges: [ever] });
    await forgetAll(given.ledger, aged);
    expect(await given.ledger.lookup('test:transaction:signing:t:')).toBeUndefined();
    expect(await used(ever, later)).toEqual(['14', '2']);
    await commit('t', { ask: { askKey: 'stage 3', amount: '90' }, charges: [ever, later] });
    expect(await used(ever, later)).toEqual(['14', '2']);
    expect(await outcome(commit('t', { ask: { askKey: 'stage 4', amount: '101' } }))).toBe(
      'conflict CONFLICT_AMOUNT',
    );
    const held = (await given.ledger.transaction('test:t'))?.holdings;
    expect(
      held?.filter(({ amount }) => amount !== '0').map(({ counter, amount }) => [counter, amount]),
    ).toEqual([
      ['ever', '7'],
      // Its window is over, and it is dropped with the next charge.
      ['short', '5'],
      ['later', '2'],
    ]);
    await given.ledger.release({ ...RELEASE, moneyKey: 'test:t' });
    expect(await used(ever, later)).toEqual(['7', '0']);
    const agedAgain = await age();
    await commit('t', { ask: { askKey: 'stage 5' } });
    await forgetAll(given.ledger, agedAgain);
    expect(await outcome(commit('t', { ask: { askKey: 'stage 6' } }))).toBe('reject RELEASED_BEFORE');
    await age();
    await forgetAll(given.ledger);
    expect(await given.ledger.transaction('test:t')).toBeUndefined();
    expect(await used(ever, later)).toEqual(['7', '0']);
  });

  test('what several checkpoints carried of one transaction is folded when it is forgotten', async () => {
    for (let stage = 0; stage < 4; stage += 1) {
      const own = charge(`own ${stage}`, { amount: '4', window: LIFETIME });
      await commit('t', { ask: { askKey: `stage ${stage}` }, charges: [own, ever] });
      const aged = await age();
      if (stage < 3) await commit('t', { ask: { askKey: `also ${stage}` } });
      await forgetAll(given.ledger, aged);
    }
    await age();
    await forgetAll(given.ledger);
    expect(await given.ledger.transaction('test:t')).toBeUndefined();
    const all = [0, 1, 2, 3].map((stage) => charge(`own ${stage}`, { window: LIFETIME }));
    expect(await used(...all, ever)).toEqual(['4', '4', '4', '4', '7']);
  });

  test('the policy and the freezes that stand stay, with their versions', async () => {
    await given.ledger.freeze({ ...FREEZE, id: 'kept' });
    await given.ledger.freeze({ ...FREEZE, id: 'lifted' });
    await given.ledger.unfreeze('lifted', []);
    await activate(given.ledger);
    const before = await given.ledger.state();
    await age();
    await forgetAll(given.ledger);
    const after = await given.another().state();
    expect(after).toMatchObject({
      policy: before.policy,
      freezes: before.freezes,
      versions: before.versions,
    });
    expect(await given.ledger.events(0, 9)).toMatchObject([
      {
        body: {
          versions: { policy: before.versions.policy, freezes: before.versions.freezes },
          policy: { sequence: before.versions.policy, record: { document: 'version: 1' } },
          freezes: [{ freeze: { id: 'kept' } }],
        },
      },
    ]);
    await given.ledger.unfreeze('kept', []);
    expect((await given.ledger.state()).freezes).toEqual([]);
  });

  test('what an outpoint was worth stays', async () => {
    const fact = (value: string) => ({
      facts: [{ key: 'outpoint:1', value, reason: 'INPUT_AMOUNT_CHANGED' as const, sentence: 'Changed.' }],
    });
    await commit('t', fact('5'));
    for (let round = 0; round < 3; round += 1) {
      await age();
      await forgetAll(given.ledger);
      await commit(`u${round}`);
    }
    expect(await outcome(commit('v', fact('6')))).toBe('reject INPUT_AMOUNT_CHANGED');
  });

  describe('nothing is forgotten', () => {
    const nothing = async (waits: object, parts: Parameters<typeof orderOf>[0] = {}) => {
      const before = await given.ledger.events(0, 100);
      expect(await given.ledger.upkeep.trim(orderOf(parts))).toEqual(waits);
      expect(await given.ledger.events(0, 100)).toEqual(before);
      expect(before[0]).toMatchObject({ sequence: 1 });
    };

    test('before it is old enough', async () => {
      await commit('t');
      await age();
      await nothing({ kind: 'nothing' }, { retentionMs: 60_000 });
    });

    test('while a window that it was counted in may not be over', async () => {
      await given.ledger.fill([
        {
          counter: 'filled',
          window: HOUR,
          moneyKey: 'm',
          atMs: Date.now(),
          need: { kind: 'amount', amount: '1' },
        },
      ]);
      await commit('t');
      await age();
      await forgetAll(given.ledger);
      expect(await given.ledger.events(0, 1)).toMatchObject([{ sequence: 3, type: 'fill' }]);
      expect(await outcome(commit('t'))).toBe('approve APPROVED again');
    });

    test.each([
      ['ahead', YEAR_MS],
      ['behind', -YEAR_MS],
      // Less so by the time that the questions before it take.
      ['a little ahead', 22_500],
    ])('when the clock of the replica is %s', async (_what, by) => {
      await commit('t');
      await age();
      const waits =
        by > 0 ? { kind: 'waits', why: 'clocks' } : expect.objectContaining({ kind: expect.any(String) });
      await nothing(waits, { nowMs: Date.now() + by });
      expect(await outcome(commit('t'))).toBe('approve APPROVED again');
    });

    test('that is not exported, where an export is demanded', async () => {
      await commit('t');
      await age();
      await nothing({ kind: 'waits', why: 'export' }, { demandsExport: true });
    });
  });

  test('an idle ledger comes to rest', async () => {
    await commit('t', { charges: [ever] });
    for (let round = 0; round < 4; round += 1) {
      await age();
      await forgetAll(given.ledger);
    }
    expect(await given.ledger.events(0, 100)).toHaveLength(1);
    expect((await given.ledger.state()).sequence).toBe(4);
  });

  test('several janitors at once do it once, while decisions go on', async () => {
    const roomy = { ...ever, max: '1000000' };
    const replicas = Array.from({ length: 3 }, () => given.another());
    for (let index = 0; index < 450; index += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, each) => commit(`t${index + each}`, { charges: [roomy, short] })),
      );
    }
    await age();
    let stopped = false;
    let asked = 0;
    const load = (async () => {
      for (; !stopped; asked += 1) {
        expect(await outcome(commit(`u${asked}`, { charges: [roomy] }))).toBe('approve APPROVED');
      }
    })();
    const steps = (await Promise.all(replicas.map((replica) => forgetAll(replica)))).flat();
    stopped = true;
    await load;
    // Whoever finds another at it leaves the rest to that one.
    steps.push(...(await forgetAll(given.ledger)));
    const ranges = steps.flatMap((step) => (step.kind === 'trimmed' ? [step] : []));
    expect(ranges.reduce((sum, { events }) => sum + events, 0)).toBeGreaterThanOrEqual(452);
    expect(Math.max(...ranges.map(({ events }) => events))).toBe(200);
    expect(new Set(ranges.map(({ to }) => to)).size).toBe(ranges.length);
    expect(await used(roomy)).toEqual([String(7 * (450 + asked))]);
    expect(await used(short)).toEqual(['0']);
  });

  test('the clock that it is measured by is given, not the machine’s alone', async () => {
    await commit('t');
    await age();
    // At the instant of the first event none was old, and the machine's clock has hardly left it.
    const [first] = await given.ledger.events(0, 1);
    expect(await given.ledger.upkeep.trim(orderOf({ nowMs: first?.atMs ?? 0 }))).toEqual({ kind: 'nothing' });
    expect(await outcome(commit('t', await fresh()))).toBe('approve APPROVED again');
  });
});
