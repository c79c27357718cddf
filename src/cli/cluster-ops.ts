/** The ops endpoint of `countersign up`: the readiness of all replicas and their merged metrics. */
import { createServer, type Server } from 'node:http';
import { messageOf } from '../core/errors.js';
import { mergeMetrics } from '../telemetry/merge.js';
import { listen } from './balancer.js';

export interface ReplicaOps {
  readonly name: string;
  readonly url: string;
}

const PROBE_TIMEOUT_MS = 3_000;

export async function startClusterOps(
  host: string,
  port: number,
  replicas: () => readonly ReplicaOps[],
): Promise<Server> {
  const server = createServer((request, response) => {
    answer(request.url ?? '/', replicas()).then(
      ({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body),
      (error: unknown) =>
        response.writeHead(500, { 'content-type': 'text/plain' }).end(`${messageOf(error)}\n`),
    );
  });
  await listen(server, host, port);
  return server;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function answer(url: string, replicas: readonly ReplicaOps[]): Promise<Answer> {
  switch (url.split('?', 1)[0]) {
    case '/livez':
      return { status: 200, type: 'application/json', body: '{"status":"ok"}\n' };
    case '/readyz':
      return readiness(replicas);
    case '/metrics': {
      const texts = await Promise.all(
        replicas.map(async ({ name, url: ops }) => [name, (await probe(`${ops}/metrics`)).body] as const),
      );
      return {
        status: 200,
        type: 'text/plain; version=0.0.4; charset=utf-8',
        body: mergeMetrics(new Map(texts)),
      };
    }
    default:
      return { status: 404, type: 'text/plain', body: 'try /livez, /readyz or /metrics\n' };
  }
}

async function readiness(replicas: readonly ReplicaOps[]): Promise<Answer> {
  const probes = await Promise.all(
    replicas.map(async ({ name, url }) => ({ name, ...(await probe(`${url}/readyz`)) })),
  );
  const ready = probes.length > 0 && probes.every(({ status }) => status === 200);
  const details = Object.fromEntries(
    probes.map(({ name, status, body }) => [name, { ready: status === 200, detail: asJson(body) }]),
  );
  return {
    status: ready ? 200 : 503,
    type: 'application/json',
    body: `${JSON.stringify({ status: ready ? 'ok' : 'error', replicas: details })}\n`,
  };
}

/** A replica that does not answer is reported, not thrown: the others still count. */
async function probe(url: string): Promise<{ readonly status: number; readonly body: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    return { status: response.status, body: await response.text() };
  } catch {
    return { status: 0, body: '' };
  }
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text === '' ? 'no answer' : text;
  }
}
