/** What a person reads at the end of a run. */
import type { ReasonFigures, ScenarioFigures, Summary } from './tally.js';

const MAX_REASONS_SHOWN = 15;

const COLUMNS: readonly { readonly title: string; readonly cell: (figures: ScenarioFigures) => string }[] = [
  { title: 'scenario', cell: ({ scenario }) => scenario },
  { title: 'asks', cell: ({ asks }) => String(asks) },
  { title: 'deliveries', cell: ({ deliveries }) => String(deliveries) },
  { title: 'APPROVE', cell: ({ outcomes }) => countOf(outcomes.APPROVE) },
  { title: 'REJECT', cell: ({ outcomes }) => countOf(outcomes.REJECT) },
  { title: 'RETRY', cell: ({ outcomes }) => countOf(outcomes.RETRY) },
  { title: 'IGNORE', cell: ({ outcomes }) => countOf(outcomes.IGNORE) },
  { title: 'refused', cell: ({ outcomes }) => countOf(outcomes.refused) },
  { title: 'lost', cell: ({ outcomes }) => countOf(outcomes.lost) },
  { title: 'wrong', cell: ({ violations }) => countOf(violations) },
  { title: 'p50 ms', cell: ({ p50Ms }) => p50Ms.toFixed(1) },
  { title: 'p99 ms', cell: ({ p99Ms }) => p99Ms.toFixed(1) },
  { title: 'max ms', cell: ({ maxMs }) => maxMs.toFixed(1) },
];

/** Text that ends with a new line. `refused`: no answer but a status; `lost`: no reply, delivered again. */
export function reportText(summary: Summary): string {
  const seconds = summary.elapsedMs / 1_000;
  const rate = seconds > 0 ? (summary.deliveries / seconds).toFixed(0) : '0';
  return [
    table(summary.scenarios),
    '',
    `${summary.asks} requests, ${summary.deliveries} deliveries in ${seconds.toFixed(1)} s (${rate} a second).`,
    '',
    ...reasons(summary.reasons),
    ...violations(summary),
    '',
  ].join('\n');
}

function table(scenarios: readonly ScenarioFigures[]): string {
  const rows = [
    COLUMNS.map(({ title }) => title),
    ...scenarios.map((figures) => COLUMNS.map(({ cell }) => cell(figures))),
  ];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((text, column) => aligned(text, column, widths))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The first column is words, the others are figures. */
function aligned(text: string, column: number, widths: readonly number[]): string {
  const width = widths[column] ?? 0;
  return column === 0 ? text.padEnd(width) : text.padStart(width);
}

function reasons(all: readonly ReasonFigures[]): string[] {
  const lines = all
    .slice(0, MAX_REASONS_SHOWN)
    .flatMap(({ action, count, sample }) => [
      `${String(count).padStart(7)} × ${action}${sample.reason === '' ? '' : `: ${sample.reason}`}`,
      `          e.g. ${sample.requestId}: ${sample.asked}`,
    ]);
  const rest = all.length - MAX_REASONS_SHOWN;
  return ['Why:', ...lines, ...(rest > 0 ? [`        … and ${rest} other reasons`] : [])];
}

function violations({ violations: count, violationSamples }: Summary): string[] {
  if (count === 0) return ['', 'Every answer was as it should be.'];
  const lines = violationSamples.map(
    ({ scenario, requestId, problem }) => `  ${scenario} · ${requestId}: ${problem}`,
  );
  const rest = count - violationSamples.length;
  return ['', `WRONG ANSWERS: ${count}`, ...lines, ...(rest > 0 ? [`  … and ${rest} more`] : [])];
}

function countOf(count: number): string {
  return count === 0 ? '·' : String(count);
}
