/** Promtool reads the rules and runs their tests: each alert rings when it should, and none on a healthy day. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { PROMETHEUS, RULE_FILES, rules } from '../support/alerts.js';

function promtool(...args: readonly string[]) {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8' });
  return { status: error === undefined ? status : error.message, said: `${stdout}${stderr}` };
}

test('the rules are rules, and promtool sees all of them', () => {
  const { status, said } = promtool('check', 'rules', ...RULE_FILES);
  const seen = [...said.matchAll(/SUCCESS: (\d+) rules found/g)].reduce((sum, [, n]) => sum + Number(n), 0);
  expect({ status, seen }).toEqual({ status: 0, seen: rules().length });
});

test.each(['healthy', 'firing'])(
  '%s',
  (name) => {
    const { status, said } = promtool('test', 'rules', join(PROMETHEUS, `tests/${name}.test.yaml`));
    expect({ status, said }).toEqual({ status: 0, said: expect.stringContaining('SUCCESS') });
  },
  600_000,
);
