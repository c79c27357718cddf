/** Windows of limits: rolling, calendar (by the wall clock of a time zone), lifetime. */
import type { WindowSpan } from '../decision.js';
import { CountersignError } from '../errors.js';
import { durationMs, type LimitWindow, type PolicyDocument } from './schema.js';
import { type Zone, zoneOf } from './zone.js';

export type CalendarUnit = 'hour' | 'day' | 'week' | 'month';

/** [startMs, endMs). */
export interface CalendarWindow {
  readonly startMs: number;
  readonly endMs: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The longest a calendar window can be, daylight saving included. */
const LONGEST_MS: Record<CalendarUnit, number> = {
  hour: 2 * HOUR_MS,
  day: 2 * DAY_MS,
  week: 8 * DAY_MS,
  month: 32 * DAY_MS,
};

/** The span of a limit's window at an instant; the last calendar window is remembered, so this is usually free. */
export function windowReader(window: LimitWindow): (instantMs: number) => WindowSpan {
  if (window === 'lifetime' || window.lifetime === true) return () => ({ kind: 'lifetime' });
  if (window.rolling !== undefined) {
    const span: WindowSpan = { kind: 'rolling', lengthMs: durationMs(window.rolling) ?? 0 };
    return () => span;
  }
  const unit = window.calendar ?? 'day';
  const zone = zoneOf(window.timezone ?? 'UTC');
  if (zone === undefined) throw new CountersignError('INTERNAL', 'a window of an unchecked document');
  let last: WindowSpan & { kind: 'calendar' } = { kind: 'calendar', startMs: 0, endMs: 0 };
  return (instantMs) => {
    if (instantMs < last.startMs || instantMs >= last.endMs)
      last = { kind: 'calendar', ...calendarWindow(unit, zone, instantMs) };
    return last;
  };
}

/**
 * The calendar window that holds an instant. A window begins when the wall clock first shows its beginning or
 * jumps past it, and ends where the next begins: windows follow one another without gap or overlap, an hour that
 * the clocks repeat is one window, and an hour or day that they skip has none.
 */
export function calendarWindow(unit: CalendarUnit, zone: Zone, instantMs: number): CalendarWindow {
  let label = floorOf(unit, zone.wallAt(instantMs));
  let startMs = zone.firstInstantAt(label);
  for (;;) {
    const next = nextOf(unit, label);
    const endMs = zone.firstInstantAt(next);
    if (instantMs < endMs) return { startMs, endMs };
    label = next;
    startMs = endMs;
  }
}

/** The longest span an entry can matter for; undefined: for ever. */
function longestSpanMs(window: LimitWindow): number | undefined {
  if (window === 'lifetime' || window.lifetime === true) return undefined;
  if (window.rolling !== undefined) return durationMs(window.rolling) ?? 0;
  return LONGEST_MS[window.calendar ?? 'day'];
}

function floorOf(unit: CalendarUnit, wallMs: number): number {
  const wall = new Date(wallMs);
  const day = Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate());
  switch (unit) {
    case 'hour':
      return day + wall.getUTCHours() * HOUR_MS;
    case 'day':
      return day;
    case 'week':
      return day - ((wall.getUTCDay() + 6) % 7) * DAY_MS;
    case 'month':
      return Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth(), 1);
  }
}

function nextOf(unit: CalendarUnit, label: number): number {
  switch (unit) {
    case 'hour':
      return label + HOUR_MS;
    case 'day':
      return label + DAY_MS;
    case 'week':
      return label + 7 * DAY_MS;
    case 'month': {
      const wall = new Date(label);
      return Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth() + 1, 1);
    }
  }
}

/**
 * The longest span that a limit or a cooling-off looks back over; 0 when there is none. The ledger must keep its records at
 * least as long. Lifetime limits do not count: their totals are carried on when records are trimmed.
 */
export function longestWindowMs({
  limits,
  coolingOff,
}: Pick<PolicyDocument, 'limits' | 'coolingOff'>): number {
  let longest = durationMs(coolingOff?.period ?? '') ?? 0;
  for (const { window, newDestinations = '' } of Object.values(limits))
    longest = Math.max(longest, longestSpanMs(window) ?? 0, durationMs(newDestinations) ?? 0);
  return longest;
}
