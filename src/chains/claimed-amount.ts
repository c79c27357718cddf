/** Amounts that a request names, in base units. */
import { toBaseUnits } from '../core/amount.js';
import type { AssetSettings } from '../core/policy/verification.js';
import type { Asset } from '../core/ports.js';
import type { Intent } from '../core/request.js';
import { isRefusal, type Refusal, refuse } from './refusal.js';

/** `name` is the field's name for people. */
export function claimedUnits(text: string | undefined, decimals: number, name: string): bigint | Refusal {
  if (text === undefined) return refuse('AMOUNT_FORMAT', `${name} is missing`);
  const result = toBaseUnits(text, decimals);
  if (result.ok) return result.units;
  if (result.problem === 'precision')
    return refuse('AMOUNT_PRECISION', `${name} has more than ${decimals} decimals`);
  return refuse('AMOUNT_FORMAT', `${name} is not plain decimal text`);
}

/**
 * How the requested amount stands to the amount that is claimed to be paid: `same`; or `with-fee`, when a transfer of
 * the chain's own coin was requested gross and the claim is already what remains after the fee, exactly.
 * Source: Fireblocks, "Approve transactions" (requestedAmountStr: of gross transfers the fee is taken out of it).
 */
export function readRequested(
  intent: Intent,
  amount: bigint,
  { asset, settings }: { readonly asset: Asset; readonly settings: AssetSettings },
): 'same' | 'with-fee' | Refusal {
  if (intent.requestedAmount === undefined) return 'same';
  const requested = claimedUnits(intent.requestedAmount, asset.decimals, 'the requested amount');
  if (isRefusal(requested)) return requested;
  if (requested === amount) return 'same';
  const gross =
    settings.gross === 'exact' &&
    asset.id === asset.native.asset &&
    intent.operation === 'TRANSFER' &&
    intent.destinations.length === 1;
  const fee = gross ? claimedUnits(intent.fee, asset.decimals, 'the fee') : undefined;
  if (typeof fee === 'bigint' && requested === amount + fee) return 'with-fee';
  return refuse('PAYLOAD_INCONSISTENT', 'the requested amount is another than the one to be paid');
}
