/** Copies that wait to be decided, one after the other. What has no place is dropped: nobody upstream may wait for a mirror. */
import type { Copy } from './copy.js';

const MOST_COPIES = 2_000;
const MOST_CHARACTERS = 64 * 1024 * 1024;

export class CopyQueue {
  readonly #waiting: Copy[] = [];
  #characters = 0;
  #isEnded = false;
  #wake: () => void = () => undefined;

  /** False: there was no place. */
  push(copy: Copy): boolean {
    const size = sizeOf(copy);
    if (this.#isEnded) return false;
    if (this.#waiting.length >= MOST_COPIES || this.#characters + size > MOST_CHARACTERS) return false;
    this.#waiting.push(copy);
    this.#characters += size;
    this.#wake();
    return true;
  }

  /** What waits is still taken; nothing more is. */
  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Copy> {
    for (;;) {
      const copy = this.#waiting.shift();
      if (copy !== undefined) {
        this.#characters -= sizeOf(copy);
        yield copy;
      } else if (this.#isEnded) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

function sizeOf({ request, answer }: Copy): number {
  return (request?.body.length ?? 0) + (answer?.body.length ?? 0);
}
