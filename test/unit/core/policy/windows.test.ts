import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Limit, limitSchema } from '../../../../src/core/policy/schema.js';
import {
  type CalendarUnit,
  calendarWindow,
  longestWindowMs,
  windowReader,
} from '../../../../src/core/policy/windows.js';
import { type Zone, zoneOf } from '../../../../src/core/policy/zone.js';

function zone(name: string): Zone {
  const found = zoneOf(name);
  if (found === undefined) throw new Error(`no zone ${name}`);
  return found;
}

function windowAt(unit: CalendarUnit, name: string, instant: string): string {
  const { startMs, endMs } = calendarWindow(unit, zone(name), Date.parse(instant));
  return `${new Date(startMs).toISOString().slice(0, 16)} ${new Date(endMs).toISOString().slice(0, 16)}`;
}

test.each([
  // UTC
  ['hour', 'UTC', '2026-03-29T01:59:59.999Z', '2026-03-29T01:00 2026-03-29T02:00'],
  ['day', 'UTC', '2026-03-29T00:00:00Z', '2026-03-29T00:00 2026-03-30T00:00'],
  ['week', 'UTC', '2026-03-29T23:59:59Z', '2026-03-23T00:00 2026-03-30T00:00'],
  ['week', 'UTC', '2026-03-30T00:00:00Z', '2026-03-30T00:00 2026-04-06T00:00'],
  ['month', 'UTC', '2024-02-29T12:00:00Z', '2024-02-01T00:00 2024-03-01T00:00'],
  ['month', 'UTC', '2026-12-31T23:59:59Z', '2026-12-01T00:00 2027-01-01T00:00'],
  // Zurich: a day of 23 hours, one of 25, an hour that is skipped, one that is repeated
  ['day', 'Europe/Zurich', '2026-03-29T12:00:00Z', '2026-03-28T23:00 2026-03-29T22:00'],
  ['day', 'Europe/Zurich', '2026-10-25T12:00:00Z', '2026-10-24T22:00 2026-10-25T23:00'],
  ['hour', 'Europe/Zurich', '2026-03-29T00:30:00Z', '2026-03-29T00:00 2026-03-29T01:00'],
  ['hour', 'Europe/Zurich', '2026-03-29T01:30:00Z', '2026-03-29T01:00 2026-03-29T02:00'],
  ['hour', 'Europe/Zurich', '2026-10-25T00:30:00Z', '2026-10-25T00:00 2026-10-25T02:00'],
  ['hour', 'Europe/Zurich', '2026-10-25T01:30:00Z', '2026-10-25T00:00 2026-10-25T02:00'],
  ['week', 'Europe/Zurich', '2026-10-25T22:59:00Z', '2026-10-18T22:00 2026-10-25T23:00'],
  ['month', 'Europe/Zurich', '2026-10-31T22:59:59Z', '2026-09-30T22:00 2026-10-31T23:00'],
  // New York
  ['day', 'America/New_York', '2026-03-08T12:00:00Z', '2026-03-08T05:00 2026-03-09T04:00'],
  ['day', 'America/New_York', '2026-11-01T12:00:00Z', '2026-11-01T04:00 2026-11-02T05:00'],
  ['hour', 'America/New_York', '2026-11-01T06:30:00Z', '2026-11-01T05:00 2026-11-01T07:00'],
  // Lord Howe moves by half an hour: 02:00 becomes 02:30, and 02:00 becomes 01:30
  ['day', 'Australia/Lord_Howe', '2026-10-04T00:00:00Z', '2026-10-03T13:30 2026-10-04T13:00'],
  ['hour', 'Australia/Lord_Howe', '2026-10-03T15:40:00Z', '2026-10-03T15:30 2026-10-03T16:00'],
  ['hour', 'Australia/Lord_Howe', '2026-04-04T15:10:00Z', '2026-04-04T14:00 2026-04-04T15:30'],
  ['day', 'Australia/Lord_Howe', '2026-04-05T00:00:00Z', '2026-04-04T13:00 2026-04-05T13:30'],
  // Samoa had no 30 December 2011
  ['day', 'Pacific/Apia', '2011-12-30T09:59:59Z', '2011-12-29T10:00 2011-12-30T10:00'],
  ['day', 'Pacific/Apia', '2011-12-30T10:00:00Z', '2011-12-30T10:00 2011-12-31T10:00'],
  ['week', 'Pacific/Apia', '2011-12-30T10:00:00Z', '2011-12-26T10:00 2012-01-01T10:00'],
  // Clocks that go back over midnight: the day that had begun goes on
  ['day', 'America/St_Johns', '2010-11-07T03:00:00Z', '2010-11-07T02:30 2010-11-08T03:30'],
  // Clocks that skip midnight: the day begins at one
  ['day', 'America/Sao_Paulo', '2018-11-04T12:00:00Z', '2018-11-04T03:00 2018-11-05T02:00'],
] as const)('the %s in %s at %s is %s', (unit, name, instant, expected) => {
  expect(windowAt(unit, name, instant)).toBe(expected);
});

test('windows hold their instant and follow one another without gap or overlap', () => {
  const names = [
    'Europe/Zurich',
    'America/New_York',
    'Australia/Lord_Howe',
    'Pacific/Apia',
    'America/St_Johns',
    'UTC',
  ];
  const units = ['hour', 'day', 'week', 'month'] as const;
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.constantFrom(...units),
      fc.integer({ min: Date.UTC(2009, 0), max: Date.UTC(2030, 0) }),
      (name, unit, instantMs) => {
        const { startMs, endMs } = calendarWindow(unit, zone(name), instantMs);
        expect(startMs).toBeLessThanOrEqual(instantMs);
        expect(endMs).toBeGreaterThan(instantMs);
        expect(calendarWindow(unit, zone(name), startMs)).toEqual({ startMs, endMs });
        expect(calendarWindow(unit, zone(name), endMs - 1)).toEqual({ startMs, endMs });
        expect(calendarWindow(unit, zone(name), endMs).startMs).toBe(endMs);
      },
    ),
    { numRuns: 300 },
  );
});

test('a reader asked again inside its window answers from memory, and moves with the clock', () => {
  const spanAt = windowReader({ calendar: 'day', timezone: 'Europe/Zurich' });
  const noon = Date.parse('2026-03-29T10:00:00Z');
  expect(spanAt(noon)).toBe(spanAt(noon + 1));
  expect(spanAt(noon + 86_400_000)).not.toEqual(spanAt(noon));
  expect(spanAt(noon)).toMatchObject({ kind: 'calendar', startMs: Date.parse('2026-03-28T23:00:00Z') });
  const midnight = Date.parse('2026-03-29T22:00:00Z');
  expect(spanAt(midnight - 1)).toMatchObject({ endMs: midnight });
  expect(spanAt(midnight)).toMatchObject({ startMs: midnight });
});

test('zones that are none', () => {
  for (const name of ['Mars/Phobos', '+02:00', '', 'Europe/Zurich; drop'])
    expect(zoneOf(name)).toBeUndefined();
});

test('the longest window is what the retention must cover', () => {
  const limit = (window: unknown, more: object = {}) =>
    limitSchema.parse({ sum: 'count', max: '1', window, ...more });
  const longest = (...limits: readonly Limit[]) =>
    longestWindowMs({ limits: Object.fromEntries(limits.entries()) });
  expect(longest()).toBe(0);
  expect(longest(limit({ rolling: '30d' }), limit('lifetime'))).toBe(30 * 86_400_000);
  expect(longest(limit({ calendar: 'month' }), limit({ rolling: '1h' }))).toBe(32 * 86_400_000);
  expect(longest(limit({ rolling: '1h' }, { newDestinations: '7d' }))).toBe(7 * 86_400_000);
  const coolingOff = { period: '24h', whenEarly: 'reject' } as const;
  expect(longestWindowMs({ limits: { n: limit({ rolling: '1h' }) }, coolingOff })).toBe(86_400_000);
});
