/** What reports say of a transaction in the embedded ledger: as report.lua keeps it. */
import {
  type Approval,
  batchFactKey,
  type KnownFate,
  mergeFate,
  type Reported,
  type SettlingReport,
} from '../../core/report.js';
import { fateText, fateOf as readFate, reportOf } from '../journal-body.js';
import type { EmbeddedStore, Head } from './store.js';

export function report(store: EmbeddedStore, head: Head, said: SettlingReport): Reported {
  const { moneyKey } = said;
  const approval = approvalOf(store, moneyKey);
  const standing = fateOf(store, moneyKey);
  const known = mergeFate(standing, said);
  if (standing !== undefined && fateText(known) === fateText(standing)) {
    return { known, sequence: standing.sequence, changed: false, approval };
  }
  const sequence = store.append(head, 'report', JSON.stringify(reportOf(said, known, approval)));
  const values = [moneyKey, sequence, known.signed ? 1 : 0, fateText(known)];
  store.rows.write('INSERT OR REPLACE INTO fates VALUES (?, ?, ?, ?, ?)', ...values);
  return { known, sequence, changed: true, approval };
}

export function fateOf(
  { rows }: EmbeddedStore,
  moneyKey: string,
): (KnownFate & { readonly sequence: number }) | undefined {
  const row = rows.one('SELECT sequence, fate FROM fates WHERE workspace = ? AND money = ?', moneyKey);
  return row && { ...readFate(String(row.fate)), sequence: Number(row.sequence) };
}

function approvalOf({ rows }: EmbeddedStore, moneyKey: string): Approval {
  const row = rows.one('SELECT * FROM transactions WHERE workspace = ? AND money = ?', moneyKey);
  const batch = rows.one('SELECT 1 FROM facts WHERE workspace = ? AND fact = ?', batchFactKey(moneyKey));
  return {
    approved: row?.approved === 1,
    rejected: row?.rejected === 1,
    released: row !== undefined && row.released !== null,
    batch: batch !== undefined,
  };
}
