/**
 * The janitor: each replica looks from time to time what its ledgers hold that is older than the retention, and one of
 * them forgets it, step by step. It takes no part in deciding; two at once are harmless, and so is one that dies.
 */
import type { Logger } from 'pino';
import { messageOf } from '../core/errors.js';
import type { Clock, Ledger } from '../core/ports.js';
import type { SingleFlight } from '../core/single-flight.js';
import type { TrimOrder, UpkeepObserver, UpkeepRun } from '../core/upkeep.js';
import type { Metrics } from '../telemetry/metrics.js';

export interface JanitorSettings extends Omit<TrimOrder, 'nowMs'> {
  readonly workspace: string;
  readonly ledger: Pick<Ledger, 'upkeep'>;
  /** Elects one of the replicas. */
  readonly alone: SingleFlight;
  readonly clock: Clock;
  readonly observer: UpkeepObserver;
  readonly everyMs?: number;
}

const EVERY_MS = 60_000;
/** Replicas that start together look at different times. */
const JITTER = 0.25;
/** What is left after this waits: others may want the lock, and requests the server. */
const RUN_MS = 20_000;
/** Then it goes on after this. */
const PAUSE_MS = 1_000;

export class Janitor {
  readonly #settings: JanitorSettings;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(settings: JanitorSettings) {
    this.#settings = settings;
  }

  start(): void {
    const { everyMs = EVERY_MS } = this.#settings;
    this.#schedule(everyMs * Math.random());
  }

  /** Ends after the step that it is in. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(ms: number): void {
    if (this.#stopping.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#turn();
    }, ms).unref();
  }

  async #turn(): Promise<void> {
    const { workspace, alone, observer, everyMs = EVERY_MS } = this.#settings;
    let isUnfinished = false;
    try {
      const run = await alone.run(`janitor:${workspace}`, (lost) =>
        this.#run(AbortSignal.any([lost, this.#stopping.signal])),
      );
      if (run !== 'busy') {
        isUnfinished = run.isUnfinished;
        observer.ran(run);
      }
    } catch (error) {
      observer.failed(messageOf(error));
    }
    this.#schedule(isUnfinished ? PAUSE_MS : everyMs * (1 + JITTER * (2 * Math.random() - 1)));
  }

  async #run(signal: AbortSignal): Promise<UpkeepRun & { readonly isUnfinished: boolean }> {
    const { ledger, retentionMs, demandsExport, clock } = this.#settings;
    const startedAt = performance.now();
    let [events, checkpoints, to] = [0, 0, 0];
    let waits: UpkeepRun['waits'];
    let isUnfinished = false;
    while (!signal.aborted) {
      isUnfinished = performance.now() - startedAt >= RUN_MS;
      if (isUnfinished) break;
      const step = await ledger.upkeep.trim({ retentionMs, demandsExport, nowMs: clock.now() });
      if (step.kind === 'waits') waits = step.why;
      if (step.kind !== 'trimmed') break;
      events += step.events;
      checkpoints += 1;
      to = step.to;
    }
    const keys = signal.aborted ? 0 : await ledger.upkeep.sweep();
    return {
      events,
      checkpoints,
      ...(to === 0 ? {} : { to }),
      keys,
      milliseconds: Math.round(performance.now() - startedAt),
      ...(waits && { waits }),
      isUnfinished,
    };
  }
}

/** What was done is counted. Lines of the log: when something was, and when something is in the way that was not before. */
export function upkeepObserver(workspace: string, metrics: Metrics, logger: Logger): UpkeepObserver {
  let inTheWay: string | undefined;
  const isNew = (problem: string | undefined) => {
    const isAnother = problem !== inTheWay;
    inTheWay = problem;
    return isAnother && problem !== undefined;
  };
  return {
    ran({ events, checkpoints, to, keys, milliseconds, waits }) {
      metrics.ledger.forgot(workspace, events);
      const did = { events, checkpoints, to, keys, milliseconds };
      if (events > 0 || keys > 0)
        logger.info({ workspace, ...did }, 'forgot what is older than the retention');
      if (isNew(waits)) logger.warn({ workspace, waits }, 'what is older than the retention must stay');
    },
    failed(problem) {
      if (isNew(problem))
        logger.warn({ workspace, problem }, 'what is older than the retention could not be forgotten');
    },
  };
}
