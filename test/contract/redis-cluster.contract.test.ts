/**
 * A ledger on a Redis Cluster, a real one: everything of a workspace on the one primary that owns its slot, and what
 * happens when that dies, hangs or hands the slot to another.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ClusterConnection } from '../../src/ledger/redis/connection.js';
import { authority, certificate } from '../support/certificates.js';
import { freePorts } from '../support/cluster.js';
import { type CuttingProxy, cuttingProxy } from '../support/cutting-proxy.js';
import { outcome } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import { activateAgain, Begun, codeOf, committing, FENCED, UNAVAILABLE } from '../support/fail-over.js';
import { aclAddition, aclLine } from '../support/guide.js';
import type { Bench } from '../support/ledger-bench.js';
import { charge, HOUR, LIFETIME, proposal, REJECT } from '../support/proposals.js';
import {
  type ClusterBed,
  type ClusterNode,
  type ClusterOptions,
  startCluster,
} from '../support/redis-cluster.js';
import { startRedis } from '../support/redis-server.js';

const begun = new Begun();

function settingsOf({ nodes }: Pick<ClusterBed, 'nodes'>): ClusterConnection {
  return { cluster: { nodes }, commandTimeoutMs: 5_000 };
}

const metaOf = (workspace: string) => `countersign:{${workspace}}:meta`;

/** Everything a ledger does. */
async function everything({ ledger, versions }: Pick<Bench, 'ledger' | 'versions'>): Promise<void> {
  const charges = [
    charge('rolling', { window: HOUR }),
    charge('lifetime', { window: LIFETIME }),
    charge('members', { members: ['a', 'b'], window: HOUR }),
    charge('shadow', { mode: 'shadow' }),
  ];
  await ledger.fill(charges.map((each) => ({ ...each, moneyKey: 'm', atMs: 1 })));
  const facts = [{ key: 'k', value: 'v', reason: 'INPUT_AMOUNT_CHANGED' as const, sentence: '' }];
  for (const txId of ['t', 'u', 't']) await ledger.commit(proposal(txId, { versions, charges, facts }));
  const other = proposal('t', { versions, ask: { fingerprint: 'other' }, opinion: REJECT });
  expect(await outcome(ledger.commit(other))).toBe('conflict CONFLICT_CONTENT');
  await ledger.freeze({ id: 'f', scope: '{}', reason: 'r', author: 'a', answers: 'retry' });
  await ledger.unfreeze('f', []);
  await ledger.usage(charges);
  await ledger.lookup('a');
  expect(await ledger.events(0, 100)).toHaveLength(8);
  expect((await ledger.check()).map(({ code }) => code)).toEqual(['RESTART']);
}

/** Waits until a replica has everything that a primary has. */
function replicated(primary: ClusterNode): Promise<void> {
  return eventually(async () => {
    const info = String(await primary.command('INFO', 'replication'));
    const offset = /^master_repl_offset:(\d+)/m.exec(info)?.[1];
    expect(info).toContain(`,state=online,offset=${offset},`);
  });
}

async function cluster(options: ClusterOptions = {}): Promise<ClusterBed> {
  const bed = await startCluster(options);
  begun.add(() => bed.stop());
  return bed;
}

describe('three primaries with a replica each', () => {
  let bed: ClusterBed;
  beforeAll(async () => {
    bed = await cluster();
  });
  afterAll(() => begun.end());

  test('every script runs, on whichever primary owns the workspace’s slot, which is also the one looked at', async () => {
    const owners = new Set<string>();
    while (owners.size < bed.primaries.length) {
      const made = await begun.ledgerOn(settingsOf(bed));
      const owner = await bed.ownerOf(metaOf(made.workspace));
      if (!owners.has(owner.id)) await everything(made);
      owners.add(owner.id);
      const history = /master_replid:(\w+)/.exec(String(await owner.command('INFO', 'replication')))?.[1];
      expect(await made.ledger.fence?.state()).toMatchObject({ history, restartsAlone: false });
      expect(await owner.command('EXISTS', metaOf(made.workspace))).toBe(1);
      // Settings of this primary, and not of another, are the ones that count.
      await owner.command('CONFIG', 'SET', 'appendonly', 'no');
      const problems = await made.ledger.check();
      await owner.command('CONFIG', 'SET', 'appendonly', 'yes');
      expect(problems.map(({ code }) => code)).toEqual(['APPEND_ONLY']);
    }
  });

  test('the user of the guide suffices', async () => {
    for (const { command } of [...bed.primaries, ...bed.replicas]) {
      await command(...aclLine('countersign', 'secret'));
      await command(...aclAddition('countersign'));
    }
    const access = { username: 'countersign', password: () => 'secret' };
    await everything(await begun.ledgerOn({ ...settingsOf(bed), ...access }));
    const wrong = begun.open('main', { ...settingsOf(bed), ...access, password: () => 'another' });
    await expect(wrong.state()).rejects.toThrow(
      /no node of the Cluster says where the ledger is .*WRONGPASS/,
    );
  });

  test('one node that lives and knows the others is enough; a server that is no Cluster is named', async () => {
    const made = await begun.ledgerOn(settingsOf(bed));
    const owner = await bed.ownerOf(metaOf(made.workspace));
    const dead = await startRedis();
    begun.add(() => dead.stop());
    await dead.kill('SIGKILL');
    const [living] = bed.primaries.filter((node) => node !== owner);
    const nodes = [`127.0.0.1:${dead.port}`, `127.0.0.1:${living?.port}`];
    expect((await begun.open(made.workspace, settingsOf({ nodes })).state()).sequence).toBe(2);
    await dead.restart();
    const single = begun.open(made.workspace, settingsOf({ nodes: [`127.0.0.1:${dead.port}`] }));
    await expect(single.state()).rejects.toThrow(
      /no node of the Cluster says where the ledger is \(127\.0\.0\.1:\d+: ERR This instance has cluster support disabled/,
    );
  });

  test('a slot that is handed to another primary: unavailable on the way, fenced there, one decision in the end', async () => {
    const made = await begun.ledgerOn(settingsOf(bed));
    const commit = committing(made);
    const first = await commit('t');
    const key = metaOf(made.workspace);
    const from = await bed.ownerOf(key);
    const [to] = bed.primaries.filter((node) => node !== from);
    if (to === undefined) throw new Error('no other primary');
    const slot = String(await from.command('CLUSTER', 'KEYSLOT', key));
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
    // Half the keys are on their way: the script would see half a ledger, and is refused before it begins.
    const [one = ''] = (await from.command('CLUSTER', 'GETKEYSINSLOT', slot, '1')) as readonly string[];
    await from.command('MIGRATE', '127.0.0.1', String(to.port), one, '0', '5000');
    await expect(commit('u')).rejects.toThrow(/TRYAGAIN|ASK/);
    await bed.move(key, to);
    await eventually(async () => expect(await commit('u').catch(codeOf)).toBe(FENCED.code));
    expect(await from.command('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(0);
    await activateAgain(made.ledger);
    expect(await outcome(commit('u'))).toBe('approve APPROVED');
    expect(await commit('t')).toMatchObject({
      repeated: true,
      decision: 'decision' in first && first.decision,
    });
    expect(await made.ledger.usage([charge('c')])).toEqual(['2']);
    // And back: what it decided elsewhere has made the first server's history an old one.
    await bed.move(key, from);
    await eventually(async () => expect(await commit('v').catch(codeOf)).toBe(FENCED.code));
  });

  test('its primary killed: the promoted replica is found, and decides only after an operator said so', async () => {
    const made = await begun.ledgerOn(settingsOf(bed));
    const commit = committing(made);
    const first = await commit('t');
    const key = metaOf(made.workspace);
    const owner = await bed.ownerOf(key);
    const replica = bed.replicas[bed.primaries.indexOf(owner)];
    await replicated(owner);
    await owner.kill('SIGKILL');
    const answers = new Set<string>();
    await eventually(async () => {
      const answer = await commit('u').then(({ kind }) => kind, codeOf);
      answers.add(answer);
      if (answer !== FENCED.code) throw new Error(answer);
    });
    expect([...answers].sort()).toEqual([FENCED.code, UNAVAILABLE.code]);
    expect(await bed.ownerOf(key)).toBe(replica);
    await owner.restart();
    await expect(commit('u')).rejects.toMatchObject(FENCED);
    await activateAgain(made.ledger);
    expect(await outcome(commit('u'))).toBe('approve APPROVED');
    expect(await commit('t')).toMatchObject({
      repeated: true,
      decision: 'decision' in first && first.decision,
    });
  });

  test('its primary hanging: the connection is given up, and the promoted replica found', async () => {
    const made = await begun.ledgerOn({ ...settingsOf(bed), commandTimeoutMs: 1_500 });
    const commit = committing(made);
    await commit('t');
    const owner = await bed.ownerOf(metaOf(made.workspace));
    // One that was promoted a moment ago has none before the old primary has become one.
    await replicated(owner);
    await owner.kill('SIGSTOP');
    try {
      await eventually(async () => expect(await commit('u').catch(codeOf)).toBe(FENCED.code));
    } finally {
      await owner.kill('SIGCONT');
    }
    await eventually(async () => expect(await owner.command('ROLE')).toContain('slave'));
    await expect(commit('u')).rejects.toMatchObject(FENCED);
  });
});

describe('a small Cluster', () => {
  afterEach(() => begun.end());

  test('a command whose reply is cut off is not run twice', async () => {
    const roads: CuttingProxy[] = [];
    const bed = await cluster({
      primaries: 1,
      replicas: false,
      announce: async ({ port }) => {
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

  test('a primary that restarts is not trusted, whatever its settings', async () => {
    const bed = await cluster({ primaries: 1, replicas: false });
    const made = await begun.ledgerOn(settingsOf(bed));
    await committing(made)('t');
    await bed.primaries[0]?.restart();
    await eventually(async () => expect(await committing(made)('t').catch(codeOf)).toBe(FENCED.code));
  });

  test('TLS to whichever node is asked, and to the primary that it names', async () => {
    const made = mkdtempSync(join(tmpdir(), 'countersign-cluster-tls-'));
    begun.add(() => rmSync(made, { recursive: true, force: true }));
    const [ca, otherCa] = [authority(made, 'ca'), authority(made, 'other-ca')];
    const [node, client] = [certificate(made, ca, 'IP:127.0.0.1'), certificate(made, ca, 'DNS:countersign')];
    const pem = (file: string) => readFileSync(file, 'utf8');
    const ports: string[] = [];
    await cluster({
      primaries: 2,
      replicas: false,
      settings: {
        'tls-cluster': 'yes',
        'tls-cert-file': node.certificate,
        'tls-key-file': node.key,
        'tls-ca-cert-file': ca.certificate,
      },
      own: async () => {
        const port = String(await freePorts(1));
        ports.push(`127.0.0.1:${port}`);
        return { 'tls-port': port };
      },
    });
    const tls = { ca: pem(ca.certificate), cert: pem(client.certificate), key: pem(client.key) };
    // Whichever is asked, some of the ledgers lie on the other one.
    for (const asked of ports) {
      const settings = { cluster: { nodes: [asked] }, tls, commandTimeoutMs: 5_000 };
      for (const workspace of ['treasury', 'custody', 'otc', 'staking']) {
        const ledger = begun.open(`${workspace}-${asked.replace(/\D/g, '')}`, settings);
        await ledger.init();
        expect((await ledger.state()).sequence).toBe(1);
        // Ours are made for two days.
        expect((await ledger.check()).map(({ code }) => code)).toContain('CERTIFICATE');
      }
      const { cert: _, key: __, ...nobody } = tls;
      await expect(begun.open('main', { ...settings, tls: nobody }).state()).rejects.toMatchObject(
        UNAVAILABLE,
      );
      const wrong = { ...settings, tls: { ...tls, ca: pem(otherCa.certificate) } };
      await expect(begun.open('main', wrong).state()).rejects.toThrow(
        /no node of the Cluster says where the ledger is .*certificate/,
      );
    }
  });

  test('a slot that nobody serves is named, and the Cluster found when it is whole', async () => {
    const bed = await cluster({ primaries: 1, replicas: false });
    const [node] = bed.primaries;
    const slot = String(await node?.command('CLUSTER', 'KEYSLOT', metaOf('main')));
    await node?.command('CLUSTER', 'DELSLOTS', slot);
    const ledger = begun.open('main', settingsOf(bed));
    await expect(ledger.init()).rejects.toThrow(`says that nobody serves slot ${slot}`);
    await node?.command('CLUSTER', 'ADDSLOTS', slot);
    await eventually(() => ledger.init());
  });
});
