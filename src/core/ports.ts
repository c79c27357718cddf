/** Every interface between the decision and the world. Implementations live outside core/. */
import type {
  Charge,
  Decision,
  LedgerFact,
  Opinion,
  UndecidedReason,
  VerificationReason,
} from './decision.js';
import type { Exports } from './export.js';
import type { CommitObserver, Fence, LedgerProblem, Witnesses } from './fence.js';
import type { JournalEvent } from './journal.js';
import type { CoolingOff, Moment, MomentEntry } from './moments.js';
import type { AssetSettings } from './policy/verification.js';
import type { Releases } from './release.js';
import type { Reports } from './report.js';
import type { RawTransaction, SignRequest, TransactionRequest } from './request.js';
import type { Upkeep } from './upkeep.js';
import type { Boards } from './waiting.js';

export type { JournalEvent } from './journal.js';
export { type Clock, DEADLINE_PASSED, type Deadline } from './time.js';

// ── Chains: what the bytes do ────────────────────────────────────────────────────────────────────────────────

/** An entry of the asset registry. Never fetched during a decision. */
export interface Asset {
  /** The vendor's asset id, e.g. `USDC_POLYGON`. */
  readonly id: string;
  /** Which decoder reads its transactions, e.g. `evm`, `bitcoin`; others have none. */
  readonly family: string;
  /** CAIP-2 chain id, e.g. `eip155:1`; absent when unknown, and then nothing of this asset can be verified. */
  readonly chain?: string;
  readonly decimals: number;
  /** The chain's own coin, in which fees are paid. */
  readonly native: { readonly asset: string; readonly decimals: number };
  /** The token contract; absent for the chain's own coin. */
  readonly contract?: string;
  /** The id under which limits count it, when another id names the same contract or coin. */
  readonly countedAs?: string;
  /** SLIP-44 coin type used in derivation paths (1 for every testnet). */
  readonly coinType: number;
}

/** Value that leaves the wallet. */
export interface Movement {
  /** Undefined: an asset the registry does not know. */
  readonly asset: string | undefined;
  /** Canonical address of who receives. */
  readonly to: string;
  /** Base units; undefined: moved, but nobody can say how much. */
  readonly amount: bigint | undefined;
}

/** One leaf of what the bytes call, after wrappers were flattened. */
export interface ContractCall {
  /** Canonical address. */
  readonly address: string;
  /** Four bytes, `0x…`; empty text for a call without data. */
  readonly selector: string;
  /** Human-readable signature when the selector is known, e.g. `transfer(address,uint256)`. */
  readonly signature?: string;
  /** Decoded arguments as text, when the signature is known. */
  readonly args?: readonly string[];
  /** Native value in base units. */
  readonly value: bigint;
  /** False: what it moves cannot be said, so the amount of the whole is unknown. */
  readonly understood: boolean;
}

/** What the raw bytes *do*. */
export interface Effects {
  /** CAIP-2. */
  readonly chain: string;
  readonly movements: readonly Movement[];
  readonly calls: readonly ContractCall[];
  /** The most the bytes can cost, in base units of the chain's own coin. */
  readonly maxFee: bigint | undefined;
  /** The decoded transaction for the audit log: to, value, chain, fee, nonce, outputs. */
  readonly summary: Readonly<Record<string, string>>;
  /** What the ledger must not contradict. */
  readonly facts: readonly LedgerFact[];
}

export type Judged =
  | { readonly kind: 'effects'; readonly effects: Effects }
  | { readonly kind: 'refused'; readonly reason: VerificationReason; readonly detail: string };

export type Decoded =
  | Judged
  /** The asset's settings say `unsupported: skip`: this check does not decide. */
  | { readonly kind: 'skipped' }
  /** A source of evidence could not be reached: undecided, never a refusal. */
  | { readonly kind: 'unavailable'; readonly detail: string };

/** Reads the bytes of one family of chains. docs/verification.md tells how to add one. */
export interface Decoder {
  readonly family: string;
  /** The one form of an address that comparisons use; undefined when the text is no address of this chain. */
  canonicalAddress(asset: Asset, address: string): string | undefined;
  /** Four bytes, `0x…`, of a function signature; absent where calls have no selectors. */
  selectorOf?(signature: string): string | undefined;
  /** What one entry's bytes show, judged by nobody; for people, never for a decision. Empty when unreadable. */
  describe?(raw: RawTransaction, asset: Asset): Readonly<Record<string, string>>;
  /**
   * Where a request shows the call data of a contract call and carries no bytes: what the call would do. Undefined: it
   * shows none. Absent where calls have no data.
   */
  shownCall?(request: TransactionRequest, asset: Asset, settings: AssetSettings): Judged | undefined;
  /** Strict decoding of a request's bytes, held against its claim where they show hashes only (BIP-143). Never throws. */
  decode(
    request: TransactionRequest,
    asset: Asset,
    settings: AssetSettings,
    signal: AbortSignal,
  ): Promise<Decoded>;
}

export interface Chains {
  asset(id: string): Asset | undefined;
  decoder(family: string): Decoder | undefined;
  /** Decodes and judges data to be signed that is no transaction. Never throws. */
  message(request: SignRequest, settings: AssetSettings): Judged;
}

// ── Protocols: what co-signers say ───────────────────────────────────────────────────────────────────────────

export type { AnswerKeys, CosignerKeys, Signer, VoteKeys } from './keys.js';
export type {
  InboundMessage,
  OutboundMessage,
  Protocol,
  Received,
  UnauthenticatedReason,
} from './messages.js';

// ── Ledger: the shared memory of one workspace ───────────────────────────────────────────────────────────────

/** How the ledger recognises a request (see fingerprint.ts). */
export interface AskIdentity {
  /** protocol + kind + stage + requestId, plus the signer at the approval stage. */
  readonly askKey: string;
  /** What money is counted by; absent for requests that move none. */
  readonly moneyKey: string | undefined;
  /** A request id is bound to one transaction, at whatever stage; absent for requests without a transaction. */
  readonly binding: { readonly requestKey: string; readonly txId: string } | undefined;
  readonly fingerprint: string;
  /**
   * What all questions about the transaction have in common: refused once, it is refused for good. Absent where nobody
   * vouches for who asks: several tellings of one transaction are then decided each by itself, and its money is still counted once.
   */
  readonly coreFingerprint: string | undefined;
  /** Base units at a fixed scale: a later ask may be for less than was approved, never for more. */
  readonly amount: string | undefined;
}

export interface Versions {
  /** The ledger's identity: a new ledger counts its events anew, and its numbers mean other things. */
  readonly ledger: string;
  /** Grows with every recovery: what was read before one is read again. */
  readonly epoch: number;
  /** Sequence number of the event that activated the policy. */
  readonly policy: number;
  /** Sequence number of the last freeze or unfreeze; 0 when there was none. */
  readonly freezes: number;
}

/** What a replica proposes to the ledger. The ledger may find that a decision stands already. */
export interface Proposal {
  readonly ask: AskIdentity;
  readonly versions: Versions;
  /** The replica's clock, Unix milliseconds. */
  readonly nowMs: number;
  readonly policyVersion: string;
  /** An effect of `retry` records nothing: a standing decision is repeated if there is one. */
  readonly opinion: Opinion;
  /** A freeze covers the request: a standing approval is not repeated while it lasts. */
  readonly frozen: boolean;
  readonly charges: readonly Charge[];
  readonly facts: readonly LedgerFact[];
  readonly moments: readonly Moment[];
  readonly coolingOff?: CoolingOff;
  /** What the journal keeps beside the decision; JSON text, no secrets, no raw bytes. */
  readonly journal: string;
}

/** Where a limit counts. */
export type Counter = Pick<Charge, 'counter' | 'mode' | 'window'>;

/** How full one counter that a new decision counts is after it. Integers in decimal text. */
export interface CounterUse {
  readonly limit: string;
  readonly counter: string;
  readonly mode: 'enforce' | 'shadow';
  readonly window: Charge['window'];
  readonly used: string;
  readonly max: string;
  readonly near: boolean;
  /** Shadow counters only: the request would not have fitted. */
  readonly exceeded: boolean;
}

export type CommitReply = { /** The ledger's clock, Unix milliseconds. */ readonly ledgerNowMs: number } & (
  | {
      readonly kind: 'decided';
      readonly decision: Decision;
      readonly repeated: boolean;
      readonly use: readonly CounterUse[];
    }
  /** The content differs from what this ask or transaction is known by: a rejection of this content only. */
  | { readonly kind: 'conflict'; readonly decision: Decision; readonly repeated: boolean }
  /** Nothing was recorded; ask again. */
  | { readonly kind: 'retry'; readonly reason: UndecidedReason; readonly sentence: string }
  /** The policy or the freezes changed: evaluate again. */
  | { readonly kind: 'stale' }
  /** A calendar window does not contain the ledger's clock: evaluate again at that instant. */
  | { readonly kind: 'window-moved' }
);

export interface ActivePolicy {
  /** SHA-256 of the document's bytes, hex. */
  readonly version: string;
  /** Sequence number of the activation. */
  readonly sequence: number;
  readonly document: string;
  /** Limit name → the instance whose counters it charges; a reshaped limit gets a new instance. */
  readonly instances: Readonly<Record<string, string>>;
  /** The operator's signed statement (compact JWS). */
  readonly statement: string;
}

export interface Freeze {
  readonly id: string;
  /** Policy `match` block, JSON text. */
  readonly scope: string;
  readonly reason: string;
  readonly author: string;
  readonly answers: 'retry' | 'reject';
  /** Unix milliseconds; absent: until lifted. */
  readonly expiresAtMs?: number;
  readonly sequence: number;
}

export interface LedgerState {
  readonly identity: string;
  /** The ledger's clock, Unix milliseconds. */
  readonly nowMs: number;
  /** Sequence number of the newest event. */
  readonly sequence: number;
  /** Every event up to this one is as durable as demanded: no recovery can leave it out. */
  readonly durable: number;
  readonly policy: ActivePolicy | undefined;
  readonly freezes: readonly Freeze[];
  readonly versions: Versions;
}

/** One entry of a counter, as it is filled from the journal when a limit is new. */
export interface CounterEntry {
  readonly counter: string;
  readonly window: Charge['window'];
  readonly moneyKey: string;
  readonly atMs: number;
  readonly need: Charge['need'];
}

export interface Activation {
  readonly version: string;
  readonly document: string;
  readonly instances: Readonly<Record<string, string>>;
  readonly statement: string;
  /** The newest event the entries below take account of; the ledger refuses when it has moved on. */
  readonly expectedSequence: number;
}

/**
 * The shared memory. Every method rejects with a CountersignError whose code is one of the LEDGER_* codes or
 * CLOCK_SKEW when nothing can be said; a rejected commit may or may not have been recorded, and repeating it is safe.
 */
export interface Ledger extends Releases, Reports, Boards {
  readonly kind: 'redis' | 'embedded';
  /** Writes the identity of a new ledger, once. LEDGER_EXISTS when there is one. */
  init(): Promise<{ readonly identity: string }>;
  /** The active policy and freezes, with their versions. LEDGER_MISSING on an empty store. */
  state(): Promise<LedgerState>;
  /** The one atomic step: decide once, check and charge every limit, record, append to the journal. */
  commit(proposal: Proposal, observer?: CommitObserver): Promise<CommitReply>;
  /** Adds entries to counters that no active policy charges yet, as an event. Repeating an entry changes no counter. */
  fill(entries: readonly CounterEntry[], moments?: readonly MomentEntry[]): Promise<void>;
  /** Switches all replicas at one point of the log. CONCURRENT_CHANGE when the log moved past expectedSequence. */
  activate(activation: Activation): Promise<{ readonly sequence: number }>;
  freeze(freeze: Omit<Freeze, 'sequence'>): Promise<{ readonly sequence: number }>;
  /** The statements (compact JWS) are kept in the event; whose they are is checked before. */
  unfreeze(id: string, statements: readonly string[]): Promise<{ readonly sequence: number }>;
  /** Events with a sequence number above `after`, oldest first, at most `limit`. */
  events(after: number, limit: number): Promise<readonly JournalEvent[]>;
  /** How full counters are at this instant, without charging. */
  usage(counters: readonly Counter[]): Promise<readonly string[]>;
  /** The standing decision of an ask, for people; no part of deciding. */
  lookup(askKey: string): Promise<Decision | undefined>;
  /** The value of a fact that an approval made the ledger remember, for people; no part of deciding. */
  remembered(fact: string): Promise<string | undefined>;
  /** What is kept, and forgetting what is older than the retention. */
  readonly upkeep: Upkeep;
  /** Absent when the store cannot come back with less than it acknowledged, or recovers by itself. */
  readonly fence?: Fence;
  readonly exports: Exports;
  /** Present when witnesses keep the log, and the ledger is recovered from them. */
  readonly witnesses?: Witnesses;
  /** Whether anything is decided, and problems with the store's own settings. Rejects when it cannot be reached. */
  check(): Promise<readonly LedgerProblem[]>;
  close(): Promise<void>;
}
