/** Bad policy documents, each beside the exact message that its author would see. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { compilePolicy } from '../../src/core/policy/compile.js';
import { testChains } from '../support/chains.js';

const FOLDER = 'test/documents/policy';
const documents = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));

function messageFor(text: string): string {
  try {
    compilePolicy(text, 'policy.yaml', testChains);
    return 'accepted';
  } catch (error) {
    expect(error).toMatchObject({ code: 'POLICY_INVALID' });
    return error instanceof Error ? error.message : String(error);
  }
}

test('there are documents to look at', () => expect(documents.length).toBeGreaterThan(20));

test.each(documents)('%s is refused in the words of its .message', (name) => {
  const text = readFileSync(`${FOLDER}/${name}`, 'utf8');
  const message = readFileSync(`${FOLDER}/${name.replace('.yaml', '.message')}`, 'utf8');
  expect(messageFor(text)).toBe(message.trimEnd());
});

test('a document above a mebibyte is not read', () => {
  expect(messageFor(`# ${'x'.repeat(1024 * 1024)}`)).toBe('policy.yaml: larger than 1 MiB');
});

test.each([
  ['lists', '['.repeat(200_000)],
  ['blocks', '- '.repeat(200_000)],
  ['mappings', `${'{a: '.repeat(100_000)}1${'}'.repeat(100_000)}`],
])('nesting of %s does not exhaust the stack', (_, text) => {
  expect(messageFor(text)).toBe('policy.yaml: nested too deep');
});

test.each([
  [
    'rules',
    `rules: [${'{ name: a, effect: reject }, '.repeat(1001)}]`,
    'rules: must have at most 1000 rules',
  ],
  ['list entries', `lists: { a: [${'x, '.repeat(10_001)}] }`, 'lists.a: must have at most 10000 entries'],
  [
    'limits',
    `limits: {${Array.from({ length: 201 }, (_, index) => ` l${index}: { sum: count, max: '1', window: lifetime }`).join(',')} }`,
    'limits: must have at most 200 entries',
  ],
])('too many %s are refused', (_, section, message) => {
  expect(messageFor(`version: 1\n${section}\n`)).toContain(`policy.yaml:2: ${message}`);
});
