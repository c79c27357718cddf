/** `countersign doctor`, and the replica's own check, against a vendor that shows all kinds of handlers. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Cluster, startCluster } from '../support/cluster.js';
import { type Ended, outcomeOf } from '../support/command.js';
import { rsaPair } from '../support/cosigner.js';
import { EMBEDDED, eventually } from '../support/deployment.js';
import type { FakeUser } from '../support/fake-fireblocks-api.js';
import {
  SIGNER,
  samplesOf,
  type VendorDeployment,
  valuesOf,
  writeVendorDeployment,
} from '../support/vendor-deployment.js';

const CALLBACK = 'https://approve.example/own';
const dir = mkdtempSync(join(tmpdir(), 'countersign-doctor-'));
let deployment: VendorDeployment;
let cluster: Cluster;
let pem: string;

beforeAll(async () => {
  deployment = await writeVendorDeployment(dir, { ledger: EMBEDDED });
  pem = String(deployment.answer.publicKey.export({ type: 'spki', format: 'pem' }));
  deployment.configure((workspace) => {
    Object.assign(workspace.cosigners[0] ?? {}, { callbackUrl: CALLBACK });
    const doctor = { apiKeyFile: 'keys/admin.id', privateKeyFile: 'keys/api.pem', every: '1s' };
    // The first call of a command that has just started takes its time on a busy machine.
    workspace.api = { ...workspace.api, timeout: '5s', doctor };
  });
  paired({ url: CALLBACK, publicKey: pem });
  cluster = await startCluster({ configFile: deployment.configFile, replicas: 2 });
});

beforeEach(() => paired({ url: CALLBACK, publicKey: pem }));
afterEach(() => deployment.fake.mend());

afterAll(async () => {
  await cluster?.discard();
  await deployment?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** The only signer with this handler, and whoever else. */
function paired(callbackHandler: unknown, ...others: readonly FakeUser[]): void {
  deployment.fake.cosigners = [
    { id: 'c-1', name: 'east', users: [{ id: SIGNER, callbackHandler }, ...others] },
  ];
}

function doctor(...more: readonly string[]): Promise<Ended> {
  return outcomeOf(['doctor', '--config', deployment.configFile, ...more]);
}

test('when all is well it says so, on one page and as JSON', async () => {
  const page = await doctor();
  expect(page).toMatchObject({ code: 0, stderr: '' });
  expect(page.stdout).toMatch(/^ {2}ok {7}keys {8}Every key/m);
  expect(page.stdout).toMatch(/^ {2}ok {7}ledger {6}Decisions are made, under policy [0-9a-f]{12}\./m);
  expect(page.stdout).toMatch(
    /^ {2}ok {7}handler {5}API user .* at co-signer east: It asks .* our answer key\./m,
  );
  expect(page.stdout).toMatch(/All is well\.\n$/);
  const json = JSON.parse((await doctor('--json')).stdout);
  expect(json).toMatchObject({ well: true, wrong: 0, unknown: 0, withoutHandler: 0 });
  expect(json.checks).toContainEqual(
    expect.objectContaining({ area: 'handler', workspace: 'main', state: 'ok', result: 'ok' }),
  );
  expect(deployment.fake.refused).toEqual([]);
});

describe('what is wrong at the vendor’s', () => {
  const stranger = String(rsaPair().publicKey.export({ type: 'spki', format: 'pem' }));

  test.each([
    ['missing', null, /^ONE API USER HAS NO CALLBACK HANDLER: EVERYTHING THEY ARE ASKED TO SIGN IS SIGNED/],
    ['other-key', () => ({ url: CALLBACK, publicKey: stranger }), /trusts answers of the key [0-9a-f]{64}/],
    [
      'other-url',
      () => ({ url: 'https://evil.example/own', publicKey: pem }),
      /asks https:\/\/evil\.example/,
    ],
  ] as const)('%s ends with 1', async (result, handler, sentence) => {
    paired(typeof handler === 'function' ? handler() : handler);
    const page = await doctor();
    expect(page).toMatchObject({ code: 1, stdout: expect.stringMatching(sentence) });
    expect(page.stdout).toMatch(/^ {2}WRONG {4}handler/m);
    expect(page.stdout).toMatch(/1 WRONG\.\n$/);
    const json = JSON.parse((await doctor('--json', '--no-local')).stdout);
    expect(json.checks).toMatchObject([{ area: 'handler', state: 'wrong', result }]);
    expect(json.withoutHandler).toBe(result === 'missing' ? 1 : 0);
  });

  test('a stranger at our co-signer, and a signer that nobody knows', async () => {
    const handler = { url: CALLBACK, publicKey: pem };
    deployment.fake.cosigners = [{ id: 'c-1', users: [{ id: 'somebody', callbackHandler: handler }] }];
    const { code, stdout } = await doctor('--no-local');
    expect(code).toBe(1);
    expect(stdout).toContain(
      `API user ${SIGNER} at co-signer own: It is configured here, and paired with no`,
    );
    paired(handler, { id: 'somebody', callbackHandler: handler });
    expect((await doctor('--no-local')).stdout).toMatch(
      /WRONG .* API user somebody .* configured nowhere here/,
    );
  });
});

describe('what could not be checked', () => {
  test('a role that may not see co-signers is wrong, and says which is needed', async () => {
    const { code, stdout } = await doctor(
      ...['--api-key-file', join(dir, 'keys/viewer.id'), '--private-key-file', join(dir, 'keys/api.pem')],
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(/WRONG {4}handler.*403.*has not the role/);
  });

  test.each([
    ['a fault of the vendor', { status: 502 }],
    ['silence', 'hang'],
    ['garbage', { status: 200, body: '{"data":[{"id":"c-1"}' }],
    ['another form', { status: 200, body: '{"data":[{"name":"no id"}]}' }],
    // The replicas that check by themselves heed it too.
    ['429', { status: 429, headers: { 'retry-after': '1' } }],
  ] as const)('%s ends with 4: half a check is none', async (_, fault) => {
    deployment.fake.fault('/v1/cosigners/c-1/api_keys', fault, true);
    const { code, stdout } = await doctor();
    expect({ code, unknown: /UNKNOWN {2}handler/.test(stdout) }).toEqual({ code: 4, unknown: true });
    expect(stdout).toMatch(/1 could not be checked\.\n$/);
  });

  test('nothing is asked with --no-api, and nothing of it is claimed', async () => {
    paired(null);
    const before = deployment.fake.calls.length;
    const ended = await doctor('--no-api');
    expect(ended).toMatchObject({ code: 0, stdout: expect.not.stringContaining('handler') });
    expect(deployment.fake.calls.slice(before).filter((path) => !path.startsWith('/v1/cosigners'))).toEqual(
      [],
    );
  });
});

test('an unreadable answer key is told of here; beside its public half the vendor alone can be asked', async () => {
  const key = join(dir, 'keys/own-answer.pem');
  renameSync(key, `${key}.away`);
  try {
    expect(await doctor('--no-api')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/WRONG {4}keys .*no such file/),
    });
    writeFileSync(join(dir, 'keys/own-answer.pub.pem'), pem);
    expect(await doctor('--no-local')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('our answer key'),
    });
  } finally {
    renameSync(`${key}.away`, key);
  }
});

test('its help tells the exit codes; half of a pair of credentials is refused', async () => {
  const help = await outcomeOf(['doctor', '--help']);
  expect(help.stdout).toMatch(/Exit code: 0 all is well/);
  expect(await doctor('--api-key-file', 'x')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('go together'),
  });
  expect(await doctor('--workspace', 'other')).toMatchObject({ code: 2 });
});

test('replicas check by themselves, and tell when the handler is gone and when it is back', async () => {
  const figure = async (result: string) =>
    Math.max(
      -1,
      ...valuesOf(await samplesOf(cluster.up.replicaOps), 'countersign_handler_check', { result }),
    );
  const becomes = (result: string, count: number) =>
    eventually(
      `${result} is not ${count}`,
      async () => ((await figure(result)) === count ? true : undefined),
      90_000,
    );
  await becomes('ok', 1);
  // Each replica checks by itself: the other one may still show what was wrong before.
  await becomes('missing', 0);
  paired(null);
  await becomes('missing', 1);
  deployment.fake.fault('/v1/cosigners', { status: 500 }, true);
  const before = deployment.fake.calls.length;
  await eventually(
    'it was not asked again',
    () => (deployment.fake.calls.length > before + 1 ? true : undefined),
    90_000,
  );
  // What cannot be checked now was wrong when it was last seen.
  expect(await figure('missing')).toBe(1);
  deployment.fake.mend();
  paired({ url: CALLBACK, publicKey: pem });
  await becomes('missing', 0);
  const seen = valuesOf(
    await samplesOf(cluster.up.replicaOps),
    'countersign_handler_check_timestamp_seconds',
  );
  expect(Math.max(...seen)).toBeGreaterThan(Date.now() / 1_000 - 60);
});
