/** Named checks that say whether this replica should be sent questions. */
import { messageOf } from '../core/errors.js';
import { DEADLINE_PASSED } from '../core/ports.js';
import { deadlineAfter } from './deadline.js';

export interface ReadinessCheck {
  readonly name: string;
  /** Resolves to what is wrong; undefined when nothing is. A rejection counts as wrong too. */
  problem(): Promise<string | undefined>;
  /** What somebody should know and what keeps no replica from deciding. */
  warning?(): string | undefined;
}

/** A probe that takes longer is a failed probe. */
const CHECK_TIMEOUT_MS = 1_000;

export class Readiness {
  #draining = false;

  constructor(private readonly checks: readonly ReadinessCheck[]) {}

  /** From now on not ready, whatever else is well: the balancer looks elsewhere while we finish. */
  drain(): void {
    this.#draining = true;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get names(): readonly string[] {
    return [...this.checks.map((check) => check.name), 'draining'];
  }

  warningOf(name: string): string | undefined {
    return this.checks.find((candidate) => candidate.name === name)?.warning?.();
  }

  async problemOf(name: string): Promise<string | undefined> {
    if (name === 'draining') return this.#draining ? 'shutting down' : undefined;
    const check = this.checks.find((candidate) => candidate.name === name);
    if (check === undefined) return 'unknown check';
    try {
      const problem = await deadlineAfter(CHECK_TIMEOUT_MS).within(check.problem());
      return problem === DEADLINE_PASSED ? `no answer within ${CHECK_TIMEOUT_MS} ms` : problem;
    } catch (error) {
      return messageOf(error);
    }
  }
}
