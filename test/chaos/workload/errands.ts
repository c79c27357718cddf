/**
 * What the two co-signers have to get approved, from a seed: both compute the same stream and deliver their own share of
 * it, so nothing has to be agreed between them while everything around them fails.
 */
import { ETH, etherTransfer, retold } from '../../../src/simulator/invention.js';
import { Random } from '../../../src/simulator/random.js';
import {
  approvalPayload,
  type EtherTransfer,
  signingPayload,
  unsignedBytes,
} from '../../../src/simulator/transaction.js';
import { GENERATION_MS, type Lane, vaultOf } from './limits.js';

export type CosignerName = 'cosigner-a' | 'cosigner-b';
export type Stage = 'approval' | 'signing';

/** Both co-signers serve the same signers: which machine delivers must make no difference. */
export const SIGNERS = { approval: ['approver-1', 'approver-2'], signing: ['signer-1', 'signer-2'] } as const;

/** One content under one id; `second` contradicts `first`. */
export type Variant = 'first' | 'second';

/** What is asked, in the words that the checker counts by. */
export interface AskFacts {
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
  /** JSON text, as a co-signer signs it. */
  readonly payload: string;
}

export interface Delivery {
  readonly cosigner: CosignerName;
  /** After the errand's own time. */
  readonly afterMs: number;
  /** One after the other; the next only when the one before was approved. */
  readonly asks: readonly Ask[];
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
  const lane = random.pick<Lane>(['rolling', 'lifetime', 'calendar']);
  const destination = String(lane === 'calendar' ? 2_000 + generation : 100 + random.below(20));
  const transfer: EtherTransfer = {
    ...etherTransfer(random),
    asset: ETH,
    // 0.01 to 0.05 ether, in whole gwei: the control counts in doubles, and is to fail for better reasons than that.
    amount: (10_000_000n + random.bigBelow(40_000_000n)) * GWEI,
    source: vaultOf(lane, generation, random.below(1_000)),
    destination: {
      type: 'VAULT',
      subType: '',
      id: destination,
      name: `Account ${destination}`,
      address: '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8',
    },
  };
  const telling = { lane, stages: stagesOf(random), approver: random.below(2), signer: random.below(2) };
  return { atMs, deliveries: deliveriesOf(transfer, telling, random) };
}

interface Telling {
  readonly lane: Lane;
  readonly stages: readonly Stage[];
  readonly approver: number;
  readonly signer: number;
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
  const first = { cosigner: here, afterMs: 0, asks };
  const again = () => asksOf(retold(transfer, random), 'first', telling);
  const kind = random.below(100);
  if (kind < 40) return [first];
  // The same from both at once.
  if (kind < 70) return [first, { cosigner: there, afterMs: random.below(15), asks: again() }];
  // The same again, when other requests and faults have come between.
  if (kind < 88) return [first, { cosigner: there, afterMs: random.between(1_000, 15_000), asks: again() }];
  // Other content under the same id, at once or later, and then the first content again.
  const other = { ...transfer, amount: transfer.amount + BigInt(random.between(1, 1_000)) * GWEI };
  const afterMs = random.chance(50) ? random.below(15) : random.between(500, 4_000);
  return [
    first,
    { cosigner: there, afterMs, asks: asksOf(other, 'second', telling) },
    { cosigner: there, afterMs: afterMs + random.between(500, 3_000), asks: again() },
  ];
}

function asksOf(transfer: EtherTransfer, variant: Variant, telling: Telling): readonly Ask[] {
  return telling.stages.map((stage): Ask => {
    const signer = SIGNERS[stage][telling[stage === 'approval' ? 'approver' : 'signer']] ?? SIGNERS[stage][0];
    const { requestId } = transfer;
    return {
      // Every approver is asked separately; one signature is asked for once, whoever asks.
      key: stage === 'approval' ? `${requestId}/approval/${signer}` : `${requestId}/signing`,
      variant,
      requestId,
      stage,
      signer,
      lane: telling.lane,
      source: transfer.source,
      destination: transfer.destination.id,
      wei: transfer.amount,
      payload:
        stage === 'approval'
          ? approvalPayload(transfer, signer)
          : signingPayload(transfer, signer, unsignedBytes(transfer)),
    };
  });
}
