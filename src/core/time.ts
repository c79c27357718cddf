/** The time of a replica, and the time one request may take. */

export interface Clock {
  /** Unix milliseconds. */
  now(): number;
}

export const DEADLINE_PASSED = Symbol('deadline passed');

/** How long one request may take. */
export interface Deadline {
  /** Milliseconds left; zero or less when it has passed. */
  remainingMs(): number;
  /** Aborts when it passes. */
  readonly signal: AbortSignal;
  /** Resolves after `ms`, or at the deadline, whichever is first. */
  pause(ms: number): Promise<void>;
  /** The work's own outcome, or DEADLINE_PASSED when the time is up first; the work's late outcome is dropped. */
  within<T>(work: Promise<T>): Promise<T | typeof DEADLINE_PASSED>;
}
