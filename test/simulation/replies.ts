/** What a server holds, and what its scripts are asked and answer. */
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
  },
  keys: new Map(),
};

export const NO_KEYS: Keys = { journal: [], pending: new Set() };

/** The server itself, as its INFO shows it. */
export interface Here {
  readonly role: 'master' | 'slave';
  readonly history: string;
  /** Stands for the clock. */
  readonly now: number;
}

/** What the caller of a script says of itself; see enter in fence.lua. */
export interface Caller {
  readonly epoch: number;
  readonly identity: string;
  readonly seen: number;
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

export type CommitReply = Decided | { readonly code: 'STALE' } | { readonly code: 'RETRY' } | Refusal;
export type ChangeReply =
  | { readonly code: 'DONE'; readonly sequence: number; readonly event: Recorded | undefined }
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
