/** What of a changed document is taken without a restart, and what is only named. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config/load.js';
import type { Config } from '../../../src/config/schema.js';
import { filesReadOnce, takenFrom } from '../../../src/replica/rekeying.js';
import { errorOf } from '../../support/errors.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-rekeying-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const EAST = {
  name: 'east',
  protocol: 'fireblocks',
  path: '/east',
  publicKeys: [{ file: 'east.pub.pem' }],
  signers: [{ id: 'one' }],
  answerKey: { file: 'answer.pem', algorithm: 'RS256' },
};
const VOTES = {
  name: 'votes',
  protocol: 'iofinnet',
  path: '/votes/Zk3vQ9xT1mB7cR5wYp2LsA8d',
  organisation: 'us',
  answerKey: { file: 'vote.pem', algorithm: 'Ed25519' },
  networks: ['10.0.0.0/8'],
};

function documentOf(cosigners: readonly object[], more: object = {}): Config {
  const file = join(dir, 'config.yaml');
  const document = {
    http: { port: 8080 },
    ops: { port: 9090 },
    ledger: { kind: 'embedded', embedded: { file: 'ledger.db' } },
    workspaces: [{ name: 'main', policyFile: 'policy.yaml', cosigners }],
    operators: [{ name: 'alice', publicKeyFile: 'alice.pub.pem' }],
    ...more,
  };
  writeFileSync(file, stringify(document, { aliasDuplicateObjects: false }));
  return loadConfig(file);
}

const RUNNING = documentOf([EAST, VOTES]);

test('nothing changed: nothing is pending', () => {
  expect(takenFrom(documentOf([EAST, VOTES]), RUNNING)).toEqual({ config: RUNNING, pending: [] });
});

test('keys, signers and networks are taken, also when a field comes or goes', () => {
  const { signers: _, ...unlisted } = EAST;
  const next = documentOf([
    {
      ...unlisted,
      publicKeys: [{ file: 'next.pub.pem' }],
      answerKeys: [{ file: 'n.pem', algorithm: 'ES256' }],
    },
    { ...VOTES, networks: ['10.1.0.0/16'], requestKeys: [{ file: 'vs.pub.pem' }] },
  ]);
  expect(takenFrom(next, RUNNING)).toEqual({ config: next, pending: [] });
});

describe('everything else is named and stays as it is', () => {
  const changed = { ...EAST, publicKeys: [{ file: 'next.pub.pem' }] };
  const taken = documentOf([changed, VOTES]);
  test.each<readonly [string, Config, readonly string[]]>([
    [
      'general fields',
      documentOf([changed, VOTES], { drain: '9s', http: { port: 8081 } }),
      ['http.port', 'drain'],
    ],
    ['another path', documentOf([{ ...changed, path: '/west' }, VOTES]), ['workspaces[0].cosigners[0].path']],
    ['a co-signer that goes', documentOf([changed]), ['workspaces[0].cosigners']],
    [
      'one that comes',
      documentOf([changed, VOTES, { ...EAST, name: 'west', publicKeys: [{ file: 'west.pub.pem' }] }]),
      ['workspaces[0].cosigners'],
    ],
    [
      'another operator',
      documentOf([changed, VOTES], { operators: [{ name: 'alice', publicKeyFile: 'other.pem' }] }),
      ['operators[0].publicKeyFile'],
    ],
  ])('%s', (_, next, pending) => {
    expect(takenFrom(next, RUNNING)).toEqual({ config: taken, pending });
  });

  test('and no value is: a path may be a secret', () => {
    const next = documentOf([EAST, { ...VOTES, path: '/votes/another-Zk3vQ9xT1mB7cR5wYp2Ls' }]);
    expect(JSON.stringify(takenFrom(next, RUNNING).pending)).toBe('["workspaces[0].cosigners[1].path"]');
  });
});

test('what can be taken is refused when it does not go with what cannot', () => {
  const next = documentOf([EAST, { ...VOTES, clientCertificates: ['ab'.repeat(32)] }], {
    http: { port: 8080, tls: { certificateFile: 'a.pem', keyFile: 'a.key', clientCaFile: 'ca.pem' } },
  });
  expect(errorOf(() => takenFrom(next, RUNNING))).toMatchObject({
    code: 'CONFIG_INVALID',
    message:
      'what can be taken without a restart does not go with what cannot: needs http.tls.clientCaFile: nobody shows a certificate otherwise',
  });
});

test('files that are read once are those of operators, audit, API and stores; a password and the database are not', () => {
  const config = documentOf([EAST, VOTES], {
    ledger: {
      kind: 'redis',
      redis: { url: 'rediss://r:6379', passwordFile: 'password', tls: { caFile: 'ca.pem' } },
      durability: {
        mode: 'witness',
        witnesses: ['a', 'b', 'c'].map((host) => ({
          url: `rediss://${host}:6379`,
          tls: { caFile: `${host}.pem` },
        })),
      },
    },
    audit: { directory: 'audit', checkpointKey: { file: 'checkpoint.pem' } },
  });
  expect([...filesReadOnce(config)]).toEqual(
    [
      ['operators[0].publicKeyFile', 'alice.pub.pem'],
      ['audit.checkpointKey.file', 'checkpoint.pem'],
      ['ledger.redis.tls.caFile', 'ca.pem'],
      ['ledger.durability.witnesses[0].tls.caFile', 'a.pem'],
      ['ledger.durability.witnesses[1].tls.caFile', 'b.pem'],
      ['ledger.durability.witnesses[2].tls.caFile', 'c.pem'],
    ].map(([field = '', file = '']) => [field, join(dir, file)]),
  );
  expect([...filesReadOnce(RUNNING).keys()]).toEqual(['operators[0].publicKeyFile']);
});
