import { describe, expect, test } from '@jest/globals';
import type { Release } from '../../src/core/release.js';
import { onEachLedger, outcome } from '../support/each-ledger.js';
import { charge, HOUR, IGNORE, LIFETIME, REJECT } from '../support/proposals.js';

const RELEASE = {
  reason: 'cancelled',
  note: 'a note',
  authority: { kind: 'operator', statement: 'a.b.c' },
} as const;

function releaseOf(txId: string): Release {
  return { moneyKey: `test:${txId}`, ...RELEASE };
}

onEachLedger('releasing charges', (given) => {
  const { commit, used } = given;
  const hour = charge('hour', { amount: '100000000000000000000', max: '300000000000000000000' });
  const day = charge('day', {
    amount: '7',
    window: { kind: 'calendar', startMs: 0, endMs: Date.now() + 1e9 },
  });
  const ever = charge('ever', { amount: '7', window: LIFETIME });
  const places = charge('places', { members: ['a', 'b'] });
  const tried = charge('tried', { amount: '9', mode: 'shadow' });
  const charges = [hour, day, ever, places, tried];

  test('gives back exactly what the transaction holds, in every counter of amounts', async () => {
    await commit('t', { charges });
    await commit('t', {
      ask: { askKey: 'another stage' },
      charges: [charge('ever', { amount: '9', window: LIFETIME })],
    });
    await commit('u', { charges });
    const released = await given.ledger.release(releaseOf('t'));
    expect(released).toMatchObject({ repeated: false });
    expect(released.given.map(({ limit, mode, amount }) => [limit, mode, amount])).toEqual([
      ['hour', 'enforce', '100000000000000000000'],
      ['day', 'enforce', '7'],
      ['ever', 'enforce', '9'],
      ['tried', 'shadow', '9'],
    ]);
    expect(await used(...charges)).toEqual(['100000000000000000000', '7', '7', '2', '9']);
    expect(await given.ledger.events(released.sequence - 1, 10)).toMatchObject([
      { type: 'release', body: { ...releaseOf('t'), given: released.given } },
    ]);
    await given.ledger.release(releaseOf('u'));
    expect(await used(...charges)).toEqual(['0', '0', '0', '2', '0']);
  });

  test('gives back what the journal filled in', async () => {
    await commit('t', { charges });
    const filled = charge('filled', { window: HOUR });
    const entry = { counter: 'filled', window: HOUR, atMs: Date.now() };
    await given.ledger.fill([
      { ...entry, moneyKey: 'test:t', need: { kind: 'amount', amount: '5' } },
      { ...entry, moneyKey: 'test:u', need: { kind: 'amount', amount: '6' } },
    ]);
    await given.ledger.release(releaseOf('t'));
    expect(await used(filled)).toEqual(['6']);
  });

  test('makes room for others at once', async () => {
    const full = charge('full', { amount: '100' });
    await commit('t', { charges: [full] });
    expect(await outcome(commit('u', { charges: [full] }))).toBe('reject LIMIT_EXCEEDED');
    await given.ledger.release(releaseOf('t'));
    expect(await outcome(commit('v', { charges: [full] }))).toBe('approve APPROVED');
  });

  test('twice changes nothing, by whatever replica', async () => {
    await commit('t', { charges });
    await commit('u', { charges });
    const first = await given.ledger.release(releaseOf('t'));
    const again = await given.another().release({ ...releaseOf('t'), reason: 'failed' });
    expect(again).toEqual({ ...first, repeated: true });
    expect(await given.ledger.state()).toMatchObject({ sequence: first.sequence });
    expect(await used(...charges)).toEqual(['100000000000000000000', '7', '7', '2', '9']);
  });

  test('is done once when all do it at once, and misses no decision that comes between', async () => {
    const replicas = Array.from({ length: 4 }, () => given.another());
    for (let round = 0; round < 20; round += 1) {
      const own = Array.from({ length: 8 }, (_, stage) => charge(`${round}-${stage}`));
      await commit(`t${round}`, { charges });
      const stages = (async () => {
        for (const each of own)
          await commit(`t${round}`, { ask: { askKey: `stage ${each.counter}` }, charges: [each] });
      })();
      const releases = await Promise.all(replicas.map((replica) => replica.release(releaseOf(`t${round}`))));
      await stages;
      expect(releases.filter(({ repeated }) => !repeated)).toHaveLength(1);
      expect(await used(hour, day, ever, tried, ...own)).toEqual(Array.from({ length: 12 }, () => '0'));
    }
  });

  describe('leaves a tombstone', () => {
    test('the approval that stands is not repeated, under a freeze neither', async () => {
      await commit('t', { charges });
      await given.ledger.release(releaseOf('t'));
      expect(await outcome(commit('t', { charges }))).toBe('conflict RELEASED_BEFORE');
      expect(await outcome(commit('t', { charges, frozen: true }))).toBe('conflict RELEASED_BEFORE again');
      expect(await used(...charges)).toEqual(['0', '0', '0', '2', '0']);
    });

    test('at another stage it is rejected, and charged nowhere', async () => {
      await commit('t', { charges });
      await given.ledger.release(releaseOf('t'));
      const later = { ask: { askKey: 'another stage', amount: '999' }, charges };
      expect(await outcome(commit('t', later))).toBe('reject RELEASED_BEFORE');
      expect(await outcome(commit('t', later))).toBe('reject RELEASED_BEFORE again');
      expect(await outcome(commit('t', { ask: { askKey: 'x', coreFingerprint: 'other' }, charges }))).toBe(
        'conflict CONFLICT_TRANSACTION',
      );
      expect(await used(...charges)).toEqual(['0', '0', '0', '2', '0']);
    });

    test('what stands and approves nothing is repeated as it is', async () => {
      await commit('no', { opinion: REJECT, charges: [tried] });
      await commit('other', { opinion: IGNORE });
      await given.ledger.release(releaseOf('no'));
      await given.ledger.release(releaseOf('other'));
      expect(await outcome(commit('no'))).toBe('reject RULE_REJECTS again');
      expect(await outcome(commit('other'))).toBe('ignore RULE_IGNORES again');
      expect(await used(tried)).toEqual(['0']);
    });

    test('other transactions are decided as before', async () => {
      await commit('t', { charges });
      await commit('u', { charges });
      await given.ledger.release(releaseOf('t'));
      expect(await outcome(commit('u', { charges }))).toBe('approve APPROVED again');
      expect(await outcome(commit('v', { charges }))).toBe('approve APPROVED');
    });
  });

  test('of what was never decided is refused', async () => {
    await expect(given.ledger.release(releaseOf('nobody'))).rejects.toMatchObject({
      code: 'RELEASE_REFUSED',
    });
    expect(await given.ledger.transaction('test:nobody')).toBeUndefined();
  });

  test('is refused when too many decisions are about it to know them all', async () => {
    for (let stage = 0; stage < 350; stage += 1) await commit('t', { ask: { askKey: `stage ${stage}` } });
    await expect(given.ledger.release(releaseOf('t'))).rejects.toThrow(/too many decisions are about test:t/);
  });

  test('can be looked at before it is done', async () => {
    await commit('t', { charges });
    const before = await given.ledger.transaction('test:t');
    expect(before).toMatchObject({ approved: true, rejected: false });
    expect(before).not.toHaveProperty('released');
    expect(await used(...charges)).toEqual(['100000000000000000000', '7', '7', '2', '9']);
    const { given: back, sequence } = await given.ledger.release(releaseOf('t'));
    expect(back).toEqual(before?.holdings);
    expect(await given.ledger.transaction('test:t')).toMatchObject({ released: sequence, holdings: [] });
  });
});
