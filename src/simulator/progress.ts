/** Shows how far a run is: a bar that is drawn over on a terminal, a plain line a second elsewhere. */
import type { ProgressCounts } from './tally.js';

const BAR_WIDTH = 24;
const TERMINAL_INTERVAL_MS = 100;
const PLAIN_INTERVAL_MS = 1_000;

export interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class Progress {
  readonly #started = performance.now();
  #shown = performance.now();

  constructor(
    private readonly screen: Screen,
    private readonly total: number,
  ) {}

  show(done: number, counts: ProgressCounts): void {
    const now = performance.now();
    if (now - this.#shown < (this.screen.isTTY ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS)) return;
    this.#shown = now;
    const line = `${Math.min(done, this.total)}/${this.total}  ${this.#rate(done, now)}  ${inWords(counts)}`;
    // ESC [ K clears what a longer line left behind.
    this.screen.write(this.screen.isTTY ? `\r${this.#bar(done)} ${line}\x1b[K` : `${line}\n`);
  }

  /** Leaves a clean line for what is printed next. */
  end(): void {
    if (this.screen.isTTY) this.screen.write('\r\x1b[K');
  }

  #bar(done: number): string {
    const filled = Math.min(BAR_WIDTH, Math.round((BAR_WIDTH * done) / Math.max(1, this.total)));
    return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
  }

  #rate(done: number, now: number): string {
    return `${((done * 1_000) / Math.max(1, now - this.#started)).toFixed(0)}/s`;
  }
}

function inWords({ APPROVE, REJECT, RETRY, IGNORE, refused, lost, violations }: ProgressCounts): string {
  const parts = [
    `${APPROVE} approved`,
    `${REJECT} rejected`,
    ...(RETRY > 0 ? [`${RETRY} to ask again`] : []),
    ...(IGNORE > 0 ? [`${IGNORE} ignored`] : []),
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(violations > 0 ? [`${violations} WRONG`] : []),
  ];
  return parts.join(', ');
}
