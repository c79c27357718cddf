/** A private Redis or Valkey on a free port of 127.0.0.1, with its append-only file in a directory of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePorts } from './cluster.js';
import { eventually } from './eventually.js';

export interface RedisOptions {
  /** Settings as in redis.conf, over the ones of {@link DEFAULTS}. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Where its append-only file is. */
  readonly directory: string;
  /** Of the running process; changes with a restart. */
  readonly pid: number;
  /** Ends it and removes its directory. */
  stop(): Promise<void>;
  /** Sends a signal; with one that ends the process, resolves when it has ended. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /**
   * Resolves when a kill loses nothing of what it has acknowledged: with `appendfsync everysec` it keeps that to itself while
   * the disk is still busy with the second before.
   */
  written(): Promise<void>;
  /** Starts it again on the same port and data, with these settings changed. */
  restart(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** One command of a connection of its own. */
  command(...words: readonly [string, ...string[]]): Promise<unknown>;
}

const DEFAULTS = {
  appendonly: 'yes',
  appendfsync: 'always',
  save: '',
  'maxmemory-policy': 'noeviction',
  'repl-backlog-ttl': '0',
};

const STARTUP_MS = 60_000;

export async function startRedis({ settings = {} }: RedisOptions = {}): Promise<RedisServer> {
  const binary = findBinary();
  const port = await freePorts(1);
  const directory = mkdtempSync(join(tmpdir(), 'countersign-redis-'));
  const password = settings.requirepass === undefined ? {} : { password: settings.requirepass };
  const start = async (changed: Readonly<Record<string, string>> = {}) => {
    const all = Object.entries({ ...DEFAULTS, ...settings, ...changed });
    const flags = all.flatMap(([name, value]) => [`--${name}`, value]);
    return launch(port, binary, [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      ...flags,
    ]);
  };
  let child = await start();
  const kill = (signal: NodeJS.Signals) => killChild(child, signal);
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    directory,
    get pid() {
      return child.pid ?? 0;
    },
    kill,
    async restart(changed) {
      await kill('SIGKILL');
      child = await start(changed);
    },
    async stop() {
      await kill('SIGKILL');
      // A child that rewrites the append-only file ends when it finds its parent gone.
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
    written: () =>
      eventually(async () => {
        const info = String(await commandOn(port, password, ['INFO', 'persistence']));
        if (!/^aof_buffer_length:0\r$/m.test(info)) throw new Error('it holds writes back');
      }),
    command: (name, ...args) => commandOn(port, password, [name, ...args]),
  };
}

/** One command of a connection of its own. */
export async function commandOn(
  port: number,
  access: { readonly username?: string; readonly password?: string },
  [name, ...args]: readonly [string, ...string[]],
): Promise<unknown> {
  const client = new Redis(port, '127.0.0.1', {
    ...access,
    enableReadyCheck: false,
    retryStrategy: () => null,
  });
  client.on('error', () => {});
  try {
    return await client.call(name, args);
  } finally {
    client.disconnect();
  }
}

/** Starts a Redis of any kind, and resolves when it answers on its port. */
export async function launch(port: number, binary: string, flags: readonly string[]): Promise<ChildProcess> {
  const child = spawn(binary, flags, { stdio: 'ignore' });
  // A test that fails before it stops its server must not keep the process, whose end ends the server.
  child.unref();
  running.add(child);
  child.once('exit', () => running.delete(child));
  await answers(port, child);
  return child;
}

/** With a signal that ends the process, resolves when it has ended. */
export async function killChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await ended;
}

/** No server outlives the tests, however they end. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export function findBinary(): string {
  for (const name of ['redis-server', 'valkey-server']) {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' });
      return name;
    } catch {
      // The next name.
    }
  }
  throw new Error('these tests need redis-server or valkey-server on the PATH');
}

/** Any reply but LOADING will do: a server that wants a password answers too. */
async function answers(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + STARTUP_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const reply = await ping(port).catch(() => '-LOADING');
    if (!reply.startsWith('-LOADING')) return;
    await pause(20);
  }
  child.kill('SIGKILL');
  throw new Error(`Redis on port ${port} did not answer`);
}

async function ping(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    socket.write('PING\r\n');
    const closed = once(socket, 'close').then(() => Promise.reject(new Error('it hung up')));
    const [reply] = await Promise.race([once(socket, 'data'), closed]);
    return String(reply);
  } finally {
    socket.destroy();
  }
}
