/** What a recovery works on: one server and its witnesses. The simulation stands in for both. */

/** An event as the log holds it. */
export interface LogEvent {
  readonly sequence: number;
  /** Type, Unix milliseconds and body, as the journal has them. */
  readonly event: string;
}

/** What a recovery does is bound to one epoch of one ledger. */
export interface Ballot {
  readonly ledger: string;
  readonly epoch: number;
}

export interface PrimarySurvey {
  /** Names the server's present history; another one after every restart and fail-over. */
  readonly history: string;
  /** The identity of the ledger that it holds; absent when it is empty. */
  readonly ledger?: string;
  readonly epoch: number;
  /** The highest epoch that a recovery has claimed it for. */
  readonly claim: number;
  /** Decisions are made on it. */
  readonly isOpen: boolean;
  readonly sequence: number;
}

/** The server that decides. Every method rejects when the outcome is not known. */
export interface RecoveryPrimary {
  survey(): Promise<PrimarySurvey>;
  /** False when it has another history by now, or was claimed for this epoch or a higher one. */
  claim(epoch: number, history: string): Promise<boolean>;
  /**
   * Adds events in ascending order to the keys of the epoch; calls take effect in the order in which they are made. False
   * when it is not claimed for it any more.
   */
  load(epoch: number, history: string, events: readonly LogEvent[]): Promise<boolean>;
  /** Makes what was loaded the ledger. False when it is not claimed for it any more. */
  settle(ballot: Ballot, history: string, summary: LogSummary): Promise<boolean>;
}

export interface LogSummary {
  /** No event gets this number or a lower one again. */
  readonly sequence: number;
  readonly events: readonly LogEvent[];
}

export type WitnessSurvey =
  | {
      readonly kind: 'blank';
      /** Names what it keeps its data on; another name once that was lost. */
      readonly disk: string;
    }
  | {
      readonly kind: 'member';
      readonly disk: string;
      readonly ledger: string;
      /** The highest epoch that it has promised. */
      readonly promised: number;
      /** The epoch under which its log was installed. */
      readonly base: number;
      readonly events: number;
    };

/** An event as a witness holds it. */
export interface WitnessedEvent extends LogEvent {
  /** The epoch in which it was appended or installed. */
  readonly tag: number;
}

export interface LogPage {
  readonly events: readonly WitnessedEvent[];
  /** Where the next page begins; absent after the last. A page may repeat events of another. */
  readonly next?: string;
}

/** One witness. Every method rejects when the outcome is not known. */
export interface RecoveryWitness {
  survey(): Promise<WitnessSurvey>;
  /** Promises the epoch. False when it is blank, or has promised this epoch or a higher one. */
  seal(ballot: Ballot): Promise<boolean>;
  /** A part of its log. Undefined when it has promised another epoch since. */
  read(ballot: Ballot, cursor: string | undefined): Promise<LogPage | undefined>;
  /**
   * Puts events aside for an installation; the first call of a ballot drops what was put aside before. An event of
   * which `held` says that the witness has it is taken from its own log. False when it has promised another epoch, its
   * disk is not the one that was surveyed, or the epoch has begun there.
   */
  stage(ballot: Ballot, page: StagedPage): Promise<boolean>;
  /**
   * Makes the events put aside its log. False when it has promised another epoch, its disk is not the one that was
   * surveyed, there are not `count` of them, or the epoch has begun there: by an installation or an event.
   */
  install(ballot: Ballot, installed: { readonly disk: string; readonly count: number }): Promise<boolean>;
}

export interface StagedPage {
  readonly disk: string;
  readonly isFirst: boolean;
  readonly events: readonly LogEvent[];
  readonly held: ReadonlySet<number>;
}

export interface RecoveryPorts {
  readonly primary: RecoveryPrimary;
  readonly witnesses: readonly RecoveryWitness[];
  readonly progress: (step: 'read' | 'load' | 'install', done: number, total: number) => void;
}
