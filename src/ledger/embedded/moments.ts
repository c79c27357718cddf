/** Moments of the embedded ledger: the same as moments.lua. They are forgotten with the last event that says so. */
import type { Charge } from '../../core/decision.js';
import { type MomentEntry, type NewOnly, newNeed } from '../../core/moments.js';
import type { Rows } from './rows.js';

export class Moments {
  readonly #rows: Rows;

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  /** Unix milliseconds; undefined when nothing is known of it. */
  since(key: string): number | undefined {
    const row = this.#rows.one('SELECT since FROM moments WHERE workspace = ? AND moment = ?', key);
    return row && Number(row.since);
  }

  /** Whether it has begun and its period is not over. One is over as soon as it has passed whole. */
  isYoung(key: string, periodMs: number, nowMs: number): boolean {
    const since = this.since(key);
    return since !== undefined && since + periodMs > nowMs;
  }

  /** @param sequence of the event that says so */
  keep({ key, sinceMs }: MomentEntry, sequence: number): void {
    this.#rows.write('INSERT OR REPLACE INTO moments VALUES (?, ?, ?, ?)', key, sinceMs, sequence);
  }

  /** Unless a later event than `to` says so too. */
  forget(key: string, to: number): void {
    this.#rows.write('DELETE FROM moments WHERE workspace = ? AND moment = ? AND sequence <= ?', key, to);
  }

  /** What new destinations need of a charge; undefined when there is none that needs anything. */
  needOfNew(newOnly: NewOnly, need: Charge['need'], nowMs: number): Charge['need'] | undefined {
    return newNeed(newOnly, need, (moment) => {
      return this.since(moment) === undefined || this.isYoung(moment, newOnly.forMs, nowMs);
    });
  }
}
