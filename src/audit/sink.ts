/** Where audit lines go: to files of a folder, or to a stream. */
import type { Checkpoint, CheckpointKey, Position } from './line.js';
import { checkpointLine } from './line.js';

/** Whose journal it is. */
export interface Chain {
  /** The ledger's identity. */
  readonly ledger: string;
  readonly workspace: string;
}

/** What is there already, and can be gone on with. */
export interface Found {
  readonly position: Position;
  /** `previous` of the last event line; undefined when there is none. */
  readonly previous: string | undefined;
}

export interface Sink {
  /** Undefined: nothing is there that can be gone on with. */
  resume(): Promise<Found | undefined>;
  /** Begins a stretch of lines at this place of the chain. */
  begin(position: Position): Promise<void>;
  /** Event lines, and the checkpoint that covers them, in one write; resolves when they are kept. */
  append(lines: readonly string[], position: Position): Promise<void>;
  close(): Promise<void>;
}

/** The lines of one stretch as text: counts them, and ends every piece with a checkpoint. */
export class Stretch {
  #lines: number;

  constructor(
    private readonly chain: Chain,
    private readonly key: CheckpointKey,
    /** How many lines the stretch has already. */
    lines: number,
  ) {
    this.#lines = lines;
  }

  /** @param nowMs the exporter's clock */
  piece(lines: readonly string[], { sequence, hash, count }: Position, nowMs: number): Buffer {
    this.#lines += lines.length + 1;
    const { ledger, workspace } = this.chain;
    const fields: Omit<Checkpoint, 'audit' | 'key' | 'signature'> = {
      ledger,
      workspace,
      sequence,
      hash,
      count,
      line: this.#lines,
      at: new Date(nowMs).toISOString(),
    };
    return Buffer.from([...lines, checkpointLine(fields, this.key), ''].join('\n'));
  }
}

/** A stream that nobody can read back: every run begins a stretch of its own, after the last event known to be out. */
export function streamSink(chain: Chain, key: CheckpointKey, write: (piece: Buffer) => Promise<void>): Sink {
  let stretch = new Stretch(chain, key, 0);
  return {
    resume: async () => undefined,
    async begin(position) {
      stretch = new Stretch(chain, key, 0);
      await write(stretch.piece([], position, Date.now()));
    },
    append: (lines, position) => write(stretch.piece(lines, position, Date.now())),
    close: async () => undefined,
  };
}
