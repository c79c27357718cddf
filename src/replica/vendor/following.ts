/**
 * Follows the journal of one workspace for transactions that were approved and have not ended. What is known comes from
 * the journal alone, so that another replica knows the same as soon as it has read it; one of them does, at half speed,
 * and what no recovery can leave out.
 */
import { messageOf } from '../../core/errors.js';
import { moneyKeyOf } from '../../core/fingerprint.js';
import { isFinal, type OpenTransaction, OpenTransactions } from '../../core/open-transactions.js';
import type { Clock, Ledger } from '../../core/ports.js';
import type { OpenFigures } from '../../telemetry/vendor-metrics.js';
import { rest } from '../elected.js';

export interface FollowSettings {
  readonly ledger: Pick<Ledger, 'events' | 'exports' | 'fateOf'>;
  readonly clock: Clock;
  /** One that was approved longer ago is overdue. */
  readonly unfinishedAfterMs: number;
  readonly observer: FollowObserver;
  /** Asks about those that are overdue for it; may take a while, and is called again and again. */
  readonly sweep?: {
    readonly afterMs: number;
    turn(open: OpenTransactions, signal: AbortSignal): Promise<void>;
  };
  readonly pollMs?: number;
}

export interface FollowObserver {
  followed(figures: OpenFigures): void;
}

const PAGE_EVENTS = 500;
const POLL_MS = 2_000;
/** Of one turn: each is a question to the ledger. */
const MOST_CONFIRMED = 100;

export class Follower {
  #open = new OpenTransactions();
  #confirmed = new WeakSet<OpenTransaction>();
  #identity: string | undefined;
  #position = 0;

  constructor(private readonly settings: FollowSettings) {}

  /** Until the signal aborts. Rejects with a LEDGER_* code; when it is called again it goes on where it was. */
  async follow(signal: AbortSignal): Promise<void> {
    const { observer, sweep, pollMs = POLL_MS } = this.settings;
    try {
      while (!signal.aborted) {
        const startedAt = performance.now();
        const isCaughtUp = await this.#read();
        if (isCaughtUp) {
          await this.#confirm();
          observer.followed(this.#figures());
          await sweep?.turn(this.#open, signal);
        }
        await rest(isCaughtUp ? pollMs : performance.now() - startedAt, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Whether there was nothing more to read. */
  async #read(): Promise<boolean> {
    const { ledger } = this.settings;
    const { identity, newest } = await ledger.exports.state();
    // Another ledger, or one that was set back: what was read of it says nothing.
    if (identity !== this.#identity || newest < this.#position) {
      this.#open = new OpenTransactions();
      this.#identity = identity;
      this.#position = 0;
    }
    if (newest <= this.#position) return true;
    const page = await ledger.events(this.#position, PAGE_EVENTS);
    const events = page.filter(({ sequence }) => sequence <= newest);
    for (const event of events) this.#open.take(event);
    this.#position = events.at(-1)?.sequence ?? newest;
    return this.#position >= newest;
  }

  /** Of some the end was recorded before their approval, and no later event tells it. */
  async #confirm(): Promise<void> {
    const { ledger, clock, unfinishedAfterMs, sweep } = this.settings;
    const afterMs = Math.min(unfinishedAfterMs, sweep?.afterMs ?? unfinishedAfterMs);
    const overdue = this.#open
      .approvedBefore(clock.now() - afterMs)
      .filter((transaction) => !this.#confirmed.has(transaction));
    for (const transaction of overdue.slice(0, MOST_CONFIRMED)) {
      const known = await ledger.fateOf(moneyKeyOf(transaction.protocol, transaction.txId));
      this.#confirmed.add(transaction);
      if (known !== undefined && isFinal(known.fate)) this.#open.ended(transaction);
    }
  }

  #figures(): OpenFigures {
    const { clock, unfinishedAfterMs } = this.settings;
    return {
      open: this.#open.size,
      unfinished: this.#open.approvedBefore(clock.now() - unfinishedAfterMs).length,
      oldestMs: this.#open.oldest?.approvedAtMs,
      forgotten: this.#open.forgotten,
    };
  }
}

/** One line when following begins to fail, and one when it is well again. */
export function followingLog(log: {
  readonly failing: (problem: string) => void;
  readonly well: () => void;
}): { failed(error: unknown): void; followed(): void } {
  let isFailing = false;
  return {
    failed(error) {
      if (!isFailing) log.failing(messageOf(error));
      isFailing = true;
    },
    followed() {
      if (isFailing) log.well();
      isFailing = false;
    },
  };
}
