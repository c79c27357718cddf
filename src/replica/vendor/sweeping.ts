/**
 * Asks the vendor's REST API about transactions that were approved and whose end nobody has told. What it answers is a
 * report like any other; whatever else it answers, or does not, changes nothing: that a transaction is not known there is
 * no proof that it was never signed.
 */
import { moneyKeyOf } from '../../core/fingerprint.js';
import type { JsonObject } from '../../core/json.js';
import type { OpenTransaction, OpenTransactions } from '../../core/open-transactions.js';
import type { Clock } from '../../core/ports.js';
import { FATES, type Fate } from '../../core/report.js';
import { ApiError, type ApiProblem, type FireblocksApi } from '../../protocols/fireblocks/api.js';
import { readReport } from '../../protocols/fireblocks/report.js';
import type { Settler } from '../settling.js';

export interface SweepSettings {
  readonly api: Pick<FireblocksApi, 'transaction'>;
  readonly settle: Settler;
  readonly clock: Clock;
  readonly afterMs: number;
  readonly everyMs: number;
  readonly observer: SweepObserver;
}

/** What came of asking about one transaction. */
export type SweepResult =
  | Fate
  /** 404. */
  | 'missing'
  /** The answer is about another transaction, or one that is not paid from here. */
  | 'foreign'
  | 'unreadable'
  | 'refused';

export const SWEEP_RESULTS = [
  ...FATES,
  ...(['missing', 'foreign', 'unreadable', 'refused'] as const),
] satisfies readonly SweepResult[];

export interface SweepObserver {
  asked(transaction: OpenTransaction, answer: SweepAnswer): void;
  /** Nobody else is asked about for a while. */
  failed(problem: ApiProblem, message: string, restMs: number): void;
}

export interface SweepAnswer {
  readonly result: SweepResult;
  /** Names no value of the answer. */
  readonly problem?: string;
}

/** Of one turn; the journal is read in between. */
const MOST_CALLS = 50;
const TURN_MS = 20_000;
/** However often the vendor said that it is not over yet. */
const LONGEST_PAUSE_MS = 6 * 3_600_000;
const LONGEST_REST_MS = 3_600_000;

/** They are about one transaction; the others stop the sweep. */
const OF_ONE: ReadonlySet<ApiProblem> = new Set(['answer', 'refused', 'missing']);

export class Sweep {
  /** When each is asked about next, and how often it was. */
  readonly #asked = new WeakMap<OpenTransaction, { readonly nextMs: number; readonly times: number }>();
  #nextMs = 0;
  #failures = 0;

  constructor(private readonly settings: SweepSettings) {}

  get afterMs(): number {
    return this.settings.afterMs;
  }

  /** Rejects with a LEDGER_* code when an answer could not be recorded; it is asked for again. */
  async turn(open: OpenTransactions, signal: AbortSignal): Promise<void> {
    const { clock, everyMs, afterMs } = this.settings;
    const nowMs = clock.now();
    if (nowMs < this.#nextMs) return;
    // Whoever has waited longest for a question comes first: one that is never answered keeps nobody waiting.
    const due = open
      .approvedBefore(nowMs - afterMs)
      .filter((each) => this.#nextOf(each) <= nowMs)
      .sort((one, other) => this.#nextOf(one) - this.#nextOf(other));
    const startedAt = performance.now();
    for (const transaction of due.slice(0, MOST_CALLS)) {
      if (signal.aborted || performance.now() - startedAt > TURN_MS) return;
      if (!(await this.#ask(transaction, signal))) return;
    }
    if (due.length <= MOST_CALLS) this.#nextMs = clock.now() + everyMs;
  }

  /** False: the API does not answer anybody now. */
  async #ask(transaction: OpenTransaction, signal: AbortSignal): Promise<boolean> {
    const { api, observer } = this.settings;
    this.#postpone(transaction);
    try {
      const found = await api.transaction(transaction.txId, signal);
      this.#failures = 0;
      observer.asked(transaction, await this.#settle(transaction, found));
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (!(error instanceof ApiError)) throw error;
      if (OF_ONE.has(error.problem)) {
        const result = error.problem === 'answer' ? 'unreadable' : 'refused';
        observer.asked(transaction, { result, problem: error.message });
        return true;
      }
      this.#rest(error);
      return false;
    }
  }

  async #settle({ protocol, txId }: OpenTransaction, found: JsonObject | undefined): Promise<SweepAnswer> {
    if (found === undefined) return { result: 'missing' };
    const said = readReport(found, 'api');
    if (said.kind === 'ignored') return { result: 'foreign', problem: 'its source is none of ours' };
    if (said.kind === 'malformed') return { result: 'unreadable', problem: said.problem };
    if (said.report.moneyKey !== moneyKeyOf(protocol, txId)) return { result: 'foreign' };
    return { result: (await this.settings.settle(said)).fate };
  }

  #nextOf(transaction: OpenTransaction): number {
    return this.#asked.get(transaction)?.nextMs ?? 0;
  }

  #postpone(transaction: OpenTransaction): void {
    const { clock, everyMs } = this.settings;
    const times = (this.#asked.get(transaction)?.times ?? 0) + 1;
    const pauseMs = Math.min(everyMs * 2 ** Math.min(times - 1, 20), LONGEST_PAUSE_MS);
    this.#asked.set(transaction, { times, nextMs: clock.now() + pauseMs });
  }

  #rest({ problem, message, retryAfterMs = 0 }: ApiError): void {
    const { clock, everyMs, observer } = this.settings;
    const longest = Math.max(everyMs, LONGEST_REST_MS);
    const restMs = Math.max(retryAfterMs, Math.min(everyMs * 2 ** Math.min(this.#failures, 20), longest));
    this.#failures += 1;
    this.#nextMs = clock.now() + restMs;
    observer.failed(problem, message, restMs);
  }
}
