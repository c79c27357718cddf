import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { configWarnings, loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { ledgerSettings, lockNodes } from '../../src/replica/stores.js';

const folder = mkdtempSync(join(tmpdir(), 'countersign-config-redis-'));
afterAll(() => rmSync(folder, { recursive: true }));

const URL = 'redis: { url: redis://h:6379 }';
const SENTINEL = "redis: { sentinel: { name: main, nodes: ['s1:26379', 's2:26379'] } }";
const CLUSTER = "redis: { cluster: { nodes: ['c1:6379', 'c2:6379'] } }";
const WITNESSES = 'witnesses: [{ url: redis://w1 }, { url: redis://w2 }, { url: redis://w3 }]';

/** A configuration whose ledger has these lines. */
function load(...ledger: readonly string[]): Config {
  const file = join(folder, 'config.yaml');
  const locks = ledger.filter((line) => line.startsWith('locks'));
  writeFileSync(
    file,
    `http: { port: 8080 }
ops: { port: 9090 }
workspaces:
  - name: main
    policyFile: policy.yaml
    cosigners:
      - name: a
        protocol: fireblocks
        path: /fireblocks
        publicKeys: [{ file: keys/a.pub.pem }]
        answerKey: { file: keys/answer.pem, algorithm: RS256 }
operators: [{ name: alice, publicKeyFile: keys/alice.pub.pem }]
${locks.join('\n')}
ledger:
  kind: redis
${ledger
  .filter((line) => !locks.includes(line))
  .map((line) => `  ${line}\n`)
  .join('')}`,
  );
  return loadConfig(file);
}

function problemOf(...ledger: readonly string[]): string {
  try {
    load(...ledger);
  } catch (error) {
    return (error as Error).message.replaceAll(`${folder}/`, '');
  }
  return 'no problem';
}

describe('what the store is trusted to keep', () => {
  test.each<[string, readonly string[], object, readonly unknown[]]>([
    ['a standalone server: fence', [URL], { mode: 'fence', witnesses: [] }, []],
    [
      'Sentinel with witnesses: witness',
      [SENTINEL, `durability: { ${WITNESSES} }`],
      { mode: 'witness', witnesses: [{ url: 'redis://w1' }, { url: 'redis://w2' }, { url: 'redis://w3' }] },
      [],
    ],
    ['a Cluster with witnesses: witness', [CLUSTER, `durability: { ${WITNESSES} }`], { mode: 'witness' }, []],
    [
      'a standalone server, by wish with witnesses',
      [URL, `durability: { mode: witness, ${WITNESSES} }`],
      { mode: 'witness' },
      [],
    ],
    [
      'Sentinel, by wish without witnesses: a warning',
      [SENTINEL, 'durability: { mode: fence }'],
      { mode: 'fence', witnesses: [] },
      [expect.stringContaining('fence with Sentinel: after every fail-over nothing is decided until')],
    ],
    [
      'a Cluster, by wish without witnesses: a warning',
      [CLUSTER, 'durability: { mode: fence }'],
      { mode: 'fence', witnesses: [] },
      [expect.stringContaining('fence with a Cluster')],
    ],
  ])('%s', (_, ledger, durability, warnings) => {
    const config = load(...ledger);
    expect(config.ledger).toMatchObject({ durability });
    expect(configWarnings(config)).toEqual(warnings);
  });
});

test('settings are what the document says, each password from its own file, read when it is needed', () => {
  for (const name of ['data', 'sentinel', 'witness', 'ca', 'crt', 'key'])
    writeFileSync(join(folder, name), `${name}\n`);
  const config = load(
    'redis:',
    "  sentinel: { name: main, nodes: ['s1:26379'], username: s, passwordFile: sentinel, tls: { caFile: ca } }",
    '  username: d',
    '  passwordFile: data',
    '  tls: { caFile: ca, certificateFile: crt, keyFile: key }',
    'durability:',
    '  witnesses:',
    '    - { url: rediss://w1:1, username: w, passwordFile: witness, tls: { caFile: ca } }',
    '    - { url: rediss://w2:1 }',
    '    - { url: redis://w3:1 }',
  );
  const settings = ledgerSettings(config);
  expect(settings).toMatchObject({
    connection: {
      username: 'd',
      tls: { ca: 'ca\n', cert: 'crt\n', key: 'key\n' },
      sentinel: { name: 'main', nodes: ['s1:26379'], username: 's', tls: { ca: 'ca\n' } },
    },
    witnesses: [
      { url: 'rediss://w1:1', username: 'w', tls: { ca: 'ca\n' } },
      { url: 'rediss://w2:1' },
      { url: 'redis://w3:1' },
    ],
  });
  if (settings.kind !== 'redis' || !('sentinel' in settings.connection)) throw new Error('another kind');
  const asked = [settings.connection, settings.connection.sentinel, ...settings.witnesses];
  expect(asked.map((access) => access.password?.())).toEqual([
    'data',
    'sentinel',
    'witness',
    undefined,
    undefined,
  ]);
  writeFileSync(join(folder, 'data'), 'changed\n');
  expect(settings.connection.password?.()).toBe('changed');
});

test.each<[string, readonly string[], readonly string[]]>([
  ['those named', [URL, 'locks: { nodes: [{ url: redis://l1 }] }'], ['redis://l1']],
  ['the witnesses', [SENTINEL, `durability: { ${WITNESSES} }`], ['redis://w1', 'redis://w2', 'redis://w3']],
  ['the standalone server', [URL], ['redis://h:6379']],
  ['none, where servers are replicas of one another', [CLUSTER, 'durability: { mode: fence }'], []],
])('locks stand on %s', (_, ledger, urls) => {
  expect(lockNodes(load(...ledger)).map(({ url }) => url)).toEqual(urls);
});

describe('what a person sees when it is wrong', () => {
  test.each<[string, readonly string[], string]>([
    [
      'no address',
      ['redis: { username: u }'],
      'config.yaml:16: ledger.redis: must have exactly one of url, sentinel and cluster, and has none',
    ],
    [
      'two addresses',
      ["redis: { url: redis://h, cluster: { nodes: ['c:1'] } }"],
      'ledger.redis: must have exactly one of url, sentinel and cluster, and has url and cluster',
    ],
    [
      'credentials in the URL',
      ['redis: { url: redis://user:secret@h:6379 }'],
      'ledger.redis.url: must be redis://host:port or rediss://host:port; credentials stand in username and passwordFile',
    ],
    [
      'a database number',
      ['redis: { url: redis://h:6379/1 }'],
      'ledger.redis.url: must be redis://host:port',
    ],
    [
      'TLS, and not',
      ['redis: { url: redis://h, tls: { caFile: ca } }'],
      'ledger.redis.url: says redis:// and there is a tls section: write rediss://',
    ],
    [
      'half a certificate',
      ['redis: { url: rediss://h, tls: { certificateFile: c } }'],
      'ledger.redis.tls: certificateFile and keyFile belong together',
    ],
    [
      'no name of the primary',
      ["redis: { sentinel: { nodes: ['s:1'] } }"],
      'ledger.redis.sentinel.name: is missing',
    ],
    [
      'a name that is none',
      ["redis: { sentinel: { name: 'a b', nodes: ['s:1'] } }"],
      'ledger.redis.sentinel.name: must be the name that `sentinel monitor` gives the primary',
    ],
    [
      'a Sentinel without a port',
      ["redis: { sentinel: { name: m, nodes: ['s1'] } }"],
      'ledger.redis.sentinel.nodes[0]: must be host:port',
    ],
    [
      'a Sentinel twice',
      ["redis: { sentinel: { name: m, nodes: ['s:1', 'S:1'] } }"],
      'ledger.redis.sentinel.nodes[1]: the Sentinel s:1 is listed twice',
    ],
    [
      'a node of the Cluster twice',
      ["redis: { cluster: { nodes: ['c:1', 'd:1', 'c:1'] } }"],
      'ledger.redis.cluster.nodes[2]: the node c:1 is listed twice',
    ],
    [
      'Sentinel without witnesses',
      [SENTINEL],
      'ledger.durability: mode witness (the default with sentinel and cluster) needs an odd number of at least 3 witnesses, and has 0',
    ],
    [
      'an even number of witnesses',
      [CLUSTER, `durability: { mode: witness, ${WITNESSES.replace(']', ', { url: redis://w4 }]')} }`],
      'ledger.durability.witnesses: mode witness needs an odd number of at least 3 witnesses, and has 4',
    ],
    [
      'one witness',
      [URL, 'durability: { mode: witness, witnesses: [{ url: redis://w }] }'],
      'ledger.durability.witnesses: mode witness needs an odd number of at least 3 witnesses, and has 1',
    ],
    [
      'a witness twice, spelled otherwise',
      [SENTINEL, `durability: { ${WITNESSES.replace('w3', 'W1:6379')} }`],
      'ledger.durability.witnesses[2]: the witness w1:6379 is listed twice',
    ],
    [
      'a witness that is the ledger’s own server',
      [URL, `durability: { mode: witness, ${WITNESSES.replace('w2', 'h')} }`],
      'ledger.durability.witnesses[1].url: is a server of the ledger itself: a witness must be another',
    ],
    [
      'a witness that is a node of the Cluster',
      [CLUSTER, `durability: { ${WITNESSES.replace('w2', 'c2')} }`],
      'ledger.durability.witnesses[1].url: is a server of the ledger itself',
    ],
    [
      'witnesses that nobody asks',
      [URL, `durability: { ${WITNESSES} }`],
      'ledger.durability.witnesses: are not used with mode fence: set mode: witness',
    ],
    [
      'another mode',
      [URL, 'durability: { mode: naive }'],
      'ledger.durability.mode: must be fence or witness',
    ],
    [
      'an even number of lock nodes',
      [URL, 'locks: { nodes: [{ url: redis://a }, { url: redis://b }] }'],
      'locks.nodes: must be an odd number of independent servers, and are 2',
    ],
    [
      'a lock node twice',
      [URL, 'locks: { nodes: [{ url: redis://a }, { url: redis://b }, { url: redis://a:6379 }] }'],
      'locks.nodes[2]: the node a:6379 is listed twice',
    ],
  ])('%s', (_, ledger, message) => {
    expect(problemOf(...ledger)).toContain(message);
  });
});
