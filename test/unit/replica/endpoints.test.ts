/** The keys of all paths together. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config/load.js';
import { generateKeyFiles } from '../../../src/keys/generate.js';
import { loadPathKeys } from '../../../src/replica/endpoints.js';
import { errorOf } from '../../support/errors.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-endpoints-'));
beforeAll(() => {
  for (const name of ['one', 'other']) generateKeyFiles('ed25519', join(dir, `${name}.pem`));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function voter(name: string, key: string) {
  const path = `/iofinnet/Zk3vQ9xT1mB7cR5wYp2LsA8d-${name}`;
  const answerKey = { file: `${key}.pem`, algorithm: 'Ed25519' };
  return { name, protocol: 'iofinnet', path, organisation: 'us', answerKey, networks: ['10.0.0.0/8'] };
}

function load(...workspaces: readonly (readonly ReturnType<typeof voter>[])[]) {
  const file = join(dir, 'config.yaml');
  const document = {
    http: { port: 8080 },
    ops: { port: 9090 },
    ledger: { kind: 'embedded', embedded: { file: 'ledger.db' } },
    workspaces: workspaces.map((cosigners, index) => ({
      name: `w${index + 1}`,
      policyFile: 'policy.yaml',
      cosigners,
    })),
    operators: [{ name: 'alice', publicKeyFile: 'alice.pub.pem' }],
  };
  writeFileSync(file, stringify(document, { aliasDuplicateObjects: false }));
  return loadPathKeys(loadConfig(file));
}

test('Virtual Signers of one workspace may have one key: its ledger knows to which content a nonce was given', () => {
  expect(load([voter('a', 'one'), voter('b', 'one')], [voter('c', 'other')]).paths.size).toBe(3);
});

test('those of two workspaces may not', () => {
  const { code, message } = errorOf(() =>
    load([voter('a', 'one'), voter('b', 'other')], [voter('c', 'one')]),
  );
  expect(code).toBe('KEY_INVALID');
  expect(message).toContain('one.pem is the answer key of a in the workspace w1 too');
  expect(message).toContain('give c a key of its own');
});
