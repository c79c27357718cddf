/**
 * Wall clocks of IANA time zones, by the time-zone data of the runtime (Intl). A wall time is written as the
 * Unix milliseconds at which a clock in UTC would show it.
 */

const HOUR_MS = 3_600_000;

export interface Zone {
  readonly name: string;
  /** What the zone's wall clock shows at an instant, to the second; milliseconds are carried over. */
  wallAt(instantMs: number): number;
  /** The first instant at which the wall clock shows this time, or jumps past it. */
  firstInstantAt(wallMs: number): number;
}

const ZONES = new Map<string, Zone>();

/** The zone of this name; undefined when the runtime knows none. */
export function zoneOf(name: string): Zone | undefined {
  const known = ZONES.get(name);
  if (known !== undefined) return known;
  const zone = isZone(name) ? makeZone(name) : undefined;
  if (zone !== undefined) ZONES.set(name, zone);
  return zone;
}

function isZone(name: string): boolean {
  // Offsets such as `+02:00` are accepted by Intl but are no IANA zones: they know no daylight saving.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function makeZone(name: string): Zone {
  const offsetAt = name === 'UTC' ? () => 0 : offsetReader(name);
  return {
    name,
    wallAt: (instantMs) => instantMs + offsetAt(instantMs),
    firstInstantAt: (wallMs) => firstInstantAt(wallMs, offsetAt),
  };
}

function offsetReader(timeZone: string): (instantMs: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (instantMs) => {
    const seconds = Math.floor(instantMs / 1000) * 1000;
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(seconds)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - seconds;
  };
}

/**
 * Offsets lie between −16 h and +16 h (Alaska 1867, Manila 1844 being the widest of the data base), and no zone
 * changes its clock twice within two days.
 */
function firstInstantAt(wallMs: number, offsetAt: (instantMs: number) => number): number {
  let before = wallMs - 16 * HOUR_MS;
  let after = wallMs + 16 * HOUR_MS;
  const offsetBefore = offsetAt(before);
  const offsetAfter = offsetAt(after);
  if (offsetBefore === offsetAfter) return wallMs - offsetBefore;
  while (after - before > 1000) {
    const middle = Math.floor((before + after) / 2000) * 1000;
    if (offsetAt(middle) === offsetBefore) before = middle;
    else after = middle;
  }
  const change = Math.floor(after / 1000) * 1000;
  const shownBefore = wallMs - offsetBefore;
  // Clocks set back show a time twice (the first counts); clocks set forward jump past it at the change.
  return shownBefore < change ? shownBefore : Math.max(change, wallMs - offsetAfter);
}
