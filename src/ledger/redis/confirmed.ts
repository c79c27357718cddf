/** Events that a majority holds and the server does not know of yet: it is told soon, and nobody waits for it. */
import { SCRIPTS } from './scripts.js';
import type { Session } from './session.js';

/** In one call. */
const CONFIRM_EVENTS = 500;

/** Sequence numbers, all of one epoch. */
interface Batch {
  readonly epoch: number;
  readonly sequences: number[];
  isSending: boolean;
}

export class Confirmed {
  readonly #session: Session;
  #batch: Batch = { epoch: 0, sequences: [], isSending: false };

  constructor(session: Session) {
    this.#session = session;
  }

  /** A repeat that comes before the server knows asks the witnesses again. */
  add(epoch: number, sequence: number): void {
    if (this.#batch.epoch !== epoch) this.#batch = { epoch, sequences: [], isSending: false };
    this.#batch.sequences.push(sequence);
    if (!this.#batch.isSending) void this.#send(this.#batch);
  }

  async #send(batch: Batch): Promise<void> {
    batch.isSending = true;
    while (batch.sequences.length > 0 && this.#session.epoch === batch.epoch) {
      const sequences = batch.sequences.splice(0, CONFIRM_EVENTS);
      await this.#session
        .read(SCRIPTS.confirm, ({ meta, pending }) => ({
          keys: [meta, pending],
          args: sequences.map(String),
        }))
        .catch(() => undefined);
    }
    batch.isSending = false;
  }
}
