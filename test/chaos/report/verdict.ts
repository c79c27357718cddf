/** What a person reads at the end of a run. */
import type { Latency } from '../history/figures.js';
import type { Report } from './report.js';

/** Violations of one check that are printed; the JSON has them all. */
const EXAMPLES = 5;

export function verdictText(report: Report): string {
  const { figures, notifications } = report;
  const lines = [
    '',
    `fault                    hit          gap      until decided   what was observed`,
    ...report.faults.map(
      ({ name, target, gapMs, recoveredMs, evidence }) =>
        `${name.padEnd(24)} ${target.padEnd(12)} ${seconds(gapMs)} ${seconds(recoveredMs)}         ${evidence}`,
    ),
    '',
    `questions         ${figures.questions}: ${figures.approved} approved, ${figures.rejected} rejected; ${figures.repeated} answers heard again at the end`,
    `votes             ${figures.votes} on ${figures.operations} operations of Virtual Signers`,
    `payments          ${report.payments.toNew} to new destinations, ${report.payments.toKnown} to known ones, which one limit does not count`,
    `notifications     ${notifications.sent} sent about ${notifications.transactions} transactions, ${notifications.acknowledged} acknowledged, ${notifications.events} of them new; ${notifications.releases} charges given back`,
    `calls             ${Object.entries(figures.outcomes)
      .map(([outcome, count]) => `${count} ${outcome}`)
      .join(', ')}; ${report.forged} forged`,
    latencyLine('decisions', figures.decisions),
    latencyLine('ask again', figures.retries),
    latencyLine('until decided', figures.untilDecided),
    `longest gap       ${seconds(figures.longestGapMs).trim()} without any decision`,
    `limits            ${report.limits.map(({ limit, percent }) => `${limit} ${percent}`).join(', ')} at most`,
    '',
    ...report.checks.map(
      ({ about, violations }) => `${violations === 0 ? '   ok' : String(violations).padStart(5)}  ${about}`,
    ),
    ...examples(report),
    '',
    report.passed
      ? 'PASSED: nothing was seen that must never be seen.'
      : `FAILED: ${report.violations.length} violations (mode ${report.mode}, seed ${report.seed}).`,
    '',
  ];
  return lines.join('\n');
}

function examples({ checks, violations }: Report): readonly string[] {
  return checks.flatMap(({ check }) => {
    const found = violations.filter((violation) => violation.check === check);
    if (found.length === 0) return [];
    const more = found.length > EXAMPLES ? [`  … and ${found.length - EXAMPLES} more`] : [];
    return ['', `${check}:`, ...found.slice(0, EXAMPLES).map(({ text }) => `  ${text}`), ...more];
  });
}

function latencyLine(what: string, { count, p50Ms, p99Ms, maxMs }: Latency): string {
  return `${what.padEnd(17)} ${count}: p50 ${p50Ms} ms, p99 ${p99Ms} ms, max ${maxMs} ms`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`.padStart(8);
}
