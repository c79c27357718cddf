/** The files of deploy/redis, started as compose.yaml starts them, with the real servers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { withLedger } from '../../src/cli/ledger.js';
import { loadConfig } from '../../src/config/load.js';
import { createLocks } from '../../src/locks/locks.js';
import { lockNodes } from '../../src/replica/stores.js';
import { freePorts } from '../support/cluster.js';
import { eventually } from '../support/deployment.js';
import { eventually as soon } from '../support/eventually.js';

const PASSWORD = 'p a$$`word`';
const dir = mkdtempSync(join(tmpdir(), 'countersign-redis-conf-'));
const children: ChildProcess[] = [];

afterAll(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(dir, { recursive: true, force: true });
});

type Kind = 'redis' | 'sentinel' | 'witness';

interface Place {
  readonly port: number;
  /** Of the Redis that a Sentinel watches or a replica copies. */
  readonly primary?: number;
}

async function start(name: string, kind: Kind, { port, primary = port }: Place): Promise<ChildProcess> {
  const root = join(dir, name);
  mkdirSync(join(root, 'data'), { recursive: true });
  cpSync('deploy/redis', join(root, 'conf'), { recursive: true });
  writeFileSync(join(root, 'password'), `${PASSWORD}\n`);
  for (const file of readdirSync(join(root, 'conf'))) {
    const path = join(root, 'conf', file);
    const text = readFileSync(path, 'utf8')
      .replace(/^port \d+$/m, `port ${port}`)
      .replaceAll('redis-1 6379', `localhost ${primary}`)
      .replaceAll('%s 6379', `%s ${primary}`);
    writeFileSync(path, text);
  }
  const child = spawn('sh', [join(root, 'conf/start.sh'), kind], {
    stdio: 'ignore',
    env: {
      ...process.env,
      DATA: join(root, 'data'),
      PASSWORD_FILE: join(root, 'password'),
      SELF: 'localhost',
      ...(primary === port || kind !== 'redis' ? {} : { REPLICA_OF: 'localhost' }),
    },
  });
  children.push(child);
  await eventually(`${name} does not answer`, async () =>
    (await ask(port, 'PING').catch(() => '')) === 'PONG' ? true : undefined,
  );
  return child;
}

async function ask(port: number, ...[command, ...args]: readonly [string, ...string[]]): Promise<unknown> {
  const once = { lazyConnect: true, retryStrategy: () => null, disconnectTimeout: 100 };
  const client = new Redis({ port, password: PASSWORD, ...once });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.call(command, args);
  } finally {
    client.disconnect();
  }
}

async function settings(port: number, ...names: readonly string[]): Promise<Record<string, string>> {
  const found = await Promise.all(names.map((name) => ask(port, 'CONFIG', 'GET', name)));
  return Object.fromEntries(found as [string, string][]);
}

describe('redis.conf and sentinel.conf', () => {
  test('make a primary, a replica and a Sentinel that knows both, and they come back as they were', async () => {
    const port = await freePorts(3);
    const [primary, replica, sentinel] = [port, port + 1, port + 2];
    const first = await start('primary', 'redis', { port: primary });
    await start('replica', 'redis', { port: replica, primary });
    await start('sentinel', 'sentinel', { port: sentinel, primary });
    await eventually('the replica does not follow', async () =>
      String(await ask(replica, 'ROLE')).startsWith(`slave,localhost,${primary},connected`)
        ? true
        : undefined,
    );
    await eventually(
      'the Sentinel does not know the replica',
      async () =>
        String(await ask(sentinel, 'SENTINEL', 'REPLICAS', 'countersign')).includes(`localhost:${replica}`)
          ? true
          : undefined,
      90_000,
    );
    await ask(primary, 'SET', 'kept', 'yes');
    first.kill('SIGKILL');
    await once(first, 'exit');
    await start('primary', 'redis', { port: primary });
    expect(await ask(primary, 'GET', 'kept')).toBe('yes');
  });

  test('have what the guide asks for', async () => {
    const port = await freePorts(1);
    await start('alone', 'redis', { port });
    const guide =
      /^```\n(appendonly yes[^`]*)```/m.exec(readFileSync('docs/operations.md', 'utf8'))?.[1] ?? '';
    const wanted = guide
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('requirepass'))
      .map((line) => line.split(' ') as [string, string]);
    expect(wanted).toHaveLength(5);
    const found = await settings(port, ...wanted.map(([name]) => name));
    expect(found).toEqual(
      Object.fromEntries(wanted.map(([name, value]) => [name, value === '""' ? '' : value])),
    );
  });

  test.each([
    ['redis', 'countersign'],
    ['sentinel', 'countersign-sentinel'],
    ['witness', 'countersign-witness'],
  ])('give the user of a %s the rights of the guide', (kind, user) => {
    const guide = readFileSync('docs/operations-redis.md', 'utf8');
    const [, rights] = new RegExp(`^ACL SETUSER ${user} reset on >PASSWORD (.*)$`, 'm').exec(guide) ?? [];
    // Witnesses hold the locks too.
    const [, selector] = new RegExp(`^ACL SETUSER ${user} (\\(.*\\))$`, 'm').exec(guide) ?? [];
    const all = [user, rights, ...(selector === undefined ? [] : [selector])];
    expect(readFileSync(`deploy/redis/${kind}.acl`, 'utf8')).toBe(`${all.join(' ')}\n`);
  });
});

test('a witness keeps what it acknowledged, through the death of its process', async () => {
  const port = await freePorts(1);
  const first = await start('witness', 'witness', { port });
  expect(await settings(port, 'appendonly', 'appendfsync', 'maxmemory-policy', 'save')).toEqual({
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    save: '',
  });
  await ask(port, 'SET', 'kept', 'yes');
  first.kill('SIGKILL');
  await once(first, 'exit');
  await start('witness', 'witness', { port });
  expect(await ask(port, 'GET', 'kept')).toBe('yes');
});

test('the configuration of compose.yaml keeps a ledger in them, with the users that they make', async () => {
  const first = await freePorts(6);
  const [primary, replica, sentinel] = [first, first + 1, first + 2];
  const witnesses = [3, 4, 5].map((offset) => first + offset);
  await start('main', 'redis', { port: primary });
  await start('second', 'redis', { port: replica, primary });
  await start('watching', 'sentinel', { port: sentinel, primary });
  await Promise.all(witnesses.map((port, index) => start(`w${index + 1}`, 'witness', { port })));
  const configFile = join(dir, 'config.yaml');
  const text = readFileSync('deploy/compose/config.yaml', 'utf8')
    .replaceAll('/secrets/redis-password', join(dir, 'main/password'))
    .replace(/nodes: \[.*\]/, `nodes: ['localhost:${sentinel}']`)
    .replaceAll(/witness-(\d):6379/g, (_name, number) => `localhost:${witnesses[Number(number) - 1]}`);
  writeFileSync(configFile, text);
  await withLedger({ config: configFile }, async (ledger) => {
    const { identity } = await ledger.init();
    expect((await ledger.state()).identity).toBe(identity);
    // A busy machine may not have an answer of each within its second at once.
    await soon(async () => expect(await ledger.check()).toEqual([]));
  });
  const locks = createLocks({ nodes: lockNodes(loadConfig(configFile)) });
  // A node has so little time to answer that a busy machine may take it.
  await soon(async () =>
    expect(await locks.hold('anything', {}, async () => 'held')).toEqual({ kind: 'done', value: 'held' }),
  );
  locks.close();
});

test.each(['redis.conf', 'sentinel.conf', 'witness.conf'])('every block of %s says why', (file) => {
  const blocks = readFileSync(join('deploy/redis', file), 'utf8').split('\n\n').slice(1);
  const silent = blocks.filter((block) => !block.startsWith('#') && !block.startsWith('port '));
  expect(silent).toEqual([]);
});
