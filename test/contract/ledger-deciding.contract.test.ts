import { describe, expect, test } from '@jest/globals';
import type { Ledger } from '../../src/core/ports.js';
import { atLast, onEachLedger, outcome } from '../support/each-ledger.js';
import { activate, bench } from '../support/ledger-bench.js';
import { APPROVE, charge, IGNORE, proposal, REJECT, RETRY } from '../support/proposals.js';

onEachLedger('deciding once', (given) => {
  const { commit, used } = given;

  describe('making a ledger', () => {
    test('an identity is written once, with an event', async () => {
      const { identity } = await given.ledger.state();
      expect(identity).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      await expect(given.ledger.init()).rejects.toMatchObject({ code: 'LEDGER_EXISTS' });
      const [event] = await given.ledger.events(0, 1);
      expect(event).toMatchObject({ sequence: 1, type: 'ledger', body: { identity } });
      expect(await given.ledger.state()).toMatchObject({ identity, sequence: 2 });
      expect(given.ledger.kind).toBe(given.kind);
    });

    test('an empty store is no ledger, for any method', async () => {
      const empty = given.store.open(`empty-${given.kind}`);
      const charges = [charge('c')];
      const attempts: readonly (() => Promise<unknown>)[] = [
        () => empty.state(),
        () => empty.commit(proposal('t', { versions: given.versions })),
        () => empty.fill([{ ...charge('c'), moneyKey: 'm', atMs: 1 }]),
        () => activate(empty),
        () => empty.freeze(FREEZE),
        () => empty.unfreeze('f', []),
        () => empty.events(0, 1),
        () => empty.usage(charges),
        () => empty.lookup('a'),
      ];
      for (const attempt of attempts)
        await expect(attempt()).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
      await empty.close();
    });

    test('nothing is wrong with a store as it should be', async () => {
      expect(await given.ledger.check()).toEqual([]);
    });

    test('workspaces share a store and nothing else', async () => {
      await commit('t', { charges: [charge('c', { max: '1' })] });
      const other = await bench(given.store);
      const reply = other.ledger.commit(
        proposal('t', { versions: other.versions, charges: [charge('c', { max: '1' })] }),
      );
      expect(await outcome(reply)).toBe('approve APPROVED');
      await other.close();
    });

    test('a workspace whose name would leave its hash tag is refused', () => {
      expect(() => given.store.open('a}b')).toThrow('the workspace name "a}b" is not');
    });
  });

  describe('deciding once', () => {
    test.each([
      ['approve', APPROVE],
      ['reject', REJECT],
      ['ignore', IGNORE],
    ] as const)('a decision to %s is recorded and repeated word for word', async (effect, opinion) => {
      const first = await commit('t', { opinion });
      expect(first).toMatchObject({
        kind: 'decided',
        repeated: false,
        decision: {
          effect,
          reason: opinion.reason,
          sentence: opinion.sentence,
          rule: 'r',
          sequence: 3,
          policyVersion: 'f'.repeat(64),
        },
      });
      // Whatever the policy has come to think since.
      for (const later of [APPROVE, REJECT, IGNORE, RETRY]) {
        const again = await given
          .another()
          .commit(proposal('t', { versions: given.versions, opinion: later }));
        expect(again).toEqual({
          kind: 'decided',
          repeated: true,
          decision: 'decision' in first && first.decision,
          ledgerNowMs: expect.any(Number),
          use: [],
        });
      }
      expect((await given.ledger.state()).sequence).toBe(3);
      expect(await given.ledger.lookup('test:transaction:signing:t:')).toEqual(
        'decision' in first && first.decision,
      );
    });

    test('a retry is recorded nowhere', async () => {
      expect(await commit('t', { opinion: RETRY })).toMatchObject({
        kind: 'retry',
        reason: 'RULE_RETRIES',
        sentence: RETRY.sentence,
      });
      expect((await given.ledger.state()).sequence).toBe(2);
      expect(await given.ledger.lookup('test:transaction:signing:t:')).toBeUndefined();
      expect(await outcome(commit('t'))).toBe('approve APPROVED');
    });

    test('deliveries of one ask to many replicas at once make one decision', async () => {
      const replicas = Array.from({ length: 4 }, () => given.another());
      const opinions = [APPROVE, REJECT, IGNORE];
      const replies = await Promise.all(
        Array.from({ length: 60 }, (_, index) =>
          atLast(() =>
            (replicas[index % 4] ?? given.ledger).commit(
              proposal('t', { versions: given.versions, opinion: opinions[index % 3] ?? APPROVE }),
            ),
          ),
        ),
      );
      const decisions = replies.map((reply) => 'decision' in reply && reply.decision);
      for (const decision of decisions) expect(decision).toEqual(decisions[0]);
      expect(replies.filter((reply) => reply.kind === 'decided' && !reply.repeated)).toHaveLength(1);
    });

    test('200 concurrent commits through several replicas: exactly as many as the limit has room for', async () => {
      const replicas = Array.from({ length: 4 }, () => given.another());
      const charges = [
        charge('count', { max: '37' }),
        charge('sum', { amount: '1000000000000000000000', max: '9'.repeat(30) }),
      ];
      const replies = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          atLast(() =>
            (replicas[index % 4] ?? given.ledger).commit(
              proposal(`t${index}`, { versions: given.versions, charges }),
            ),
          ),
        ),
      );
      const effects = replies.map((reply) => reply.kind === 'decided' && reply.decision.effect);
      expect(effects.filter((effect) => effect === 'approve')).toHaveLength(37);
      expect(effects.filter((effect) => effect === 'reject')).toHaveLength(163);
      expect(await used(...charges)).toEqual(['37', `${37n * 10n ** 21n}`]);
      expect(await totalsOf(given.ledger)).toEqual({ count: 37n, sum: 37n * 10n ** 21n });
    });
  });

  describe('conflicts', () => {
    test('other content under the same ask: refused, repeated, and the good one stands', async () => {
      await commit('t');
      const variant = { ask: { fingerprint: 'other' } };
      const first = await commit('t', variant);
      expect(first).toMatchObject({
        kind: 'conflict',
        repeated: false,
        decision: { effect: 'reject', reason: 'CONFLICT_CONTENT', sequence: 4 },
      });
      expect(await commit('t', variant)).toMatchObject({
        kind: 'conflict',
        repeated: true,
        decision: 'decision' in first && first.decision,
      });
      expect(await outcome(commit('t', { ask: { fingerprint: 'third' } }))).toBe('conflict CONFLICT_CONTENT');
      expect(await outcome(commit('t'))).toBe('approve APPROVED again');
      const events = await given.ledger.events(3, 10);
      expect(events.map(({ type }) => type)).toEqual(['conflict', 'conflict']);
      expect(events[0]?.body).toMatchObject({
        ask: { fingerprint: 'other' },
        decision: { reason: 'CONFLICT_CONTENT' },
      });
    });

    test('a request id that names another transaction, at whatever stage', async () => {
      await commit('t');
      const ask = {
        askKey: 'another-stage',
        binding: { requestKey: 'test:t', txId: 'u' },
        moneyKey: 'test:u',
      };
      expect(await outcome(commit('u', { ask }))).toBe('conflict CONFLICT_BINDING');
      expect(await outcome(commit('u', { ask }))).toBe('conflict CONFLICT_BINDING again');
      expect(await given.ledger.lookup('another-stage')).toBeUndefined();
    });

    test.each([
      ['rejected', REJECT],
      ['ignored', IGNORE],
    ] as const)('a request id is bound by a %s request too', async (_, opinion) => {
      await commit('t', { opinion });
      const ask = { askKey: 'other', binding: { requestKey: 'test:t', txId: 'u' } };
      expect(await outcome(commit('u', { ask }))).toBe('conflict CONFLICT_BINDING');
    });

    test.each([
      ['approved', APPROVE],
      ['rejected', REJECT],
      ['ignored', IGNORE],
    ] as const)('other core content of a transaction that was %s', async (_, opinion) => {
      await commit('t', { opinion });
      const ask = { askKey: 'other', coreFingerprint: 'other-core' };
      expect(await outcome(commit('t', { ask }))).toBe('conflict CONFLICT_TRANSACTION');
      expect(await outcome(commit('t', { ask }))).toBe('conflict CONFLICT_TRANSACTION again');
    });

    test('a later ask may be for less than was approved, never for more', async () => {
      const amount = `1${'0'.repeat(40)}`;
      await commit('t', { ask: { amount } });
      const stage = (askKey: string, later: string) =>
        outcome(commit('t', { ask: { askKey, amount: later } }));
      expect(await stage('equal', amount)).toBe('approve APPROVED');
      expect(await stage('one-more', `1${'0'.repeat(39)}1`)).toBe('conflict CONFLICT_AMOUNT');
      expect(await stage('less', '9'.repeat(40))).toBe('approve APPROVED');
      // What was approved stays the measure, not the latest ask.
      expect(await stage('equal-again', amount)).toBe('approve APPROVED');
      // Compared as numbers, not as text.
      expect(await stage('text', '9')).toBe('approve APPROVED');
    });

    test('a variant of a stranger never burns the good request', async () => {
      await commit('t', { ask: { askKey: 'approval' } });
      expect(await outcome(commit('t', { ask: { coreFingerprint: 'evil', fingerprint: 'evil' } }))).toBe(
        'conflict CONFLICT_TRANSACTION',
      );
      expect(await outcome(commit('t', { ask: { amount: '101', fingerprint: 'greedy' } }))).toBe(
        'conflict CONFLICT_AMOUNT',
      );
      expect(await outcome(commit('t'))).toBe('approve APPROVED');
    });

    test('a conflict charges nothing', async () => {
      await commit('t');
      const charges = [charge('c')];
      await commit('t', { ask: { fingerprint: 'other' }, charges });
      expect(await used(...charges)).toEqual(['0']);
    });
  });

  describe('a transaction asked about again', () => {
    const approval = { ask: { askKey: 'approval', fingerprint: 'approval' } };

    test('rejected before: rejected, and that is the decision of the new ask', async () => {
      await commit('t', { ...approval, opinion: REJECT });
      expect(await outcome(commit('t'))).toBe('reject REJECTED_BEFORE');
      expect(await outcome(commit('t', { opinion: IGNORE }))).toBe('reject REJECTED_BEFORE again');
      expect(await given.ledger.lookup('test:transaction:signing:t:')).toMatchObject({
        reason: 'REJECTED_BEFORE',
      });
    });

    test('refused by a limit before: rejected too', async () => {
      await commit('t', { ...approval, charges: [charge('c', { max: '0' })] });
      expect(await outcome(commit('t'))).toBe('reject REJECTED_BEFORE');
    });

    test('approved before: its own checks still apply', async () => {
      await commit('t', approval);
      expect(await outcome(commit('t', { opinion: REJECT }))).toBe('reject RULE_REJECTS');
      expect(await outcome(commit('t', { ask: { askKey: 'third' } }))).toBe('reject REJECTED_BEFORE');
    });

    test('by somebody whom nobody vouches for: each telling is decided by itself', async () => {
      const telling = (worth: string, parts: Parameters<typeof commit>[1] = {}) =>
        commit('t', {
          charges: [charge('c', { amount: worth })],
          ...parts,
          ask: {
            askKey: `worth ${worth}`,
            fingerprint: `worth-${worth}`,
            coreFingerprint: undefined,
            binding: undefined,
            amount: undefined,
          },
        });
      expect(await outcome(telling('7', { opinion: REJECT }))).toBe('reject RULE_REJECTS');
      expect(await outcome(telling('5'))).toBe('approve APPROVED');
      expect(await outcome(telling('1000'))).toBe('reject LIMIT_EXCEEDED');
      expect(await outcome(telling('9'))).toBe('approve APPROVED');
      expect(await outcome(telling('4'))).toBe('approve APPROVED');
      expect(await outcome(telling('7'))).toBe('reject RULE_REJECTS again');
      expect(await used(charge('c'))).toEqual(['9']);
    });

    test('ignored before: neither approved nor rejected', async () => {
      await commit('t', { ...approval, opinion: IGNORE, ask: { ...approval.ask, amount: '1' } });
      expect(await outcome(commit('t'))).toBe('approve APPROVED');
    });
  });

  // One that is ahead is less so by the time that its proposal takes.
  test.each([
    [-2500, -1250],
    [22_500, 1250],
  ])(
    'a replica whose clock is %i ms off decides nothing, and by %i ms is all right',
    async (skew, little) => {
      await expect(commit('t', { nowMs: Date.now() + skew })).rejects.toMatchObject({ code: 'CLOCK_SKEW' });
      expect((await given.ledger.state()).sequence).toBe(2);
      const tolerated = atLast(() => commit('t', { nowMs: Date.now() + little }));
      expect(await outcome(tolerated)).toBe('approve APPROVED');
    },
  );
});

const FREEZE = {
  id: 'f',
  scope: '{"kind":"transaction"}',
  reason: 'drill',
  author: 'alice',
  answers: 'retry',
} as const;

/** What the journal says was charged, by counter. */
async function totalsOf(ledger: Ledger): Promise<Record<string, bigint>> {
  const totals: Record<string, bigint> = {};
  for (const { body } of await ledger.events(0, 10_000)) {
    const charged = (body.charged ?? []) as readonly {
      readonly counter: string;
      readonly added: string;
    }[];
    for (const { counter, added } of charged) totals[counter] = (totals[counter] ?? 0n) + BigInt(added);
  }
  return totals;
}
