/** What an operator sees of a ledger that forgets: limits that are new or changed afterwards, and the status. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withLedger } from '../../src/cli/ledger.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { type Ended, outcomeOf } from '../support/command.js';
import { approving, type Deployment, deliver, EMBEDDED, writeDeployment } from '../support/deployment.js';
import { age, forgetAll } from '../support/forgetting.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-forgetting-'));
const EVER = "{ sum: count, max: '4', window: lifetime }";
let deployment: Deployment;
let cluster: Cluster;

beforeAll(async () => {
  deployment = writeDeployment(dir, { ledger: EMBEDDED, policy: approving({ ever: EVER }) });
  cluster = await startCluster({ configFile: deployment.configFile });
});

afterAll(async () => {
  await cluster?.discard();
  rmSync(dir, { recursive: true, force: true });
});

async function ask(id: string): Promise<string> {
  const reply = await deliver(cluster.up.replicaUrls[0] ?? '', deployment.request(id));
  return deployment.read(reply, id).action;
}

async function activate(
  limits: Readonly<Record<string, string>>,
  ...more: readonly string[]
): Promise<Ended> {
  writeFileSync(deployment.policyFile, approving(limits));
  const { configFile, operatorKeyFile } = deployment;
  return outcomeOf([
    'policy',
    'activate',
    '--json',
    '--config',
    configFile,
    '--key',
    operatorKeyFile,
    ...more,
  ]);
}

const status = async (...more: readonly string[]) =>
  outcomeOf(['ledger', 'status', '--config', deployment.configFile, ...more]);

test('a limit that is new cannot be filled from what was forgotten; one that stays keeps its total', async () => {
  expect((await status()).stdout).toMatch(
    /events {6}2\n +the oldest that is kept is event 1, \d minutes old\n +none was/,
  );
  expect([await ask('one'), await ask('two')]).toEqual(['APPROVE', 'APPROVE']);
  await withLedger({ config: deployment.configFile }, async (ledger) => forgetAll(ledger, await age()));
  const { kept } = JSON.parse((await status('--json')).stdout);
  expect(kept).toMatchObject({ checkpoint: { to: 4 }, trimmed: { sequence: 4 }, oldest: { sequence: 5 } });
  expect((await status()).stdout).toMatch(/forgotten up to event 4, of \d{4}-.*; checkpoint at event 5\n/);

  const other = "{ sum: count, max: '9', window: lifetime }";
  const refused = await activate({ ever: EVER, other });
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toMatch(
    /limit other cannot be filled: the events up to 4 were forgotten .* --start-empty other accepts/,
  );
  expect(
    (await activate({ ever: EVER, hourly: "{ sum: count, max: '9', window: { rolling: 1h } }" })).stderr,
  ).toMatch(/limit hourly cannot be filled/);
  expect(await activate({ ever: EVER, other }, '--start-empty', 'other')).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect([await ask('three'), await ask('one'), await ask('five')]).toEqual(['APPROVE', 'APPROVE', 'REJECT']);
});

test('a window that does not reach back to what was forgotten is filled', async () => {
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(await ask('late')).toBe('REJECT');
  const filled = await activate({ ever: EVER, short: "{ sum: count, max: '9', window: { rolling: 1s } }" });
  expect(filled).toMatchObject({ code: 0, stderr: '' });
});
