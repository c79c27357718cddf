/** What the log of events says about itself. */
import { CountersignError } from '../../core/errors.js';
import { bodyOf, type Checkpoint, checkpointBody } from '../journal-body.js';
import type { LogEvent } from './ports.js';

/** The parts of an event as witnesses keep it. */
export function partsOf({ event }: LogEvent): {
  readonly type: string;
  readonly at: string;
  readonly body: string;
} {
  const first = event.indexOf(' ');
  const second = event.indexOf(' ', first + 1);
  return { type: event.slice(0, first), at: event.slice(first + 1, second), body: event.slice(second + 1) };
}

/** Each checkpoint goes on from the one before, so the newest covers all that is covered. */
export function newestCheckpoint(
  events: readonly LogEvent[],
): (Checkpoint & { readonly sequence: number }) | undefined {
  const newest = events.findLast(({ event }) => event.startsWith('checkpoint '));
  if (newest === undefined) return undefined;
  const { type, body } = partsOf(newest);
  return { ...bodyOf(checkpointBody, { ...newest, type, body }), sequence: newest.sequence };
}

/**
 * What is left of a log, in ascending order, without the events that a checkpoint covers: some witnesses hold those
 * still. LEDGER_CORRUPT when it begins late and no checkpoint says what was before.
 */
export function withoutCovered(events: readonly LogEvent[]): readonly LogEvent[] {
  const { to = 0 } = newestCheckpoint(events) ?? {};
  const [first] = events;
  if (to === 0 && first !== undefined && first.sequence > 1) {
    throw new CountersignError(
      'LEDGER_CORRUPT',
      `the log begins at event ${first.sequence}, and no checkpoint says what was before`,
    );
  }
  return events.filter(({ sequence }) => sequence > to);
}
