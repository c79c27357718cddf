/**
 * What the machines have to get approved, from a seed: all compute the same stream and deliver their own share of
 * it, so nothing has to be agreed between them while everything around them fails.
 */
import { shortAmount } from '../../../src/simulator/amount-text.js';
import { address, ETH, etherTransfer, retold } from '../../../src/simulator/invention.js';
import { Random } from '../../../src/simulator/random.js';
import {
  approvalPayload,
  type EtherTransfer,
  type Place,
  signingPayload,
  unsignedBytes,
} from '../../../src/simulator/transaction.js';
import { operationId, transferOperation } from '../../../src/simulator/virtual-signer.js';
import { type Ending, endingOf } from './endings.js';
import { GENERATION_MS, LANES, type Lane, VOTING_VAULT, vaultOf } from './limits.js';

export type CosignerName = 'cosigner-a' | 'cosigner-b';
/** What asks: two co-signers of one vendor, and one machine that plays all signers of the other. */
export type MachineName = CosignerName | 'virtual-signers';
export type Stage = 'approval' | 'signing';

/** Both co-signers serve the same signers: which machine delivers must make no difference. */
export const SIGNERS = { approval: ['approver-1', 'approver-2'], signing: ['signer-1', 'signer-2'] } as const;

/** The Virtual Signers of one vault, each a co-signer with a path and a key of its own. */
export const VIRTUAL_SIGNERS = ['virtual-signer-1', 'virtual-signer-2', 'virtual-signer-3'] as const;
export const ORGANISATION = 'chaosorg0000000000000001';
/** Their vendor's id of ether. */
export const VOTED_ETHER = 'chaosether00000000000001';

/** One content under one id; `second` contradicts `first`. */
export type Variant = 'first' | 'second';

/** What is asked, in the words that the checker counts by. */
export interface AskFacts {
  readonly protocol: 'fireblocks' | 'iofinnet';
  /** Requests with one key are one ask and must have one decision. */
  readonly key: string;
  readonly variant: Variant;
  readonly requestId: string;
  readonly stage: Stage;
  readonly signer: string;
  readonly lane: Lane;
  readonly source: string;
  readonly destination: string;
  readonly wei: bigint;
}

export interface Ask extends AskFacts {
  /** JSON text, as a co-signer signs it, or as a Virtual Signer presents it. */
  readonly payload: string;
}

export interface Delivery {
  readonly machine: MachineName;
  /** After the errand's own time. */
  readonly afterMs: number;
  /** One after the other; the next only when the one before was approved. */
  readonly asks: readonly Ask[];
  /** What its vendor tells when the last one was approved; absent: nothing. */
  readonly ending?: Ending;
}

/** One transaction and everything that is done about it. */
export interface Errand {
  readonly atMs: number;
  readonly deliveries: readonly Delivery[];
}

const GWEI = 10n ** 9n;

/** Transaction number `index` of a run. @param rate transactions a second */
export function errand(seed: string, index: number, rate: number): Errand {
  const random = new Random(seed, `errand ${index}`);
  const atMs = ((index + random.below(1_000) / 1_000) * 1_000) / rate;
  const generation = Math.floor(atMs / GENERATION_MS);
  const lane = random.pick<Lane>(LANES);
  if (lane === 'shared' && random.chance(50)) return { atMs, deliveries: votesOn(generation, random) };
  const transfer: EtherTransfer = {
    ...etherTransfer(random),
    asset: ETH,
    amount: amountOf(random),
    source: vaultOf(lane, generation, random.below(1_000)),
    destination: placeOf(lane, atMs, random),
  };
  // No approver is shown the address by which a one-time destination is told apart.
  const stages = lane === 'shared' ? (['signing'] as const) : stagesOf(random);
  const telling = { lane, stages, approver: random.below(2), signer: random.below(2) };
  return { atMs, deliveries: deliveriesOf(transfer, telling, random) };
}

/** Every so often there is another destination to pay for the first time, and then again for a while. */
const NEWCOMER_MS = 2_000;
const NEWCOMERS = 8;

function placeOf(lane: Lane, atMs: number, random: Random): Place {
  const generation = Math.floor(atMs / GENERATION_MS);
  if (lane === 'shared')
    return { type: 'ONE_TIME_ADDRESS', subType: '', id: '', address: sharedAddress(generation) };
  const newcomer = Math.floor(atMs / NEWCOMER_MS) + random.below(NEWCOMERS);
  const number = { calendar: 2_000 + generation, newcomers: 100_000 + newcomer };
  const id = String(lane === 'calendar' || lane === 'newcomers' ? number[lane] : 100 + random.below(20));
  const address = '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8';
  return { type: 'VAULT', subType: '', id, name: `Account ${id}`, address };
}

/** Where both vendors' transactions of a generation go: their limits tell destinations apart by address alone. */
function sharedAddress(generation: number): string {
  return address(new Random('shared', `${generation}`));
}

interface Telling {
  readonly lane: Lane;
  readonly stages: readonly Stage[];
  readonly approver: number;
  readonly signer: number;
}

/** 0.01 to 0.05 ether, in whole gwei: the control counts in doubles, and is to fail for better reasons than that. */
function amountOf(random: Random): bigint {
  return (10_000_000n + random.bigBelow(40_000_000n)) * GWEI;
}

function stagesOf(random: Random): readonly Stage[] {
  const kind = random.below(100);
  if (kind < 60) return ['signing'];
  return kind < 80 ? ['approval'] : ['approval', 'signing'];
}

function deliveriesOf(transfer: EtherTransfer, telling: Telling, random: Random): readonly Delivery[] {
  const [here, there] = random.shuffled<CosignerName>(['cosigner-a', 'cosigner-b']);
  if (here === undefined || there === undefined) return [];
  const asks = asksOf(transfer, 'first', telling);
  const again = () => asksOf(retold(transfer, random), 'first', telling);
  const kind = random.below(100);
  const isAskedOnce = kind < 40;
  // Of what only approvers were asked about nothing is signed; and of half of the rest nothing is told.
  const isTold = telling.stages.includes('signing') && random.chance(50);
  const ends = isTold && { ending: endingOf(isAskedOnce, random) };
  const first = { machine: here, afterMs: 0, asks, ...ends };
  if (isAskedOnce) return [first];
  // The same from both at once.
  if (kind < 70) return [first, { machine: there, afterMs: random.below(15), asks: again() }];
  // The same again, when other requests and faults have come between.
  if (kind < 88) return [first, { machine: there, afterMs: random.between(1_000, 15_000), asks: again() }];
  // Other content under the same id, at once or later, and then the first content again.
  const other = { ...transfer, amount: transfer.amount + BigInt(random.between(1, 1_000)) * GWEI };
  const afterMs = random.chance(50) ? random.below(15) : random.between(500, 4_000);
  return [
    first,
    { machine: there, afterMs, asks: asksOf(other, 'second', telling) },
    { machine: there, afterMs: afterMs + random.between(500, 3_000), asks: again() },
  ];
}

/** A day: no run outlasts it. */
const OPEN_MS = 86_400_000;

/**
 * One operation, of which every signer of the vault is told: mostly at once, some when they are back, some twice; and now
 * and then one of them is told something else under the same id.
 */
function votesOn(generation: number, random: Random): readonly Delivery[] {
  const id = operationId(random);
  const wei = amountOf(random);
  const vote = (signer: string, afterMs: number, variant: Variant = 'first'): Delivery => {
    const units = variant === 'first' ? wei : wei + GWEI;
    const ask = voteAsk({ id, wei: units, destination: sharedAddress(generation) }, signer, variant);
    return { machine: 'virtual-signers', afterMs, asks: [ask] };
  };
  const all = VIRTUAL_SIGNERS.map((signer) => {
    const isLate = random.chance(15);
    return vote(signer, isLate ? random.between(1_000, 15_000) : random.below(15));
  });
  const again = random.pick(VIRTUAL_SIGNERS);
  const kind = random.below(100);
  if (kind < 30) return [...all, vote(again, random.below(4_000))];
  if (kind < 85) return all;
  const afterMs = random.chance(50) ? random.below(15) : random.between(500, 4_000);
  return [...all, vote(again, afterMs, 'second'), vote(again, afterMs + random.between(500, 3_000))];
}

function voteAsk(
  { id, wei, destination }: { readonly id: string; readonly wei: bigint; readonly destination: string },
  signer: string,
  variant: Variant,
): Ask {
  const expiresAtMs = Date.now() + OPEN_MS;
  const transfer = { id, amount: shortAmount(wei, ETH.decimals), usd: '100.00', address: destination };
  const body = transferOperation({ ...transfer, expiresAtMs }).body({
    organisation: ORGANISATION,
    ether: VOTED_ETHER,
  });
  const requestId = `${ORGANISATION}.${id}`;
  return {
    // One operation has one vote, whoever asks.
    key: `${requestId}/vote`,
    protocol: 'iofinnet',
    variant,
    requestId,
    stage: 'approval',
    signer,
    lane: 'shared',
    source: VOTING_VAULT,
    destination,
    wei,
    payload: JSON.stringify({ ...body, vault: { id: VOTING_VAULT, name: 'Shared' } }),
  };
}

/** Whether this machine could ask it. */
export function isServedBy({ protocol }: AskFacts, machine: MachineName): boolean {
  return (protocol === 'iofinnet') === (machine === 'virtual-signers');
}

function asksOf(transfer: EtherTransfer, variant: Variant, telling: Telling): readonly Ask[] {
  return telling.stages.map((stage): Ask => {
    const signer = SIGNERS[stage][telling[stage === 'approval' ? 'approver' : 'signer']] ?? SIGNERS[stage][0];
    const { requestId } = transfer;
    return {
      // Every approver is asked separately; one signature is asked for once, whoever asks.
      key: stage === 'approval' ? `${requestId}/approval/${signer}` : `${requestId}/signing`,
      protocol: 'fireblocks',
      variant,
      requestId,
      stage,
      signer,
      lane: telling.lane,
      source: transfer.source,
      destination: transfer.destination.id || transfer.destination.address,
      wei: transfer.amount,
      payload:
        stage === 'approval'
          ? approvalPayload(transfer, signer)
          : signingPayload(transfer, signer, unsignedBytes(transfer)),
    };
  });
}
