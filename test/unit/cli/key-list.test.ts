/** Every key of a configuration, as a person sees them before and during a rotation. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { keysCommand } from '../../../src/cli/keys.js';
import { generateKeyFiles } from '../../../src/keys/generate.js';
import { DOCUMENTED_PUBLIC_KEY } from '../../support/documented-example.js';
import { rejectionOf } from '../../support/errors.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-key-list-'));
const configFile = join(dir, 'config.yaml');
const digests = new Map<string, string>();

const CONFIG = `
http: { port: 8080 }
ops: { port: 9090 }
ledger: { kind: embedded, embedded: { file: ledger.db } }
workspaces:
  - name: main
    policyFile: policy.yaml
    cosigners:
      - name: east
        protocol: fireblocks
        path: /fireblocks
        publicKeys:
          - { file: old.pub.pem, notAfter: 2027-03-02T00:00:00Z }
          - { file: new.pub.pem, notBefore: 2027-03-01T00:00:00Z }
        signers: [{ id: signs }, { id: approves, stages: [approval] }]
        answerKey: { file: answer.pem, algorithm: RS256 }
        answerKeys:
          - { signers: [approves], file: approval.pem, algorithm: ES256 }
          - { file: next.pem, algorithm: RS256, notBefore: 2027-03-01T12:00:00Z }
operators: [{ name: alice, publicKeyFile: alice.pub.pem }]
`;

beforeAll(() => {
  writeFileSync(configFile, CONFIG);
  for (const name of ['old', 'new', 'answer', 'next', 'alice', 'approval']) {
    const type = name === 'approval' ? 'p256' : 'rsa';
    digests.set(name, generateKeyFiles(type, join(dir, `${name}.pem`)).spkiSha256);
  }
});
afterAll(() => rmSync(dir, { recursive: true }));

let printed = '';
const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
  printed += String(text);
  return true;
});
afterEach(() => {
  printed = '';
});
afterAll(() => write.mockRestore());

function show(...args: readonly string[]): Promise<unknown> {
  printed = '';
  return keysCommand().parseAsync(['node', 'keys', 'show', ...args]);
}

/** File → whether its time is, and for whom it signs. */
async function statesAt(at: string): Promise<Readonly<Record<string, string>>> {
  await show('--config', configFile, '--at', at, '--json');
  const { at: told, keys } = JSON.parse(printed) as {
    readonly at: string;
    readonly keys: readonly {
      readonly file: string;
      readonly state: string;
      readonly signsFor?: readonly string[];
    }[];
  };
  expect(told).toBe(new Date(at).toISOString());
  return Object.fromEntries(
    keys.map(({ file, state, signsFor }) => [
      file.replace(`${dir}/`, ''),
      [state, ...(signsFor === undefined ? [] : [signsFor.join(' ')])].join(': '),
    ]),
  );
}

test('which keys are used, before, during and after a rotation', async () => {
  const always = { 'approval.pem': 'valid: approves', 'alice.pub.pem': 'valid' };
  expect(await statesAt('2027-02-28T23:59:59.999Z')).toEqual({
    ...always,
    'old.pub.pem': 'valid',
    'new.pub.pem': 'not-yet',
    'answer.pem': 'valid: signs *',
    'next.pem': 'not-yet: ',
  });
  expect(await statesAt('2027-03-01T01:00:00+01:00')).toEqual({
    ...always,
    'old.pub.pem': 'valid',
    'new.pub.pem': 'valid',
    'answer.pem': 'valid: signs *',
    'next.pem': 'not-yet: ',
  });
  expect(await statesAt('2027-03-02T00:00:00Z')).toEqual({
    ...always,
    'old.pub.pem': 'expired',
    'new.pub.pem': 'valid',
    'answer.pem': 'valid: ',
    'next.pem': 'valid: signs *',
  });
});

test('as text, with the digests that are compared over a second channel', async () => {
  await show('--config', configFile, '--at', '2027-03-01T13:00:00Z');
  const named = (name: string, kind: string, file = `${name}.pem`) =>
    `    ${join(dir, file)}, ${kind}\n    SPKI SHA-256 ${digests.get(name)}`;
  expect(printed).toBe(
    [
      'Workspace main, co-signer east',
      '  requests: valid, until 2027-03-02T00:00:00.000Z',
      named('old', 'RSA 2048 bit', 'old.pub.pem'),
      '  requests: valid, from 2027-03-01T00:00:00.000Z',
      named('new', 'RSA 2048 bit', 'new.pub.pem'),
      '  answers: valid, signs for nobody',
      named('answer', 'RSA 2048 bit'),
      '  answers: valid, SIGNS for approves',
      named('approval', 'P-256'),
      '  answers: valid, from 2027-03-01T12:00:00.000Z, SIGNS for signs and all others',
      named('next', 'RSA 2048 bit'),
      '',
      'Other keys',
      '  operator alice: valid',
      named('alice', 'RSA 2048 bit', 'alice.pub.pem'),
      '',
    ].join('\n'),
  );
});

test('what a replica would refuse is shown with the rest, and ends the command with its error', async () => {
  copyFileSync(join(dir, 'old.pub.pem'), join(dir, 'kept'));
  writeFileSync(join(dir, 'old.pub.pem'), DOCUMENTED_PUBLIC_KEY);
  try {
    expect(await rejectionOf(show('--config', configFile))).toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringContaining('its private half is published in the Fireblocks documentation'),
    });
    expect(printed).toContain('    PROBLEM its private half is published in the Fireblocks documentation\n');
    expect(printed).toContain(`SPKI SHA-256 ${digests.get('answer')}`);
  } finally {
    copyFileSync(join(dir, 'kept'), join(dir, 'old.pub.pem'));
  }
});

test.each<readonly [readonly string[], string]>([
  [[], 'keys show: name a key file, or a configuration with --config'],
  [['a.pem', '--config', 'c.yaml'], 'keys show: name a key file, or a configuration with --config'],
  [['a.pem', '--at', '2027-03-01T13:00:00Z'], 'keys show: name a key file, or a configuration with --config'],
  [
    ['--config', configFile, '--at', '2027-03-01'],
    'keys show: --at must be an instant such as 2026-12-01T09:00:00Z or 2026-12-01T10:00:00+01:00',
  ],
])('%j is no command', async (args, message) => {
  expect(await rejectionOf(show(...args))).toMatchObject({ code: 'USAGE', message });
});
