/** What a co-signer writes down, one JSON line each: the only thing that the verdict on a run rests on. */
import type { Said } from '../workload/endings.js';
import type { AskFacts, MachineName } from '../workload/errands.js';

/** Reasons of a REJECT that no Virtual Signer is told: it hears a vote, or that there is none because of other content. */
export const VOTED_AGAINST = 'a vote against';
export const NO_VOTE_FOR_OTHER_CONTENT = 'no vote: other content was approved';

/** `none`: no answer came, and it was asked again. `wrong`: what came is no answer that a co-signer would obey. */
export type Outcome = 'APPROVE' | 'REJECT' | 'IGNORE' | 'RETRY' | 'none' | 'wrong';

/**
 * During the faults; when the charges of a transaction were given back; afterwards, to hear every decision once more; after
 * a fault that nothing may survive.
 */
export type Phase = 'run' | 'after-release' | 'repeat' | 'after-the-end';

/** Times are milliseconds of CLOCK_MONOTONIC, which all processes of a machine share, since the run began. */
export interface AskedLine {
  readonly event: 'asked';
  /** Of this call, unique over the run. */
  readonly call: string;
  readonly atMs: number;
  readonly wallMs: number;
  readonly phase: Phase;
  readonly cosigner: MachineName;
  /** Which delivery this call belongs to: a delivery is one machine pursuing one ask until it is decided. */
  readonly delivery: string;
  readonly ask: Omit<AskFacts, 'wei'> & { readonly wei: string };
}

export interface AnsweredLine {
  readonly event: 'answered';
  readonly call: string;
  readonly atMs: number;
  readonly wallMs: number;
  readonly outcome: Outcome;
  /** Of a REJECT, or what was wrong. */
  readonly reason?: string;
}

/** Something no handler may act on, and what it was told. */
export interface ForgedLine {
  readonly event: 'forged';
  readonly atMs: number;
  readonly name: string;
  readonly requestId: string;
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
}

/** A notification of the vendor is sent. */
export interface ToldLine {
  readonly event: 'told';
  /** Of this call, unique over the run. */
  readonly call: string;
  readonly atMs: number;
  readonly txId: string;
  readonly said: Said;
}

/** What it was answered with: 200 acknowledges it; 0 when no answer came. */
export interface AcknowledgedLine {
  readonly event: 'acknowledged';
  readonly call: string;
  readonly atMs: number;
  readonly status: number;
}

export type Line = AskedLine | AnsweredLine | ForgedLine | ToldLine | AcknowledgedLine;

/** What the runner is told while it goes on. */
export interface Progress {
  readonly decided: number;
  readonly retried: number;
  readonly lost: number;
  /** Deliveries that wait for a decision now. */
  readonly pending: number;
}
