import { stripVTControlCharacters } from 'node:util';
import { expect, test } from '@jest/globals';
import { pretty } from '../../../src/telemetry/pretty.js';

const LINE = {
  level: 'warn',
  time: '2026-11-21T14:37:52.123Z',
  replica: 'replica-1',
  workspace: 'main',
  steps: { commit: 1.2 },
  ms: 3.4,
  msg: 'undecided',
};

test('a line has the time, the level, what happened, and every fact', () => {
  const text = pretty(JSON.stringify(LINE));
  expect(stripVTControlCharacters(text)).toBe(
    '14:37:52.123 warn  replica-1 undecided  workspace=main steps={"commit":1.2} ms=3.4\n',
  );
});

test('a stack stands below its line', () => {
  const text = pretty(JSON.stringify({ level: 'error', msg: 'unexpected fault', stack: 'Error: x\n  at y' }));
  expect(stripVTControlCharacters(text)).toContain('unexpected fault\nError: x\n  at y\n');
});

test('what comes from outside cannot move the cursor of a terminal', () => {
  const evil = { msg: 'm', problem: 'a\u001b[2Jb\u009b2Jc\r\nd', stack: 's\u001b[2J\u009bt' };
  const text = pretty(JSON.stringify(evil));
  const bare = [0, 2, 31, 32, 33].reduce((left, colour) => left.replaceAll(`\u001b[${colour}m`, ''), text);
  expect(bare).not.toMatch(/(?!\n)\p{Cc}/u);
  expect(text.split('\n')).toHaveLength(3);
});

test('what is no JSON stays as it is', () => {
  expect(pretty('plain text\n')).toBe('plain text\n');
});
