/**
 * What became of notifications, from what their vendor sent and was answered: what it was told is known is known for good and
 * once, and charges are given back for nothing but the word that no signature can exist, before any other.
 */
import type { Evidence } from './check.js';
import type { Telling } from './history.js';
import type { Reported } from './settled.js';
import type { Violation } from './violation.js';

const ACKNOWLEDGED = 200;

export function reportsLost({ history, settled }: Evidence): readonly Violation[] {
  const told = Map.groupBy(history.tellings, ({ txId }) => txId);
  const kept = Map.groupBy(settled.reports, ({ txId }) => txId);
  return [
    ...history.tellings.flatMap(refused),
    ...[...told].flatMap(([txId, tellings]) => [
      ...unacknowledged(txId, tellings),
      ...lost(txId, tellings, kept.get(txId) ?? []),
    ]),
    ...[...kept].flatMap(([txId, reports]) => recordedTwice(txId, reports)),
    ...[...kept.keys()]
      .filter((txId) => !told.has(txId))
      .map((txId): Violation => ({ check: 'reports', text: `${txId}: nobody said what the ledger knows` })),
  ];
}

/** Everything but an acknowledgement and "come again" is final for the vendor, and it would never come again. */
function refused({ txId, said, answer }: Telling): readonly Violation[] {
  if (answer === undefined || answer.status === 0 || answer.status >= 500 || answer.status === ACKNOWLEDGED)
    return [];
  const text = `${txId}: ${said.status} was answered with status ${answer.status}`;
  return [{ check: 'reports', text, atMs: answer.atMs }];
}

function unacknowledged(txId: string, tellings: readonly Telling[]): readonly Violation[] {
  const acknowledged = new Set(tellings.filter(isAcknowledged).map(({ said }) => said.status));
  const open = new Set(tellings.map(({ said }) => said.status).filter((status) => !acknowledged.has(status)));
  return [...open].map((status) => ({
    check: 'reports',
    text: `${txId}: ${status} was sent until the end and never acknowledged`,
  }));
}

/** The newest of all that was acknowledged is what is known in the end; and what may be signed stays so. */
function lost(
  txId: string,
  tellings: readonly Telling[],
  reports: readonly Reported[],
): readonly Violation[] {
  const said = tellings.filter(isAcknowledged).map((telling) => telling.said);
  const [newest] = said.toSorted((a, b) => b.number - a.number);
  if (newest === undefined) return [];
  const signed = said.some(({ means }) => means !== 'never-signed');
  const fate = newest.means === 'never-signed' && signed ? 'failed' : newest.means;
  const should = inWords({ fate, signed, status: newest.status });
  const last = reports.toSorted((a, b) => b.sequence - a.sequence)[0];
  const is = last === undefined ? 'nothing' : inWords(last.known);
  if (is === should) return [];
  return [{ check: 'reports', text: `${txId}: the ledger knows ${is}, and acknowledged ${should}` }];
}

function recordedTwice(txId: string, reports: readonly Reported[]): readonly Violation[] {
  const texts = reports.map(({ known }) => inWords(known));
  if (new Set(texts).size === texts.length) return [];
  return [{ check: 'reports', text: `${txId}: the ledger has one report twice: ${texts.join('; ')}` }];
}

function inWords({ fate, signed, status }: Reported['known']): string {
  return `${status} (${fate}, ${signed ? 'may be' : 'never'} signed)`;
}

export function releasedWrongly({ history, settled }: Evidence): readonly Violation[] {
  const told = Map.groupBy(history.tellings, ({ txId }) => txId);
  const kept = Map.groupBy(settled.reports, ({ txId }) => txId);
  const released = Map.groupBy(settled.releases, ({ txId }) => txId);
  const violations: Violation[] = [];
  const complain = (txId: string, what: string, atMs?: number) =>
    violations.push({ check: 'releases', text: `${txId}: ${what}`, ...(atMs !== undefined && { atMs }) });
  for (const [txId, releases] of released) {
    const [first] = releases;
    if (first === undefined) continue;
    if (releases.length > 1) complain(txId, `its charges were given back ${releases.length} times`);
    const tellings = told.get(txId) ?? [];
    const cancelled = tellings.filter(({ said }) => said.means === 'never-signed');
    const signed = tellings.filter(({ said }) => said.means !== 'never-signed').filter(isAcknowledged);
    const saidMs = Math.min(...cancelled.map(({ toldMs }) => toldMs));
    if (cancelled.length === 0) complain(txId, 'its charges were given back, and nobody said that it ended');
    if (signed.some(({ answer }) => (answer?.atMs ?? saidMs) < saidMs))
      complain(txId, 'its charges were given back after it was acknowledged that it may be signed', saidMs);
    const before = (kept.get(txId) ?? []).filter(({ sequence }) => sequence < first.sequence);
    if (before.some(({ known }) => known.signed))
      complain(txId, `event ${first.sequence} gave its charges back after a report that it may be signed`);
  }
  for (const [txId, tellings] of told) {
    const isCancelled = tellings.every(({ said }) => said.means === 'never-signed');
    if (isCancelled && tellings.some(isAcknowledged) && !released.has(txId))
      complain(txId, 'it was acknowledged that it ended unsigned, and nothing was given back');
  }
  for (const { ask, phase, answer } of history.calls) {
    if (phase === 'after-release' && answer?.outcome === 'APPROVE' && released.has(ask.requestId))
      complain(ask.requestId, 'it was approved after its charges were given back', answer.atMs);
  }
  return violations;
}

function isAcknowledged({ answer }: Telling): boolean {
  return answer?.status === ACKNOWLEDGED;
}
