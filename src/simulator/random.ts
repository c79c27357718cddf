/**
 * Seeded choices. Every ask draws from a stream of its own, so what is asked depends on the seed and the ask's place
 * in the run alone, never on which answer came first.
 */
import { createHash } from 'node:crypto';

export class Random {
  #pool = Buffer.alloc(0);
  #blocks = 0;

  constructor(
    private readonly seed: string,
    private readonly label: string,
  ) {}

  bytes(length: number): Buffer {
    while (this.#pool.length < length) {
      const block = createHash('sha256').update(JSON.stringify([this.seed, this.label, this.#blocks]));
      this.#pool = Buffer.concat([this.#pool, block.digest()]);
      this.#blocks += 1;
    }
    const taken = this.#pool.subarray(0, length);
    this.#pool = this.#pool.subarray(length);
    return taken;
  }

  /** A whole number from 0 up to, and without, `bound`, which must be below 2^32. */
  below(bound: number): number {
    return this.bytes(6).readUIntBE(0, 6) % bound;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  bigBelow(bound: bigint): bigint {
    return BigInt(`0x${this.bytes(40).toString('hex')}`) % bound;
  }

  /** True in `percent` of a hundred cases. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  shuffled<T>(items: readonly T[]): T[] {
    const keyed = items.map((item) => ({ item, order: this.bytes(6).readUIntBE(0, 6) }));
    return keyed.sort((a, b) => a.order - b.order).map(({ item }) => item);
  }

  /** A version 4 UUID (RFC 9562), the form of transaction ids in the vendor's samples. */
  uuid(): string {
    const hex = this.bytes(16).toString('hex');
    const variant = '89ab'[this.below(4)];
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}
