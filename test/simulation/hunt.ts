/** Schedules one after the other, and what they came to. */
import { MUTANTS, productOf, removedBy } from './mutants.js';
import { profileOf } from './profiles.js';
import { Schedule, type ScheduleSettings } from './schedule.js';

export interface Job {
  /** The name of a mutant; without one the product as it is. */
  readonly mutant?: string;
  /** Of the first schedule; each next one has the next seed. */
  readonly seed: number;
  readonly schedules: number;
}

export interface Violation {
  readonly seed: number;
  readonly message: string;
}

export interface Findings {
  /** That were run: a mutant is dead after its first violation. */
  readonly schedules: number;
  readonly steps: number;
  readonly recoveries: number;
  readonly answers: number;
  readonly violations: readonly Violation[];
}

export async function hunt(job: Job): Promise<Findings> {
  const { mutant } = job;
  const rules = await rulesOf(mutant);
  const violations: Violation[] = [];
  const counts = { schedules: 0, steps: 0, recoveries: 0, answers: 0 };
  for (const seed of seedsOf(job)) {
    const { steps, recoveries, answers, broken } = await new Schedule({ ...rules, seed }).run();
    counts.schedules += 1;
    counts.steps += steps;
    counts.recoveries += recoveries;
    counts.answers += answers;
    if (broken !== undefined) violations.push({ seed, message: broken.message });
    if (mutant !== undefined && violations.length > 0) break;
  }
  return { ...counts, violations };
}

/** For a mutant first the seed that was asked for, then those of the profile where its rule is needed most, then the others. */
function* seedsOf({ mutant, seed, schedules }: Job): Generator<number> {
  const profile = MUTANTS.find(({ name }) => name === mutant)?.profile ?? 'mixed';
  const isFirst = (each: number) => mutant === undefined || each === seed || profileOf(each) === profile;
  for (const isTurn of [true, false]) {
    for (let each = seed; each < seed + schedules; each += 1) if (isFirst(each) === isTurn) yield each;
  }
}

/**
 * The trace of a violation, without whatever can be left out of the schedule so that the same promise is still broken:
 * halves first, then quarters, down to single happenings.
 */
export async function minimalTrace(mutant: string | undefined, seed: number): Promise<readonly string[]> {
  const rules = await rulesOf(mutant);
  const run = (without: ReadonlySet<number>) => new Schedule({ ...rules, seed, without }).run();
  let without: ReadonlySet<number> = new Set();
  let found = await run(without);
  const promised = found.broken?.promised;
  if (promised === undefined) return found.trace;
  for (let size = Math.ceil(found.happenings.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let start = 0; start < found.happenings.length; ) {
      const shorter = new Set([...without, ...found.happenings.slice(start, start + size)]);
      const outcome = await run(shorter);
      if (outcome.broken?.promised === promised && outcome.trace.length <= found.trace.length) {
        [without, found] = [shorter, outcome];
      } else start += size;
    }
  }
  return [...found.trace, `${found.steps} broken: ${found.broken?.message}`];
}

async function rulesOf(name: string | undefined): Promise<Pick<ScheduleSettings, 'product' | 'removed'>> {
  const mutant = name === undefined ? { name: 'none' } : MUTANTS.find((each) => each.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant "${name}"`);
  return { product: await productOf(mutant.edits ?? []), removed: removedBy(mutant) };
}
