/** Reports, by webhook or from the vendor's API: settled in the ledger, counted, told, and alarmed about. */
import type { Logger } from 'pino';
import type { Clock, Ledger } from '../core/ports.js';
import type { Report, Settlement } from '../core/report.js';
import { settle } from '../core/settle.js';
import type { Metrics } from '../telemetry/metrics.js';

export interface SettlerParts {
  readonly workspace: string;
  readonly ledger: Pick<Ledger, 'report' | 'release'>;
  readonly retentionMs: number;
  /** Ids of those who may sign without asking here. */
  readonly otherSigners: readonly string[];
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** What a vendor said, and by whom it says that the transaction was signed. */
export interface Said {
  readonly report: Report;
  readonly signedBy: readonly string[];
  readonly statusKnown: boolean;
}

/** Rejects with a LEDGER_* code when the ledger cannot say; to settle the report again is safe. */
export type Settler = (said: Said) => Promise<Settlement>;

/** An alarm is counted once for a transaction, as long as so many others have not come after it. */
const MOST_ALARMS = 10_000;

export function settlerOf(parts: SettlerParts): Settler {
  const { workspace, ledger, retentionMs, clock, metrics, logger } = parts;
  const counted = new Set<string>();
  metrics.reports.expect(workspace);
  return async (said) => {
    const { report, statusKnown } = said;
    const settlement = await settle(ledger, report, { nowMs: clock.now(), retentionMs });
    metrics.reports.settled(workspace, report, settlement);
    if (!statusKnown) metrics.reports.statusUnknown(workspace);
    const line = lineOf(workspace, said, settlement);
    const alarm = alarmOf(said, settlement);
    if (alarm === undefined) {
      logger[settlement.changed || !statusKnown ? 'info' : 'debug'](line, 'report');
    } else if (isByOthers(said, alarm, parts.otherSigners)) {
      metrics.reports.signedByOthers(workspace);
      logger.info({ ...line, signedBy: said.signedBy }, 'signed by others');
    } else {
      const once = `${alarm} ${report.moneyKey}`;
      if (!counted.has(once)) {
        metrics.reports.alarmed(workspace, alarm);
        remember(counted, once);
      }
      logger.error({ ...line, alarm, signedBy: said.signedBy }, 'signed without approval');
    }
    return settlement;
  };
}

/**
 * A failure without a hash keeps its charges, since nobody can say that it was not signed; but it shows no signature
 * either, and wakes nobody. Whatever was said before of a signature has raised its own alarm.
 */
function alarmOf({ report }: Said, { alarm }: Settlement): Settlement['alarm'] {
  const showsSignature =
    report.fate === 'signed' || report.fate === 'completed' || report.txHash !== undefined;
  return showsSignature ? alarm : undefined;
}

/** What was refused here is nobody's to sign; and where the vendor does not say who signed, nobody is excused. */
function isByOthers(
  { signedBy }: Said,
  alarm: NonNullable<Settlement['alarm']>,
  others: readonly string[],
): boolean {
  return alarm === 'UNAPPROVED' && signedBy.length > 0 && signedBy.every((id) => others.includes(id));
}

function remember(counted: Set<string>, once: string): void {
  const [oldest] = counted;
  if (counted.size >= MOST_ALARMS && oldest !== undefined) counted.delete(oldest);
  counted.add(once);
}

function lineOf(workspace: string, { report, statusKnown }: Said, { fate, changed, given }: Settlement) {
  const { source, notification, txId, status, subStatus, txHash, updatedAtMs } = report;
  return {
    workspace,
    source,
    notification,
    txId,
    status,
    subStatus,
    txHash,
    updatedAt: new Date(updatedAtMs).toISOString(),
    fate,
    changed,
    ...(statusKnown ? {} : { statusKnown }),
    ...(given.length === 0
      ? {}
      : { given: given.map(({ limit, counter, amount }) => ({ limit, counter, amount })) }),
  };
}
