/** What may be told, acknowledged and given back, and each way in which a ledger could get it wrong. */
import { describe, expect, test } from '@jest/globals';
import type { AcknowledgedLine, ToldLine } from '../cosigner/record.js';
import { CANCELLED, COMPLETED, type Said, SIGNED } from '../workload/endings.js';
import { violationsOf } from './check.js';
import { evidenceOf, ledgerOf, NOON_MS, type Told } from './invented.js';
import type { Reported, Settled } from './settled.js';

const TX: Told = { id: 'tx', askedMs: 0, wei: 60n, outcome: 'APPROVE' };

interface Notified {
  readonly said: Said;
  readonly atMs: number;
  /** 200 unless it says otherwise; null: nobody has answered yet. */
  readonly status?: number | null;
}

function linesOf(notified: readonly Notified[]): readonly (ToldLine | AcknowledgedLine)[] {
  return notified.flatMap(({ said, atMs, status = 200 }, index) => {
    const call = `told ${index}`;
    const told: ToldLine = {
      event: 'told',
      call,
      atMs,
      txId: 'tx',
      said,
    };
    if (status === null) return [told];
    return [told, { event: 'acknowledged', call, atMs: atMs + 5, status } satisfies AcknowledgedLine];
  });
}

const known = (sequence: number, status: string, fate: string, signed: boolean): Reported => {
  return { sequence, txId: 'tx', known: { fate, signed, status } };
};
const released = (sequence: number, amount = 60n) => {
  return { sequence, atMs: NOON_MS + sequence, txId: 'tx', given: new Map([['lifetime', amount]]) };
};

function complaints(
  notified: readonly Notified[],
  settled: Partial<Settled>,
  told: readonly Told[] = [TX],
): readonly string[] {
  const entries = ledgerOf([TX]).map((entry) => {
    return { ...entry, charged: new Map([['lifetime', { added: 60n, total: 60n }]]) };
  });
  const evidence = {
    notified: linesOf(notified),
    entries,
    settled: { reports: [], releases: [], ...settled },
  };
  return violationsOf(evidenceOf(told, evidence)).map(({ check, text }) => `${check}: ${text}`);
}

const COMPLETES: readonly Notified[] = [
  { said: COMPLETED, atMs: 100, status: 503 },
  { said: COMPLETED, atMs: 1_100 },
  { said: SIGNED, atMs: 1_200 },
  { said: SIGNED, atMs: 1_250 },
];
const CANCELS: readonly Notified[] = [{ said: CANCELLED, atMs: 100 }];
const NEVER = known(10, 'CANCELLED', 'never-signed', false);

describe('notifications', () => {
  test('in any order, some of them twice, are known by the newest', () => {
    expect(complaints(COMPLETES, { reports: [known(10, 'COMPLETED', 'completed', true)] })).toEqual([]);
  });

  test('one that was acknowledged is not in the ledger', () => {
    expect(complaints(COMPLETES, {})).toEqual([
      'reports: tx: the ledger knows nothing, and acknowledged COMPLETED (completed, may be signed)',
    ]);
    expect(complaints(COMPLETES, { reports: [known(10, 'BROADCASTING', 'signed', true)] })).toHaveLength(1);
  });

  test('one is in the ledger twice', () => {
    const twice = [10, 11].map((sequence) => known(sequence, 'COMPLETED', 'completed', true));
    expect(complaints(COMPLETES, { reports: twice })).toEqual([expect.stringMatching(/one report twice/)]);
  });

  test('one is never acknowledged', () => {
    const silent = [{ said: SIGNED, atMs: 100, status: null }];
    expect(complaints(silent, {})).toEqual([
      'reports: tx: BROADCASTING was sent until the end and never acknowledged',
    ]);
  });

  test('one is refused, so that its vendor would not send it again', () => {
    const refused = [{ said: SIGNED, atMs: 100, status: 401 }, ...COMPLETES];
    expect(complaints(refused, { reports: [known(10, 'COMPLETED', 'completed', true)] })).toEqual([
      'reports: tx: BROADCASTING was answered with status 401',
    ]);
  });

  test('nobody said what the ledger knows', () => {
    expect(complaints([], { reports: [NEVER] })).toEqual([expect.stringMatching(/nobody said/)]);
  });
});

describe('charges are given back', () => {
  test('of what ended unsigned, once, and there is room again', () => {
    const next = { ...TX, id: 'next', askedMs: 200, wei: 100n };
    const settled = { reports: [NEVER], releases: [released(11)] };
    expect(complaints(CANCELS, settled)).toEqual([]);
    const entries = ledgerOf([TX, next]).map((entry, index) => ({ ...entry, sequence: 1 + 20 * index }));
    const all = { notified: linesOf(CANCELS), entries };
    expect(violationsOf(evidenceOf([TX, next], { ...all, settled }))).toEqual([]);
    const kept = { reports: [NEVER], releases: [] };
    const checks = violationsOf(evidenceOf([TX, next], { ...all, settled: kept })).map(({ check }) => check);
    expect(checks).toEqual(['totals', 'releases']);
  });

  test('while the clock of the server was ahead: before the approval that comes next, and not before one that came first', () => {
    const next = { ...TX, id: 'next', askedMs: 200, wei: 100n };
    const entries = ledgerOf([TX, next]).map((entry, index) => ({ ...entry, sequence: 1 + 20 * index }));
    const checksOf = (sequence: number) => {
      const ahead = { ...released(sequence), atMs: NOON_MS + 40_000 };
      const settled = { reports: [NEVER], releases: [ahead] };
      const evidence = { notified: linesOf(CANCELS), entries, settled };
      return violationsOf(evidenceOf([TX, next], evidence)).map(({ check }) => check);
    };
    expect(checksOf(11)).toEqual([]);
    expect(checksOf(31)).toEqual(['totals']);
  });

  test('never, though it was acknowledged', () => {
    expect(complaints(CANCELS, { reports: [NEVER] })).toEqual([
      'releases: tx: it was acknowledged that it ended unsigned, and nothing was given back',
    ]);
  });

  test('twice', () => {
    const twice = { reports: [NEVER], releases: [released(11), released(12)] };
    expect(complaints(CANCELS, twice)).toEqual(['releases: tx: its charges were given back 2 times']);
  });

  test('not as they were charged', () => {
    expect(complaints(CANCELS, { reports: [NEVER], releases: [released(11, 61n)] })).toEqual([
      'charged: tx (event 11) gave back 61 to lifetime, and held 60',
    ]);
  });

  test('though nobody said that it ended', () => {
    expect(complaints([], { releases: [released(11)] })).toEqual([
      'releases: tx: its charges were given back, and nobody said that it ended',
    ]);
  });

  test('after it was acknowledged that it may be signed', () => {
    const told = [
      { said: SIGNED, atMs: 50 },
      { said: CANCELLED, atMs: 100 },
    ];
    const reports = [known(9, 'BROADCASTING', 'signed', true), known(10, 'CANCELLED', 'failed', true)];
    expect(complaints(told, { reports })).toEqual([]);
    expect(complaints(told, { reports, releases: [released(11)] })).toEqual([
      'releases: tx: its charges were given back after it was acknowledged that it may be signed',
      'releases: tx: event 11 gave its charges back after a report that it may be signed',
    ]);
    // Both at once: whichever the ledger had first.
    const atOnce = [
      { said: SIGNED, atMs: 100 },
      { said: CANCELLED, atMs: 100 },
    ];
    const after = [NEVER, known(12, 'CANCELLED', 'failed', true)];
    expect(complaints(atOnce, { reports: after, releases: [released(11)] })).toEqual([]);
    expect(complaints(atOnce, { reports, releases: [released(11)] })).toHaveLength(1);
  });

  test('and it is approved again', () => {
    const settled = { reports: [NEVER], releases: [released(11)] };
    const asked = (outcome: Told['outcome']): readonly Told[] => [
      TX,
      { ...TX, askedMs: 200, outcome, phase: 'after-release' },
    ];
    expect(complaints(CANCELS, settled, asked('REJECT'))).toEqual([]);
    expect(complaints(CANCELS, settled, asked('APPROVE'))).toEqual([
      'releases: tx: it was approved after its charges were given back',
    ]);
  });
});
