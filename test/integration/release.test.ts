/** Charges of a transaction or an operation that will never be signed, given back by an operator's word while the cluster runs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { loadOperators, verifyStatement } from '../../src/keys/statements.js';
import { releaseBody } from '../../src/ledger/journal-body.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import { approving, type Deployment, deliver, EMBEDDED, writeDeployment } from '../support/deployment.js';
import {
  ask as askAs,
  type VotingDeployment,
  writeVotingDeployment,
} from '../support/iofinnet-deployment.js';
import { readJournal } from '../support/journal.js';
import { type RunningReplica, startReplica } from '../support/replica.js';
import { legacyTransfer, ORGANISATION, voteIn } from '../support/virtual-signer.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-release-'));
let deployment: Deployment;
let cluster: Cluster;

beforeAll(async () => {
  deployment = writeDeployment(dir, {
    ledger: EMBEDDED,
    policy: approving({ two: "{ sum: count, max: '2', window: lifetime }" }),
  });
  cluster = await startCluster({ configFile: deployment.configFile });
});

afterAll(async () => {
  await cluster?.discard();
  rmSync(dir, { recursive: true, force: true });
});

async function ask(id: string): Promise<string> {
  const reply = await deliver(cluster.up.replicaUrls[0] ?? '', deployment.request(id));
  const { action, rejectionReason } = deployment.read(reply, id);
  return rejectionReason === undefined ? action : `${action} ${rejectionReason}`;
}

function release(txId: string, ...more: readonly string[]) {
  const { configFile, operatorKeyFile } = deployment;
  const what = ['--config', configFile, '--tx', txId, '--reason', 'cancelled'];
  const key = more.includes('--key') ? [] : ['--key', operatorKeyFile];
  return outcomeOf(['ledger', 'release', ...what, ...key, ...more]);
}

test('what it held makes room, and it is refused from then on', async () => {
  expect([await ask('one'), await ask('two')]).toEqual(['APPROVE', 'APPROVE']);
  expect(await ask('three')).toMatch(/^REJECT .*two/);

  const dry = await release('one', '--dry-run');
  expect(dry.stdout).toContain('transaction one: approved');
  expect(dry.stdout).toContain('gives back  1 to limit two, counter two.');
  expect(dry.stdout).toContain('Nothing was changed (--dry-run).');
  expect(await ask('four')).toMatch(/^REJECT .*two/);

  const done = await release('one', '--note', 'seen in the console', '--json');
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(done.stdout)).toMatchObject({
    transaction: 'one',
    operator: 'own-operator',
    repeated: false,
    given: [{ limit: 'two', amount: '1' }],
  });
  expect(await ask('one')).toMatch(/^REJECT .*must not be signed any more/);
  expect([await ask('five'), await ask('six')]).toEqual(['APPROVE', expect.stringMatching(/^REJECT .*two/)]);

  expect((await release('one')).stdout).toContain('It was released before: nothing was changed.');
  expect(await ask('seven')).toMatch(/^REJECT .*two/);
});

test('the journal keeps whose word it was, and for which transaction', async () => {
  const events = await readJournal(deployment.configFile);
  const bodies = events.flatMap(({ type, body }) => (type === 'release' ? [releaseBody.parse(body)] : []));
  expect(bodies).toMatchObject([{ reason: 'cancelled', note: 'seen in the console' }]);
  const { authority } = bodies[0] ?? {};
  const statement = authority?.kind === 'operator' ? authority.statement : '';
  const publicKeyFile = join(deployment.dir, 'keys', 'own-operator.pub.pem');
  const operators = loadOperators([{ name: 'own-operator', publicKeyFile }]);
  expect(await verifyStatement(operators, statement)).toMatchObject({
    operator: 'own-operator',
    statement: { statement: 'release', workspace: 'main', transaction: 'one', reason: 'cancelled' },
  });
});

test('nobody else’s word, no other transaction and no other reason is taken', async () => {
  const strange = join(dir, 'stranger.pem');
  generateKeyFiles('ed25519', strange);
  expect(await release('two', '--key', strange)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no configured operator signed it'),
  });
  expect(await release('nobody')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('nothing was decided about transaction nobody'),
  });
  expect(await release('two', '--reason', 'dropped')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Allowed choices are cancelled, rejected, blocked, failed'),
  });
  expect(await ask('eight')).toMatch(/^REJECT .*two/);
});

describe('an operation at io.finnet', () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-release-'));
  let voting: VotingDeployment;
  let replica: RunningReplica;
  let nonce = 1_000;

  beforeAll(async () => {
    const policy = `version: 1
limits:
  ether: { sum: native, max: '1', window: { rolling: 24h }, per: [asset] }
rules:
  - { name: pay, match: { kind: transaction, asset: [ETH] }, limits: [ether], verify: if-present, effect: approve }
`;
    voting = writeVotingDeployment(folder, { ledger: EMBEDDED, policy, deadline: '20s' });
    replica = await startReplica(voting);
  });
  afterAll(async () => {
    await replica?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function vote(id: string, amountOriginal: string): Promise<string> {
    const [signer] = voting.signers;
    if (signer === undefined) throw new Error('there is one');
    nonce += 1;
    const digits = String(nonce);
    const reply = await askAs(
      `${replica.http}${signer.path}/transaction`,
      legacyTransfer({ id, amountOriginal }),
      digits,
    );
    return voteIn(reply, digits, signer.key);
  }
  const releasing = (id: string) => {
    const { configFile, operatorKeyFile: key } = voting;
    const what = ['--config', configFile, '--tx', id, '--reason', 'rejected', '--key', key, '--json'];
    return outcomeOf(['ledger', 'release', ...what]);
  };

  test.each([
    ['its id', 'opaaaa0000000000000001', ''],
    ['its id and organisation', 'opaaaa0000000000000002', `${ORGANISATION}.`],
  ])('is released by %s: what it held makes room, and it is refused from then on', async (_, id, prefix) => {
    expect(await vote(id, '0.7')).toBe('approved');
    expect(await vote(`${id}x`, '0.6')).toBe('rejected');
    const done = await releasing(`${prefix}${id}`);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(done.stdout)).toMatchObject({ repeated: false, given: [{ limit: 'ether' }] });
    // It contradicts the approval that was given: no vote is signed.
    expect(await vote(id, '0.7')).toBe('no vote: 409');
    // Nor with another content: this one was approved.
    expect(await vote(id, '0.2')).toMatch(/^rejected|no vote: 409$/);
    expect(await vote(`${id}y`, '0.9')).toBe('approved');
    expect(await releasing(`${prefix}${id}y`)).toMatchObject({ code: 0 });
  });

  test('that was only refused holds nothing', async () => {
    expect(await vote('opaaaa0000000000000003', '5')).toBe('rejected');
    expect(await releasing('opaaaa0000000000000003')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it holds nothing that could be given back'),
    });
  });
});
