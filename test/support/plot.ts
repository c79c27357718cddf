/** Plots of a run as SVG: the panels of the dashboard that tell its story, from what Prometheus recorded of it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PrometheusServer, Series } from './prometheus-server.js';

interface Plot {
  readonly title: string;
  /** Expression by what its series is called; `{{label}}` in a name is the label's value. */
  readonly lines: readonly { readonly expr: string; readonly name: string }[];
  readonly format: (value: number) => string;
  /** Powers of ten, for what spans many of them. */
  readonly decades?: readonly number[];
}

const PLOTS: readonly Plot[] = [
  {
    title: 'Answers per second',
    lines: [{ expr: 'sum by (answer) (rate(countersign_requests_total[15s]))', name: '{{answer}}' }],
    format: (value) => String(value),
  },
  {
    title: 'Time to answer',
    lines: [0.5, 0.99].map((quantile) => ({
      expr: `histogram_quantile(${quantile}, sum by (le) (rate(countersign_request_duration_seconds_bucket[15s])))`,
      name: `p${quantile * 100}`,
    })),
    format: (value) => (value >= 1 ? `${value} s` : `${Math.round(value * 1_000)} ms`),
    decades: [0.001, 0.01, 0.1, 1, 10, 100],
  },
  {
    title: 'Replicas that can decide',
    lines: [{ expr: 'sum(countersign_ready{check="ledger:main"})', name: 'ready' }],
    format: (value) => String(value),
  },
  {
    title: 'Waiting to be asked about again',
    lines: [
      { expr: 'sum(workspace_cosigner_cause:countersign_retries_outstanding:max)', name: 'asks' },
      { expr: 'max(countersign_retry_oldest_seconds)', name: 'oldest, s' },
    ],
    format: (value) => String(value),
  },
];

const WIDTH = 840;
const PANEL = { width: 400, height: 170, gap: 40, top: 30, left: 44, bottom: 22 } as const;
const COLOURS = ['#2563eb', '#d97706', '#059669', '#dc2626'];
const STEPS = 150;

export async function drawRun(
  prometheus: PrometheusServer,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<string> {
  const step = (to - from) / STEPS;
  const drawn = await Promise.all(
    PLOTS.map(async (plot, index) => {
      const lines = await Promise.all(
        plot.lines.map(async ({ expr, name }) =>
          (await prometheus.range(expr, { from, to, step })).map((series) => ({
            ...series,
            name: name.replace(/\{\{(\w+)\}\}/g, (_, label: string) => series.metric[label] ?? ''),
          })),
        ),
      );
      const x = (index % 2) * (PANEL.width + PANEL.gap);
      const y = Math.floor(index / 2) * (PANEL.height + PANEL.top + PANEL.bottom);
      return `<g transform="translate(${x} ${y})">${panelOf(plot, lines.flat(), { from, to })}</g>`;
    }),
  );
  const height = Math.ceil(PLOTS.length / 2) * (PANEL.height + PANEL.top + PANEL.bottom);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -8 ${WIDTH + 16} ${height + 16}" width="${WIDTH + 16}" font-family="system-ui, sans-serif" font-size="11" fill="#4b5563">`,
    `<rect x="-8" y="-8" width="${WIDTH + 16}" height="${height + 16}" rx="6" fill="#ffffff"/>`,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

/** A picture of the drawing, twice its size. */
export function photograph(svg: string, file: string): void {
  const [, width = '', height = ''] = /viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"/.exec(svg) ?? [];
  const dir = mkdtempSync(join(tmpdir(), 'countersign-plot-'));
  try {
    const page = join(dir, 'plot.html');
    writeFileSync(page, `<!doctype html><body style="margin:0">${svg}</body>`);
    const size = ['--force-device-scale-factor=2', '--hide-scrollbars', `--window-size=${width},${height}`];
    // It opens one file of our own making.
    const options = ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${dir}`, ...size];
    execFileSync('chromium', [...options, `--screenshot=${file}`, `file://${page}`], {
      stdio: 'ignore',
      timeout: 60_000,
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

type NamedSeries = Series & { readonly name: string };

function panelOf(
  { title, format, decades }: Plot,
  series: readonly NamedSeries[],
  { from, to }: { readonly from: number; readonly to: number },
): string {
  const values = series.flatMap((each) => each.values.map(([, value]) => value)).filter(Number.isFinite);
  const top = roundUp(Math.max(...values, 0));
  const [width, height] = [PANEL.width - PANEL.left, PANEL.height - PANEL.top];
  const x = (at: number): number => PANEL.left + ((at - from) / (to - from)) * width;
  const ticks = decades ?? [0, top / 2, top];
  const y = (value: number): number =>
    PANEL.top + height - shareOf(value, ticks, decades !== undefined) * height;
  const grid = ticks.map((tick) => {
    const at = y(tick);
    return `<path d="M${PANEL.left} ${at}H${PANEL.width}" stroke="#e5e7eb"/><text x="${PANEL.left - 6}" y="${at + 4}" text-anchor="end">${format(tick)}</text>`;
  });
  const minutes = Math.floor((to - from) / 60);
  const times = Array.from({ length: minutes + 1 }, (_, minute) => {
    const at = x(from + 60 * minute);
    return `<text x="${at}" y="${PANEL.height + 15}" text-anchor="middle">${minute} min</text>`;
  });
  const lines = series.map(({ values: points }, index) => {
    const path = points.map(([at, value], place) =>
      Number.isFinite(value)
        ? `${place === 0 || !Number.isFinite(points[place - 1]?.[1]) ? 'M' : 'L'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`
        : '',
    );
    return `<path d="${path.join('')}" fill="none" stroke="${colourOf(index)}" stroke-width="1.6" stroke-linejoin="round"/>`;
  });
  let legend = PANEL.width;
  const names = series.toReversed().map(({ name }, index) => {
    legend -= 7 * name.length + 22;
    const colour = colourOf(series.length - 1 - index);
    return `<circle cx="${legend + 5}" cy="8" r="4" fill="${colour}"/><text x="${legend + 13}" y="12">${name}</text>`;
  });
  const head = `<text x="0" y="12" font-size="13" font-weight="600" fill="#111827">${title}</text>`;
  return [head, ...names, ...grid, ...times, ...lines].join('');
}

/** How far up a value stands between the first and the last tick. */
function shareOf(value: number, ticks: readonly number[], isLogarithmic: boolean): number {
  const [first = 0, last = 1] = [ticks[0], ticks.at(-1)];
  if (!isLogarithmic) return (value - first) / (last - first);
  const share = (Math.log10(Math.max(value, first)) - Math.log10(first)) / Math.log10(last / first);
  return Math.min(share, 1);
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? '';
}

/** The next 1, 2 or 5 of its power of ten. */
function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const wanted = [1, 2, 4, 5, 10].find((factor) => factor * power >= value) ?? 10;
  return Number((wanted * power).toPrecision(3));
}
