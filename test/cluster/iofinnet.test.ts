/**
 * Virtual Signers on real processes: three replicas, three signers that all ask about every operation at once, each with
 * nonces of its own, while a replica is killed; and a Fireblocks co-signer whose transactions fill the same limit.
 *
 * COUNTERSIGN_CLUSTER_REQUESTS sets how many operations a run has (default 500).
 */
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Random } from '../../src/simulator/random.js';
import { signingPayload } from '../../src/simulator/transaction.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { payloadOf, token, verifies } from '../support/cosigner.js';
import {
  ask,
  FIREBLOCKS_SIGNER,
  type VotingDeployment,
  writeVotingDeployment,
} from '../support/iofinnet-deployment.js';
import { decisionsOf, readJournal } from '../support/journal.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';
import { legacyTransfer, voteIn } from '../support/virtual-signer.js';

const OPERATIONS = Number(process.env.COUNTERSIGN_CLUSTER_REQUESTS ?? 500);
const TRANSACTIONS = Math.floor(OPERATIONS / 4);
/** Not all of either protocol, so that both meet the limit. */
const ADMITTED = Math.floor(OPERATIONS / 2);
const SEED = process.env.COUNTERSIGN_CLUSTER_SEED ?? String(randomInt(1_000_000));
const SIGNERS = 3;
const WORKERS = 12;
/** Far more than a signer has: replicas are killed all the time, and each takes as long to come back as the machine is busy. */
const PATIENCE_MS = 180_000;
const ASK_AGAIN_MS = 200;

/** Above 2^64 wei. */
const AMOUNT = 20_000_000_000_000_000_001n;
const AMOUNT_TEXT = '20.000000000000000001';
const PAYEE = `0x${'1'.repeat(40)}`;

function policy(): string {
  const wei = (AMOUNT * BigInt(ADMITTED)).toString().padStart(19, '0');
  return `version: 1
limits:
  exact: { sum: native, max: '${wei.slice(0, -18)}.${wei.slice(-18)}', window: { rolling: 24h }, per: [asset] }
rules:
  - name: votes
    match: { kind: transaction, stage: approval, operation: [TRANSFER], asset: [ETH], destination: { address: '${PAYEE}' } }
    limits: [exact]
    verify: if-present
    effect: approve
  - name: signatures
    match: { kind: transaction, stage: signing, operation: [TRANSFER], asset: [ETH] }
    limits: [exact]
    effect: approve
`;
}

let cluster: Cluster | undefined;
let redis: RedisServer | undefined;
let folder = '';

afterEach(async () => {
  await cluster?.discard();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Told {
  readonly votes: string[];
  /** Answers that were no vote, and connections that broke. */
  lost: number;
}

/** Asks until there is a vote, each time under another nonce, as a Virtual Signer is thought to. */
async function pursue(
  url: () => string,
  body: object,
  { key, told, random }: { key: VotingDeployment['signers'][number]['key']; told: Told; random: Random },
): Promise<void> {
  const ends = performance.now() + PATIENCE_MS;
  while (performance.now() < ends) {
    const digits = random.bigBelow(2n ** 63n - 1n).toString();
    const vote = await ask(url(), body, digits).then(
      (reply) => voteIn(reply, digits, key),
      () => 'lost',
    );
    if (vote === 'approved' || vote === 'rejected' || vote === 'abstain') {
      told.votes.push(vote);
      return;
    }
    if (vote !== 'lost' && vote !== 'no vote: 503') throw new Error(vote);
    told.lost += 1;
    await sleep(ASK_AGAIN_MS);
  }
  throw new Error(`no vote in ${PATIENCE_MS} ms`);
}

/** The action of a Fireblocks transaction of the same amount. */
async function sign(origin: () => string, deployment: VotingDeployment, random: Random): Promise<string> {
  const id = random.uuid();
  const payload = signingPayload(
    {
      txId: id,
      requestId: id,
      amount: AMOUNT,
      source: '0',
      players: [],
      asset: { id: 'ETH', decimals: 18, price: 1n },
      destination: { type: 'VAULT', subType: '', id: '1', name: 'n', address: PAYEE },
      gas: { nonce: 1, limit: 21_000n, maxFeePerGas: 10n ** 9n, maxPriorityFeePerGas: 1n },
    },
    FIREBLOCKS_SIGNER,
  );
  const body = token(payload, deployment.fireblocks.privateKey);
  const ends = performance.now() + PATIENCE_MS;
  while (performance.now() < ends) {
    const url = `${origin()}/fireblocks/v2/tx_sign_request`;
    const answer = await fetch(url, { method: 'POST', body }).then(
      (response) => response.text(),
      () => undefined,
    );
    if (answer !== undefined && verifies(answer, deployment.fireblocksAnswer.publicKey)) {
      const { action } = JSON.parse(payloadOf(answer));
      if (action !== 'RETRY') return action;
    }
    await sleep(ASK_AGAIN_MS);
  }
  throw new Error(`no answer in ${PATIENCE_MS} ms`);
}

describe(`three replicas, three Virtual Signers and a Fireblocks co-signer (seed ${SEED})`, () => {
  it(`decide ${OPERATIONS} operations once each and admit ${ADMITTED} in all, while replicas are killed`, async () => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-voting-'));
    redis = await startRedis();
    const ledger = { kind: 'redis', redis: { url: redis.url } } as const;
    const deployment = writeVotingDeployment(folder, { ledger, policy: policy(), signers: SIGNERS });
    const running = await startCluster({ configFile: deployment.configFile });
    cluster = running;
    const random = new Random(SEED, 'routing');
    const origin = () => {
      const [first = '', ...others] = [running.up.http, ...running.up.replicaUrls];
      return random.pick([first, ...others]);
    };
    const told: Told[] = Array.from({ length: OPERATIONS }, () => ({ votes: [], lost: 0 }));
    const signed: string[] = [];
    const work = random.shuffled([
      ...told.map((each, index) => async () => {
        const id = `op${index.toString().padStart(22, '0')}`;
        await Promise.all(
          deployment.signers.map(({ path, key }, number) => {
            const body = legacyTransfer({
              id,
              amountOriginal: AMOUNT_TEXT,
              receivingAddress: PAYEE,
              expiresAt: '2100-01-01T00:00:00.000Z',
              updatedAt: String(random.below(1_000)),
            });
            const draws = new Random(SEED, `nonces ${index} ${number}`);
            return pursue(() => `${origin()}${path}/transaction`, body, { key, told: each, random: draws });
          }),
        );
      }),
      ...Array.from({ length: TRANSACTIONS }, (_, index) => async () => {
        signed.push(await sign(origin, deployment, new Random(SEED, `transaction ${index}`)));
      }),
    ]);

    let next = 0;
    let done = false;
    const worker = async () => {
      for (let job = work[next]; job !== undefined; job = work[next]) {
        next += 1;
        await job();
      }
    };
    const killing = (async () => {
      let killed = 0;
      while (!done) {
        await sleep(300);
        if (done) break;
        await running.killReplica(killed % running.up.replicas);
        killed += 1;
      }
      return killed;
    })();
    const working = Promise.all(Array.from({ length: WORKERS }, worker));
    await working.finally(() => {
      done = true;
    });
    // A run in which no kill was felt has shown nothing.
    expect(await killing).toBeGreaterThanOrEqual(1);
    expect(told.reduce((sum, { lost }) => sum + lost, 0)).toBeGreaterThan(0);

    for (const { votes } of told) {
      expect(votes).toHaveLength(SIGNERS);
      expect(new Set(votes).size).toBe(1);
    }
    const voted = told.filter(({ votes }) => votes[0] === 'approved').length;
    const signatures = signed.filter((action) => action === 'APPROVE').length;
    expect(signed).toHaveLength(TRANSACTIONS);
    expect(voted + signatures).toBe(ADMITTED);
    // Both had their share of it.
    expect(Math.min(voted, signatures)).toBeGreaterThan(0);

    const decisions = decisionsOf(await readJournal(deployment.configFile));
    const nonces = decisions.filter(({ journal }) => journal.request.kind === 'nonce');
    const decided = decisions.filter(({ journal }) => journal.request.kind !== 'nonce');
    expect(decided).toHaveLength(OPERATIONS + TRANSACTIONS);
    expect(new Set(decided.map(({ journal }) => journal.request.requestId)).size).toBe(decided.length);
    // Every signer had a vote of its own for what was approved; a vote that was lost on the way took a nonce too.
    expect(nonces.length).toBeGreaterThanOrEqual(SIGNERS * voted);
    const charges = decisions.flatMap(({ charged }) => charged);
    expect(charges.reduce((sum, { added }) => sum + added, 0n)).toBe(AMOUNT * BigInt(ADMITTED));
    expect(charges.at(-1)?.total).toBe(AMOUNT * BigInt(ADMITTED));
    await running.stop();
  }, 600_000);
});
