/** What a report does when the ledger fails between what it does. */
import { expect, test } from '@jest/globals';
import { CountersignError } from '../../../src/core/errors.js';
import type { Ledger } from '../../../src/core/ports.js';
import type { Released } from '../../../src/core/release.js';
import type { Approval, Report, SettlingReport } from '../../../src/core/report.js';
import { mergeFate } from '../../../src/core/report.js';
import { settle } from '../../../src/core/settle.js';

const CANCELLED: Report = {
  moneyKey: 'fireblocks:t',
  protocol: 'fireblocks',
  txId: 't',
  fate: 'never-signed',
  reason: 'cancelled',
  status: 'CANCELLED',
  createdAtMs: 0,
  updatedAtMs: 1,
  source: 'webhook',
};
const APPROVED: Approval = { approved: true, rejected: false, released: false, batch: false };
const HELD = { counter: 'c', mode: 'enforce', window: { kind: 'lifetime' }, amount: '5' } as const;
const SETTINGS = { nowMs: 2, retentionMs: 1_000 };

/** A ledger that knows this of the approval, and whose releases end like this. */
function ledgerWith(
  approval: Approval,
  release: () => Promise<Released>,
): Pick<Ledger, 'report' | 'release'> {
  return {
    report: async (report: SettlingReport) => ({
      known: mergeFate(undefined, report),
      sequence: 7,
      changed: true,
      approval,
    }),
    release,
  };
}

test('what was charged is given back', async () => {
  const ledger = ledgerWith(APPROVED, async () => ({ sequence: 8, repeated: false, given: [HELD] }));
  expect(await settle(ledger, CANCELLED, SETTINGS)).toEqual({
    fate: 'never-signed',
    changed: true,
    given: [HELD],
  });
});

test('what somebody else gave back is not reported twice, but looked for: it may not be durable yet', async () => {
  const released = { ...APPROVED, released: true };
  const durable = ledgerWith(released, async () => ({ sequence: 8, repeated: true, given: [HELD] }));
  expect(await settle(durable, CANCELLED, SETTINGS)).toMatchObject({ given: [] });
  const lost = ledgerWith(released, async () => {
    throw new CountersignError('LEDGER_UNAVAILABLE', 'a majority of the witnesses does not have it');
  });
  await expect(settle(lost, CANCELLED, SETTINGS)).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
});

test('a signature that came to be known in between keeps the charges', async () => {
  const ledger = ledgerWith(APPROVED, async () => {
    throw new CountersignError('RELEASE_REFUSED', 'a report said that it may be signed');
  });
  expect(await settle(ledger, CANCELLED, SETTINGS)).toMatchObject({ given: [] });
});

test.each<[string, Partial<Report>, Approval, string | undefined]>([
  ['nothing was approved', {}, { ...APPROVED, approved: false }, undefined],
  ['it is signed', { fate: 'signed' }, APPROVED, undefined],
  ['it is signed after it was released', { fate: 'signed' }, { ...APPROVED, released: true }, 'RELEASED'],
  ['it is signed though refused', { fate: 'signed' }, { ...APPROVED, rejected: true }, 'REJECTED'],
  ['it is signed unasked', { fate: 'completed' }, { ...APPROVED, approved: false }, 'UNAPPROVED'],
])('nothing is given back when %s', async (_, change, approval, alarm) => {
  const ledger = ledgerWith(approval, async () => {
    throw new Error('it is not asked for');
  });
  const settled = await settle(ledger, { ...CANCELLED, ...change }, SETTINGS);
  expect(settled.given).toEqual([]);
  expect(settled.alarm).toBe(alarm);
});
