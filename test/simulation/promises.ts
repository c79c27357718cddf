/**
 * What the ledger promises, checked on what co-signers and operators were told. Nothing here knows how the promises are
 * kept.
 */
import { type Entry, LIMIT, type Question, totalOf, type Verdict } from './events.js';

export type Promised =
  | 'one answer'
  | 'the limit'
  | 'one number each'
  | 'the order of time'
  | 'nothing answered is lost'
  | 'a freeze holds'
  | 'it comes back'
  | 'no defect';

export class Broken extends Error {
  readonly promised: Promised;

  constructor(promised: Promised, message: string) {
    super(`${promised}: ${message}`);
    this.promised = promised;
  }
}

export interface Answer extends Verdict {
  readonly kind: 'decision' | 'conflict';
  readonly sequence: number;
}

interface Answered {
  readonly question: Question;
  readonly answer: Answer;
  readonly askedAt: number;
  readonly answeredAt: number;
}

export class Promises {
  /** Steps of the schedule. */
  now = 0;
  readonly #askedAt = new Map<string, number>();
  readonly #answered = new Map<string, Answered>();
  /** What was decided about an ask, whatever contents it was asked with. */
  readonly #decided = new Map<string, Answered>();
  readonly #acknowledged = new Map<number, string>();
  readonly #note: (text: string) => void;

  /** @param note is told what was said, for the trace */
  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  get answers(): number {
    return this.#answered.size;
  }

  /** How many things were said; more is promised only when this grows. */
  get said(): number {
    return this.#answered.size + this.#acknowledged.size;
  }

  isAnswered(question: Question): boolean {
    return this.#answered.has(keyOf(question));
  }

  asked(question: Question): void {
    const key = keyOf(question);
    if (!this.#askedAt.has(key)) this.#askedAt.set(key, this.now);
  }

  /** A replica gave this answer to a co-signer. */
  answered(question: Question, answer: Answer): void {
    const key = keyOf(question);
    this.#note(`told: ${key} is ${textOf(answer)}`);
    const known = this.#answered.get(key);
    if (known !== undefined) {
      if (textOf(known.answer) !== textOf(answer)) {
        throw new Broken(
          'one answer',
          `${key} was answered ${textOf(known.answer)} and then ${textOf(answer)}`,
        );
      }
      return;
    }
    const fresh = { question, answer, askedAt: this.#askedAt.get(key) ?? 0, answeredAt: this.now };
    this.#checkNumber(key, fresh);
    this.#answered.set(key, fresh);
    if (answer.kind === 'conflict') return;
    const other = this.#decided.get(question.ask);
    if (other !== undefined) {
      throw new Broken(
        'one answer',
        `${question.ask} was decided as ${other.question.content} and ${question.content}`,
      );
    }
    this.#decided.set(question.ask, fresh);
    this.#checkLimit();
  }

  /** An operator was told that a change is in force. */
  acknowledged(sequence: number, what: string): void {
    this.#note(`told: ${what} is in force (event ${sequence})`);
    const taken = this.#acknowledged.get(sequence);
    if (taken !== undefined && taken !== what) {
      throw new Broken('one number each', `event ${sequence} is ${taken} and ${what}`);
    }
    this.#acknowledged.set(sequence, what);
  }

  /** The ledger as it is in the end, after everything is well again. */
  checkLog(journal: readonly Entry[]): void {
    const events = new Map(journal.map((entry) => [entry.sequence, entry.body]));
    for (const [key, { question, answer }] of this.#answered) {
      const body = events.get(answer.sequence);
      const isThere =
        body?.type === answer.kind &&
        'ask' in body &&
        keyOf(body) === keyOf(question) &&
        body.effect === answer.effect &&
        body.reason === answer.reason;
      if (!isThere) {
        throw new Broken(
          'nothing answered is lost',
          `${key} was answered ${textOf(answer)}; event ${answer.sequence} is ${JSON.stringify(body)}`,
        );
      }
    }
    for (const [sequence, what] of this.#acknowledged) {
      const body = events.get(sequence);
      if (body === undefined || changeText(body) !== what) {
        throw new Broken(
          'nothing answered is lost',
          `${what} was acknowledged as event ${sequence}, which is ${JSON.stringify(body)}`,
        );
      }
    }
    checkFreezes(journal);
  }

  #checkNumber(key: string, { answer, askedAt }: Answered): void {
    for (const [otherKey, other] of this.#answered) {
      if (other.answer.sequence === answer.sequence) {
        throw new Broken('one number each', `event ${answer.sequence} answers ${otherKey} and ${key}`);
      }
      if (other.answeredAt < askedAt && other.answer.sequence > answer.sequence) {
        throw new Broken(
          'the order of time',
          `${otherKey} was answered as event ${other.answer.sequence} before ${key} was asked, which is event ${answer.sequence}`,
        );
      }
    }
  }

  #checkLimit(): void {
    const held = new Map<string, number>();
    for (const { question, answer } of this.#decided.values()) {
      if (answer.effect !== 'approve') continue;
      held.set(question.money, Math.max(question.amount, held.get(question.money) ?? 0));
    }
    if (totalOf(held) > LIMIT) {
      throw new Broken('the limit', `${totalOf(held)} of ${LIMIT} were approved`);
    }
  }
}

/** What was approved after a freeze and before it was lifted. */
function checkFreezes(journal: readonly Entry[]): void {
  const standing = new Set<string>();
  for (const { sequence, body } of journal) {
    if (body.type === 'freeze') standing.add(body.id);
    if (body.type === 'unfreeze') standing.delete(body.id);
    if (body.type === 'decision' && body.effect === 'approve' && standing.size > 0) {
      throw new Broken('a freeze holds', `event ${sequence} approves while ${[...standing]} stands`);
    }
  }
}

export function changeText(body: Entry['body']): string {
  const { type } = body;
  return `${type} ${'id' in body ? body.id : ''}${'version' in body ? body.version : ''}`;
}

function keyOf({ ask, content }: Question): string {
  return `${ask} as ${content}`;
}

function textOf({ kind, effect, reason, sequence }: Answer): string {
  return `${kind} ${effect} ${reason} (event ${sequence})`;
}
