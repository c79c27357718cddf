/**
 * What every ledger promises. One suite, run on each store through the port alone; the model test beside it runs
 * random histories, and faults of a store have files of their own.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Charge } from '../../src/core/decision.js';
import type { CommitReply, Ledger, Versions } from '../../src/core/ports.js';
import {
  activate,
  type Bench,
  bench,
  embeddedStore,
  redisStore,
  type Store,
} from '../support/ledger-bench.js';
import {
  APPROVE,
  charge,
  HOUR,
  IGNORE,
  LIFETIME,
  type ProposalParts,
  proposal,
  REJECT,
  RETRY,
} from '../support/proposals.js';

const STORES: readonly (readonly [string, () => Promise<Store>])[] = [
  ['redis', redisStore],
  ['embedded', embeddedStore],
];

describe.each(STORES)('the %s ledger', (kind, start) => {
  let store: Store;
  let current: Bench;
  let ledger: Ledger;
  let versions: Versions;

  beforeAll(async () => {
    store = await start();
  });
  afterAll(() => store.stop());
  beforeEach(async () => {
    current = await bench(store);
    ({ ledger, versions } = current);
  });
  afterEach(() => current.close());

  const commit = (txId: string, parts: Partial<ProposalParts> = {}): Promise<CommitReply> =>
    ledger.commit(proposal(txId, { versions, ...parts }));

  /** What is used of counters of one window, now. */
  const used = (...charges: readonly Charge[]) => ledger.usage(charges);

  /** A reply in a few words: `approve`, `reject LIMIT_EXCEEDED again`, `conflict CONFLICT_AMOUNT`, `retry …`. */
  const outcome = async (reply: Promise<CommitReply>): Promise<string> => {
    const answer = await reply;
    switch (answer.kind) {
      case 'decided': {
        const { effect, reason } = answer.decision;
        return `${effect} ${reason}${answer.repeated ? ' again' : ''}`;
      }
      case 'conflict':
        return `conflict ${answer.decision.reason}${answer.repeated ? ' again' : ''}`;
      case 'retry':
        return `retry ${answer.reason}`;
      default:
        return answer.kind;
    }
  };

  describe('making a ledger', () => {
    test('an identity is written once, with an event', async () => {
      const { identity } = await ledger.state();
      expect(identity).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      await expect(ledger.init()).rejects.toMatchObject({ code: 'LEDGER_EXISTS' });
      const [event] = await ledger.events(0, 1);
      expect(event).toMatchObject({ sequence: 1, type: 'ledger', body: { identity } });
      expect(await ledger.state()).toMatchObject({ identity, sequence: 2 });
      expect(ledger.kind).toBe(kind);
    });

    test('an empty store is no ledger, for any method', async () => {
      const empty = store.open(`empty-${kind}`);
      const charges = [charge('c')];
      const attempts: readonly (() => Promise<unknown>)[] = [
        () => empty.state(),
        () => empty.commit(proposal('t', { versions })),
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
      expect(await ledger.check()).toEqual([]);
    });

    test('workspaces share a store and nothing else', async () => {
      await commit('t', { charges: [charge('c', { max: '1' })] });
      const other = await bench(store);
      const reply = other.ledger.commit(
        proposal('t', { versions: other.versions, charges: [charge('c', { max: '1' })] }),
      );
      expect(await outcome(reply)).toBe('approve APPROVED');
      await other.close();
    });

    test('a workspace whose name would leave its hash tag is refused', () => {
      expect(() => store.open('a}b')).toThrow('the workspace name "a}b" is not');
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
        const again = await current.another().commit(proposal('t', { versions, opinion: later }));
        expect(again).toEqual({
          kind: 'decided',
          repeated: true,
          decision: 'decision' in first && first.decision,
          ledgerNowMs: expect.any(Number),
          use: [],
        });
      }
      expect((await ledger.state()).sequence).toBe(3);
      expect(await ledger.lookup('test:transaction:signing:t:')).toEqual(
        'decision' in first && first.decision,
      );
    });

    test('a retry is recorded nowhere', async () => {
      expect(await commit('t', { opinion: RETRY })).toMatchObject({
        kind: 'retry',
        reason: 'RULE_RETRIES',
        sentence: RETRY.sentence,
      });
      expect((await ledger.state()).sequence).toBe(2);
      expect(await ledger.lookup('test:transaction:signing:t:')).toBeUndefined();
      expect(await outcome(commit('t'))).toBe('approve APPROVED');
    });

    test('deliveries of one ask to many replicas at once make one decision', async () => {
      const replicas = Array.from({ length: 4 }, () => current.another());
      const opinions = [APPROVE, REJECT, IGNORE];
      const replies = await Promise.all(
        Array.from({ length: 60 }, (_, index) =>
          replicas[index % 4]?.commit(proposal('t', { versions, opinion: opinions[index % 3] ?? APPROVE })),
        ),
      );
      const decisions = replies.map((reply) => reply && 'decision' in reply && reply.decision);
      for (const decision of decisions) expect(decision).toEqual(decisions[0]);
      expect(replies.filter((reply) => reply?.kind === 'decided' && !reply.repeated)).toHaveLength(1);
    });

    test('200 concurrent commits through several replicas: exactly as many as the limit has room for', async () => {
      const replicas = Array.from({ length: 4 }, () => current.another());
      const charges = [
        charge('count', { max: '37' }),
        charge('sum', { amount: '1000000000000000000000', max: '9'.repeat(30) }),
      ];
      const replies = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          replicas[index % 4]?.commit(proposal(`t${index}`, { versions, charges })),
        ),
      );
      const effects = replies.map((reply) => reply?.kind === 'decided' && reply.decision.effect);
      expect(effects.filter((effect) => effect === 'approve')).toHaveLength(37);
      expect(effects.filter((effect) => effect === 'reject')).toHaveLength(163);
      expect(await used(...charges)).toEqual(['37', `${37n * 10n ** 21n}`]);
      expect(await totalsOf(ledger)).toEqual({ count: 37n, sum: 37n * 10n ** 21n });
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
      const events = await ledger.events(3, 10);
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
      expect(await ledger.lookup('another-stage')).toBeUndefined();
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
      expect(await ledger.lookup('test:transaction:signing:t:')).toMatchObject({ reason: 'REJECTED_BEFORE' });
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

    test('ignored before: neither approved nor rejected', async () => {
      await commit('t', { ...approval, opinion: IGNORE, ask: { ...approval.ask, amount: '1' } });
      expect(await outcome(commit('t'))).toBe('approve APPROVED');
    });
  });

  describe('charging', () => {
    test('equality passes, one more does not, and the refusal names the limit', async () => {
      const charges = [charge('c', { amount: '60' })];
      expect(await outcome(commit('t1', { charges }))).toBe('approve APPROVED');
      expect(await outcome(commit('t2', { charges: [charge('c', { amount: '40' })] }))).toBe(
        'approve APPROVED',
      );
      expect(await commit('t3', { charges: [charge('c', { amount: '1' })] })).toMatchObject({
        kind: 'decided',
        decision: {
          effect: 'reject',
          reason: 'LIMIT_EXCEEDED',
          limit: 'c',
          rule: 'r',
          sentence: 'The limit c is full.',
        },
        use: [],
      });
      expect(await used(...charges)).toEqual(['100']);
    });

    test('a transaction is charged once, whatever the stages and repeats, and by its largest need', async () => {
      const stage = (askKey: string, amount: string) =>
        commit('t', { ask: { askKey, fingerprint: askKey }, charges: [charge('c', { amount })] });
      await stage('approval-1', '10');
      await stage('approval-2', '10');
      await stage('signing', '30');
      await stage('signing', '30');
      await stage('late', '20');
      expect(await used(charge('c'))).toEqual(['30']);
    });

    test('members of a batch are charged each, and the batch once', async () => {
      const member = (requestId: string) => ({
        askKey: requestId,
        moneyKey: `test:${requestId}`,
        binding: { requestKey: requestId, txId: 'batch' },
      });
      const charges = [charge('c', { amount: '7' })];
      for (const requestId of ['batch', 'batch-1', 'batch-2', 'batch-1']) {
        await commit('batch', { ask: { ...member(requestId) }, charges });
      }
      expect(await used(...charges)).toEqual(['21']);
    });

    test('what holds an amount already fits a full limit', async () => {
      await commit('t', { ask: { askKey: 'approval' }, charges: [charge('c', { amount: '100' })] });
      expect(await outcome(commit('t', { charges: [charge('c', { amount: '100' })] }))).toBe(
        'approve APPROVED',
      );
      expect(await outcome(commit('u', { charges: [charge('c', { amount: '1' })] }))).toBe(
        'reject LIMIT_EXCEEDED',
      );
    });

    test('sums are exact beyond 64 bits and beyond 10^14 per limb', async () => {
      const amounts = [2n ** 64n - 1n, 10n ** 14n - 1n, 1n, 10n ** 70n - 1n, 2n ** 256n - 1n];
      const total = amounts.reduce((sum, amount) => sum + amount, 0n);
      const of = (amount: bigint, max: bigint) => [charge('c', { amount: String(amount), max: String(max) })];
      for (const [index, amount] of amounts.entries())
        await commit(`t${index}`, { charges: of(amount, total) });
      expect(await used(charge('c'))).toEqual([String(total)]);
      expect(await outcome(commit('over', { charges: of(1n, total) }))).toBe('reject LIMIT_EXCEEDED');
      expect(await outcome(commit('fits', { charges: of(1n, total + 1n) }))).toBe('approve APPROVED');
    });

    test('several limits: all are charged or none, and the first full one is named', async () => {
      const charges = (b: string, c: string) => [
        charge('a', { amount: '5' }),
        charge('b', { amount: '5', max: b }),
        charge('c', { members: ['x', 'y'], max: c }),
      ];
      expect(await commit('t1', { charges: charges('4', '1') })).toMatchObject({ decision: { limit: 'b' } });
      expect(await commit('t2', { charges: charges('5', '1') })).toMatchObject({ decision: { limit: 'c' } });
      expect(await used(...charges('5', '2'))).toEqual(['0', '0', '0']);
      expect(await commit('t3', { charges: charges('5', '2') })).toMatchObject({
        decision: { effect: 'approve' },
      });
      expect(await used(...charges('5', '2'))).toEqual(['5', '5', '2']);
    });

    test('refusals of the policy and retries charge nothing', async () => {
      const charges = [charge('c'), charge('s', { mode: 'shadow' })];
      for (const [txId, opinion] of Object.entries({ REJECT, IGNORE, RETRY }))
        await commit(txId, { opinion, charges });
      expect(await used(...charges)).toEqual(['0', '0']);
    });

    test('a max that changes takes effect on the running window at once', async () => {
      await commit('t1', { charges: [charge('c', { amount: '50' })] });
      const lowered = [charge('c', { amount: '1', max: '50' })];
      expect(await outcome(commit('t2', { charges: lowered }))).toBe('reject LIMIT_EXCEEDED');
      expect(await outcome(commit('t3', { charges: [charge('c', { amount: '1', max: '51' })] }))).toBe(
        'approve APPROVED',
      );
    });

    test('a configuration change is counted by its ask', async () => {
      const ask = { moneyKey: undefined, binding: undefined, coreFingerprint: undefined, amount: undefined };
      const charges = [charge('changes', { max: '2' })];
      const change = (askKey: string) => outcome(commit('x', { ask: { ...ask, askKey }, charges }));
      expect(await change('one')).toBe('approve APPROVED');
      expect(await change('one')).toBe('approve APPROVED again');
      expect(await change('two')).toBe('approve APPROVED');
      expect(await change('three')).toBe('reject LIMIT_EXCEEDED');
      expect(await used(...charges)).toEqual(['2']);
    });

    test('a charge of zero fits a full limit and leaves no entry', async () => {
      await commit('t1', { charges: [charge('c', { amount: '100' })] });
      expect(await outcome(commit('t2', { charges: [charge('c', { amount: '0' })] }))).toBe(
        'approve APPROVED',
      );
      expect(await used(charge('c'))).toEqual(['100']);
    });

    test('the use of each limit is reported, with whether it is near', async () => {
      const charges = [charge('a', { amount: '79', near: '80' }), charge('b', { amount: '80', near: '80' })];
      const reply = await commit('t', { charges });
      expect(reply).toMatchObject({
        use: [
          { limit: 'a', counter: 'a', mode: 'enforce', used: '79', max: '100', near: false, exceeded: false },
          { limit: 'b', counter: 'b', mode: 'enforce', used: '80', max: '100', near: true, exceeded: false },
        ],
      });
    });

    test.each([
      ['text', '1e3'],
      ['a sign', '-1'],
      ['leading zeros', '01'],
      ['a point', '1.0'],
      ['nothing', ''],
    ])('an amount with %s is a defect and decides nothing', async (_, amount) => {
      await expect(commit('t', { charges: [charge('c', { amount })] })).rejects.toMatchObject({
        code: 'INTERNAL',
      });
    });

    test('a counter named twice by one proposal is a defect and decides nothing', async () => {
      await expect(commit('t', { charges: [charge('c'), charge('c')] })).rejects.toMatchObject({
        code: 'INTERNAL',
      });
    });
  });

  describe('whenFull: retry', () => {
    const full = (amount: string, max = '100') => [charge('c', { amount, max, whenFull: 'retry' })];

    test('asks again when the request alone would fit an empty window', async () => {
      await commit('t1', { charges: full('100') });
      expect(await commit('t2', { charges: full('100') })).toMatchObject({
        kind: 'retry',
        reason: 'LIMIT_FULL_RETRY',
        sentence: 'The limit c is full.',
      });
      expect(await ledger.lookup('test:transaction:signing:t2:')).toBeUndefined();
      expect(await outcome(commit('t2', { charges: full('100', '200') }))).toBe('approve APPROVED');
    });

    test('rejects what would never fit', async () => {
      expect(await outcome(commit('t', { charges: full('101') }))).toBe('reject LIMIT_EXCEEDED');
      const members = [charge('d', { members: ['a', 'b'], max: '1', whenFull: 'retry' })];
      expect(await outcome(commit('u', { charges: members }))).toBe('reject LIMIT_EXCEEDED');
    });

    test('the first full limit decides which it is', async () => {
      const both = [charge('r', { max: '0' }), ...full('1', '0')];
      expect(await outcome(commit('t', { charges: [...full('1', '1'), charge('r', { max: '0' })] }))).toBe(
        'reject LIMIT_EXCEEDED',
      );
      expect(await outcome(commit('u', { charges: both }))).toBe('reject LIMIT_EXCEEDED');
      await commit('v', { charges: full('1', '1') });
      const retryFirst = [...full('1', '1'), charge('r', { max: '0' })];
      expect(await outcome(commit('w', { charges: retryFirst }))).toBe('retry LIMIT_FULL_RETRY');
    });
  });

  describe('windows', () => {
    const SHORT = { kind: 'rolling', lengthMs: 150 } as const;

    test('an entry leaves a rolling window only when it is certainly older, then room is there again', async () => {
      const charges = [charge('c', { max: '1', window: SHORT, whenFull: 'retry' })];
      const first = await commit('t1', { charges });
      for (;;) {
        const reply = await commit('t2', { charges });
        const age = reply.ledgerNowMs - first.ledgerNowMs;
        expect([reply.kind, age > SHORT.lengthMs]).toEqual(
          age > SHORT.lengthMs ? ['decided', true] : ['retry', false],
        );
        if (reply.kind === 'decided') break;
      }
      expect(await used(...charges)).toEqual(['1']);
    });

    test('a raised entry moves to now, an entry that is not raised keeps its time', async () => {
      const stage = (txId: string, askKey: string, amount: string) =>
        commit(txId, { ask: { askKey }, charges: [charge('c', { amount, window: SHORT })] });
      await stage('kept', 'k1', '5');
      await stage('raised', 'r1', '5');
      await pause(90);
      await stage('kept', 'k2', '5');
      await stage('raised', 'r2', '6');
      expect(await used(charge('c', { window: SHORT }))).toEqual(['11']);
      await pause(90);
      expect(await used(charge('c', { window: SHORT }))).toEqual(['6']);
    });

    test('an expired entry is charged anew', async () => {
      const stage = (askKey: string, amount: string) =>
        commit('t', { ask: { askKey }, charges: [charge('c', { amount, window: SHORT })] });
      await stage('first', '5');
      await pause(170);
      expect(await stage('second', '3')).toMatchObject({ use: [{ used: '3' }] });
    });

    test('a long log of expired entries never refuses', async () => {
      const window = { kind: 'rolling', lengthMs: 1000 } as const;
      const old = Date.now() - 10_000;
      await ledger.fill(
        Array.from({ length: 1700 }, (_, index) => ({
          counter: 'c',
          window,
          moneyKey: `old-${index}`,
          atMs: old,
          need: { kind: 'amount', amount: '7' },
        })),
      );
      expect(await used(charge('c', { window }))).toEqual(['0']);
      expect(await commit('t', { charges: [charge('c', { max: '1', window })] })).toMatchObject({
        decision: { effect: 'approve' },
        use: [{ used: '1' }],
      });
    });

    test('a calendar window that does not contain the clock of the ledger is recomputed', async () => {
      const now = Date.now();
      const span = (startMs: number, endMs: number) => [
        charge('c', { window: { kind: 'calendar', startMs, endMs } }),
      ];
      expect(await outcome(commit('t', { charges: span(now - 60_000, now - 1) }))).toBe('window-moved');
      expect(await outcome(commit('t', { charges: span(now + 60_000, now + 120_000) }))).toBe('window-moved');
      const { ledgerNowMs } = await commit('t', { opinion: RETRY });
      expect(await outcome(commit('t', { charges: span(ledgerNowMs - 1000, ledgerNowMs) }))).toBe(
        'window-moved',
      );
      expect((await ledger.state()).sequence).toBe(2);
      expect(await outcome(commit('t', { charges: span(now - 60_000, now + 60_000) }))).toBe(
        'approve APPROVED',
      );
    });

    test('each calendar window has a counter of its own', async () => {
      const now = Date.now();
      const day = (startMs: number) =>
        charge('c', { max: '1', window: { kind: 'calendar', startMs, endMs: now + 60_000 } });
      await commit('t1', { charges: [day(now - 2000)] });
      expect(await outcome(commit('t2', { charges: [day(now - 1000)] }))).toBe('approve APPROVED');
      expect(await outcome(commit('t3', { charges: [day(now - 2000)] }))).toBe('reject LIMIT_EXCEEDED');
      expect(await used(day(now - 2000), day(now - 3000))).toEqual(['1', '0']);
    });

    test('a lifetime never ends', async () => {
      const charges = [charge('c', { amount: '60', window: LIFETIME })];
      await commit('t1', { charges });
      await commit('t1', { ask: { askKey: 'other-stage' }, charges });
      expect(await outcome(commit('t2', { charges }))).toBe('reject LIMIT_EXCEEDED');
      expect(await used(...charges)).toEqual(['60']);
    });

    test.each([
      ['rolling', HOUR],
      ['lifetime', LIFETIME],
      ['calendar', { kind: 'calendar', startMs: 0, endMs: 9_999_999_999_999 }],
    ] as const)('different members are counted once in a %s window', async (_, window) => {
      const seen = (txId: string, ...members: readonly string[]) =>
        commit(txId, { charges: [charge('d', { members, max: '3', window })] });
      expect(await seen('t1', 'a', 'b', 'a')).toMatchObject({ use: [{ used: '2' }] });
      expect(await seen('t2', 'b', 'a')).toMatchObject({ use: [{ used: '2' }] });
      expect(await seen('t3', 'c', 'd')).toMatchObject({ decision: { reason: 'LIMIT_EXCEEDED' } });
      expect(await seen('t4', 'c')).toMatchObject({ use: [{ used: '3' }] });
      expect(await used(charge('d', { members: [], window }))).toEqual(['3']);
    });

    test('a member is inside a rolling window from its latest approval', async () => {
      const seen = (txId: string, member: string) =>
        commit(txId, { charges: [charge('d', { members: [member], window: SHORT })] });
      await seen('t1', 'a');
      await seen('t2', 'b');
      await pause(90);
      await seen('t3', 'a');
      await pause(90);
      expect(await used(charge('d', { members: [], window: SHORT }))).toEqual(['1']);
      expect(await seen('t4', 'c')).toMatchObject({ use: [{ used: '2' }] });
    });
  });

  describe('shadow limits', () => {
    const both = (max: string, second = '100') => [
      charge('c', { amount: '10' }),
      charge('c', { amount: '10', max, mode: 'shadow' }),
      charge('s', { amount: '10', max: second, mode: 'shadow' }),
    ];

    test('are counted apart', async () => {
      await commit('t', { charges: both('10') });
      expect(await used(...both('10'))).toEqual(['10', '10', '10']);
      await commit('u', { charges: [charge('c', { amount: '10' })] });
      expect(await used(...both('10'))).toEqual(['20', '10', '10']);
    });

    test('never refuse, and are charged all or none', async () => {
      await commit('t', { charges: both('10') });
      expect(await commit('u', { charges: both('10') })).toMatchObject({
        decision: { effect: 'approve' },
        use: [
          { used: '20', exceeded: false },
          { used: '10', exceeded: true },
          { used: '10', exceeded: false },
        ],
      });
      expect(await used(...both('10'))).toEqual(['20', '10', '10']);
    });
  });

  describe('facts', () => {
    const fact = (value: string, key = 'outpoint:1') => ({
      key,
      value,
      reason: 'INPUT_AMOUNT_CHANGED' as const,
      sentence: 'The input had another value.',
    });

    test('are remembered by an approval, and contradicted ones reject', async () => {
      expect(await outcome(commit('t1', { facts: [fact('5'), fact('6', 'outpoint:2')] }))).toBe(
        'approve APPROVED',
      );
      expect(await outcome(commit('t2', { facts: [fact('5')] }))).toBe('approve APPROVED');
      const charges = [charge('c')];
      expect(await commit('t3', { charges, facts: [fact('6', 'outpoint:2'), fact('7')] })).toMatchObject({
        decision: {
          effect: 'reject',
          reason: 'INPUT_AMOUNT_CHANGED',
          sentence: 'The input had another value.',
        },
      });
      expect(await used(...charges)).toEqual(['0']);
    });

    test('are not remembered by anything else', async () => {
      await commit('t1', { opinion: REJECT, facts: [fact('1')] });
      await commit('t2', { charges: [charge('c', { max: '0' })], facts: [fact('2')] });
      expect(await outcome(commit('t3', { facts: [fact('3')] }))).toBe('approve APPROVED');
    });

    test('must not contradict one another', async () => {
      expect(await outcome(commit('t', { facts: [fact('1'), fact('2')] }))).toBe(
        'reject INPUT_AMOUNT_CHANGED',
      );
    });
  });

  describe('versions', () => {
    test('a proposal of another policy or other freezes is stale', async () => {
      await commit('t');
      expect(await outcome(commit('t', { versions: { ...versions, policy: 1 } }))).toBe('stale');
      expect(await outcome(commit('t', { versions: { ...versions, freezes: 1 } }))).toBe('stale');
      const { sequence } = await activate(ledger);
      expect(await outcome(commit('u'))).toBe('stale');
      expect(await outcome(commit('u', { versions: { ...versions, policy: sequence } }))).toBe(
        'approve APPROVED',
      );
    });

    test('an activation is refused when the log has moved on', async () => {
      const { sequence } = await ledger.state();
      await commit('t');
      const activation = { version: 'v', document: 'd', instances: { a: 'b' }, statement: 's' };
      await expect(ledger.activate({ ...activation, expectedSequence: sequence })).rejects.toMatchObject({
        code: 'CONCURRENT_CHANGE',
      });
      const done = await ledger.activate({ ...activation, expectedSequence: sequence + 1 });
      expect(await ledger.state()).toMatchObject({
        sequence: done.sequence,
        policy: { ...activation, sequence: done.sequence },
        versions: { policy: done.sequence, freezes: 0 },
      });
      expect(await ledger.events(done.sequence - 1, 5)).toMatchObject([{ type: 'policy', body: activation }]);
    });

    test('only one of several activations at once takes place', async () => {
      const { sequence } = await ledger.state();
      const activation = {
        version: 'v',
        document: 'd',
        instances: {},
        statement: 's',
        expectedSequence: sequence,
      };
      const attempts = await Promise.allSettled(
        Array.from({ length: 5 }, () => current.another().activate(activation)),
      );
      expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });
  });

  describe('freezes', () => {
    test('make every replica evaluate again, and are listed in order', async () => {
      const first = await ledger.freeze(FREEZE);
      expect(await outcome(commit('t'))).toBe('stale');
      const second = await ledger.freeze({ ...FREEZE, id: 'g', expiresAtMs: 1 });
      expect(await ledger.state()).toMatchObject({
        versions: { ...versions, freezes: second.sequence },
        freezes: [
          { ...FREEZE, sequence: first.sequence },
          { ...FREEZE, id: 'g', expiresAtMs: 1, sequence: second.sequence },
        ],
      });
      const lifted = await ledger.unfreeze('f', ['one', 'two']);
      expect(await ledger.state()).toMatchObject({
        versions: { freezes: lifted.sequence },
        freezes: [{ id: 'g' }],
      });
      expect(await ledger.events(first.sequence - 1, 9)).toMatchObject([
        { type: 'freeze', body: FREEZE },
        { type: 'freeze', body: { id: 'g' } },
        { type: 'unfreeze', body: { id: 'f', statements: ['one', 'two'] } },
      ]);
    });

    test('the same freeze again is the same; another one under its id is refused', async () => {
      const first = await ledger.freeze(FREEZE);
      expect(await ledger.freeze(FREEZE)).toEqual(first);
      await expect(ledger.freeze({ ...FREEZE, scope: '{"narrower":true}' })).rejects.toMatchObject({
        code: 'CONCURRENT_CHANGE',
      });
      await expect(ledger.unfreeze('nobody', [])).rejects.toMatchObject({ code: 'CONCURRENT_CHANGE' });
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

  test.each([-2500, 2500])('a replica whose clock is %i ms off decides nothing', async (skew) => {
    await expect(commit('t', { nowMs: Date.now() + skew })).rejects.toMatchObject({ code: 'CLOCK_SKEW' });
    expect((await ledger.state()).sequence).toBe(2);
    expect(await outcome(commit('t', { nowMs: Date.now() + skew / 2 }))).toBe('approve APPROVED');
  });

  describe('filling', () => {
    const entry = (moneyKey: string, atMs: number, amount: string, window: Charge['window'] = HOUR) =>
      ({ counter: 'c', window, moneyKey, atMs, need: { kind: 'amount', amount } }) as const;

    test.each([
      ['rolling', HOUR],
      ['lifetime', LIFETIME],
    ] as const)('a %s counter: the largest need counts, and repeating changes nothing', async (_, window) => {
      const now = Date.now();
      const entries = [
        entry('a', now - 3000, '5', window),
        entry('a', now - 2000, '9', window),
        entry('b', now, '1', window),
      ];
      for (let round = 0; round < 3; round += 1) {
        await ledger.fill(entries);
        expect(await used(charge('c', { window }))).toEqual(['10']);
      }
      expect(
        await commit('t', { ask: { moneyKey: 'a' }, charges: [charge('c', { amount: '10', window })] }),
      ).toMatchObject({ use: [{ used: '11' }] });
    });

    test('an entry that had left its window before the next one is replaced by it', async () => {
      const window = { kind: 'rolling', lengthMs: 1000 } as const;
      const now = Date.now();
      const entries = [entry('a', now - 2500, '8', window), entry('a', now, '5', window)];
      for (let round = 0; round < 2; round += 1) {
        await ledger.fill(entries);
        expect(await used(charge('c', { window }))).toEqual(['5']);
      }
    });

    test('members keep their latest time', async () => {
      const window = { kind: 'rolling', lengthMs: 10_000 } as const;
      const member = (atMs: number) =>
        ({ counter: 'd', window, moneyKey: 'm', atMs, need: { kind: 'distinct', members: ['x'] } }) as const;
      await ledger.fill([member(Date.now()), member(Date.now() - 20_000)]);
      expect(await used(charge('d', { members: [], window }))).toEqual(['1']);
    });
  });

  describe('the journal', () => {
    test('holds what was asked, decided and charged, in order', async () => {
      const charges = [
        charge('c', { amount: '40' }),
        charge('d', { members: ['x', 'y'] }),
        charge('s', { mode: 'shadow', max: '0' }),
      ];
      const facts = [{ key: 'k', value: 'v', reason: 'FACT_CONTRADICTED' as const, sentence: '' }];
      const reply = await commit('t', { charges, facts });
      await commit('u', { opinion: REJECT });
      const [first, second, ...none] = await ledger.events(2, 10);
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
          facts: { k: 'v' },
          journal: { request: { requestId: 't' }, note: 'ünï "quoted" \\ / \u2028' },
        },
      });
      expect(second).toMatchObject({ sequence: 4, body: { decision: { reason: 'RULE_REJECTS' } } });
      expect(none).toEqual([]);
      expect(await ledger.events(2, 1)).toEqual([first]);
      expect(await ledger.events(3, 1)).toEqual([second]);
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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
