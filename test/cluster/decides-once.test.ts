/**
 * The promise, on real processes: three replicas, two co-signers, every request delivered one to five times at once in
 * random order to random replicas, limits that admit exactly K of them, with and without replicas being killed.
 *
 * COUNTERSIGN_CLUSTER_REQUESTS sets how many requests a run has (default 1000; the embedded ledger takes half,
 * because its commits wait for the disk). COUNTERSIGN_CLUSTER_SEED repeats a run.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Answer } from '../../src/simulator/answer.js';
import { signingAsk } from '../../src/simulator/asks.js';
import { Courier } from '../../src/simulator/courier.js';
import { etherTransfer } from '../../src/simulator/invention.js';
import { Play, type Settled } from '../../src/simulator/play.js';
import { Random } from '../../src/simulator/random.js';
import { Tally } from '../../src/simulator/tally.js';
import { targetOfDirectory } from '../../src/simulator/target.js';
import type { EtherTransfer } from '../../src/simulator/transaction.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { decisionsOf, readJournal } from '../support/journal.js';

const REQUESTS = Number(process.env.COUNTERSIGN_CLUSTER_REQUESTS ?? 1_000);
const SEED = process.env.COUNTERSIGN_CLUSTER_SEED ?? String(randomInt(1_000_000));

/** Requests under way at a time; each has up to five deliveries open. */
const WORKERS = 16;

/** Long enough that nothing leaves it during a test. */
const WINDOW = '{ rolling: 24h }';

/** How long a run with kills lasts at least: a killed replica needs a second or two to come back. */
const KILLING_MS = 8_000;

const MINUTE_MS = 60_000;

/** Far more than a co-signer has: what is shown here is that answers are right, and what a replica decides in time elsewhere. */
const PATIENCE_MS = 3 * MINUTE_MS;

let cluster: Cluster | undefined;

afterEach(async () => {
  await cluster?.discard();
  cluster = undefined;
});

interface Suite {
  readonly name: string;
  /** The limit as the policy document has it. */
  readonly limit: (requests: number, admitted: number) => string;
  /** Wei that request number `index` moves. */
  readonly amount: (index: number) => bigint;
  /** What the limit counts of an approval that moves so much. */
  readonly counted: (amount: bigint) => bigint;
}

/** 20 ETH is above 2^64 wei: neither a double nor a 64-bit integer counts these. */
const BASE = 20_000_000_000_000_000_001n;

const SUITES: readonly Suite[] = [
  {
    name: 'a sum of equal amounts that fits K times to the wei',
    amount: () => BASE,
    limit: (_, admitted) => nativeSum(BigInt(admitted) * BASE),
    counted: (amount) => amount,
  },
  {
    // Any K of them fit and no K + 1 do, whichever come first, as long as K times the spread is below one amount.
    name: 'a sum of amounts of which no two are equal',
    amount: (index) => BASE + BigInt(index),
    limit: (requests, admitted) => nativeSum(BigInt(admitted) * (BASE + BigInt(requests))),
    counted: (amount) => amount,
  },
  {
    name: 'a count',
    amount: (index) => 1n + BigInt(index) * 1_000_000_007n,
    limit: (_, admitted) => `{ sum: count, max: '${admitted}', window: ${WINDOW} }`,
    counted: () => 1n,
  },
];

function nativeSum(wei: bigint): string {
  const digits = wei.toString().padStart(19, '0');
  return `{ sum: native, max: '${digits.slice(0, -18)}.${digits.slice(-18)}', window: ${WINDOW}, per: [asset] }`;
}

function policyWith(limit: string): string {
  return [
    'version: 1',
    'description: Admits exactly as many transfers as the limit has room for.',
    'limits:',
    `  exact: ${limit}`,
    'rules:',
    '  - name: admit',
    '    match: { kind: transaction, stage: signing, operation: [TRANSFER], asset: [ETH] }',
    '    limits: [exact]',
    '    effect: approve',
    '',
  ].join('\n');
}

interface Outcome {
  readonly transfers: readonly EtherTransfer[];
  /** What each request was told, one entry for each of its deliveries. */
  readonly settled: readonly (readonly Settled[])[];
  readonly tally: Tally;
}

/** What happens while transfers are delivered, which last at least so long. */
interface Meanwhile {
  readonly spreadMs: number;
  /** The last tenth of the transfers waits for it. */
  readonly enough: Promise<unknown>;
}

/** Delivers every transfer one to five times; their order is random, and neighbours overlap. */
async function deliverAll(
  dir: string,
  transfers: readonly EtherTransfer[],
  { spreadMs, enough }: Meanwhile = { spreadMs: 0, enough: Promise.resolve() },
): Promise<Outcome> {
  const random = new Random(SEED, 'deliveries');
  const courier = new Courier();
  const tally = new Tally();
  const theatre = {
    target: targetOfDirectory(dir),
    seed: SEED,
    courier,
    tally,
    patience: { totalMs: PATIENCE_MS, afterRetryMs: 200 },
    signal: new AbortController().signal,
  };
  const settled: (readonly Settled[])[] = transfers.map(() => []);
  const started = performance.now();
  const order = random.shuffled(transfers.map((transfer, index) => ({ transfer, index })));
  let next = 0;
  const worker = async () => {
    for (let turn = order[next]; turn !== undefined; turn = order[next]) {
      const dueMs = started + (spreadMs * next) / order.length - performance.now();
      next += 1;
      if (dueMs > 0) await sleep(dueMs);
      if (next > 0.9 * order.length) await enough;
      const { transfer, index } = turn;
      const play = new Play('deliveries', index, theatre);
      const ask = signingAsk(transfer);
      const deliveries = Array.from({ length: play.random.between(1, 5) }, async () => {
        const asker = play.asker('signing');
        if (asker === undefined) throw new Error('no co-signer serves the signing stage');
        return play.settle({ ask, asker });
      });
      settled[index] = await Promise.all(deliveries);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  courier.close();
  return { transfers, settled, tally };
}

/** Kills replicas again and again until told to stop; tells how many. */
function killRandomly({ killReplica, up }: Cluster, random: Random) {
  let stopped = false;
  const { promise: twice, resolve: killedTwice } = Promise.withResolvers<void>();
  const killing = (async () => {
    let killed = 0;
    while (!stopped) {
      await sleep(random.between(50, 400));
      if (stopped) break;
      // One or two of three at a time: somebody is always left to answer.
      const victims = random
        .shuffled(up.replicaUrls.map((_, index) => index))
        .slice(0, random.between(1, up.replicas - 1));
      await Promise.all(victims.map(killReplica));
      killed += victims.length;
      if (killed >= 2) killedTwice();
    }
    return killed;
  })();
  return {
    /** Rejects when one was not started again. */
    twice: Promise.race([twice, killing]),
    stop: () => {
      stopped = true;
      return killing;
    },
  };
}

function answersOf(settled: readonly Settled[]): readonly Answer[] {
  return settled.flatMap((one) => (one.kind === 'final' ? [one.answer] : []));
}

async function expectExactlyOnce(outcome: Outcome, { suite, admitted, configFile }: Expected): Promise<void> {
  const { transfers, settled, tally } = outcome;
  expect(tally.summary().violationSamples).toEqual([]);
  const approved = new Set<string>();
  for (const [index, transfer] of transfers.entries()) {
    const told = settled[index] ?? [];
    const answers = answersOf(told);
    // Every delivery was answered, finally, and all alike: action and reason, word for word.
    expect(answers).toHaveLength(told.length);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    if (answers[0]?.action === 'APPROVE') approved.add(transfer.requestId);
  }
  expect(approved.size).toBe(admitted);

  const decisions = decisionsOf(await readJournal(configFile));
  const recorded = decisions.filter(({ decision }) => decision.effect === 'approve');
  expect(decisions).toHaveLength(transfers.length);
  expect(new Set(decisions.map(({ journal }) => journal.request.requestId)).size).toBe(transfers.length);
  expect(new Set(recorded.map(({ journal }) => journal.request.requestId))).toEqual(approved);
  const expectedSum = transfers
    .filter(({ requestId }) => approved.has(requestId))
    .reduce((sum, { amount }) => sum + suite.counted(amount), 0n);
  const charges = recorded.flatMap(({ charged }) => charged.filter(({ limit }) => limit === 'exact'));
  expect(charges.reduce((sum, { added }) => sum + added, 0n)).toBe(expectedSum);
  expect(charges.at(-1)?.total).toBe(expectedSum);
}

interface Expected {
  readonly suite: Suite;
  readonly admitted: number;
  readonly configFile: string;
}

function transfersOf(suite: Suite, requests: number): readonly EtherTransfer[] {
  return Array.from({ length: requests }, (_, index) => ({
    ...etherTransfer(new Random(SEED, `transfer ${index}`)),
    amount: suite.amount(index),
  }));
}

describe.each(['redis', 'embedded'] as const)(`three replicas on the %s ledger (seed ${SEED})`, (ledger) => {
  const requests = Math.max(20, ledger === 'redis' ? REQUESTS : Math.floor(REQUESTS / 2));
  const admitted = Math.floor(requests * 0.4);
  // Each way of counting on Redis; on the embedded ledger, whose commits are slow, the hardest.
  const suites = ledger === 'redis' ? SUITES : SUITES.slice(1, 2);

  it.each(suites)(
    `approve exactly ${admitted} of ${requests} by $name`,
    async (suite) => {
      cluster = await startCluster({ ledger, policy: policyWith(suite.limit(requests, admitted)) });
      const outcome = await deliverAll(cluster.dir, transfersOf(suite, requests));
      await expectExactlyOnce(outcome, { suite, admitted, configFile: cluster.up.configFile });
      await cluster.stop();
    },
    10 * MINUTE_MS,
  );

  it.each(SUITES.slice(1, 2))(
    `do so when replicas are killed all the time, by $name`,
    async (suite) => {
      cluster = await startCluster({ ledger, policy: policyWith(suite.limit(requests, admitted)) });
      const killer = killRandomly(cluster, new Random(SEED, 'kills'));
      // A killed replica comes back as late as the machine is busy.
      const meanwhile = { spreadMs: KILLING_MS, enough: killer.twice };
      const outcome = await deliverAll(cluster.dir, transfersOf(suite, requests), meanwhile);
      const killed = await killer.stop();
      // A run in which no kill was felt has shown nothing.
      expect(killed).toBeGreaterThanOrEqual(2);
      expect(outcome.tally.progress().lost).toBeGreaterThan(0);
      await expectExactlyOnce(outcome, { suite, admitted, configFile: cluster.up.configFile });
      await cluster.stop();
    },
    10 * MINUTE_MS,
  );
});
