/** The audit trail: what exporters have written of the log, which is on a disk of its own. It lags behind. */
import type { ExportedLog } from '../../src/core/fence.js';
import type { Entry } from './events.js';

export class Trail {
  #entries: readonly Entry[] = [];
  #isSetBack = false;

  /** The last event that it holds. */
  get sequence(): number {
    return this.#entries.at(-1)?.sequence ?? 0;
  }

  /** Takes what it lacks. Of a ledger that was set back, and says otherwise than before, it takes nothing any more. */
  take(journal: readonly Entry[]): void {
    const known = this.#entries.at(-1);
    const again = journal.find(({ sequence }) => sequence === known?.sequence);
    this.#isSetBack ||= again !== undefined && again.event !== known?.event;
    if (this.#isSetBack) return;
    this.#entries = [...this.#entries, ...journal.filter(({ sequence }) => sequence > this.sequence)];
  }

  /** As an operator finds it; undefined while there is nothing in it. */
  exported(ledger: string): (ExportedLog & { readonly entries: readonly Entry[] }) | undefined {
    const entries = this.#entries;
    if (entries.length === 0) return undefined;
    return {
      ledger,
      after: 0,
      sequence: this.sequence,
      entries,
      async *events() {
        for (const { sequence, at, body } of entries) {
          const { type, ...rest } = body;
          yield { sequence, atMs: at, type, bodyText: JSON.stringify(rest) };
        }
      },
    };
  }
}
