import { describe, expect, test } from '@jest/globals';
import { onEachLedger, outcome } from '../support/each-ledger.js';
import { activate } from '../support/ledger-bench.js';
import { charge, HOUR, REJECT, RETRY } from '../support/proposals.js';

onEachLedger('versions and the log', (given) => {
  const { commit } = given;

  describe('versions', () => {
    test('a proposal of another ledger, another policy or other freezes is stale', async () => {
      await commit('t');
      const elsewhere = { ...given.versions, ledger: '00000000-0000-4000-8000-000000000000' };
      expect(await outcome(commit('t', { versions: elsewhere }))).toBe('stale');
      expect(await outcome(commit('t', { versions: { ...given.versions, policy: 1 } }))).toBe('stale');
      expect(await outcome(commit('t', { versions: { ...given.versions, freezes: 1 } }))).toBe('stale');
      const { sequence } = await activate(given.ledger);
      expect(await outcome(commit('u'))).toBe('stale');
      expect(await outcome(commit('u', { versions: { ...given.versions, policy: sequence } }))).toBe(
        'approve APPROVED',
      );
    });

    test('a proposal that waited until it was outdated is stale, and no sign of a wrong clock', async () => {
      const waited = { versions: { ...given.versions, policy: 1 }, nowMs: Date.now() - 10_000 };
      expect(await outcome(commit('t', waited))).toBe('stale');
    });

    test('an activation is refused when the log has moved on', async () => {
      const { sequence } = await given.ledger.state();
      await commit('t');
      const activation = { version: 'v', document: 'd', instances: { a: 'b' }, statement: 's' };
      await expect(
        given.ledger.activate({ ...activation, expectedSequence: sequence }),
      ).rejects.toMatchObject({
        code: 'CONCURRENT_CHANGE',
      });
      const done = await given.ledger.activate({ ...activation, expectedSequence: sequence + 1 });
      expect(await given.ledger.state()).toMatchObject({
        sequence: done.sequence,
        policy: { ...activation, sequence: done.sequence },
        versions: { ...given.versions, policy: done.sequence, freezes: 0 },
      });
      expect(await given.ledger.events(done.sequence - 1, 5)).toMatchObject([
        { type: 'policy', body: activation },
      ]);
    });

    test('only one of several activations at once takes place', async () => {
      const { sequence } = await given.ledger.state();
      const activation = {
        version: 'v',
        document: 'd',
        instances: {},
        statement: 's',
        expectedSequence: sequence,
      };
      const attempts = await Promise.allSettled(
        Array.from({ length: 5 }, () => given.another().activate(activation)),
      );
      expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });
  });

  describe('the state', () => {
    test('tells the clock of the ledger, which never steps back', async () => {
      const before = Date.now();
      const { nowMs } = await given.ledger.state();
      const reply = await commit('t');
      const later = await given.another().state();
      expect(Math.abs(nowMs - before)).toBeLessThan(10_000);
      expect(reply.ledgerNowMs).toBeGreaterThanOrEqual(nowMs);
      expect(later.nowMs).toBeGreaterThanOrEqual(reply.ledgerNowMs);
    });
  });

  describe('freezes', () => {
    test('make every replica evaluate again, and are listed in order', async () => {
      const first = await given.ledger.freeze(FREEZE);
      expect(await outcome(commit('t'))).toBe('stale');
      const second = await given.ledger.freeze({ ...FREEZE, id: 'g', expiresAtMs: 1 });
      expect(await given.ledger.state()).toMatchObject({
        versions: { ...given.versions, freezes: second.sequence },
        freezes: [
          { ...FREEZE, sequence: first.sequence },
          { ...FREEZE, id: 'g', expiresAtMs: 1, sequence: second.sequence },
        ],
      });
      const lifted = await given.ledger.unfreeze('f', ['one', 'two']);
      expect(await given.ledger.state()).toMatchObject({
        versions: { freezes: lifted.sequence },
        freezes: [{ id: 'g' }],
      });
      expect(await given.ledger.events(first.sequence - 1, 9)).toMatchObject([
        { type: 'freeze', body: FREEZE },
        { type: 'freeze', body: { id: 'g' } },
        { type: 'unfreeze', body: { id: 'f', statements: ['one', 'two'] } },
      ]);
    });

    test('the same freeze again is the same; another one under its id is refused', async () => {
      const first = await given.ledger.freeze(FREEZE);
      expect(await given.ledger.freeze(FREEZE)).toEqual(first);
      await expect(given.ledger.freeze({ ...FREEZE, scope: '{"narrower":true}' })).rejects.toMatchObject({
        code: 'CONCURRENT_CHANGE',
      });
      await expect(given.ledger.unfreeze('nobody', [])).rejects.toMatchObject({ code: 'CONCURRENT_CHANGE' });
    });

    test('a standing approval is not repeated under a freeze, and its record stands', async () => {
      await commit('t');
      const opinion = { effect: 'retry', reason: 'FREEZE_RETRIES', sentence: 'Frozen by alice.' } as const;
      expect(await commit('t', { frozen: true, opinion })).toMatchObject({
        kind: 'retry',
        reason: 'FREEZE_RETRIES',
        sentence: 'Frozen by alice.',
      });
      expect(await outcome(commit('t', { frozen: true, opinion: REJECT }))).toBe('retry FREEZE_RETRIES');
      expect(await outcome(commit('t'))).toBe('approve APPROVED again');
    });

    test('a standing rejection is repeated under a freeze', async () => {
      await commit('t', { opinion: REJECT });
      expect(await outcome(commit('t', { frozen: true, opinion: RETRY }))).toBe('reject RULE_REJECTS again');
    });
  });

  describe('the journal', () => {
    test('holds what was asked, decided and charged, in order', async () => {
      const charges = [
        charge('c', { amount: '40' }),
        charge('d', { members: ['x', 'y'] }),
        charge('s', { mode: 'shadow', max: '0' }),
      ];
      const facts = [{ key: 'k', value: 'v', reason: 'INPUT_AMOUNT_CHANGED' as const, sentence: '' }];
      const reply = await commit('t', { charges, facts });
      await commit('u', { opinion: REJECT });
      const [first, second, ...none] = await given.ledger.events(2, 10);
      expect(first).toEqual({
        sequence: 3,
        atMs: reply.ledgerNowMs,
        type: 'decision',
        body: {
          ask: {
            askKey: 'test:transaction:signing:t:',
            fingerprint: 'content-of-t',
            moneyKey: 'test:t',
            coreFingerprint: 'core-of-t',
            amount: '100',
            requestKey: 'test:t',
            txId: 't',
          },
          decision: 'decision' in reply && reply.decision,
          charged: [
            { limit: 'c', counter: 'c', mode: 'enforce', window: HOUR, need: '40', added: '40', total: '40' },
            {
              limit: 'd',
              counter: 'd',
              mode: 'enforce',
              window: HOUR,
              members: ['x', 'y'],
              added: '2',
              total: '2',
            },
          ],
          exceeded: [
            { limit: 's', counter: 's', mode: 'shadow', window: HOUR, need: '1', added: '1', total: '1' },
          ],
          facts: { k: 'v' },
          journal: { request: { requestId: 't' }, note: 'ünï "quoted" \\ / \u2028' },
        },
      });
      expect(second).toMatchObject({ sequence: 4, body: { decision: { reason: 'RULE_REJECTS' } } });
      expect(none).toEqual([]);
      expect(await given.ledger.events(2, 1)).toEqual([first]);
      expect(await given.ledger.events(3, 1)).toEqual([second]);
    });
  });
});

const FREEZE = {
  id: 'f',
  scope: '{"kind":"transaction"}',
  reason: 'drill',
  author: 'alice',
  answers: 'retry',
} as const;
