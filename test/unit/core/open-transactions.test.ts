/** Which transactions are open after a journal, compared with what a reader of the whole of it would say. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { JournalEvent } from '../../../src/core/journal.js';
import { OpenTransactions } from '../../../src/core/open-transactions.js';
import { runs } from '../../support/fuzz-runs.js';

type Happening =
  | { readonly kind: 'approved' | 'rejected' | 'voted'; readonly tx: number; readonly member: number }
  | { readonly kind: 'report'; readonly tx: number; readonly fate: string }
  | { readonly kind: 'release'; readonly tx: number; readonly member: number };

const FATES = ['signed', 'completed', 'failed', 'never-signed'];

function moneyKey(tx: number, member: number): string {
  return `fireblocks:t${tx}${member === 0 ? '' : `-${member}`}`;
}

function eventOf(happening: Happening, index: number): JournalEvent {
  const at = { sequence: 10 * index + 1, atMs: 1_000 * index };
  const txId = `t${happening.tx}`;
  if (happening.kind === 'report') {
    const { fate } = happening;
    const body = { moneyKey: moneyKey(happening.tx, 0), protocol: 'fireblocks', txId, known: { fate } };
    return { ...at, type: 'report', body };
  }
  const key = moneyKey(happening.tx, happening.member);
  if (happening.kind === 'release') return { ...at, type: 'release', body: { moneyKey: key, given: [] } };
  return {
    ...at,
    type: 'decision',
    body: {
      ask: { askKey: `a${index}`, moneyKey: key, txId },
      decision: { effect: happening.kind === 'rejected' ? 'reject' : 'approve' },
      journal: {
        request: {
          protocol: 'fireblocks',
          kind: 'transaction',
          requestId: 'r',
          stage: happening.kind === 'voted' ? 'approval' : 'signing',
        },
      },
    },
  };
}

/** Said anew for each transaction from everything that ever happened to it. */
function expected(happenings: readonly Happening[]): Record<string, { since: number; members: string[] }> {
  const open: Record<string, { since: number; members: string[] }> = {};
  for (const tx of new Set(happenings.map((each) => each.tx))) {
    let since = -1;
    let members: string[] = [];
    happenings.forEach((each, index) => {
      if (each.tx !== tx) return;
      if (each.kind === 'approved') {
        if (members.length === 0) since = 1_000 * index;
        members = [...new Set([...members, moneyKey(tx, each.member)])];
      } else if (each.kind === 'release') {
        members = members.filter((key) => key !== moneyKey(tx, each.member));
      } else if (each.kind === 'report' && each.fate !== 'signed') members = [];
    });
    if (members.length > 0) open[`t${tx}`] = { since, members };
  }
  return open;
}

const happening = fc.oneof(
  fc.record({
    kind: fc.constantFrom('approved', 'approved', 'approved', 'rejected', 'voted'),
    tx: fc.nat(4),
    member: fc.nat(2),
  }),
  fc.record({ kind: fc.constant('report'), tx: fc.nat(4), fate: fc.constantFrom(...FATES) }),
  fc.record({ kind: fc.constant('release'), tx: fc.nat(4), member: fc.nat(2) }),
) as fc.Arbitrary<Happening>;

function following(happenings: readonly Happening[], most?: number): OpenTransactions {
  const open = new OpenTransactions(most);
  for (const [index, each] of happenings.entries()) open.take(eventOf(each, index));
  return open;
}

test('what is open after any journal is what its events say', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
      const open = following(happenings);
      const found = [...open.all()];
      expect(
        Object.fromEntries(
          found.map(({ txId, approvedAtMs, moneyKeys }) => [
            txId,
            { since: approvedAtMs, members: [...moneyKeys] },
          ]),
        ),
      ).toEqual(expected(happenings));
      expect(open.size).toBe(found.length);
      const ages = found.map(({ approvedAtMs }) => approvedAtMs);
      expect(ages).toEqual([...ages].sort((one, other) => one - other));
      expect(open.oldest).toBe(found[0]);
      expect(open.approvedBefore(5_000)).toEqual(found.filter(({ approvedAtMs }) => approvedAtMs <= 5_000));
    }),
    { numRuns: runs(500) },
  );
});

describe('what is not followed', () => {
  test('other events, votes of io.finnet, and bodies of any shape', () => {
    const open = new OpenTransactions();
    const bodies: Record<string, unknown>[] = [
      {},
      { ask: null, decision: 7, journal: [] },
      { moneyKey: 7 },
      { protocol: 'fireblocks', txId: 't', known: null },
      {
        ask: { moneyKey: 'iofinnet:o' },
        decision: { effect: 'approve' },
        journal: { request: { protocol: 'iofinnet', kind: 'transaction', stage: 'approval' } },
      },
    ];
    for (const type of ['decision', 'report', 'release', 'conflict', 'policy', 'checkpoint'] as const)
      for (const body of bodies) open.take({ sequence: 1, atMs: 1, type, body });
    expect(open.size).toBe(0);
  });

  test('approvals beyond what memory holds, and they are counted', () => {
    const approvals = [0, 1, 2, 3].map((tx) => ({ kind: 'approved', tx, member: 0 }) as const);
    const open = following([...approvals, { kind: 'approved', tx: 1, member: 2 }], 2);
    expect([...open.all()].map(({ txId }) => txId)).toEqual(['t0', 't1']);
    expect(open.forgotten).toBe(2);
    open.ended({ protocol: 'fireblocks', txId: 't0' });
    open.take(eventOf({ kind: 'approved', tx: 4, member: 0 }, 9));
    expect([...open.all()].map(({ txId }) => txId)).toEqual(['t1', 't4']);
  });
});
