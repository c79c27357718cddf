/** The checks of each decoder in the order they are made, and the reason codes each can give. For people. */
import type { VerificationReason } from '../core/decision.js';
import type { Asset } from '../core/ports.js';

export interface Check {
  readonly name: string;
  readonly reasons: readonly VerificationReason[];
  /** What the check needs beside request and policy; without it the check is not made. */
  readonly evidence?: string;
}

const REGISTRY: readonly Check[] = [
  { name: 'the request is readable', reasons: ['PAYLOAD_MALFORMED'] },
  { name: 'the asset is in the registry', reasons: ['ASSET_UNKNOWN'] },
  { name: 'the operation can be verified', reasons: ['RAW_REFUSED', 'OPERATION_REFUSED'] },
  { name: 'the request carries bytes', reasons: ['RAWTX_MISSING'] },
  { name: 'the chain has a decoder', reasons: ['CHAIN_UNSUPPORTED'] },
];

const ENTRY: readonly Check[] = [
  {
    name: 'bytes and digest are strict hex within the size limit',
    reasons: ['RAWTX_MALFORMED', 'RAWTX_TOO_LARGE'],
  },
  {
    name: "the key path is of this coin and of the source's vault",
    reasons: ['PATH_MALFORMED', 'PATH_MISMATCH'],
  },
];

const EVM_ENVELOPE: readonly Check[] = [
  { name: 'there is exactly one entry', reasons: ['RAWTX_COUNT'] },
  ...ENTRY,
  { name: 'the digest is the hash of the bytes', reasons: ['HASH_MISMATCH'] },
  {
    name: 'the bytes are an unsigned transaction',
    reasons: ['MESSAGE_BYTES', 'DECODE_ERROR', 'ALREADY_SIGNED'],
  },
  { name: 'the encoding is the canonical one', reasons: ['NON_CANONICAL'] },
  {
    name: 'the transaction type is allowed',
    reasons: ['TX_TYPE_REFUSED', 'BLOB_REFUSED', 'AUTH_LIST_REFUSED'],
  },
  { name: "the chain is the asset's", reasons: ['NO_REPLAY_PROTECTION', 'CHAIN_ID_MISMATCH'] },
  {
    name: 'it creates no contract and has no access list',
    reasons: ['CONTRACT_CREATION', 'ACCESS_LIST_REFUSED'],
  },
];

const EVM_CLAIM: readonly Check[] = [
  { name: 'one destination is claimed', reasons: ['DEST_COUNT'] },
  { name: 'the amounts are exact', reasons: ['AMOUNT_FORMAT', 'AMOUNT_PRECISION'] },
  { name: 'the addresses are well formed', reasons: ['ADDRESS_FORMAT', 'ADDRESS_CHECKSUM'] },
  { name: 'the fields agree with one another', reasons: ['PAYLOAD_INCONSISTENT'] },
  { name: 'the gas limit is within bounds', reasons: ['GAS_LIMIT_LOW', 'GAS_LIMIT_CEILING'] },
  {
    name: 'the fee is within claim and ceiling',
    reasons: ['FEE_CEILING', 'FEE_MISSING', 'FEE_EXCEEDS_CLAIM'],
  },
  { name: 'the nonce is an expected one', reasons: ['NONCE_MISMATCH'], evidence: 'a source of nonces' },
];

const RECIPIENT: Check = { name: 'the recipient is the claimed one', reasons: ['DESTINATION_MISMATCH'] };

const EVM_NATIVE: readonly Check[] = [
  { name: 'a plain transfer carries no call data', reasons: ['DATA_NOT_EMPTY'] },
  RECIPIENT,
];

const EVM_TOKEN: readonly Check[] = [
  { name: "the call is to the token's contract", reasons: ['TOKEN_CONTRACT_MISMATCH'] },
  { name: 'it carries no value', reasons: ['TOKEN_VALUE_NONZERO'] },
  { name: 'it is the one expected function', reasons: ['SELECTOR_MISMATCH'] },
  { name: 'the call data is canonical', reasons: ['CALLDATA_NON_CANONICAL'] },
  RECIPIENT,
];

const VALUE: Check = { name: 'the amount is the claimed one', reasons: ['VALUE_MISMATCH'] };

const SPENDER: Check = { name: 'the spender is listed', reasons: ['SPENDER_NOT_ALLOWED'] };
const ALLOWANCE: Check = { name: 'the allowance is limited', reasons: ['UNLIMITED_APPROVAL'] };

const EVM_CALL: readonly Check[] = [
  { name: 'the called contract is the claimed one', reasons: ['DESTINATION_MISMATCH'] },
  { name: 'the value is the claimed one', reasons: ['VALUE_MISMATCH'] },
  {
    name: 'the call data is there and is the data shown',
    reasons: ['CALLDATA_MISSING', 'CALLDATA_MISMATCH'],
  },
  { name: 'all call data is canonical', reasons: ['CALLDATA_NON_CANONICAL'] },
  { name: 'nested calls are few and shallow', reasons: ['CALL_DEPTH', 'CALL_COUNT'] },
  { name: 'no foreign code runs in a Safe', reasons: ['DELEGATECALL_REFUSED', 'SAFE_OPERATION'] },
  { name: 'every router command is known', reasons: ['UR_COMMAND_REFUSED'] },
  { name: 'every contract is listed', reasons: ['CONTRACT_NOT_ALLOWED'] },
  {
    name: 'every spender is listed, every allowance limited',
    reasons: ['SPENDER_NOT_ALLOWED', 'UNLIMITED_APPROVAL'],
  },
  { name: 'every function is listed', reasons: ['SELECTOR_NOT_ALLOWED'] },
  { name: 'every value is within its ceiling', reasons: ['CALL_VALUE_CEILING'] },
  { name: 'every recipient is listed', reasons: ['RECIPIENT_NOT_ALLOWED'] },
];

const EVM_MESSAGE: readonly Check[] = [
  { name: 'the request shows the messages', reasons: ['TYPED_MESSAGE_MISSING'] },
  { name: 'there is one digest for each message', reasons: ['RAWTX_COUNT'] },
  ...ENTRY,
  { name: 'the kind of message is allowed', reasons: ['TYPED_TYPE_REFUSED', 'PERSONAL_SIGN_REFUSED'] },
  { name: 'the typed data is well formed', reasons: ['TYPED_MALFORMED', 'TYPED_DOMAIN_MISMATCH'] },
  { name: 'all that is shown is signed', reasons: ['TYPED_EXTRA_FIELDS'] },
  { name: 'the digest is the hash of the message', reasons: ['HASH_MISMATCH'] },
  { name: "the chain is the asset's", reasons: ['CHAIN_ID_MISMATCH'] },
  { name: 'contract and type are listed', reasons: ['TYPED_NOT_ALLOWED'] },
];

const BITCOIN: readonly Check[] = [
  { name: 'the entries are not too many', reasons: ['RAWTX_COUNT'] },
  ...ENTRY,
  { name: 'each digest is the hash of its bytes', reasons: ['HASH_MISMATCH'] },
  { name: 'each entry is one preimage, read in one way', reasons: ['DECODE_ERROR', 'AMBIGUOUS_PREIMAGE'] },
  { name: 'the whole transaction is signed', reasons: ['SIGHASH_REFUSED'] },
  {
    name: 'version, lock time and sequences are allowed',
    reasons: ['TX_VERSION', 'LOCKTIME_REFUSED', 'SEQUENCE_REFUSED'],
  },
  { name: 'no input appears twice', reasons: ['DUPLICATE_INPUT'] },
  { name: 'all entries are of one transaction', reasons: ['INPUTS_INCONSISTENT', 'INPUT_COUNT_MISMATCH'] },
  { name: 'no input is hidden', reasons: ['PREVOUTS_MISMATCH', 'SEQUENCES_MISMATCH'] },
  {
    name: "every input is spent by this workspace's own key",
    reasons: ['SCRIPT_UNSUPPORTED', 'INPUT_NOT_OWNED'],
  },
  { name: 'inputs are worth what they say', reasons: ['INPUT_AMOUNT_MISMATCH', 'INPUT_SCRIPT_MISMATCH'] },
  {
    name: 'the claim is exact',
    reasons: [
      'DEST_COUNT',
      'ADDRESS_FORMAT',
      'AMOUNT_FORMAT',
      'AMOUNT_PRECISION',
      'AMOUNT_RANGE',
      'FEE_MISSING',
    ],
  },
  { name: 'the fields agree with one another', reasons: ['PAYLOAD_INCONSISTENT'] },
  {
    name: 'the outputs are the claimed ones',
    reasons: ['OUTPUTS_MISMATCH', 'DESTINATION_MISMATCH', 'VALUE_MISMATCH'],
  },
  { name: 'all else is own change', reasons: ['UNKNOWN_OUTPUT', 'OP_RETURN_REFUSED', 'CHANGE_COUNT'] },
  {
    name: 'the fee is known and the claimed one',
    reasons: ['FEE_UNVERIFIABLE', 'FEE_NEGATIVE', 'FEE_MISMATCH', 'FEE_EXCEEDS_CLAIM'],
  },
  { name: 'the fee is below the ceilings', reasons: ['FEE_CEILING', 'FEE_RATE'] },
  { name: 'no output is dust', reasons: ['DUST_OUTPUT'] },
  { name: 'no input had another amount before', reasons: ['INPUT_AMOUNT_CHANGED'], evidence: 'the ledger' },
];

/** Of a family without decoder: only the steps before any. */
export function checksOf(asset: Asset | undefined, operation: string): readonly Check[] {
  if (asset?.family === 'bitcoin') return [...REGISTRY, ...BITCOIN];
  if (asset?.family !== 'evm') return REGISTRY;
  switch (operation) {
    case 'TYPED_MESSAGE':
      return [...REGISTRY, ...EVM_MESSAGE];
    case 'CONTRACT_CALL':
      return [...REGISTRY, ...EVM_ENVELOPE, ...EVM_CLAIM, ...EVM_CALL];
    case 'APPROVE':
      return [...REGISTRY, ...EVM_ENVELOPE, ...EVM_CLAIM, ...EVM_TOKEN, SPENDER, VALUE, ALLOWANCE];
    default: {
      const transfer = asset.contract === undefined ? EVM_NATIVE : EVM_TOKEN;
      return [...REGISTRY, ...EVM_ENVELOPE, ...EVM_CLAIM, ...transfer, VALUE];
    }
  }
}
