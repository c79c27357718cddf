/** Totals are exact, and counted from answers: each kind of window, at its very edge. */
import { describe, expect, test } from '@jest/globals';
import { violationsOf } from './check.js';
import { evidenceOf, ledgerOf, NOON_MS, type Told } from './invented.js';

const HOUR_MS = 3_600_000;

/** One approval for each `[askedMs, wei]`, of different transactions. */
function approvals(lane: Told['lane'], ...each: readonly (readonly [number, bigint])[]): readonly Told[] {
  return each.map(([askedMs, wei], index) => ({
    id: `t${index}`,
    askedMs,
    wei,
    outcome: 'APPROVE',
    ...(lane && { lane }),
  }));
}

function exceeded(...evidence: Parameters<typeof evidenceOf>): readonly string[] {
  const violations = violationsOf(evidenceOf(...evidence));
  expect(violations.every(({ check }) => check === 'totals')).toBe(true);
  return violations.map(({ text }) => text);
}

describe('a lifetime limit', () => {
  test('full to the last unit', () => {
    expect(exceeded(approvals('lifetime', [0, 99n], [90_000, 1n]))).toEqual([]);
  });

  test('one unit too much, however much later', () => {
    const [text] = exceeded(approvals('lifetime', [0, 99n], [900_000, 2n]));
    expect(text).toBe('lifetime of 7 reached 101, which is 101 % of its 100 (by the ledger’s clock)');
  });

  test('counts a transaction once for all its stages', () => {
    const [told] = approvals('lifetime', [0, 60n]);
    if (told === undefined) throw new Error('one was made');
    expect(
      exceeded([
        { ...told, stage: 'approval', signer: 'approver-1' },
        { ...told, askedMs: 50 },
      ]),
    ).toEqual([]);
  });

  test('counts what was approved and then forgotten by the ledger', () => {
    const told = approvals('lifetime', [0, 60n], [1_000, 60n]);
    const violations = violationsOf(evidenceOf(told, { entries: ledgerOf(told).slice(1) }));
    expect(violations.map(({ check }) => check)).toContain('totals');
  });

  test('does not count a rejection', () => {
    const [one, two] = approvals('lifetime', [0, 60n], [10, 60n]);
    if (one === undefined || two === undefined) throw new Error('two were made');
    expect(exceeded([one, { ...two, outcome: 'REJECT', reason: 'It is full.' }])).toEqual([]);
  });
});

describe('a rolling limit', () => {
  test('is free again after its window', () => {
    expect(exceeded(approvals('rolling', [0, 100n], [20_001, 100n]))).toEqual([]);
  });

  test('is not while its window lasts', () => {
    expect(exceeded(approvals('rolling', [0, 100n], [20_000, 1n]))).toHaveLength(1);
  });

  test('counts what a second approval brings forward', () => {
    const [told] = approvals('rolling', [0, 60n]);
    if (told === undefined) throw new Error('one was made');
    const signing = { ...told, askedMs: 15_000 };
    const later = { ...told, id: 'later', askedMs: 34_000, wei: 50n };
    expect(exceeded([{ ...told, stage: 'approval', signer: 'approver-1' }, signing, later])).toHaveLength(1);
  });

  test('a ledger whose clock ran away does not hide it', () => {
    const told = approvals('rolling', [0, 100n], [5_000, 100n]);
    const entries = ledgerOf(told).map((entry, index) => ({ ...entry, atMs: NOON_MS + index * HOUR_MS }));
    const [text] = exceeded(told, { entries });
    expect(text).toContain('200 % of its 100 (by the co-signers’ clocks alone)');
  });
});

describe('a limit of both vendors', () => {
  test('counts a vote and a signature together, and every operation once', () => {
    const vote = { protocol: 'iofinnet', stage: 'approval', lane: 'shared', outcome: 'APPROVE' } as const;
    const votes = ['virtual-signer-1', 'virtual-signer-2'].map(
      (signer): Told => ({ ...vote, id: 'op', wei: 60n, askedMs: 0, signer }),
    );
    const signature = (wei: bigint): Told => ({
      ...vote,
      protocol: 'fireblocks',
      stage: 'signing',
      id: 'tx',
      wei,
      askedMs: 10,
    });
    expect(exceeded([...votes, signature(40n)])).toEqual([]);
    expect(exceeded([...votes, signature(41n)])).toContain(
      'shared of all reached 101, which is 101 % of its 100 (by the ledger’s clock)',
    );
  });
});

describe('a limit for new destinations', () => {
  const pays = (id: string, destination: string, askedMs: number, wei: bigint): Told => {
    return { id, destination, askedMs, wei, lane: 'newcomers', outcome: 'APPROVE' };
  };

  test('does not count what goes to one that was paid long enough ago', () => {
    expect(exceeded([pays('a', 'x', 0, 60n), pays('b', 'x', 8_000, 90n)])).toEqual([]);
    expect(
      exceeded([pays('a', 'x', 0, 60n), pays('b', 'x', 8_000, 90n), pays('c', 'y', 8_010, 40n)]),
    ).toEqual([]);
  });

  test('counts what goes to one that was not', () => {
    expect(exceeded([pays('a', 'x', 0, 60n), pays('b', 'x', 7_999, 41n)])).toHaveLength(1);
    expect(exceeded([pays('a', 'x', 0, 60n), pays('b', 'y', 9_000, 41n)])).toHaveLength(2);
  });

  test('knows a destination by its first payment, whenever it was heard of', () => {
    const told = [pays('later', 'x', 7_000, 60n), pays('first', 'x', 0, 10n), pays('known', 'x', 9_000, 90n)];
    const entries = ledgerOf(told.toSorted((a, b) => a.askedMs - b.askedMs));
    expect(exceeded(told, { entries })).toEqual([]);
  });

  test('a ledger whose clock ran away does not make one known', () => {
    const told = [pays('a', 'x', 0, 60n), pays('b', 'x', 3_000, 60n)];
    const entries = ledgerOf(told).map((entry, index) => ({ ...entry, atMs: NOON_MS + index * HOUR_MS }));
    const [text] = exceeded(told, { entries });
    expect(text).toContain('reached 120, which is 120 % of its 100 (by the co-signers’ clocks alone)');
  });
});

describe('other limits', () => {
  test('a calendar hour begins anew', () => {
    expect(exceeded(approvals('calendar', [HOUR_MS - 100, 100n], [HOUR_MS, 100n]))).toEqual([]);
    expect(exceeded(approvals('calendar', [HOUR_MS - 200, 100n], [HOUR_MS - 100, 1n]))).toHaveLength(1);
  });

  test('a count counts transactions', () => {
    expect(exceeded(approvals('rolling', [0, 1n], [100, 1n]))).toEqual([]);
    expect(exceeded(approvals('rolling', [0, 1n], [100, 1n], [200, 1n]))).toHaveLength(1);
  });

  test('sums beyond 2^64 are exact', () => {
    const limits = [
      {
        name: 'huge',
        sum: 'native',
        max: 2n ** 70n,
        per: 'source',
        lane: 'lifetime',
        window: { kind: 'lifetime' },
      },
    ] as const;
    const half = 2n ** 69n;
    expect(exceeded(approvals('lifetime', [0, half], [10, half]), { limits })).toEqual([]);
    expect(exceeded(approvals('lifetime', [0, half], [10, half + 1n]), { limits })).toHaveLength(1);
  });
});
