/**
 * What a report does, top to bottom: it is recorded; if no signature can exist, what the transaction was charged is given
 * back; if one may exist that nobody here approved, that is an alarm. Doing it again changes nothing, so whoever is
 * interrupted does it again.
 */
import { errorCodeOf } from './errors.js';
import type { Ledger } from './ports.js';
import type { Holding, ReleaseReason } from './release.js';
import type { Approval, KnownFate, Report, Settlement } from './report.js';

export interface SettleSettings {
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** Of transactions made longer ago than decisions are kept, nobody can say whether they were approved. */
  readonly retentionMs: number;
}

/** Rejects with a LEDGER_* code when the ledger cannot say; to settle the report again is safe. */
export async function settle(
  ledger: Pick<Ledger, 'report' | 'release'>,
  report: Report,
  { nowMs, retentionMs }: SettleSettings,
): Promise<Settlement> {
  if (report.fate === 'pending') return { fate: 'pending', changed: false, given: [] };
  const { known, changed, approval } = await ledger.report(report);
  const given = await giveBack(ledger, report, known, approval);
  const alarm = report.createdAtMs < nowMs - retentionMs ? undefined : alarmOf(known, approval);
  return { fate: known.fate, changed, given, ...(alarm && { alarm }) };
}

async function giveBack(
  ledger: Pick<Ledger, 'release'>,
  { moneyKey, status }: Report,
  { fate, signed, sequence }: KnownFate,
  approval: Approval,
): Promise<readonly Holding[]> {
  if (fate !== 'never-signed' || signed || approval !== 'approved') return [];
  const authority = { kind: 'report', sequence } as const;
  try {
    const released = await ledger.release({
      moneyKey,
      reason: RELEASE_REASON[status] ?? 'failed',
      authority,
    });
    return released.repeated ? [] : released.given;
  } catch (error) {
    // Another report has come in between and says that a signature may exist.
    if (errorCodeOf(error) === 'RELEASE_REFUSED') return [];
    throw error;
  }
}

const RELEASE_REASON: Readonly<Record<string, ReleaseReason>> = {
  CANCELLED: 'cancelled',
  REJECTED: 'rejected',
  BLOCKED: 'blocked',
  FAILED: 'failed',
};

function alarmOf({ signed }: KnownFate, approval: Approval): Settlement['alarm'] {
  if (!signed) return undefined;
  switch (approval) {
    case 'unknown':
      return 'UNAPPROVED';
    case 'rejected':
      return 'REJECTED';
    case 'released':
      return 'RELEASED';
    default:
      return undefined;
  }
}
