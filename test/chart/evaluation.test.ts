/** The stores for evaluation: what the chart would start, started here with the real servers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { freePorts } from '../support/cluster.js';
import { eventually } from '../support/deployment.js';
import { CHART } from './generated.js';
import { type Rendered, render } from './helm.js';

const ONCE = { retryStrategy: () => null, disconnectTimeout: 100 };
const PASSWORD = 'p a$$`word`';
const dir = mkdtempSync(join(tmpdir(), 'countersign-evaluation-'));
const children: ChildProcess[] = [];
let rendered: Rendered;

beforeAll(async () => {
  rendered = await render({ example: 'evaluation' });
});

afterAll(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(dir, { recursive: true, force: true });
});

/** Runs what a container of the pod would run, with its folders and ports elsewhere and all names on this machine. */
function start(
  configMap: string,
  kind: string,
  ports: { readonly redis: number; readonly sentinel: number },
) {
  const root = join(dir, configMap);
  for (const folder of ['data', 'conf', 'secret']) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'secret/password'), `${PASSWORD}\n`);
  for (const [name, text] of Object.entries<string>(rendered.one('ConfigMap', configMap).data)) {
    const moved = text
      // Both at once and first: a port or a folder of ours may hold such digits.
      .replaceAll(/2?6379/g, (port) => `${port === '26379' ? ports.sentinel : ports.redis}`)
      .replaceAll('/data', join(root, 'data'))
      .replaceAll('/etc/redis', join(root, 'conf'))
      .replaceAll('/run/secrets/redis', join(root, 'secret'))
      .replaceAll(/(\$HOSTNAME|[\w-]+-0)\.[\w-]+\.default\.svc/g, 'localhost');
    writeFileSync(join(root, 'conf', name), moved);
  }
  const child = spawn('sh', [join(root, 'conf/start.sh'), kind], {
    stdio: 'ignore',
    env: { ...process.env, HOSTNAME: `${configMap}-0` },
  });
  children.push(child);
  return child;
}

async function ask(port: number, ...[command, ...args]: readonly [string, ...string[]]): Promise<unknown> {
  const client = new Redis({ port, password: PASSWORD, lazyConnect: true, ...ONCE });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.call(command, args);
  } finally {
    client.disconnect();
  }
}

function answering(port: number): Promise<string> {
  return eventually('no answer', async () =>
    (await ask(port, 'PING').catch(() => '')) === 'PONG' ? 'PONG' : undefined,
  );
}

test('the Secret that the example says how to make holds every key that it names', () => {
  const said = readFileSync(`${CHART}/examples/evaluation.yaml`, 'utf8').matchAll(/--from-file=(\S+)/g);
  const named = rendered.text.matchAll(/key: "([^"]+)"/g);
  const wanted = new Set([...named].map(([, key]) => key));
  expect(new Set([...said].map(([, key]) => key))).toEqual(wanted);
  expect(wanted.size).toBe(5);
});

describe('the first Redis and its Sentinel', () => {
  test('start from what the chart renders, and start again from what they wrote', async () => {
    const redis = await freePorts(2);
    const ports = { redis, sentinel: redis + 1 };
    const first = start('countersign-redis', 'redis', ports);
    await answering(ports.redis);
    expect(await ask(ports.redis, 'CONFIG', 'GET', 'appendfsync')).toEqual(['appendfsync', 'always']);
    expect(await ask(ports.redis, 'CONFIG', 'GET', 'repl-backlog-ttl')).toEqual(['repl-backlog-ttl', '0']);
    expect(await ask(ports.redis, 'ROLE')).toEqual(expect.arrayContaining(['master']));
    await ask(ports.redis, 'SET', 'kept', 'yes');
    start('countersign-redis', 'sentinel', ports);
    await answering(ports.sentinel);
    await eventually('the Sentinel does not reach its Redis', async () => {
      const reply = (await ask(ports.sentinel, 'SENTINEL', 'MASTER', 'countersign')) as string[];
      return reply[reply.indexOf('flags') + 1] === 'master' ? true : undefined;
    });
    first.kill('SIGKILL');
    await once(first, 'exit');
    start('countersign-redis', 'redis', ports);
    await answering(ports.redis);
    expect(await ask(ports.redis, 'GET', 'kept')).toBe('yes');
  });

  test('nobody comes in without the password', async () => {
    const redis = await freePorts(2);
    start('countersign-witness', 'redis', { redis, sentinel: redis + 1 });
    await answering(redis);
    const stranger = new Redis({ port: redis, ...ONCE });
    stranger.on('error', () => undefined);
    await expect(stranger.get('a')).rejects.toThrow('NOAUTH');
    stranger.disconnect();
  });
});

test.each(['redis', 'witness'])('three %s stand on three disks that stay, and are spread', async (kind) => {
  const { spec } = rendered.one('StatefulSet', `countersign-${kind}`);
  expect(spec).toMatchObject({
    replicas: 3,
    serviceName: `countersign-${kind}`,
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    volumeClaimTemplates: [{ spec: { accessModes: ['ReadWriteOnce'] } }],
  });
  // Less than the two seconds after which a Sentinel does nothing for thirty.
  expect(spec.template.spec.dnsConfig.options).toContainEqual({ name: 'timeout', value: '1' });
  const keys = spec.template.spec.topologySpreadConstraints.map(
    ({ topologyKey }: { topologyKey: string }) => topologyKey,
  );
  expect(keys.sort()).toEqual(['kubernetes.io/hostname', 'topology.kubernetes.io/zone']);
  expect(rendered.one('PodDisruptionBudget', `countersign-${kind}`).spec.maxUnavailable).toBe(1);
  expect(rendered.one('Service', `countersign-${kind}`).spec).toMatchObject({
    clusterIP: 'None',
    publishNotReadyAddresses: true,
    selector: spec.selector.matchLabels,
  });
});

test('only pods of the release reach them', async () => {
  const { spec } = rendered.one('NetworkPolicy', 'countersign-redis');
  expect(spec.ingress).toEqual([
    {
      from: [
        {
          podSelector: {
            matchLabels: { 'app.kubernetes.io/name': 'countersign', 'app.kubernetes.io/instance': 'cs' },
          },
        },
      ],
    },
  ]);
});
