/** The port of notifications: who gets what answer, when things are away, slow, too many or renewed, and how it closes. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { authority, certificate } from '../support/certificates.js';
import { freePorts, startCluster } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import {
  approving,
  deliver,
  EMBEDDED,
  eventually,
  problemsOf,
  writeDeployment,
} from '../support/deployment.js';
import { eventually as soon } from '../support/eventually.js';
import {
  HOOK_PATH,
  notify,
  post,
  type ServingReplica,
  series,
  startBed,
  type WebhookBed,
} from '../support/webhook-bed.js';
import {
  keySet,
  legacySignatureOf,
  notification,
  outgoing,
  signatureOf,
  vendorKey,
  WORKSPACE_ID,
} from '../support/webhook-vendor.js';

const POLICY = approving({ many: "{ sum: count, max: '1000', window: lifetime }" });
const completed = (id: string) => notification(outgoing(id, 'COMPLETED', { txHash: '0x1' }));
const stranger = vendorKey('stranger');

async function ask({ deployment }: WebhookBed, { http }: ServingReplica, id: string): Promise<string> {
  return deployment.read(await deliver(http, deployment.request(id)), id).action;
}

function first({ replicas }: WebhookBed): ServingReplica {
  const [replica] = replicas;
  if (replica === undefined) throw new Error('no replica');
  return replica;
}

describe('on redis', () => {
  let bed: WebhookBed;
  let replica: ServingReplica;
  beforeAll(async () => {
    const audit = { directory: 'audit', checkpointKey: { file: 'keys/own-operator.pem' } };
    bed = await startBed({
      kind: 'redis',
      policy: POLICY,
      replicas: 1,
      server: { bodyLimit: '64KiB' },
      document: { audit },
    });
    replica = first(bed);
  });
  afterAll(async () => {
    await bed?.redis?.kill('SIGCONT');
    await bed?.stop();
  });

  const refusals = async (reason: string) =>
    (await series(replica, 'countersign_webhook_refused_total')).get(`workspace="main",reason="${reason}"`);

  test('whoever is no notification of ours is told as little as any stranger', async () => {
    const origin = new URL(replica.hooks).origin;
    const body = completed('a');
    const signed = { 'fireblocks-webhook-signature': signatureOf(body, bed.vendor) };
    expect(await post(replica.hooks, body)).toBe('401 unauthorized');
    for (const path of ['/', `${HOOK_PATH}/`, `${HOOK_PATH}/more`, '/own/v2/tx_sign_request', '/metrics'])
      expect([path, await post(`${origin}${path}`, body, signed)]).toEqual([path, '404 not found']);
    expect((await fetch(replica.hooks, { headers: signed })).status).toBe(404);
    expect((await fetch(replica.hooks, { method: 'PUT', body, headers: signed })).status).toBe(404);
    // The other port knows nothing of it.
    expect(await post(`${replica.http}${HOOK_PATH}`, body, signed)).toBe('404 not found');
    expect((await series(replica, 'countersign_webhook_unknown_paths_total')).get('')).toBe(7);
    expect(await bed.look((ledger) => ledger.fateOf('fireblocks:a'))).toBeUndefined();
  });

  test('a body is bounded, and is what was signed whatever its content type says', async () => {
    const large = notification(outgoing('large', 'COMPLETED', { note: 'x'.repeat(70_000) }));
    expect(await notify(replica, large, bed.vendor)).toBe('413 too large');
    expect(await refusals('BODY_TOO_LARGE')).toBe(1);
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      const body = completed(`type-${type.length}`);
      const headers = { 'fireblocks-webhook-signature': signatureOf(body, bed.vendor) };
      expect([type, await post(replica.hooks, body, { ...headers, 'content-type': type })]).toEqual([
        type,
        '200 ok',
      ]);
    }
    expect(await notify(replica, '', bed.vendor)).toBe('400 bad request');
  });

  test('what is no HTTP, or never ends, is cut off', async () => {
    const { hostname, port } = new URL(replica.hooks);
    const said = await conversation(Number(port), hostname, 'NOTIFY me\r\n\r\n');
    expect(said).toMatch(/^HTTP\/1.1 400 /);
    const head = `POST ${HOOK_PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n`;
    expect(await conversation(Number(port), hostname, `${head}{`)).toMatch(/^HTTP\/1.1 408 /);
  });

  test('while the ledger is away the vendor is told to come again, and then it is settled', async () => {
    expect(await ask(bed, replica, 'away')).toBe('APPROVE');
    const cancelled = notification(outgoing('away', 'CANCELLED'));
    await bed.redis?.kill('SIGSTOP');
    expect(await notify(replica, cancelled, bed.vendor)).toBe('503 try again');
    // Forged ones are refused without it, deposits need nothing of it.
    expect(await notify(replica, cancelled, { ...stranger, kid: bed.vendor.kid })).toBe('401 unauthorized');
    const deposit = notification(outgoing('in', 'COMPLETED', { source: { type: 'UNKNOWN', id: '' } }));
    expect(await notify(replica, deposit, bed.vendor)).toBe('200 ok');
    await bed.redis?.kill('SIGCONT');
    await eventually('it was never settled', async () =>
      (await notify(replica, cancelled, bed.vendor)) === '200 ok' ? true : undefined,
    );
    expect(await bed.look((ledger) => ledger.transaction('fireblocks:away'))).toMatchObject({
      approved: true,
      released: expect.any(Number),
    });
    const failed = 'workspace="main",event="transaction.status.updated",result="failed"';
    expect((await series(replica, 'countersign_webhook_notifications_total')).get(failed)).toBeGreaterThan(0);
  });

  test('more than can be taken are told to come again at once, and co-signers are answered meanwhile', async () => {
    await bed.redis?.kill('SIGSTOP');
    const answers = await Promise.all(
      Array.from({ length: 180 }, (_, index) => notify(replica, completed(`many-${index}`), bed.vendor)),
    );
    await bed.redis?.kill('SIGCONT');
    expect(new Set(answers)).toEqual(new Set(['503 try again']));
    expect(await refusals('OVERLOADED')).toBeGreaterThan(0);
    await eventually('it does not answer again', async () =>
      (await notify(replica, completed('many-1'), bed.vendor)) === '200 ok' ? true : undefined,
    );
    expect(await ask(bed, replica, 'after-many')).toBe('APPROVE');
  });

  test('what became of a transaction is told by the commands that look one up', async () => {
    expect(await ask(bed, replica, 'shown')).toBe('APPROVE');
    expect(await notify(replica, completed('shown'), bed.vendor)).toBe('200 ok');
    const events = await bed.look(async (ledger) => ledger.events(0, 1_000));
    const report = events.find(({ type, body }) => type === 'report' && body.txId === 'shown');
    expect(report?.body).toMatchObject({
      source: 'webhook',
      notification: expect.stringMatching(/^0{8}-/),
      said: { fate: 'completed', status: 'COMPLETED', txHash: '0x1' },
      approval: { approved: true },
    });

    const { configFile, operatorKeyFile } = bed.deployment;
    const config = ['--config', configFile];
    const journal = await outcomeOf(['ledger', 'journal', ...config, '--last', '5']);
    expect(journal.stdout).toMatch(/ report +completed +webhook +COMPLETED 0x1 +shown$/m);

    // What may be signed cannot be released by hand either, and it is said why.
    const key = ['--key', operatorKeyFile, '--reason', 'cancelled'];
    const dry = await outcomeOf(['ledger', 'release', ...config, ...key, '--tx', 'shown', '--dry-run']);
    expect(dry.stdout).toMatch(/^reported {4}COMPLETED hash 0x1 at \S+Z: a signature may exist$/m);
    expect(await outcomeOf(['ledger', 'release', ...config, ...key, '--tx', 'shown'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('a signature of fireblocks:shown may exist'),
    });

    const audit = ['audit', 'show', join(bed.dir, 'audit'), '--transaction'];
    const shown = await eventually('it was never exported', async () => {
      const { stdout } = await outcomeOf([...audit, 'shown']);
      return stdout.includes('report') ? stdout : undefined;
    });
    expect(shown).toMatch(
      / decision +approve +approval .* shown\n.* report +completed +webhook +COMPLETED 0x1 +shown$/m,
    );
    const released = (await outcomeOf([...audit, 'away'])).stdout.trimEnd().split('\n').slice(1);
    expect(released.map((line) => /(?:decision|report|release) /.exec(line)?.[0].trim())).toEqual([
      ...['decision', 'report', 'release'],
    ]);
  });

  test('on SIGTERM what was received is settled and answered', async () => {
    const another = await bed.serve();
    await bed.redis?.kill('SIGSTOP');
    const answer = notify(another, completed('last'), bed.vendor);
    // What came before it has been received by then.
    expect(await post(`${another.hooks}/more`, '')).toBe('404 not found');
    another.command.signal('SIGTERM');
    await sleep(100);
    await bed.redis?.kill('SIGCONT');
    expect(['200 ok', '503 try again']).toContain(await answer);
    expect((await another.command.ended).code).toBe(0);
    await expect(notify(another, completed('later'), bed.vendor)).rejects.toThrow();
  });
});

describe('keys', () => {
  test('that were never had keep no replica from deciding; it says so, and notifications come again', async () => {
    const bed = await startBed({ kind: 'embedded', policy: POLICY, replicas: 0 });
    try {
      bed.keys.answer({ status: 500 });
      const replica = await bed.serve();
      expect(await notify(replica, completed('a'), bed.vendor)).toBe('503 try again');
      await soon(async () => expect(await problemsOf(replica.ops)).toEqual({}));
      const ready = await (await fetch(`${replica.ops}/readyz/webhooks:main`)).json();
      expect(ready).toMatchObject({
        status: 'ok',
        details: {
          'webhooks:main': { status: 'up', warning: expect.stringContaining('have never been loaded') },
        },
      });
      expect(await ask(bed, replica, 'b')).toBe('APPROVE');
      const loaded = 'countersign_webhook_keys_loaded_timestamp_seconds';
      expect((await series(replica, loaded)).get('workspace="main"')).toBe(0);
      bed.keys.answer({ body: keySet(bed.vendor) });
      await eventually(
        'the keys were never loaded',
        async () => ((await notify(replica, completed('a'), bed.vendor)) === '200 ok' ? true : undefined),
        90_000,
      );
      expect((await series(replica, loaded)).get('workspace="main"')).toBeGreaterThan(1.7e9);
      expect(JSON.stringify(await (await fetch(`${replica.ops}/readyz`)).json())).not.toContain('warning');
    } finally {
      await bed.stop();
    }
  });

  test('in a file are taken again while the replica runs; the former kind of signature is taken where it is configured', async () => {
    const former = vendorKey('former');
    const bed = await startBed({
      kind: 'embedded',
      policy: POLICY,
      replicas: 0,
      webhooks: { jwks: { file: 'jwks.json' }, legacyKeyFile: 'former.pem' },
    });
    try {
      const next = vendorKey('vendor-2');
      writeFileSync(join(bed.dir, 'jwks.json'), keySet(bed.vendor));
      writeFileSync(join(bed.dir, 'former.pem'), former.publicKey.export({ type: 'spki', format: 'pem' }));
      const replica = await bed.serve();
      expect(await notify(replica, completed('a'), bed.vendor)).toBe('200 ok');
      expect(await notify(replica, completed('a'), next)).toBe('401 unauthorized');
      writeFileSync(join(bed.dir, 'jwks.json'), keySet(next));
      replica.command.signal('SIGHUP');
      await eventually('it was never taken', async () =>
        (await notify(replica, completed('a'), next)) === '200 ok' ? true : undefined,
      );
      expect(await notify(replica, completed('a'), bed.vendor)).toBe('401 unauthorized');
      const body = completed('b');
      const old = { 'fireblocks-signature': legacySignatureOf(body, former.privateKey) };
      expect(await post(replica.hooks, body, old)).toBe('200 ok');
      const both = { ...old, 'fireblocks-webhook-signature': signatureOf(body, bed.vendor) };
      expect(await post(replica.hooks, body, both)).toBe('401 unauthorized');
      expect(bed.keys.asked()).toBe(0);
    } finally {
      await bed.stop();
    }
  });

  test('in a file that holds none stop the start with the reason', async () => {
    const bed = await startBed({
      kind: 'embedded',
      policy: POLICY,
      replicas: 0,
      webhooks: { jwks: { file: 'jwks.json' } },
    });
    try {
      writeFileSync(join(bed.dir, 'jwks.json'), '{"keys":[]}');
      await expect(bed.serve()).rejects.toThrow('the key set cannot be used: it has no keys');
    } finally {
      await bed.stop();
    }
  });
});

test('each workspace has its own path, keys and vendor’s ids', async () => {
  const other = vendorKey('vendor-1');
  const bed = await startBed({ kind: 'embedded', policy: POLICY, replicas: 0 });
  try {
    const { configFile } = bed.deployment;
    const config = parse(readFileSync(configFile, 'utf8'));
    const [main] = config.workspaces;
    const cosigners = [{ ...main.cosigners[0], name: 'second', path: '/second' }];
    const webhooks = { path: '/hooks/second', workspaceIds: ['two'], jwks: { file: 'second.json' } };
    config.workspaces.push({ ...main, name: 'second', cosigners, webhooks });
    writeFileSync(join(bed.dir, 'second.json'), keySet(other));
    writeFileSync(configFile, stringify(config));
    const replica = await bed.serve();
    const second = { hooks: replica.hooks.replace(HOOK_PATH, '/hooks/second') };
    const forSecond = notification(outgoing('a', 'COMPLETED'), { workspaceId: 'two' });
    expect(await notify(replica, completed('a'), bed.vendor)).toBe('200 ok');
    expect(await notify(replica, forSecond, bed.vendor)).toBe('401 unauthorized');
    expect(await notify(replica, completed('a'), other)).toBe('401 unauthorized');
    expect(await notify(second, completed('a'), other)).toBe('401 unauthorized');
    // It verifies, and its ledger is none yet.
    expect(await notify(second, forSecond, other)).toBe('503 try again');
  } finally {
    await bed.stop();
  }
});

test('it serves TLS by itself', async () => {
  const bed = await startBed({
    kind: 'embedded',
    policy: POLICY,
    replicas: 0,
    server: { tls: { certificateFile: 'hooks.crt', keyFile: 'hooks.key' } },
  });
  try {
    const ca = authority(bed.dir, 'ca');
    const made = certificate(bed.dir, ca, 'DNS:localhost');
    copyFileSync(made.certificate, join(bed.dir, 'hooks.crt'));
    copyFileSync(made.key, join(bed.dir, 'hooks.key'));
    const replica = await bed.serve();
    const body = completed('a');
    const head = [
      `POST ${HOOK_PATH} HTTP/1.1`,
      'host: hooks',
      `content-length: ${Buffer.byteLength(body)}`,
      `fireblocks-webhook-signature: ${signatureOf(body, bed.vendor)}`,
      'connection: close',
    ];
    const port = Number(new URL(replica.hooks).port);
    expect(
      await overTls(port, readFileSync(ca.certificate, 'utf8'), `${head.join('\r\n')}\r\n\r\n${body}`),
    ).toMatch(/^HTTP\/1.1 200 /);
    const expiry = await series(replica, 'countersign_certificate_expiry_timestamp_seconds');
    expect([...expiry.keys()].some((labels) => labels.includes('webhooks.tls'))).toBe(true);
  } finally {
    await bed.stop();
  }
});

test('of a cluster on one machine the first replica has the port of the configuration', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-webhooks-up-'));
  const vendor = vendorKey('vendor-1');
  const port = await freePorts(1);
  const { configFile } = writeDeployment(dir, { ledger: EMBEDDED, policy: POLICY });
  const config = parse(readFileSync(configFile, 'utf8'));
  config.webhooks = { host: '127.0.0.1', port };
  const webhooks = { path: HOOK_PATH, workspaceIds: [WORKSPACE_ID], jwks: { file: 'jwks.json' } };
  Object.assign(config.workspaces[0], { webhooks });
  writeFileSync(configFile, stringify(config));
  writeFileSync(join(dir, 'jwks.json'), keySet(vendor));
  const cluster = await startCluster({ configFile, replicas: 2 });
  try {
    expect(await notify({ hooks: `http://127.0.0.1:${port}${HOOK_PATH}` }, completed('a'), vendor)).toBe(
      '200 ok',
    );
    await cluster.stop();
  } finally {
    await cluster.discard();
    rmSync(dir, { recursive: true, force: true });
  }
});

function conversation(port: number, host: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = connect(port, host, () => socket.write(text));
    socket.setEncoding('utf8').on('data', (chunk) => {
      heard += chunk;
    });
    socket.once('close', () => resolve(heard));
    socket.once('error', reject);
  });
}

function overTls(port: number, ca: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = tlsConnect({ port, host: '127.0.0.1', ca, servername: 'localhost' }, () =>
      socket.write(text),
    );
    socket.setEncoding('utf8').on('data', (chunk) => {
      heard += chunk;
    });
    socket.once('close', () => resolve(heard));
    socket.once('error', reject);
  });
}
