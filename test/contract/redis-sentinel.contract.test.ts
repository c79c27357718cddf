/**
 * A ledger behind Sentinels, with real ones: who is asked, what happens when the primary dies, hangs or comes back, and
 * that nothing is decided on a promoted server before an operator has said so.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, describe, expect, test } from '@jest/globals';
import { statusOf } from '../../src/cli/status.js';
import type { SentinelConnection } from '../../src/ledger/redis/connection.js';
import { authority, certificate } from '../support/certificates.js';
import { freePorts } from '../support/cluster.js';
import { type CuttingProxy, cuttingProxy } from '../support/cutting-proxy.js';
import { approving, writeDeployment } from '../support/deployment.js';
import { outcome } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import { activateAgain, Begun, codeOf, committing, FENCED, UNAVAILABLE } from '../support/fail-over.js';
import { aclLine } from '../support/guide.js';
import { charge } from '../support/proposals.js';
import {
  PRIMARY_NAME,
  type SentinelBed,
  type SentinelOptions,
  startSentinels,
} from '../support/redis-sentinel.js';
import { commandOn, startRedis } from '../support/redis-server.js';

const begun = new Begun();
afterEach(() => begun.end());

async function sentinels(options: SentinelOptions = {}): Promise<SentinelBed> {
  const bed = await startSentinels(options);
  begun.add(() => bed.stop());
  return bed;
}

function settingsOf(
  { nodes }: SentinelBed,
  own: Partial<SentinelConnection['sentinel']> = {},
): SentinelConnection {
  return { sentinel: { name: PRIMARY_NAME, nodes, ...own }, commandTimeoutMs: 5_000 };
}

describe('a fail-over', () => {
  test('after the primary died: the new one is found, and decides only after an operator said so', async () => {
    const bed = await sentinels();
    const made = await begun.ledgerOn(settingsOf(bed));
    const commit = committing(made);
    const first = await commit('t');
    // A Sentinel that has to be asked twice to be heard is missed until then.
    await eventually(async () =>
      expect(await made.ledger.check()).toEqual([
        {
          code: 'RESTART',
          text: expect.stringContaining(
            'after every fail-over and restart. Set `ledger.durability.mode: witness`',
          ),
          blocks: false,
        },
      ]),
    );
    const old = await bed.primary();
    // What is acknowledged here has reached the replicas, so that only the fence stands between them and a decision.
    await eventually(async () => {
      for (const { command } of bed.servers)
        expect(await command('HGET', `countersign:{${made.workspace}}:meta`, 'sequence')).toBe('3');
    });
    await old.kill('SIGKILL');
    const answers = new Set<string>();
    const decided = async () => {
      const error = await commit('u').then(outcomeText, codeOf);
      answers.add(error);
      if (error !== FENCED.code) throw new Error(error);
    };
    await eventually(decided);
    expect([...answers].sort()).toEqual(['LEDGER_FENCED', UNAVAILABLE.code].sort());
    const promoted = await bed.otherPrimary(old);
    expect(await promoted.command('HGET', `countersign:{${made.workspace}}:meta`, 'sequence')).toBe('3');
    // The old primary comes back as a replica, and that changes nothing.
    await old.restart();
    await expect(commit('u')).rejects.toMatchObject(FENCED);
    await activateAgain(made.ledger);
    expect(await outcome(commit('u'))).toBe('approve APPROVED');
    expect(await commit('t')).toMatchObject({
      repeated: true,
      decision: 'decision' in first && first.decision,
    });
    expect(await made.ledger.usage([charge('c')])).toEqual(['2']);
  });

  test('while the primary hangs: the connection moves at the word of the Sentinels', async () => {
    const bed = await sentinels();
    const made = await begun.ledgerOn({ ...settingsOf(bed), commandTimeoutMs: 120_000 });
    const commit = committing(made);
    await commit('t');
    const old = await bed.primary();
    await old.kill('SIGSTOP');
    begun.add(() => old.kill('SIGCONT'));
    // Long before the command's own time-out, and the one of its socket.
    const waiting = codeOf(await commit('u').catch((error: unknown) => error));
    expect(waiting).toBe(UNAVAILABLE.code);
    await eventually(async () => expect(await commit('u').catch(codeOf)).toBe(FENCED.code));
    await old.kill('SIGCONT');
    await eventually(async () => expect(await old.command('ROLE')).toContain('slave'));
    await expect(commit('u')).rejects.toMatchObject(FENCED);
    await activateAgain(made.ledger);
    expect(await outcome(commit('u'))).toBe('approve APPROVED');
    expect(await made.ledger.usage([charge('c')])).toEqual(['2']);
  });
});

describe('behind Sentinels', () => {
  test('a late word of the primary that we are at already does not part us from it', async () => {
    const bed = await sentinels({ replicas: 0 });
    // Takes subscriptions as a Sentinel does, and lets us speak.
    const late = await startRedis();
    begun.add(() => late.stop());
    const { sentinel } = settingsOf(bed);
    const nodes = [bed.nodes[0] ?? '', `127.0.0.1:${late.port}`];
    const made = await begun.ledgerOn({ sentinel: { ...sentinel, nodes }, commandTimeoutMs: 5_000 });
    await committing(made)('t');
    const primary = await bed.primary();
    const ours = async () => {
      const clients = String(await primary.command('CLIENT', 'LIST')).split('\n');
      return clients.find((line) => /cmd=(evalsha|eval|script)/.test(line))?.match(/id=(\d+)/)?.[1];
    };
    const before = await ours();
    expect(before).toBeDefined();
    const say = (port: number) =>
      late.command('PUBLISH', '+switch-master', `${PRIMARY_NAME} 127.0.0.1 1 127.0.0.1 ${port}`);
    await eventually(async () => expect(await say(primary.port)).toBe(1));
    await committing(made)('u');
    expect(await ours()).toBe(before);
    await say(1);
    await eventually(async () => {
      await committing(made)('u');
      expect(await ours()).not.toBe(before);
    });
  });

  test('a primary that restarts before they notice is not trusted, whatever its settings', async () => {
    const bed = await sentinels({
      replicas: 0,
      sentinelLines: [`sentinel down-after-milliseconds ${PRIMARY_NAME} 60000`],
    });
    const made = await begun.ledgerOn(settingsOf(bed));
    await committing(made)('t');
    await (await bed.primary()).restart();
    await eventually(() => made.ledger.state());
    await expect(committing(made)('t')).rejects.toMatchObject(FENCED);
    const problems = (await made.ledger.check()).filter(({ blocks }) => blocks);
    expect(problems.map(({ code }) => code)).toEqual(['FENCED']);
  });

  test('a command whose reply is cut off is not run twice', async () => {
    const roads: CuttingProxy[] = [];
    const bed = await sentinels({
      replicas: 0,
      via: async ({ port }) => {
        const road = await cuttingProxy(port);
        begun.add(() => road.stop());
        roads.push(road);
        return road.port;
      },
    });
    const [road] = roads;
    if (road === undefined) throw new Error('no road');
    const made = await begun.ledgerOn(settingsOf(bed));
    for (const txId of ['loads-the-script', 'whole']) await committing(made)(txId);
    const once = road.sent('content-of-whole');
    road.armed = true;
    await expect(committing(made)('cut')).rejects.toMatchObject(UNAVAILABLE);
    await eventually(() => made.ledger.lookup('x'));
    expect([once > 0, road.sent('content-of-cut')]).toEqual([true, once]);
    expect(await committing(made)('cut')).toMatchObject({ repeated: true, decision: { sequence: 5 } });
  });

  test('the Sentinels may be away while the primary lives, and some of them always', async () => {
    const bed = await sentinels();
    const made = await begun.ledgerOn(settingsOf(bed));
    const [one, two, three] = bed.sentinels;
    await one?.kill('SIGSTOP');
    begun.add(() => one?.kill('SIGCONT'));
    expect((await begun.open(made.workspace, settingsOf(bed)).state()).sequence).toBe(2);
    await one?.kill('SIGKILL');
    expect((await begun.open(made.workspace, settingsOf(bed)).state()).sequence).toBe(2);
    await Promise.all([two?.kill('SIGKILL'), three?.kill('SIGKILL')]);
    expect(await outcome(committing(made)('t'))).toBe('approve APPROVED');
    const late = begun.open(made.workspace, settingsOf(bed));
    await expect(late.state()).rejects.toThrow(
      /no Sentinel names the primary "countersign" \(127\.0\.0\.1:\d+: .*ECONNREFUSED.*; 127\.0\.0\.1:\d+: /,
    );
    await two?.restart();
    expect((await eventually(() => late.state())).sequence).toBe(3);
    expect(await outcome(committing(made)('u'))).toBe('approve APPROVED');
  });

  test('too few to promote: said while the primary lives and when it is gone, and the runbook’s command promotes', async () => {
    const bed = await sentinels();
    const made = await begun.ledgerOn(settingsOf(bed));
    const [living, ...others] = bed.sentinels;
    if (living === undefined) throw new Error('there are three');
    const codes = async () => (await made.ledger.check()).map(({ code }) => code);
    await eventually(async () => expect(await codes()).toEqual(['RESTART']));
    for (const other of others) await other.kill('SIGKILL');
    // Each is missed when its own connection breaks, so that for a moment only one of them may be.
    await eventually(async () => {
      const [restart, silent] = await made.ledger.check();
      expect([restart, silent]).toMatchObject([{ code: 'RESTART' }, { code: 'SENTINELS', blocks: false }]);
      for (const { port } of others)
        expect(silent?.text).toMatch(new RegExp(`127.0.0.1:${port}: .*ECONNREFUSED`));
    });
    const old = await bed.primary();
    await old.kill('SIGKILL');
    await eventually(async () => expect(await codes()).toEqual(['PRIMARY']));
    const found = () => made.ledger.check().then(([problem]) => problem?.text);
    await eventually(async () =>
      expect(await found()).toMatch(
        new RegExp(
          `connect ECONNREFUSED .*the primary is 127.0.0.1:${old.port}, say 1 of 3 Sentinels; 127.0.0.1:\\d+: .*connect `,
        ),
      ),
    );
    const dir = mkdtempSync(join(tmpdir(), 'countersign-sentinel-status-'));
    begun.add(() => rmSync(dir, { recursive: true, force: true }));
    const { sentinel } = settingsOf(bed);
    const { configFile } = writeDeployment(dir, {
      policy: approving(),
      ledger: { kind: 'redis', redis: { sentinel }, durability: { mode: 'fence' } },
    });
    const { blocked } = await statusOf(configFile, 'main');
    expect(blocked).toEqual([expect.stringContaining('docs/runbooks/CountersignPrimaryGone.md')]);
    const runbook = readFileSync('docs/runbooks/CountersignPrimaryGone.md', 'utf8');
    const printed = [...runbook.matchAll(/^ +redis-cli -p 26379 (sentinel failover .*)$/gm)].map(
      ([, command = '']) => command.split(' '),
    );
    expect(printed).toEqual([['sentinel', 'failover', PRIMARY_NAME]]);
    await eventually(() => living.command('SENTINEL', ...(printed[0]?.slice(1) ?? [])));
    await bed.otherPrimary(old);
    await eventually(async () => expect(await codes()).toContain('FENCED'));
    for (const other of others) await other.restart();
    await eventually(async () => expect(await codes()).not.toContain('SENTINELS'));
  });

  test('a wrong name of the primary is named', async () => {
    const bed = await sentinels({ replicas: 0 });
    const ledger = begun.open('main', settingsOf(bed, { name: 'another' }));
    await expect(ledger.state()).rejects.toMatchObject(UNAVAILABLE);
    await expect(ledger.state()).rejects.toThrow(
      /no Sentinel names the primary "another" \(127\.0\.0\.1:\d+: knows no primary named "another"/,
    );
  });

  test('a server that they take for the primary, and is none, is not talked to', async () => {
    const real = await startRedis();
    begun.add(() => real.stop());
    const bed = await sentinels({ replicas: 0, settings: { replicaof: `127.0.0.1 ${real.port}` } });
    await expect(begun.open('main', settingsOf(bed)).state()).rejects.toMatchObject(UNAVAILABLE);
    await eventually(() =>
      expect(begun.open('main', settingsOf(bed)).state()).rejects.toThrow(
        /127\.0\.0\.1:\d+, said to be the primary, has the role slave/,
      ),
    );
  });

  test('a server that is no Sentinel is named', async () => {
    const bed = await sentinels({ replicas: 0 });
    const nodes = bed.servers.map(({ port }) => `127.0.0.1:${port}`);
    await expect(begun.open('main', settingsOf(bed, { nodes })).state()).rejects.toThrow(
      /no Sentinel names the primary "countersign" \(127\.0\.0\.1:\d+: ERR unknown command 'SENTINEL'/,
    );
  });

  test('the Sentinels’ password is read again, and stands in no error', async () => {
    const bed = await sentinels({ replicas: 0, sentinelPassword: 'right-secret' });
    let secret = 'wrong-secret';
    const ledger = begun.open('main', settingsOf(bed, { password: () => secret }));
    const error = await ledger.state().catch((failure: unknown) => failure);
    expect(error).toMatchObject(UNAVAILABLE);
    expect(inspect(error, { depth: 10, showHidden: true })).toMatch(/no Sentinel names .*WRONGPASS/);
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('-secret');
    secret = 'right-secret';
    await eventually(() => ledger.init());
    const blank = begun.open('main', settingsOf(bed));
    await expect(blank.state()).rejects.toThrow(/no Sentinel names .*NOAUTH/);
  });

  test('TLS to Sentinels and to the primary, each with its own authority', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'countersign-sentinel-tls-'));
    begun.add(() => rmSync(dir, { recursive: true, force: true }));
    const [dataCa, sentinelCa] = [authority(dir, 'data-ca'), authority(dir, 'sentinel-ca')];
    const data = certificate(dir, dataCa, 'IP:127.0.0.1,DNS:data');
    const sentinel = certificate(dir, sentinelCa, 'IP:127.0.0.1,DNS:sentinel');
    const own = certificate(dir, dataCa, 'DNS:countersign');
    const pem = (file: string) => readFileSync(file, 'utf8');
    // Between themselves they trust both.
    const both = join(dir, 'both.pem');
    writeFileSync(both, pem(dataCa.certificate) + pem(sentinelCa.certificate));
    const tlsPort = await freePorts(1);
    const bed = await sentinels({
      replicas: 0,
      settings: {
        'tls-port': String(tlsPort),
        'tls-cert-file': data.certificate,
        'tls-key-file': data.key,
        'tls-ca-cert-file': both,
      },
      via: async () => tlsPort,
      tlsLines: [
        'tls-replication yes',
        `tls-cert-file ${sentinel.certificate}`,
        `tls-key-file ${sentinel.key}`,
        `tls-ca-cert-file ${both}`,
        'tls-auth-clients no',
      ],
    });
    const dataTls = { ca: pem(dataCa.certificate), cert: pem(own.certificate), key: pem(own.key) };
    const sentinelTls = { ca: pem(sentinelCa.certificate) };
    const settings = { ...settingsOf(bed, { tls: sentinelTls }), tls: dataTls };
    const made = await begun.ledgerOn(settings);
    expect(await outcome(committing(made)('t'))).toBe('approve APPROVED');
    // Ours are made for two days.
    expect((await made.ledger.check()).map(({ code }) => code)).toContain('CERTIFICATE');

    const { cert: _, key: __, ...nobody } = dataTls;
    await expect(begun.open('main', { ...settings, tls: nobody }).state()).rejects.toMatchObject(UNAVAILABLE);
    await expect(begun.open('main', { ...settings, tls: sentinelTls }).state()).rejects.toThrow(
      /certificate/,
    );
    await expect(
      begun.open('main', { ...settingsOf(bed, { tls: dataTls }), tls: dataTls }).state(),
    ).rejects.toThrow(/no Sentinel names the primary .*certificate/);
    await expect(begun.open('main', { ...settingsOf(bed), tls: dataTls }).state()).rejects.toThrow(
      'no Sentinel names the primary',
    );
  });

  test('the users of the guide suffice', async () => {
    const bed = await sentinels({ replicas: 0 });
    for (const { command } of bed.servers) await command(...aclLine('countersign', 'data-secret'));
    for (const { command } of bed.sentinels)
      await command(...aclLine('countersign-sentinel', 'their-secret'));
    const own = { username: 'countersign-sentinel', password: () => 'their-secret' };
    const access = { username: 'countersign', password: () => 'data-secret' };
    const made = await begun.ledgerOn({ ...settingsOf(bed, own), ...access });
    expect(await outcome(committing(made)('t'))).toBe('approve APPROVED');
    await eventually(async () =>
      expect((await made.ledger.check()).map(({ code }) => code)).toEqual(['RESTART']),
    );
    const [sentinel] = bed.sentinels;
    const clients = () => sentinel?.command('CLIENT', 'LIST');
    await eventually(async () =>
      expect(await clients()).toMatch(/ sub=1 .* cmd=subscribe user=countersign-sentinel /),
    );
    for (const words of [
      ['SENTINEL', 'FAILOVER', PRIMARY_NAME],
      ['SENTINEL', 'SET', PRIMARY_NAME, 'quorum', '1'],
      ['SENTINEL', 'REMOVE', PRIMARY_NAME],
      ['SHUTDOWN'],
      ['SENTINEL', 'MASTERS'],
      ['ACL', 'LIST'],
    ] as const) {
      const denied = commandOn(
        sentinel?.port ?? 0,
        { username: own.username, password: own.password() },
        words,
      );
      await expect(denied).rejects.toThrow('NOPERM');
    }
  });
});

const outcomeText = (reply: { readonly kind: string }): string => reply.kind;
