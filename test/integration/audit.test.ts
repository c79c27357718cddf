/** The audit trail of a running cluster whose replicas are killed, and what an auditor does with it. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { countersign, outcomeOf } from '../support/command.js';
import { approving, type Deployment, deliver, eventually, writeDeployment } from '../support/deployment.js';
import { metricFamilies } from '../support/prometheus.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-audit-trail-'));
const audit = join(dir, 'audit');
const publicKey = join(dir, 'keys/checkpoint.pub.pem');
const OPERATORS = ['--operator', `own-operator=${join(dir, 'keys/own-operator.pub.pem')}`];
let redis: RedisServer;
let deployment: Deployment;
let cluster: Cluster;

beforeAll(async () => {
  redis = await startRedis({ settings: { appendfsync: 'always' } });
  deployment = writeDeployment(dir, {
    ledger: { kind: 'redis', redis: { url: redis.url } },
    policy: approving({ all: "{ sum: count, max: '100000', window: { rolling: 1h } }" }),
  });
  generateKeyFiles('ed25519', join(dir, 'keys/checkpoint.pem'));
  configure({ directory: 'audit', checkpointKey: { file: 'keys/checkpoint.pem' } });
  cluster = await startCluster({ configFile: deployment.configFile });
});

afterAll(async () => {
  await cluster?.discard();
  await redis?.stop();
  rmSync(dir, { recursive: true, force: true });
});

function configure(section: object): void {
  const config = parse(readFileSync(deployment.configFile, 'utf8'));
  writeFileSync(deployment.configFile, stringify({ ...config, audit: section }));
}

/** As a co-signer asks: until somebody answers. */
async function ask(id: string): Promise<string> {
  return eventually(
    `no answer to ${id}`,
    async () => {
      const reply = await deliver(cluster.up.http, deployment.request(id), 5_000).catch(() => undefined);
      if (reply?.status !== 200) return undefined;
      const { action } = deployment.read(reply, id);
      return action === 'RETRY' ? undefined : action;
    },
    90_000,
  );
}

const verify = (...args: readonly string[]) =>
  outcomeOf(['audit', 'verify', audit, '--public-key', publicKey, ...args]);
const exported = async () => {
  const { stdout } = await verify('--json');
  return stdout === '' ? 0 : (JSON.parse(stdout).chains?.[0]?.sequence ?? 0);
};
let answered = 0;

test('every answer is in it, whoever of the replicas is killed on the way', async () => {
  let stopped = false;
  const load = Array.from({ length: 3 }, async (_, worker) => {
    for (let n = 0; !stopped; n += 1) {
      expect(await ask(`a${worker}-${n}`)).toBe('APPROVE');
      answered += 1;
    }
  });
  for (const index of [0, 1, 2, 0]) {
    const before = answered;
    await eventually('no load', () => (answered > before + 20 ? true : undefined));
    await cluster.killReplica(index);
  }
  stopped = true;
  await Promise.all(load);
  await eventually(
    'it was not exported',
    async () => ((await exported()) >= answered + 2 ? true : undefined),
    90_000,
  );
  const shown = await outcomeOf([
    'audit',
    'show',
    audit,
    '--public-key',
    publicKey,
    '--json',
    '--last',
    '100000',
  ]);
  const requests = shown.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).body.journal?.request.requestId);
  expect(new Set(requests.filter((id) => id !== undefined)).size).toBe(answered);
  expect(answered).toBeGreaterThan(80);
});

test('the replica that exports shows how far it is, and only one does', async () => {
  const figures = async (name: string) => {
    const families = metricFamilies(await (await fetch(`${cluster.up.ops}/metrics`)).text());
    return (families.get(name)?.samples ?? []).map(
      ({ labels, value }) => [labels.replica, Number(value)] as const,
    );
  };
  const successes = async () => new Map(await figures('countersign_audit_last_success_timestamp_seconds'));
  await eventually(
    'not one alone went on',
    async () => {
      const before = await successes();
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      const moved = [...(await successes())].filter(([replica, at]) => at !== before.get(replica));
      return before.size === 3 && moved.length === 1 && Date.now() / 1000 - Number(moved[0]?.[1]) < 10
        ? true
        : undefined;
    },
    90_000,
  );
  await eventually('it is behind', async () =>
    (await figures('countersign_audit_behind_events')).some(([, value]) => value === 0) ? true : undefined,
  );
});

describe('an auditor', () => {
  test('verifies it against the ledger, the key and the operators', async () => {
    const page = await verify('--config', deployment.configFile, ...OPERATORS);
    expect(page).toMatchObject({ code: 0, stderr: '' });
    expect(page.stdout).toMatch(/^workspace {3}main, ledger [0-9a-f-]{36}$/m);
    expect(page.stdout).toMatch(/^statements {2}event 2, activation of policy [0-9a-f]{12}: own-operator$/m);
    expect(page.stdout).toMatch(/^end {9}what the ledger knows to be exported, event \d+, is there$/m);
    expect(page.stdout).toMatch(/\nUnbroken\.\n$/);
    const alone = await outcomeOf(['audit', 'verify', audit]);
    expect(alone.stdout).toContain('that shows damage, not forgery');
    expect(alone.stdout).toContain('lines cut off at the end would not be seen');
  });

  test('is not satisfied by another key, another operator, or an end that is missing', async () => {
    generateKeyFiles('ed25519', join(dir, 'keys/other.pem'));
    const other = join(dir, 'keys/other.pub.pem');
    expect(await outcomeOf(['audit', 'verify', audit, '--public-key', other])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/jsonl:1: it is signed with a key that was not given/),
    });
    expect(await verify('--operator', `own-operator=${other}`)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('event 2, activation of policy '),
    });
    expect(await verify('--expect', '1000000')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('and event 1000000 was exported: the end is missing'),
    });
  });

  test('finds a request, a transaction, a number and a time', async () => {
    const show = async (...args: readonly string[]) =>
      (await outcomeOf(['audit', 'show', audit, '--public-key', publicKey, '--json', ...args])).stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    const [found, ...others] = await show('--request', 'a1-3');
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      type: 'decision',
      body: { decision: { effect: 'approve', rule: 'approve-all' } },
    });
    expect(await show('--transaction', 'a1-3')).toEqual([found]);
    expect(await show('--sequence', String(found.sequence))).toEqual([found]);
    const after = new Date(Date.parse(found.at) + 1).toISOString();
    const around = await show('--from', found.at, '--to', after);
    expect(around.map(({ sequence }) => sequence)).toContain(found.sequence);
    expect(await show('--from', after, '--request', 'a1-3')).toEqual([]);
    const table = await outcomeOf(['audit', 'show', audit, '--request', 'a1-3']);
    expect(table.stdout).toMatch(
      /^\d+ +.* decision +approve +approval +0\.5 ETH +approve-all +APPROVED +a1-3$/m,
    );
    expect(table.stdout).toMatch(/^ {2}policy {6}[0-9a-f]{64}, active since event 2$/m);
    expect(table.stdout).toMatch(/^ {2}claims {6}TRANSFER 0\.5 ETH from VAULT\/\d+: 0\.5 ETH to /m);
    expect(table.stderr).toContain('1 events of an unbroken chain');
  });

  test('is handed a part, which verifies by itself and holds the policy in force', async () => {
    const [first, last] = (await outcomeOf(['audit', 'show', audit, '--json', '--last', '60'])).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((_, index, all) => index === 0 || index === all.length - 20);
    const out = join(dir, 'evidence');
    const made = await outcomeOf([
      'audit',
      'export',
      audit,
      '--public-key',
      publicKey,
      '--from',
      first.at,
      '--to',
      last.at,
      '--out',
      out,
      '--json',
    ]);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const manifest = JSON.parse(made.stdout);
    expect(manifest.events.first).toBeLessThanOrEqual(first.sequence);
    expect(manifest.events.last).toBeLessThan(last.sequence);
    const policy = readFileSync(join(out, manifest.policies[0].file));
    expect(createHash('sha256').update(policy).digest('hex')).toBe(first.body.decision.policyVersion);
    const verifyPart = (...more: readonly string[]) =>
      outcomeOf(['audit', 'verify', out, '--public-key', publicKey, ...more]);
    const verified = await verifyPart(...OPERATORS, '--json');
    const { version, sequence } = manifest.policies[0];
    expect(JSON.parse(verified.stdout)).toMatchObject({
      ok: true,
      chains: [{ ledger: manifest.ledger }],
      policies: [{ version, sequence, operator: 'own-operator' }],
    });
    const file = join(out, manifest.policies[0].file);
    writeFileSync(file, `${policy}# and more`);
    expect((await verifyPart()).stderr).toContain(`is not policy ${version.slice(0, 12)} as it was active`);
    writeFileSync(file, policy);
    const manifestFile = join(out, 'evidence.json');
    writeFileSync(manifestFile, JSON.stringify({ ...manifest, policies: [] }));
    expect((await verifyPart()).stderr).toMatch(/event \d+ was decided under policy \w{64}, whose document/);
    writeFileSync(manifestFile, JSON.stringify({ ...manifest, events: { ...manifest.events, last: 1e6 } }));
    expect((await verifyPart()).stderr).toContain('the end is missing');
    writeFileSync(manifestFile, JSON.stringify(manifest));
    const [chain] = JSON.parse(verified.stdout).chains;
    expect(chain.after).toBeLessThan(manifest.events.first);
    expect(chain.sequence).toBeGreaterThanOrEqual(manifest.events.last);
    const [name = ''] = readdirSync(out).filter((each) => each.startsWith('journal-'));
    const altered = readFileSync(join(out, name), 'utf8').replace('"effect":"approve"', '"effect":"reject"');
    writeFileSync(join(out, name), altered);
    expect(await outcomeOf(['audit', 'verify', out])).toMatchObject({
      code: 1,
      // Whichever comes next: another event, which names its hash, or a signed checkpoint.
      stderr: expect.stringMatching(/jsonl:\d+: (its SHA-256 is|the signed checkpoint in line \d+ says)/),
    });
    expect(
      await outcomeOf([
        'audit',
        'export',
        audit,
        '--from',
        '2020-01-01',
        '--to',
        '2020-01-02',
        '--out',
        `${out}-2`,
      ]),
    ).toMatchObject({
      code: 1,
      stderr: 'countersign: no event of that time is in the files\n',
    });
  });

  test('needs nothing of ours: sha256sum and OpenSSL agree', async () => {
    const folder = readdirSync(audit).map((name) => join(audit, name))[0] ?? '';
    const [name = ''] = readdirSync(folder).filter((each) => each.startsWith('journal-0000000000000000-'));
    const file = join(folder, name);
    const shell = (script: string) =>
      execFileSync('bash', ['-euo', 'pipefail', '-c', script, 'bash', file, publicKey], { encoding: 'utf8' });
    const lines = readFileSync(file, 'utf8').split('\n');
    const events = lines.flatMap((line, index) => (line.startsWith('{"sequence":') ? [index + 1] : []));
    expect(shell(`sed -n ${events[0]}p "$1" | tr -d '\\n' | sha256sum`)).toBe(
      `${/"previous":"(\w+)"\}$/.exec(lines[(events[1] ?? 0) - 1] ?? '')?.[1]}  -\n`,
    );
    expect(
      shell(`cd "$(mktemp -d)"
sed -n 1p "$1" | tr -d '\\n' | sed 's/,"signature":.*//' > signed
sed -n 1p "$1" | sed 's/.*"signature":"//; s/".*//' | xxd -r -p > signature
openssl pkeyutl -verify -pubin -inkey "$2" -rawin -in signed -sigfile signature
rm signed signature`),
    ).toContain('Signature Verified Successfully');
  });
});

test('it is complete when the cluster has stopped', async () => {
  expect(await ask('the-last')).toBe('APPROVE');
  await cluster.stop();
  expect(await verify('--config', deployment.configFile)).toMatchObject({ code: 0 });
  const last = await outcomeOf(['audit', 'show', audit, '--request', 'the-last']);
  expect(last.stdout).toContain('the-last');
});

test('standard output instead of files: run after run, one chain', async () => {
  expect(await outcomeOf(['audit', 'follow', '--config', deployment.configFile])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('the replicas export to audit.directory already'),
  });
  await redis.command('FLUSHALL');
  configure({ checkpointKey: { file: 'keys/checkpoint.pem' } });
  await outcomeOf(['ledger', 'init', '--config', deployment.configFile]);
  let collected = '';
  for (const reason of ['one', 'two']) {
    const frozen = [
      'freeze',
      '--all',
      '--author',
      'carol',
      '--reason',
      reason,
      '--config',
      deployment.configFile,
    ];
    expect(await outcomeOf(frozen)).toMatchObject({ code: 0 });
    const follower = countersign(['audit', 'follow', '--config', deployment.configFile]);
    await follower.says(`"reason":"${reason}"`);
    follower.signal('SIGTERM');
    expect(await follower.ended).toMatchObject({ code: 0, stderr: '' });
    collected += follower.stdout();
  }
  const file = join(dir, 'collected.jsonl');
  writeFileSync(file, collected);
  const verified = await outcomeOf([
    'audit',
    'verify',
    file,
    '--collected',
    '--public-key',
    publicKey,
    '--json',
  ]);
  expect(JSON.parse(verified.stdout)).toMatchObject({
    ok: true,
    chains: [{ after: 0, sequence: 3, events: 3 }],
  });
  const collectedArgs = [file, '--collected', '--public-key', publicKey];
  const shown = await outcomeOf(['audit', 'show', ...collectedArgs]);
  expect(shown.stdout).toMatch(/ freeze +retry +one +f\w+\n.* freeze +retry +two +f\w+\n$/);
  const out = join(dir, 'evidence-collected');
  const period = ['--from', '2020-01-01', '--to', '2100-01-01', '--out', out];
  expect(await outcomeOf(['audit', 'export', ...collectedArgs, ...period])).toMatchObject({ code: 0 });
  expect(await outcomeOf(['audit', 'verify', out, '--public-key', publicKey])).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringContaining('event 3 is there'),
  });
});
