/** When an event may be relied upon: once a majority of the witnesses holds it, under the epoch in which it was recorded. */
import { CountersignError, messageOf } from '../../core/errors.js';
import type { Ballot, LogEvent } from './ports.js';

export interface AppendingWitness {
  /** `promised`: it has promised a higher epoch, and refuses. Rejects when the outcome is not known. */
  append(ballot: Ballot, sequence: number, event: string): Promise<'kept' | 'promised' | 'blank'>;
}

export function majorityOf(members: number): number {
  return Math.floor(members / 2) + 1;
}

/**
 * Resolves with `kept` as soon as a majority holds the event, and with `promised` as soon as a majority cannot be had any
 * more because a newer epoch was promised. Rejects with LEDGER_UNAVAILABLE when too few answered to know either: the event
 * may or may not survive, and whoever asks again finds out.
 */
export function appendToMajority(
  witnesses: readonly AppendingWitness[],
  ballot: Ballot,
  { sequence, event }: LogEvent,
): Promise<'kept' | 'promised'> {
  const needed = majorityOf(witnesses.length);
  return new Promise((resolve, reject) => {
    let [kept, promised, answered] = [0, 0, 0];
    const problems: string[] = [];
    const count = (index: number, result: 'kept' | 'promised' | string) => {
      answered += 1;
      if (result === 'kept') kept += 1;
      else if (result === 'promised') promised += 1;
      else problems.push(`witness ${index + 1} ${result}`);
      if (kept >= needed) resolve('kept');
      else if (promised > 0 && kept + witnesses.length - answered < needed) resolve('promised');
      else if (answered === witnesses.length) reject(tooFew(kept, needed, problems));
    };
    witnesses.forEach((witness, index) => {
      witness.append(ballot, sequence, event).then(
        (result) => count(index, result === 'blank' ? 'is blank' : result),
        (error: unknown) => count(index, `does not answer (${messageOf(error)})`),
      );
    });
  });
}

function tooFew(kept: number, needed: number, problems: readonly string[]): CountersignError {
  return new CountersignError(
    'LEDGER_UNAVAILABLE',
    `${kept} witnesses hold the event, and ${needed} must: ${problems.join('; ')}`,
  );
}
