/**
 * How far the journal of a ledger is exported. It stands in the ledger itself, for whoever exports next and for
 * whoever trims: what is not exported must not be trimmed.
 */

export interface ExportMark {
  /** The last event that is on a disk outside of the ledger. */
  readonly sequence: number;
  /** SHA-256 of its line, hex: whoever goes on from here continues the same chain. */
  readonly hash: string;
  /** How many events the chain holds up to here. */
  readonly count: number;
}

export interface ExportState {
  /** The ledger's identity: the mark of another ledger says nothing about this one. */
  readonly identity: string;
  /** The newest event that may be exported: no recovery can leave it, or one before it, out. */
  readonly newest: number;
  /** Absent: nothing was exported yet. */
  readonly mark?: ExportMark;
}

export interface Exports {
  state(): Promise<ExportState>;
  /** Moves the mark forward, and never back. CONCURRENT_CHANGE when the store holds another ledger by now. */
  moved(identity: string, mark: ExportMark): Promise<void>;
}
