/** The simulator's co-signers on a cluster that serves TLS: one that signs, one that speaks plain JSON, both pin the key. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { authority, certificate } from '../support/certificates.js';
import { writeChannels } from '../support/channels.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import { decisionsOf, readJournal } from '../support/journal.js';

const POLICY = `version: 1
limits:
  eth: { sum: native, max: '2', window: lifetime }
rules:
  - name: not-to-everybody
    match: { kind: transaction, asset: [ETH], amount: { min: '0.9' } }
    effect: reject
  - name: approve
    match: { kind: transaction, operation: [TRANSFER], asset: [ETH] }
    limits: [eth]
    effect: approve
  - name: changes
    match: { kind: config-change }
    effect: ignore
`;

const dir = mkdtempSync(join(tmpdir(), 'countersign-simulated-'));
let cluster: Cluster | undefined;

beforeAll(async () => {
  const root = authority(dir, 'root');
  const served = certificate(dir, root, 'IP:127.0.0.1');
  const { configFile } = await writeChannels(dir, {
    policy: POLICY,
    tls: { certificateFile: served.certificate, keyFile: served.key },
    cosigners: { signing: {}, plain: { mode: 'json', networks: ['127.0.0.1'] } },
  });
  cluster = await startCluster({ configFile, replicas: 2 });
});

afterAll(async () => {
  await cluster?.stop();
  await cluster?.discard();
  rmSync(dir, { recursive: true, force: true });
});

function running(): Cluster {
  if (cluster === undefined) throw new Error('there is no cluster');
  return cluster;
}

interface Scenario {
  readonly scenario: string;
  readonly outcomes: Readonly<Record<string, number>>;
}

async function simulate(...args: readonly string[]) {
  const { code, stdout, stderr } = await outcomeOf([
    'simulate',
    '--patience',
    '90',
    ...args,
    '--seed',
    'channels',
    '--json',
  ]);
  if (stdout === '') return { code, stderr, violationSamples: [], scenarios: [] as readonly Scenario[] };
  const summary = JSON.parse(stdout) as {
    readonly violationSamples: readonly unknown[];
    readonly scenarios: readonly Scenario[];
  };
  return { code, stderr, ...summary };
}

test('every scenario of both, among two replicas: nothing wrong, nothing charged twice', async () => {
  const { dir: folder, up } = running();
  const { code, violationSamples, scenarios } = await simulate('--dir', folder, '--requests', '150');
  expect({ code, violationSamples }).toEqual({ code: 0, violationSamples: [] });
  const played = scenarios.map(({ scenario }) => scenario);
  expect(played).toEqual(expect.arrayContaining(['conflict', 'bad-signature', 'plain-garbage', 'burst']));
  const asked = scenarios.reduce((sum, { outcomes }) => sum + (outcomes.APPROVE ?? 0), 0);
  expect(asked).toBeGreaterThan(5);
  const decisions = decisionsOf(await readJournal(up.configFile));
  const approved = decisions.filter(({ decision }) => decision.effect === 'approve');
  const total = approved.flatMap(({ charged }) => charged).reduce((sum, { added }) => sum + added, 0n);
  expect(total).toBeGreaterThan(0n);
  expect(total).toBeLessThanOrEqual(2n * 10n ** 18n);
});

describe('by hand', () => {
  const plain = () => [
    '--url',
    `${running().up.http}/plain`,
    '--mode',
    'json',
    '--signer',
    'approver=approval,signing',
  ];
  const pin = () => {
    const line = execFileSync(
      process.execPath,
      ['dist/main.js', 'keys', 'pin', join(dir, 'IP-127-0-0-1.crt')],
      {
        encoding: 'utf8',
      },
    );
    return /^pin +(\S+)$/m.exec(line)?.[1] ?? '';
  };

  test('with the pinned key, and with the root', async () => {
    for (const trust of [
      ['--pin', pin()],
      ['--ca', join(dir, 'root.pem')],
    ]) {
      const { code, violationSamples } = await simulate(...plain(), ...trust, '--requests', '20');
      expect({ code, violationSamples }).toEqual({ code: 0, violationSamples: [] });
    }
  });

  test('with another key nothing is sent', async () => {
    const before = (await readJournal(running().up.configFile)).length;
    const other = `sha256//${Buffer.alloc(32, 7).toString('base64')}`;
    const args = ['--pin', other, '--requests', '2', '--patience', '1', '--scenario', 'happy'];
    const { code, violationSamples } = await simulate(...plain(), ...args);
    expect(code).toBe(1);
    expect(JSON.stringify(violationSamples)).toContain('the public key of the server is not the pinned one');
    expect(await readJournal(running().up.configFile)).toHaveLength(before);
  });

  test.each<[string, readonly string[], string]>([
    ['a key', ['--key', 'a.pem'], 'with --mode json nothing is signed: leave --key and --answer-key out'],
    [
      'a pin that is none',
      ['--pin', 'sha256//x'],
      '--pin must be sha256//…, as countersign keys pin prints it',
    ],
    ['a pin and a root', ['--pin', 'x', '--ca', 'y'], '--pin and --ca exclude one another'],
  ])('%s: refused', async (_, args, message) => {
    const { code, stderr } = await simulate(...plain(), ...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  });
});

test('what up leaves behind says how its replicas are known', () => {
  const { dir: folder } = running();
  const up = JSON.parse(readFileSync(join(folder, 'up.json'), 'utf8'));
  expect(up.http).toMatch(/^https:/);
  expect(up.certificateFile).toBe(join(dir, 'IP-127-0-0-1.crt'));
  expect(up.cosigners).toMatchObject([
    { name: 'signing', mode: 'jwt' },
    { name: 'plain', mode: 'json', privateKeyFile: null },
  ]);
});
