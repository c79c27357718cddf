/** What `countersign up` promises to a person with an afternoon, and to the tools that drive it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { signingAsk } from '../../src/simulator/asks.js';
import { Courier } from '../../src/simulator/courier.js';
import { Play } from '../../src/simulator/play.js';
import { type Summary, Tally } from '../../src/simulator/tally.js';
import { targetOfDirectory } from '../../src/simulator/target.js';
import { type Cluster, MAIN, startCluster } from '../support/cluster.js';
import { DOCUMENTED } from '../support/documented-example.js';
import { eventually } from '../support/eventually.js';
import { readJournal } from '../support/journal.js';

const REPLICAS = 3;

describe.each(['redis', 'embedded'] as const)('countersign up --ledger %s', (ledger) => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster({ ledger, replicas: REPLICAS });
  });

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
      // A check that a busy machine does not finish within a second has failed.
      await eventually(async () => expect((await fetch(`${origin}/readyz`)).status).toBe(200));
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
      patience: { totalMs: 90_000, afterRetryMs: 500 },
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
    const ended = Promise.all([text(child.stdout), once(child, 'exit')]);
    const seen = async () => (await readJournal(cluster.up.configFile)).length;
    const before = await seen();
    await eventually(async () => expect(await seen()).toBeGreaterThan(before + 5));
    child.kill('SIGINT');
    const [stdout, [code]] = await ended;
    const { asks, violations } = JSON.parse(stdout) as Summary;
    expect({ code, violations }).toEqual({ code: 0, violations: 0 });
    expect(asks).toBeGreaterThan(3);
    expect(asks).toBeLessThan(10_000);
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

  // Only this ledger has a server that can be killed.
  if (ledger === 'redis') {
    it('goes on when its Redis is killed, and forgets nothing', async () => {
      const before = await readJournal(cluster.up.configFile);
      process.kill(Number(readFileSync(join(cluster.dir, 'redis', 'redis.pid'), 'utf8')), 'SIGKILL');
      const { code, stderr } = await simulate(
        '--dir',
        cluster.dir,
        '--requests',
        '20',
        '--scenario',
        'happy',
      );
      expect({ code, stderr }).toMatchObject({ code: 0 });
      const after = await readJournal(cluster.up.configFile);
      expect(after.slice(0, before.length)).toEqual(before);
      expect(after.length).toBeGreaterThan(before.length);
      await eventually(async () => expect((await fetch(`${cluster.up.ops}/readyz`)).status).toBe(200));
    });
  }

  it('stops on Ctrl-C and leaves no process behind', async () => {
    await cluster.stop();
  });
});

/** Through the built program, as a person would. */
async function simulate(...args: readonly string[]) {
  const run = promisify(execFile)(process.execPath, [MAIN, 'simulate', ...args, '--patience', '90'], {
    timeout: 170_000,
  });
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { readonly code: unknown; readonly stdout: string; readonly stderr: string }) => error,
  );
}
