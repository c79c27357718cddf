/**
 * What Redis can forget, and that nothing is decided then: restarts, restored files, promotions, writable replicas,
 * another ledger in the place of the one that was served. Every test ends what it started.
 */
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, rmSync } from 'node:fs';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { applyActivation } from '../../src/cli/ledger-activate.js';
import type { Ledger } from '../../src/core/ports.js';
import { type Operator, type Statement, signStatement } from '../../src/keys/statements.js';
import { createRedisLedger } from '../../src/ledger/redis/redis-ledger.js';
import { outcome } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import { type Bench, bench, storeOn } from '../support/ledger-bench.js';
import { charge, proposal } from '../support/proposals.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const FENCED = { code: 'LEDGER_FENCED' };
const alice = generateKeyPairSync('ed25519');
const operators: readonly Operator[] = [{ name: 'alice', publicKey: alice.publicKey }];

const ended: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function redis(settings: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
  const server = await startRedis({ settings });
  ended.push(() => server.stop());
  return server;
}

async function ledgerOn(server: RedisServer): Promise<Bench> {
  const made = await bench(storeOn(server));
  ended.push(() => made.close());
  return made;
}

/** A replica of Countersign that has seen nothing yet, on a server that holds the ledger of `made`. */
function freshOn(url: string, workspace: string): Ledger {
  const ledger = createRedisLedger({ workspace, connection: { url } });
  ended.push(() => ledger.close());
  return ledger;
}

const committing =
  ({ versions }: Pick<Bench, 'versions'>, ledger: Ledger) =>
  (txId: string) =>
    ledger.commit(proposal(txId, { versions, charges: [charge('c')] }));

async function problemsOf(ledger: Ledger): Promise<readonly string[]> {
  return (await ledger.check()).filter(({ blocks }) => blocks).map(({ text }) => text);
}

describe('a restart', () => {
  test('of a server that has every decision on its disk: decides again, and nothing is lost', async () => {
    const server = await redis();
    const made = await ledgerOn(server);
    const commit = committing(made, made.ledger);
    const first = await commit('t');
    for (let round = 0; round < 3; round += 1) {
      await server.restart();
      expect(await eventually(() => commit('t'))).toMatchObject({
        repeated: true,
        decision: 'decision' in first && first.decision,
      });
      expect(await outcome(commit(`new-${round}`))).toBe('approve APPROVED');
    }
    expect(await made.ledger.usage([charge('c')])).toEqual(['4']);
    expect(await made.ledger.check()).toEqual([]);
    expect(await made.ledger.fence?.state()).toMatchObject({ sequence: 6, seen: 6, restartsAlone: true });
  });

  test('is gone on from by the next command, and by readiness when nobody asks', async () => {
    const server = await redis();
    const made = await ledgerOn(server);
    await server.restart();
    const ledger = freshOn(server.url, made.workspace);
    expect(await eventually(() => problemsOf(ledger))).toEqual([]);
    expect(await outcome(committing(made, ledger)('t'))).toBe('approve APPROVED');
  });

  test.each(['everysec', 'no'])(
    'of a server with appendfsync %s: nothing is decided, at once, and it says why',
    async (value) => {
      const server = await redis({ appendfsync: value });
      const made = await ledgerOn(server);
      const commit = committing(made, made.ledger);
      expect(await made.ledger.check()).toMatchObject([{ code: 'RESTART', blocks: false }]);
      await commit('t');
      // On a busy disk such a server may really lose the last event.
      await server.written();
      await server.restart();
      await eventually(() => made.ledger.state());
      await expect(commit('t')).rejects.toMatchObject(FENCED);
      await expect(commit('u')).rejects.toThrow(/did not have every decision on its disk/);
      const [problem] = await problemsOf(made.ledger);
      expect(problem).toContain('countersign ledger activate --config FILE --key OPERATOR.pem');
      for (const attempt of [
        () => made.ledger.fill([]).then(() => made.ledger.freeze(FREEZE)),
        () => made.ledger.unfreeze('f', []),
        () => made.ledger.activate({ ...POLICY, expectedSequence: 3 }),
        () => made.ledger.fill([{ ...charge('c'), moneyKey: 'm', atMs: 1 }]),
      ]) {
        await expect(attempt()).rejects.toMatchObject(FENCED);
      }
      expect((await made.ledger.state()).sequence).toBe(3);
    },
  );

  test('with weaker settings than before: nothing is decided', async () => {
    const server = await redis();
    const made = await ledgerOn(server);
    await server.restart({ appendfsync: 'everysec' });
    await eventually(() => made.ledger.state());
    await expect(committing(made, made.ledger)('t')).rejects.toThrow(
      'not certain that it has every decision',
    );
  });

  test('after the settings were weaker for a while, as readiness saw: nothing is decided', async () => {
    const server = await redis();
    const made = await ledgerOn(server);
    await server.command('CONFIG', 'SET', 'appendfsync', 'everysec');
    expect(await made.ledger.check()).toMatchObject([{ code: 'RESTART', blocks: false }]);
    await server.command('CONFIG', 'SET', 'appendfsync', 'always');
    expect(await made.ledger.check()).toMatchObject([
      { code: 'RESTART', text: expect.stringContaining('The next restart'), blocks: false },
    ]);
    await server.restart();
    await eventually(() => made.ledger.state());
    await expect(committing(made, made.ledger)('t')).rejects.toMatchObject(FENCED);
  });

  test('after its first replica was connected: nothing is decided', async () => {
    const server = await redis();
    const made = await ledgerOn(server);
    await replicaOf(server);
    await expect(committing(made, made.ledger)('t')).rejects.toThrow('its first replica was connected');
  });

  test('after a replica was connected while something was decided: nothing is decided', async () => {
    const server = await redis();
    const replica = await replicaOf(server);
    await replica.command('REPLICAOF', 'NO', 'ONE');
    await withoutReplicas(server);
    const made = await ledgerOn(server);
    expect(await made.ledger.fence?.state()).toMatchObject({ restartsAlone: true });
    await follow(replica, server);
    await committing(made, made.ledger)('t');
    expect(await made.ledger.fence?.state()).toMatchObject({ restartsAlone: false });
    await replica.stop();
    await server.restart();
    await eventually(() => made.ledger.state());
    await expect(committing(made, made.ledger)('u')).rejects.toThrow('or had a replica');
  });

  test('with an older append-only file: nothing is decided by anybody, for good', async () => {
    const server = await redis();
    const made = await ledgerOn(server);
    const commit = committing(made, made.ledger);
    await commit('t');
    const [file, copy] = [join(server.directory, 'appendonlydir'), join(server.directory, 'copy')];
    cpSync(file, copy, { recursive: true });
    await commit('u');
    await server.kill('SIGKILL');
    rmSync(file, { recursive: true });
    cpSync(copy, file, { recursive: true });
    await server.restart();
    await eventually(() => made.ledger.state());
    await expect(commit('u')).rejects.toThrow('a replica has seen event 4, and the ledger ends at event 3');
    const other = freshOn(server.url, made.workspace);
    await expect(committing(made, other)('v')).rejects.toMatchObject(FENCED);
    await server.restart();
    expect(await eventually(() => problemsOf(other))).toEqual([expect.stringContaining('events were lost')]);
    await expect(committing(made, other)('w')).rejects.toMatchObject(FENCED);
    expect((await other.state()).sequence).toBe(3);
    expect(await other.lookup('test:transaction:signing:u:')).toBeUndefined();
  });
});

describe('a fail-over', () => {
  test('to a replica that lagged: nothing is decided, whoever asks', async () => {
    const primary = await redis();
    const replica = await replicaOf(primary);
    const road = await redirect(primary.port);
    const made = await ledgerOn({ ...primary, url: road.url });
    const commit = committing(made, made.ledger);
    await commit('t');
    await eventually(async () => expect(await sequenceOn(replica, made.workspace)).toBe('3'));
    await replica.command('REPLICAOF', '127.0.0.1', '1');
    await commit('u');
    await primary.kill('SIGKILL');
    await replica.command('REPLICAOF', 'NO', 'ONE');
    const other = freshOn(replica.url, made.workspace);
    await expect(committing(made, other)('u')).rejects.toThrow('has been promoted');
    await expect(other.init()).rejects.toMatchObject({ code: 'LEDGER_EXISTS' });
    road.to(replica.port);
    await eventually(() => made.ledger.state());
    await expect(commit('u')).rejects.toThrow('a replica has seen event 4, and the ledger ends at event 3');
    await expect(committing(made, other)('u')).rejects.toThrow('events were lost');
  });

  test('to a replica that lagged and starts as a server of its own: nothing is decided', async () => {
    const primary = await redis();
    const replica = await replicaOf(primary);
    const made = await ledgerOn(primary);
    await eventually(async () => expect(await sequenceOn(replica, made.workspace)).toBe('2'));
    const bare = freshOn(primary.url, 'bare');
    await bare.init();
    expect(await bare.fence?.state()).toMatchObject({ restartsAlone: false });
    await replica.kill('SIGKILL');
    await committing(made, made.ledger)('t');
    await primary.kill('SIGKILL');
    await replica.restart();
    const other = freshOn(replica.url, made.workspace);
    await expect(committing(made, other)('t')).rejects.toMatchObject(FENCED);
  });

  test('to a replica that is only writable: nothing is decided there', async () => {
    const primary = await redis();
    const replica = await replicaOf(primary, { 'replica-read-only': 'no' });
    const made = await ledgerOn(primary);
    await eventually(async () => expect(await sequenceOn(replica, made.workspace)).toBe('2'));
    const ledger = freshOn(replica.url, made.workspace);
    await expect(committing(made, ledger)('t')).rejects.toThrow('the Redis server is a replica');
    expect(await problemsOf(ledger)).toHaveLength(1);
    expect(await sequenceOn(replica, made.workspace)).toBe('2');
    const elsewhere = freshOn(replica.url, 'elsewhere');
    await expect(elsewhere.init()).rejects.toMatchObject(FENCED);
  });

  test('to another ledger: it begins at its own first event, and nobody takes it for less of the old one', async () => {
    const server = await redis();
    const made = await ledgerOn(server);
    await made.ledger.state();
    for (const txId of ['a', 'b', 'c']) await committing(made, made.ledger)(txId);
    await server.command('FLUSHALL');
    await expect(committing(made, made.ledger)('t')).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
    const other = freshOn(server.url, made.workspace);
    const { identity } = await other.init();
    const { sequence } = await other.activate({ ...POLICY, expectedSequence: 1 });
    expect(await outcome(committing(made, made.ledger)('t'))).toBe('stale');
    expect((await made.ledger.state()).identity).toBe(identity);
    const versions = { ledger: identity, epoch: 0, policy: sequence, freezes: 0 };
    expect(await outcome(committing({ versions }, made.ledger)('t'))).toBe('approve APPROVED');
  });

  test('a user whose scripts may not read INFO: nothing is decided, and it says what to allow', async () => {
    const server = await redis();
    const made = await ledgerOn(server);
    const rights = ['on', '>pw', '~*', '+@all', '-info'];
    await server.command('ACL', 'SETUSER', 'blind', ...rights);
    const connection = { url: server.url, username: 'blind', password: () => 'pw' };
    const ledger = createRedisLedger({ workspace: made.workspace, connection });
    ended.push(() => ledger.close());
    await expect(committing(made, ledger)('t')).rejects.toThrow('does not let scripts read INFO');
  });
});

describe('the word of an operator', () => {
  /** A ledger whose server has restarted and may have lost something. */
  async function fencedLedger() {
    const server = await redis({ appendfsync: 'everysec' });
    const made = await ledgerOn(server);
    const { ledger, workspace } = made;
    const restart = async () => {
      await server.written();
      await server.restart();
      await eventually(() => ledger.state());
    };
    await restart();
    const words = async (parts: Partial<Statement & { statement: 'ledger-activate' }> = {}) => {
      const { identity } = await ledger.state();
      const { history = '', sequence = 0, seen = 0 } = (await ledger.fence?.state()) ?? {};
      return {
        statement: 'ledger-activate',
        ledger: identity,
        workspace,
        history,
        sequence: Math.max(sequence, seen) + 1,
        oldPrimary: 'stopped',
        issuedAt: new Date().toISOString(),
        ...parts,
      } satisfies Statement;
    };
    const apply = (statement: string) => applyActivation({ ledger, operators, workspace, statement });
    return { ...made, server, restart, words, apply, commit: committing(made, ledger) };
  }

  test('lets the ledger go on, and is an event of its log', async () => {
    const { ledger, words, apply, commit, server } = await fencedLedger();
    await expect(commit('t')).rejects.toMatchObject(FENCED);
    const statement = await signStatement(alice.privateKey, await words());
    expect(await apply(statement)).toBe('alice');
    expect(await outcome(commit('t'))).toBe('approve APPROVED');
    const { history } = (await ledger.fence?.state()) ?? {};
    expect(await ledger.events(2, 9)).toMatchObject([
      { sequence: 3, type: 'activation', body: { history, statement } },
      { sequence: 4, type: 'decision' },
    ]);
    expect(await server.command('CONFIG', 'GET', 'appendfsync')).toEqual(['appendfsync', 'everysec']);
    expect(await ledger.fence?.state()).toMatchObject({ restartsAlone: false });
  });

  test('is worth nothing when nobody knows the key', async () => {
    const { words, apply, commit, ledger } = await fencedLedger();
    const stranger = generateKeyPairSync('ed25519');
    const statement = await signStatement(stranger.privateKey, await words());
    await expect(apply(statement)).rejects.toMatchObject({ code: 'STATEMENT_INVALID' });
    await expect(commit('t')).rejects.toMatchObject(FENCED);
    expect((await ledger.state()).sequence).toBe(2);
  });

  test.each<readonly [string, string, Partial<Statement & { statement: 'ledger-activate' }>]>([
    ['of another ledger', 'STATEMENT_INVALID', { ledger: 'another' }],
    ['of another workspace', 'STATEMENT_INVALID', { workspace: 'another' }],
    ['of another history', 'CONCURRENT_CHANGE', { history: 'f'.repeat(40) }],
    ['of an event that is there', 'CONCURRENT_CHANGE', { sequence: 2 }],
  ])('%s is refused', async (_, code, parts) => {
    const { words, apply, commit } = await fencedLedger();
    const statement = await signStatement(alice.privateKey, await words(parts));
    await expect(apply(statement)).rejects.toMatchObject({ code });
    await expect(commit('t')).rejects.toMatchObject(FENCED);
  });

  test('counts once: not again at once, and not after the next restart', async () => {
    const { words, apply, commit, restart } = await fencedLedger();
    const statement = await signStatement(alice.privateKey, await words({ sequence: 100 }));
    await apply(statement);
    await expect(apply(statement)).rejects.toMatchObject({ code: 'CONCURRENT_CHANGE' });
    await restart();
    await expect(apply(statement)).rejects.toMatchObject({ code: 'CONCURRENT_CHANGE' });
    await expect(commit('t')).rejects.toMatchObject(FENCED);
  });

  test('goes on above what replicas have seen, and no lower number is taken', async () => {
    const { ledger, words, apply, commit, server, workspace, versions } = await fencedLedger();
    await server.command('HSET', `countersign:{${workspace}}:meta`, 'seen', '50');
    await expect(commit('t')).rejects.toThrow('a replica has seen event 50');
    const low = await signStatement(alice.privateKey, await words({ sequence: 50 }));
    await expect(apply(low)).rejects.toMatchObject({ code: 'CONCURRENT_CHANGE' });
    await apply(await signStatement(alice.privateKey, await words()));
    expect(await commit('t')).toMatchObject({ decision: { sequence: 52 } });
    expect((await ledger.state()).versions).toEqual(versions);
  });

  test('given while the server keeps every write: the next restart needs nobody', async () => {
    const { words, apply, commit, server } = await fencedLedger();
    await server.command('CONFIG', 'SET', 'appendfsync', 'always');
    await apply(await signStatement(alice.privateKey, await words()));
    await server.restart({ appendfsync: 'always' });
    expect(await outcome(eventually(() => commit('t')))).toBe('approve APPROVED');
  });
});

const FREEZE = { id: 'f', scope: '{}', reason: 'r', author: 'a', answers: 'retry' } as const;
const POLICY = { version: 'f'.repeat(64), document: '', instances: {}, statement: '' };

async function replicaOf(
  primary: RedisServer,
  settings: Readonly<Record<string, string>> = {},
): Promise<RedisServer> {
  const replica = await redis({ 'repl-diskless-sync-delay': '0', ...settings });
  await primary.command('CONFIG', 'SET', 'repl-diskless-sync-delay', '0');
  await follow(replica, primary);
  return replica;
}

async function follow(replica: RedisServer, primary: RedisServer): Promise<void> {
  await replica.command('REPLICAOF', '127.0.0.1', String(primary.port));
  // In sync, and what came with it written to the replica's own append-only file.
  await eventually(async () =>
    expect(await replica.command('INFO')).toMatch(
      /aof_rewrite_in_progress:0\s+aof_rewrite_scheduled:0[\s\S]*master_link_status:up/,
    ),
  );
}

function withoutReplicas(server: RedisServer): Promise<void> {
  return eventually(async () =>
    expect(await server.command('INFO', 'replication')).toContain('connected_slaves:0'),
  );
}

function sequenceOn(server: RedisServer, workspace: string): Promise<unknown> {
  return server.command('HGET', `countersign:{${workspace}}:meta`, 'sequence');
}

interface Redirect {
  readonly url: string;
  /** From now on connections lead there; those that are open are cut. */
  to(port: number): void;
}

/** An address that stays the same through a fail-over. */
async function redirect(first: number): Promise<Redirect> {
  let port = first;
  const open = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = dial(port, '127.0.0.1');
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  ended.push(async () => {
    server.close();
    cut();
  });
  const address = server.address();
  return {
    url: `redis://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    to(next) {
      port = next;
      cut();
    },
  };
}
