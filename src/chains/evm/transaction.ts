/** Strict decoding of an unsigned EVM transaction, and what its envelope may be. */
import { keccak256, Transaction } from 'ethers';
import type { AssetSettings } from '../../core/policy/verification.js';
import type { BareEntry, RawEntry } from '../raw-entry.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';

const MESSAGE_PREFIX = 0x19;
const HIGHEST_TYPE = 4;
const LEGACY_PREFIX = 0xc0;
const LEGACY_TYPE = 0;
const BLOB_TYPE = 3;
const DELEGATION_TYPE = 4;

/** EIP-4844: gas of one blob. */
const GAS_PER_BLOB = 131_072n;

export interface Envelope {
  readonly type: number;
  /** Lower case; undefined: a contract is created. */
  readonly to: string | undefined;
  readonly value: bigint;
  /** Lower-case hex with `0x`. */
  readonly data: string;
  readonly nonce: number;
  readonly gasLimit: bigint;
  /** The most that can be paid for gas, in wei. */
  readonly maxFee: bigint;
}

/**
 * Bytes → transaction, in the one canonical encoding, unsigned, and for this chain.
 * The digest is compared with the hash of the bytes themselves, never of a re-serialised object.
 */
export function readTransaction(
  entry: RawEntry | BareEntry,
  chainId: bigint,
  settings: AssetSettings,
): Envelope | Refusal {
  if ('digest' in entry && keccak256(entry.bytes) !== `0x${entry.digest}`)
    return refuse('HASH_MISMATCH', 'the digest to sign is not the keccak-256 of the bytes');
  const first = entry.bytes[0] ?? 0;
  if (first === MESSAGE_PREFIX)
    return refuse('MESSAGE_BYTES', 'the bytes are a message (EIP-191 or EIP-712), not a transaction');
  if ((first < 1 || first > HIGHEST_TYPE) && first < LEGACY_PREFIX)
    return refuse('TX_TYPE_REFUSED', `0x${first.toString(16).padStart(2, '0')} starts no known transaction`);
  const transaction = decodeCanonical(entry.hex);
  if (isRefusal(transaction)) return transaction;
  return (
    checkType(transaction, settings) ?? checkChain(transaction, chainId, settings) ?? envelopeOf(transaction)
  );
}

/** ethers decodes leading zeros and long-form lengths without complaint: the encoding is compared again. */
function decodeCanonical(hex: string): Transaction | Refusal {
  try {
    const transaction = Transaction.from(`0x${hex}`);
    if (transaction.signature !== null)
      return refuse('ALREADY_SIGNED', 'the transaction carries a signature');
    if (transaction.unsignedSerialized !== `0x${hex}`)
      return refuse('NON_CANONICAL', 'the bytes are not the canonical encoding of this transaction');
    return transaction;
  } catch {
    return refuse('DECODE_ERROR', 'the bytes are no transaction');
  }
}

function checkType(transaction: Transaction, settings: AssetSettings): Refusal | undefined {
  const type = transaction.type ?? LEGACY_TYPE;
  if (type === DELEGATION_TYPE) return checkDelegations(transaction, settings);
  if (type === BLOB_TYPE)
    return settings.allowBlobs
      ? undefined
      : refuse('BLOB_REFUSED', 'blob transactions (EIP-4844) are not allowed');
  if (!settings.allowTypes.some((allowed) => allowed === type))
    return refuse('TX_TYPE_REFUSED', `transactions of type ${type} are not allowed`);
  return undefined;
}

/** An authorization with chain id 0 is valid on every chain; the list compares it as any other. */
function checkDelegations(transaction: Transaction, { allow7702 }: AssetSettings): Refusal | undefined {
  const authorizations = transaction.authorizationList ?? [];
  if (allow7702 === false || authorizations.length === 0)
    return refuse('AUTH_LIST_REFUSED', 'account delegation (EIP-7702) is not allowed');
  const stranger = authorizations.find(
    ({ address, chainId }) =>
      !allow7702.some((entry) => entry.chainId === chainId && entry.delegate === address.toLowerCase()),
  );
  if (stranger === undefined) return undefined;
  return refuse(
    'AUTH_LIST_REFUSED',
    `delegation to ${stranger.address.toLowerCase()} on chain ${stranger.chainId} is not listed`,
  );
}

function checkChain(transaction: Transaction, chainId: bigint, settings: AssetSettings): Refusal | undefined {
  const everywhere = transaction.type === LEGACY_TYPE && transaction.chainId === 0n;
  if (everywhere && !settings.allowPre155)
    return refuse(
      'NO_REPLAY_PROTECTION',
      'a transaction without chain id (before EIP-155) is valid on every chain',
    );
  if (!everywhere && transaction.chainId !== chainId)
    return refuse(
      'CHAIN_ID_MISMATCH',
      `the bytes are for chain ${transaction.chainId}, the asset is on ${chainId}`,
    );
  if (transaction.to === null && !settings.allowCreate)
    return refuse('CONTRACT_CREATION', 'the transaction creates a contract');
  if ((transaction.accessList ?? []).length > 0 && !settings.allowAccessList)
    return refuse('ACCESS_LIST_REFUSED', 'the transaction carries an access list');
  return undefined;
}

function envelopeOf(transaction: Transaction): Envelope {
  const { gasLimit } = transaction;
  const gasPrice = transaction.maxFeePerGas ?? transaction.gasPrice ?? 0n;
  const blobs = BigInt(transaction.blobVersionedHashes?.length ?? 0);
  return {
    type: transaction.type ?? LEGACY_TYPE,
    to: transaction.to?.toLowerCase(),
    value: transaction.value,
    data: transaction.data.toLowerCase(),
    nonce: transaction.nonce,
    gasLimit,
    maxFee: gasLimit * gasPrice + blobs * GAS_PER_BLOB * (transaction.maxFeePerBlobGas ?? 0n),
  };
}
