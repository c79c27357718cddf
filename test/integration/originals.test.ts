/** Original messages of a running replica: kept word for word, for nobody but their recipient, and never in the way. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { originalsFilesIn } from '../../src/audit/file.js';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { APPROVAL, transactionArgument } from '../support/approval-contract.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import { payloadOf, rsaPair, token } from '../support/cosigner.js';
import {
  approving,
  type Deployment,
  deliver,
  EMBEDDED,
  eventually,
  writeDeployment,
} from '../support/deployment.js';
import { ask, writeVotingDeployment } from '../support/iofinnet-deployment.js';
import { metricFamilies } from '../support/prometheus.js';
import { startRedis } from '../support/redis-server.js';
import { type RunningReplica, startReplica } from '../support/replica.js';
import { legacyTransfer, nonceHeaders } from '../support/virtual-signer.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-kept-'));
const privateKeyFile = join(dir, 'recipient.pem');
const recipientKeyFile = join(dir, 'recipient.pub.pem');
let fingerprint: string;

beforeAll(() => {
  // As the page for auditors says, word for word.
  const commands = readFileSync('docs/audit.md', 'utf8').match(/^openssl .*recipient.*$/gm) ?? [];
  expect(commands).toHaveLength(3);
  const shell = ['-euo', 'pipefail', '-c', commands.join('\n')];
  fingerprint = execFileSync('bash', shell, { cwd: dir, encoding: 'utf8', stdio: 'pipe' }).slice(0, 64);
  generateKeyFiles('ed25519', join(dir, 'checkpoint.pem'));
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function keepIn(configFile: string, directory: string, recipient = recipientKeyFile): void {
  const config = parse(readFileSync(configFile, 'utf8'));
  const audit = {
    checkpointKey: { file: join(dir, 'checkpoint.pem') },
    originals: { directory, recipientKeyFile: recipient },
  };
  writeFileSync(configFile, stringify({ ...config, audit }));
}

interface Kept {
  readonly original: {
    readonly requestId: string;
    readonly sequence?: number;
    readonly protocol: string;
    readonly request: {
      readonly route: string;
      readonly headers: Record<string, string>;
      readonly body: string;
    };
    readonly answer: {
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body: string;
    };
  };
  readonly requestSignedBy?: string;
  readonly answerSignedBy?: string;
  readonly file: string;
  readonly line: number;
}

const open = (folder: string, ...more: readonly string[]) =>
  outcomeOf(['audit', 'open', folder, '--key', privateKeyFile, ...more]);

async function kept(folder: string, ...more: readonly string[]): Promise<readonly Kept[]> {
  const { code, stdout, stderr } = await open(folder, '--json', ...more);
  if (code !== 0) throw new Error(stderr);
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

describe('a cluster whose replicas are killed', () => {
  const folder = join(dir, 'cluster/originals');
  const answers = new Map<string, string>();
  let deployment: Deployment;
  let cluster: Cluster;

  beforeAll(async () => {
    deployment = writeDeployment(join(dir, 'cluster'), { ledger: EMBEDDED, policy: approving() });
    keepIn(deployment.configFile, 'originals');
    cluster = await startCluster({ configFile: deployment.configFile, replicas: 2 });
  });

  afterAll(async () => {
    await cluster?.discard();
  });

  /** In at most a few deliveries, of which only the last is answered. */
  async function asked(id: string): Promise<void> {
    const body = deployment.request(id);
    // In turn: a connection that is kept open would lead to one of them alone.
    const origin = cluster.up.replicaUrls[answers.size % cluster.up.replicas] ?? '';
    const reply = await eventually(
      'no answer',
      async () => {
        const got = await deliver(origin, body).catch(() => undefined);
        return got?.status === 200 ? got : undefined;
      },
      90_000,
    );
    expect(deployment.read(reply, id).action).toBe('APPROVE');
    answers.set(body, reply.body);
  }

  test('the files hold every message and its answer, once', async () => {
    for (const round of [0, 1, 2]) {
      for (let n = 0; n < 10; n += 1) await asked(`kept-${round}-${n}`);
      await eventually('they were not written', async () => {
        const files = existsSync(folder) ? originalsFilesIn([folder]) : [];
        const lines = files.flatMap((file) => readFileSync(file, 'utf8').split('\n').slice(0, -1));
        return lines.length >= answers.size ? true : undefined;
      });
      if (round < 2) await cluster.killReplica(round);
    }
    const all = await kept(folder);
    expect(all.map(({ original }) => [original.request.body, original.answer.body]).sort()).toEqual(
      [...answers].sort(),
    );
    expect(originalsFilesIn([folder]).length).toBeGreaterThanOrEqual(3);
    const sum = async (...names: readonly string[]) => {
      const families = metricFamilies(await (await fetch(`${cluster.up.ops}/metrics`)).text());
      const samples = names.flatMap((name) => families.get(name)?.samples ?? []);
      return samples.reduce((all, { value }) => all + Number(value), 0);
    };
    // What stands in a file is counted when the disk has it.
    await eventually('they are not counted', async () =>
      (await sum('countersign_originals_written_total')) >= 10 ? true : undefined,
    );
    expect(await sum('countersign_originals_dropped_total', 'countersign_originals_errors_total')).toBe(0);
  });

  test('nobody else reads a word of them', () => {
    const text = readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'latin1'))
      .join('');
    for (const [request, answer] of answers)
      for (const token of [request, answer])
        for (const part of token.split('.').slice(1)) {
          expect(text).not.toContain(part);
          expect(text).not.toContain(Buffer.from(part).toString('base64url').slice(8, 48));
        }
    const [, header = ''] = /"jwe":"([\w-]+)\./.exec(text) ?? [];
    expect(JSON.parse(Buffer.from(header, 'base64url').toString()).kid).toBe(fingerprint);
    for (const word of [
      'APPROVE',
      'TRANSFER',
      'approver',
      payloadOf([...answers.keys()][0] ?? '').slice(0, 12),
    ])
      expect(text).not.toContain(word);
  });

  test('an auditor learns who signed, finds one by its request or time, and the event in the journal', async () => {
    const keys = ['--public-key', join(dir, 'cluster/keys/own-cosigner.pub.pem')];
    const all = await kept(folder, ...keys);
    expect(new Set(all.map(({ requestSignedBy }) => requestSignedBy))).toEqual(new Set([keys[1]]));
    expect(new Set(all.map(({ answerSignedBy }) => answerSignedBy))).toEqual(new Set([undefined]));
    const [one, ...others] = await kept(folder, '--request', 'kept-1-3');
    expect(others).toEqual([]);
    expect(one?.original.sequence).toBeGreaterThan(2);
    expect(await kept(folder, '--to', '2020-01-01')).toEqual([]);
    expect(await kept(folder, '--from', '2020-01-01')).toHaveLength(all.length);
    const answerKey = join(dir, 'cluster/answer.pub.pem');
    writeFileSync(answerKey, deployment.answer.publicKey.export({ type: 'spki', format: 'pem' }));
    const page = await open(folder, '--request', 'kept-1-3', ...keys, '--public-key', answerKey);
    expect(page.stdout.split('\n')).toEqual([
      expect.stringMatching(new RegExp(`^\\d{4}-.*Z  main  own  kept-1-3  event ${one?.original.sequence}$`)),
      `asked     /v2/tx_sign_request from 127.0.0.1, signed with the key of ${keys[1]}`,
      expect.stringMatching(/^ {10}\{.*"requestId":"kept-1-3"/),
      `answered  200, signed with the key of ${answerKey}`,
      '          {"action":"APPROVE","requestId":"kept-1-3"}',
      '',
    ]);
    expect(page.stderr).toBe('1 originals opened; whether others are missing only the journal can tell\n');
  });

  test('is told by file and line what is not as it should be, and shown the rest', async () => {
    const copy = join(dir, 'copy');
    execFileSync('cp', ['-r', folder, copy]);
    const [file = '', ...rest] = originalsFilesIn([copy]);
    const lines = readFileSync(file, 'utf8').split('\n');
    const [first = '', second = ''] = lines;
    const middle = first.indexOf('"jwe":"') + 1_000;
    lines[0] = `${first.slice(0, middle)}${first[middle] === 'A' ? 'B' : 'A'}${first.slice(middle + 1)}`;
    lines[1] = second.replace('kept-', 'lost-');
    writeFileSync(file, lines.join('\n').slice(0, -100));
    const { code, stdout, stderr } = await open(copy, '--json');
    expect(code).toBe(1);
    const last = lines.length - 1;
    expect(stderr.split('\n')).toEqual([
      `${file}:1: what is sealed in it was changed or damaged`,
      expect.stringMatching(`${file}:2: it is not what was sealed: that is .*"requestId":"kept-`),
      `${file}:${last}: it is cut off: a replica was killed while it wrote, or the file was cut`,
      `${answers.size - 3} originals opened; whether others are missing only the journal can tell`,
      'countersign: 3 lines are not as they should be',
      '',
    ]);
    expect(stdout.split('\n')).toHaveLength(answers.size - 3 + 1);
    expect(rest.length).toBeGreaterThan(0);
  });

  test('is not satisfied by another key, or another signer', async () => {
    const other = rsaPair();
    const otherFile = join(dir, 'other.pem');
    writeFileSync(otherFile, other.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const wrong = await outcomeOf(['audit', 'open', folder, '--key', otherFile]);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toMatch(/jsonl:1: it is sealed for another key \(SPKI SHA-256 [0-9a-f]{64}\)\n/);
    expect(wrong.stderr.split('\n')).toHaveLength(10 + 3);
    const otherPublic = join(dir, 'other.pub.pem');
    writeFileSync(otherPublic, other.publicKey.export({ type: 'spki', format: 'pem' }));
    const unsigned = await open(folder, '--request', 'kept-0-0', '--public-key', otherPublic);
    expect(unsigned).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /jsonl:\d+: none of the keys given has signed the message of request "kept-0-0"\n/,
      ),
    });
    expect(await open(join(dir, 'cluster/keys'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there are no files of originals in '),
    });
  });

  test('all is written when it has stopped', async () => {
    await asked('the-last');
    await cluster.stop();
    expect(await kept(folder, '--request', 'the-last')).toHaveLength(1);
  });
});

test('a disk that fills up delays nobody, leaves no half line, and takes the rest when it has room again', async () => {
  const home = join(dir, 'full');
  const folder = join(home, 'originals');
  const redis = await startRedis();
  let cluster: Cluster | undefined;
  try {
    const deployment = writeDeployment(home, {
      ledger: { kind: 'redis', redis: { url: redis.url } },
      policy: approving(),
      bodyLimit: '256KiB',
    });
    keepIn(deployment.configFile, 'originals');
    cluster = await startCluster({ configFile: deployment.configFile, replicas: 1 });
    const { up } = cluster;
    const metric = async (name: string) => {
      const families = metricFamilies(await (await fetch(`${up.ops}/metrics`)).text());
      return Number(families.get(name)?.samples[0]?.value);
    };
    const ids: string[] = [];
    const approved = async (id: string, claims: object = {}) => {
      ids.push(id);
      const reply = await deliver(up.http, deployment.request(id, claims));
      expect(deployment.read(reply, id).action).toBe('APPROVE');
    };
    for (let n = 0; n < 5; n += 1) await approved(`small-${n}`);
    await eventually('they were not written', async () =>
      (await metric('countersign_originals_written_total')) === ids.length ? true : undefined,
    );
    const [pid = 0] = cluster.replicaPids();
    // The longest a file of this process may be: a write ends in the middle, as on a full disk. Its log is shorter, and each
    // line of those that follow is longer, however few of them are written at once.
    const limit = (bytes: number | 'unlimited') =>
      execFileSync('prlimit', ['--pid', `${pid}`, `--fsize=${bytes}:`]);
    limit(100_000);
    for (let n = 0; n < 20; n += 1) await approved(`full-${n}`, { note: 'x'.repeat(100_000) });
    await eventually('the disk took it all', async () =>
      (await metric('countersign_originals_errors_total')) >= 2 ? true : undefined,
    );
    limit('unlimited');
    await eventually(
      'the rest was not written',
      async () => ((await metric('countersign_originals_written_total')) >= ids.length ? true : undefined),
      90_000,
    );
    expect((await kept(folder)).map(({ original }) => original.requestId)).toEqual(ids);
    expect(originalsFilesIn([folder])).toHaveLength(2);
    expect(await metric('countersign_originals_dropped_total')).toBe(0);
    const log = readdirSync(join(cluster.dir, 'log'))
      .map((name) => readFileSync(join(cluster?.dir ?? '', 'log', name), 'utf8'))
      .join('');
    const said = log.split('\n').filter((line) => line.includes('"originals are '));
    expect(said.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'error', msg: 'originals are not kept', problem: expect.stringContaining('EFBIG') },
      { level: 'info', msg: 'originals are kept again' },
    ]);
  } finally {
    await cluster?.discard();
    await redis.stop();
  }
});

describe('a replica', () => {
  const running: RunningReplica[] = [];
  afterAll(async () => {
    for (const replica of running) await replica.close();
  });

  async function replicaOf(deployment: Parameters<typeof startReplica>[0]): Promise<RunningReplica> {
    const replica = await startReplica(deployment);
    running.push(replica);
    return replica;
  }

  const settled = (replica: RunningReplica, count: number) =>
    eventually(`${count} were not written`, async () =>
      (await replica.metric('countersign_originals_written_total')) >= count ? true : undefined,
    );

  test('keeps nothing of strangers, and "ask again" without an event', async () => {
    const home = join(dir, 'one');
    const deployment = writeDeployment(home, {
      ledger: EMBEDDED,
      policy: 'version: 1\nrules: [{ name: later, match: { kind: transaction }, effect: retry }]\n',
    });
    keepIn(deployment.configFile, 'originals');
    const replica = await replicaOf(deployment);
    const stranger = rsaPair();
    expect((await deliver(replica.http, token({ requestId: 'x' }, stranger.privateKey))).status).toBe(401);
    expect(
      (await deliver(replica.http, token({ requestId: 'x' }, deployment.cosigner.privateKey))).status,
    ).toBe(400);
    const body = deployment.request('later');
    expect(deployment.read(await deliver(replica.http, body), 'later').action).toBe('RETRY');
    await settled(replica, 1);
    const [one, ...others] = await kept(join(home, 'originals'));
    expect(others).toEqual([]);
    expect(one?.original).toMatchObject({ requestId: 'later', request: { body } });
    expect(one?.original.sequence).toBeUndefined();
  });

  test('answers and is ready as ever when the folder is removed under it, or was never one', async () => {
    const home = join(dir, 'two');
    const deployment = writeDeployment(home, { ledger: EMBEDDED, policy: approving() });
    const folder = join(home, 'originals');
    keepIn(deployment.configFile, folder);
    const replica = await replicaOf(deployment);
    await deliver(replica.http, deployment.request('a'));
    await settled(replica, 1);
    rmSync(folder, { recursive: true });
    writeFileSync(folder, 'in the way');
    for (const id of ['b', 'c', 'd']) {
      const reply = await deliver(replica.http, deployment.request(id));
      expect(deployment.read(reply, id).action).toBe('APPROVE');
    }
    await eventually('nothing was counted', async () =>
      (await replica.metric('countersign_originals_errors_total')) >= 2 ? true : undefined,
    );
    // A busy machine may not finish a check within its second at once.
    await eventually('it is not ready', async () =>
      (await fetch(`${replica.ops}/readyz`)).status === 200 ? true : undefined,
    );
    rmSync(folder);
    await settled(replica, 4);
    expect((await kept(folder)).map(({ original }) => original.requestId)).toEqual(['b', 'c', 'd']);
    expect(await replica.metric('countersign_originals_dropped_total')).toBe(0);
  });

  test('keeps a vote with the headers that bind it, and each call of a batch', async () => {
    const home = join(dir, 'three');
    const contract = {
      revision: 'R1',
      address: '0x00000000000000000000000000000000000000C5',
      chainId: '137',
    };
    const deployment = writeVotingDeployment(home, {
      ledger: EMBEDDED,
      policy: approving(),
      section: { contract },
      deadline: '20s',
    });
    keepIn(deployment.configFile, 'originals');
    const replica = await replicaOf(deployment);
    const url = `${replica.http}${deployment.signers[0]?.path}`;
    const body = JSON.stringify(legacyTransfer());
    const reply = await ask(`${url}/transaction`, body, nonceHeaders('4711'));
    await settled(replica, 1);
    const [one] = await kept(join(home, 'originals'), '--public-key', recipientKeyFile);
    expect(one?.original).toMatchObject({
      protocol: 'iofinnet',
      request: { route: '/transaction', body, headers: { 'vs-nonce': '4711' } },
      answer: { status: reply.status, headers: { signature: reply.headers.signature }, body: reply.body },
    });
    const call = (id: string) => ({
      jsonrpc: '2.0',
      id,
      method: 'eth_call',
      params: [
        {
          to: contract.address,
          data: APPROVAL.encodeFunctionData('approvedTx', [transactionArgument('R1', { Id: id })]),
        },
        'latest',
      ],
    });
    const batch = JSON.stringify([call('b1'), { jsonrpc: '2.0', id: 1, method: 'eth_chainId' }, call('b2')]);
    const answers = await ask(`${url}/rpc`, batch, { 'content-type': 'application/json' });
    await settled(replica, 3);
    const [, ...calls] = await kept(join(home, 'originals'));
    expect(
      calls.map(({ original }) => [original.requestId, original.request.body, original.answer.body]),
    ).toEqual(
      ['b1', 'b2'].map((id) => [expect.stringMatching(new RegExp(`\\.${id}$`)), batch, answers.body]),
    );
    // What asks for no decision is not kept.
    const chainId = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId' });
    await ask(`${url}/rpc`, chainId, { 'content-type': 'application/json' });
    await replica.close();
    running.pop();
    expect(await kept(join(home, 'originals'))).toHaveLength(3);
    // The last segment of the path is a secret.
    expect(JSON.stringify(one)).not.toContain(deployment.signers[0]?.path.split('/').at(-1));
  });

  test('does not start with a key that is too short for years, or that opens what it seals', async () => {
    const home = join(dir, 'four');
    const deployment = writeDeployment(home, { ledger: EMBEDDED, policy: approving() });
    const short = join(home, 'keys/own-cosigner.pub.pem');
    keepIn(deployment.configFile, 'originals', short);
    await expect(startReplica(deployment)).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: `key file ${short}: its key is RSA 2048 bit, and RSA of at least 3072 bit is expected`,
    });
    rmSync(join(home, 'ledger.db'), { force: true });
    keepIn(deployment.configFile, 'originals', privateKeyFile);
    await expect(startReplica(deployment)).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringContaining('it holds a PRIVATE key'),
    });
  });
});
