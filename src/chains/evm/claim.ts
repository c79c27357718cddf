/** What the request claims about an EVM transaction, made exact, and the fee held against it. */
import type { AssetSettings } from '../../core/policy/verification.js';
import type { Asset } from '../../core/ports.js';
import type { Destination, Intent } from '../../core/request.js';
import { claimedUnits, readRequested } from '../claimed-amount.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import { readAddress } from './address.js';
import type { Envelope } from './transaction.js';

/** Gas of the cheapest transaction there is. */
const MIN_GAS_LIMIT = 21_000n;

export interface Claim {
  /** Canonical address of the one destination. */
  readonly to: string;
  /** Base units of the asset. */
  readonly amount: bigint;
  /** Whether the fee may come out of the amount: not where the request says that it already did. */
  readonly gross: boolean;
  /** Base units of the chain's own coin. */
  readonly fee: bigint | undefined;
}

export function readClaim(intent: Intent, asset: Asset, settings: AssetSettings): Claim | Refusal {
  const [destination] = intent.destinations;
  if (destination === undefined || intent.destinations.length !== 1)
    return refuse(
      'DEST_COUNT',
      `an EVM transaction has one destination, claimed are ${intent.destinations.length}`,
    );
  const amount = readAmount(intent, destination, asset.decimals);
  if (isRefusal(amount)) return amount;
  const requested = readRequested(intent, amount, { asset, settings });
  if (isRefusal(requested)) return requested;
  const to = readDestination(intent, destination, asset);
  if (isRefusal(to)) return to;
  const fee =
    intent.fee === undefined ? undefined : claimedUnits(intent.fee, asset.native.decimals, 'the fee');
  if (isRefusal(fee)) return fee;
  return { to, amount, fee, gross: settings.gross === 'exact' && requested === 'same' };
}

/** Request and destination name one amount. */
function readAmount(intent: Intent, destination: Destination, decimals: number): bigint | Refusal {
  const amount = claimedUnits(intent.amount, decimals, 'the amount');
  if (isRefusal(amount)) return amount;
  const own = claimedUnits(destination.amount, decimals, "the destination's amount");
  if (isRefusal(own)) return own;
  if (own !== amount)
    return refuse('PAYLOAD_INCONSISTENT', 'the amounts of the request differ from one another');
  return amount;
}

/**
 * The destination's own address is the authority, and every other one must agree with it; the top-level one may
 * instead be the token's contract (the vendor fills it so for one-time addresses).
 */
function readDestination(intent: Intent, destination: Destination, asset: Asset): string | Refusal {
  const to = readAddress(asset, destination.address, "the destination's address");
  if (isRefusal(to)) return to;
  for (const text of destination.otherAddresses.filter((other) => other !== '')) {
    const other = readAddress(asset, text, "the destination's other address");
    if (isRefusal(other)) return other;
    if (other !== to)
      return refuse('PAYLOAD_INCONSISTENT', "the destination's addresses differ from one another");
  }
  if (intent.destinationAddress === undefined || intent.destinationAddress === '') return to;
  const top = readAddress(asset, intent.destinationAddress, 'the destination address');
  if (isRefusal(top)) return top;
  if (top !== to && top !== asset.contract)
    return refuse('PAYLOAD_INCONSISTENT', "the destination address is not the destination's own address");
  return to;
}

/** Gas within bounds, and no more to pay than the request says. */
export function checkFee(envelope: Envelope, claim: Claim, settings: AssetSettings): Refusal | undefined {
  const { gasLimit, maxFee } = envelope;
  if (gasLimit < MIN_GAS_LIMIT)
    return refuse('GAS_LIMIT_LOW', `gas limit ${gasLimit} is below ${MIN_GAS_LIMIT}`);
  if (gasLimit > settings.maxGasLimit)
    return refuse('GAS_LIMIT_CEILING', `gas limit ${gasLimit} is above ${settings.maxGasLimit}`);
  if (maxFee > settings.maxFeeWei)
    return refuse('FEE_CEILING', `the fee can reach ${maxFee} wei, allowed are ${settings.maxFeeWei}`);
  if (claim.fee === undefined)
    return settings.requireFee ? refuse('FEE_MISSING', 'the request names no fee') : undefined;
  if (maxFee > claim.fee)
    return refuse('FEE_EXCEEDS_CLAIM', `the fee can reach ${maxFee} wei, claimed are ${claim.fee}`);
  if (settings.feeMode === 'exact' && maxFee !== claim.fee)
    return refuse('FEE_EXCEEDS_CLAIM', `the fee can reach ${maxFee} wei, claimed are exactly ${claim.fee}`);
  return undefined;
}
