/**
 * Behind the balancer of deploy/, as it is: replicas are replaced one after the other and one dies, under steady load, and
 * every request is answered at its first delivery and stands in the journal.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { activatePolicyFile } from '../../src/cli/activate.js';
import { withLedger } from '../../src/cli/ledger.js';
import { freePorts } from '../support/cluster.js';
import { type Command, countersign } from '../support/command.js';
import {
  approving,
  type Deployment,
  deliver,
  eventually,
  problemsOf,
  writeDeployment,
} from '../support/deployment.js';
import { type HaProxy, type ReplicaPorts, startHaProxy } from '../support/haproxy.js';
import { decisionsOf, readJournal } from '../support/journal.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const WORKERS = 12;
/** Between the requests of one worker: a steady load, that a slow machine bears too. */
const PAUSE_MS = 50;
/** The balancer notices within two seconds. */
const DRAIN_MS = 4_000;
/** So many answers before something happens and after it, so that it happens under load. */
const ANSWERS = 100;
const BODY_LIMIT_BYTES = 4 * 1_024 * 1_024;

const dir = mkdtempSync(join(tmpdir(), 'countersign-rolling-'));
let redis: RedisServer;
let deployment: Deployment;
let ports: readonly [ReplicaPorts, ReplicaPorts, ReplicaPorts];
let balancer: HaProxy | undefined;
const replicas: Command[] = [];

beforeAll(async () => {
  redis = await startRedis();
  deployment = writeDeployment(dir, {
    ledger: { kind: 'redis', redis: { url: redis.url } },
    policy: approving({ total: "{ sum: count, max: '1000000', window: lifetime }" }),
    drain: `${DRAIN_MS}ms`,
    bodyLimit: '4MiB',
  });
  await withLedger({ config: deployment.configFile }, async (ledger, workspace, config) => {
    await ledger.init();
    const privateKeyFile = deployment.operatorKeyFile;
    await activatePolicyFile({ config, workspace, ledger, privateKeyFile, startEmpty: [] });
  });
  const first = await freePorts(6);
  ports = [0, 2, 4].map((offset) => ({
    http: first + offset,
    ops: first + offset + 1,
  })) as unknown as typeof ports;
  await Promise.all([0, 1, 2].map(startReplica));
});

afterEach(async () => {
  await balancer?.stop();
  balancer = undefined;
});

afterAll(async () => {
  for (const { signal } of replicas) signal('SIGKILL');
  await redis?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function startReplica(index: number): Promise<void> {
  const { http, ops } = ports[index] ?? { http: 0, ops: 0 };
  const listen = ['--http-port', `${http}`, '--ops-port', `${ops}`, '--replica', `r${index + 1}`];
  const replica = countersign(['serve', '--config', deployment.configFile, ...listen]);
  replicas[index] = replica;
  await replica.says('replica listens');
  await eventually('it did not become ready', async () =>
    Object.keys(await problemsOf(`http://127.0.0.1:${ops}`)).length === 0 ? true : undefined,
  );
}

/** As a supervisor replaces one: told to end, awaited, started again, and used before the next one goes. */
async function replace(index: number, { up }: HaProxy): Promise<void> {
  replicas[index]?.signal('SIGTERM');
  expect(await replicas[index]?.ended).toMatchObject({ code: 0, stderr: '' });
  await startReplica(index);
  await eventually('the balancer did not take it back', async () => ((await up()) === 3 ? true : undefined));
}

/** Hangs until requests lie with it unanswered, and dies. */
async function dies(index: number, { unanswered }: HaProxy): Promise<void> {
  replicas[index]?.signal('SIGSTOP');
  await eventually('nothing was sent to it', async () => ((await unanswered(index)) > 1 ? true : undefined));
  replicas[index]?.signal('SIGKILL');
  expect(await replicas[index]?.ended).toMatchObject({ code: 'SIGKILL' });
}

interface Load {
  /** Ids that were answered, each delivered once. */
  readonly answered: readonly string[];
  /** What became of those that were not. */
  readonly lost: readonly string[];
  readonly slowestMs: number;
  readonly seconds: number;
}

/**
 * Asks through the balancer until the work is done; nothing is delivered twice by us. The work may wait until so many
 * more requests have ended.
 */
async function underLoad(
  name: string,
  url: string,
  work: (more: (count: number) => Promise<unknown>) => Promise<void>,
): Promise<Load> {
  const answered: string[] = [];
  const lost: string[] = [];
  let slowestMs = 0;
  let over = false;
  const startedAt = performance.now();
  const asking = Array.from({ length: WORKERS }, async (_, worker) => {
    for (let count = 0; !over; count += 1) {
      const id = `${name}-${worker}-${count}`;
      try {
        const reply = await deliver(url, deployment.request(id));
        slowestMs = Math.max(slowestMs, reply.elapsedMs);
        const { action } = deployment.read(reply, id);
        if (action === 'APPROVE') answered.push(id);
        else lost.push(`${id}: ${action}`);
      } catch (error) {
        lost.push(`${id}: ${error}`);
      }
      await sleep(PAUSE_MS);
    }
  });
  try {
    await work((count) => {
      const wanted = answered.length + lost.length + count;
      const ended = () => (answered.length + lost.length >= wanted ? true : undefined);
      return eventually('the load stands still', ended, 120_000);
    });
  } finally {
    over = true;
    await Promise.all(asking);
  }
  return { answered, lost, slowestMs, seconds: (performance.now() - startedAt) / 1_000 };
}

async function approvedInJournal(name: string): Promise<readonly string[]> {
  return decisionsOf(await readJournal(deployment.configFile))
    .filter(({ decision }) => decision.effect === 'approve')
    .map(({ journal }) => journal.request.requestId)
    .filter((id) => id.startsWith(`${name}-`));
}

async function report(what: string, load: Load, { figure }: HaProxy): Promise<number> {
  const repeated = await figure('haproxy_backend_retry_warnings_total');
  const elsewhere = await figure('haproxy_backend_redispatch_warnings_total');
  const { answered, lost, slowestMs, seconds } = load;
  const rate = (answered.length / seconds).toFixed(0);
  process.stdout.write(
    `${what}: ${answered.length} answered and ${lost.length} lost in ${seconds.toFixed(0)} s (${rate}/s), ` +
      `slowest ${slowestMs.toFixed(0)} ms; the balancer repeated ${repeated}, and sent ${elsewhere} elsewhere\n`,
  );
  return repeated + elsewhere;
}

describe('under steady load through HAProxy', () => {
  test('a rolling restart of all replicas and the death of one lose no request', async () => {
    const haproxy = await startHaProxy(ports);
    balancer = haproxy;
    const load = await underLoad('rolling', haproxy.url, async (more) => {
      await more(ANSWERS);
      for (const index of [0, 1, 2]) await replace(index, haproxy);
      await dies(1, haproxy);
      await more(ANSWERS);
      await startReplica(1);
      await more(ANSWERS);
    });
    const repeated = await report('rolling restart and a death', load, haproxy);
    expect(load.lost).toEqual([]);
    // The death bit: requests were with it.
    expect(repeated).toBeGreaterThan(0);
    expect([...(await approvedInJournal('rolling'))].sort()).toEqual([...load.answered].sort());
  });

  test('without the repetitions the same death loses requests: this bed would see it', async () => {
    const haproxy = await startHaProxy(ports, (text) => text.replace(/retry-on .*/, 'retry-on none'));
    balancer = haproxy;
    const load = await underLoad('control', haproxy.url, async (more) => {
      await more(ANSWERS);
      await dies(2, haproxy);
      await more(ANSWERS);
    });
    await report('a death without repetitions', load, haproxy);
    await startReplica(2);
    expect(load.lost.length).toBeGreaterThan(0);
  });
});

/** An approval request whose message is as long as a replica takes; what it does not know it does not mind. */
function largest(id: string, bytes: number): string {
  const sizeWith = (padding: number) => deployment.request(id, { note: 'x'.repeat(padding) }).length;
  // Three bytes of JSON are four of the token.
  let padding = Math.floor(((bytes - sizeWith(0)) * 3) / 4);
  while (sizeWith(padding) > bytes) padding -= 1;
  return deployment.request(id, { note: 'x'.repeat(padding) });
}

describe('a body as large as replicas take', () => {
  test('is answered, also when the replica that got it first dies', async () => {
    // What is checked at its health would be found out before a slow machine has received so much; what is sent to it is not.
    const haproxy = await startHaProxy(ports, (text) => text.replace('inter 1s fall 2', 'inter 1s fall 60'));
    balancer = haproxy;
    const bodies = [0, 1, 2].map((index) => largest(`large-${index}`, BODY_LIMIT_BYTES));
    for (const body of bodies) expect(body.length).toBeGreaterThan(BODY_LIMIT_BYTES - 4);
    replicas[0]?.signal('SIGSTOP');
    const replies = Promise.all(
      bodies.map(async (body, index) => deployment.read(await deliver(haproxy.url, body), `large-${index}`)),
    );
    await eventually('none was sent to it', async () =>
      (await haproxy.unanswered(0)) > 0 ? true : undefined,
    );
    replicas[0]?.signal('SIGKILL');
    expect((await replies).map(({ action }) => action)).toEqual(['APPROVE', 'APPROVE', 'APPROVE']);
    expect(await haproxy.figure('haproxy_backend_redispatch_warnings_total')).toBeGreaterThan(0);
    expect(await approvedInJournal('large')).toHaveLength(3);
    await startReplica(0);
  });

  test.each([
    ['one byte more', BODY_LIMIT_BYTES + 1],
    ['a body that the balancer cannot hold', 5 * BODY_LIMIT_BYTES],
  ])('%s is refused by a replica', async (_, bytes) => {
    const haproxy = await startHaProxy(ports);
    balancer = haproxy;
    // Many, because a refusal can be overtaken by the end of its connection.
    for (let sent = 0; sent < 20; sent += 1)
      expect(await deliver(haproxy.url, 'x'.repeat(bytes))).toMatchObject({
        status: 413,
        body: 'too large\n',
      });
  });
});
