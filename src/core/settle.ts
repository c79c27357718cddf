/**
 * What a report does, top to bottom: it is recorded; if no signature can exist, what the transaction was charged is given
 * back; if one may exist that nobody here approved, that is an alarm. Doing it again changes nothing, so whoever is
 * interrupted does it again.
 */
import { errorCodeOf } from './errors.js';
import type { Ledger } from './ports.js';
import type { Holding } from './release.js';
import type { Report, Reported, Settlement } from './report.js';

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
  const { fate } = report;
  if (fate === 'pending') return { fate, changed: false, given: [] };
  const reported = await ledger.report({ ...report, fate });
  const given = await giveBack(ledger, report, reported);
  const alarm = report.createdAtMs < nowMs - retentionMs ? undefined : alarmOf(reported);
  return { fate: reported.known.fate, changed: reported.changed, given, ...(alarm && { alarm }) };
}

async function giveBack(
  ledger: Pick<Ledger, 'release'>,
  { moneyKey, reason = 'failed' }: Report,
  { known, sequence, approval }: Reported,
): Promise<readonly Holding[]> {
  // Also what was released before: the replica that recorded it may have died before that was durable.
  if (known.fate !== 'never-signed' || !approval.approved) return [];
  const authority = { kind: 'report', sequence } as const;
  try {
    const released = await ledger.release({ moneyKey, reason, authority });
    return released.repeated ? [] : released.given;
  } catch (error) {
    // Too much is known about it, or a report that came in between says that a signature may exist: charges stay.
    if (errorCodeOf(error) === 'RELEASE_REFUSED') return [];
    throw error;
  }
}

function alarmOf({ known, approval }: Reported): Settlement['alarm'] {
  if (!known.signed) return undefined;
  if (approval.released) return 'RELEASED';
  if (approval.rejected) return 'REJECTED';
  return approval.approved || approval.batch ? undefined : 'UNAPPROVED';
}
