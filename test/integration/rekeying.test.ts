/** Keys, signers and networks that change under a running replica: the real program, told by SIGHUP or finding out itself. */
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { activatePolicyFile } from '../../src/cli/activate.js';
import { withLedger } from '../../src/cli/ledger.js';
import { statusOf } from '../../src/cli/status.js';
import { loadConfig } from '../../src/config/load.js';
import { type Command, countersign } from '../support/command.js';
import { type KeyPair, rsaPair, token, verifies } from '../support/cosigner.js';
import {
  APPROVER,
  approving,
  type Deployment,
  deliver,
  eventually,
  type Reply,
  writeDeployment,
} from '../support/deployment.js';
import { DOCUMENTED_PUBLIC_KEY } from '../support/documented-example.js';
import { approvalClaims } from '../support/fireblocks-handler.js';
import { metricFamilies } from '../support/prometheus.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-rekeying-'));
let redis: RedisServer;
let deployment: Deployment;
let replica: Command;
let http = '';
let ops = '';
/** The document as it was, for after each test. */
let original = '';

beforeAll(async () => {
  redis = await startRedis();
  deployment = writeDeployment(dir, {
    ledger: { kind: 'redis', redis: { url: redis.url } },
    policy: approving(),
    deadline: '10s',
  });
  const { configFile, operatorKeyFile: privateKeyFile } = deployment;
  const config = loadConfig(configFile);
  await withLedger({ config: configFile }, async (ledger, workspace) => {
    await ledger.init();
    await activatePolicyFile({ config, workspace, ledger, privateKeyFile, startEmpty: [] });
  });
  original = readFileSync(configFile, 'utf8');
  replica = countersign(['serve', '--config', configFile]);
  await replica.says('replica listens');
  const listens = lines().find(({ msg }) => msg === 'replica listens');
  http = `http://127.0.0.1:${listens?.http}`;
  ops = `http://127.0.0.1:${listens?.ops}`;
  // Its first look is over then: that one tells of nothing.
  await told(isReloaded);
});

afterAll(async () => {
  replica?.signal('SIGTERM');
  await replica?.ended;
  await redis?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Everything as it was. */
async function mended(): Promise<void> {
  writeFileSync(deployment.configFile, original);
  writeKey('own-cosigner.pub.pem', deployment.cosigner.publicKey);
  writeKey('own-answer.pem', deployment.answer.privateKey);
  await told(isReloaded);
}

afterEach(mended);

type Line = Readonly<Record<string, unknown>>;

function lines(): readonly Line[] {
  return replica
    .stdout()
    .split('\n')
    .flatMap((line) => (line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line) as Line] : []));
}

/** What the replica says after it was told to look. A look that it took by itself may have found the change before. */
async function told(says: (line: Line) => boolean): Promise<Line> {
  const before = lines().length;
  replica.signal('SIGHUP');
  try {
    return await eventually('it says something else', () => lines().slice(before).find(says));
  } catch (cause) {
    throw new Error(`it says ${JSON.stringify(lines().slice(before))}`, { cause });
  }
}

const isReloaded = ({ msg }: Line) => msg === 'reloaded';
/** The look after one that took the change says that nothing has changed, and may be late. */
const hasChanged = (line: Line) => isReloaded(line) && (line.changed as readonly string[]).length > 0;
const isRefused =
  (why: RegExp) =>
  ({ msg, problem }: Line) =>
    String(msg).startsWith('not reloaded') && why.test(String(problem));

interface CosignerDocument {
  publicKeys: object[];
  answerKey: object;
  answerKeys?: object[];
  signers: object[];
  retrySupported?: boolean;
}

function edit(change: (cosigner: CosignerDocument, all: { drain: string }) => void): void {
  const document = parse(original);
  change(document.workspaces[0].cosigners[0], document);
  writeFileSync(deployment.configFile, stringify(document));
}

function writeKey(name: string, key: KeyObject | string): { readonly file: string } {
  const pem =
    typeof key === 'string'
      ? key
      : key.type === 'private'
        ? key.export({ type: 'pkcs8', format: 'pem' })
        : key.export({ type: 'spki', format: 'pem' });
  writeFileSync(join(dir, 'keys', name), pem, { mode: 0o600 });
  return { file: `keys/${name}` };
}

let asked = 0;
function ask({ privateKey }: KeyPair, claims: object = {}): Promise<Reply> {
  asked += 1;
  const requestId = `ask-${asked}`;
  return deliver(
    http,
    token(approvalClaims({ txId: requestId, requestId, signerId: APPROVER, ...claims }), privateKey),
  );
}

async function figure(
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const text = await (await fetch(`${ops}/metrics`)).text();
  const samples = [...metricFamilies(text).values()].flatMap((family) => family.samples);
  return samples.find(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )?.value;
}

/** As a metric names a key. */
function keyOf({ publicKey }: KeyPair): { readonly key: string } {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return { key: createHash('sha256').update(der).digest('hex').slice(0, 12) };
}

const PATH = { path: '/own' };
const inAYear = () => new Date(Date.now() + 365 * 86_400_000).toISOString();
const aMinuteAgo = () => new Date(Date.now() - 60_000).toISOString();

test('a co-signer’s next key is taken beside the old one, and then instead of it', async () => {
  const next = rsaPair();
  expect((await ask(next)).status).toBe(401);
  const used = (pair: KeyPair) => figure('countersign_cosigner_key_used_total', keyOf(pair));
  const before = (await used(deployment.cosigner)) ?? Number.NaN;
  edit((cosigner) => cosigner.publicKeys.push(writeKey('next.pub.pem', next.publicKey)));
  await told(hasChanged);
  expect([await used(deployment.cosigner), await used(next)]).toEqual([before, 0]);
  expect([(await ask(next)).status, (await ask(deployment.cosigner)).status]).toEqual([200, 200]);
  expect([await used(deployment.cosigner), await used(next)]).toEqual([before + 1, 1]);
  edit((cosigner) => {
    cosigner.publicKeys = [writeKey('next.pub.pem', next.publicKey)];
  });
  await told(hasChanged);
  expect([(await ask(next)).status, (await ask(deployment.cosigner)).status]).toEqual([200, 401]);
  expect([await used(deployment.cosigner), await used(next)]).toEqual([undefined, 2]);
});

test('a key outside its time verifies nothing, and whoever is on call sees that it would have', async () => {
  const next = rsaPair();
  const refused = (reason: string) => figure('countersign_refused_messages_total', { ...PATH, reason });
  const until = inAYear();
  edit((cosigner) => {
    cosigner.publicKeys = [
      { ...cosigner.publicKeys[0], notAfter: aMinuteAgo() },
      { ...writeKey('next.pub.pem', next.publicKey), notBefore: until },
    ];
  });
  await told(hasChanged);
  const before = lines().length;
  const reply = await ask(deployment.cosigner);
  expect({ status: reply.status, body: reply.body }).toEqual({ status: 401, body: 'unauthorized\n' });
  expect((await ask(next)).status).toBe(401);
  expect([await refused('KEY_EXPIRED'), await refused('KEY_NOT_YET')]).toEqual([1, 1]);
  const problems = await eventually('two lines', () => {
    const refusals = lines()
      .slice(before)
      .filter(({ msg }) => msg === 'message refused');
    return refusals.length === 2 ? refusals : undefined;
  });
  expect(problems.map(({ problem }) => String(problem).replaceAll(`${dir}/`, ''))).toEqual([
    expect.stringMatching(/; keys\/own-cosigner\.pub\.pem does, and is valid only until .* \(notAfter\)$/),
    expect.stringMatching(/; keys\/next\.pub\.pem does, and is valid only from .* on \(notBefore\)$/),
  ]);
  const { msg } = lines().find(({ msg: text }) => String(text).includes('none of its public keys')) ?? {};
  expect(msg).toBe(
    `co-signer "own": none of its public keys is valid now, and its requests are refused until ${until}`,
  );
  const validUntil = await figure('countersign_key_valid_until_timestamp_seconds', { use: 'cosigner' });
  expect((validUntil ?? 0) * 1_000).toBeLessThan(Date.now());
});

test('an answer key that is replaced in its file signs from then on; so does one for a signer, or for a time', async () => {
  const [replaced, own] = [rsaPair(), generateKeyPairSync('ec', { namedCurve: 'P-256' })];
  writeKey('own-answer.pem', replaced.privateKey);
  await told(hasChanged);
  expect(verifies((await ask(deployment.cosigner)).body, replaced.publicKey)).toBe(true);
  const entry = { ...writeKey('own.pem', own.privateKey), algorithm: 'ES256' };
  const until = inAYear();
  edit((cosigner) => {
    cosigner.answerKeys = [{ ...entry, signers: [APPROVER], notBefore: aMinuteAgo(), notAfter: until }];
  });
  await told(hasChanged);
  expect(verifies((await ask(deployment.cosigner)).body, own.publicKey)).toBe(true);
  expect(await figure('countersign_key_valid_until_timestamp_seconds', { use: 'answer' })).toBe(
    Date.parse(until) / 1_000,
  );
  edit((cosigner) => {
    cosigner.answerKeys = [{ ...entry, notBefore: inAYear() }];
  });
  await told(hasChanged);
  expect(verifies((await ask(deployment.cosigner)).body, replaced.publicKey)).toBe(true);
  expect(await figure('countersign_key_valid_until_timestamp_seconds', { use: 'answer' })).toBe(Infinity);
});

test('who may ask is taken too', async () => {
  edit((cosigner) => {
    cosigner.signers = [{ id: 'another', stages: ['approval'] }];
  });
  await told(hasChanged);
  expect((await ask(deployment.cosigner)).body).toMatch(/\./);
  const undecided = await eventually('its line', () => lines().find(({ msg }) => msg === 'undecided'));
  expect(undecided.reason).toBe('SIGNER_NOT_LISTED');
});

test('a request that is being decided when the keys go is answered by the key that its co-signer knows', async () => {
  const [nextAnswer, nextCosigner] = [rsaPair(), rsaPair()];
  process.kill(redis.pid, 'SIGSTOP');
  try {
    const waiting = ask(deployment.cosigner);
    await eventually('it is being decided', async () =>
      (await figure('countersign_requests_in_flight')) === 1 ? true : undefined,
    );
    writeKey('own-answer.pem', nextAnswer.privateKey);
    writeKey('own-cosigner.pub.pem', nextCosigner.publicKey);
    await told(hasChanged);
    expect((await ask(deployment.cosigner)).status).toBe(401);
    process.kill(redis.pid, 'SIGCONT');
    const reply = await waiting;
    expect(verifies(reply.body, deployment.answer.publicKey)).toBe(true);
    const next = await ask(nextCosigner);
    expect(verifies(next.body, nextAnswer.publicKey)).toBe(true);
  } finally {
    process.kill(redis.pid, 'SIGCONT');
  }
});

test.each<readonly [string, () => unknown, RegExp]>([
  [
    'a published key',
    () => writeKey('own-cosigner.pub.pem', DOCUMENTED_PUBLIC_KEY),
    /own-cosigner\.pub\.pem: its private half is published in the Fireblocks documentation/,
  ],
  [
    'an answer key of a size that no co-signer accepts',
    () => writeKey('own-answer.pem', rsaPair(3072).privateKey),
    /own-answer\.pem: its key is RSA 3072 bit, and co-signers accept exactly 2048$/,
  ],
  ['half a key', () => writeKey('own-answer.pem', '-----BEGIN PRIVATE KEY-----\nMIIE'), /own-answer\.pem: /],
  ['no key', () => rmSync(join(dir, 'keys/own-answer.pem')), /own-answer\.pem: there is no such file$/],
  ['no document', () => writeFileSync(deployment.configFile, 'http: ['), /own-config\.yaml:1: /],
  [
    'a key that the document names and nobody has brought',
    () => edit((cosigner) => cosigner.publicKeys.push({ file: 'keys/none.pub.pem' })),
    /none\.pub\.pem: there is no such file$/,
  ],
])('%s is refused with the reason, and what was in force stays so', async (_, harm, problem) => {
  harm();
  const line = await told(isRefused(problem));
  expect(line).toMatchObject({ level: 'error', part: 'configuration' });
  expect(await figure('countersign_reload_failed', { part: 'configuration' })).toBe(1);
  const reply = await ask(deployment.cosigner);
  expect(verifies(reply.body, deployment.answer.publicKey)).toBe(true);
  await mended();
  expect(await figure('countersign_reload_failed', { part: 'configuration' })).toBe(0);
});

test('what only a restart can take is named, and does not keep keys from being taken', async () => {
  const next = rsaPair();
  edit((cosigner, all) => {
    all.drain = '7s';
    cosigner.retrySupported = false;
    cosigner.publicKeys.push(writeKey('next.pub.pem', next.publicKey));
  });
  await told(hasChanged);
  expect((await ask(next)).status).toBe(200);
  const digest = createHash('sha256').update(readFileSync(deployment.configFile)).digest('hex').slice(0, 12);
  expect(await figure('countersign_config_info', { digest })).toBe(1);
  expect(await figure('countersign_restart_needed')).toBe(1);
  expect(lines().findLast(({ msg }) => String(msg).endsWith('needs a restart'))).toMatchObject({
    fields: ['drain', 'workspaces[0].cosigners[0].retrySupported'],
  });
  writeFileSync(deployment.configFile, original);
  await told(hasChanged);
  expect(await figure('countersign_restart_needed')).toBe(0);
});

test('an operator’s key that is replaced in its file takes a restart, and a replica says so by itself', async () => {
  const file = join(dir, 'keys/own-operator.pub.pem');
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, rsaPair().publicKey.export({ type: 'spki', format: 'pem' }));
  await eventually('it says nothing', async () =>
    (await figure('countersign_restart_needed')) === 1 ? true : undefined,
  );
  // The figure comes by another way than the line.
  const isLine = ({ msg, fields }: Line) =>
    String(msg).endsWith('needs a restart') && String(fields) === 'operators[0].publicKeyFile';
  await eventually('it names another field', () => lines().find(isLine));
  writeFileSync(file, before);
  await told(hasChanged);
  expect(await figure('countersign_restart_needed')).toBe(0);
});

test('status warns of a co-signer whose keys are all over: its requests are refused while decisions are made', async () => {
  const { configFile } = deployment;
  expect((await statusOf(configFile, 'main')).warnings.join()).not.toContain('public keys');
  edit((cosigner) => {
    cosigner.publicKeys = cosigner.publicKeys.map((key) => ({ ...key, notAfter: '2026-01-01T00:00:00Z' }));
  });
  const { warnings, blocked } = await statusOf(configFile, 'main');
  expect(blocked).toEqual([]);
  expect(warnings).toContainEqual(
    expect.stringContaining('co-signer "own": none of its public keys is valid now'),
  );
});

test('a replica finds out by itself', async () => {
  const next = rsaPair();
  edit((cosigner) => cosigner.publicKeys.push(writeKey('next.pub.pem', next.publicKey)));
  await eventually(
    'the key is taken',
    async () => ((await ask(next)).status === 200 ? true : undefined),
    90_000,
  );
});
