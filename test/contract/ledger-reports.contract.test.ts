import { describe, expect, test } from '@jest/globals';
import { batchFacts } from '../../src/core/fingerprint.js';
import type { Report, SettlingReport } from '../../src/core/report.js';
import type { TransactionRequest } from '../../src/core/request.js';
import { settle } from '../../src/core/settle.js';
import { onEachLedger, outcome } from '../support/each-ledger.js';
import { age, forgetAll } from '../support/forgetting.js';
import { charge, REJECT } from '../support/proposals.js';

const DAY = 86_400_000;

onEachLedger('what reports say', (given) => {
  const { commit, used } = given;
  const hour = charge('hour', { amount: '100', max: '300' });

  const report = (txId: string, fate: Report['fate'], parts: Partial<Report> = {}): Report => ({
    moneyKey: `test:${txId}`,
    protocol: 'test',
    txId,
    fate,
    status: fate.toUpperCase(),
    createdAtMs: Date.now(),
    updatedAtMs: 1,
    source: 'webhook',
    ...parts,
  });
  const settled = (said: Report) => settle(given.ledger, said, { nowMs: Date.now(), retentionMs: DAY });
  const events = async (type: string) =>
    (await given.ledger.events(0, 1_000)).filter((event) => event.type === type);

  test('what was never signed gives its charges back, once, and is signed no more', async () => {
    await commit('t', { charges: [hour] });
    const said = report('t', 'never-signed', {
      reason: 'cancelled',
      status: 'CANCELLED',
      subStatus: 'CANCELLED_BY_USER',
    });
    expect(await settled(said)).toMatchObject({
      fate: 'never-signed',
      changed: true,
      given: [{ amount: '100' }],
    });
    expect(await used(hour)).toEqual(['0']);
    expect(await settled(said)).toEqual({ fate: 'never-signed', changed: false, given: [] });
    expect(await outcome(commit('t', { charges: [hour] }))).toBe('conflict RELEASED_BEFORE');
    const [reported] = await events('report');
    expect(reported?.body).toMatchObject({
      moneyKey: 'test:t',
      txId: 't',
      protocol: 'test',
      source: 'webhook',
      said: { status: 'CANCELLED', subStatus: 'CANCELLED_BY_USER' },
      approval: { approved: true, released: false },
    });
    expect(await events('release')).toMatchObject([
      { body: { reason: 'cancelled', authority: { kind: 'report', sequence: reported?.sequence } } },
    ]);
  });

  test.each([
    ['signed', 'BROADCASTING'],
    ['completed', 'COMPLETED'],
    ['failed', 'FAILED'],
  ] as const)('what is %s keeps its charges, whatever is said later', async (fate, status) => {
    await commit('t', { charges: [hour] });
    expect(await settled(report('t', fate, { status, txHash: '0xa' }))).toMatchObject({
      changed: true,
      given: [],
    });
    const later = report('t', 'never-signed', { status: 'CANCELLED', updatedAtMs: 9 });
    expect(await settled(later)).toEqual({ fate: 'failed', changed: true, given: [] });
    expect(await used(hour)).toEqual(['100']);
    expect(await given.ledger.fateOf('test:t')).toMatchObject({
      signed: true,
      fate: 'failed',
      status: 'CANCELLED',
      hash: { txHash: '0xa', atMs: 1 },
    });
    const byHand = { reason: 'failed', authority: { kind: 'operator', statement: 'a.b.c' } } as const;
    await expect(given.ledger.release({ moneyKey: 'test:t', ...byHand })).rejects.toMatchObject({
      code: 'RELEASE_REFUSED',
      message: expect.stringContaining('a signature of test:t may exist'),
    });
  });

  test('what older reports say of signatures counts, and nothing else of them', async () => {
    await commit('t', { charges: [hour] });
    await settled(report('t', 'completed', { updatedAtMs: 5, txHash: '0xb' }));
    const before = await given.ledger.state();
    expect(await settled(report('t', 'signed', { updatedAtMs: 4 }))).toMatchObject({ changed: false });
    expect(await given.ledger.state()).toMatchObject({ sequence: before.sequence });
  });

  describe('an alarm is raised when a signature may exist', () => {
    test('and nobody asked', async () => {
      expect(await settled(report('t', 'completed'))).toMatchObject({ alarm: 'UNAPPROVED' });
      expect(await settled(report('t', 'completed'))).toMatchObject({ changed: false, alarm: 'UNAPPROVED' });
      expect(await settled(report('u', 'never-signed'))).toEqual({
        fate: 'never-signed',
        changed: true,
        given: [],
      });
    });

    test('and the answer was a rejection', async () => {
      await commit('t', { opinion: REJECT });
      expect(await settled(report('t', 'signed'))).toMatchObject({ alarm: 'REJECTED' });
    });

    test('and its charges were given back', async () => {
      await commit('t', { charges: [hour] });
      await settled(report('t', 'never-signed'));
      expect(await settled(report('t', 'completed', { updatedAtMs: 2 }))).toMatchObject({
        alarm: 'RELEASED',
      });
    });

    test('not of what is approved, of what nobody can know any more, and of a batch whose members are', async () => {
      await commit('t', {});
      expect(await settled(report('t', 'completed'))).not.toHaveProperty('alarm');
      const old = report('old', 'completed', { createdAtMs: Date.now() - 2 * DAY });
      expect(await settled(old)).not.toHaveProperty('alarm');
      const member = {
        kind: 'transaction',
        protocol: 'test',
        requestId: 'b-1',
        txId: 'b',
      } as TransactionRequest;
      await commit('b-1', { charges: [hour], facts: batchFacts(member) });
      expect(await settled(report('b', 'never-signed'))).toEqual({
        fate: 'never-signed',
        changed: true,
        given: [],
      });
      expect(await settled(report('b', 'completed', { updatedAtMs: 2 }))).not.toHaveProperty('alarm');
      expect(await used(hour)).toEqual(['100']);
    });
  });

  test('replicas that hear all of it at once, in any order, record what one would have', async () => {
    const replicas = Array.from({ length: 3 }, () => given.another());
    for (let round = 0; round < 10; round += 1) {
      const txId = `t${round}`;
      await commit(txId, { charges: [charge('each', { amount: '1', max: '1000' })] });
      const said = [
        report(txId, 'signed', { updatedAtMs: 1 }),
        report(txId, 'failed', { updatedAtMs: 3, subStatus: 'DROPPED', txHash: '0x1' }),
        report(txId, 'completed', { updatedAtMs: 2, txHash: '0x2' }),
        report(txId, 'never-signed', { updatedAtMs: 4 }),
      ] as readonly SettlingReport[];
      await Promise.all(
        replicas.flatMap((replica, index) =>
          said.map((_, place) => replica.report(said[(place + index) % said.length] as SettlingReport)),
        ),
      );
      expect(await given.ledger.fateOf(`test:${txId}`)).toMatchObject({
        fate: 'failed',
        signed: true,
        status: 'NEVER-SIGNED',
        updatedAtMs: 4,
        hash: { txHash: '0x1', atMs: 3 },
      });
    }
    expect(await used(charge('each'))).toEqual(['10']);
  });

  test('a release and a report that a signature may exist, at once: whichever comes first is known to the other', async () => {
    const replica = given.another();
    for (let round = 0; round < 30; round += 1) {
      const txId = `t${round}`;
      await commit(txId, { charges: [charge('each', { amount: '1', max: '1000' })] });
      const settings = { nowMs: Date.now(), retentionMs: DAY };
      const [, signed] = await Promise.all([
        settled(report(txId, 'never-signed')),
        settle(replica, report(txId, 'signed', { updatedAtMs: 2 }), settings),
      ]);
      const { released } = (await given.ledger.transaction(`test:${txId}`)) ?? {};
      const again = await settled(report(txId, 'signed', { updatedAtMs: 2 }));
      if (released === undefined) expect([signed.alarm, again.alarm]).toEqual([undefined, undefined]);
      else expect(again.alarm).toBe('RELEASED');
    }
  });

  test('reports are forgotten with the rest', async () => {
    await commit('t', {});
    await settled(report('t', 'completed'));
    await settled(report('nobody', 'completed'));
    const aged = await age();
    await commit('u', {});
    await forgetAll(given.ledger, aged);
    expect(await given.ledger.fateOf('test:t')).toBeUndefined();
    expect(await given.ledger.fateOf('test:nobody')).toBeUndefined();
    expect(await settled(report('t', 'completed', { createdAtMs: 0 }))).not.toHaveProperty('alarm');
  });
});
