/** What a run saw, kept small however long it lasts. */
import type { Action } from './answer.js';

/** Latencies kept of each scenario; beyond that a random sample of all of them stands for them. */
const MAX_SAMPLES = 50_000;
const MAX_REASONS = 200;
const MAX_VIOLATIONS = 50;

/** What came of one call: an action, no answer but a status (401, …), or nothing (reset, timeout). */
export type CallOutcome = Action | 'refused' | 'lost';

type OutcomeCounts = Record<CallOutcome, number>;

export type ProgressCounts = Readonly<OutcomeCounts> & { readonly violations: number };

export interface ScenarioFigures {
  readonly scenario: string;
  readonly asks: number;
  readonly deliveries: number;
  readonly outcomes: Readonly<OutcomeCounts>;
  readonly violations: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ReasonFigures {
  readonly action: string;
  /** The reason with its numbers taken out. */
  readonly reason: string;
  readonly count: number;
  /** One decision that was given this reason, in full. */
  readonly sample: { readonly requestId: string; readonly asked: string; readonly reason: string };
}

export interface Violation {
  readonly scenario: string;
  readonly requestId: string;
  readonly problem: string;
}

export interface Summary {
  readonly asks: number;
  readonly deliveries: number;
  readonly elapsedMs: number;
  readonly scenarios: readonly ScenarioFigures[];
  readonly reasons: readonly ReasonFigures[];
  readonly violations: number;
  /** At most {@link MAX_VIOLATIONS} of them. */
  readonly violationSamples: readonly Violation[];
}

interface Counts {
  asks: number;
  deliveries: number;
  violations: number;
  readonly outcomes: OutcomeCounts;
  readonly samples: number[];
  maxMs: number;
}

export class Tally {
  readonly #started = performance.now();
  readonly #scenarios = new Map<string, Counts>();
  readonly #reasons = new Map<string, ReasonFigures & { count: number }>();
  readonly #violations: Violation[] = [];

  asked(scenario: string, asks: number): void {
    this.#of(scenario).asks += asks;
  }

  delivered(scenario: string, outcome: CallOutcome, elapsedMs: number): void {
    const counts = this.#of(scenario);
    counts.deliveries += 1;
    counts.outcomes[outcome] += 1;
    counts.maxMs = Math.max(counts.maxMs, elapsedMs);
    // Reservoir sampling (Vitter's algorithm R); which latencies are kept is no part of what a seed determines.
    if (counts.samples.length < MAX_SAMPLES) counts.samples.push(elapsedMs);
    else {
      const slot = Math.floor(Math.random() * counts.deliveries);
      if (slot < MAX_SAMPLES) counts.samples[slot] = elapsedMs;
    }
  }

  reasoned(action: string, sample: ReasonFigures['sample']): void {
    const reason = withoutNumbers(sample.reason);
    const key = `${action} ${reason}`;
    const known = this.#reasons.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#reasons.size < MAX_REASONS) this.#reasons.set(key, { action, reason, count: 1, sample });
  }

  violated(violation: Violation): void {
    this.#of(violation.scenario).violations += 1;
    if (this.#violations.length < MAX_VIOLATIONS) this.#violations.push(violation);
  }

  /** Cheap enough to be called after every play. */
  progress(): ProgressCounts {
    const sum = { ...noOutcomes(), violations: 0 };
    for (const { outcomes, violations } of this.#scenarios.values()) {
      sum.APPROVE += outcomes.APPROVE;
      sum.REJECT += outcomes.REJECT;
      sum.RETRY += outcomes.RETRY;
      sum.IGNORE += outcomes.IGNORE;
      sum.refused += outcomes.refused;
      sum.lost += outcomes.lost;
      sum.violations += violations;
    }
    return sum;
  }

  summary(): Summary {
    const scenarios = [...this.#scenarios].map(([scenario, counts]) => figuresOf(scenario, counts));
    const total = (count: (figures: ScenarioFigures) => number) =>
      scenarios.reduce((sum, figures) => sum + count(figures), 0);
    return {
      asks: total(({ asks }) => asks),
      deliveries: total(({ deliveries }) => deliveries),
      elapsedMs: performance.now() - this.#started,
      scenarios,
      reasons: [...this.#reasons.values()].sort((a, b) => b.count - a.count),
      violations: total(({ violations }) => violations),
      violationSamples: this.#violations,
    };
  }

  #of(scenario: string): Counts {
    const known = this.#scenarios.get(scenario);
    if (known !== undefined) return known;
    const outcomes = noOutcomes();
    const fresh: Counts = { asks: 0, deliveries: 0, violations: 0, outcomes, samples: [], maxMs: 0 };
    this.#scenarios.set(scenario, fresh);
    return fresh;
  }
}

function noOutcomes(): OutcomeCounts {
  return { APPROVE: 0, REJECT: 0, RETRY: 0, IGNORE: 0, refused: 0, lost: 0 };
}

/** The smallest of the values that is not below `percent` per cent of them; 0 of none. */
export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? 0;
}

function figuresOf(scenario: string, { samples, ...counts }: Counts): ScenarioFigures {
  const sorted = samples.toSorted((a, b) => a - b);
  return { scenario, ...counts, p50Ms: percentile(sorted, 50), p99Ms: percentile(sorted, 99) };
}

/** Sentences that differ only in amounts, ids or addresses are one reason. */
function withoutNumbers(reason: string): string {
  return reason.replace(/\b(?:0x)?[0-9a-f]{8}[0-9a-f-]*\b/gi, '…').replace(/\b\d+(?:[.,:]\d+)*\b/g, '…');
}
