/**
 * A real cluster for a test: the built program, started with `up` in a folder of its own, killed at will, and stopped
 * so that nothing is left of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { descendantsOf, kill, living } from './processes.js';

/** Tests run from the root of the project. */
export const MAIN = join(process.cwd(), 'dist/main.js');

/** Far more than a busy machine needs: what never comes is all that these tell. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 120_000;
const RESTART_TIMEOUT_MS = 120_000;

/** What `up --json` prints and keeps as `up.json`. */
export interface Up {
  readonly http: string;
  readonly ops: string;
  readonly ledger: 'redis' | 'embedded';
  readonly replicas: number;
  readonly cosigners: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly url: string;
    readonly privateKeyFile: string;
    readonly signerIds: readonly string[];
    readonly signers: readonly { readonly id: string; readonly stages: readonly string[] }[];
  }[];
  readonly answerPublicKeyFile: string;
  readonly policyFile: string;
  readonly configFile: string;
  readonly replicaUrls: readonly string[];
  readonly replicaOps: readonly string[];
  readonly replicaPids: readonly number[];
}

export interface ClusterOptions {
  readonly replicas?: number;
  readonly ledger?: 'redis' | 'embedded';
  /** The text of a policy document; without it `up` uses its example. */
  readonly policy?: string;
  /** A configuration document; `ledger` is not said then, for it says so itself. */
  readonly configFile?: string;
}

export interface Cluster {
  readonly dir: string;
  /** As it was printed when the cluster was ready. */
  readonly up: Up;
  /** The process id of `up` itself. */
  readonly pid: number;
  /** All that it printed to standard output. */
  readonly output: () => string;
  /** The replicas of this moment: one that was killed comes back under another id. */
  readonly replicaPids: () => readonly number[];
  /** `kill -9`; resolves when another process has taken the place of this one. */
  readonly killReplica: (index: number) => Promise<void>;
  /** Ctrl-C, as a terminal would send it. Rejects when `up` does not end with 0 or leaves a process behind. */
  readonly stop: () => Promise<void>;
  /** After a failed test: ends what still lives and removes the folder. Never rejects. */
  readonly discard: () => Promise<void>;
}

export async function startCluster({
  replicas = 3,
  ledger = 'redis',
  policy,
  configFile,
}: ClusterOptions = {}): Promise<Cluster> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run npm run build first`);
  const dir = mkdtempSync(join(tmpdir(), 'countersign-'));
  const policyArguments: string[] = [];
  if (policy !== undefined) {
    const file = join(dir, 'test-policy.yaml');
    writeFileSync(file, policy);
    policyArguments.push('--policy', file);
  }
  const port = await freePorts(replicas + 2);
  const args = ['up', '--dir', dir, '--replicas', `${replicas}`, '--json'];
  args.push(...(configFile === undefined ? ['--ledger', ledger] : ['--config', configFile]));
  const ports = ['--http-port', `${port}`, '--ops-port', `${port + 1}`];
  const child = spawn(process.execPath, [MAIN, ...args, ...ports, ...policyArguments], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, as a terminal gives to every command.
    detached: true,
  });
  const heard = listenTo(child);
  const up = await readiness(child, heard, dir).catch(async (error: unknown) => {
    await discard(child, dir);
    throw error;
  });
  return handle(child, { dir, up, heard });
}

interface Started {
  readonly dir: string;
  readonly up: Up;
  readonly heard: Heard;
}

function handle(child: ChildProcess, { dir, up, heard }: Started): Cluster {
  const pid = child.pid ?? 0;
  let stopped = false;
  const seen = new Set<number>([pid, ...up.replicaPids, ...descendantsOf(pid)]);
  const replicaPids = () => readUp(dir).replicaPids;
  // One of them is in whatever it starts.
  const names = [dir, up.configFile];
  return {
    dir,
    up,
    pid,
    output: () => heard.out,
    replicaPids,
    killReplica: async (index) => {
      const before = replicaPids()[index];
      if (before === undefined) throw new Error(`there is no replica ${index}`);
      seen.add(before);
      kill(before, 'SIGKILL');
      const replaced = () => {
        const now = replicaPids();
        return now.length === up.replicas && !now.includes(before) ? now : undefined;
      };
      for (const now of await eventually(`replica ${index} was not started again`, replaced)) seen.add(now);
    },
    stop: async () => {
      for (const descendant of descendantsOf(pid)) seen.add(descendant);
      const code = await interrupted(child);
      stopped = true;
      const left = living(seen, names);
      for (const each of left) kill(each, 'SIGKILL');
      if (left.length > 0) throw new Error(`up left processes behind: ${left.join(', ')}`);
      if (code !== 0) throw new Error(`up ended with ${code}\n${heard.err}`);
      rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
    },
    // The ids of a cluster that has stopped may already be somebody else's.
    discard: () => discard(child, dir, stopped ? [] : living(seen, names)),
  };
}

interface Heard {
  out: string;
  err: string;
}

function listenTo(child: ChildProcess): Heard {
  const heard: Heard = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    heard.out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    heard.err += text;
  });
  return heard;
}

async function readiness(child: ChildProcess, heard: Heard, dir: string): Promise<Up> {
  const ends = performance.now() + START_TIMEOUT_MS;
  while (!heard.out.includes('\n')) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > ends) {
      throw new Error(`up did not become ready\n${heard.out}${heard.err}${logs(dir)}`);
    }
    await sleep(50);
  }
  return JSON.parse(heard.out.slice(0, heard.out.indexOf('\n'))) as Up;
}

/** What the replicas said last, for the report of a failed start. */
function logs(dir: string): string {
  const folder = join(dir, 'log');
  if (!existsSync(folder)) return '';
  return readdirSync(folder)
    .map((file) => `\n── ${file}\n${readFileSync(join(folder, file), 'utf8').slice(-4_000)}`)
    .join('');
}

/** The file is replaced while replicas come and go: half of it is not it. */
function readUp(dir: string): Up {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return JSON.parse(readFileSync(join(dir, 'up.json'), 'utf8')) as Up;
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

async function interrupted(child: ChildProcess): Promise<number | string> {
  const how = child.exitCode ?? child.signalCode;
  if (how !== null) return how;
  const ended = once(child, 'exit');
  // To the whole group, as a terminal does.
  kill(-(child.pid ?? 0), 'SIGINT');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  const [code, signal] = await ended;
  clearTimeout(timer);
  return code ?? signal;
}

async function discard(child: ChildProcess, dir: string, others: readonly number[] = []): Promise<void> {
  const pid = child.pid ?? 0;
  const family = pid === 0 || child.exitCode !== null ? [] : [pid, ...descendantsOf(pid)];
  for (const each of new Set([...family, ...others])) kill(each, 'SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  // The others may still be ending, and writing.
  rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
}

async function eventually<T>(complaint: string, look: () => T | undefined): Promise<T> {
  const ends = performance.now() + RESTART_TIMEOUT_MS;
  for (;;) {
    const seen = look();
    if (seen !== undefined) return seen;
    if (performance.now() > ends) throw new Error(complaint);
    await sleep(50);
  }
}

/** Each of so many workers looks in a part of its own, and every time a little further: two never find the same ports free. */
const PORTS = { from: 11_000, each: 3_000, workers: 7 };
const firstPort = PORTS.from + (Number(process.env.JEST_WORKER_ID ?? 0) % PORTS.workers) * PORTS.each;
let nextPort = Math.floor(Math.random() * PORTS.each);

/** The first of `count` ports in a row that are free, below the range that outgoing connections draw from. */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (nextPort + count > PORTS.each) nextPort = 0;
    const first = firstPort + nextPort;
    nextPort += count;
    const free = await Promise.all(Array.from({ length: count }, (_, index) => isFree(first + index)));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no ${count} free ports in a row`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
