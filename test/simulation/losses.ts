/**
 * What an operator is told to be lost when most witnesses have lost their disks, held against what was told before: what
 * somebody still knows is kept, and of the rest nothing is passed over in silence.
 */
import type { Remains } from '../../src/core/fence.js';
import { Broken } from './broken.js';
import { coveredBy, type Entry } from './events.js';

/** Something that somebody was told. */
export interface Told {
  readonly text: string;
  readonly sequence: number;
  /** When the server said so. */
  readonly saidAt: number;
  /** It was not recorded before. */
  readonly since: number;
  /** Whether this event is what was told. */
  readonly isIn: (body: Entry['body'] | undefined) => boolean;
}

/** A place in which events may still be, as it is now. */
export type Place = (sequence: number) => Entry['body'] | undefined;

interface Attempt {
  readonly remains: Remains;
  readonly signedAt: number;
  /** What somebody had been told by then, and was known in any place. */
  readonly left: readonly Told[];
}

interface Loss extends Attempt {
  /** The log that it made the ledger, and what a checkpoint of it covers. */
  readonly events: ReadonlyMap<number, Entry['body']>;
  readonly covered: number;
}

export class Losses {
  /** By the names of the statements that were signed. */
  readonly #attempts = new Map<string, Attempt>();
  readonly #losses = new Map<string, Loss>();
  /** What had a number, and was said to be lost. */
  readonly #gone = new Map<number, string>();
  readonly #isForgettable: (since: number) => boolean;

  /** @param isForgettable of what was not recorded before then */
  constructor(isForgettable: (since: number) => boolean) {
    this.#isForgettable = isForgettable;
  }

  /** An operator is shown this, and signs. Returns the name of his statement. */
  signed(
    { remains, signedAt }: Pick<Attempt, 'remains' | 'signedAt'>,
    told: readonly Told[],
    places: readonly Place[],
  ): string {
    const name = `statement-${this.#attempts.size + 1}`;
    const left = told.filter(({ sequence, isIn }) => places.some((bodyAt) => isIn(bodyAt(sequence))));
    this.#attempts.set(name, { remains, signedAt, left });
    return name;
  }

  /** What is lost by the words of operators that this log is the ledger by, and that it was not by before. */
  found(journal: readonly Entry[], told: readonly Told[]): readonly Told[] {
    return journal.flatMap(({ body }) => {
      const name = body.type === 'activation' ? body.statement : '';
      const attempt = this.#attempts.get(name);
      if (attempt === undefined || this.#losses.has(name)) return [];
      const events = new Map(journal.map((entry) => [entry.sequence, entry.body]));
      const loss = { ...attempt, events, covered: coveredBy(journal) };
      for (const each of attempt.left) {
        if (!told.includes(each) || this.#isKept(each, loss)) continue;
        throw new Broken('what is left is kept', `${each.text}: somebody knew it, and it is gone`);
      }
      this.#losses.set(name, loss);
      return told.filter((each) => this.#isLost(each, loss));
    });
  }

  /** It was recorded before a loss, and is told only now. */
  isTooLate(told: Told): boolean {
    return [...this.#losses.values()].some((loss) => this.#isLost(told, loss));
  }

  /** Nothing gets the number of something that is known to have had it. */
  checkNumber({ text, sequence }: Told): void {
    const gone = this.#gone.get(sequence);
    if (gone === undefined || gone === text) return;
    throw new Broken('one number each', `event ${sequence} was, and is lost: ${gone}; and it is: ${text}`);
  }

  #isKept({ sequence, since, isIn }: Told, { events, covered }: Loss): boolean {
    return isIn(events.get(sequence)) || (sequence <= covered && this.#isForgettable(since));
  }

  #isLost(told: Told, loss: Loss): boolean {
    const { text, sequence } = told;
    if (told.saidAt > loss.signedAt || this.#isKept(told, loss)) return false;
    const { lost, isEndCertain, sequence: last } = loss.remains;
    const isNamed = lost.some(([first, end]) => first <= sequence && sequence <= end);
    // What nobody answered may stand under a number near the end of what is known.
    const isAtEnd = !isEndCertain && (sequence > last || loss.events.has(sequence));
    if (!isNamed && !isAtEnd) {
      throw new Broken('what is lost is told', `${text}: it is gone, and no operator was told`);
    }
    if (sequence <= last) this.#gone.set(sequence, text);
    return true;
  }
}
