/** The files of deploy/redis, started as compose.yaml starts them, with the real servers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { createRedisLedger } from '../../src/ledger/redis/redis-ledger.js';
import { freePorts } from '../support/cluster.js';
import { eventually } from '../support/deployment.js';

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
      20_000,
    );
    await ask(primary, 'SET', 'kept', 'yes');
    first.kill('SIGKILL');
    await once(first, 'exit');
    await start('primary', 'redis', { port: primary });
    expect(await ask(primary, 'GET', 'kept')).toBe('yes');
  });

  test('have what the guide asks for, and the user that it describes can keep a ledger', async () => {
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
    const connection = {
      url: `redis://127.0.0.1:${port}`,
      username: 'countersign',
      password: () => PASSWORD,
    };
    const ledger = createRedisLedger({ workspace: 'main', connection });
    try {
      const { identity } = await ledger.init();
      expect((await ledger.state()).identity).toBe(identity);
      expect(await ledger.check()).toEqual([]);
    } finally {
      await ledger.close();
    }
  });

  test('give that user the rights of the guide', () => {
    const line = /^ACL SETUSER countersign reset on >PASSWORD (.*)$/m.exec(
      readFileSync('docs/operations-redis.md', 'utf8'),
    );
    expect(readFileSync('deploy/redis/countersign.acl', 'utf8').trim()).toBe(line?.[1]);
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

test.each(['redis.conf', 'sentinel.conf', 'witness.conf'])('every block of %s says why', (file) => {
  const blocks = readFileSync(join('deploy/redis', file), 'utf8').split('\n\n').slice(1);
  const silent = blocks.filter((block) => !block.startsWith('#') && !block.startsWith('port '));
  expect(silent).toEqual([]);
});
