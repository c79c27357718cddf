/** The balancer of deploy/haproxy/haproxy.cfg, as it is, on free ports of this machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from './cluster.js';
import { eventually } from './deployment.js';

const CONFIGURATION = 'deploy/haproxy/haproxy.cfg';

export interface ReplicaPorts {
  readonly http: number;
  readonly ops: number;
}

export interface HaProxy {
  /** Where co-signers call. */
  readonly url: string;
  /** A figure of its metrics for the backend of the replicas. */
  readonly figure: (name: string) => Promise<number>;
  /** How many replicas it sends requests to. */
  readonly up: () => Promise<number>;
  /** How many requests it has sent to this replica and has no answer to yet; the first one is 0. */
  readonly unanswered: (index: number) => Promise<number>;
  /** All lines of its log. */
  readonly logged: () => string;
  readonly stop: () => Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** @param change what a control run has otherwise in the configuration */
export async function startHaProxy(
  replicas: readonly [ReplicaPorts, ReplicaPorts, ReplicaPorts],
  change: (configuration: string) => string = (configuration) => configuration,
): Promise<HaProxy> {
  const port = await freePorts(2);
  const file = join(tmpdir(), `countersign-haproxy-${port}.cfg`);
  writeFileSync(file, change(readFileSync(CONFIGURATION, 'utf8')));
  const addresses = replicas.flatMap(({ http, ops }, index) => [
    [`REPLICA_${index + 1}`, `127.0.0.1:${http}`],
    [`REPLICA_${index + 1}_OPS`, `${ops}`],
  ]);
  const child = spawn('haproxy', ['-db', '-f', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...Object.fromEntries(addresses),
      COSIGNERS_BIND: `127.0.0.1:${port}`,
      STATS_BIND: `127.0.0.1:${port + 1}`,
    },
  });
  running.add(child);
  let said = '';
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const metrics = async () => (await fetch(`http://127.0.0.1:${port + 1}/metrics`)).text();
  await eventually('haproxy did not start', async () => {
    if (child.exitCode !== null) throw new Error(`haproxy ended: ${said}`);
    return metrics().catch(() => undefined);
  });
  return {
    url: `http://127.0.0.1:${port}`,
    figure: async (name) => figureOf(await metrics(), `${name}{proxy="replicas"}`),
    up: async () => figureOf(await metrics(), 'haproxy_backend_active_servers{proxy="replicas"}'),
    unanswered: async (index) =>
      figureOf(
        await metrics(),
        `haproxy_server_current_sessions{proxy="replicas",server="replica-${index + 1}"}`,
      ),
    logged: () => log,
    async stop() {
      running.delete(child);
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      rmSync(file, { force: true });
    },
  };
}

function figureOf(metrics: string, series: string): number {
  const line = metrics.split('\n').find((each) => each.startsWith(`${series} `));
  if (line === undefined) throw new Error(`haproxy has no figure ${series}`);
  return Number(line.slice(series.length + 1));
}
