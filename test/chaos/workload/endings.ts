/** What becomes of transactions that were approved for signing, as their vendor tells it. */
import type { Random } from '../../../src/simulator/random.js';

/** A notification, in the words that the checker reasons with. */
export interface Said {
  readonly status: 'BROADCASTING' | 'CONFIRMING' | 'COMPLETED' | 'CANCELLED';
  /** Which of a transaction's, by the vendor's own clock. */
  readonly number: number;
  readonly means: 'signed' | 'completed' | 'never-signed';
  readonly txHash?: string;
}

const HASH = `0x${'ab'.repeat(32)}`;
export const SIGNED: Said = { status: 'BROADCASTING', number: 1, means: 'signed', txHash: HASH };
const CONFIRMING: Said = { status: 'CONFIRMING', number: 2, means: 'signed', txHash: HASH };
export const COMPLETED: Said = { status: 'COMPLETED', number: 3, means: 'completed', txHash: HASH };
export const CANCELLED: Said = { status: 'CANCELLED', number: 4, means: 'never-signed' };

/** What is told at once, in any order, and then, when all of it is acknowledged, what is told next. */
export type Ending = readonly (readonly Said[])[];

const COMPLETES: Ending = [[SIGNED, CONFIRMING, COMPLETED]];
/** The vendor contradicts itself: whatever it says later, a signature may exist. */
const SIGNED_BEFORE_CANCELLED: Ending = [[SIGNED], [CANCELLED]];
const IS_CANCELLED: Ending = [[CANCELLED]];
const CANCELLED_WHILE_SIGNED: Ending = [[SIGNED, CANCELLED]];

/** @param isAskedOnce nobody asks about it again, so that its charges may be given back without changing an answer */
export function endingOf(isAskedOnce: boolean, random: Random): Ending {
  const kind = random.below(100);
  if (!isAskedOnce) return kind < 70 ? COMPLETES : SIGNED_BEFORE_CANCELLED;
  if (kind < 30) return COMPLETES;
  if (kind < 75) return IS_CANCELLED;
  return kind < 85 ? SIGNED_BEFORE_CANCELLED : CANCELLED_WHILE_SIGNED;
}

/** Whether its charges may be given back: only if nothing was acknowledged that says it may be signed. */
export function mayRelease([first = []]: Ending): boolean {
  return first.includes(CANCELLED);
}
