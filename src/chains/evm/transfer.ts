/** Transfers and token allowances: the two operations whose bytes are known completely from the claim. */
import type { AssetSettings } from '../../core/policy/verification.js';
import type { Asset, ContractCall, Movement } from '../../core/ports.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import type { Claim } from './claim.js';
import type { Envelope } from './transaction.js';

const TRANSFER = { selector: '0xa9059cbb', signature: 'transfer(address,uint256)' };
const APPROVE = { selector: '0x095ea7b3', signature: 'approve(address,uint256)' };

/** `0x`, selector and two words. */
const TWO_WORD_CALL_LENGTH = 2 + 2 * 68;
const SELECTOR_LENGTH = 2 + 2 * 4;
const WORD_LENGTH = 2 * 32;
const ADDRESS_PADDING = '0'.repeat(24);

/** From half of the largest number on, an allowance is meant to be without limit. */
const UNLIMITED = (2n ** 256n - 1n) / 2n;

export interface Meaning {
  readonly movements: readonly Movement[];
  readonly calls: readonly ContractCall[];
}

export function nativeTransfer(envelope: Envelope, claim: Claim, asset: Asset): Meaning | Refusal {
  if (envelope.data !== '0x') return refuse('DATA_NOT_EMPTY', 'a plain transfer carries call data');
  if (envelope.to !== claim.to)
    return refuse('DESTINATION_MISMATCH', `the bytes pay ${envelope.to}, claimed is ${claim.to}`);
  if (envelope.value !== claim.amount && !isGross(envelope, claim))
    return refuse('VALUE_MISMATCH', `the bytes pay ${envelope.value} wei, claimed are ${claim.amount}`);
  return { movements: [{ asset: asset.id, to: claim.to, amount: envelope.value }], calls: [] };
}

/** The fee is taken out of the amount: exactly the fee that the bytes can cost, and exactly the claimed one. */
function isGross({ value, maxFee }: Envelope, { amount, fee, gross }: Claim): boolean {
  return gross && fee !== undefined && fee === maxFee && value > 0n && value === amount - fee;
}

export function tokenTransfer(envelope: Envelope, claim: Claim, asset: Asset): Meaning | Refusal {
  const call = readTokenCall(envelope, asset, TRANSFER);
  if (isRefusal(call)) return call;
  if (call.party !== claim.to)
    return refuse('DESTINATION_MISMATCH', `the call data pays ${call.party}, claimed is ${claim.to}`);
  if (call.amount !== claim.amount)
    return refuse(
      'VALUE_MISMATCH',
      `the call data pays ${call.amount} base units, claimed are ${claim.amount}`,
    );
  return meaningOf(call, asset, TRANSFER);
}

/** An allowance counts as a movement to the spender: whoever holds it may take as much at any time. */
export function tokenApproval(
  envelope: Envelope,
  claim: Claim,
  { asset, settings }: { readonly asset: Asset; readonly settings: AssetSettings },
): Meaning | Refusal {
  const call = readTokenCall(envelope, asset, APPROVE);
  if (isRefusal(call)) return call;
  if (call.party !== claim.to)
    return refuse('DESTINATION_MISMATCH', `the allowance is for ${call.party}, claimed is ${claim.to}`);
  if (!settings.approveSpenders.includes(call.party))
    return refuse('SPENDER_NOT_ALLOWED', `${call.party} is not among the listed spenders`);
  if (call.amount !== claim.amount)
    return refuse(
      'VALUE_MISMATCH',
      `the allowance is ${call.amount} base units, claimed are ${claim.amount}`,
    );
  if (call.amount >= UNLIMITED && !settings.allowUnlimitedApprove)
    return refuse('UNLIMITED_APPROVAL', 'the allowance is without limit');
  return meaningOf(call, asset, APPROVE);
}

interface TokenCall {
  readonly contract: string;
  readonly party: string;
  readonly amount: bigint;
}

function readTokenCall(envelope: Envelope, asset: Asset, known: typeof TRANSFER): TokenCall | Refusal {
  const { to, value, data } = envelope;
  if (to === undefined || to !== asset.contract)
    return refuse('TOKEN_CONTRACT_MISMATCH', `the bytes call ${to}, ${asset.id} is ${asset.contract}`);
  if (value !== 0n) return refuse('TOKEN_VALUE_NONZERO', `a token call carries ${value} wei`);
  if (data.slice(0, SELECTOR_LENGTH) !== known.selector)
    return refuse('SELECTOR_MISMATCH', `the call data does not call ${known.signature}`);
  const first = data.slice(SELECTOR_LENGTH, SELECTOR_LENGTH + WORD_LENGTH);
  if (data.length !== TWO_WORD_CALL_LENGTH || !first.startsWith(ADDRESS_PADDING))
    return refuse('CALLDATA_NON_CANONICAL', `the call data is not one canonical ${known.signature}`);
  return {
    contract: to,
    party: `0x${first.slice(ADDRESS_PADDING.length)}`,
    amount: BigInt(`0x${data.slice(SELECTOR_LENGTH + WORD_LENGTH)}`),
  };
}

function meaningOf({ contract, party, amount }: TokenCall, asset: Asset, known: typeof TRANSFER): Meaning {
  return {
    movements: [{ asset: asset.id, to: party, amount }],
    calls: [
      {
        address: contract,
        selector: known.selector,
        signature: known.signature,
        args: [party, amount.toString()],
        value: 0n,
        understood: true,
      },
    ],
  };
}
