/**
 * Somebody activates a policy that rejects everything, on a ledger that witnesses keep, and it is taken back as the runbooks
 * say: each line of theirs is typed as it stands there, with the names and numbers of this case in it.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Cluster, MAIN, startCluster } from '../support/cluster.js';
import { approving, type Deployment, deliver, eventually, writeDeployment } from '../support/deployment.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-mistake-'));
const POLICY = approving({ all: "{ sum: count, max: '3', window: lifetime }" });
let server: RedisServer;
let witnesses: readonly RedisServer[] = [];
let deployment: Deployment;
let cluster: Cluster;

beforeAll(async () => {
  mkdirSync(join(dir, 'bin'));
  writeFileSync(join(dir, 'bin', 'countersign'), `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`, {
    mode: 0o755,
  });
  [server, ...witnesses] = await Promise.all([startRedis(), startRedis(), startRedis(), startRedis()]);
  deployment = writeDeployment(dir, {
    ledger: {
      kind: 'redis',
      redis: { url: server.url },
      durability: { mode: 'witness', witnesses: witnesses.map(({ url }) => ({ url })) },
    },
    policy: POLICY,
    deadline: '2s',
  });
  writeFileSync(
    join(dir, 'wrong.yaml'),
    POLICY.replace(/^ {4}limits: .*\n {4}effect: approve$/m, '    effect: reject'),
  );
  cluster = await startCluster({ configFile: deployment.configFile, replicas: 2 });
});

afterAll(async () => {
  await cluster?.discard();
  await Promise.all([server, ...witnesses].map((each) => each?.stop()));
  rmSync(dir, { recursive: true, force: true });
});

async function answer(id: string): Promise<string> {
  const reply = await deliver(cluster.up.http, deployment.request(id)).catch(() => undefined);
  return reply?.status === 200 ? deployment.read(reply, id).action : 'none';
}

/** As co-signers do, until there is an answer that stands. */
const ask = (id: string) =>
  eventually(
    `no answer to ${id}`,
    async () => {
      const action = await answer(id);
      return ['RETRY', 'none'].includes(action) ? undefined : action;
    },
    90_000,
  );

/** The lines that a runbook says to type. */
function linesOf(alert: string): readonly string[] {
  const page = readFileSync(`docs/runbooks/${alert}.md`, 'utf8');
  const blocks = [...page.matchAll(/^ *```sh\n(.*?)^ *```$/gms)];
  return blocks.flatMap(([, block = '']) => block.trim().split('\n')).map((line) => line.trim());
}

/** Types one of them. */
function type(line: string): Promise<{ readonly code: unknown; readonly out: string; readonly err: string }> {
  const typed = line
    .replaceAll('FILE', deployment.configFile)
    .replaceAll('OPERATOR.pem', deployment.operatorKeyFile)
    .replaceAll('YOU', 'me');
  const env = { ...process.env, PATH: `${join(dir, 'bin')}:${process.env.PATH}` };
  return new Promise((resolve) => {
    execFile('sh', ['-c', typed], { cwd: dir, env }, (error, out, err) =>
      resolve({ code: error?.code ?? 0, out, err }),
    );
  });
}

async function says(line: string): Promise<string> {
  const { code, out, err } = await type(line);
  expect([line, code, err]).toEqual([line, 0, '']);
  return out;
}

const [activations = '', before = '', after = '', difference = ''] = linesOf('CountersignPolicyChanged');
const [freeze = '', activate = '', unfreeze = '', rejected = ''] = linesOf('CountersignNothingApproved');

test('the policy that was active before is found, made active again, and what was lost meanwhile is listed', async () => {
  expect(await ask('good')).toBe('APPROVE');
  const mistake = await type(activate.replace('before.yaml', 'wrong.yaml'));
  expect([mistake.code, mistake.out]).toEqual([0, expect.stringContaining('NOTHING IS APPROVED')]);
  expect([await ask('lost-1'), await ask('lost-2')]).toEqual(['REJECT', 'REJECT']);

  const rows = (await says(activations)).trim().split('\n');
  expect(rows).toEqual(Array(2).fill(expect.stringMatching(/ signed by own-operator$/)));
  const [first = 0, second = 0] = rows.map((row) => Number(row.split(' ')[0]));
  await says(before.replace('== 2', `== ${first}`));
  await says(after.replace('== 15', `== ${second}`));
  expect(readFileSync(join(dir, 'before.yaml'), 'utf8')).toBe(POLICY);
  expect(await type(difference)).toMatchObject({
    code: 1,
    out: expect.stringMatching(/^< +effect: approve\n---\n> +effect: reject$/m),
  });

  const frozen = await says(freeze);
  expect(await answer('meanwhile')).toBe('RETRY');
  const again = await type(activate);
  expect([again.code, again.out]).toEqual([0, expect.not.stringContaining('NOTHING IS APPROVED')]);
  expect(await answer('meanwhile')).toBe('RETRY');
  const [id = ''] = /\bfreeze-\S+|[0-9a-f-]{8,}/.exec(frozen) ?? [];
  await says(unfreeze.replace('ID', id));

  // What was told to wait is approved, and what was charged before the mistake still is.
  expect(await ask('meanwhile')).toBe('APPROVE');
  expect(await ask('lost-1')).toBe('REJECT');
  expect([await ask('third'), await ask('fourth')]).toEqual(['APPROVE', 'REJECT']);

  const third = (await says(activations)).trim().split('\n').at(-1)?.split(' ')[0] ?? '';
  const listed = rejected.replace('> 15', `> ${second}`).replace('< 40', `< ${third}`);
  const ids = (await says(listed))
    .trim()
    .split('\n')
    .map((row) => row.split('\t')[0]);
  expect(ids.sort()).toEqual(['lost-1', 'lost-2']);
});

test('a server that comes back empty gets the policy that was taken back, and its limits, from the witnesses', async () => {
  await server.command('FLUSHALL');
  await server.restart();
  expect([await ask('fifth'), await ask('third'), await ask('lost-2')]).toEqual([
    'REJECT',
    'APPROVE',
    'REJECT',
  ]);
  const rows = (await says(activations)).trim().split('\n');
  const versions = rows.map((row) => /[0-9a-f]{12} signed by own-operator$/.exec(row)?.[0]);
  expect(versions[2]).toBe(versions[0]);
  expect(await says('countersign status --config FILE')).toContain(
    `policy      ${versions[2]?.slice(0, 12)}`,
  );
});
