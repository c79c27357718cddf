/** Removing from witnesses what a checkpoint covers. */
import type { Ballot } from './ports.js';

export interface TrimmingWitness {
  /**
   * Removes events up to `to`, looking at no more than `most` numbers. Resolves to the last one that was looked at;
   * undefined when it does not hold the checkpoint, or has promised another epoch.
   */
  trim(
    ballot: Ballot,
    covered: { readonly checkpoint: number; readonly to: number; readonly most: number },
  ): Promise<number | undefined>;
}

/** In one call, and in one run: what is left waits for the next one. */
const CALL_EVENTS = 1000;
const RUN_CALLS = 20;

/** One that lacks the checkpoint keeps its events: the next checkpoint or recovery removes them. */
export async function trimWitnesses(
  witnesses: readonly TrimmingWitness[],
  ballot: Ballot,
  covered: { readonly checkpoint: number; readonly to: number },
): Promise<void> {
  await Promise.allSettled(
    witnesses.map(async (witness) => {
      for (let call = 0; call < RUN_CALLS; call += 1) {
        const last = await witness.trim(ballot, { ...covered, most: CALL_EVENTS });
        if (last === undefined || last >= covered.to) return;
      }
    }),
  );
}
