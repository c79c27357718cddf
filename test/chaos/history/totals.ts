/**
 * Was any limit exceeded at any instant? Counted with BigInt from the answers that co-signers received: what the ledger's
 * own counters say is not asked. Only for the instant of an approval the ledger's clock is taken, and a second check of
 * rolling limits does without even that.
 */
import { counterOf, type LimitFacts, needOf } from '../workload/limits.js';
import { type Approval, approvalsIn, CLOCK_SLACK_MS, FORGOTTEN, type Kept, Payments } from './approvals.js';
import { Counter } from './counter.js';
import type { History } from './history.js';
import type { Violation } from './violation.js';

export function totalsExceeded(
  history: History,
  kept: Kept,
  limits: readonly LimitFacts[],
): readonly Violation[] {
  return limits.flatMap((limit) =>
    [...countedBy(limit, history, kept)].flatMap(([counter, approvals]) =>
      exceeded(limit, approvals).map(
        ({ total, how, atMs }): Violation => ({
          check: 'totals',
          text: `${limit.name} of ${counter} reached ${total}, which is ${percent(total, limit.max)} of its ${limit.max} (${how})`,
          atMs,
        }),
      ),
    ),
  );
}

/** The highest share of any limit that was ever used, in percent: a run that comes nowhere near them shows nothing. */
export function fullest(
  history: History,
  kept: Kept,
  limits: readonly LimitFacts[],
): readonly { readonly limit: string; readonly percent: string }[] {
  return limits.map((limit) => {
    const highest = [...countedBy(limit, history, kept).values()]
      .map((approvals) => highestTotal(limit, approvals).total)
      .reduce((a, b) => (b > a ? b : a), 0n);
    return { limit: limit.name, percent: percent(highest, limit.max) };
  });
}

/** Approvals that go to destinations that are new to some limit, and to such as are known to it. */
export function paymentsToNew(
  history: History,
  kept: Kept,
  limits: readonly LimitFacts[],
): { readonly toNew: number; readonly toKnown: number } {
  const approvals = approvalsIn(history, kept);
  const payments = new Payments(approvals);
  const paid = limits
    .filter(({ newForMs }) => newForMs !== undefined)
    .flatMap((limit) =>
      approvals
        .filter(({ ask }) => counterOf(limit, ask) !== undefined)
        .map((approval) => payments.isToNew(limit, approval)),
    );
  const toNew = paid.filter(Boolean).length;
  return { toNew, toKnown: paid.length - toNew };
}

/** An approval that a limit may count. */
interface Counted extends Approval {
  readonly need: bigint;
  /** By the ledger's clock. */
  readonly counts: boolean;
  readonly surelyCounts: boolean;
}

/** By counter. */
function countedBy(limit: LimitFacts, history: History, kept: Kept): ReadonlyMap<string, readonly Counted[]> {
  const approvals = approvalsIn(history, kept);
  const payments = new Payments(approvals);
  const counted = approvals.flatMap((approval) => {
    const counter = counterOf(limit, approval.ask);
    if (counter === undefined) return [];
    const counts = payments.isToNew(limit, approval);
    // When exactly a charge was given back only the ledger's clock says.
    const surelyCounts = approval.released === undefined && payments.isSurelyToNew(limit, approval);
    return [{ ...approval, counter, need: needOf(limit, approval.ask), counts, surelyCounts }];
  });
  return Map.groupBy(counted, ({ counter }) => counter);
}

interface Total {
  readonly total: bigint;
  readonly how: string;
  readonly atMs: number;
}

function exceeded(limit: LimitFacts, approvals: readonly Counted[]): readonly Total[] {
  const totals = [highestTotal(limit, approvals)];
  if (limit.window.kind === 'rolling') totals.push(highestInRealTime(limit.window.lengthMs, approvals));
  return totals.filter(({ total }) => total > limit.max);
}

function highestTotal({ window }: LimitFacts, approvals: readonly Counted[]): Total {
  const counter = new Counter(window);
  let highest: Total = { total: 0n, how: 'nothing was approved', atMs: 0 };
  const counted = approvals.filter(({ counts }) => counts);
  const steps = [
    ...counted,
    // Of two stages of a transaction the second takes away what is gone already.
    ...counted.flatMap(({ ask, released }) =>
      released === undefined ? [] : [{ ...released, ask, atMs: latestInstant(released, counted) }],
    ),
  ].sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence);
  for (const step of steps) {
    const { atMs } = step;
    const tx = step.ask.requestId;
    if (!('need' in step)) {
      counter.giveBack(tx, atMs);
      continue;
    }
    const { total } = counter.charge(tx, step.need, atMs);
    if (total > highest.total) highest = { total, how: 'by the ledger’s clock', atMs: step.answeredMs };
  }
  return highest;
}

/**
 * When it was at the latest, by the ledger's clock. What is given back is recorded whatever the clock of the server says, which
 * may be ahead for a moment; the next approval is not.
 */
function latestInstant(
  { atMs, sequence }: { readonly atMs: number; readonly sequence: number },
  approvals: readonly Counted[],
): number {
  return approvals
    .filter((approval) => approval.sequence > sequence && approval.sequence !== FORGOTTEN)
    .reduce((least, approval) => Math.min(least, approval.atMs), atMs);
}

/** Approvals that were both asked for and answered within a span that is certainly inside one window. */
function highestInRealTime(lengthMs: number, approvals: readonly Counted[]): Total {
  const span = lengthMs - CLOCK_SLACK_MS;
  const sorted = approvals.filter(({ surelyCounts }) => surelyCounts).sort((a, b) => a.askedMs - b.askedMs);
  let highest: Total = { total: 0n, how: 'nothing was approved', atMs: 0 };
  for (const [index, { askedMs: start }] of sorted.entries()) {
    const inside = new Map<string, { readonly need: bigint }>();
    for (const { ask, need, askedMs, answeredMs } of sorted.slice(index)) {
      if (askedMs > start + span) break;
      if (answeredMs <= start + span) inside.set(ask.requestId, { need });
    }
    const total = sumOf(inside.values());
    if (total > highest.total)
      highest = { total, how: 'by the co-signers’ clocks alone', atMs: start + span };
  }
  return highest;
}

function sumOf(held: Iterable<{ readonly need: bigint }>): bigint {
  let total = 0n;
  for (const { need } of held) total += need;
  return total;
}

function percent(total: bigint, max: bigint): string {
  return `${Number((total * 1_000n) / max) / 10} %`;
}
