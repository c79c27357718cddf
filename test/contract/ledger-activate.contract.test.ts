/** A replica and an operator beside a Redis that restarts: what is answered, what is shown, what is typed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Command } from 'commander';
import { pino } from 'pino';
import { createChains } from '../../src/chains/index.js';
import { activatePolicyFile } from '../../src/cli/activate.js';
import { type DevelopmentDir, prepareDirectory, writeConfig } from '../../src/cli/development-dir.js';
import { ledgerCommand, withLedger } from '../../src/cli/ledger.js';
import { activateLedgerCommand } from '../../src/cli/ledger-activate.js';
import { loadConfig } from '../../src/config/load.js';
import { type DecisionPorts, decide } from '../../src/core/decide.js';
import { Rulebook } from '../../src/core/policy/rulebook.js';
import { deadlineAfter } from '../../src/http/deadline.js';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { openLedger } from '../../src/ledger/index.js';
import { openReplica } from '../../src/replica/replica.js';
import { ledgerSettings } from '../../src/replica/stores.js';
import { question } from '../support/policy.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

let folder: string;
let directory: DevelopmentDir;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-activate-'));
  directory = prepareDirectory(folder, { virtualSigners: 0 });
});
afterAll(() => rmSync(folder, { recursive: true }));

let printed = '';
const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
  printed += String(text);
  return true;
});
afterAll(() => write.mockRestore());

let server: RedisServer;
const opened: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  printed = '';
});
afterEach(async () => {
  process.exitCode = undefined;
  for (const close of opened.splice(0)) await close();
  await server.stop();
});

/** A ledger with the example policy, on a server with these settings. */
async function ledgerWith(appendfsync: 'always' | 'everysec') {
  server = await startRedis({ settings: { appendfsync, requirepass: 'secret' } });
  const passwordFile = join(folder, 'redis-password');
  writeFileSync(passwordFile, 'secret\n');
  writeConfig(directory, { kind: 'redis', url: server.url, passwordFile }, { http: 0, ops: 0 });
  await withLedger({ config: directory.configFile }, async (ledger, workspace, config) => {
    await ledger.init();
    const privateKeyFile = directory.operatorKeyFile;
    await activatePolicyFile({ config, workspace, ledger, privateKeyFile, startEmpty: [] });
  });
  return loadConfig(directory.configFile);
}

/** Without a loss, although the server does not promise that. */
async function restart(): Promise<void> {
  await server.written();
  await server.restart();
}

function countersign(...args: readonly string[]): Promise<unknown> {
  const program = new Command().addCommand(ledgerCommand().addCommand(activateLedgerCommand()));
  return program.parseAsync(['node', 'countersign', 'ledger', ...args, '--config', directory.configFile]);
}

/** The path of a request, on this configuration's ledger. */
function deciding(config: ReturnType<typeof loadConfig>) {
  const ledger = openLedger('main', ledgerSettings(config));
  const chains = createChains({});
  const hooks = { authenticate: async () => {}, accept: () => {}, adopted: () => {} };
  const ports: DecisionPorts = {
    chains,
    ledger,
    rulebook: new Rulebook(ledger, chains, hooks),
    clock: Date,
    observer: { limitsCharged: () => {}, faulted: () => {}, during: (_, work) => work() },
  };
  const ask = (requestId: string) =>
    decide(question({ request: { requestId, txId: requestId } }).request, ports, deadlineAfter(30_000));
  opened.push(() => ledger.close());
  return ask;
}

describe('a request beside a restart', () => {
  test('is decided within its deadline when nothing can be lost', async () => {
    const ask = deciding(await ledgerWith('always'));
    expect(await ask('one')).toMatchObject({ kind: 'decided', repeated: false });
    await server.kill('SIGKILL');
    const waiting = ask('two');
    await server.restart();
    expect(await waiting).toMatchObject({ kind: 'decided', repeated: false });
    expect(await ask('one')).toMatchObject({ kind: 'decided', repeated: true });
  });

  test('is answered "ask again" at once when something may be lost, and decided after an operator’s word', async () => {
    const ask = deciding(await ledgerWith('everysec'));
    await ask('one');
    await restart();
    for (;;) {
      const startedAt = performance.now();
      const outcome = await ask('two');
      expect(outcome).toMatchObject({ kind: 'undecided', reason: 'LEDGER_FENCED' });
      if (performance.now() - startedAt < 1000) break;
    }
    await countersign('activate', '--key', directory.operatorKeyFile);
    expect(await ask('two')).toMatchObject({ kind: 'decided' });
  });
});

describe('a ledger that waits for an operator', () => {
  const whyNot = 'the Redis server has restarted';

  test('makes a replica not ready, and its metric says so, until it is activated', async () => {
    const replica = openReplica(await ledgerWith('everysec'), { logger: pino({ level: 'silent' }) });
    opened.push(() => replica.close());
    const metric = async () =>
      (await replica.metrics.registry.getSingleMetricAsString('countersign_ledger_problem')).split('\n');
    // A probe gives up after a second.
    const ready = () =>
      eventually(async () => (await replica.readiness.problemOf('ledger:main')) === undefined || undefined);
    await ready();
    expect(await metric()).toContain('countersign_ledger_problem{workspace="main",problem="RESTART"} 1');
    await restart();
    const problem = await eventually(async () => {
      const found = await replica.readiness.problemOf('ledger:main');
      return found?.startsWith('Nothing is decided') ? found : undefined;
    });
    expect(problem).toContain(whyNot);
    expect(problem).toContain('countersign ledger activate --config FILE --key OPERATOR.pem');
    expect(await metric()).toContain('countersign_ledger_problem{workspace="main",problem="FENCED"} 1');
    await countersign('activate', '--key', directory.operatorKeyFile);
    await ready();
    expect((await metric()).join()).not.toContain('problem="FENCED"');
  });

  test('is described by status, shown by a dry run, and let go on by the word', async () => {
    await ledgerWith('everysec');
    await countersign('status');
    expect(printed).toContain('restarts    need an operator');
    expect(printed).toContain('appendfsync is everysec');
    expect(process.exitCode).toBeUndefined();
    await restart();
    printed = '';
    await countersign('status');
    expect(printed).toContain(`problems    Nothing is decided: ${whyNot}`);
    expect(process.exitCode).toBe(1);

    printed = '';
    await countersign('activate', '--key', directory.operatorKeyFile, '--above', '40', '--dry-run');
    expect(printed).toContain('the store ends at event 2, event 40 was seen: up to 38 decisions');
    expect(printed).toContain(
      'development states that the old primary is stopped, and that the ledger goes on at event 41',
    );
    expect(printed).toContain('Nothing was changed (--dry-run).');
    printed = '';
    await countersign('activate', '--key', directory.operatorKeyFile, '--above', '40', '--json');
    expect(JSON.parse(printed)).toMatchObject({
      workspace: 'main',
      operator: 'development',
      sequence: 41,
      dryRun: false,
      before: { sequence: 2, problem: expect.stringContaining(whyNot) },
    });
    printed = '';
    await countersign('status', '--json');
    expect(JSON.parse(printed)).toMatchObject({ sequence: 41, fence: { sequence: 41 } });
    printed = '';
    await countersign('journal');
    expect(printed).toMatch(/^41 .*activation/m);
  });

  test('does not listen to a key that the configuration does not name', async () => {
    await ledgerWith('everysec');
    await restart();
    const stranger = join(folder, 'stranger.pem');
    generateKeyFiles('ed25519', stranger);
    await expect(countersign('activate', '--key', stranger)).rejects.toMatchObject({
      code: 'STATEMENT_INVALID',
    });
    await expect(countersign('activate', '--key', stranger, '--dry-run')).rejects.toMatchObject({
      code: 'STATEMENT_INVALID',
    });
    await countersign('status');
    expect(printed).toContain('Nothing is decided');
  });
});

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 45_000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > deadline) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
