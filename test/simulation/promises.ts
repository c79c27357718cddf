/**
 * What the ledger promises, checked on what co-signers and operators were told. Nothing here knows how the promises are
 * kept.
 */
import type { Remains } from '../../src/core/fence.js';
import { mergeFate, type SettlingReport } from '../../src/core/report.js';
import { fateText } from '../../src/ledger/journal-body.js';
import { Broken } from './broken.js';
import {
  COOLING_STEPS,
  coveredBy,
  type Entry,
  LIMIT,
  MOST_DESTINATIONS,
  type Question,
  type Verdict,
} from './events.js';
import { TOLERANCE_STEPS } from './ledger-model.js';
import { Losses, type Place, type Told } from './losses.js';

export interface Answer extends Verdict {
  readonly kind: 'decision' | 'conflict';
  readonly sequence: number;
  /** When the server said so. */
  readonly saidAt: number;
}

interface Answered extends Told {
  readonly question: Question;
  readonly answer: Answer;
  readonly answeredAt: number;
}

interface Acknowledged extends Told {
  readonly what: string;
}

/** By so much a time in the log may differ from the true one. */
const TOLERANCE = 2 * TOLERANCE_STEPS;

export class Promises {
  /** Steps of the schedule. */
  now = 0;
  readonly #retention: number;
  readonly #askedAt = new Map<string, number>();
  readonly #answered = new Map<string, Answered>();
  /** What was decided about an ask, whatever contents it was asked with. */
  readonly #decided = new Map<string, Answered>();
  /** What was approved of each transaction at most, and to whom. */
  readonly #approved = new Map<string, number>();
  readonly #destinations = new Set<string>();
  readonly #acknowledged = new Map<number, Acknowledged>();
  /** When a report about the transaction was first sent, and what was said to be recorded of it. */
  readonly #reportedAt = new Map<string, number>();
  readonly #reported = new Map<string, Set<SettlingReport>>();
  readonly #released = new Set<string>();
  /** Of which it was said that no signature can exist, rightly or not: they may hold nothing any more. */
  readonly #unsigned = new Set<string>();
  /** The highest event that lifted a freeze, told or not. */
  #lifted = 0;
  readonly #losses = new Losses((since) => this.#isForgettable(since));
  readonly #note: (text: string) => void;
  #saidMore = 0;

  /**
   * @param retention for so many steps what was decided is kept
   * @param note is told what was said, for the trace
   */
  constructor(retention: number, note: (text: string) => void) {
    this.#retention = retention;
    this.#note = note;
  }

  get answers(): number {
    return this.#answered.size;
  }

  /** How many things were said; more is promised only when this grows. */
  get said(): number {
    return this.#saidMore;
  }

  isAnswered(question: Question): boolean {
    return this.#answered.has(keyOf(question)) || this.#answered.has(withdrawnKeyOf(question));
  }

  asked(question: Question): void {
    const key = keyOf(question);
    if (!this.#askedAt.has(key)) this.#askedAt.set(key, this.now);
  }

  /** A replica gave this answer to a co-signer. */
  answered(question: Question, answer: Answer): void {
    const isWithdrawn = answer.reason === 'RELEASED_BEFORE';
    const key = isWithdrawn ? withdrawnKeyOf(question) : keyOf(question);
    this.#note(`told: ${key} is ${textOf(answer)}`);
    const known = this.#answered.get(key);
    const firstAsked = this.#askedAt.get(keyOf(question)) ?? 0;
    if (known !== undefined && textOf(known.answer) === textOf(answer)) return;
    const told = toldOf(question, answer, firstAsked);
    if (this.#losses.isTooLate(told)) return;
    if (known !== undefined) {
      // Told so late that the decision has been forgotten since, and made anew.
      if (answer.sequence < known.answer.sequence && this.#isForgettable(firstAsked)) return;
      if (!this.#isForgettable(known.since)) {
        throw new Broken(
          'one answer',
          `${key} was answered ${textOf(known.answer)} and then ${textOf(answer)}`,
        );
      }
    }
    // What is decided anew was not recorded before the old decision was forgotten.
    const since = known === undefined ? firstAsked : known.since + this.#retention - TOLERANCE;
    const fresh = { ...told, since, question, answer, answeredAt: this.now };
    this.#checkNumber(key, fresh);
    this.#saidMore += 1;
    this.#answered.set(key, fresh);
    if (answer.kind === 'decision' && !isWithdrawn) this.#checkDecision(fresh);
  }

  /** An operator was told that a change is in force. */
  acknowledged(
    sequence: number,
    { what, ...recorded }: Pick<Acknowledged, 'what' | 'since' | 'saidAt'>,
  ): void {
    this.#note(`told: ${what} is in force (event ${sequence})`);
    const taken = this.#acknowledged.get(sequence);
    if (taken?.what === what) return;
    const told: Acknowledged = {
      ...recorded,
      what,
      sequence,
      text: `${what} was acknowledged as event ${sequence}`,
      isIn: (body) => body !== undefined && changeText(body) === what,
    };
    if (this.#losses.isTooLate(told)) return;
    if (taken !== undefined) {
      throw new Broken('one number each', `event ${sequence} is ${taken.what} and ${what}`);
    }
    this.#losses.checkNumber(told);
    this.#saidMore += 1;
    this.#acknowledged.set(sequence, told);
  }

  /** Somewhere a freeze was lifted by this event, and nobody may ever hear of it. */
  lifted(sequence: number): void {
    this.#lifted = Math.max(sequence, this.#lifted);
  }

  /** A vendor begins to tell of a transaction. */
  reporting({ moneyKey, fate }: SettlingReport): void {
    if (!this.#reportedAt.has(moneyKey)) this.#reportedAt.set(moneyKey, this.now);
    if (fate === 'never-signed') this.#unsigned.add(moneyKey);
  }

  /** The vendor was told that its report is recorded. */
  reported(report: SettlingReport): void {
    const { moneyKey, fate } = report;
    this.#note(`told: it is recorded that ${moneyKey} is ${fate}`);
    const known = this.#reported.get(moneyKey) ?? new Set();
    if (!known.has(report)) this.#saidMore += 1;
    this.#reported.set(moneyKey, known.add(report));
  }

  /** The vendor will not tell of it again, since what it held was given back. */
  released(money: string): void {
    this.#note(`told: what ${money} held was given back`);
    if (!this.#released.has(money)) this.#saidMore += 1;
    this.#released.add(money);
  }

  /** The highest number of which somebody was told. */
  get highest(): number {
    return Math.max(0, ...this.#told().map(({ sequence }) => sequence));
  }

  /**
   * An operator is shown what is known of a ledger most of whose witnesses have lost their disks, and signs that it is to be
   * the ledger. Returns the name of his statement.
   */
  signed(remains: Remains, places: readonly Place[]): string {
    const name = this.#losses.signed({ remains, signedAt: this.now }, this.#told(), places);
    const { events, sequence, lost, isEndCertain } = remains;
    const end = isEndCertain ? 'certainly' : 'perhaps';
    this.#note(`told: ${name}, ${events} events, ${end} up to ${sequence}, without ${JSON.stringify(lost)}`);
    return name;
  }

  /** A ledger as it is, or as a recovery would find it. */
  checkLog(journal: readonly Entry[]): void {
    for (const lost of this.#losses.found(journal, this.#told())) this.#forgive(lost);
    const log: Log = { journal, covered: coveredBy(journal), events: new Map() };
    for (const { sequence, body } of journal) log.events.set(sequence, body);
    for (const told of this.#told()) this.#checkTold(log, told);
    this.#checkReports(log);
    this.#checkFreezes(log);
    checkReleases(journal);
    checkCooling(journal);
  }

  /** What was first asked, or told, at that time may be older than the retention. */
  #isForgettable(since: number): boolean {
    return this.now >= since + this.#retention - TOLERANCE;
  }

  #isForgotten({ covered }: Log, sequence: number, since: number): boolean {
    return sequence <= covered && this.#isForgettable(since);
  }

  #told(): readonly Told[] {
    return [...this.#answered.values(), ...this.#acknowledged.values()];
  }

  #checkTold(log: Log, { text, sequence, since, isIn }: Told): void {
    const body = log.events.get(sequence);
    if (isIn(body) || (body === undefined && this.#isForgotten(log, sequence, since))) return;
    throw lost(`${text}, which is ${JSON.stringify(body)}`);
  }

  /** An operator knows that it may be lost: it may be decided anew, and limits have room for it. */
  #forgive(told: Told): void {
    this.#note(`lost: ${told.text}`);
    for (const [key, each] of this.#answered) if (each === told) this.#answered.delete(key);
    for (const [ask, each] of this.#decided) if (each === told) this.#decided.delete(ask);
    for (const [sequence, each] of this.#acknowledged) if (each === told) this.#acknowledged.delete(sequence);
    this.#approved.clear();
    this.#destinations.clear();
    for (const { question, answer } of this.#answered.values()) this.#approve(question, answer);
  }

  /** Each report that was said to be recorded adds nothing to what is known. */
  #checkReports({ journal }: Log): void {
    for (const [money, reports] of this.#reported) {
      if (this.#isForgettable(this.#reportedAt.get(money) ?? 0)) continue;
      const newest = journal.findLast(({ body }) => body.type === 'report' && body.money === money)?.body;
      const known = newest?.type === 'report' ? newest.known : undefined;
      const fate = known && fateText(known);
      for (const report of reports) {
        if (known !== undefined && fateText(mergeFate(known, report)) === fate) continue;
        throw lost(`it was recorded that ${money} is ${report.fate}, and what is known is ${fate}`);
      }
      const isReleased = journal.some(({ body }) => body.type === 'release' && body.money === money);
      if (this.#released.has(money) && !isReleased) throw lost(`what ${money} held was given back`);
    }
  }

  /** What was approved after a freeze and before it was lifted. */
  #checkFreezes({ journal, covered }: Log): void {
    const standing = new Set<string>();
    for (const [sequence, { what }] of this.#acknowledged) {
      if (what.startsWith('freeze ') && sequence <= covered && sequence > this.#lifted) standing.add(what);
    }
    for (const { sequence, body } of journal) {
      if (body.type === 'freeze') standing.add(changeText(body));
      if (body.type === 'unfreeze') standing.clear();
      if (body.type === 'decision' && body.effect === 'approve' && standing.size > 0 && sequence > covered) {
        throw new Broken('a freeze holds', `event ${sequence} approves while ${[...standing]} stands`);
      }
    }
  }

  #checkDecision(fresh: Answered): void {
    const { question, answer } = fresh;
    const { ask, content } = question;
    const other = this.#decided.get(ask);
    if (other !== undefined && other.question.content !== content && !this.#isForgettable(other.since)) {
      throw new Broken('one answer', `${ask} was decided as ${other.question.content} and ${content}`);
    }
    this.#decided.set(ask, fresh);
    this.#approve(question, answer);
    this.#checkLimits();
  }

  #approve({ money, amount, to }: Question, { kind, effect }: Answer): void {
    if (kind !== 'decision' || effect !== 'approve') return;
    this.#approved.set(money, Math.max(amount, this.#approved.get(money) ?? 0));
    if (to !== '') this.#destinations.add(to);
  }

  #checkNumber(key: string, fresh: Answered): void {
    const { answer, since } = fresh;
    this.#losses.checkNumber(fresh);
    for (const [otherKey, other] of this.#answered) {
      if (other.answer.sequence === answer.sequence) {
        throw new Broken('one number each', `event ${answer.sequence} answers ${otherKey} and ${key}`);
      }
      if (other.answeredAt < since && other.answer.sequence > answer.sequence) {
        throw new Broken(
          'the order of time',
          `${otherKey} was answered as event ${other.answer.sequence} before ${key} was asked, which is event ${answer.sequence}`,
        );
      }
    }
  }

  /** Whatever may have been given back is not counted, and nothing twice: what is counted was certainly approved. */
  #checkLimits(): void {
    let total = 0;
    for (const [money, amount] of this.#approved) if (!this.#unsigned.has(money)) total += amount;
    if (total > LIMIT) throw new Broken('the limit', `${total} of ${LIMIT} were approved`);
    const { size } = this.#destinations;
    if (size > MOST_DESTINATIONS) {
      throw new Broken('the limit', `${size} destinations of ${MOST_DESTINATIONS} were approved`);
    }
  }
}

interface Log {
  readonly journal: readonly Entry[];
  /** The last event that a checkpoint of it covers. */
  readonly covered: number;
  readonly events: Map<number, Entry['body']>;
}

/** What a report said may be signed is not given back, and what was given back is not approved. */
function checkReleases(journal: readonly Entry[]): void {
  const [signed, released] = [new Set<string>(), new Set<string>()];
  for (const { sequence, body } of journal) {
    if (body.type === 'report' && body.known.signed) signed.add(body.money);
    if (body.type === 'release') {
      if (signed.has(body.money)) {
        throw new Broken(
          'a release is right',
          `event ${sequence} releases ${body.money}, which may be signed`,
        );
      }
      released.add(body.money);
    }
    if (body.type === 'decision' && body.effect === 'approve' && released.has(body.money)) {
      throw new Broken('a release is right', `event ${sequence} approves ${body.money}, which was released`);
    }
  }
}

/** What was paid to a destination too soon after it was whitelisted. */
function checkCooling(journal: readonly Entry[]): void {
  const since = new Map<string, number>();
  for (const { sequence, at, body } of journal) {
    if (body.type !== 'decision' || body.effect !== 'approve') continue;
    const whitelisted = since.get(body.to);
    if (whitelisted !== undefined && at < whitelisted + COOLING_STEPS) {
      throw new Broken('a destination cools off', `event ${sequence} pays ${body.to} too early`);
    }
    if (body.whitelists !== undefined) since.set(body.whitelists, at);
  }
}

function toldOf(question: Question, answer: Answer, since: number): Told {
  const { kind, effect, reason, sequence, saidAt } = answer;
  return {
    text: `${keyOf(question)} was answered ${textOf(answer)}`,
    sequence,
    saidAt,
    since,
    isIn: (body) =>
      body?.type === kind &&
      'ask' in body &&
      keyOf(body) === keyOf(question) &&
      body.effect === effect &&
      body.reason === reason,
  };
}

function lost(message: string): Broken {
  return new Broken('nothing answered is lost', message);
}

export function changeText(body: Entry['body']): string {
  const { type } = body;
  return `${type} ${'id' in body ? body.id : ''}${'version' in body ? body.version : ''}`;
}

function keyOf({ ask, content }: Question): string {
  return `${ask} as ${content}`;
}

/** An approval may be followed by this one other answer: what it held was given back. */
function withdrawnKeyOf(question: Question): string {
  return `${keyOf(question)} after its release`;
}

function textOf({ kind, effect, reason, sequence }: Answer): string {
  return `${kind} ${effect} ${reason} (event ${sequence})`;
}
