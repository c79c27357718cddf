/** How a replica gets in: a user with the fewest commands, TLS with an authority of one's own, passwords that change. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createRedisLedger, type RedisLedgerSettings } from '../../src/ledger/redis/redis-ledger.js';
import { ledgerSettings } from '../../src/replica/stores.js';
import { authority, type Certified, certificate } from '../support/certificates.js';
import { freePorts } from '../support/cluster.js';
import { outcome } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import { age, forgetAll } from '../support/forgetting.js';
import { aclLine } from '../support/guide.js';
import { activate, PATIENT } from '../support/ledger-bench.js';
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

function ledgerWith(
  connection: RedisLedgerSettings['connection'],
  witnesses: RedisLedgerSettings['witnesses'] = [],
) {
  const ledger = createRedisLedger({ workspace: 'main', connection, witnesses });
  ended.push(() => ledger.close());
  return ledger;
}

describe('the user of the guide', () => {
  test('may do on a witness everything that a witness does, and nothing else', async () => {
    const [primary, ...witnesses] = await Promise.all([redis(), redis(), redis(), redis()]);
    await primary.command(...aclLine('countersign', 'secret'));
    for (const witness of witnesses) await witness.command(...aclLine('countersign-witness', 'secret'));
    const ledger = createRedisLedger({
      workspace: 'main',
      connection: { url: primary.url, username: 'countersign', password: () => 'secret', ...PATIENT },
      witnesses: witnesses.map(({ url }) => ({
        url,
        username: 'countersign-witness',
        password: () => 'secret',
        ...PATIENT,
      })),
    });
    ended.push(() => ledger.close());
    await ledger.init();
    await activate(ledger);
    await ledger.freeze({ id: 'f', scope: '{}', reason: 'r', author: 'a', answers: 'retry' });
    await witnesses[0]?.command('FLUSHALL');
    expect(await ledger.witnesses?.recover()).toMatchObject({ events: 3 });
    await age();
    expect(await forgetAll(ledger)).toMatchObject([{ kind: 'trimmed', to: 3 }, {}]);
    expect(await ledger.witnesses?.states()).toMatchObject([{ events: 1 }, { events: 1 }, { events: 1 }]);
    expect(await ledger.witnesses?.recover()).toMatchObject({ epoch: 3 });
    expect((await ledger.state()).freezes).toHaveLength(1);
    expect(await ledger.upkeep.sweep()).toBeGreaterThan(0);
    expect(await ledger.check()).toEqual([]);
    const stranger = await witnesses[1]?.command('ACL', 'DRYRUN', 'countersign-witness', 'GET', 'x');
    expect(String(stranger)).toMatch(/no permissions/);
  });

  test('may do everything a ledger does, and nothing else', async () => {
    const server = await redis();
    await server.command(...aclLine('countersign', 'secret'));
    const user = { username: 'countersign', password: () => 'secret', ...PATIENT };
    const ledger = ledgerWith({ url: server.url, ...user });
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
    const versions = { ledger: identity, epoch: 0, policy: sequence, freezes: 0 };
    for (const txId of ['t', 'u', 't']) await ledger.commit(proposal(txId, { versions, charges, facts }));
    const other = proposal('t', { versions, ask: { fingerprint: 'other' }, opinion: REJECT });
    expect(await outcome(ledger.commit(other))).toBe('conflict CONFLICT_CONTENT');
    await ledger.freeze({ id: 'f', scope: '{}', reason: 'r', author: 'a', answers: 'retry' });
    await ledger.unfreeze('f', []);
    await ledger.usage(charges);
    await ledger.lookup('a');
    await ledger.waiting.post('r', [
      {
        askKey: 'a',
        about: {
          cosigner: 'c',
          kind: 'transaction',
          stage: 'signing',
          requestId: 'a',
          reason: 'DEADLINE',
          sentence: 's',
        },
        deliveries: { firstMs: 1, lastMs: 1, count: 1 },
      },
    ]);
    expect((await ledger.waiting.list()).asks).toHaveLength(1);
    expect(await ledger.waiting.remove(['a'])).toEqual(['a']);
    await ledger.release({
      moneyKey: 'test:u',
      reason: 'cancelled',
      authority: { kind: 'operator', statement: 's' },
    });
    await ledger.report({
      moneyKey: 'test:u',
      protocol: 'test',
      txId: 'u',
      source: 'webhook',
      createdAtMs: 0,
      updatedAtMs: 0,
      fate: 'never-signed',
      status: 'CANCELLED',
    });
    expect(await ledger.events(0, 100)).toHaveLength(10);
    expect(await ledger.check()).toEqual([]);
    await server.restart();
    await server.command(...aclLine('countersign', 'secret'));
    await eventually(async () => expect(await ledger.check()).toEqual([]));
    const { history = '', sequence: last = 0 } = (await ledger.fence?.state()) ?? {};
    await ledger.fence?.activate({ identity, history, sequence: last + 1, statement: 's' });
    await server.command('HINCRBY', 'countersign:{main}:0:held:enforce:lifetime:lifetime', '', '1');
    const compared = { kind: 'compared', differences: [{ key: 'held:enforce:lifetime:lifetime' }] };
    expect(await ledger.fence?.rebuild({ kind: 'compare' })).toMatchObject(compared);
    expect(await ledger.fence?.rebuild({ kind: 'replace' })).toMatchObject({
      kind: 'replaced',
      sequence: last + 1,
    });

    const short = [
      charge('short', { window: { kind: 'rolling', lengthMs: 1 } }),
      charge('few', { members: ['a', 'b'], window: { kind: 'rolling', lengthMs: 1 } }),
    ];
    const trimmed = createRedisLedger({ workspace: 'trimmed', connection: { url: server.url, ...user } });
    ended.push(() => trimmed.close());
    await trimmed.init();
    await activate(trimmed);
    await trimmed.freeze({ id: 'f', scope: '{}', reason: 'r', author: 'a', answers: 'retry' });
    const known = (await trimmed.state()).versions;
    for (const txId of ['t', 'u'])
      await trimmed.commit(proposal(txId, { versions: known, charges: short, facts }));
    const aged = await age();
    await trimmed.commit(proposal('t', { versions: known, ask: { askKey: 'again' } }));
    expect(await forgetAll(trimmed, aged)).toMatchObject([{ kind: 'trimmed', to: 5 }, {}]);
    expect(await trimmed.upkeep.sweep()).toBe(0);

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
    const versions = { ledger: identity, epoch: 0, policy: sequence, freezes: 0 };
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

describe('the certificate that a server shows', () => {
  test('is a warning three weeks before it ends, of the ledger and of each witness', async () => {
    const made = folder();
    const ca = authority(made, 'ca');
    const ending = certificate(made, ca, 'IP:127.0.0.1,DNS:ending', 20);
    const lasting = certificate(made, ca, 'IP:127.0.0.1,DNS:lasting', 22);
    const tls = { ca: readFileSync(ca.certificate, 'utf8') };
    const serving = async (own: Certified) => ({ url: (await tlsRedis(own, ca)).url, tls, ...PATIENT });
    const warned = async (ledger: ReturnType<typeof ledgerWith>) =>
      (await ledger.check()).filter(({ code }) => code === 'CERTIFICATE');

    const alone = ledgerWith(await serving(ending));
    await alone.init();
    const { validToDate } = new X509Certificate(readFileSync(ending.certificate));
    const problem = {
      code: 'CERTIFICATE',
      text: `The certificate that Redis shows ends on ${validToDate.toISOString()}, and after that nobody can connect to it any more. Renew it.`,
      blocks: false,
    };
    expect(await warned(alone)).toEqual([problem]);

    const witnesses = await Promise.all([lasting, ending, lasting].map(serving));
    const kept = ledgerWith(await serving(lasting), witnesses);
    await kept.init();
    expect(await warned(kept)).toEqual([{ ...problem, text: `Witness 2: ${problem.text}` }]);
  });
});

/** Speaks TLS on a port of its own, beside the plain one that the test controls it by. */
async function tlsRedis(own: Certified, ca: Certified): Promise<{ readonly url: string }> {
  const port = await freePorts(1);
  await redis({
    'tls-port': String(port),
    'tls-cert-file': own.certificate,
    'tls-key-file': own.key,
    'tls-ca-cert-file': ca.certificate,
    'tls-auth-clients': 'no',
  });
  return { url: `rediss://127.0.0.1:${port}` };
}
