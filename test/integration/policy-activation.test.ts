/** A running cluster under load whose rules change: by an operator's word at one point of the log, and in no other way. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withLedger } from '../../src/cli/ledger.js';
import type { JournalEvent } from '../../src/core/ports.js';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { type Ended, outcomeOf } from '../support/command.js';
import {
  type Answer,
  approving,
  type Deployment,
  deliver,
  eventually,
  problemsOf,
  writeDeployment,
} from '../support/deployment.js';
import { eventually as soon } from '../support/eventually.js';
import { readJournal } from '../support/journal.js';
import { metricFamilies } from '../support/prometheus.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-activation-'));
const FIRST = approving({ all: "{ sum: count, max: '100000', window: { rolling: 1h } }" });
let redis: RedisServer;
let deployment: Deployment;
let cluster: Cluster;

beforeAll(async () => {
  redis = await startRedis();
  deployment = writeDeployment(dir, {
    ledger: { kind: 'redis', redis: { url: redis.url } },
    policy: FIRST,
  });
  cluster = await startCluster({ configFile: deployment.configFile });
});

afterAll(async () => {
  await cluster?.discard();
  await redis?.stop();
  rmSync(dir, { recursive: true, force: true });
});

let turn = 0;

async function ask(id: string, claims: object = {}): Promise<Answer> {
  turn += 1;
  const origin = cluster.up.replicaUrls[turn % cluster.up.replicas] ?? '';
  return deployment.read(await deliver(origin, deployment.request(id, claims)), id);
}

async function approvedOf(ids: readonly string[]): Promise<number> {
  const answers = await Promise.all(ids.map((id) => ask(id)));
  expect(answers.filter(({ action }) => action !== 'APPROVE' && action !== 'REJECT')).toEqual([]);
  return answers.filter(({ action }) => action === 'APPROVE').length;
}

function ids(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

function activate(policy: string, key = deployment.operatorKeyFile): Promise<Ended> {
  writeFileSync(deployment.policyFile, policy);
  return outcomeOf(['policy', 'activate', '--json', '--config', deployment.configFile, '--key', key]);
}

function versionOf(policy: string): string {
  return createHash('sha256').update(policy).digest('hex');
}

function policyVersionOf({ body }: JournalEvent): unknown {
  return (body as { readonly decision: { readonly policyVersion: unknown } }).decision.policyVersion;
}

test('from the point of the activation in the log on, every decision is made by the new policy', async () => {
  const second = approving({
    all: "{ sum: count, max: '100000', window: { rolling: 1h } }",
    spare: "{ sum: count, max: '99999', window: { rolling: 1h } }",
  });
  let stopped = false;
  let asked = 0;
  const load = Array.from({ length: 4 }, async () => {
    while (!stopped) {
      asked += 1;
      expect((await ask(`load-${asked}`)).action).toBe('APPROVE');
    }
  });
  await eventually('no load', () => (asked > 100 ? true : undefined));
  const activated = await activate(second);
  const after = asked + 100;
  await eventually('no load', () => (asked > after ? true : undefined));
  stopped = true;
  await Promise.all(load);

  expect(activated).toMatchObject({ code: 0, stderr: '' });
  const { sequence } = JSON.parse(activated.stdout);
  const events = await readJournal(deployment.configFile);
  expect(events.find((event) => event.sequence === sequence)).toMatchObject({ type: 'policy' });
  const decided = events.filter(({ type }) => type === 'decision');
  const before = decided.filter((event) => event.sequence < sequence);
  const since = decided.filter((event) => event.sequence > sequence);
  expect(Math.min(before.length, since.length)).toBeGreaterThan(50);
  expect(new Set(before.map(policyVersionOf))).toEqual(new Set([versionOf(FIRST)]));
  expect(new Set(since.map(policyVersionOf))).toEqual(new Set([versionOf(second)]));
});

test('a new limit knows what was approved before it: exactly as many more are let through as it has room for', async () => {
  const events = await readJournal(deployment.configFile);
  const approved = events.filter(({ type }) => type === 'decision').length;
  const room = 7;
  const third = approving({
    all: "{ sum: count, max: '100000', window: { rolling: 1h } }",
    tight: `{ sum: count, max: '${approved + room}', window: { rolling: 1h } }`,
  });
  const activated = await activate(third);
  expect(activated).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(activated.stdout)).toMatchObject({ changed: true, filled: { tight: approved } });
  expect(await approvedOf(ids('tight', room + 13))).toBe(room);
});

test('what is probably not meant is said when it is activated, too', async () => {
  const misspelt = `${FIRST}\nverification: { assets: { ETHH: { gross: reject } } }\n`;
  const activated = await activate(misspelt);
  expect(activated).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(activated.stdout).warnings).toEqual([
    expect.stringMatching(/^verification\.assets\.ETHH: /),
  ]);
});

test('a limit of new destinations knows from the journal which ones are not', async () => {
  const never = (period: string) =>
    approving({ never: `{ sum: count, max: '0', window: lifetime, newDestinations: ${period} }` });
  // All that was approved before pays one destination, since more than a second ago.
  expect(await activate(never('1s'))).toMatchObject({ code: 0, stderr: '' });
  expect((await ask('to-the-known-one')).action).toBe('APPROVE');
  const elsewhere = {
    destId: '99',
    destinations: [{ dstType: 'VAULT', dstId: '99', amountNativeStr: '0.01' }],
  };
  expect((await ask('to-a-new-one', elsewhere)).action).toBe('REJECT');
  expect(await activate(never('7d'))).toMatchObject({ code: 0, stderr: '' });
  expect((await ask('since-less-than-a-week')).action).toBe('REJECT');
});

describe('an activation that no operator of the configuration signs', () => {
  test('is refused before anything is written', async () => {
    const stranger = join(dir, 'stranger.pem');
    generateKeyFiles('ed25519', stranger);
    const before = await readJournal(deployment.configFile);
    const keysBefore = await redis.command('DBSIZE');
    const refused = await activate(
      approving({ loose: "{ sum: count, max: '1000000', window: { rolling: 1h } }" }),
      stranger,
    );
    expect(refused).toEqual({
      code: 1,
      stdout: '',
      stderr: 'countersign: the signed statement is not accepted: no configured operator signed it\n',
    });
    expect(await readJournal(deployment.configFile)).toEqual(before);
    expect(await redis.command('DBSIZE')).toBe(keysBefore);
  });
});

describe('a freeze', () => {
  const freeze = {
    id: 'drill',
    scope: '{}',
    reason: 'a drill',
    author: 'somebody',
    answers: 'retry',
  } as const;

  test('holds back approvals that were given, not rejections, for as long as it lasts', async () => {
    const wide = approving({ all: "{ sum: count, max: '100000', window: { rolling: 1h } }" });
    expect(await activate(`${wide}# wide\n`)).toMatchObject({ code: 0 });
    const narrow = deployment.request('refused', { operation: 'STAKE' });
    const refuse = async () => deployment.read(await deliver(cluster.up.http, narrow), 'refused');
    expect((await ask('frozen')).action).toBe('APPROVE');
    const rejected = await refuse();
    expect(rejected.action).toBe('REJECT');

    await withLedger({ config: deployment.configFile }, (ledger) => ledger.freeze(freeze));
    for (const _ of cluster.up.replicaUrls) {
      expect((await ask('frozen')).action).toBe('RETRY');
      expect((await ask('asked-while-frozen')).action).toBe('RETRY');
      expect(await refuse()).toEqual(rejected);
    }
    await withLedger({ config: deployment.configFile }, (ledger) => ledger.unfreeze('drill', []));
    for (const _ of cluster.up.replicaUrls) {
      expect((await ask('frozen')).action).toBe('APPROVE');
      expect((await ask('asked-while-frozen')).action).toBe('APPROVE');
    }
  });
});

describe('the metrics of all replicas', () => {
  /** A replica that a busy machine keeps from answering in time is left out of the page. */
  const metricsText = () =>
    soon(async () => {
      const text = await (await fetch(`${cluster.up.ops}/metrics`)).text();
      for (const name of ['replica-1', 'replica-2', 'replica-3']) expect(text).toContain(`replica="${name}"`);
      return text;
    });

  test('are well-formed Prometheus text, and say how full the limits of the active policy are', async () => {
    const families = metricFamilies(await metricsText());
    const used = families.get('countersign_limit_used_ratio');
    expect(used?.type).toBe('gauge');
    const limits = new Set(used?.samples.map(({ labels }) => labels.limit));
    expect(limits).toEqual(new Set(['all']));
    const replicas = new Set(
      families.get('countersign_requests_total')?.samples.map(({ labels }) => labels.replica),
    );
    expect(replicas).toEqual(new Set(['replica-1', 'replica-2', 'replica-3']));
  });

  test('do not grow with what strangers and requests say', async () => {
    const nonsense = async (round: string) => {
      for (let index = 0; index < 12; index += 1) {
        const name = `${round}-${index}`;
        const url = cluster.up.replicaUrls[index % 3] ?? '';
        await fetch(`${url}/${name}`, { method: 'POST', body: name });
        await fetch(`${url}/own/v2/${name}`, { method: 'POST', body: name });
        await fetch(`${url}/own/v2/tx_sign_request`, { method: 'POST', body: name });
        await deliver(url, deployment.request(name, { operation: name, asset: name, sourceId: name }));
        await deliver(url, deployment.request(`${name}-s`, { signerId: name }));
      }
    };
    const series = async () => {
      const families = metricFamilies(await metricsText());
      const own = [...families].filter(([name]) => name.startsWith('countersign_'));
      // What nobody asks about again is looked up after half a minute: a slow machine may come so far.
      return own.flatMap(([, { samples }]) => samples).filter(({ labels }) => labels.operation !== 'lookup')
        .length;
    };
    await nonsense('first');
    const before = await series();
    await nonsense('second');
    expect(await series()).toBe(before);
  });
});

describe('a policy that was altered in the store', () => {
  test('makes every replica undecided as soon as it is looked at, and readiness names it', async () => {
    const [key = ''] = (await redis.command('KEYS', '*:policy')) as readonly string[];
    const honest = String(await redis.command('GET', key));
    const altered = honest.replace("max: '100000'", "max: '900000'");
    expect(altered).not.toBe(honest);
    await redis.command('SET', key, altered);
    const sentence = 'the active policy is not trusted: its statement is about another document';
    for (const [index, ops] of cluster.up.replicaOps.entries()) {
      await soon(async () => expect(await problemsOf(ops)).toEqual({ 'policy:main': sentence }));
      const reply = await deliver(cluster.up.replicaUrls[index] ?? '', deployment.request('altered'));
      expect(deployment.read(reply, 'altered').action).toBe('RETRY');
    }
    await soon(async () =>
      expect(await (await fetch(`${cluster.up.ops}/metrics`)).text()).toMatch(
        /countersign_undecided_total\{[^}]*reason="POLICY_UNTRUSTED"/,
      ),
    );
    await redis.command('SET', key, honest);
    expect((await ask('altered')).action).toBe('APPROVE');
    expect(readFileSync(deployment.policyFile, 'utf8')).toContain('# wide');
    await cluster.stop();
  });
});
