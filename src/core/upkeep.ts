/**
 * How long a ledger keeps its events. Those that are older than the retention are folded into a checkpoint, an event of
 * the log like others, and forgotten once it is as durable as demanded: whoever asks for them again asks something new.
 * What has to survive them stands in the checkpoint.
 */

/** What a ledger still holds. */
export interface Kept {
  /** The ledger's clock, Unix milliseconds. */
  readonly nowMs: number;
  /** The oldest event that is still there. */
  readonly oldest?: EventMark;
  /** The newest checkpoint. */
  readonly checkpoint?: {
    readonly sequence: number;
    /** The last event that it covers. */
    readonly to: number;
  };
  /** The last event that was forgotten, with every one before it; absent while all are there. */
  readonly trimmed?: EventMark;
}

export interface EventMark {
  readonly sequence: number;
  /** Unix milliseconds. */
  readonly atMs: number;
}

export interface TrimOrder {
  readonly retentionMs: number;
  /** The replica's clock, Unix milliseconds. Nothing is forgotten unless the ledger's own says the same. */
  readonly nowMs: number;
  /** What is not exported yet must stay. */
  readonly demandsExport: boolean;
}

export type Trimmed =
  /** The events up to `to` were forgotten, and others may be old enough. */
  | { readonly kind: 'trimmed'; readonly events: number; readonly to: number; readonly checkpoint: number }
  /** Too few events are old enough to be worth a checkpoint. */
  | { readonly kind: 'nothing' }
  /** Something stands in the way, and may not the next time. */
  | { readonly kind: 'waits'; readonly why: 'clocks' | 'export' | 'durability' | 'another' };

export interface Upkeep {
  kept(): Promise<Kept>;
  /** One step of bounded work. Any number of replicas may be at it, and each may die at any instant. */
  trim(order: TrimOrder): Promise<Trimmed>;
  /** Removes a bounded number of the keys that recoveries left behind. Resolves to how many. */
  sweep(): Promise<number>;
}

/** Told what the janitor did. */
export interface UpkeepObserver {
  /** A run that did something, or that was in the way of something. */
  ran(result: UpkeepRun): void;
  failed(problem: string): void;
}

export interface UpkeepRun {
  readonly events: number;
  readonly checkpoints: number;
  /** The last event that was forgotten in this run. */
  readonly to?: number;
  readonly keys: number;
  readonly milliseconds: number;
  /** Why the run ended before everything that is old enough was forgotten. */
  readonly waits?: Extract<Trimmed, { kind: 'waits' }>['why'];
}
