/** Work that one of the replicas does for as long as it lives, and another one when it is gone. */
import { setTimeout as pause } from 'node:timers/promises';
import type { SingleFlight } from './core/ports.js';

export interface ElectedWork {
  readonly name: string;
  readonly alone: SingleFlight;
  /** Ends soon when its signal aborts. Harmless when two replicas do it. */
  readonly work: (signal: AbortSignal) => Promise<void>;
  /** It is begun anew after a while. */
  readonly failed: (error: unknown) => void;
  readonly standbyMs?: number;
}

const STANDBY_MS = 5_000;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

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
    const { name, alone, work, failed, standbyMs = STANDBY_MS } = this.settings;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      const startedAt = performance.now();
      try {
        await alone.run(name, (lost) => work(AbortSignal.any([signal, lost])));
        await rest(standbyMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        failed(error);
        if (performance.now() - startedAt > LONGEST_RETRY_MS) retryMs = FIRST_RETRY_MS;
        await rest(retryMs, signal);
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
      }
    }
  }
}

/** Ends early when it is told to stop. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}
