/** How a replica ends: by a signal, when its balancers have noticed; or because whoever started it is gone. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { activatePolicyFile } from '../../src/cli/activate.js';
import { withLedger } from '../../src/cli/ledger.js';
import { freePorts } from '../support/cluster.js';
import { type Command, countersign, outcomeOf } from '../support/command.js';
import {
  approving,
  type Deployment,
  deliver,
  eventually,
  problemsOf,
  writeDeployment,
} from '../support/deployment.js';
import { readJournal } from '../support/journal.js';
import { kill, living, processesNaming } from '../support/processes.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-shutdown-'));
let redis: RedisServer;
let deployment: Deployment;

beforeAll(async () => {
  redis = await startRedis();
  deployment = writeDeployment(dir, {
    ledger: { kind: 'redis', redis: { url: redis.url } },
    policy: approving(),
    deadline: '6s',
    drain: '3s',
  });
  await withLedger({ config: deployment.configFile }, async (ledger, workspace, config) => {
    await ledger.init();
    const privateKeyFile = deployment.operatorKeyFile;
    await activatePolicyFile({ config, workspace, ledger, privateKeyFile, startEmpty: [] });
  });
});

afterAll(async () => {
  await redis?.kill('SIGCONT');
  await redis?.stop();
  for (const line of processesNaming(dir)) kill(Number.parseInt(line, 10), 'SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

interface Served {
  readonly command: Command;
  readonly http: string;
  readonly ops: string;
}

async function serve(configFile = deployment.configFile): Promise<Served> {
  const command = countersign(['serve', '--config', configFile]);
  await command.says('replica listens');
  const line =
    command
      .stdout()
      .split('\n')
      .find((each) => each.includes('replica listens')) ?? '';
  const { http, ops } = JSON.parse(line);
  return { command, http: `http://127.0.0.1:${http}`, ops: `http://127.0.0.1:${ops}` };
}

async function answered(http: string, id: string): Promise<string> {
  return deployment.read(await deliver(http, deployment.request(id)), id).action;
}

describe('on SIGTERM', () => {
  test('a replica is not ready first, goes on answering while it drains, and ends with 0', async () => {
    // So long that a busy machine looks, and asks, before it is over.
    const slow = join(dir, 'slow-config.yaml');
    writeFileSync(slow, stringify({ ...parse(readFileSync(deployment.configFile, 'utf8')), drain: '15s' }));
    const { command, http, ops } = await serve(slow);
    expect(await answered(http, 'warm-up')).toBe('APPROVE');
    await eventually('it is not ready', async () =>
      Object.keys(await problemsOf(ops)).length === 0 ? true : undefined,
    );
    const toldAt = performance.now();
    command.signal('SIGTERM');
    await eventually('it stayed ready', async () =>
      (await problemsOf(ops)).draining === 'shutting down' ? true : undefined,
    );
    command.signal('SIGTERM');
    expect(await answered(http, 'while-draining')).toBe('APPROVE');
    command.signal('SIGINT');
    const { code } = await command.ended;
    expect(code).toBe(0);
    expect(performance.now() - toldAt).toBeGreaterThanOrEqual(15_000);
    await expect(deliver(http, deployment.request('after'))).rejects.toThrow();
  });

  test('a request that is under way for longer than the drain is still answered', async () => {
    const { command, http } = await serve();
    expect(await answered(http, 'warm')).toBe('APPROVE');
    await redis.kill('SIGSTOP');
    const answer = answered(http, 'under-way');
    await sleep(100);
    command.signal('SIGTERM');
    expect(await answer).toBe('RETRY');
    await redis.kill('SIGCONT');
    expect((await command.ended).code).toBe(0);
  });

  test('a body that never ends is not waited for', async () => {
    const { command, http } = await serve();
    const socket = connect(Number(new URL(http).port), '127.0.0.1');
    let heard = '';
    socket
      .on('error', () => undefined)
      .on('data', (piece) => {
        heard += piece;
      });
    socket.write('POST /own/v2/tx_sign_request HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\na');
    await once(socket, 'connect');
    await sleep(100);
    command.signal('SIGTERM');
    expect((await command.ended).code).toBe(0);
    // Whoever waits for the rest of it says 408 in the end.
    expect(heard).toBe('');
    socket.destroy();
  });
});

describe('when up is killed outright', () => {
  test('its replicas end, and the next up takes over the Redis that was left behind', async () => {
    const folder = join(dir, 'up');
    const up = async () => {
      const port = await freePorts(3);
      const ports = ['--http-port', `${port}`, '--ops-port', `${port + 1}`];
      return countersign(['up', '--dir', folder, '--replicas', '1', '--ledger', 'redis', '--json', ...ports]);
    };
    const first = await up();
    await first.says('\n');
    const { replicaPids, configFile } = JSON.parse(first.stdout());
    const redisPid = Number(readFileSync(join(folder, 'redis/redis.pid'), 'utf8'));
    const played = await outcomeOf(['simulate', '--dir', folder, '--requests', '3', '--scenario', 'happy']);
    expect(played.code).toBe(0);
    const journal = await readJournal(configFile);
    expect(journal).toHaveLength(5);

    first.signal('SIGKILL');
    await eventually('a replica stayed behind', () => (living(replicaPids).length === 0 ? true : undefined));
    expect(living([redisPid])).toEqual([redisPid]);

    const second = await up();
    await second.says('\n');
    expect(living([redisPid])).toEqual([]);
    expect(await readJournal(configFile)).toEqual(journal);
    second.signal('SIGINT');
    expect(await second.ended).toMatchObject({ code: 0, stderr: '' });
    expect(processesNaming(folder)).toEqual([]);
  });
});
