/** A checker that cannot fail is worthless: each check is shown a history that it must refuse, and one that it must not. */
import { describe, expect, test } from '@jest/globals';
import { violationsOf } from './check.js';
import type { Entry } from './entries.js';
import { evidenceOf, ledgerOf, type Told } from './invented.js';
import type { Check } from './violation.js';

/** The checks that complain. */
function complaints(...evidence: Parameters<typeof evidenceOf>): readonly Check[] {
  return [...new Set(violationsOf(evidenceOf(...evidence)).map(({ check }) => check))];
}

const approved = (id: string, askedMs: number, more: Partial<Told> = {}): Told => ({
  id,
  askedMs,
  outcome: 'APPROVE' as const,
  ...more,
});
const rejected = (id: string, askedMs: number, reason = 'It is full.', more: Partial<Told> = {}): Told => ({
  id,
  askedMs,
  outcome: 'REJECT' as const,
  reason,
  ...more,
});

/** Duplicates, a lost answer, a RETRY, both stages of one transaction, a conflict, a full limit. */
const GOOD: readonly Told[] = [
  approved('a', 0, { wei: 50n, stage: 'approval', signer: 'approver-1' }),
  approved('a', 10, { wei: 50n }),
  approved('a', 12, { wei: 50n }),
  approved('b', 20, { wei: 50n, delivery: 'b' }),
  rejected('b', 24, 'Other content.', { wei: 51n }),
  { id: 'c', askedMs: 30, outcome: 'none', reason: 'reset', delivery: 'c' },
  { id: 'c', askedMs: 140, outcome: 'RETRY', delivery: 'c' },
  rejected('c', 1_150, 'It is full.', { delivery: 'c' }),
  rejected('c', 90_000, 'It is full.', { phase: 'repeat' }),
];

describe('a run in which all went well', () => {
  test('has no violations', () => {
    expect(violationsOf(evidenceOf(GOOD))).toEqual([]);
  });

  test('still has none when calls overlap and so may be numbered either way', () => {
    const told = [approved('a', 0, { answeredMs: 100 }), approved('b', 50, { answeredMs: 60 })];
    const [a, b] = ledgerOf(told);
    if (a === undefined || b === undefined) throw new Error('two decisions make two entries');
    const entries = [
      { ...a, sequence: 2 },
      { ...b, sequence: 1 },
    ];
    expect(complaints(told, { entries })).toEqual([]);
  });
});

describe('answers', () => {
  test('approved and rejected', () => {
    expect(complaints([approved('a', 0), rejected('a', 10)])).toEqual(['answers']);
  });

  test('rejected for two different reasons', () => {
    expect(complaints([rejected('a', 0, 'It is full.'), rejected('a', 10, 'Other content.')])).toEqual([
      'answers',
    ]);
  });

  test('another answer when it is repeated at the end', () => {
    expect(complaints([approved('a', 0), rejected('a', 9_000, 'It is full.', { phase: 'repeat' })])).toEqual([
      'answers',
    ]);
  });

  test('two contents approved under one id', () => {
    expect(complaints([approved('a', 0, { wei: 10n }), approved('a', 10, { wei: 11n })])).toContain(
      'answers',
    );
  });

  test('two Virtual Signers are told different votes on one operation', () => {
    const vote = { protocol: 'iofinnet', lane: 'shared', stage: 'approval' } as const;
    const first = approved('op', 0, { ...vote, signer: 'virtual-signer-1' });
    const second = { ...vote, signer: 'virtual-signer-2' };
    expect(complaints([first, approved('op', 3, second)])).toEqual([]);
    expect(complaints([first, rejected('op', 3, 'a vote against', second)])).toEqual(['answers']);
  });

  test('an answer that no co-signer would obey', () => {
    const told: Told = { id: 'a', askedMs: 0, outcome: 'wrong', reason: 'the signature does not verify' };
    expect(complaints([told])).toEqual(['answers']);
  });
});

describe('the ledger', () => {
  const without = (entries: readonly Entry[], id: string) =>
    entries.filter(({ requestId }) => requestId !== id);

  test('has lost an approval', () => {
    const told = [approved('a', 0), approved('b', 10)];
    expect(complaints(told, { entries: without(ledgerOf(told), 'b') })).toEqual(['ledger']);
  });

  test('has lost a rejection', () => {
    const told = [rejected('a', 0)];
    expect(complaints(told, { entries: [] })).toEqual(['ledger']);
  });

  test('says something else than was answered', () => {
    const told = [approved('a', 0)];
    const entries = ledgerOf(told).map((entry) => ({ ...entry, action: 'REJECT' as const }));
    expect(complaints(told, { entries })).toEqual(['ledger']);
  });

  test('gives another reason than was answered', () => {
    const told = [rejected('a', 0)];
    const entries = ledgerOf(told).map((entry) => ({ ...entry, reason: 'Another.' }));
    expect(complaints(told, { entries })).toEqual(['ledger']);
  });

  test('holds the decision of another content only', () => {
    const told = [approved('a', 0, { wei: 10n })];
    const entries = ledgerOf(told).map((entry) => ({ ...entry, wei: 11n }));
    expect(complaints(told, { entries })).toEqual(['ledger']);
  });
});

describe('what the ledger charged', () => {
  const votes = (...signers: readonly string[]) =>
    signers.map((signer, index) =>
      approved('op', index, { protocol: 'iofinnet', lane: 'shared', stage: 'approval', signer }),
    );
  const told = [...votes('virtual-signer-1', 'virtual-signer-2'), approved('tx', 40, { lane: 'shared' })];
  const charging = (...totals: readonly (readonly [added: bigint, total: bigint])[]) =>
    ledgerOf(told).map((entry, index) => {
      const [added = 0n, total = 0n] = totals[index] ?? [];
      return { ...entry, charged: new Map([['shared', { added, total }]]) };
    });

  test('each transaction once', () => {
    expect(complaints(told, { entries: charging([10n, 10n], [10n, 20n]) })).toEqual([]);
  });

  test('one twice, for two signers that asked', () => {
    expect(complaints(told, { entries: charging([10n, 10n], [10n, 30n]) })).toEqual(['charged']);
  });

  test('one not at all', () => {
    const [first, second] = charging([10n, 10n], [10n, 20n]);
    if (first === undefined || second === undefined) throw new Error('two decisions make two entries');
    const entries = [first, { ...second, charged: new Map() }];
    expect(violationsOf(evidenceOf(told, { entries })).map(({ text }) => text)).toEqual([
      'tx/signing (event 2) charged shared nothing, and should have charged 10 to a total of 20',
    ]);
  });

  test('a payment to a destination that was known, to a limit for new ones', () => {
    const paid = [0, 8_000].map((askedMs) => approved(`at ${askedMs}`, askedMs, { lane: 'newcomers' }));
    const [first, second] = ledgerOf(paid);
    if (first === undefined || second === undefined) throw new Error('two decisions make two entries');
    const counted = (total: bigint) => new Map([['newcomers', { added: 10n, total }]]);
    const begins = { ...first, charged: counted(10n) };
    expect(complaints(paid, { entries: [begins, { ...second, charged: new Map() }] })).toEqual([]);
    expect(complaints(paid, { entries: [begins, { ...second, charged: counted(20n) }] })).toEqual([
      'charged',
    ]);
    const young = { ...second, atMs: second.atMs - 1 };
    expect(complaints(paid, { entries: [begins, { ...young, charged: counted(20n) }] })).toEqual([]);
    expect(complaints(paid, { entries: [begins, { ...young, charged: new Map() }] })).toEqual(['charged']);
  });

  test('a rejection', () => {
    const refused = [rejected('tx', 0, 'It is full.', { lane: 'shared' })];
    const entries = ledgerOf(refused).map((entry) => ({
      ...entry,
      charged: new Map([['shared', { added: 10n, total: 10n }]]),
    }));
    expect(complaints(refused, { entries })).toEqual(['charged']);
  });
});

describe('sequence numbers', () => {
  test('against real time', () => {
    const told = [approved('a', 0), approved('b', 1_000), approved('c', 2_000)];
    const entries = ledgerOf(told).map((entry, index) => ({ ...entry, sequence: [1, 3, 2][index] ?? 0 }));
    expect(complaints(told, { entries })).toEqual(['order']);
  });

  test('one for two decisions in the ledger', () => {
    const told = [approved('a', 0, { answeredMs: 50 }), approved('b', 10, { answeredMs: 60 })];
    const entries = ledgerOf(told).map((entry) => ({ ...entry, sequence: 1 }));
    expect(complaints(told, { entries })).toEqual(['numbers']);
  });

  test('one for what is in the ledger and something else that a replica answered', () => {
    const logged = [{ requestId: 'lost', stage: 'signing', answer: 'approve', sequence: 1 }];
    expect(complaints([approved('a', 0)], { logged })).toEqual(['numbers']);
  });

  test('the same decision in the ledger and in a log is one', () => {
    const logged = [{ requestId: 'a', stage: 'signing', answer: 'approve', sequence: 1 }];
    expect(complaints([approved('a', 0)], { logged })).toEqual([]);
  });
});

describe('time', () => {
  test('a call that hangs for 30 s', () => {
    expect(complaints([approved('a', 0, { answeredMs: 30_000 })])).toEqual(['deadline']);
  });

  test('a call that is never answered', () => {
    expect(complaints([approved('a', 0, { heard: false })], { entries: [] })).toEqual([
      'deadline',
      'decided',
    ]);
  });

  test('a delivery whose calls are all lost for 30 s', () => {
    const lost = Array.from(
      { length: 16 },
      (_, index): Told => ({ id: 'a', askedMs: index * 2_000, outcome: 'none', delivery: 'a' }),
    );
    expect(complaints([...lost, approved('a', 32_000, { delivery: 'a' })])).toEqual(['deadline']);
  });

  test('a delivery that hears RETRY and nothing else', () => {
    expect(complaints([{ id: 'a', askedMs: 0, outcome: 'RETRY' }])).toEqual(['decided']);
  });
});

describe('what nobody we know has signed', () => {
  const forged = {
    event: 'forged',
    atMs: 5,
    name: 'signed by a stranger',
    requestId: 'f',
    status: 401,
  } as const;

  test('is refused', () => {
    expect(complaints([], { forged: [forged] })).toEqual([]);
  });

  test('is answered', () => {
    expect(complaints([], { forged: [{ ...forged, status: 200 }] })).toEqual(['forged']);
  });

  test('leaves a trace in the ledger', () => {
    expect(complaints([], { forged: [forged], entries: ledgerOf([rejected('f', 0)]) })).toEqual(['forged']);
  });
});

describe('after a loss that nothing can make good', () => {
  test('a decision', () => {
    expect(complaints([approved('a', 0, { phase: 'after-the-end' })])).toEqual(['end']);
  });

  test('an old decision that is repeated', () => {
    const told = [approved('a', 0), approved('a', 9_000, { phase: 'after-the-end' })];
    expect(complaints(told)).toEqual(['end']);
  });

  test('RETRY', () => {
    expect(complaints([{ id: 'a', askedMs: 0, outcome: 'RETRY', phase: 'after-the-end' }])).toEqual([]);
  });
});
