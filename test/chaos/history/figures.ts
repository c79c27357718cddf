/** How long things took. Decisions and "ask again" apart: the one is the service, the other its absence. */
import { type History, isFinal } from './history.js';

export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface Figures {
  /** Calls that were answered finally. */
  readonly decisions: Latency;
  readonly retries: Latency;
  /** From the first call of a delivery to its final answer, through every RETRY and every lost call. */
  readonly untilDecided: Latency;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly questions: number;
  readonly approved: number;
  readonly rejected: number;
  /** Operations that Virtual Signers asked about, and what they heard of them finally. */
  readonly operations: number;
  readonly votes: number;
  /** Of every delivery made again at the end. */
  readonly repeated: number;
  readonly longestGapMs: number;
}

/** @param endMs when the co-signers were told to take no new transactions */
export function figuresOf(history: History, endMs: number): Figures {
  const running = history.calls.filter(({ phase }) => phase === 'run');
  const took = (wanted: (outcome: string) => boolean) =>
    running.flatMap(({ askedMs, answer }) =>
      answer !== undefined && wanted(answer.outcome) ? [answer.atMs - askedMs] : [],
    );
  const outcomes: Record<string, number> = {};
  for (const { answer } of running) {
    const outcome = answer?.outcome ?? 'none';
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  const voted = running.filter(({ ask }) => ask.protocol === 'iofinnet');
  const actions = [...history.questions.values()].map(({ finals }) => finals[0]?.action);
  return {
    decisions: latencyOf(
      took((outcome) => outcome === 'APPROVE' || outcome === 'REJECT' || outcome === 'IGNORE'),
    ),
    retries: latencyOf(took((outcome) => outcome === 'RETRY')),
    untilDecided: latencyOf(waitsOf(history)),
    outcomes,
    questions: history.questions.size,
    approved: actions.filter((action) => action === 'APPROVE').length,
    rejected: actions.filter((action) => action === 'REJECT').length,
    operations: new Set(voted.map(({ ask }) => ask.key)).size,
    votes: voted.filter(({ answer }) => answer !== undefined && isFinal(answer.outcome)).length,
    repeated: history.calls.filter(
      ({ phase, answer }) => phase === 'repeat' && answer && isFinal(answer.outcome),
    ).length,
    longestGapMs: Math.round(longestGap(decisionTimes(history), 0, endMs).lengthMs),
  };
}

export function decisionTimes({ calls }: History): readonly number[] {
  return calls
    .flatMap(({ phase, answer }) =>
      phase === 'run' && answer !== undefined && isFinal(answer.outcome) ? [answer.atMs] : [],
    )
    .sort((a, b) => a - b);
}

export interface Gap {
  readonly lengthMs: number;
  readonly endsMs: number;
}

/** The longest time without any decision between these two instants; one that begins there may end later. */
export function longestGap(times: readonly number[], fromMs: number, toMs: number): Gap {
  let longest: Gap = { lengthMs: 0, endsMs: fromMs };
  let before = fromMs;
  const ends = times.find((time) => time >= toMs) ?? toMs;
  for (const at of [...times.filter((time) => time > fromMs && time < toMs), ends]) {
    if (at - before > longest.lengthMs) longest = { lengthMs: at - before, endsMs: at };
    before = at;
  }
  return longest;
}

function waitsOf({ calls }: History): readonly number[] {
  const begun = new Map<string, number>();
  const waits: number[] = [];
  for (const { phase, delivery, askedMs, answer } of calls) {
    if (phase !== 'run') continue;
    const since = begun.get(delivery) ?? askedMs;
    begun.set(delivery, since);
    if (answer !== undefined && isFinal(answer.outcome)) waits.push(answer.atMs - since);
  }
  return waits;
}

export function latencyOf(samples: readonly number[]): Latency {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => round(sorted[Math.ceil(sorted.length * share) - 1] ?? 0);
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
