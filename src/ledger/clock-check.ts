/** Whether the clock of this machine agrees with a ledger's: where it does not, nothing is decided from here. */
import type { LedgerProblem } from '../core/fence.js';
import type { LedgerState } from '../core/ports.js';
import { CLOCK_TOLERANCE_MS } from './proposal.js';

/**
 * Looked for without a decision, so that a quiet night shows it too. However slow the ledger answers, only a difference
 * that is certain counts. A ledger that cannot be read has other problems, and says them.
 */
export async function clockProblems(
  state: () => Promise<Pick<LedgerState, 'nowMs'>>,
): Promise<readonly LedgerProblem[]> {
  const askedMs = Date.now();
  const read = await state().catch(() => undefined);
  if (read === undefined) return [];
  const aheadMs = read.nowMs - Date.now();
  const behindMs = askedMs - read.nowMs;
  if (Math.max(aheadMs, behindMs) <= CLOCK_TOLERANCE_MS) return [];
  const [ms, side] = aheadMs > 0 ? [aheadMs, 'ahead of'] : [behindMs, 'behind'];
  const text = `The ledger's clock is ${(ms / 1_000).toFixed(1)} s ${side} this machine's. A replica whose clock differs by more than ${CLOCK_TOLERANCE_MS / 1_000} s decides nothing: docs/runbooks/CountersignClockSkew.md.`;
  return [{ code: 'CLOCK', text, blocks: true }];
}
