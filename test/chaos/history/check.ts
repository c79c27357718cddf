/** The verdict on a run: everything that the product promises, against what the co-signers saw. Pure. */
import type { LimitFacts } from '../workload/limits.js';
import { chargedWrongly } from './charges.js';
import type { Entry, Logged } from './entries.js';
import { type Call, type Final, type History, isFinal, type Question, questionKey } from './history.js';
import { releasedWrongly, reportsLost } from './reports.js';
import type { Settled } from './settled.js';
import { totalsExceeded } from './totals.js';
import type { Violation } from './violation.js';

export interface Evidence {
  readonly history: History;
  /** Decisions and conflicts of the log, oldest first. */
  readonly entries: readonly Entry[];
  /** What the replicas' logs say that they answered. */
  readonly logged: readonly Logged[];
  readonly limits: readonly LimitFacts[];
  readonly settled: Settled;
}

/** The vendor's own time limit for one call. */
const CALL_LIMIT_MS = 30_000;

const REFUSALS: ReadonlySet<number> = new Set([400, 401]);

export function violationsOf(evidence: Evidence): readonly Violation[] {
  const { history, entries, limits, settled } = evidence;
  const byQuestion = new Map(entries.map((entry) => [questionKey(entry), entry]));
  const questions = [...history.questions.values()];
  return [
    ...answersDiffer(questions),
    ...totalsExceeded(history, { entries: byQuestion, settled }, limits),
    ...chargedWrongly(history, { entries, settled }, limits),
    ...missingInLedger(questions, byQuestion),
    ...outOfOrder(questions, byQuestion),
    ...numbersTwice(evidence),
    ...reportsLost(evidence),
    ...releasedWrongly(evidence),
    ...late(history.calls),
    ...undecided(history.calls),
    ...forgedAccepted(evidence),
    ...decidedAfterTheEnd(history.calls),
  ];
}

function answersDiffer(questions: readonly Question[]): readonly Violation[] {
  const violations: Violation[] = [];
  const approved = new Map<string, Question>();
  for (const question of questions) {
    const { ask, finals, calls } = question;
    const [first] = finals;
    const other = finals.find(({ action, reason }) => action !== first?.action || reason !== first.reason);
    if (first !== undefined && other !== undefined) {
      violations.push({
        check: 'answers',
        text: `${ask.key} was answered ${inWords(first)} at ${seconds(first.atMs)} and ${inWords(other)} at ${seconds(other.atMs)}`,
        atMs: other.atMs,
      });
    }
    for (const { answer } of calls) {
      if (answer?.outcome === 'wrong')
        violations.push({ check: 'answers', text: `${ask.key}: ${answer.reason}`, atMs: answer.atMs });
    }
    const approval = finals.find(({ action }) => action === 'APPROVE');
    if (approval === undefined) continue;
    const rival = approved.get(ask.key);
    approved.set(ask.key, question);
    if (rival !== undefined) {
      const text = `${ask.key} was approved with ${rival.ask.wei} wei and with ${ask.wei} wei`;
      violations.push({ check: 'answers', text, atMs: approval.atMs });
    }
  }
  return violations;
}

function missingInLedger(
  questions: readonly Question[],
  byQuestion: ReadonlyMap<string, Entry>,
): readonly Violation[] {
  return questions.flatMap(({ ask, finals }): readonly Violation[] => {
    const [first] = finals;
    if (first === undefined) return [];
    const entry = byQuestion.get(questionKey(ask));
    const { atMs } = first;
    if (entry === undefined) {
      return [
        { check: 'ledger', text: `${ask.key} was answered ${inWords(first)} and is not in the ledger`, atMs },
      ];
    }
    const isSame = entry.action === first.action && (entry.reason ?? first.reason) === first.reason;
    if (isSame) return [];
    const kept = entry.reason === undefined ? entry.action : `${entry.action} (${entry.reason})`;
    return [
      {
        check: 'ledger',
        text: `${ask.key} was answered ${inWords(first)}, and the ledger says ${kept}`,
        atMs,
      },
    ];
  });
}

/** One pass over the questions in the order they were asked, with the highest number that was answered before each. */
function outOfOrder(
  questions: readonly Question[],
  byQuestion: ReadonlyMap<string, Entry>,
): readonly Violation[] {
  const numbered = questions.flatMap(({ ask, firstAskedMs, finals }) => {
    const entry = byQuestion.get(questionKey(ask));
    const [first] = finals;
    return entry === undefined || first === undefined
      ? []
      : [{ key: ask.key, askedMs: firstAskedMs, answeredMs: first.atMs, sequence: entry.sequence }];
  });
  const answered = [...numbered].sort((a, b) => a.answeredMs - b.answeredMs);
  const violations: Violation[] = [];
  let next = 0;
  let highest: (typeof numbered)[number] | undefined;
  for (const later of [...numbered].sort((a, b) => a.askedMs - b.askedMs)) {
    for (
      let one = answered[next];
      one !== undefined && one.answeredMs < later.askedMs;
      one = answered[next]
    ) {
      if (highest === undefined || one.sequence > highest.sequence) highest = one;
      next += 1;
    }
    if (highest !== undefined && highest.sequence >= later.sequence) {
      const text = `${later.key} was asked after ${highest.key} had been answered, and has number ${later.sequence}, not above ${highest.sequence}`;
      violations.push({ check: 'order', text, atMs: later.askedMs });
    }
  }
  return violations;
}

function numbersTwice({ entries, logged }: Evidence): readonly Violation[] {
  const violations: Violation[] = [];
  const holders = new Map<number, string>();
  const say = (sequence: number, holder: string) => {
    const other = holders.get(sequence);
    holders.set(sequence, other ?? holder);
    if (other !== undefined && other !== holder)
      violations.push({ check: 'numbers', text: `event ${sequence} is ${other}, and is ${holder}` });
  };
  const seen = new Set<number>();
  for (const { sequence, requestId, stage, action } of entries) {
    if (seen.has(sequence))
      violations.push({ check: 'numbers', text: `event ${sequence} is in the ledger twice` });
    seen.add(sequence);
    say(sequence, `${action.toLowerCase()} of ${requestId} at the ${stage} stage`);
  }
  for (const { sequence, requestId, stage, answer } of logged)
    say(sequence, `${answer} of ${requestId} at the ${stage} stage`);
  return violations;
}

function late(calls: readonly Call[]): readonly Violation[] {
  const violations: Violation[] = [];
  const firstAnswer = new Map<string, { readonly asked: Call; heard: boolean }>();
  for (const call of calls) {
    const { id, ask, askedMs, answer, delivery } = call;
    const took = answer === undefined ? Number.POSITIVE_INFINITY : answer.atMs - askedMs;
    if (took >= CALL_LIMIT_MS)
      violations.push({
        check: 'deadline',
        text: `${ask.key}: call ${id} got no answer in 30 s`,
        atMs: askedMs,
      });
    const pursued = firstAnswer.get(delivery) ?? { asked: call, heard: false };
    firstAnswer.set(delivery, pursued);
    if (pursued.heard || answer === undefined || answer.outcome === 'none') continue;
    pursued.heard = true;
    const waited = answer.atMs - pursued.asked.askedMs;
    if (waited >= CALL_LIMIT_MS) {
      const text = `${ask.key} was delivered again and again, and its first answer came after ${seconds(waited)}`;
      violations.push({ check: 'deadline', text, atMs: askedMs });
    }
  }
  return violations;
}

function undecided(calls: readonly Call[]): readonly Violation[] {
  const last = new Map<string, Call>();
  for (const call of calls) if (call.phase === 'run') last.set(call.delivery, call);
  return [...last.values()].flatMap(({ ask, answer, askedMs }): readonly Violation[] => {
    if (answer !== undefined && (isFinal(answer.outcome) || answer.outcome === 'wrong')) return [];
    const text = `${ask.key} was never decided: the last that was heard is ${answer?.outcome ?? 'nothing'}`;
    return [{ check: 'decided', text, atMs: askedMs }];
  });
}

function forgedAccepted({ history: { forged }, entries }: Evidence): readonly Violation[] {
  const known = new Set(entries.map(({ requestId }) => requestId));
  return forged.flatMap(({ name, requestId, status, atMs }): readonly Violation[] => {
    const violations: Violation[] = [];
    // No answer is no acceptance: the connection was cut.
    if (status !== 0 && status < 500 && !REFUSALS.has(status))
      violations.push({
        check: 'forged',
        text: `a request ${name} was answered with status ${status}`,
        atMs,
      });
    if (known.has(requestId))
      violations.push({ check: 'forged', text: `a request ${name} is in the ledger`, atMs });
    return violations;
  });
}

function decidedAfterTheEnd(calls: readonly Call[]): readonly Violation[] {
  return calls
    .filter(({ phase }) => phase === 'after-the-end')
    .flatMap(({ ask, answer }): readonly Violation[] => {
      if (answer === undefined || !isFinal(answer.outcome)) return [];
      const text = `${ask.key} was answered ${answer.outcome} on a ledger that had lost everything`;
      return [{ check: 'end', text, atMs: answer.atMs }];
    });
}

function inWords({ action, reason }: Final): string {
  return reason === undefined ? action : `${action} (${reason})`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
