/** The Redis of `countersign up`: a child of ours on a loopback port, with a password and an append-only file. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CountersignError, messageOf } from '../core/errors.js';
import { listen } from './balancer.js';

export interface PrivateRedis {
  readonly url: string;
  readonly passwordFile: string;
  /** Resolves when it answers; rejects with ENVIRONMENT when it cannot. */
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

const RESTART_PAUSE_MS = 300;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;

/** Redis or Valkey on the PATH; undefined when there is neither. */
export function findRedisServer(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return ['redis-server', 'valkey-server']
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find(isExecutable);
}

/**
 * Resolves as soon as there is a process to stop. It is started again on the same port and file when it dies; `onExit` is
 * told how it died.
 */
export async function startPrivateRedis(
  executable: string,
  dir: string,
  onExit: (how: string) => void,
): Promise<PrivateRedis> {
  const folder = join(dir, 'redis');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await stopLeftover(folder);
  const passwordFile = join(folder, 'password');
  if (!existsSync(passwordFile))
    writeFileSync(passwordFile, randomBytes(32).toString('hex'), { mode: 0o600 });
  const port = await freePort();
  const configFile = join(folder, 'redis.conf');
  writeFileSync(configFile, redisConf({ port, folder, password: readFileSync(passwordFile, 'utf8') }), {
    mode: 0o600,
  });
  let stopping = false;
  let server = spawnServer(executable, folder, configFile);
  const run = async (): Promise<void> => {
    await untilUp(server, executable, folder);
    server.ended.then((how) => {
      if (stopping) return;
      onExit(how);
      again();
    });
  };
  const again = (): void => {
    sleep(RESTART_PAUSE_MS).then(async () => {
      if (stopping) return;
      server = spawnServer(executable, folder, configFile);
      await run().catch(again);
    });
  };
  const ready = run();
  ready.catch(() => undefined);
  return {
    url: `redis://127.0.0.1:${port}`,
    passwordFile,
    ready,
    async stop() {
      stopping = true;
      await stop(server);
    },
  };
}

interface Server {
  readonly child: ChildProcess;
  /** How it ended, or that it could not be started. */
  readonly ended: Promise<string>;
}

function spawnServer(executable: string, folder: string, configFile: string): Server {
  rmSync(join(folder, 'redis.pid'), { force: true });
  const log = openSync(join(folder, 'redis.log'), 'a', 0o600);
  // In a process group of its own: Ctrl-C in the terminal must reach the replicas first, Redis last, and through us.
  const child = spawn(executable, [configFile], { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(messageOf(error)));
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
  });
  return { child, ended };
}

/** Resolves when it listens; one that does not is stopped. */
async function untilUp(server: Server, executable: string, folder: string): Promise<void> {
  const endsAt = performance.now() + START_TIMEOUT_MS;
  let how: string | undefined;
  server.ended.then((known) => {
    how = known;
  });
  while (!existsSync(join(folder, 'redis.pid'))) {
    if (how !== undefined || performance.now() > endsAt) {
      await stop(server);
      throw new CountersignError(
        'ENVIRONMENT',
        `${executable} did not start (${how ?? `not within ${START_TIMEOUT_MS} ms`}); see ${join(folder, 'redis.log')}`,
      );
    }
    await sleep(20);
  }
}

/** Every write is on disk before it is acknowledged: an answer that left a replica survives a power cut. */
function redisConf({ port, folder, password }: { port: number; folder: string; password: string }): string {
  return [
    'bind 127.0.0.1',
    `port ${port}`,
    `dir "${folder}"`,
    `pidfile "${join(folder, 'redis.pid')}"`,
    `requirepass ${password}`,
    'daemonize no',
    // It keeps its command line, by which the next `up` knows one that was left behind.
    'set-proc-title no',
    'appendonly yes',
    'appendfsync always',
    'save ""',
    'maxmemory-policy noeviction',
    'repl-backlog-ttl 0',
    '',
  ].join('\n');
}

/** A supervisor that was killed outright leaves its Redis behind; two servers on one append-only file would ruin it. */
async function stopLeftover(folder: string): Promise<void> {
  const pidFile = join(folder, 'redis.pid');
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8').trim());
  if (Number.isSafeInteger(pid) && pid > 1 && commandOf(pid).includes(join(folder, 'redis.conf'))) {
    signalIfAlive(pid, 'SIGTERM');
    const endsAt = performance.now() + STOP_TIMEOUT_MS;
    while (isAlive(pid)) {
      if (performance.now() > endsAt) {
        throw new CountersignError(
          'ENVIRONMENT',
          `an earlier Redis (process ${pid}) still uses ${folder} and does not stop`,
        );
      }
      await sleep(50);
    }
  }
  rmSync(pidFile, { force: true });
}

/** The pid file alone is no proof: its number may be another process's by now. */
function commandOf(pid: number): string {
  try {
    if (existsSync('/proc/self')) return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return execFileSync('ps', ['-ww', '-o', 'command=', '-p', `${pid}`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return '';
  }
}

async function stop({ child, ended }: Server): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await Promise.race([
    ended,
    sleep(STOP_TIMEOUT_MS, undefined, { ref: false }).then(() => child.kill('SIGKILL')),
  ]);
  await ended;
}

function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended in the meantime.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server, '127.0.0.1', 0);
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null)
    throw new CountersignError('ENVIRONMENT', 'no free port');
  return address.port;
}
