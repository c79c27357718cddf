/** One counter of a limit as it should be, counted with BigInt: what each transaction holds in its window, and since when. */
import type { Window } from '../workload/limits.js';
import type { Charged } from './entries.js';

const HOUR_MS = 3_600_000;

export class Counter {
  readonly #window: Window;
  readonly #held = new Map<string, { readonly need: bigint; readonly atMs: number }>();
  #hour = 0;

  constructor(window: Window) {
    this.#window = window;
  }

  /**
   * An approval at this instant. A transaction counts once, for the most that was approved of it, however many stages,
   * approvers and signers it has.
   */
  charge(tx: string, need: bigint, atMs: number): Charged {
    this.#drop(atMs);
    const before = this.#held.get(tx)?.need ?? 0n;
    const now = need > before ? need : before;
    this.#held.set(tx, { need: now, atMs });
    return { added: now - before, total: this.#total() };
  }

  /** Takes away what a transaction holds; returns it, or nothing when it may be outside its window at this instant. */
  giveBack(tx: string, atMs: number): bigint | undefined {
    const held = this.#held.get(tx);
    this.#held.delete(tx);
    const window = this.#window;
    const isInside =
      window.kind === 'lifetime' ||
      (window.kind === 'rolling' && (held?.atMs ?? 0) >= atMs - window.lengthMs);
    return isInside ? held?.need : undefined;
  }

  #drop(atMs: number): void {
    const { kind } = this.#window;
    if (kind === 'hour' && Math.floor(atMs / HOUR_MS) !== this.#hour) {
      this.#held.clear();
      this.#hour = Math.floor(atMs / HOUR_MS);
    }
    if (kind !== 'rolling') return;
    for (const [tx, entry] of this.#held)
      if (entry.atMs < atMs - this.#window.lengthMs) this.#held.delete(tx);
  }

  #total(): bigint {
    let total = 0n;
    for (const { need } of this.#held.values()) total += need;
    return total;
  }
}
