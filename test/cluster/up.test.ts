/** What `countersign up` promises to a person with an afternoon, and to the tools that drive it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Courier } from '../../src/simulator/courier.js';
import { ETH } from '../../src/simulator/invention.js';
import { Play } from '../../src/simulator/play.js';
import { signingAsk } from '../../src/simulator/scenarios.js';
import { type Summary, Tally } from '../../src/simulator/tally.js';
import { targetOfDirectory } from '../../src/simulator/target.js';
import type { EtherTransfer } from '../../src/simulator/transaction.js';
import { type Cluster, MAIN, startCluster } from '../support/cluster.js';

const REPLICAS = 3;
const START_MS = 90_000;

/** The vendor's documentation example (developers.fireblocks.com/reference/basic-code-example), retold in our words. */
const DOCUMENTED: EtherTransfer = {
  txId: '9c794cee-7e27-46c9-9e9a-ed68295ff06b',
  requestId: '9c794cee-7e27-46c9-9e9a-ed68295ff06b',
  asset: ETH,
  amount: 10_000_000_000_000_000n,
  source: '0',
  destination: {
    type: 'VAULT',
    subType: '',
    id: '1',
    name: 'Network Deposits',
    address: '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8',
  },
  players: [
    '21926ecc-4a8a-4614-bbac-7c591aa7efdd',
    '27900737-46f6-4097-a169-d0ff45649ed5',
    'f89cac50-c656-4e74-879f-041aff8d01b5',
  ],
  gas: { nonce: 4, limit: 21_000n, maxFeePerGas: 28_466_845_821n, maxPriorityFeePerGas: 1_000_000_000n },
};

describe.each(['redis', 'embedded'] as const)('countersign up --ledger %s', (ledger) => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster({ ledger, replicas: REPLICAS });
  }, START_MS);

  afterAll(async () => {
    await cluster?.discard();
  });

  it('prints one line of JSON when it is ready, and keeps it', () => {
    const lines = cluster.output().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[1]).toBe('');
    expect(JSON.parse(readFileSync(join(cluster.dir, 'up.json'), 'utf8'))).toEqual(cluster.up);
  });

  it('names what a tool needs to drive it', () => {
    const { up, dir } = cluster;
    expect(up).toMatchObject({ ledger, replicas: REPLICAS });
    expect(new Set(up.replicaUrls).size).toBe(REPLICAS);
    expect(new Set(up.replicaPids).size).toBe(REPLICAS);
    const opsPort = Number(new URL(up.ops).port);
    expect(up.replicaOps.map((url) => Number(new URL(url).port))).toEqual([
      opsPort + 1,
      opsPort + 2,
      opsPort + 3,
    ]);
    expect(up.cosigners.length).toBeGreaterThanOrEqual(2);
    for (const { protocol, url, privateKeyFile, signerIds, signers } of up.cosigners) {
      expect(protocol).toBe('fireblocks');
      expect(url.startsWith(up.http)).toBe(true);
      expect(signers.map(({ id }) => id)).toEqual(signerIds);
      // A private key is its owner's to read, and nobody else's.
      expect(statSync(privateKeyFile).mode & 0o077).toBe(0);
    }
    expect(existsSync(up.answerPublicKeyFile)).toBe(true);
    expect(existsSync(up.policyFile)).toBe(true);
    expect(existsSync(up.configFile)).toBe(true);
    expect(existsSync(dir)).toBe(true);
  });

  it('is live and ready, each replica and all of them', async () => {
    for (const origin of [cluster.up.ops, ...cluster.up.replicaOps]) {
      expect((await fetch(`${origin}/livez`)).status).toBe(200);
      expect((await fetch(`${origin}/readyz`)).status).toBe(200);
    }
    expect(await (await fetch(`${cluster.up.ops}/metrics`)).text()).toContain('# TYPE ');
  });

  it('approves the documentation example, signed by a co-signer of its own', async () => {
    const tally = new Tally();
    const courier = new Courier();
    const target = targetOfDirectory(cluster.dir);
    const play = new Play('documentation', 0, {
      target,
      seed: 'documentation',
      courier,
      tally,
      patience: { totalMs: 10_000, afterRetryMs: 500 },
      signal: new AbortController().signal,
    });
    const asker = play.asker('signing');
    expect(asker).toBeDefined();
    const settled = asker && (await play.settle({ ask: signingAsk(DOCUMENTED), asker }));
    courier.close();
    expect(tally.summary().violationSamples).toEqual([]);
    expect(settled).toMatchObject({ kind: 'final', answer: { action: 'APPROVE' } });
  });

  it('stands up to every scenario of the simulator', async () => {
    const { code, stdout, stderr } = await simulate('--dir', cluster.dir, '--requests', '150', '--json');
    const summary = JSON.parse(stdout) as Summary & { readonly skipped: readonly string[] };
    expect({ code, wrong: summary.violationSamples, skipped: summary.skipped }).toEqual({
      code: 0,
      wrong: [],
      skipped: [],
    });
    expect(stderr).toContain('--seed');
    const approved = summary.scenarios.reduce((sum, { outcomes }) => sum + outcomes.APPROVE, 0);
    const rejected = summary.scenarios.reduce((sum, { outcomes }) => sum + outcomes.REJECT, 0);
    expect(approved).toBeGreaterThan(10);
    expect(rejected).toBeGreaterThan(10);
  });

  it('refuses every forgery and every muddle', async () => {
    const args = ['--dir', cluster.dir, '--requests', '100', '--scenario', 'bad-signature,garbage', '--json'];
    const { code, stdout } = await simulate(...args);
    const summary = JSON.parse(stdout) as Summary;
    expect({ code, wrong: summary.violationSamples }).toEqual({ code: 0, wrong: [] });
    expect(summary.scenarios.map(({ outcomes }) => outcomes.refused).every((refused) => refused > 20)).toBe(
      true,
    );
  });

  it('lets the simulator end with its summary on Ctrl-C', async () => {
    const args = ['simulate', '--dir', cluster.dir, '--rate', '20', '--requests', '10000', '--json'];
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
    setTimeout(() => child.kill('SIGINT'), 2_000);
    const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    const { asks, violations } = JSON.parse(stdout) as Summary;
    expect({ code, violations }).toEqual({ code: 0, violations: 0 });
    expect(asks).toBeGreaterThan(3);
    expect(asks).toBeLessThan(500);
  });

  it('goes on when a replica is killed, and starts another in its place', async () => {
    const [before] = cluster.replicaPids();
    await cluster.killReplica(0);
    expect(cluster.replicaPids()).not.toContain(before);
    const { code } = await simulate(
      '--dir',
      cluster.dir,
      '--requests',
      '20',
      '--scenario',
      'happy,duplicate',
    );
    expect(code).toBe(0);
  });

  it('stops on Ctrl-C and leaves no process behind', async () => {
    await cluster.stop();
  });
});

/** Through the built program, as a person would. */
async function simulate(...args: readonly string[]) {
  const run = promisify(execFile)(process.execPath, [MAIN, 'simulate', ...args], { timeout: 60_000 });
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { readonly code: unknown; readonly stdout: string; readonly stderr: string }) => error,
  );
}
