import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import type { Charge } from '../../src/core/decision.js';
import type { CoolingOff, Moment } from '../../src/core/moments.js';
import { atLast, onEachLedger, outcome } from '../support/each-ledger.js';
import { age, forgetAll } from '../support/forgetting.js';
import { charge, LIFETIME, proposal, REJECT } from '../support/proposals.js';

/** The approval of a whitelisting: no transaction, and no money. */
const NO_MONEY = { moneyKey: undefined, amount: undefined, binding: undefined, coreFingerprint: undefined };
const HOUR_MS = 3_600_000;

const newest = (key: string): Moment => ({ key, keeps: 'newest' });
const first = (key: string): Moment => ({ key, keeps: 'first' });

function cooling(periodMs: number, parts: Partial<CoolingOff> = {}): CoolingOff {
  return { keys: ['wallet'], periodMs, whenEarly: 'reject', sentence: 'Whitelisted too recently.', ...parts };
}

/** A limit of payments to new destinations; `parts` are the destinations and what each is paid. */
function newcomers(
  parts: Readonly<Record<string, string>>,
  more: Parameters<typeof charge>[1] & { forMs?: number } = {},
): Charge {
  const { forMs = HOUR_MS, ...rest } = more;
  const needs = Object.entries(parts).map(([moment, need]) => ({ moment, need }));
  const whole = needs.reduce((sum, { need }) => sum + BigInt(need), 0n);
  return charge('new', {
    amount: String(whole),
    ...rest,
    newOnly: { forMs, combine: 'sum', parts: needs },
  });
}

onEachLedger('moments', (given) => {
  const { commit, used } = given;
  const whitelist = (id: string, ...keys: readonly string[]) =>
    commit(id, { ask: NO_MONEY, moments: keys.map(newest) });
  const decidedAt = async (reply: ReturnType<typeof commit>) => {
    const answer = await reply;
    return answer.kind === 'decided' ? answer.decision.decidedAtMs : Number.NaN;
  };

  describe('cooling-off', () => {
    test('what began less than the period ago is refused, and charges nothing', async () => {
      await whitelist('change', 'wallet');
      const charges = [charge('c')];
      expect(await commit('t', { charges, coolingOff: cooling(HOUR_MS) })).toMatchObject({
        kind: 'decided',
        decision: {
          effect: 'reject',
          reason: 'COOLING_OFF',
          sentence: 'Whitelisted too recently.',
          rule: 'r',
        },
      });
      expect(await used(...charges)).toEqual(['0']);
      expect(await outcome(commit('t', { ask: { askKey: 'another-stage' } }))).toBe('reject REJECTED_BEFORE');
    });

    test('or is to be asked about again later, and then nothing is recorded', async () => {
      await whitelist('change', 'wallet');
      const coolingOff = cooling(HOUR_MS, { whenEarly: 'retry' });
      expect(await commit('t', { coolingOff })).toMatchObject({
        kind: 'retry',
        reason: 'COOLING_OFF_RETRIES',
        sentence: 'Whitelisted too recently.',
      });
      expect((await given.ledger.state()).sequence).toBe(3);
    });

    test('what the ledger knows no beginning of is not covered', async () => {
      await whitelist('change', 'another');
      expect(await outcome(commit('t', { coolingOff: cooling(HOUR_MS) }))).toBe('approve APPROVED');
    });

    test('every destination is looked at, and by each of its names', async () => {
      await whitelist('change', 'wallet');
      const coolingOff = cooling(HOUR_MS, { keys: ['another', 'third', 'wallet'] });
      expect(await outcome(commit('t', { coolingOff }))).toBe('reject COOLING_OFF');
    });

    test('is over exactly when its period has passed by the clock of the ledger', async () => {
      const since = await decidedAt(whitelist('change', 'wallet'));
      const periodMs = 300;
      for (let number = 0; ; number += 1) {
        const coolingOff = cooling(periodMs, { whenEarly: 'retry' });
        const reply = await commit(`t${number}`, { coolingOff });
        const isOver = reply.ledgerNowMs >= since + periodMs;
        expect(reply.kind).toBe(isOver ? 'decided' : 'retry');
        if (isOver) break;
      }
      // The period of the asker's policy counts, not one of the time of the whitelisting.
      expect(await outcome(commit('u', { coolingOff: cooling(HOUR_MS) }))).toBe('reject COOLING_OFF');
    });

    test('the newest approval counts: adding it once more begins anew', async () => {
      await whitelist('change', 'wallet');
      await pause(60);
      const again = await decidedAt(whitelist('added-again', 'wallet'));
      const reply = await commit('t', { coolingOff: cooling(50) });
      const isOver = reply.ledgerNowMs >= again + 50;
      expect(await outcome(Promise.resolve(reply))).toBe(isOver ? 'approve APPROVED' : 'reject COOLING_OFF');
      const [, event] = await given.ledger.events(2, 2);
      expect(event?.body.moments).toEqual({ wallet: again });
    });

    test('only what is approved begins', async () => {
      await commit('refused', { ask: NO_MONEY, opinion: REJECT, moments: [newest('wallet')] });
      await commit('full', {
        ask: NO_MONEY,
        charges: [charge('c', { max: '0' })],
        moments: [newest('wallet')],
      });
      await whitelist('change', 'other');
      await commit('early', {
        coolingOff: cooling(HOUR_MS, { keys: ['other'] }),
        moments: [newest('wallet')],
      });
      expect(await outcome(commit('t', { coolingOff: cooling(HOUR_MS) }))).toBe('approve APPROVED');
      const events = await given.ledger.events(2, 10);
      expect(events.map(({ body }) => body.moments)).toEqual([
        undefined,
        undefined,
        { other: events[2]?.atMs },
        undefined,
        undefined,
      ]);
    });

    test('an approval that is repeated begins nothing anew', async () => {
      const since = await decidedAt(whitelist('change', 'wallet'));
      // A timer may be a millisecond early.
      await pause(35);
      expect(await outcome(whitelist('change', 'wallet'))).toBe('approve APPROVED again');
      const reply = await commit('t', { coolingOff: cooling(30) });
      expect(reply.ledgerNowMs - since).toBeGreaterThanOrEqual(30);
      expect(await outcome(Promise.resolve(reply))).toBe('approve APPROVED');
    });

    test('of a whitelisting and payments at once each payment comes before it or is refused', async () => {
      const replicas = Array.from({ length: 4 }, () => given.another());
      const payments = Array.from({ length: 20 }, (_, index) => index);
      const replies = await Promise.all([
        ...payments.map((index) =>
          index === 10
            ? atLast(() => whitelist('change', 'wallet'))
            : atLast(() =>
                (replicas[index % 4] ?? given.ledger).commit({
                  ...proposal(`t${index}`, { versions: given.versions }),
                  coolingOff: cooling(HOUR_MS),
                }),
              ),
        ),
      ]);
      const decisions = replies.flatMap((reply) => (reply.kind === 'decided' ? [reply.decision] : []));
      const began = decisions[10]?.sequence ?? 0;
      expect(decisions).toHaveLength(20);
      for (const { sequence, effect } of decisions)
        expect(effect).toBe(sequence <= began ? 'approve' : 'reject');
    });
  });

  describe('limits of new destinations', () => {
    const pay = (txId: string, destinations: Readonly<Record<string, string>>, more: NewcomerParts = {}) =>
      commit(txId, {
        ...more.parts,
        charges: [newcomers(destinations, more)],
        moments: Object.keys(destinations).map(first),
      });

    test('a payment is charged while its destination is new, and no longer', async () => {
      const began = await decidedAt(pay('t1', { alice: '60' }, { forMs: 400 }));
      expect(await used(charge('new'))).toEqual(['60']);
      // Still new: what is paid soon after the first payment counts too.
      for (let number = 2; ; number += 1) {
        const reply = await pay(`t${number}`, { alice: '60' }, { forMs: 400 });
        const isKnown = reply.ledgerNowMs >= began + 400;
        expect(await outcome(Promise.resolve(reply))).toBe(
          isKnown ? 'approve APPROVED' : 'reject LIMIT_EXCEEDED',
        );
        if (isKnown) break;
      }
      expect(await used(charge('new'))).toEqual(['60']);
    });

    test('of several destinations only what the new ones get is charged', async () => {
      await pay('t1', { alice: '1' }, { forMs: 1 });
      await pause(5);
      const reply = await pay('t2', { alice: '1000', bob: '30', carol: '40' }, { forMs: 4 });
      expect(reply).toMatchObject({ decision: { effect: 'approve' }, use: [{ used: '71' }] });
      const [event] = (await given.ledger.events(3, 10)).slice(-1);
      expect(event?.body.charged).toEqual([
        {
          limit: 'new',
          counter: 'new',
          mode: 'enforce',
          window: expect.anything(),
          need: '70',
          added: '70',
          total: '71',
        },
      ]);
    });

    test('what all share is charged once', async () => {
      const shared = newcomers({ alice: '1', bob: '1' }, { amount: '1' });
      const charges = [{ ...shared, newOnly: { ...shared.newOnly, combine: 'largest' } } as Charge];
      await commit('t', { charges });
      expect(await used(...charges)).toEqual(['1']);
    });

    test('a limit that counts different ones counts the new ones', async () => {
      const different = (...names: readonly string[]): Charge =>
        charge('different', {
          members: names,
          max: '2',
          newOnly: {
            forMs: HOUR_MS,
            combine: 'sum',
            parts: names.map((name) => ({ moment: `paid ${name}`, need: name })),
          },
        });
      await given.ledger.fill([], [{ key: 'paid alice', sinceMs: Date.now() - HOUR_MS }]);
      const reply = await commit('t', { charges: [different('alice', 'bob "b"', 'carol')] });
      expect(reply).toMatchObject({ decision: { effect: 'approve' }, use: [{ used: '2' }] });
      expect(await outcome(commit('u', { charges: [different('dave')] }))).toBe('reject LIMIT_EXCEEDED');
      expect(await outcome(commit('v', { charges: [different('alice')] }))).toBe('approve APPROVED');
      const [event] = (await given.ledger.events(3, 1)).slice(-1);
      expect(event?.body.charged).toMatchObject([{ members: ['bob "b"', 'carol'] }]);
    });

    test('a maximum of zero means never to a new destination, and always to another', async () => {
      await given.ledger.fill([], [{ key: 'alice', sinceMs: Date.now() - HOUR_MS }]);
      expect(await outcome(pay('t1', { bob: '1' }, { max: '0' }))).toBe('reject LIMIT_EXCEEDED');
      const reply = await pay('t2', { alice: '1' }, { max: '0' });
      // A limit that does not apply is not said to be used.
      expect(reply).toMatchObject({ decision: { effect: 'approve' }, use: [] });
      expect(await outcome(pay('t3', { alice: '1', bob: '1' }, { max: '0' }))).toBe('reject LIMIT_EXCEEDED');
    });

    test('a limit that is full already lets known destinations pass', async () => {
      await given.ledger.fill([], [{ key: 'alice', sinceMs: Date.now() - HOUR_MS }]);
      await pay('t1', { bob: '90' });
      expect(await outcome(pay('t2', { alice: '1' }, { max: '5' }))).toBe('approve APPROVED');
    });

    test('the stages of one transaction are one payment', async () => {
      const stage = (askKey: string) => pay('t', { alice: '60' }, { parts: { ask: { askKey } } });
      expect(await outcome(stage('approval'))).toBe('approve APPROVED');
      expect(await outcome(stage('signing'))).toBe('approve APPROVED');
      expect(await used(charge('new'))).toEqual(['60']);
    });

    test('what is asked for again when the limit is full is measured by the new ones alone', async () => {
      await given.ledger.fill([], [{ key: 'alice', sinceMs: Date.now() - HOUR_MS }]);
      await pay('t1', { bob: '60' });
      const retry = { whenFull: 'retry' } as const;
      expect(await outcome(pay('t2', { alice: '1000', carol: '60' }, retry))).toBe('retry LIMIT_FULL_RETRY');
      expect(await outcome(pay('t3', { alice: '1', carol: '101' }, retry))).toBe('reject LIMIT_EXCEEDED');
    });

    test('in shadow it is counted apart, and refuses nothing', async () => {
      const reply = await pay('t1', { alice: '101' }, { mode: 'shadow' });
      expect(reply).toMatchObject({
        decision: { effect: 'approve' },
        use: [{ mode: 'shadow', used: '0', exceeded: true }],
      });
      await pay('t2', { bob: '99' }, { mode: 'shadow', parts: { opinion: REJECT } });
      expect(await used(charge('new', { mode: 'shadow' }))).toEqual(['99']);
    });

    test('a released first payment leaves its destination as known as it was', async () => {
      await pay('t1', { alice: '60' });
      await given.ledger.release({
        moneyKey: 'test:t1',
        reason: 'failed',
        authority: { kind: 'operator', statement: 'a.b.c' },
      });
      expect(await used(charge('new'))).toEqual(['0']);
      await pause(5);
      expect(await outcome(pay('t2', { alice: '60' }, { forMs: 1 }))).toBe('approve APPROVED');
      expect(await used(charge('new'))).toEqual(['0']);
    });

    test('at once from several replicas never more than the limit goes to new destinations', async () => {
      const replicas = Array.from({ length: 4 }, () => given.another());
      const replies = await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          atLast(() =>
            (replicas[index % 4] ?? given.ledger).commit({
              ...proposal(`t${index}`, { versions: given.versions }),
              charges: [newcomers({ [`d${index % 7}`]: '7' })],
              moments: [first(`d${index % 7}`)],
            }),
          ),
        ),
      );
      const approved = replies.filter((r) => r.kind === 'decided' && r.decision.effect === 'approve');
      expect(approved).toHaveLength(14);
      expect(await used(charge('new'))).toEqual(['98']);
    });
  });

  describe('filled from the journal', () => {
    test('the earlier of two instants stands, and the event says which', async () => {
      const now = Date.now();
      await given.ledger.fill([], [{ key: 'alice', sinceMs: now - 500 }]);
      await given.ledger.fill(
        [],
        [
          { key: 'alice', sinceMs: now - 100 },
          { key: 'bob', sinceMs: now - 50 },
          { key: 'bob', sinceMs: now - 70 },
        ],
      );
      const events = await given.ledger.events(2, 10);
      expect(events.map(({ body }) => body.moments)).toEqual([
        { alice: now - 500 },
        { alice: now - 500, bob: now - 70 },
      ]);
    });

    test('more than one step holds', async () => {
      const moments = Array.from({ length: 450 }, (_, index) => ({ key: `d${index}`, sinceMs: 1 }));
      await given.ledger.fill([], moments);
      expect((await given.ledger.state()).sequence).toBe(5);
      const charges = [newcomers({ d0: '1', d449: '1', d450: '5' }, { max: '5' })];
      expect(await outcome(commit('t', { charges }))).toBe('approve APPROVED');
    });
  });

  describe('forgetting', () => {
    test('what nothing has mentioned for the retention begins anew; what was mentioned keeps its beginning', async () => {
      const began = await decidedAt(
        commit('t1', { moments: [first('alice'), first('bob'), newest('wallet')] }),
      );
      const old = await age();
      await commit('t2', { moments: [first('alice')] });
      await forgetAll(given.ledger, old);
      await commit('t3', { moments: [first('alice'), first('bob')] });
      const [event] = (await given.ledger.events(0, 100)).slice(-1);
      expect(event?.body.moments).toEqual({ alice: began, bob: event?.atMs });
      expect(await outcome(commit('t4', { coolingOff: cooling(HOUR_MS) }))).toBe('approve APPROVED');
    });
  });

  test('bounds of a proposal hold', async () => {
    const many = Array.from({ length: 1025 }, (_, index) => first(`m${index}`));
    await expect(commit('t', { moments: many })).rejects.toThrow('at most 1024 moments');
    await expect(commit('t', { moments: [first('a'), newest('a')] })).rejects.toThrow('remembered once');
    await expect(commit('t', { moments: [first('')] })).rejects.toThrow('the moment has 1 to');
    await expect(commit('t', { coolingOff: cooling(0) })).rejects.toThrow('whole milliseconds');
    await expect(commit('t', { charges: [newcomers({ a: '1' }, { forMs: 0.5 })] })).rejects.toThrow(
      'new for',
    );
    await expect(given.ledger.fill([], [{ key: 'a', sinceMs: -1 }])).rejects.toThrow('whole millisecond');
    const moments = Array.from({ length: 1024 }, (_, index) => first(`m${index}`));
    expect(await outcome(commit('t', { moments, charges: [charge('c', { window: LIFETIME })] }))).toBe(
      'approve APPROVED',
    );
  });
});

type NewcomerParts = Parameters<typeof newcomers>[1] & {
  readonly parts?: NonNullable<Parameters<Parameters<Parameters<typeof onEachLedger>[1]>[0]['commit']>[1]>;
};
