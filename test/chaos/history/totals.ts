/**
 * Was any limit exceeded at any instant? Counted with BigInt from the answers that co-signers received: what the ledger's
 * own counters say is not asked. Only for the instant of an approval the ledger's clock is taken, and a second check of
 * rolling limits does without even that.
 */
import { counterOf, type LimitFacts, needOf } from '../workload/limits.js';
import { Counter } from './counter.js';
import type { Entry } from './entries.js';
import { type History, questionKey } from './history.js';
import type { Violation } from './violation.js';

/**
 * The ledger decides only while its clock is within 2 s of the replica's, either way: a window may be shorter by
 * twice that in real time, when a clock is set.
 */
const CLOCK_SLACK_MS = 4_500;

interface Approval {
  readonly tx: string;
  readonly need: bigint;
  readonly askedMs: number;
  readonly answeredMs: number;
  /** By the ledger's clock, or the co-signer's when the ledger has forgotten it. */
  readonly atMs: number;
  /** Of the entry. */
  readonly sequence: number;
}

export function totalsExceeded(
  history: History,
  entries: ReadonlyMap<string, Entry>,
  limits: readonly LimitFacts[],
): readonly Violation[] {
  return limits.flatMap((limit) =>
    [...approvalsOf(limit, history, entries)].flatMap(([counter, approvals]) =>
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
  entries: ReadonlyMap<string, Entry>,
  limits: readonly LimitFacts[],
): readonly { readonly limit: string; readonly percent: string }[] {
  return limits.map((limit) => {
    const highest = [...approvalsOf(limit, history, entries).values()]
      .map((approvals) => highestTotal(limit, approvals).total)
      .reduce((a, b) => (b > a ? b : a), 0n);
    return { limit: limit.name, percent: percent(highest, limit.max) };
  });
}

/** By counter. */
function approvalsOf(limit: LimitFacts, { questions }: History, entries: ReadonlyMap<string, Entry>) {
  const byCounter = new Map<string, Approval[]>();
  for (const question of questions.values()) {
    const { ask, finals, firstAskedMs } = question;
    const counter = counterOf(limit, ask);
    const first = finals.find(({ action }) => action === 'APPROVE');
    if (counter === undefined || first === undefined) continue;
    const entry = entries.get(questionKey(ask));
    const approval: Approval = {
      tx: ask.requestId,
      need: needOf(limit, ask),
      askedMs: firstAskedMs,
      answeredMs: first.atMs,
      atMs: entry?.action === 'APPROVE' ? entry.atMs : first.wallMs,
      sequence: entry?.sequence ?? Number.MAX_SAFE_INTEGER,
    };
    byCounter.set(counter, [...(byCounter.get(counter) ?? []), approval]);
  }
  return byCounter;
}

interface Total {
  readonly total: bigint;
  readonly how: string;
  readonly atMs: number;
}

function exceeded(limit: LimitFacts, approvals: readonly Approval[]): readonly Total[] {
  const totals = [highestTotal(limit, approvals)];
  if (limit.window.kind === 'rolling') totals.push(highestInRealTime(limit.window.lengthMs, approvals));
  return totals.filter(({ total }) => total > limit.max);
}

function highestTotal({ window }: LimitFacts, approvals: readonly Approval[]): Total {
  const counter = new Counter(window);
  let highest: Total = { total: 0n, how: 'nothing was approved', atMs: 0 };
  const sorted = [...approvals].sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence);
  for (const { tx, need, atMs, answeredMs } of sorted) {
    const { total } = counter.charge(tx, need, atMs);
    if (total > highest.total) highest = { total, how: 'by the ledger’s clock', atMs: answeredMs };
  }
  return highest;
}

/** Approvals that were both asked for and answered within a span that is certainly inside one window. */
function highestInRealTime(lengthMs: number, approvals: readonly Approval[]): Total {
  const span = lengthMs - CLOCK_SLACK_MS;
  const sorted = [...approvals].sort((a, b) => a.askedMs - b.askedMs);
  let highest: Total = { total: 0n, how: 'nothing was approved', atMs: 0 };
  for (const [index, { askedMs: start }] of sorted.entries()) {
    const inside = new Map<string, { readonly need: bigint }>();
    for (const { tx, need, askedMs, answeredMs } of sorted.slice(index)) {
      if (askedMs > start + span) break;
      if (answeredMs <= start + span) inside.set(tx, { need });
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
