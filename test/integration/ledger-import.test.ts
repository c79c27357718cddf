/** A server that comes back with an older copy, and what its operator does with the audit trail; and doubted counters. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { parse, stringify } from 'yaml';
import { withLedger } from '../../src/cli/ledger.js';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { countersign, type Ended, outcomeOf } from '../support/command.js';
import {
  approving,
  type Deployment,
  deliver,
  EMBEDDED,
  eventually,
  type Settings,
  writeDeployment,
} from '../support/deployment.js';
import { age, forgetAll } from '../support/forgetting.js';
import { ledgerKeys } from '../support/ledger-keys.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-import-'));
const audit = join(dir, 'audit');
const LIMITS = {
  all: "{ sum: count, max: '14', window: lifetime }",
  hourly: "{ sum: count, max: '1000', window: { rolling: 1h } }",
};
let redis: RedisServer;
let deployment: Deployment;
let cluster: Cluster | undefined;

beforeAll(async () => {
  redis = await startRedis();
  deployment = deploymentIn(dir, { kind: 'redis', redis: { url: redis.url } });
  cluster = await startCluster({ configFile: deployment.configFile, replicas: 2 });
});

afterAll(async () => {
  await cluster?.discard();
  await redis?.stop();
  rmSync(dir, { recursive: true, force: true });
});

function deploymentIn(folder: string, ledger: Settings['ledger']): Deployment {
  const made = writeDeployment(folder, { ledger, policy: approving(LIMITS), deadline: '2s' });
  generateKeyFiles('ed25519', join(folder, 'keys/checkpoint.pem'));
  const config = parse(readFileSync(made.configFile, 'utf8'));
  const section = { directory: 'audit', checkpointKey: { file: 'keys/checkpoint.pem' } };
  writeFileSync(made.configFile, stringify({ ...config, audit: section }));
  return made;
}

async function answerOf(asked: Cluster | undefined, id: string): Promise<string | undefined> {
  const reply = await deliver(asked?.up.http ?? '', deployment.request(id)).catch(() => undefined);
  return reply?.status === 200 ? deployment.read(reply, id).action : undefined;
}

/** One answer, whatever it says. */
async function answer(id: string): Promise<string | undefined> {
  return answerOf(cluster, id);
}

const ask = (id: string): Promise<string> =>
  eventually(
    `no answer to ${id}`,
    async () => {
      const action = await answer(id);
      return action === 'RETRY' ? undefined : action;
    },
    90_000,
  );

async function askAll(name: string, count: number): Promise<readonly string[]> {
  const answers: string[] = [];
  for (let n = 0; n < count; n += 1) answers.push(await ask(`${name}-${n}`));
  return answers;
}

const ledger = (command: string, ...more: readonly string[]): Promise<Ended> =>
  outcomeOf(['ledger', command, '--config', deployment.configFile, ...more]);
const importing = (...more: readonly string[]) => ledger('import', audit, ...more);
const activating = () => ledger('activate', '--key', deployment.operatorKeyFile, '--json');
const sequence = () =>
  withLedger({ config: deployment.configFile }, async (each) => (await each.state()).sequence);

/** Without where it lives, how far it is exported, and what it knows of its own restarts. */
async function keys(): Promise<Readonly<Record<string, unknown>>> {
  const { meta, ...rest } = await ledgerKeys(redis.url, 'main');
  const { seen: _, synced: __, exported: ___, ...fields } = meta as Readonly<Record<string, string>>;
  return { meta: fields, ...rest };
}

async function exported(): Promise<void> {
  await eventually('it was not exported', async () => {
    const { stdout } = await outcomeOf([
      'audit',
      'verify',
      audit,
      '--json',
      '--config',
      deployment.configFile,
    ]);
    return stdout !== '' && JSON.parse(stdout).chains[0].sequence === (await sequence()) ? true : undefined;
  });
}

/** Of the whole folder, oldest first. */
function findJournals(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => /journal-.*\.jsonl$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

const copy = () => join(dir, 'copy');
function takeCopy(): void {
  rmSync(copy(), { recursive: true, force: true });
  cpSync(join(redis.directory, 'appendonlydir'), copy(), { recursive: true });
}

/** The server dies, and comes back with what was copied. */
async function setBack(): Promise<void> {
  await redis.kill('SIGKILL');
  rmSync(join(redis.directory, 'appendonlydir'), { recursive: true });
  cpSync(copy(), join(redis.directory, 'appendonlydir'), { recursive: true });
  await redis.restart();
}

async function untouched(refused: () => Promise<Ended>): Promise<Ended> {
  const before = await keys();
  const ended = await refused();
  expect(await keys()).toEqual(before);
  return ended;
}

describe('an older copy, while replicas run that have seen more', () => {
  let before: unknown;

  test('is fenced; the import shows what is missing, and a dry run adds nothing', async () => {
    expect(await askAll('kept', 4)).toEqual(Array(4).fill('APPROVE'));
    await withLedger({ config: deployment.configFile }, async (each) => forgetAll(each, await age()));
    expect(await askAll('copied', 3)).toEqual(Array(3).fill('APPROVE'));
    takeCopy();
    expect(await askAll('lost', 5)).toEqual(Array(5).fill('APPROVE'));
    await exported();
    before = await keys();
    await setBack();
    await eventually('it was not seen', async () =>
      (await answer('lost-1')) === 'RETRY' ? true : undefined,
    );
    const shown = await untouched(() => importing('--dry-run'));
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toMatch(/^missing {5}5 × decision \(approve\)\nThese would be added\. Nothing/m);
  });

  test('has after the import exactly the keys of before the loss, and decides once it is activated', async () => {
    const end = await sequence();
    const done = await importing('--json');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(done.stdout)).toMatchObject({
      before: end,
      sequence: end + 5,
      added: { 'decision (approve)': 5 },
      fence: { sequence: end + 5, seen: end + 5, problem: expect.stringContaining('an operator says so') },
    });
    expect(await keys()).toEqual(before);
    expect((await importing()).stdout).toContain('The ledger lacks nothing that the files have');
    await redis.restart();
    await eventually('no answer', () => answer('lost-1'));
    expect(await answer('lost-1')).toBe('RETRY');
    expect(JSON.parse((await activating()).stdout)).toMatchObject({ sequence: end + 6 });
    // Standing answers, and what they were charged: two are left of fourteen.
    expect(await askAll('lost', 5)).toEqual(Array(5).fill('APPROVE'));
    expect(await sequence()).toBe(end + 6);
    expect(await askAll('new', 3)).toEqual(['APPROVE', 'APPROVE', 'REJECT']);
    await exported();
  });
});

describe('an older copy, when no replica is left', () => {
  test('lets itself be opened by whoever looks first; the import closes it until an operator says so', async () => {
    await cluster?.stop();
    cluster = undefined;
    const before = await keys();
    const end = await sequence();
    await setBack();
    expect(await ledger('status')).toMatchObject({ code: 0 });
    expect(await importing()).toMatchObject({ code: 0, stderr: '' });
    expect(await keys()).toEqual(before);
    const status = await ledger('status');
    expect(status.code).toBe(1);
    expect(status.stdout).toContain('an operator says so');
    expect(JSON.parse((await activating()).stdout)).toMatchObject({ sequence: end + 1 });
    expect(await ledger('status')).toMatchObject({ code: 0 });
  });
});

describe('files that are not imported', () => {
  const broken = () => join(dir, 'broken');
  const files = (change: (text: string) => string): string => {
    rmSync(broken(), { recursive: true, force: true });
    cpSync(audit, broken(), {
      recursive: true,
      filter: (source) => !source.endsWith('.lock'),
    });
    const [first = ''] = findJournals(broken());
    writeFileSync(first, change(readFileSync(first, 'utf8')));
    return broken();
  };

  beforeAll(setBack);

  test('a chain that is broken', async () => {
    const ended = await untouched(() =>
      ledger(
        'import',
        files((text) => text.replace('"effect":"approve"', '"effect":"reject"')),
      ),
    );
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(/journal-.*\.jsonl:\d+: /);
  });

  test('checkpoints of a key that nobody named, also when it lies beside them', async () => {
    generateKeyFiles('ed25519', join(dir, 'stranger.pem'));
    const ended = await untouched(() => importing('--public-key', join(dir, 'stranger.pub.pem')));
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain('signed with a key that was not given');
  });

  test('those of another ledger', async () => {
    const folder = join(dir, 'other');
    const other = deploymentIn(folder, EMBEDDED);
    const another = await startCluster({ configFile: other.configFile, replicas: 1 });
    try {
      const out = join(folder, 'audit');
      await eventually('nothing was exported', () => (findJournals(out).length > 0 ? true : undefined));
      await another.stop();
      const key = join(folder, 'keys/checkpoint.pub.pem');
      const ended = await untouched(() => ledger('import', out, '--public-key', key));
      expect(ended).toMatchObject({ code: 1 });
      expect(ended.stderr).toMatch(/the files are of ledger [0-9a-f-]{36}, and the store holds /);
      const embedded = await outcomeOf(['ledger', 'import', out, '--config', other.configFile]);
      expect(embedded).toMatchObject({ code: 2, stderr: expect.stringContaining('one file on one machine') });
      const rebuilt = await outcomeOf(['ledger', 'rebuild', '--config', other.configFile]);
      expect(rebuilt).toMatchObject({ code: 2, stderr: expect.stringContaining('needs no rebuild') });
    } finally {
      await another.discard();
    }
  });

  test('those of a ledger that has decided since, at the first event that differs', async () => {
    const end = await sequence();
    const since = await startCluster({ configFile: deployment.configFile, replicas: 1 });
    try {
      await eventually('it is not approved', async () =>
        (await answerOf(since, 'since')) === 'APPROVE' ? true : undefined,
      );
    } finally {
      await since.discard();
    }
    const ended = await untouched(() => importing());
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain(`event ${end + 1} of the ledger is not event ${end + 1} of the files`);
    await activating();
    const ahead = await untouched(() => importing());
    expect(ahead).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('a counter that is doubted', () => {
  const held = async () => {
    const epoch = await redis.command('HGET', 'countersign:{main}:meta', 'epoch');
    return (await keysNamed(`countersign:{main}:${epoch}:held:*lifetime*`))[0] ?? '';
  };
  const keysNamed = async (pattern: string) => (await redis.command('KEYS', pattern)) as readonly string[];

  test('is compared with the journal, and computed anew', async () => {
    const before = await keys();
    expect(await ledger('rebuild', '--dry-run')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('The ledger is what its journal says.'),
    });
    await redis.command('HSET', await held(), '', '0');
    const shown = await untouched(() => ledger('rebuild', '--dry-run'));
    expect(shown).toMatchObject({ code: 1, stderr: '' });
    expect(shown.stdout).toMatch(
      /^differs {5}held:enforce:lifetime:\S+: is 0, by the journal 8\n1 key differs\./m,
    );
    expect(JSON.parse((await ledger('rebuild', '--dry-run', '--json')).stdout)).toMatchObject({
      kind: 'compared',
      differences: [{ total: { ledger: '0', journal: '8' } }],
      certain: true,
    });
    expect(await ledger('rebuild')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Rebuilt the ledger'),
    });
    expect(await keys()).toEqual(before);
  });

  test('stays as it was when the command is killed, and the next one goes through', async () => {
    await withLedger({ config: deployment.configFile }, async (each) => {
      for (let n = 0; n < 4_000; n += 1) {
        await each.freeze({ id: `f${n}`, scope: '{}', reason: 'r', author: 'a', answers: 'retry' });
        await each.unfreeze(`f${n}`, ['a.b.c']);
      }
    });
    const before = await keys();
    const client = new Redis(redis.url);
    const loading = async () => {
      const epoch = await client.hget('countersign:{main}:meta', 'epoch');
      const journals = await client.keys('countersign:{main}:*:journal');
      return journals.some((name) => name !== `countersign:{main}:${epoch}:journal`);
    };
    try {
      const command = countersign(['ledger', 'rebuild', '--config', deployment.configFile]);
      // It must not be done before this process, which may have to wait for its turn, has seen that it is at it.
      setPriority(command.pid, constants.priority.PRIORITY_LOW);
      // Looked at without a pause: what is waited for passes quickly.
      const endsAt = performance.now() + 60_000;
      while (!(await loading())) if (performance.now() > endsAt) throw new Error('it does not load');
      command.signal('SIGKILL');
      expect((await command.ended).code).toBe('SIGKILL');
      expect(await loading()).toBe(true);
      expect(await keys()).toEqual(before);
      expect(await ledger('rebuild')).toMatchObject({ code: 0, stderr: '' });
      expect(await loading()).toBe(false);
      expect(await keys()).toEqual(before);
    } finally {
      client.disconnect();
    }
  });
});
