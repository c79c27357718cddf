/**
 * How long replicas wait between recoveries that come to nothing, so that those that disturb one another go out of step.
 * Locks mostly keep them apart; without locks none of them would come to an end on a ledger that takes longer than the pause.
 */

/** Milliseconds; each pause is anything up to it. */
const LONGEST = { first: 300, overtaken: 10_000 };

export class Turns {
  /** How many recoveries from this epoch, one after the other, were overtaken. */
  #overtaken = { epoch: 0, times: 0 };

  overtaken(epoch: number): void {
    this.#overtaken = { epoch, times: this.#timesFrom(epoch) + 1 };
  }

  /** Milliseconds until the next recovery from this epoch may begin: the more often it was overtaken the longer. */
  pauseMs(epoch: number): number {
    const growth = 2 ** Math.max(0, this.#timesFrom(epoch) - 1);
    return Math.random() * Math.min(LONGEST.first * growth, LONGEST.overtaken);
  }

  #timesFrom(epoch: number): number {
    return epoch === this.#overtaken.epoch ? this.#overtaken.times : 0;
  }
}
