/**
 * What strangers could do to Virtual Signers by asking three replicas at once, and what is answered while Redis hangs. The
 * replicas are processes of the built program, and the bytes are those of the socket.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { APPROVAL, transactionArgument } from '../support/approval-contract.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { ask, type VotingDeployment, writeVotingDeployment } from '../support/iofinnet-deployment.js';
import { decisionsOf, readJournal } from '../support/journal.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';
import { legacyTransfer, nonceHeaders, voteIn } from '../support/virtual-signer.js';

const AT_ONCE = 30;
const CONTRACT = `0x${'c5'.repeat(20)}`;
const PAYEE = `0x${'1'.repeat(40)}`;
const POLICY = `version: 1
limits:
  ether: { sum: native, max: '1000', window: { rolling: 24h }, per: [asset] }
rules:
  - name: pay
    match: { kind: transaction, operation: [TRANSFER], asset: [ETH], destination: { address: '${PAYEE}' } }
    limits: [ether]
    verify: if-present
    effect: approve
`;

let folder = '';
let redis: RedisServer;
let cluster: Cluster;
let deployment: VotingDeployment;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-strangers-'));
  redis = await startRedis();
  const ledger = { kind: 'redis', redis: { url: redis.url } } as const;
  const section = { contract: { revision: 'R1', address: CONTRACT } };
  deployment = writeVotingDeployment(folder, { ledger, policy: POLICY, signers: 3, section });
  cluster = await startCluster({ configFile: deployment.configFile });
});

afterAll(async () => {
  await cluster?.discard();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

let operations = 0;
function operationId(): string {
  operations += 1;
  return `op${operations.toString().padStart(22, '0')}`;
}

function signerOf(index: number) {
  const signer = deployment.signers[index % deployment.signers.length];
  if (signer === undefined) throw new Error('no such signer');
  return signer;
}

/** At the replica of this number, by the signer of that number. */
async function vote(body: object, digits: string, { replica, by }: { replica: number; by: number }) {
  const { path, key } = signerOf(by);
  const origin = cluster.up.replicaUrls[replica % cluster.up.replicas];
  return voteIn(await ask(`${origin}${path}/transaction`, body, digits), digits, key);
}

/** All at once, spread over the replicas. Whom a busy machine gives no vote in time asks again, as a Virtual Signer does. */
function atOnce(one: (index: number) => Promise<string>): Promise<string[]> {
  const untilHeard = async (index: number): Promise<string> => {
    const heard = await one(index);
    return heard === 'no vote: 503' ? untilHeard(index) : heard;
  };
  return Promise.all(Array.from({ length: AT_ONCE }, (_, index) => untilHeard(index)));
}

const counted = (votes: readonly string[], vote: string) => votes.filter((each) => each === vote).length;

async function approvals(id: string) {
  const decisions = decisionsOf(await readJournal(deployment.configFile));
  return decisions.filter(
    ({ decision, journal }) =>
      decision.effect === 'approve' &&
      journal.request.kind === 'transaction' &&
      journal.request.requestId.endsWith(`.${id}`),
  );
}

describe('at three replicas at once', () => {
  test('many operations under one nonce: one of them is approved, and the others get no vote', async () => {
    const bodies = Array.from({ length: AT_ONCE }, () => legacyTransfer({ id: operationId() }));
    const asked = (index: number) => vote(bodies[index] ?? {}, '4242', { replica: index, by: 0 });
    const votes = await atOnce(asked);
    expect([counted(votes, 'approved'), counted(votes, 'no vote: 409')]).toEqual([1, AT_ONCE - 1]);
    expect(await atOnce((index) => asked(index))).toEqual(votes);
  });

  test('many contents under one id: one of them is approved and charged, and the others get no vote', async () => {
    const id = operationId();
    const votes = await atOnce((index) =>
      vote(legacyTransfer({ id, amountOriginal: `0.${index + 1}1` }), String(9_000 + index), {
        replica: index,
        by: index % 3,
      }),
    );
    expect([counted(votes, 'approved'), counted(votes, 'no vote: 409')]).toEqual([1, AT_ONCE - 1]);
    expect(await approvals(id)).toHaveLength(1);
  });

  test('one operation by three signers under many nonces, with and without what changes: charged once', async () => {
    const id = operationId();
    const body = legacyTransfer({ id, expiresAt: new Date(Date.now() + 600_000).toISOString() });
    const votes = await atOnce((index) =>
      vote(
        { ...body, updatedAt: `t${index}`, voting: { votes: [index] }, ['x'.repeat(index + 1)]: index },
        String(70_000 + index),
        { replica: index, by: Math.floor(index / 3) },
      ),
    );
    expect(counted(votes, 'approved')).toBe(AT_ONCE);
    const decided = await approvals(id);
    expect(decided.flatMap(({ charged }) => charged.map(({ added }) => added))).toEqual([5n * 10n ** 17n]);
  });

  test('refusals of an id and of a nonce keep neither from what is approvable', async () => {
    const id = operationId();
    const votes = await atOnce((index) => {
      const receivingAddress = index % 2 === 0 ? `0x${'3'.repeat(40)}` : PAYEE;
      return vote(legacyTransfer({ id, receivingAddress }), '555', { replica: index, by: 1 });
    });
    // Whoever asks after the approval is told of neither of the two.
    expect(counted(votes, 'approved')).toBe(AT_ONCE / 2);
    expect(counted(votes, 'rejected') + counted(votes, 'no vote: 409')).toBe(AT_ONCE / 2);
    expect(await approvals(id)).toHaveLength(1);
  });
});

/** What a socket receives, to the last byte. */
function received(origin: string, path: string, body: string, headers: Readonly<Record<string, string>>) {
  const { hostname, port } = new URL(origin);
  const lines = Object.entries({ host: 'h', connection: 'close', 'accept-encoding': 'gzip, br', ...headers });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let bytes = '';
    socket.on('data', (chunk) => {
      bytes += chunk.toString('latin1');
    });
    socket.on('error', reject).on('end', () => resolve(bytes));
    socket.write(`POST ${path} HTTP/1.1\r\n${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  });
}

test('the bytes of an answer are those that are signed, with nothing appended or encoded', async () => {
  const { path, key } = signerOf(0);
  const digits = '9223372036854775806';
  const body = JSON.stringify(legacyTransfer({ id: operationId() }));
  const origin = cluster.up.replicaUrls[0] ?? '';
  const bytes = await eventually(async () => {
    const heard = await received(origin, `${path}/transaction`, body, nonceHeaders(digits));
    expect(heard).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    return heard;
  });
  const [head = '', answer = ''] = bytes.split('\r\n\r\n');
  const [, ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(lines.map((line) => line.split(': ', 2)));
  expect(lines.map((line) => line.split(':')[0]?.toLowerCase()).sort()).toEqual(
    ['connection', 'content-length', 'content-type', 'date', 'digest', 'signature'].sort(),
  );
  expect(voteIn({ status: 200, headers, body: answer }, digits, key)).toBe('approved');
});

describe('while Redis hangs', () => {
  test('there is no vote, but an answer; nor is what was approved before repeated', async () => {
    const { path } = signerOf(0);
    const origin = cluster.up.replicaUrls[1] ?? '';
    const known = legacyTransfer({ id: operationId() });
    await eventually(async () => expect(await vote(known, '31', { replica: 1, by: 0 })).toBe('approved'));
    const data = APPROVAL.encodeFunctionData('approvedTx', [
      transactionArgument('R1', { Id: operationId() }),
    ]);
    const call = { jsonrpc: '2.0', id: 1, method: 'eth_call', params: [{ to: CONTRACT, data }, 'latest'] };
    await redis.kill('SIGSTOP');
    try {
      // All of them come while it still hangs.
      const [again, fresh, called] = await Promise.all([
        ask(`${origin}${path}/transaction`, known, '32'),
        ask(`${origin}${path}/transaction`, legacyTransfer({ id: operationId() }), '33'),
        ask(`${origin}${path}/rpc`, call, {}),
      ]);
      expect([again, fresh].map(({ status, headers }) => [status, headers.signature])).toEqual([
        [503, undefined],
        [503, undefined],
      ]);
      expect(JSON.parse(called.body)).toMatchObject({
        error: { code: -32000, message: 'no vote' },
      });
    } finally {
      await redis.kill('SIGCONT');
    }
    await eventually(async () => expect(await vote(known, '34', { replica: 1, by: 0 })).toBe('approved'));
    expect(await approvals(known.id as string)).toHaveLength(1);
  });
});
