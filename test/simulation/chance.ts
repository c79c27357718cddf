/** Seeded choices: the same seed gives the same schedule, on every machine. */
export class Chance {
  readonly #seed: number;
  #state: number;

  constructor(seed: number) {
    this.#seed = Math.imul(seed, 0x85ebca6b) | 0;
    this.#state = this.#seed;
  }

  /** Begins again at this place: what is chosen after it depends on nothing that was chosen before. */
  begin(place: number): void {
    this.#state = (this.#seed ^ Math.imul(place + 1, 0x9e3779b1)) | 0;
    this.#state = Math.floor(this.next() * 2 ** 32) | 0;
  }

  /** From 0 up to, and without, 1. The generator is mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** Both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  /** Undefined of nothing. */
  pick<T>(choices: readonly T[]): T | undefined {
    return choices[this.below(choices.length)];
  }
}
