/** A real Prometheus of a test's own: free port, folder of its own, the product's rules. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { RULE_FILES } from './alerts.js';
import { freePorts } from './cluster.js';
import { eventually } from './deployment.js';

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** Unix seconds and value. */
  readonly values: readonly (readonly [number, number])[];
}

export interface FiringAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: 'pending' | 'firing';
}

export interface PrometheusServer {
  /** The newest values. Rejects when it is no expression. */
  query(expr: string): Promise<readonly Series[]>;
  range(
    expr: string,
    span: { readonly from: number; readonly to: number; readonly step: number },
  ): Promise<readonly Series[]>;
  alerts(): Promise<readonly FiringAlert[]>;
  /** Health by target. */
  targets(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Scrapes every two seconds and evaluates every second: a test has no patience. */
export async function startPrometheus(targets: readonly string[]): Promise<PrometheusServer> {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-prometheus-'));
  const port = await freePorts(1);
  writeFileSync(
    join(dir, 'prometheus.yaml'),
    stringify({
      global: { scrape_interval: '2s', evaluation_interval: '1s' },
      rule_files: RULE_FILES,
      scrape_configs: [{ job_name: 'countersign', static_configs: [{ targets }] }],
    }),
  );
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(dir, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  running.add(child);
  child.once('exit', () => running.delete(child));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const origin = `http://127.0.0.1:${port}`;
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`${origin}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as {
      readonly status: string;
      readonly data: unknown;
      readonly error?: string;
    };
    if (status !== 'success') throw new Error(`${path}: ${error}`);
    return data;
  };
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(dir, { recursive: true, force: true });
  };
  await eventually('Prometheus did not start', async () => {
    if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode}\n${said}`);
    return fetch(`${origin}/-/ready`).then(
      ({ ok }) => ok || undefined,
      () => undefined,
    );
  }).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    query: async (expr) => seriesOf(await get(`query?query=${encodeURIComponent(expr)}`)),
    range: async (expr, { from, to, step }) =>
      seriesOf(
        await get(`query_range?query=${encodeURIComponent(expr)}&start=${from}&end=${to}&step=${step}`),
      ),
    alerts: async () => ((await get('alerts')) as { readonly alerts: readonly FiringAlert[] }).alerts,
    targets: async () =>
      (
        (await get('targets?state=active')) as {
          readonly activeTargets: readonly { readonly health: string }[];
        }
      ).activeTargets.map(({ health }) => health),
    stop,
  };
}

interface Result {
  readonly result: readonly {
    readonly metric: Series['metric'];
    readonly value?: readonly [number, string];
    readonly values?: readonly (readonly [number, string])[];
  }[];
}

function seriesOf(data: unknown): readonly Series[] {
  return (data as Result).result.map(({ metric, value, values = [] }) => ({
    metric,
    values: [...(value === undefined ? [] : [value]), ...values].map(([at, text]) => [at, Number(text)]),
  }));
}
