/** How a replica gets in: a user with the fewest commands, TLS with an authority of one's own, passwords that change. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createRedisLedger } from '../../src/ledger/redis/redis-ledger.js';
import { ledgerSettings } from '../../src/replica.js';
import { outcome } from '../support/each-ledger.js';
import { activate } from '../support/ledger-bench.js';
import { charge, HOUR, LIFETIME, proposal, REJECT } from '../support/proposals.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const ended: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function redis(settings: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
  const server = await startRedis({ settings });
  ended.push(() => server.stop());
  return server;
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'countersign-access-'));
  ended.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function ledgerWith(connection: Parameters<typeof createRedisLedger>[0]['connection']) {
  const ledger = createRedisLedger({ workspace: 'main', connection });
  ended.push(() => ledger.close());
  return ledger;
}

const GUIDE = 'docs/operations-redis.md';

/** The line that the guide tells people to type. */
function aclSetuser(password: string): readonly [string, ...string[]] {
  const line = /^ACL SETUSER .*$/m.exec(readFileSync(GUIDE, 'utf8'))?.[0] ?? '';
  const [first = '', ...rest] = line.replace('PASSWORD', password).split(' ');
  return [first, ...rest];
}

describe('the user of the guide', () => {
  test('may do everything a ledger does, and nothing else', async () => {
    const server = await redis();
    await server.command(...aclSetuser('secret'));
    const ledger = ledgerWith({ url: server.url, username: 'countersign', password: () => 'secret' });
    const { identity } = await ledger.init();
    const { sequence } = await activate(ledger);
    const charges = [
      charge('rolling', { window: HOUR }),
      charge('short', { window: { kind: 'rolling', lengthMs: 1 } }),
      charge('lifetime', { window: LIFETIME }),
      charge('members', { members: ['a', 'b'], window: HOUR }),
      charge('shadow', { mode: 'shadow' }),
    ];
    await ledger.fill(charges.map((each) => ({ ...each, moneyKey: 'm', atMs: 1 })));
    const facts = [{ key: 'k', value: 'v', reason: 'INPUT_AMOUNT_CHANGED' as const, sentence: '' }];
    const versions = { ledger: identity, policy: sequence, freezes: 0 };
    for (const txId of ['t', 'u', 't']) await ledger.commit(proposal(txId, { versions, charges, facts }));
    const other = proposal('t', { versions, ask: { fingerprint: 'other' }, opinion: REJECT });
    expect(await outcome(ledger.commit(other))).toBe('conflict CONFLICT_CONTENT');
    await ledger.freeze({ id: 'f', scope: '{}', reason: 'r', author: 'a', answers: 'retry' });
    await ledger.unfreeze('f', []);
    await ledger.usage(charges);
    await ledger.lookup('a');
    expect(await ledger.events(0, 100)).toHaveLength(7);
    expect(await ledger.check()).toEqual([]);
    await server.restart();
    await server.command(...aclSetuser('secret'));
    expect(await eventually(() => ledger.check())).toEqual([]);
    const { history = '', sequence: last = 0 } = (await ledger.fence?.state()) ?? {};
    await ledger.fence?.activate({ identity, history, sequence: last + 1, statement: 's' });

    const rights = (words: readonly string[]) =>
      server.command('ACL', ...['DRYRUN', 'countersign', ...words]);
    expect(await rights(['HGET', 'countersign:{main}:meta', 'x'])).toBe('OK');
    for (const words of [
      ['HGET', 'elsewhere', 'x'],
      ['FLUSHALL'],
      ['DEL', 'elsewhere'],
      ['CONFIG', 'SET', 'appendfsync', 'no'],
      ['REPLICAOF', 'NO', 'ONE'],
      ['KEYS', '*'],
      ['SHUTDOWN'],
      ['ACL', 'LIST'],
      ['PUBLISH', 'c', 'm'],
    ] as const) {
      expect([words, String(await rights(words))]).toEqual([words, expect.stringMatching(/permission/)]);
    }
  });
});

describe('a password file', () => {
  test('is read again for each connection, so that a password changes without a restart', async () => {
    const server = await redis({ requirepass: 'old' });
    const passwordFile = join(folder(), 'password');
    writeFileSync(passwordFile, 'old\n');
    const settings = ledgerSettings({
      ledger: {
        kind: 'redis',
        redis: { url: server.url, passwordFile },
        durability: { mode: 'fence', witnesses: [] },
        retention: 1,
      },
    });
    if (settings.kind !== 'redis') throw new Error('another kind of ledger');
    const ledger = ledgerWith(settings.connection);
    await ledger.init();
    await server.restart({ requirepass: 'new' });
    await expect(eventually(() => ledger.state(), 300)).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    writeFileSync(passwordFile, 'new\n');
    expect(await eventually(() => ledger.state())).toMatchObject({ sequence: 1 });
    rmSync(passwordFile);
    await server.restart({ requirepass: 'new' });
    expect(await eventually(() => ledger.state())).toMatchObject({ sequence: 1 });
  });
});

describe('TLS', () => {
  test('with an authority of one’s own: it alone is trusted, and only for the name it vouches for', async () => {
    const made = folder();
    const ca = authority(made, 'ca');
    const right = certificate(made, ca, 'IP:127.0.0.1');
    const wrong = certificate(made, ca, 'DNS:elsewhere.example');
    const stranger = authority(made, 'stranger');

    const server = await tlsRedis(right, ca);
    const ledger = ledgerWith({ url: server.url, tls: { ca: readFileSync(ca.certificate, 'utf8') } });
    const { identity } = await ledger.init();
    const { sequence } = await activate(ledger);
    const versions = { ledger: identity, policy: sequence, freezes: 0 };
    expect(await outcome(ledger.commit(proposal('t', { versions })))).toBe('approve APPROVED');

    const suspicious = ledgerWith({
      url: server.url,
      tls: { ca: readFileSync(stranger.certificate, 'utf8') },
    });
    await expect(suspicious.state()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    const system = ledgerWith({ url: server.url, tls: {} });
    await expect(system.state()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    const plain = ledgerWith({ url: server.url.replace('rediss', 'redis') });
    await expect(plain.state()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });

    const misnamed = await tlsRedis(wrong, ca);
    const careful = ledgerWith({ url: misnamed.url, tls: { ca: readFileSync(ca.certificate, 'utf8') } });
    await expect(careful.state()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  });
});

interface Certified {
  readonly certificate: string;
  readonly key: string;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore' });
}

function authority(made: string, name: string): Certified {
  const [certificate, key] = [join(made, `${name}.pem`), join(made, `${name}.key`)];
  openssl(
    'req',
    '-x509',
    ...NEW_KEY,
    '-keyout',
    key,
    '-out',
    certificate,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  );
  return { certificate, key };
}

function certificate(made: string, by: Certified, names: string): Certified {
  const name = names.replace(/\W/g, '-');
  const [request, key, extensions, signed] = ['csr', 'key', 'ext', 'crt'].map((end) =>
    join(made, `${name}.${end}`),
  ) as [string, string, string, string];
  openssl('req', ...NEW_KEY, '-keyout', key, '-out', request, '-subj', '/CN=redis');
  writeFileSync(extensions, `subjectAltName=${names}\n`);
  const by509 = ['-CA', by.certificate, '-CAkey', by.key, '-CAcreateserial', '-days', '2'];
  openssl('x509', '-req', '-in', request, ...by509, '-extfile', extensions, '-out', signed);
  return { certificate: signed, key };
}

/** Speaks TLS on a port of its own, beside the plain one that the test controls it by. */
async function tlsRedis(own: Certified, ca: Certified): Promise<{ readonly url: string }> {
  const port = await freePort();
  await redis({
    'tls-port': String(port),
    'tls-cert-file': own.certificate,
    'tls-key-file': own.key,
    'tls-ca-cert-file': ca.certificate,
    'tls-auth-clients': 'no',
  });
  return { url: `rediss://127.0.0.1:${port}` };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

async function eventually<T>(attempt: () => Promise<T>, withinMs = 8000): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
