/** A fault: what it does to the bed, and the proof that it was felt. */
import { type Bed, until } from '../bed/bed.js';
import type { RedisNode } from '../bed/redis-node.js';

export interface Blow {
  readonly bed: Bed;
  /** How long it lasts. */
  readonly durationMs: number;
  /** A seeded number: which of several members is hit, and how hard. */
  readonly choice: number;
}

/** What was hit, and what was observed that would not be there without the fault. */
export interface Felt {
  readonly target: string;
  readonly evidence: string;
}

/** Strikes, waits, heals. Rejects when nothing was felt. */
export type Strike = (blow: Blow) => Promise<Felt>;

/** Fails the run: a fault that nobody noticed has tested nothing. */
export function felt(isFelt: boolean, target: string, evidence: string): Felt {
  if (!isFelt) throw new Error(`${target} did not feel it: ${evidence}`);
  return { target, evidence };
}

export function oneOf<T>(members: readonly T[], choice: number): T {
  const one = members[choice % members.length];
  if (one === undefined) throw new Error('there is nobody to hit');
  return one;
}

/** A busy machine may have them elect another one of themselves: then it is hit when they agree again. */
const AGREED_MS = 90_000;

export async function primaryOf(bed: Bed): Promise<RedisNode> {
  let primary: RedisNode | undefined;
  await until('there is no primary to hit', AGREED_MS, async () => {
    primary = await bed.primary();
    return primary !== undefined;
  });
  if (primary === undefined) throw new Error('there is no primary to hit');
  return primary;
}
