/**
 * Verdicts (opinions) and decisions (records), and every reason a request can get for either.
 * A verdict is pure and counts nothing; a decision is what the ledger recorded, once, for ever.
 */

import type { CoolingOff, Moment, NewOnly } from './moments.js';

/** Reasons of the policy and the ledger. */
const DECISION_REASONS = {
  APPROVED: 'approved by a rule',
  NO_RULE_MATCHED: 'no rule of the policy covers it',
  RULE_REJECTS: 'a rule refuses it',
  RULE_IGNORES: 'a rule leaves it to other approvers',
  LIMIT_EXCEEDED: 'a limit has no room for it',
  AMOUNT_UNKNOWN: 'a limit must be charged and the amount is not known',
  CHARGES_TOO_MANY: 'it would be charged to more counters than one decision can hold',
  DESTINATIONS_TOO_MANY: 'it pays more destinations than any rule looks at',
  FROZEN: 'a freeze covers it',
  CONFLICT_CONTENT: 'the same request id came with other content before',
  CONFLICT_TRANSACTION: 'the same transaction came with other content before',
  CONFLICT_BINDING: 'the same request id named another transaction before',
  CONFLICT_AMOUNT: 'the transaction was approved for less before',
  EXPIRY_UNKNOWN: 'it does not say until when it may be approved',
  VAULT_UNKNOWN: 'the threshold of the vault, or the weight of its devices, is not known',
  DEVICE_SUFFICES: 'one device alone would reach the threshold of the vault',
  THRESHOLD_UNREACHABLE: 'all devices together would not reach the threshold of the vault',
  COOLING_OFF: 'a destination was whitelisted here too recently',
  REJECTED_BEFORE: 'the same transaction was rejected at another stage or by another signer',
  RELEASED_BEFORE: 'the charges of the same transaction were released: it must not be signed any more',
} as const;

/** Reasons of byte verification (what each means and when it is given: docs/verification.md). */
const VERIFICATION_REASONS = {
  PAYLOAD_MALFORMED: 'the request is not of the expected shape',
  PAYLOAD_INCONSISTENT: 'fields of the request contradict one another',
  RAWTX_MISSING: 'the request carries no raw transaction',
  RAWTX_COUNT: 'the number of raw transactions is not the expected one',
  RAWTX_MALFORMED: 'a raw transaction or its digest is not hex of the right length',
  RAWTX_TOO_LARGE: 'a raw transaction exceeds the size limit',
  ASSET_UNKNOWN: 'the asset is not in the registry',
  CHAIN_UNSUPPORTED: 'transactions of this chain cannot be verified',
  OPERATION_REFUSED: 'this operation cannot be verified',
  RAW_REFUSED: 'raw signing is refused',
  DEST_COUNT: 'the number of destinations is not the expected one',
  ADDRESS_FORMAT: 'an address is not of this chain',
  ADDRESS_CHECKSUM: 'the checksum of an address is wrong',
  AMOUNT_FORMAT: 'an amount is not decimal text',
  AMOUNT_PRECISION: 'an amount has more decimals than the asset',
  AMOUNT_RANGE: 'an amount is zero or above the supply',
  PATH_MALFORMED: 'a key derivation path is unreadable',
  PATH_MISMATCH: 'a key derivation path is of another purpose, coin or vault',
  HASH_MISMATCH: 'the digest to sign is not the hash of the bytes',
  DECODE_ERROR: 'the bytes cannot be decoded',
  NON_CANONICAL: 'the bytes are not the canonical encoding',
  ALREADY_SIGNED: 'the bytes already carry a signature',
  TX_TYPE_REFUSED: 'this transaction type is refused',
  MESSAGE_BYTES: 'the bytes are a message, not a transaction',
  AUTH_LIST_REFUSED: 'account delegation (EIP-7702) is refused',
  BLOB_REFUSED: 'blob transactions (EIP-4844) are refused',
  NO_REPLAY_PROTECTION: 'the transaction is valid on every chain',
  CHAIN_ID_MISMATCH: 'the bytes are for another chain',
  CONTRACT_CREATION: 'contract creation is refused',
  ACCESS_LIST_REFUSED: 'access lists are refused',
  DATA_NOT_EMPTY: 'a plain transfer carries call data',
  DESTINATION_MISMATCH: 'the bytes pay another address',
  VALUE_MISMATCH: 'the bytes pay another amount',
  GAS_LIMIT_LOW: 'the gas limit is below 21000',
  GAS_LIMIT_CEILING: 'the gas limit is above the ceiling',
  NONCE_MISMATCH: 'the nonce is not the expected one',
  FEE_MISSING: 'the request names no fee',
  FEE_EXCEEDS_CLAIM: 'the bytes can cost more than the request says',
  FEE_CEILING: 'the fee is above the ceiling',
  TOKEN_CONTRACT_MISMATCH: 'the bytes call another contract than the token',
  TOKEN_VALUE_NONZERO: 'a token transfer carries native value',
  SELECTOR_MISMATCH: 'the bytes call another function',
  CALLDATA_MISSING: 'a contract call carries no call data',
  CALLDATA_MISMATCH: 'the call data is not the data shown',
  CALLDATA_NON_CANONICAL: 'the call data is not canonically encoded',
  UNLIMITED_APPROVAL: 'the token allowance is unlimited',
  SPENDER_NOT_ALLOWED: 'the spender is not listed',
  CONTRACT_NOT_ALLOWED: 'a called contract is not listed',
  SELECTOR_NOT_ALLOWED: 'a called function is not listed',
  RECIPIENT_NOT_ALLOWED: 'a recipient inside a call is not listed',
  CALL_VALUE_CEILING: 'a call carries more value than listed',
  DELEGATECALL_REFUSED: 'delegate calls are refused',
  SAFE_OPERATION: 'the Safe operation is unknown',
  CALL_DEPTH: 'calls are nested too deep',
  CALL_COUNT: 'there are no calls, or too many',
  UR_COMMAND_REFUSED: 'a router command is not understood',
  TYPED_MESSAGE_MISSING: 'there is no message',
  TYPED_TYPE_REFUSED: 'this kind of message is refused',
  TYPED_MALFORMED: 'the message is malformed',
  TYPED_DOMAIN_MISMATCH: 'the message domain has other members than declared',
  TYPED_EXTRA_FIELDS: 'the message shows members that are not signed',
  TYPED_NOT_ALLOWED: 'the message is not listed',
  PERSONAL_SIGN_REFUSED: 'personal messages are refused',
  AMBIGUOUS_PREIMAGE: 'the bytes can be read in two ways',
  SIGHASH_REFUSED: 'the signature would not cover the whole transaction',
  TX_VERSION: 'the transaction version is refused',
  LOCKTIME_REFUSED: 'the lock time is refused',
  SEQUENCE_REFUSED: 'an input sequence is refused',
  INPUTS_INCONSISTENT: 'the entries describe different transactions',
  INPUT_COUNT_MISMATCH: 'the number of entries is not the number of inputs',
  DUPLICATE_INPUT: 'an input appears twice',
  PREVOUTS_MISMATCH: 'the transaction spends inputs that are not shown',
  SEQUENCES_MISMATCH: 'the sequences are not those signed',
  SCRIPT_UNSUPPORTED: 'an input script is not supported',
  INPUT_NOT_OWNED: 'an input is not of this workspace',
  INPUT_AMOUNT_MISMATCH: 'an input has another value than its previous output',
  INPUT_SCRIPT_MISMATCH: 'an input has another script than its previous output',
  INPUT_AMOUNT_CHANGED: 'an input had another value in an earlier request',
  OUTPUTS_MISMATCH: 'the outputs are not those claimed',
  UNKNOWN_OUTPUT: 'an output is neither claimed nor change',
  OP_RETURN_REFUSED: 'data outputs are refused',
  CHANGE_COUNT: 'there are too many change outputs',
  DUST_OUTPUT: 'an output is below the dust limit',
  FEE_UNVERIFIABLE: 'the fee cannot be known without the previous outputs',
  FEE_NEGATIVE: 'the outputs exceed the inputs',
  FEE_MISMATCH: 'the fee is not the one claimed',
  FEE_RATE: 'the fee rate is above the ceiling',
} as const;

/** Why no decision was made; the co-signer is told to ask again. */
const UNDECIDED_REASONS = {
  STAGE_UNCLEAR: 'it cannot be told whether approval or a signature is asked for',
  SIGNER_NOT_LISTED: 'the signer is not configured for this co-signer',
  NOT_VOTING: 'the operation is not, or no longer, open for votes',
  EXPIRED: 'the operation has expired',
  DEADLINE: 'no decision could be recorded in time',
  LEDGER_UNAVAILABLE: 'the ledger cannot be reached',
  LEDGER_MISSING: 'the store holds no ledger',
  LEDGER_FENCED: 'the store may have lost decisions',
  LEDGER_RECOVERING: 'the ledger is being recovered after a restart or fail-over',
  LEDGER_CORRUPT: 'the ledger holds something this version cannot read',
  POLICY_MISSING: 'no policy is active',
  POLICY_UNTRUSTED: 'the active policy is not signed by a configured operator',
  POLICY_INVALID: 'the active policy cannot be served under this configuration',
  CLOCK_SKEW: 'the clocks of this replica and the ledger differ too much',
  RULE_RETRIES: 'a rule says to ask again later',
  LIMIT_FULL_RETRY: 'a limit has no room for it now',
  FREEZE_RETRIES: 'a freeze covers it',
  COOLING_OFF_RETRIES: 'a destination was whitelisted here too recently to be paid now',
  EVIDENCE_UNAVAILABLE: 'a source needed to verify the bytes cannot be reached',
  OVERLOADED: 'too many requests are waiting',
  INTERNAL: 'an unexpected fault',
} as const;

export const REASONS = { ...DECISION_REASONS, ...VERIFICATION_REASONS } as const;
export const UNDECIDED = UNDECIDED_REASONS;

export type VerificationReason = keyof typeof VERIFICATION_REASONS;
export type ReasonCode = keyof typeof REASONS;
export type UndecidedReason = keyof typeof UNDECIDED_REASONS;

/** What a rule can say. */
export type Effect = 'approve' | 'reject' | 'retry' | 'ignore';

/** What can be recorded: a retry never is. */
export type FinalEffect = Exclude<Effect, 'retry'>;

/** The span of one window of a limit, in Unix milliseconds of the ledger's clock. */
export type WindowSpan =
  /** An entry leaves when it is certainly older than `lengthMs`. */
  | { readonly kind: 'rolling'; readonly lengthMs: number }
  /** [startMs, endMs): the ledger refuses to charge it outside. */
  | { readonly kind: 'calendar'; readonly startMs: number; readonly endMs: number }
  | { readonly kind: 'lifetime' };

/** What a decision would add to one counter of one limit. Amounts are integers in decimal text. */
export interface Charge {
  /** The limit's name in the policy document. */
  readonly limit: string;
  /** The counter: the limit's instance and the values of its `per`; unique within one proposal. */
  readonly counter: string;
  /** `enforce` is charged by approvals. `shadow` is counted apart, by every decision, and never refuses. */
  readonly mode: 'enforce' | 'shadow';
  readonly window: WindowSpan;
  readonly need:
    | { readonly kind: 'amount'; readonly amount: string }
    /** The limit counts how many different members it has seen. */
    | { readonly kind: 'distinct'; readonly members: readonly string[] };
  /** The need is that of all destinations, and only of new ones it is charged: the ledger knows which those are. */
  readonly newOnly?: NewOnly;
  /** Approved when used + need ≤ max: equality passes. */
  readonly max: string;
  /** A warning is raised when the total reaches this. */
  readonly near: string;
  readonly whenFull: 'reject' | 'retry';
  /** The sentence of a refusal by this limit. */
  readonly sentence: string;
}

/** The most charges of one verdict, those in shadow included: one atomic step must stay short. */
export const MAX_CHARGES = 4096;

/** Something the ledger must not contradict, and remembers when the request is approved: e.g. outpoint → amount. */
export interface LedgerFact {
  readonly key: string;
  readonly value: string;
  readonly reason: ReasonCode;
  readonly sentence: string;
}

/** What the policy thinks: either something that can be recorded, or "ask again", which never is. */
export type Opinion = {
  /** One sentence for the workspace's audit log: which rule, which limit; no internals. */
  readonly sentence: string;
  readonly rule?: string;
} & (
  | { readonly effect: FinalEffect; readonly reason: ReasonCode }
  | { readonly effect: 'retry'; readonly reason: UndecidedReason }
);

/** The policy's opinion of a request, and what it would cost. Limits are not counted yet. */
export interface Verdict {
  readonly opinion: Opinion;
  /** Empty unless the effect is `approve`. */
  readonly charges: readonly Charge[];
  /** What an approval makes the ledger remember; empty unless the effect is `approve`. */
  readonly moments?: readonly Moment[];
  readonly coolingOff?: CoolingOff;
  /** What the first matching rule in shadow mode would have said, had it been enforced. */
  readonly shadow?: { readonly opinion: Opinion; readonly charges: readonly Charge[] };
}

/** What stands: recorded once, repeated for ever after. */
export interface Decision {
  readonly effect: FinalEffect;
  readonly reason: ReasonCode;
  readonly sentence: string;
  readonly rule?: string;
  /** The full limit, when the reason is LIMIT_EXCEEDED. */
  readonly limit?: string;
  /** The event's place in the ledger's log. */
  readonly sequence: number;
  /** Unix milliseconds by the ledger's clock. */
  readonly decidedAtMs: number;
  /** SHA-256 of the policy document that was active. */
  readonly policyVersion: string;
}

/** How one path through the spine ends. */
export type Outcome =
  | {
      readonly kind: 'decided';
      readonly decision: Decision;
      readonly repeated: boolean;
      readonly conflict: boolean;
    }
  | { readonly kind: 'undecided'; readonly reason: UndecidedReason; readonly sentence: string };

export function undecided(reason: UndecidedReason): Outcome & { readonly kind: 'undecided' } {
  return { kind: 'undecided', reason, sentence: `Undecided: ${UNDECIDED[reason]}. Ask again.` };
}
