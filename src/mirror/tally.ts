/** What a mirror has seen so far, in memory that does not grow with it. */
import { CLASSES, type Class } from './compare.js';
import type { Comparison, Listener } from './examiner.js';
import { ACTIONS, type Action } from './handler-answer.js';
import type { Subject } from './subject.js';

/** More different ones are counted together. */
const MOST_GROUPS = 1_000;
const ALL_OTHERS = '(others)';

export interface Group {
  readonly name: string;
  readonly classes: Readonly<Partial<Record<Class, number>>>;
}

export interface Summary {
  /** Copies that were understood. */
  readonly copies: number;
  readonly compared: number;
  /** What we would have answered, whether or not an answer of the handler was seen. */
  readonly ours: Readonly<Record<Action, number>>;
  readonly classes: Readonly<Record<Class, number>>;
  /** Requests whose answer was never seen, answers whose request was never seen. */
  readonly unanswered: number;
  readonly unasked: number;
  /** Messages that neither we nor the handler served. */
  readonly strangers: number;
  /** Lines that are no copies, copies that had no place in the queue, failures of ours. */
  readonly unreadable: number;
  readonly dropped: number;
  readonly faults: number;
  readonly limits: Drift;
  /** Of differences alone, the most frequent first. */
  readonly byRule: readonly Group[];
  readonly bySubject: readonly Group[];
}

/** Why limits count differently here and there from the first difference on. */
export interface Drift {
  /** The handler approved it and it is not counted here. */
  readonly uncounted: number;
  /** It is counted here, and the handler did not approve it. */
  readonly countedHereOnly: number;
  /** Differences in which a limit had no room, after the first of the others. */
  readonly later: number;
}

export class Tally implements Listener {
  readonly #classes = Object.fromEntries(CLASSES.map((name) => [name, 0])) as Record<Class, number>;
  readonly #ours = Object.fromEntries(ACTIONS.map((name) => [name, 0])) as Record<Action, number>;
  readonly #byRule = new Map<string, Map<Class, number>>();
  readonly #bySubject = new Map<string, Map<Class, number>>();
  readonly #counts = {
    copies: 0,
    unanswered: 0,
    unasked: 0,
    strangers: 0,
    unreadable: 0,
    dropped: 0,
    faults: 0,
  };
  readonly #drift = { uncounted: 0, countedHereOnly: 0, later: 0 };
  readonly #tell: (difference: Comparison) => void;
  readonly #complain: (problem: string) => void;

  /** @param tell told of each difference, @param complain of each thing that is no comparison and should be looked at */
  constructor(tell: (difference: Comparison) => void, complain: (problem: string) => void) {
    this.#tell = tell;
    this.#complain = complain;
  }

  taken(): void {
    this.#counts.copies += 1;
  }

  unreadable(problem: string): void {
    this.#counts.unreadable += 1;
    this.#complain(`not a copy: ${problem}`);
  }

  dropped(): void {
    this.#counts.dropped += 1;
    if (this.#counts.dropped === 1)
      this.#complain('copies come faster than they are decided: some are dropped');
  }

  decided(ours: Action): void {
    this.#ours[ours] += 1;
  }

  compared(comparison: Comparison): void {
    const { class: found, subject, ours } = comparison;
    this.#classes[found] += 1;
    if (found === 'same') return;
    this.#driftBy(comparison);
    const decision = ours?.outcome.kind === 'decided' ? ours.outcome.decision : undefined;
    const why = ours?.outcome.kind === 'undecided' ? ours.outcome.reason : decision?.reason;
    count(this.#byRule, decision?.rule ?? why ?? 'no request', found);
    count(this.#bySubject, subject?.what ?? 'no request', found);
    this.#tell(comparison);
  }

  unanswered(subject: Subject): void {
    this.#counts.unanswered += 1;
    this.#complain(`no answer seen to ${subject.requestId}, ${subject.what}`);
  }

  unasked(): void {
    this.#counts.unasked += 1;
  }

  stranger(): void {
    this.#counts.strangers += 1;
  }

  faulted(problem: string): void {
    this.#counts.faults += 1;
    this.#complain(`a fault: ${problem}`);
  }

  /** For a line of progress. */
  get soFar(): string {
    const { copies } = this.#counts;
    return `${copies} ${copies === 1 ? 'copy' : 'copies'}, ${this.differences} different`;
  }

  get differences(): number {
    return CLASSES.reduce((sum, name) => (name === 'same' ? sum : sum + this.#classes[name]), 0);
  }

  /** What a script may rely on: 0 the same throughout, 1 differences, 2 not everything could be compared. */
  get exitCode(): 0 | 1 | 2 {
    const { unreadable, dropped, faults, copies } = this.#counts;
    const isNothing = copies > 0 && this.differences + this.#classes.same === 0;
    if (unreadable + dropped + faults > 0 || isNothing) return 2;
    return this.differences > 0 ? 1 : 0;
  }

  summary(): Summary {
    const compared = this.differences + this.#classes.same;
    return {
      ...this.#counts,
      compared,
      ours: { ...this.#ours },
      classes: { ...this.#classes },
      limits: { ...this.#drift },
      byRule: groupsOf(this.#byRule),
      bySubject: groupsOf(this.#bySubject),
    };
  }

  #driftBy({ ours, theirs }: Comparison): void {
    const decision = ours?.outcome.kind === 'decided' ? ours.outcome.decision : undefined;
    const isDrifted = this.#drift.uncounted + this.#drift.countedHereOnly > 0;
    const reason = ours?.outcome.kind === 'undecided' ? ours.outcome.reason : decision?.reason;
    if (isDrifted && (reason === 'LIMIT_EXCEEDED' || reason === 'LIMIT_FULL_RETRY')) this.#drift.later += 1;
    if (decision?.effect === 'approve') this.#drift.countedHereOnly += 1;
    else if (theirs.ok && theirs.action === 'APPROVE') this.#drift.uncounted += 1;
  }
}

function count(groups: Map<string, Map<Class, number>>, name: string, found: Class): void {
  const known = groups.has(name) || groups.size < MOST_GROUPS ? name : ALL_OTHERS;
  const classes = groups.get(known) ?? new Map<Class, number>();
  groups.set(known, classes.set(found, (classes.get(found) ?? 0) + 1));
}

function groupsOf(groups: ReadonlyMap<string, ReadonlyMap<Class, number>>): readonly Group[] {
  const sum = (classes: ReadonlyMap<Class, number>) =>
    [...classes.values()].reduce((all, one) => all + one, 0);
  return [...groups]
    .sort(([, one], [, other]) => sum(other) - sum(one))
    .map(([name, classes]) => ({ name, classes: Object.fromEntries(classes) }));
}
