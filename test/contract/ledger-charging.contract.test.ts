import { describe, expect, test } from '@jest/globals';
import { MAX_CHARGES } from '../../src/core/decision.js';
import { onEachLedger, outcome } from '../support/each-ledger.js';
import { charge, IGNORE, type ProposalParts, REJECT, RETRY } from '../support/proposals.js';

onEachLedger('counting', (given) => {
  const { commit, used } = given;

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

    test('an absurd amount is refused by its limit', async () => {
      const charges = [charge('c', { amount: `1${'0'.repeat(1100)}` })];
      expect(await outcome(commit('t', { charges }))).toBe('reject LIMIT_EXCEEDED');
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
      const charges = [charge('c'), charge('d', { max: '0' })];
      for (const [txId, opinion] of Object.entries({ REJECT, IGNORE, RETRY }))
        expect(await commit(txId, { opinion, charges })).not.toHaveProperty('use.0');
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
      expect(await given.ledger.lookup('test:transaction:signing:t2:')).toBeUndefined();
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

    const shadow = (max = '100', amount = '10') => charge('s', { amount, max, mode: 'shadow' });
    const enforced = (max = '100') => charge('c', { amount: '10', max });
    const contradicted = { key: 'k', reason: 'INPUT_AMOUNT_CHANGED' as const, sentence: 'It differs.' };

    test.each<readonly [string, Partial<ProposalParts>]>([
      ['reject RULE_REJECTS', { opinion: REJECT }],
      ['ignore RULE_IGNORES', { opinion: IGNORE }],
      ['reject LIMIT_EXCEEDED', { charges: [enforced('1'), shadow()] }],
      ['reject LIMIT_EXCEEDED', { charges: [shadow(), enforced('1')] }],
      [
        'reject INPUT_AMOUNT_CHANGED',
        {
          facts: [
            { ...contradicted, value: '1' },
            { ...contradicted, value: '2' },
          ],
        },
      ],
    ])('are counted by a decision to %s, which charges no other', async (expected, parts) => {
      const charges = [enforced(), shadow()];
      const reply = commit('t', { charges, ...parts });
      expect(await outcome(reply)).toBe(expected);
      expect(await reply).toMatchObject({ use: [{ limit: 's', mode: 'shadow', used: '10', max: '100' }] });
      expect(await reply).not.toHaveProperty('use.1');
      expect(await used(...charges)).toEqual(['0', '10']);
      const [event] = await given.ledger.events(2, 1);
      expect(event?.body).toMatchObject({
        charged: [{ limit: 's', mode: 'shadow', added: '10', total: '10' }],
      });
      expect(event?.body).not.toHaveProperty('charged.1');
      expect(event?.body).not.toHaveProperty('exceeded');
    });

    test('are counted once per transaction when it was rejected before', async () => {
      await commit('t', { opinion: REJECT, ask: { askKey: 'approval' }, charges: [shadow()] });
      const again = commit('t', { charges: [shadow('100', '30')] });
      expect(await outcome(again)).toBe('reject REJECTED_BEFORE');
      expect(await again).toMatchObject({ use: [{ used: '30' }] });
      expect(await used(shadow())).toEqual(['30']);
    });

    test('a refusal says which would have been exceeded, and then none is counted', async () => {
      const charges = [shadow('9'), charge('roomy', { mode: 'shadow' })];
      expect(await commit('t', { opinion: REJECT, charges })).toMatchObject({
        decision: { reason: 'RULE_REJECTS' },
        use: [
          { limit: 's', used: '0', exceeded: true },
          { limit: 'roomy', used: '0', exceeded: false },
        ],
      });
      expect(await used(...charges)).toEqual(['0', '0']);
      const [event] = await given.ledger.events(2, 1);
      expect(event?.body).toMatchObject({
        charged: [],
        exceeded: [{ limit: 's', mode: 'shadow', added: '10', total: '10' }],
      });
      expect(event?.body).not.toHaveProperty('exceeded.1');
    });

    test('are not counted by conflicts, repeats and retries', async () => {
      await commit('t', { opinion: REJECT, charges: [shadow('100', '1')] });
      const charges = [shadow()];
      const full = charge('c', { max: '10', amount: '10', whenFull: 'retry' });
      await commit('fills', { charges: [full] });
      expect(await outcome(commit('t', { charges }))).toBe('reject RULE_REJECTS again');
      expect(await outcome(commit('t', { charges, ask: { fingerprint: 'other' } }))).toBe(
        'conflict CONFLICT_CONTENT',
      );
      expect(await outcome(commit('u', { charges, opinion: RETRY }))).toBe('retry RULE_RETRIES');
      expect(await outcome(commit('v', { charges: [...charges, full] }))).toBe('retry LIMIT_FULL_RETRY');
      expect(await used(...charges)).toEqual(['1']);
    });

    test('a calendar window that has moved is computed again for them too', async () => {
      const window = { kind: 'calendar', startMs: 0, endMs: 1 } as const;
      const moved = charge('s', { window, mode: 'shadow' });
      expect(await outcome(commit('t', { opinion: REJECT, charges: [moved] }))).toBe('window-moved');
      const enforcedMoved = charge('c', { window });
      expect(await outcome(commit('t', { opinion: REJECT, charges: [enforcedMoved] }))).toBe(
        'reject RULE_REJECTS',
      );
    });

    test('as many as one decision may have are counted by a refusal', async () => {
      const charges = Array.from({ length: MAX_CHARGES }, (_, index) =>
        charge(`s${index}`, { mode: 'shadow' }),
      );
      const reply = await commit('t', { opinion: REJECT, charges });
      expect('use' in reply && reply.use.length).toBe(MAX_CHARGES);
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
});
