/**
 * What stands between a ledger and a server that may have forgotten: a store that restarts or fails over begins a new
 * history, and nothing is decided on it until it is certain, or an operator has said, that nothing was lost.
 */

/** Where the fence of a ledger stands. */
export interface FenceState {
  /** Names the present history of the store; another one after every restart and fail-over. */
  readonly history: string;
  /** Sequence number of the newest event. */
  readonly sequence: number;
  /** The highest event that a replica is known to have seen; above `sequence` when events were lost. */
  readonly seen: number;
  /** A restart of the store as it is now will not need an operator. */
  readonly restartsAlone: boolean;
  /** Why nothing is decided, in a sentence that says what to do; absent while decisions are made. */
  readonly problem?: string;
}

/** An operator's word that the store of this history alone holds the ledger. */
export interface FenceActivation {
  readonly identity: string;
  readonly history: string;
  /** The number of the event; above everything that anybody has seen. */
  readonly sequence: number;
  /** The signed statement (compact JWS), kept in the event; whose it is is checked before. */
  readonly statement: string;
}

/** An event of the journal as it is kept outside of the ledger. */
export interface KeptEvent {
  readonly sequence: number;
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly type: string;
  /** JSON text. */
  readonly bodyText: string;
}

export type RebuildOrder =
  /** What the journal says takes the place of what is there. Whether decisions are made stays as it is. */
  | { readonly kind: 'replace' }
  /** What the journal says is held against what is there, and nothing is changed. */
  | { readonly kind: 'compare' }
  /**
   * Like `replace`, and the events after this one, which the journal lacks, come after it; each call begins anew. From then
   * on nothing is decided until an operator has said that it may be. A rehearsal changes nothing.
   */
  | {
      readonly kind: 'extend';
      /** The newest event of the ledger. */
      readonly after: number;
      readonly missing: () => AsyncIterable<KeptEvent>;
      readonly isRehearsal: boolean;
    };

export type Rebuilt =
  | { readonly kind: 'rehearsed'; readonly sequence: number; readonly events: number }
  | { readonly kind: 'replaced'; readonly epoch: number; readonly sequence: number; readonly events: number }
  | {
      readonly kind: 'compared';
      readonly sequence: number;
      readonly events: number;
      readonly differences: readonly KeyDifference[];
      /** False: decisions were made while these were looked at, and may be why they differ. */
      readonly certain: boolean;
    };

/** How a key of the ledger differs from what the journal makes of it; what is in it is not told. */
export interface KeyDifference {
  /** Its name without the workspace and the epoch. */
  readonly key: string;
  /** Entries that only the journal has, only the ledger has, and that both have differently. */
  readonly missing: number;
  readonly added: number;
  readonly different: number;
  /** Of a counter: how much is used. Of a version: its number. */
  readonly total?: { readonly ledger: string; readonly journal: string };
}

export interface Fence {
  /** Lets a restarted store that cannot have lost anything go on before it looks. */
  state(): Promise<FenceState>;
  /** CONCURRENT_CHANGE when the history or the log is not the one of the activation any more. */
  activate(activation: FenceActivation): Promise<{ readonly sequence: number }>;
  /**
   * Everything that is read when deciding, anew from the journal, while decisions go on. One that dies leaves the ledger
   * as it was. LEDGER_CORRUPT when the journal has holes, CONCURRENT_CHANGE when something else was faster.
   */
  rebuild(order: RebuildOrder): Promise<Rebuilt>;
}

/** Something about a store that people must know of. */
export interface LedgerProblem {
  readonly code:
    | 'FENCED'
    | 'RECOVERING'
    /** The server that decides does not answer, and another one could take its place (Sentinel, Cluster). */
    | 'PRIMARY'
    | 'SENTINELS'
    /** It answers, and takes no writes: memory or disk is full. */
    | 'WRITES'
    | 'WITNESSES'
    | 'WITNESS'
    | 'VERSION'
    | 'ROLE'
    | 'APPEND_ONLY'
    | 'EVICTION'
    | 'RESTART'
    | 'BACKLOG'
    /** That of the server ends soon. */
    | 'CERTIFICATE'
    /** Its clock and that of the machine that looks differ too much. */
    | 'CLOCK'
    | 'FILE';
  /** What is wrong, and what to change. */
  readonly text: string;
  /** A replica on this store should be sent no questions; otherwise it is a warning. */
  readonly blocks: boolean;
}

/** A small store of its own that holds the log, so that a majority of them outlives any server. */
export type WitnessState =
  | {
      readonly kind: 'member' /** The epoch it has promised to. */;
      readonly promised: number;
      readonly events: number;
    }
  /** It has no vote: its disk was lost, or it was never set up. */
  | { readonly kind: 'blank' }
  | { readonly kind: 'unreachable'; readonly problem: string };

export interface Recovery {
  readonly epoch: number;
  readonly events: number;
  readonly milliseconds: number;
}

export interface Witnesses {
  /** In the order of the configuration. */
  states(): Promise<readonly WitnessState[]>;
  /** Recovers the ledger although nothing failed, so that blank witnesses get the log and with it a vote. */
  recover(): Promise<Recovery>;
  /**
   * What is known of a ledger most of whose witnesses have lost their disks. CHECK_FAILED while a majority of them holds the
   * log, or one does not answer: it may.
   */
  remains(sources: Omit<SalvageOrder, 'attest'>): Promise<Remains>;
  /** Makes that the ledger, on every witness, by an operator's word. CONCURRENT_CHANGE when somebody else was faster. */
  salvage(order: SalvageOrder): Promise<Recovery>;
}

/** A log as the audit trail has it, verified. */
export interface ExportedLog {
  readonly ledger: string;
  /** It holds whatever was answered after this event, */
  readonly after: number;
  /** up to this one. */
  readonly sequence: number;
  /** In ascending order; each call begins anew. */
  readonly events: () => AsyncIterable<KeptEvent>;
}

export interface SalvageOrder {
  readonly exported?: ExportedLog;
  /** Somebody has seen this event: the log goes on above it. */
  readonly above: number;
  /** The operator's signed statement (compact JWS) that this is to be the ledger: the event after the last one. */
  readonly attest: (remains: Remains) => Promise<string>;
}

export interface Remains {
  readonly ledger: string;
  /** Of the server that is to hold it. */
  readonly history: string;
  /** How many events are known, after those that a checkpoint covers. */
  readonly events: number;
  readonly newest: { readonly sequence: number; readonly atMs: number };
  /** The last event that a checkpoint covers; 0: none. */
  readonly covered: number;
  /** What the server itself holds of it. */
  readonly server?: { readonly events: number; readonly sequence: number };
  /** The highest number that anybody has given an event, as far as is known. */
  readonly sequence: number;
  /** Up to that one: numbers, first and last, of events that nobody holds, and that may have been relied upon. */
  readonly lost: readonly (readonly [number, number])[];
  /** False: more events may have come after it, or stood in the place of the last ones. */
  readonly isEndCertain: boolean;
  /** The version of the policy, and the freezes, that will be in force. */
  readonly policy?: string;
  readonly freezes: readonly { readonly id: string; readonly reason: string }[];
}

/** Takes the time of what a commit waits for besides the store that decides. */
export interface CommitObserver {
  /** Does the work, and nothing else but taking its time. */
  during<T>(step: 'witness', work: () => T): T;
}

/** Told how recoveries go. */
export interface RecoveryObserver {
  started(epoch: number): void;
  progress(step: 'read' | 'load' | 'install', done: number, total: number): void;
  ended(
    result: 'recovered' | 'overtaken' | 'failed',
    detail: { readonly milliseconds: number; readonly events: number; readonly problem?: string },
  ): void;
  /** One event reached enough witnesses. */
  witnessed(milliseconds: number): void;
}
