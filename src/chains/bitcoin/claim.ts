/** What the request claims about a Bitcoin transaction, made exact. */
import type { AssetSettings } from '../../core/policy/verification.js';
import type { Asset } from '../../core/ports.js';
import type { Destination, Intent } from '../../core/request.js';
import { claimedUnits, readRequested } from '../claimed-amount.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import type { Output } from './preimage.js';
import { scriptOf } from './script.js';

const MAX_DESTINATIONS = 200;

/** 21 million coins, in satoshi. */
export const MAX_MONEY = 2_100_000_000_000_000n;

export interface Claim {
  readonly payments: readonly Output[];
  /** Satoshi. */
  readonly fee: bigint;
  /** Whether the fee may come out of the one payment: not where the request says that it already did. */
  readonly gross: boolean;
}

export function readClaim(intent: Intent, asset: Asset, settings: AssetSettings): Claim | Refusal {
  const { destinations } = intent;
  if (destinations.length === 0 || destinations.length > MAX_DESTINATIONS)
    return refuse(
      'DEST_COUNT',
      `1 to ${MAX_DESTINATIONS} destinations can be paid, not ${destinations.length}`,
    );
  const payments: Output[] = [];
  for (const destination of destinations) {
    const payment = readPayment(destination, asset);
    if (isRefusal(payment)) return payment;
    payments.push(payment);
  }
  const requested = checkTotals(intent, { asset, settings }, payments);
  if (isRefusal(requested)) return requested;
  if (intent.fee === undefined)
    return refuse('FEE_MISSING', 'the request names no fee, and the outputs follow from it');
  const fee = claimedUnits(intent.fee, asset.native.decimals, 'the fee');
  if (isRefusal(fee)) return fee;
  if (fee > settings.maxFeeSat)
    return refuse('FEE_CEILING', `the fee is ${fee} satoshi, allowed are ${settings.maxFeeSat}`);
  const gross = settings.gross === 'exact' && payments.length === 1 && requested === 'same';
  return { payments, fee, gross };
}

function readPayment({ address, otherAddresses, amount }: Destination, asset: Asset): Output | Refusal {
  const script = address === undefined ? undefined : scriptOf(asset, address);
  if (script === undefined)
    return refuse(
      'ADDRESS_FORMAT',
      `a destination has no address of one of the standard forms of ${asset.id}`,
    );
  const differs = otherAddresses.some((other) => other !== '' && scriptOf(asset, other) !== script);
  if (differs) return refuse('PAYLOAD_INCONSISTENT', "a destination's addresses differ from one another");
  const value = claimedUnits(amount, asset.decimals, "a destination's amount");
  if (isRefusal(value)) return value;
  if (value === 0n || value > MAX_MONEY)
    return refuse('AMOUNT_RANGE', `an amount of ${value} satoshi is claimed`);
  return { value, script };
}

function checkTotals(
  intent: Intent,
  { asset, settings }: { readonly asset: Asset; readonly settings: AssetSettings },
  payments: readonly Output[],
): 'same' | 'with-fee' | Refusal {
  const amount = claimedUnits(intent.amount, asset.decimals, 'the amount');
  if (isRefusal(amount)) return amount;
  if (amount !== payments.reduce((sum, { value }) => sum + value, 0n))
    return refuse('PAYLOAD_INCONSISTENT', 'the amount is not the sum of what the destinations get');
  const [only] = payments;
  const top = intent.destinationAddress;
  if (payments.length === 1 && top !== undefined && top !== '' && scriptOf(asset, top) !== only?.script)
    return refuse('PAYLOAD_INCONSISTENT', "the destination address is not the destination's own address");
  return readRequested(intent, amount, { asset, settings });
}
