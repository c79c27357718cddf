/** Hours of the week by the wall clock of a time zone. */
import { CountersignError } from '../errors.js';
import { DAYS, type ScheduleMatch } from './schema.js';
import { type Truth, truthOf } from './truth.js';
import { zoneOf } from './zone.js';

/** `HH:MM` → minutes since midnight. */
export function minutesOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));
}

/** From `from` (inclusive) to `to` (exclusive). A span over midnight belongs to the day on which it begins. */
export function scheduleTest({ days, from, to, timezone }: ScheduleMatch): (instantMs: number) => Truth {
  const zone = zoneOf(timezone);
  if (zone === undefined) throw new CountersignError('INTERNAL', 'a schedule of an unchecked document');
  const allowed = new Set((days ?? DAYS).map((day) => DAYS.indexOf(day)));
  const start = minutesOf(from);
  const end = minutesOf(to);
  const testAt = (instantMs: number): Truth => {
    const wall = new Date(zone.wallAt(instantMs));
    const today = (wall.getUTCDay() + 6) % 7;
    const yesterday = (today + 6) % 7;
    const minute = wall.getUTCHours() * 60 + wall.getUTCMinutes();
    if (start < end) return truthOf(allowed.has(today) && minute >= start && minute < end);
    return truthOf((allowed.has(today) && minute >= start) || (allowed.has(yesterday) && minute < end));
  };
  // Spans begin and end on whole minutes, and so do all changes of clocks since 1972.
  let last: { readonly minute: number; readonly truth: Truth } = { minute: Number.NaN, truth: 'unknown' };
  return (instantMs) => {
    const minute = Math.floor(instantMs / 60_000);
    if (minute !== last.minute) last = { minute, truth: testAt(instantMs) };
    return last.truth;
  };
}
