/** The run as a drawing: what was broken and when, how long every answer took, and how many there were. SVG, no script. */
import type { History } from '../history/history.js';
import type { Report } from './report.js';

const LEFT = 56;
/** Room for the name of the last fault. */
const RIGHT = 160;
/** The strips of the drawing, from above. */
const LABELS = { top: 8, height: 64 };
const DOTS = { top: 80, height: 260 };
const RATES = { top: 372, height: 96 };
const HEIGHT = 500;
const NAME_ROWS = 4;
/** In pixels, about. */
const LETTER_WIDTH = 7;

const SHORTEST_MS = 1;
const LONGEST_MS = 30_000;

/** In the order in which bars are stacked. */
export const OUTCOMES = ['APPROVE', 'REJECT', 'RETRY', 'none'] as const;
type Shown = (typeof OUTCOMES)[number];

interface Point {
  readonly atMs: number;
  readonly tookMs: number;
  readonly outcome: Shown;
}

export function timeline(report: Report, history: History): string {
  const points = pointsOf(history);
  const endMs = Math.max(
    report.endMs,
    ...report.faults.map(({ wholeMs }) => wholeMs),
    ...points.map(({ atMs }) => atMs),
  );
  const width = Math.round(Math.max(1_190, LEFT + RIGHT + (endMs / 1_000) * 7));
  const x = (ms: number) => round(LEFT + ((width - LEFT - RIGHT) * ms) / endMs);
  const parts = [
    ...bandsOf(report, x),
    ...latencyScale(width),
    ...OUTCOMES.map((outcome) => dotsOf(points, outcome, x)),
    ...ratesOf(points, endMs, x),
    ...secondsScale(endMs, x),
    ...violationMarks(report, x),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${HEIGHT}" viewBox="0 0 ${width} ${HEIGHT}" role="img" aria-label="timeline">${parts.join('\n')}</svg>`;
}

function pointsOf({ calls }: History): readonly Point[] {
  return calls.flatMap(({ phase, askedMs, answer }): readonly Point[] => {
    if (phase === 'repeat' || answer === undefined) return [];
    const outcome = OUTCOMES.find((one) => one === answer.outcome) ?? 'none';
    return [{ atMs: answer.atMs, tookMs: answer.atMs - askedMs, outcome }];
  });
}

/** For each name the row in which it meets no other; when all are taken, the one that is free first. */
function rowsOf(names: readonly { readonly began: number; readonly text: string }[]): readonly number[] {
  const ends: number[] = Array.from({ length: NAME_ROWS }, () => Number.NEGATIVE_INFINITY);
  return names.map(({ began, text }) => {
    const free = ends.findIndex((end) => end < began);
    const row = free >= 0 ? free : ends.indexOf(Math.min(...ends));
    ends[row] = began + text.length * LETTER_WIDTH;
    return row;
  });
}

/** What was broken, and, lighter, the time until everything was as before. */
function bandsOf({ faults }: Report, x: (ms: number) => number): readonly string[] {
  const bottom = RATES.top + RATES.height;
  const rows = rowsOf(
    faults.map(({ name, target, beganMs }) => ({ began: x(beganMs), text: `${name} ${target}` })),
  );
  return faults.flatMap(({ name, target, about, beganMs, healedMs, wholeMs }, index) => {
    const [began, healed, whole] = [x(beganMs), Math.max(x(healedMs), x(beganMs) + 2), x(wholeMs)];
    const y = LABELS.top + (rows[index] ?? 0) * (LABELS.height / NAME_ROWS);
    return [
      `<g><title>${htmlText(`${name} of ${target}: ${about}`)}</title>`,
      `<rect class="band" x="${began}" y="${y}" width="${round(healed - began)}" height="${bottom - y}"/>`,
      whole > healed
        ? `<rect class="mend" x="${healed}" y="${DOTS.top}" width="${round(whole - healed)}" height="${bottom - DOTS.top}"/>`
        : '',
      `<text class="name" x="${began + 4}" y="${y + 12}">${htmlText(name)} <tspan fill-opacity="0.6" font-weight="400">${htmlText(target)}</tspan></text></g>`,
    ];
  });
}

/** Logarithmic: a decision takes milliseconds and a fail-over seconds. */
function yOf(tookMs: number): number {
  const share = Math.log(Math.max(tookMs, SHORTEST_MS) / SHORTEST_MS) / Math.log(LONGEST_MS / SHORTEST_MS);
  return round(DOTS.top + DOTS.height * (1 - Math.min(1, share)));
}

function latencyScale(width: number): readonly string[] {
  const marks: readonly (readonly [number, string])[] = [
    [1, '1 ms'],
    [10, '10 ms'],
    [100, '100 ms'],
    [1_000, '1 s'],
    [10_000, '10 s'],
    [30_000, '30 s'],
  ];
  return marks.map(
    ([ms, text]) =>
      `<line class="grid" x1="${LEFT}" x2="${width - RIGHT}" y1="${yOf(ms)}" y2="${yOf(ms)}"/><text x="${LEFT - 8}" y="${yOf(ms) + 4}" text-anchor="end">${text}</text>`,
  );
}

/** Points that would cover one another are drawn once. */
function dotsOf(points: readonly Point[], outcome: Shown, x: (ms: number) => number): string {
  const places = new Set<string>();
  for (const point of points) {
    if (point.outcome === outcome)
      places.add(`M${Math.round(x(point.atMs))} ${Math.round(yOf(point.tookMs))}h0`);
  }
  return `<path class="dots ${outcome}" d="${[...places].join('')}"/>`;
}

/** Answers a second, stacked. */
function ratesOf(points: readonly Point[], endMs: number, x: (ms: number) => number): readonly string[] {
  const bottom = RATES.top + RATES.height;
  const seconds = Array.from({ length: Math.ceil(endMs / 1_000) + 1 }, () => new Map<Shown, number>());
  for (const { atMs, outcome } of points) {
    const second = seconds[Math.floor(atMs / 1_000)];
    second?.set(outcome, (second.get(outcome) ?? 0) + 1);
  }
  const totals = seconds.map((second) => [...second.values()].reduce((sum, count) => sum + count, 0));
  // A burst after an outage may be higher than the strip; what is usual must stay readable.
  const usual = [...totals].sort((a, b) => a - b)[Math.floor(totals.length * 0.9)] ?? 1;
  const highest = Math.max(1, usual * 1.6);
  const width = Math.max(1, x(1_000) - x(0) - 1);
  const bars = seconds.flatMap((second, index) => {
    let y = bottom;
    return OUTCOMES.flatMap((outcome) => {
      const count = second.get(outcome) ?? 0;
      const height = round(Math.min(y - RATES.top, (RATES.height * count) / highest));
      if (height <= 0) return [];
      y = round(y - height);
      return [
        `<rect class="${outcome}" x="${x(index * 1_000)}" y="${y}" width="${round(width)}" height="${height}"/>`,
      ];
    });
  });
  return [
    `<text x="${LEFT - 8}" y="${RATES.top + 8}" text-anchor="end">${Math.round(highest)}/s</text>`,
    `<line class="grid" x1="${LEFT}" x2="${x(endMs)}" y1="${bottom}" y2="${bottom}"/>`,
    ...bars,
  ];
}

function secondsScale(endMs: number, x: (ms: number) => number): readonly string[] {
  const every = endMs > 240_000 ? 30_000 : endMs > 90_000 ? 10_000 : 5_000;
  const marks = Array.from({ length: Math.floor(endMs / every) + 1 }, (_, index) => index * every);
  return marks.map(
    (ms) => `<text x="${x(ms)}" y="${HEIGHT - 12}" text-anchor="middle">${ms / 1_000} s</text>`,
  );
}

/** Those that are found by asking again at the end have no place in the drawing. */
function violationMarks({ violations, endMs }: Report, x: (ms: number) => number): readonly string[] {
  const places = new Set(
    violations.flatMap(({ atMs }) => (atMs === undefined || atMs > endMs ? [] : [Math.round(x(atMs))])),
  );
  const y = RATES.top - 8;
  return [...places].map((place) => `<path class="wrong" d="M${place - 3} ${y - 3}l6 6m0 -6l-6 6"/>`);
}

export function htmlText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function round(number: number): number {
  return Math.round(number * 10) / 10;
}
