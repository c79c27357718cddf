/** Alerts, runbooks, dashboard and metrics name one another rightly. That they ring when they should: test/alerts. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { CommanderError } from 'commander';
import { countersignProgram, descendants } from '../../src/cli/program.js';
import { UNDECIDED, type UndecidedReason } from '../../src/core/decision.js';
import { messageOf } from '../../src/core/errors.js';
import { causeOf } from '../../src/core/waiting.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import {
  alerts,
  filledIn,
  guides,
  knownSeries,
  PROMETHEUS,
  pageOf,
  panels,
  rules,
  runbooks,
  seriesIn,
} from '../support/alerts.js';

/** Looked at when there is a reason to. */
const BY_HAND: readonly string[] = [
  'countersign_recovery_records',
  'countersign_recovery_seconds',
  'countersign_workspace_policy_changed_timestamp_seconds',
];

test('every alert has a runbook, and every runbook an alert', () => {
  expect([...runbooks().keys()].sort()).toEqual(
    alerts()
      .map(({ alert }) => alert)
      .sort(),
  );
});

describe.each(alerts().map((alert) => [alert.alert, alert] as const))('%s', (name, alert) => {
  test('says how soon somebody must look, and where to read on', () => {
    expect(['page', 'ticket']).toContain(alert.labels.severity);
    expect(alert.annotations).toEqual({
      summary: expect.stringMatching(/\.$/),
      description: expect.stringMatching(/\.$/),
      runbook_url: `docs/runbooks/${name}.md`,
    });
  });

  test('has a runbook with meaning, impact, diagnosis, mitigation', () => {
    const text = runbooks().get(name) ?? '';
    expect(text.match(/^##? .*$/gm)).toEqual([
      ...[`# ${name}`, '## Meaning', '## Impact', '## Diagnosis', '## Mitigation'],
    ]);
    expect(text).toContain(`Severity: **${alert.labels.severity}**.`);
    for (const part of text.split(/^## .*$/m)) expect(part.trim().length).toBeGreaterThan(4);
  });

  test('is tested: when it rings, and that it does not', () => {
    const text = readFileSync(join(PROMETHEUS, 'tests/firing.test.yaml'), 'utf8');
    const [, ...own] = text.split(`expr: ALERTS{alertname="${name}"}`);
    expect(own.some((part) => part.includes('alertstate="firing"'))).toBe(true);
  });
});

test('every series in a rule is one that a replica shows', async () => {
  const known = await knownSeries();
  const unknown = rules().flatMap(({ expr }) => seriesIn(expr).filter((name) => !known.has(name)));
  expect(unknown).toEqual([]);
});

test('what the policy keeps waiting is no fault, and nobody waits where nobody votes', () => {
  const expected = Object.keys(UNDECIDED)
    .filter((reason) => causeOf({ reason: reason as UndecidedReason }) === 'policy')
    .concat('NOT_VOTING');
  const left = rules().flatMap(({ expr }) =>
    [...expr.matchAll(/countersign_undecided_total\{reason!~"([^"]*)"/g)].map(([, reasons = '']) => reasons),
  );
  expect(left.length).toBeGreaterThan(4);
  for (const reasons of left) expect(reasons.split('|').sort()).toEqual([...expected].sort());
});

test('every series on the dashboard is one that a replica shows or a rule records', async () => {
  const known = await knownSeries();
  const named = panels().flatMap(({ targets = [] }) =>
    targets.flatMap(({ expr }) => seriesIn(filledIn(expr))),
  );
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test('every figure of ours is on the dashboard or in an alert', async () => {
  const used = new Set([
    ...panels().flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => seriesIn(filledIn(expr)))),
    ...rules().flatMap(({ expr }) => seriesIn(expr)),
  ]);
  const { registry } = new Metrics();
  const unused = (await registry.getMetricsAsJSON())
    .map(({ name }) => name)
    .filter((name) => name.startsWith('countersign_'))
    .filter((name) => !['', '_bucket', '_count', '_sum'].some((ending) => used.has(`${name}${ending}`)));
  expect(unused.sort()).toEqual([...BY_HAND].sort());
});

test('panels of the dashboard are told apart, and none lies on another', () => {
  const all = panels();
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  const overlaps = all.flatMap(({ id, title, gridPos: a }) =>
    all
      .filter(
        ({ id: other, gridPos: b }) =>
          id < other && a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h,
      )
      .map((other) => `${title}, ${other.title}`),
  );
  expect(overlaps).toEqual([]);
});

test('every series in a runbook is one that a replica shows or a rule records', async () => {
  const known = await knownSeries();
  const unknown = [...runbooks()].flatMap(([name, text]) =>
    [...text.matchAll(/\b(?:[a-z_]+:)?countersign_[a-z_]+(?::\w+)?/g)]
      .map(([series]) => series)
      .filter((series) => !known.has(series) && !known.has(`${series}_count`))
      .map((series) => `${name}: ${series}`),
  );
  expect(unknown).toEqual([]);
});

/** In backticks in runbooks, and in the blocks of shell commands of the guides. */
function commandsPrinted(): readonly string[] {
  const inline = [...runbooks().values()].flatMap((text) => [...text.matchAll(/`countersign\s+([^`]+)`/g)]);
  const blocks = [...guides().values()].flatMap((text) => [...text.matchAll(/^```sh\n(.*?)^```/gms)]);
  const lines = blocks.flatMap(([, block = '']) => [
    ...block.replaceAll('\\\n', ' ').matchAll(/^countersign ([^\n#|&>]+)/gm),
  ]);
  return [...new Set([...inline, ...lines].map(([, line = '']) => line.replace(/\s+/g, ' ').trim()))];
}

/** What the program has against a command line; empty when it would run it. */
async function objectionTo(line: string): Promise<string> {
  const program = await countersignProgram(() => true);
  let said = '';
  const heard = (text: string) => {
    said += text;
  };
  for (const command of [program, ...descendants(program)]) {
    command.configureOutput({ writeErr: heard, writeOut: heard });
    if (command.commands.length === 0) command.action(() => undefined);
  }
  const args = (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'(.*)'$/, '$1'));
  try {
    program.parse(args, { from: 'user' });
    return '';
  } catch (error) {
    return `${line}: ${error instanceof CommanderError ? said.trim() : messageOf(error)}`;
  }
}

test('every command that is printed is understood: nothing is missing of it and nothing misspelled', async () => {
  const printed = commandsPrinted();
  expect(printed.length).toBeGreaterThan(30);
  const objections = await Promise.all(printed.map(objectionTo));
  expect(objections.filter((objection) => objection !== '')).toEqual([]);
  expect(await objectionTo('freeze --config FILE --all')).toContain("required option '--reason <text>'");
  expect(await objectionTo('ledger statsu --config FILE')).toContain('unknown command');
});

test('links in runbooks and guides lead somewhere', () => {
  const anchors = (file: string): readonly string[] =>
    (readFileSync(file, 'utf8').match(/^#+ .*$/gm) ?? []).map((heading) =>
      heading
        .replace(/^#+ /, '')
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
  const isBroken = (page: string, [, target = '', anchor]: readonly string[]): boolean => {
    const file = target === '' ? page : join(dirname(page), target);
    if (!existsSync(file)) return true;
    return anchor !== undefined && !anchors(file).includes(anchor);
  };
  const links = [...runbooks(), ...guides()].flatMap(([name, text]) => {
    const page = pageOf(name);
    return [...text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)/g)].map((link) => ({ page, link }));
  });
  expect(links.length).toBeGreaterThan(150);
  expect(
    links
      .filter(({ page, link }) => isBroken(page, link))
      .map(({ page, link: [text] }) => `${page}: ${text}`),
  ).toEqual([]);
});
