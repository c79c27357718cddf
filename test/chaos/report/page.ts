/** One page that says how a run went: no library, no network, no script. */
import { readFileSync } from 'node:fs';
import type { History } from '../history/history.js';
import type { Report } from './report.js';
import { htmlText, OUTCOMES, timeline } from './timeline.js';

const STYLE = readFileSync(new URL('./page.css', import.meta.url), 'utf8');

/** Violations of one promise that are written out. */
const EXAMPLES = 8;

const MODES = {
  witness:
    'Redis with two replicas and three Sentinels, three witnesses, three replicas of Countersign, HAProxy, two co-signers, three Virtual Signers',
  fence:
    'one Redis that syncs every write, three replicas of Countersign, HAProxy, two co-signers, three Virtual Signers',
  naive:
    'the negative control: the same bed without a fence and without witnesses, behind a client with its defaults',
} as const;

const LEGEND = {
  APPROVE: 'approved',
  REJECT: 'rejected',
  RETRY: 'undecided: ask again',
  none: 'no answer: delivered again',
} as const;

export function pageOf(report: Report, history: History): string {
  const { mode, seed, seconds, rate, passed, violations } = report;
  const verdict = passed
    ? 'Nothing was seen that must never be seen'
    : `${violations.length} violations of what must never be seen`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${htmlText(`chaos: ${mode}, seed ${seed}: ${passed ? 'passed' : 'failed'}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<header class="${passed ? 'passed' : 'failed'}">
<h1>${passed ? 'Passed' : 'Failed'}: ${htmlText(verdict)}</h1>
<p>${htmlText(MODES[mode])}; ${report.faults.length} faults in ${seconds} s at ${rate} transactions a second</p>
<p><code>npm run chaos -- --mode ${mode} --seed ${htmlText(seed)} --seconds ${seconds} --rate ${rate}</code></p>
</header>
${tiles(report)}
<h2>What happened</h2>
<div class="scroll">${timeline(report, history)}</div>
${legend()}
<h2>What must never be seen</h2>
${checks(report)}
${examples(report)}
<h2>Faults</h2>
<p>Each had to be felt, or the run fails. The gap is the longest time without any decision between a fault and the next.</p>
${faults(report)}
<h2>Limits</h2>
<p>How full they were at most, counted exactly from what co-signers were told.</p>
${limits(report)}
</body>
</html>
`;
}

function tiles({ figures, payments, notifications, events, forged }: Report): string {
  const { decisions, outcomes } = figures;
  const each: readonly (readonly [string, string])[] = [
    [String(figures.questions), 'questions'],
    [String(figures.approved), 'approved'],
    [String(figures.rejected), 'rejected'],
    [String(figures.operations), 'operations of Virtual Signers'],
    [String(figures.votes), 'votes on them'],
    [String(payments.toNew), 'payments to new destinations'],
    [String(payments.toKnown), 'payments to known ones, not counted by one limit'],
    [String(notifications.sent), 'notifications sent'],
    [String(notifications.acknowledged), 'of them acknowledged'],
    [String(notifications.releases), 'transactions whose charges were given back'],
    [String(outcomes.RETRY ?? 0), 'calls answered “ask again”'],
    [String(outcomes.none ?? 0), 'calls without an answer'],
    [String(events), 'decisions in the ledger'],
    [String(figures.repeated), 'answers heard again at the end'],
    [String(forged), 'forged, all refused'],
    [duration(decisions.p50Ms), 'median time of a decision'],
    [duration(decisions.p99Ms), '99th percentile'],
    [duration(decisions.maxMs), 'slowest'],
    [duration(figures.longestGapMs), 'longest gap without any decision'],
  ];
  return `<div class="tiles">${each.map(([value, name]) => `<div class="tile"><b>${value}</b><span>${name}</span></div>`).join('')}</div>`;
}

function legend(): string {
  const dots = OUTCOMES.map(
    (outcome) =>
      `<span><svg width="9" height="9"><rect class="${outcome}" width="9" height="9" rx="4"/></svg>${LEGEND[outcome]}</span>`,
  );
  const bands = [
    `<span><svg width="14" height="10"><rect class="band" width="14" height="10"/></svg>broken</span>`,
    `<span><svg width="14" height="10"><rect class="mend" width="14" height="10"/></svg>healed, not yet whole</span>`,
    `<span><svg width="10" height="10"><path class="wrong" d="M2 2l6 6m0 -6l-6 6"/></svg>violation</span>`,
  ];
  return `<div class="legend">${[...dots, ...bands].join('')}<span>Dots: time until the answer to each call. Bars: answers a second.</span></div>`;
}

function checks({ checks: all }: Report): string {
  const rows = all.map(
    ({ about, violations }) =>
      `<tr><td class="number ${violations === 0 ? 'ok' : 'broken'}">${violations === 0 ? 'never' : violations}</td><td>${htmlText(about)}</td></tr>`,
  );
  return `<table><tr><th class="number">broken</th><th>promise</th></tr>${rows.join('')}</table>`;
}

function examples({ checks: all, violations }: Report): string {
  if (violations.length === 0) return '';
  const rows = all.flatMap(({ check }) => {
    const found = violations.filter((violation) => violation.check === check);
    const rest = found.length - EXAMPLES;
    return [
      ...found
        .slice(0, EXAMPLES)
        .map(
          ({ text, atMs }) =>
            `<tr><td class="number">${atMs === undefined ? '' : duration(atMs)}</td><td>${htmlText(text)}</td></tr>`,
        ),
      ...(rest > 0
        ? [`<tr><td></td><td class="quiet">… and ${rest} more of this kind in the JSON</td></tr>`]
        : []),
    ];
  });
  return `<h2>Violations</h2><table>${rows.join('')}</table>`;
}

function faults({ faults: all }: Report): string {
  const longest = Math.max(1, ...all.map(({ gapMs }) => gapMs));
  const rows = all.map(
    ({ name, about, target, evidence, beganMs, healedMs, gapMs, recoveredMs }) =>
      `<tr><td class="number">${duration(beganMs)}</td><td><b>${htmlText(name)}</b><br>${htmlText(about)}</td><td>${htmlText(target)}</td>` +
      `<td class="number">${duration(healedMs - beganMs)}</td><td class="number">${duration(gapMs)}</td>` +
      `<td class="bar"><div style="width:${Math.round((100 * gapMs) / longest)}%"></div></td>` +
      `<td class="number">${duration(recoveredMs)}</td><td>${htmlText(evidence)}</td></tr>`,
  );
  const head =
    '<tr><th class="number">at</th><th>fault</th><th>hit</th><th class="number">lasted</th><th class="number">gap</th><th></th><th class="number">decides again after</th><th>observed</th></tr>';
  return `<table>${head}${rows.join('')}</table>`;
}

function limits({ limits: all }: Report): string {
  const rows = all.map(
    ({ limit, percent }) =>
      `<tr><td>${htmlText(limit)}</td><td class="number">${htmlText(percent)}</td></tr>`,
  );
  return `<table style="width:auto">${rows.join('')}</table>`;
}

function duration(ms: number): string {
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${ms >= 100 ? Math.round(ms) : Math.round(ms * 10) / 10} ms`;
}
