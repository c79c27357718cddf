/** What a server holds, and what its scripts are asked and answer. */
import type { KnownFate } from '../../src/core/report.js';
import type { Entry, Verdict } from './events.js';

/** What one server holds. Never changed: a write makes another one, so that what was before can come back. */
export interface Dataset {
  readonly meta: Meta;
  /** By epoch. */
  readonly keys: ReadonlyMap<number, Keys>;
}

export interface Meta {
  readonly identity: string | undefined;
  readonly epoch: number;
  readonly claim: number;
  readonly claimed: string;
  readonly fence: string;
  readonly sequence: number;
  readonly policy: number;
  readonly freezes: number;
  readonly seen: number;
  /** The newest checkpoint, the last event that it covers, and the last one that was forgotten. */
  readonly checkpoint: number;
  readonly covered: number;
  readonly trimmed: number;
}

export interface Keys {
  readonly journal: readonly Entry[];
  readonly pending: ReadonlySet<number>;
}

export const EMPTY: Dataset = {
  meta: {
    identity: undefined,
    epoch: 0,
    claim: 0,
    claimed: '',
    fence: '',
    sequence: 0,
    policy: 0,
    freezes: 0,
    seen: 0,
    checkpoint: 0,
    covered: 0,
    trimmed: 0,
  },
  keys: new Map(),
};

export const NO_KEYS: Keys = { journal: [], pending: new Set() };

/** The server itself, as its INFO shows it. */
export interface Here {
  readonly role: 'master' | 'slave';
  readonly history: string;
  /** By its clock. */
  readonly now: number;
}

/** What the caller of a script says of itself; see enter in fence.lua. */
export interface Caller {
  readonly epoch: number;
  readonly identity: string;
  readonly seen: number;
  /** By its clock. */
  readonly now: number;
}

export interface Versions {
  readonly ledger: string;
  readonly epoch: number;
  readonly policy: number;
  readonly freezes: number;
}

export interface Recorded {
  readonly ledger: string;
  readonly sequence: number;
  readonly event: string;
}

export type Refusal =
  | { readonly code: 'MISSING' }
  | { readonly code: 'EPOCH'; readonly epoch: number }
  | { readonly code: 'FENCED'; readonly why: 'role' | 'rolled-back' | 'history' };

export type Decided = {
  readonly code: 'DECIDED' | 'CONFLICT';
  readonly repeated: boolean;
  readonly verdict: Verdict;
  readonly sequence: number;
  /** What witnesses must have first. */
  readonly event: Recorded | undefined;
};

export type CommitReply =
  | Decided
  | { readonly code: 'STALE' | 'RETRY' | 'EXPIRING' | 'CLOCK_SKEW' }
  | Refusal;
export type ChangeReply =
  | {
      readonly code: 'DONE';
      readonly sequence: number;
      readonly isRepeated: boolean;
      readonly event: Recorded | undefined;
    }
  | { readonly code: 'UNKNOWN' | 'CHANGED' }
  | Refusal;
export type StateReply =
  | {
      readonly code: 'STATE';
      readonly versions: Versions;
      readonly sequence: number;
      readonly isFrozen: boolean;
      readonly unconfirmed: readonly Recorded[];
    }
  | Refusal;

/** Something that is done to the ledger by people. */
export type Change =
  | { readonly type: 'freeze' | 'unfreeze'; readonly id: string }
  | { readonly type: 'policy'; readonly version: string; readonly expected: number };

/** What is known of a transaction by reports, and of its approvals; see fate.lua. */
export type FateReply =
  | {
      readonly code: 'FOUND';
      readonly fate: { readonly known: KnownFate; readonly sequence: number } | undefined;
      readonly unconfirmed: Recorded | undefined;
      readonly approval: {
        readonly approved: boolean;
        readonly rejected: boolean;
        readonly released: boolean;
        readonly batch: boolean;
      };
    }
  | Refusal;

export type ReportReply =
  | { readonly code: 'DONE'; readonly sequence: number; readonly event: Recorded }
  | { readonly code: 'CHANGED' }
  | Refusal;

export type ReleaseReply =
  | {
      readonly code: 'DONE';
      readonly sequence: number;
      readonly repeated: boolean;
      readonly event: Recorded | undefined;
    }
  | { readonly code: 'NONE' | 'SIGNED' }
  | Refusal;

/** What is still there; see kept.lua. */
export type KeptReply =
  | {
      readonly code: 'KEPT';
      readonly ledger: string;
      readonly now: number;
      readonly checkpoint: number;
      readonly covered: number;
      readonly trimmed: number;
      readonly event: Recorded | undefined;
      readonly journal: readonly Entry[];
    }
  | Refusal;

/** What is certain of the journal; see export-state.lua. */
export type ExportableReply = { readonly code: 'EXPORTABLE'; readonly journal: readonly Entry[] } | Refusal;

export interface Covering {
  readonly from: number;
  readonly to: number;
  readonly retention: number;
}

export type CheckpointReply =
  | { readonly code: 'DONE'; readonly sequence: number; readonly event: Recorded }
  | { readonly code: 'CLOCK_SKEW' | 'CHANGED' | 'YOUNG' | 'PENDING' }
  | Refusal;

export type ForgetReply = { readonly code: 'DONE' | 'CHANGED' | 'PENDING' } | Refusal;
