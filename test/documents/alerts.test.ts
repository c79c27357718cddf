/** Alerts, runbooks, dashboard and metrics name one another rightly. That they ring when they should: test/alerts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  alerts,
  filledIn,
  knownSeries,
  PROMETHEUS,
  panels,
  rules,
  runbooks,
  seriesIn,
} from '../support/alerts.js';
import { outcomeOf } from '../support/command.js';

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

test('every series on the dashboard is one that a replica shows or a rule records', async () => {
  const known = await knownSeries();
  const named = panels().flatMap(({ targets = [] }) =>
    targets.flatMap(({ expr }) => seriesIn(filledIn(expr))),
  );
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
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

test('every command in a runbook exists, with its options', async () => {
  const commands = new Map<string, Set<string>>();
  for (const text of runbooks().values()) {
    for (const [, line = ''] of text.matchAll(/`countersign ([^`]+)`/g)) {
      const words = /^[a-z][a-z-]*(?: [a-z][a-z-]*)*/.exec(line)?.[0] ?? '';
      const options = commands.get(words) ?? new Set();
      for (const [option] of line.matchAll(/--[a-z-]+/g)) options.add(option);
      commands.set(words, options);
    }
  }
  expect(commands.size).toBeGreaterThan(5);
  for (const [words, options] of commands) {
    const { code, stdout } = await outcomeOf([...words.split(' '), '--help']);
    const usage = stdout.split('\n')[0] ?? '';
    expect({ words, code, usage }).toEqual({
      ...{ words, code: 0 },
      usage: expect.stringContaining(`countersign ${words} [options]`),
    });
    for (const option of options) expect(stdout).toContain(option);
  }
}, 180_000);

test('links in runbooks lead somewhere', () => {
  const anchors = (file: string): readonly string[] =>
    (readFileSync(file, 'utf8').match(/^#+ .*$/gm) ?? []).map((heading) =>
      heading
        .replace(/^#+ /, '')
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
  const folder = join(PROMETHEUS, '../../docs/runbooks');
  const broken = [...runbooks()].flatMap(([name, text]) =>
    [...text.matchAll(/\]\(([^)#]+)(?:#([^)]*))?\)/g)]
      .filter(([, target = '', anchor]) => {
        const found = anchors(join(folder, target));
        return anchor !== undefined && !found.includes(anchor);
      })
      .map(([link]) => `${name}: ${link}`),
  );
  expect(broken).toEqual([]);
});
