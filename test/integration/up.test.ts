/** What `countersign up` says when it cannot start, and that nothing of a failed or interrupted start stays behind. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { withLedger } from '../../src/cli/ledger.js';
import { freePorts } from '../support/cluster.js';
import { type Command, countersign, outcomeOf } from '../support/command.js';
import { approving, deliver, EMBEDDED, problemsOf, writeDeployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { kill, processesNaming } from '../support/processes.js';

const root = mkdtempSync(join(tmpdir(), 'countersign-up-'));
let dir = '';
let port = 0;
let number = 0;

beforeEach(async () => {
  number += 1;
  dir = join(root, `folder-${number}`);
  port = await freePorts(3);
});

/** Whatever a test was about, nothing that it started is left. */
afterEach(() => {
  const left = processesNaming(root);
  for (const line of left) kill(Number.parseInt(line, 10), 'SIGKILL');
  expect(left).toEqual([]);
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function args(...more: readonly string[]): readonly string[] {
  const ports = ['--http-port', `${port}`, '--ops-port', `${port + 1}`];
  return ['up', '--dir', dir, '--replicas', '1', ...ports, ...more];
}

/** A busy machine may not finish a check within its second at once. */
async function isReady(up: Command): Promise<void> {
  await eventually(async () => expect(await problemsOf(JSON.parse(up.stdout()).replicaOps[0])).toEqual({}));
}

async function started(...more: readonly string[]): Promise<Command> {
  const up = countersign(args('--json', ...more));
  await up.says('\n');
  await isReady(up);
  return up;
}

async function stopped(up: Command): Promise<void> {
  up.signal('SIGINT');
  const { code, stdout, stderr } = await up.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  // One line of JSON and nothing else, from the start to the end.
  expect(stdout.split('\n')).toEqual([expect.stringMatching(/^\{.*\}$/), '']);
}

describe('a second up', () => {
  test('in the same folder is refused, and the first one goes on', async () => {
    const first = await started('--ledger', 'redis');
    const free = await freePorts(3);
    const other = ['--http-port', `${free}`, '--ops-port', `${free + 1}`];
    expect(await outcomeOf(['up', '--dir', dir, ...other])).toEqual({
      code: 3,
      stdout: '',
      stderr: `countersign: another countersign up runs in ${dir}: stop it first, or choose another --dir\n`,
    });
    await isReady(first);
    await stopped(first);
  });

  test('on the same ports is refused before it makes anything', async () => {
    const first = await started('--ledger', 'embedded');
    dir = join(dir, 'other');
    for (const [taken, more] of [
      [port, []],
      [port + 1, ['--http-port', '0']],
    ] as const) {
      expect(await outcomeOf([...args('--ledger', 'redis'), ...more])).toEqual({
        code: 3,
        stdout: '',
        stderr: `countersign: cannot listen on 127.0.0.1:${taken}: another program listens there\n`,
      });
    }
    expect(processesNaming(dir)).toEqual([]);
    await stopped(first);
  });

  test("on a replica's ops port says whose log tells why, and takes down what had come up", async () => {
    const taken = createServer().listen(port + 2, '127.0.0.1');
    await once(taken, 'listening');
    const log = join(dir, 'log/replica-1.log');
    expect(await outcomeOf(args('--ledger', 'redis', '--json'))).toEqual({
      code: 3,
      stdout: '',
      stderr: `countersign: replica-1 ended with code 3 while starting; see ${log}\n`,
    });
    expect(readFileSync(log, 'utf8')).toContain(`cannot listen on 127.0.0.1:${port + 2}: another program`);
    taken.close();
  });
});

test('what somebody froze to try it is lifted by the operators that the example policy asks for', async () => {
  const up = await started('--ledger', 'embedded');
  const config = ['--config', join(dir, 'config.yaml')];
  const key = (name: string) => ['--key', join(dir, 'keys', `${name}.pem`)];
  const freeze = ['freeze', ...config, '--id', 'f1', '--all', '--reason', 'try', '--author', 'me'];
  expect(await outcomeOf(freeze)).toMatchObject({ code: 0 });
  const { stdout } = await outcomeOf(['unfreeze', 'f1', ...config, ...key('operator'), '--print']);
  const statement = join(dir, 'statement');
  writeFileSync(statement, stdout);
  expect(
    await outcomeOf(['unfreeze', 'f1', ...config, ...key('operator-2'), '--statement', statement]),
  ).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('was lifted by development and development-2'),
  });
  await stopped(up);
});

describe('the ledger', () => {
  test('of a folder stays of the kind it was made with', async () => {
    await stopped(await started('--ledger', 'embedded'));
    expect(await outcomeOf(args('--ledger', 'redis'))).toEqual({
      code: 2,
      stdout: '',
      stderr: `countersign: ${dir} was made with the embedded ledger; its decisions are there. Choose another --dir, or remove this one.\n`,
    });
    await stopped(await started());
    expect(readFileSync(join(dir, 'ledger.kind'), 'utf8')).toBe('embedded\n');
  });

  test('cannot be Redis without a server on the PATH, and is the embedded one when nothing else is asked for', async () => {
    const env = { ...process.env, PATH: '' };
    expect(await outcomeOf(args('--ledger', 'redis'), env)).toEqual({
      code: 3,
      stdout: '',
      stderr:
        'countersign: neither redis-server nor valkey-server is on the PATH: install one (apt install redis-server, brew install redis), or use --ledger embedded\n',
    });
    const up = countersign(args(), env);
    await up.says('Ready.');
    expect(up.stdout()).toContain(
      'Ledger     embedded (SQLite): for this one machine only; a cluster on several machines needs Redis.\n',
    );
    up.signal('SIGINT');
    expect((await up.ended).code).toBe(0);
  });
});

describe('a configuration of your own', () => {
  test('is served with its own keys, and its ledger is made', async () => {
    const own = writeDeployment(join(root, 'own'), { ledger: EMBEDDED, policy: approving() });
    const up = await started('--config', own.configFile);
    const { http, cosigners, ledger } = JSON.parse(up.stdout());
    expect(ledger).toBe('embedded');
    expect(cosigners).toEqual([
      {
        name: 'own',
        protocol: 'fireblocks',
        mode: 'jwt',
        url: `${http}/own`,
        privateKeyFile: null,
        signerIds: ['approver'],
        signers: [{ id: 'approver', stages: ['approval'] }],
      },
    ]);
    const reply = await deliver(http, own.request('foreign'));
    expect(own.read(reply, 'foreign')).toEqual({ action: 'APPROVE', requestId: 'foreign' });
    await stopped(up);
  });

  test('is not contradicted by --ledger', async () => {
    const own = writeDeployment(join(root, 'contradicted'), { ledger: EMBEDDED, policy: approving() });
    expect(await outcomeOf(args('--config', own.configFile, '--ledger', 'redis'))).toEqual({
      code: 2,
      stdout: '',
      stderr: `countersign: --ledger redis contradicts ${own.configFile}, whose ledger is embedded.\n`,
    });
  });
});

describe('a policy', () => {
  test('that was edited between two runs becomes active; a broken one is named and nothing is started', async () => {
    const first = await started('--ledger', 'embedded');
    const { policyFile, configFile } = JSON.parse(first.stdout());
    await stopped(first);
    appendFileSync(policyFile, '# edited\n');
    await stopped(await started());
    const edited = readFileSync(policyFile, 'utf8');
    const whatIsKept = async () => {
      const { nowMs: _, ...state } = await withLedger({ config: configFile }, (ledger) => ledger.state());
      return state;
    };
    const state = await whatIsKept();
    expect(state.policy?.version).toBe(createHash('sha256').update(edited).digest('hex'));

    writeFileSync(policyFile, edited.replace('effect: reject', 'effect: refuse'));
    const line = edited.split('\n').findIndex((text) => text.includes('effect: reject')) + 1;
    const { code, stdout, stderr } = await outcomeOf(args('--json'));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.split('\n')[0]).toMatch(`countersign: ${policyFile}:${line}: rules[0].effect: `);
    expect(await whatIsKept()).toEqual(state);
  });

  test('that is broken stops the Redis that was started for it', async () => {
    mkdirSync(dir, { recursive: true });
    const file = join(dir, 'broken.yaml');
    writeFileSync(file, 'version: 1\nrules: nothing\n');
    const { code, stdout, stderr } = await outcomeOf(args('--ledger', 'redis', '--policy', file, '--json'));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`${file}:2: rules: `);
  });
});

describe('Ctrl-C while it starts', () => {
  test.each([250, 450, 600, 800, 1_100, 1_500])('after %i ms leaves nothing behind', async (ms) => {
    const up = countersign(args('--ledger', 'redis', '--json'));
    await sleep(ms);
    up.signal('SIGINT');
    const { code, stderr } = await up.ended;
    // Before it listens for signals, the signal itself ends it.
    expect([0, 'SIGINT']).toContain(code);
    expect(stderr).toBe('');
  });
});
