/** How a machine asks, and what it obeys: the one thing in which co-signers of two vendors differ. */
import type { Courier } from '../../../src/simulator/courier.js';
import type { Ask } from '../workload/errands.js';
import type { ForgedLine, Outcome } from './record.js';

/** Longer than any vendor waits. */
export const CALL_TIMEOUT_MS = 30_000;

export interface Heard {
  readonly outcome: Outcome;
  /** Of a REJECT, or what was wrong, or why nothing came. */
  readonly reason?: string;
}

/** Sends the ask of one delivery once more. */
export type Send = () => Promise<Heard>;

export interface Channel {
  /** Begins a delivery. */
  readonly prepare: (ask: Ask) => Promise<Send>;
  /** Sends what nobody may act on; absent: strangers are not told by what they send. */
  readonly forge?: (ask: Ask, turn: number) => Promise<Pick<ForgedLine, 'name' | 'status'>>;
}

export interface ChannelSettings {
  readonly origin: string;
  readonly seed: string;
  readonly courier: Courier;
}
