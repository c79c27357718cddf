/** What a configuration may say of notifications, and the sentence for what it may not. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.js';

const folder = mkdtempSync(join(tmpdir(), 'countersign-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const WEBHOOKS = { path: '/hooks', workspaceIds: ['w-1'], jwks: { url: 'https://keys.example/jwks.json' } };
const THUMBPRINT = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';

function workspace(name: string, more: object) {
  return {
    name,
    policyFile: 'policy.yaml',
    cosigners: [
      {
        name: `${name}-cosigner`,
        protocol: 'fireblocks',
        path: '/fireblocks',
        publicKeys: [{ file: 'keys/a.pub.pem' }],
        signers: [{ id: 'asks-here' }],
        answerKey: { file: 'keys/answer.pem', algorithm: 'RS256' },
      },
    ],
    ...more,
  };
}

function load(server: object | undefined, ...workspaces: readonly object[]) {
  const file = join(folder, 'config.yaml');
  const document = {
    http: { port: 8080 },
    ops: { port: 9090 },
    ...(server && { webhooks: server }),
    ledger: { kind: 'redis', redis: { url: 'redis://127.0.0.1:6379' } },
    workspaces: workspaces.map((more, index) => workspace(`w${index}`, more)),
    operators: [{ name: 'alice', publicKeyFile: 'keys/alice.pub.pem' }],
  };
  writeFileSync(file, stringify(document));
  return loadConfig(file);
}

function problemOf(server: object | undefined, ...workspaces: readonly object[]): string {
  try {
    load(server, ...workspaces);
  } catch (error) {
    return (error as Error).message;
  }
  return 'no problem';
}

test('little is needed, and what is not said is the safe thing', () => {
  const config = load({ port: 8090 }, { webhooks: WEBHOOKS });
  expect(config.webhooks).toEqual({ host: '0.0.0.0', port: 8090, bodyLimit: 1024 * 1024 });
  expect(config.workspaces[0]).toMatchObject({ otherSigners: [], webhooks: WEBHOOKS });
  expect(load(undefined, {}).webhooks).toBeUndefined();
});

test('keys come from one place: a URL, pinned or not, or a file', () => {
  const of = (jwks: object) => problemOf({ port: 8090 }, { webhooks: { ...WEBHOOKS, jwks } });
  const url = 'https://keys.example/.well-known/jwks.json';
  expect(of({ url })).toBe('no problem');
  expect(of({ url, pins: [THUMBPRINT] })).toBe('no problem');
  expect(of({ file: 'jwks.json' })).toBe('no problem');
  for (const loopback of ['http://127.0.0.1:8000/jwks', 'http://localhost/jwks', 'http://[::1]:1/jwks'])
    expect(of({ url: loopback })).toBe('no problem');
  expect(of({})).toContain('jwks.url: is missing');
  expect(of({ url, file: 'jwks.json' })).toContain('jwks.file: unknown key');
  expect(of({ file: 'jwks.json', pins: [THUMBPRINT] })).not.toBe('no problem');
  for (const bad of [
    'http://keys.example/jwks',
    'http://127.0.0.1.example/jwks',
    'ftp://x/y',
    'https://me:secret@x/y',
  ])
    expect([bad, of({ url: bad })]).toEqual([bad, expect.stringMatching(/must be https:|must have a url/)]);
  expect(of({ url, pins: [] })).not.toBe('no problem');
  expect(of({ url, pins: ['ab:cd'] })).toContain('must be a thumbprint (RFC 7638, SHA-256)');
});

test.each<[string, object | undefined, readonly object[], string]>([
  [
    'no port',
    undefined,
    [{ webhooks: WEBHOOKS }],
    'workspaces[0].webhooks: needs the section webhooks with a port',
  ],
  ['nobody for the port', { port: 8090 }, [{}], 'webhooks: is used by no workspace: none has webhooks'],
  [
    'the port of co-signers',
    { port: 8080 },
    [{ webhooks: WEBHOOKS }],
    'webhooks.port: must differ from http.port and ops.port',
  ],
  [
    'the port of the platform',
    { port: 9090 },
    [{ webhooks: WEBHOOKS }],
    'webhooks.port: must differ from http.port and ops.port',
  ],
  [
    'a path twice',
    { port: 8090 },
    [{ webhooks: WEBHOOKS }, { webhooks: WEBHOOKS }],
    'workspaces[1].webhooks.path: is the path of another workspace',
  ],
  // Everybody's notifications are signed with the vendor's keys.
  [
    'no workspace of the vendor',
    { port: 8090 },
    [{ webhooks: { ...WEBHOOKS, workspaceIds: [] } }],
    'workspaceIds',
  ],
  [
    'somebody who asks here',
    { port: 8090 },
    [{ webhooks: WEBHOOKS, otherSigners: ['asks-here'] }],
    'names a signer of a co-signer: that one asks here',
  ],
  ['a switch that is not there', { port: 8090 }, [{ webhooks: { ...WEBHOOKS, verify: false } }], 'verify'],
])('%s is refused', (_what, server, workspaces, problem) => {
  expect(problemOf(server, ...workspaces)).toContain(problem);
});
