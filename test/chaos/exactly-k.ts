/**
 * `npm run chaos:exactly-k`: a limit that fits exactly K of N requests, asked at once through three replicas, each delivered one
 * to three times in random order, again and again with another K and N; in a part of the schedules a replica is killed in
 * the middle. Exactly K are approved every time, every delivery of one request hears the same, and the ledger agrees.
 *
 *   npm run chaos:exactly-k -- --schedules 1000 --seed 1 --mode fence
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { checkAnswer } from '../../src/simulator/answer.js';
import { Courier } from '../../src/simulator/courier.js';
import { etherTransfer } from '../../src/simulator/invention.js';
import { Random } from '../../src/simulator/random.js';
import { signToken } from '../../src/simulator/token.js';
import { type EtherTransfer, signingPayload } from '../../src/simulator/transaction.js';
import { type Bed, makeBed } from './bed/bed.js';
import { entriesOfLedger } from './history/entries.js';
import { SIGNERS } from './workload/errands.js';

/** Above 2^64 wei: neither a double nor a 64-bit integer counts it. */
const MAX_WEI = 60_000_000_000_000_000_007n;
const POLICY = [
  'version: 1',
  'limits:',
  "  exact: { sum: native, max: '60.000000000000000007', window: lifetime, per: [source] }",
  'rules:',
  '  - name: admit',
  '    match: { kind: transaction, stage: signing, operation: [TRANSFER], asset: [ETH] }',
  '    limits: [exact]',
  '    effect: approve',
  '',
].join('\n');

/** One in so many schedules loses a replica, unless the one before is not back yet. */
const KILL_EVERY = 4;
const AT_A_TIME = 4;
const CALL_TIMEOUT_MS = 30_000;

interface Setting {
  readonly seed: string;
  readonly bed: Bed;
  readonly courier: Courier;
  readonly key: KeyObject;
  readonly answerKeys: readonly KeyObject[];
}

interface Schedule {
  readonly number: number;
  readonly admitted: number;
  readonly transfers: readonly EtherTransfer[];
  readonly kills: boolean;
  readonly random: Random;
}

/** Any K of the amounts fit and no K + 1 do, whichever come first: no two are equal, and all are about a K-th of the limit. */
function schedule(seed: string, number: number): Schedule {
  const random = new Random(seed, `schedule ${number}`);
  const admitted = random.between(1, 9);
  const requests = admitted + random.between(1, 9);
  const share = MAX_WEI / BigInt(admitted);
  const transfers = Array.from({ length: requests }, (_, index) => ({
    ...etherTransfer(random),
    amount: share - BigInt(index),
    // A vault of its own: the counter begins at zero.
    source: String(10_000 + number),
  }));
  return { number, admitted, transfers, kills: number % KILL_EVERY === 0, random };
}

/** What is wrong, in sentences. */
async function play(plan: Schedule, setting: Setting): Promise<readonly string[]> {
  const { transfers, random, admitted, number } = plan;
  const deliveries = transfers.flatMap((transfer) =>
    Array.from({ length: random.between(1, 3) }, () => transfer),
  );
  const killing = plan.kills ? killOne(setting.bed, random) : undefined;
  const heard = new Map<string, Set<string>>();
  await Promise.all(
    random.shuffled(deliveries).map(async (transfer) => {
      const afterMs = random.below(plan.kills ? 60 : 12);
      const choice = random.below(1_000);
      await pause(afterMs);
      const answer = await settle(transfer, choice, setting);
      heard.set(transfer.requestId, (heard.get(transfer.requestId) ?? new Set()).add(answer));
    }),
  );
  await killing;
  const problems = [...heard]
    .filter(([, answers]) => answers.size !== 1)
    .map(([id, answers]) => `${id} was answered ${[...answers].join(' and ')}`);
  const approved = [...heard.values()].filter((answers) => answers.has('APPROVE')).length;
  if (approved !== admitted)
    problems.push(`${approved} of ${transfers.length} were approved, and ${admitted} fit`);
  return problems.map((problem) => `schedule ${number}: ${problem}`);
}

/** Asks one replica after the other until something final is heard. */
async function settle(transfer: EtherTransfer, choice: number, setting: Setting): Promise<string> {
  const { bed, courier, key, answerKeys } = setting;
  const token = await signToken(signingPayload(transfer, SIGNERS.signing[0]), key);
  for (let call = choice; ; call += 1) {
    const url = `${bed.replicaOrigin(call % bed.replicas.length)}/cosigner-a/v2/tx_sign_request`;
    const reply = await courier.post({ url, body: token, timeoutMs: CALL_TIMEOUT_MS });
    if (reply.kind === 'none') {
      await pause(20);
      continue;
    }
    const { requestId } = transfer;
    const checked = checkAnswer(reply.status, reply.body, { requestId, stage: 'signing', keys: answerKeys });
    if (!checked.ok) return checked.problem;
    if (checked.answer.action !== 'RETRY') return checked.answer.action;
    await pause(100);
  }
}

let dying: Promise<void> | undefined;

/** One at a time: the others go on. */
async function killOne(bed: Bed, random: Random): Promise<void> {
  if (dying !== undefined) return;
  const index = random.below(bed.replicas.length);
  const member = bed.replicas[index];
  await pause(random.below(40));
  const restart = async () => {
    await member?.kill();
    member?.start();
    await bed.replicaListens(index);
    killed += 1;
  };
  dying = restart().finally(() => {
    dying = undefined;
  });
  // The schedule need not wait until it is back.
  dying.catch((error: Error) => problems.push(error.message));
}

let killed = 0;
const problems: string[] = [];

async function run(bed: Bed, seed: string, schedules: number): Promise<void> {
  await bed.start();
  const setting: Setting = {
    seed,
    bed,
    courier: new Courier(),
    key: createPrivateKey(readFileSync(bed.deployment.cosignerKeyFile('cosigner-a'))),
    answerKeys: [createPublicKey(readFileSync(bed.deployment.answerPublicKeyFile))],
  };
  const began = performance.now();
  let [next, done, requests, approved] = [0, 0, 0, 0];
  const ticking = setInterval(
    () => say(`${done} of ${schedules} schedules, ${killed} replicas killed`),
    1_000,
  );
  const worker = async () => {
    while (next < schedules) {
      next += 1;
      const plan = schedule(seed, next);
      problems.push(...(await play(plan, setting)));
      done += 1;
      requests += plan.transfers.length;
      approved += plan.admitted;
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  clearInterval(ticking);
  setting.courier.close();
  await dying;
  const entries = await entriesOfLedger(bed.deployment.configFile);
  const inLedger = entries.filter(({ action }) => action === 'APPROVE').length;
  if (entries.length !== requests || inLedger !== approved)
    problems.push(
      `the ledger has ${inLedger} approvals in ${entries.length} decisions, not ${approved} in ${requests}`,
    );
  if (killed < Math.floor(schedules / 50)) problems.push(`only ${killed} replicas were killed`);
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  process.stdout.write(
    `${schedules} schedules, ${requests} requests, ${approved} fitted, ${killed} replicas killed, ${seconds} s (seed ${seed})\n` +
      `${problems.length === 0 ? 'PASSED: exactly K were approved each time.' : `FAILED:\n  ${problems.slice(0, 20).join('\n  ')}`}\n`,
  );
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

const USAGE = `npm run chaos:exactly-k -- [options]

  --schedules N    how many (default: 1000)
  --seed TEXT      of the schedules (default: 1)
  --mode MODE      fence (default) or witness

Exit code 1 when in any of them another number than K was approved.
`;

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    mode: { type: 'string', default: 'fence' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const schedules = Number(values.schedules);
if (!(Number.isInteger(schedules) && schedules > 0))
  throw new Error('--schedules must be a whole number above 0');
if (values.mode !== 'fence' && values.mode !== 'witness') throw new Error('--mode must be fence or witness');
const bed = await makeBed({
  mode: values.mode,
  policy: POLICY,
  limits: [],
  onCrash: (name, how) => problems.push(`${name} ended by itself: ${how}`),
});
const clean = () => bed.stop({ keep: false });
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void clean().finally(() => process.exit(130)));
await run(bed, values.seed, schedules).finally(clean);
process.exit(problems.length === 0 ? 0 : 1);
