/** Work that one of the replicas does for as long as it lives, and another one when it is gone. */
import { setTimeout as pause } from 'node:timers/promises';
import type { SingleFlight } from '../core/single-flight.js';

export interface ElectedWork {
  readonly name: string;
  /** Absent: nobody else does it. */
  readonly alone?: SingleFlight | undefined;
  /**
   * One term of it: ends soon when its signal aborts, and is called again. When it ends by itself it is called again after
   * a while. Harmless when two replicas do it.
   */
  readonly work: (signal: AbortSignal) => Promise<void>;
  /** It is begun anew after a while. */
  readonly failed: (error: unknown) => void;
  /** Another replica does it, or nobody: what this one told of it is old. */
  readonly left?: () => void;
  readonly termMs?: number;
  readonly standbyMs?: number;
}

/**
 * Then it is asked anew who does it: whoever began while most of the lock nodes were away holds no lock, and would go on
 * beside the one that does.
 */
const TERM_MS = 30_000;
const STANDBY_MS = 5_000;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

const ONLY_ONE: SingleFlight = { run: (_, work) => work(new AbortController().signal) };

export class Elected {
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(private readonly settings: ElectedWork) {}

  start(): void {
    this.#running ??= this.#run(this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { failed, left = () => undefined, standbyMs = STANDBY_MS } = this.settings;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      try {
        const isOver = await this.#term(signal);
        retryMs = FIRST_RETRY_MS;
        if (isOver) continue;
        left();
        await rest(standbyMs, signal);
      } catch (error) {
        left();
        failed(error);
        await rest(retryMs, signal);
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
      }
    }
    left();
  }

  /** False: another one does it. */
  async #term(signal: AbortSignal): Promise<boolean> {
    const { name, alone = ONLY_ONE, work, termMs = TERM_MS } = this.settings;
    let isOver = false;
    await alone.run(name, async (lost) => {
      const term = AbortSignal.timeout(termMs);
      await work(AbortSignal.any([signal, lost, term]));
      isOver = term.aborted;
    });
    return isOver;
  }
}

/** Ends early when it is told to stop. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}
