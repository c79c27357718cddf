/**
 * What waits for a decision in one workspace: what this replica has seen of it, and what all have, as the board said
 * last. Nothing here waits for anything, so it may stand on the path of a request.
 */
import type { Board, Sighting, WaitingAbout, WaitingAsk } from '../core/waiting.js';
import { deliveriesOf, MAX_BOARD } from '../core/waiting.js';

const MOST_ENTRIES = 10_000;
/** Asked about more recently than this it cannot have been decided elsewhere since. */
const FRESH_MS = 30_000;

interface Own extends Sighting {
  /** The board has it, as far as we know. */
  readonly isPosted: boolean;
}

export class Waitlist {
  /** The one that was asked about longest ago comes first. */
  readonly #own = new Map<string, Own>();
  #board = new Map<string, WaitingAsk>();
  /** Decided by us while others may list them. */
  readonly #over = new Set<string>();
  /** Where the next look at what is silent begins. */
  #turn = 0;

  constructor(private readonly replica: string) {}

  /** Returns whether another ask had to be forgotten for it. */
  asked(askKey: string, about: WaitingAbout, nowMs: number): boolean {
    const before = this.#own.get(askKey)?.deliveries;
    this.#own.delete(askKey);
    const [longestSilent] = this.#own.keys();
    const isFull = this.#own.size >= MOST_ENTRIES && longestSilent !== undefined;
    if (isFull) this.#own.delete(longestSilent);
    this.#own.set(askKey, {
      askKey,
      about,
      deliveries: { firstMs: before?.firstMs ?? nowMs, lastMs: nowMs, count: (before?.count ?? 0) + 1 },
      isPosted: false,
    });
    this.#over.delete(askKey);
    return isFull;
  }

  decided(askKey: string): void {
    if (this.#own.size === 0 && this.#board.size === 0) return;
    const isListed = this.#own.delete(askKey) || this.#board.has(askKey);
    if (isListed && this.#over.size < MOST_ENTRIES) this.#over.add(askKey);
  }

  /** To be taken off the board. */
  get over(): readonly string[] {
    return [...this.#over];
  }

  removed(askKeys: readonly string[]): void {
    for (const askKey of askKeys) this.#over.delete(askKey);
  }

  get isEmpty(): boolean {
    return this.#own.size === 0 && this.#board.size === 0;
  }

  /** What the board lacks, those that wait longest first. */
  unposted(most: number): readonly Sighting[] {
    return [...this.#own.values()]
      .filter(({ isPosted }) => !isPosted)
      .sort((one, other) => one.deliveries.firstMs - other.deliveries.firstMs)
      .slice(0, most);
  }

  /** What was asked about meanwhile is another object, and goes with the next post. */
  posted(sightings: readonly Sighting[]): void {
    for (const sighting of sightings) this.#mark(sighting, true);
  }

  /** The board as it is now. */
  listed({ asks }: Board): void {
    this.#board = new Map(asks.map((ask) => [ask.askKey, ask]));
  }

  /** Off the list, and off the board as far as we know; not if it was asked about meanwhile. */
  drop(ask: WaitingAsk): void {
    const own = this.#own.get(ask.askKey);
    if (own !== undefined && own.deliveries !== ask.seen.get(this.replica)) return;
    this.#own.delete(ask.askKey);
    this.#board.delete(ask.askKey);
  }

  isOnBoard(askKey: string): boolean {
    return this.#board.has(askKey);
  }

  /** What comes now has no place on it. */
  get isBoardFull(): boolean {
    return this.#board.size >= MAX_BOARD;
  }

  /** We had posted it and the board has lost it. */
  postAgain(askKey: string): void {
    const own = this.#own.get(askKey);
    if (own?.isPosted === true) this.#mark(own, false);
  }

  /** Everything that waits, as all replicas saw it together; of our own deliveries we know more than the board. */
  asks(): readonly WaitingAsk[] {
    const asks = new Map([...this.#board].filter(([askKey]) => !this.#over.has(askKey)));
    for (const { askKey, about, deliveries } of this.#own.values()) {
      const others = asks.get(askKey);
      const isNewer = others === undefined || deliveries.lastMs >= deliveriesOf(others).lastMs;
      const seen = new Map(others?.seen).set(this.replica, deliveries);
      asks.set(askKey, { askKey, about: isNewer ? about : others.about, seen });
    }
    return [...asks.values()];
  }

  /** Those that another replica may have decided, or that nobody asks about any more; in turns, when there are many. */
  silent(nowMs: number, most: number): readonly WaitingAsk[] {
    const silent = this.asks().filter((ask) => nowMs - deliveriesOf(ask).lastMs >= FRESH_MS);
    const start = silent.length <= most ? 0 : this.#turn % silent.length;
    this.#turn = start + most;
    return [...silent.slice(start), ...silent.slice(0, start)].slice(0, most);
  }

  #mark(sighting: Sighting, isPosted: boolean): void {
    const own = this.#own.get(sighting.askKey);
    if (own?.deliveries === sighting.deliveries) this.#own.set(sighting.askKey, { ...own, isPosted });
  }
}
