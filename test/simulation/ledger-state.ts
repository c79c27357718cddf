/**
 * What a log comes to: the hashes, sorted sets and totals that the scripts keep beside it, worked out from the log alone.
 * Each event does what its part of load.lua does.
 */
import type { KnownFate } from '../../src/core/report.js';
import { type Body, type Decided, type Entry, LIMIT, MOST_DESTINATIONS, type Question } from './events.js';

export interface Transaction {
  readonly approved: boolean;
  readonly rejected: boolean;
  /** The event that released what it held. */
  readonly released: number | undefined;
  readonly held: number;
  /** The last event that is about it. */
  readonly last: number;
  /** A checkpoint speaks of it. */
  readonly isCarried: boolean;
}

const UNKNOWN: Transaction = {
  approved: false,
  rejected: false,
  released: undefined,
  held: 0,
  last: 0,
  isCarried: false,
};

type CheckpointBody = Extract<Body, { readonly type: 'checkpoint' }>;
type Standing = Entry & { readonly body: Decided };

export class LedgerState {
  readonly asks = new Map<string, Standing>();
  /** By ask and content. */
  readonly conflicts = new Map<string, Standing>();
  readonly transactions = new Map<string, Transaction>();
  readonly fates = new Map<string, { readonly known: KnownFate; readonly sequence: number }>();
  readonly moments = new Map<string, { readonly since: number; readonly sequence: number }>();
  readonly freezes = new Map<string, number>();
  /** Different destinations that were paid, and when last. */
  readonly destinations = new Map<string, number>();
  /** What transactions held that are forgotten. */
  spent = 0;
  /** The last event that a checkpoint covers. */
  covered = 0;
  readonly trimmed: number;

  /** @param trimmed the last event that was forgotten: a checkpoint that covers more has not taken effect yet */
  constructor(journal: readonly Entry[], trimmed: number) {
    this.trimmed = trimmed;
    for (const entry of journal) if (entry.sequence > trimmed) this.#apply(entry);
  }

  transaction(money: string): Transaction {
    return this.transactions.get(money) ?? UNKNOWN;
  }

  /** See isExpiring in ledger.lua. */
  isExpiring(sequence: number | undefined): boolean {
    return sequence !== undefined && this.trimmed < this.covered && sequence <= this.covered;
  }

  fits({ money, amount, to }: Question): boolean {
    let total = this.spent + Math.max(0, amount - this.transaction(money).held);
    for (const { held } of this.transactions.values()) total += held;
    const isNew = to !== '' && !this.destinations.has(to);
    return total <= LIMIT && this.destinations.size + (isNew ? 1 : 0) <= MOST_DESTINATIONS;
  }

  #apply(entry: Entry): void {
    const { body, sequence } = entry;
    switch (body.type) {
      case 'decision':
        this.#decide({ ...entry, body });
        break;
      case 'conflict':
        this.conflicts.set(variantOf(body), { ...entry, body });
        break;
      case 'report':
        this.fates.set(body.money, { known: body.known, sequence });
        break;
      case 'release':
        this.#know(body.money, { held: 0, released: sequence, last: sequence });
        break;
      case 'freeze':
        this.freezes.set(body.id, sequence);
        break;
      case 'unfreeze':
        this.freezes.delete(body.id);
        break;
      case 'checkpoint':
        this.covered = body.to;
        this.#carry(body);
        break;
      case 'policy':
      case 'ledger':
      case 'activation':
        break;
    }
  }

  #decide(entry: Standing): void {
    const { body, sequence, at } = entry;
    const { ask, money, amount, to, effect, moments = {} } = body;
    const { held } = this.transaction(money);
    const isApproved = effect === 'approve';
    this.asks.set(ask, entry);
    this.#know(money, {
      last: sequence,
      ...(isApproved ? { approved: true, held: Math.max(held, amount) } : { rejected: true }),
    });
    if (isApproved && to !== '') this.destinations.set(to, at);
    for (const [key, since] of Object.entries(moments)) this.moments.set(key, { since, sequence });
  }

  /** In its place in the log it says how things stood there; before that is forgotten which it covers, only of whom. */
  #carry({ to, totals, members, transactions, freezes }: CheckpointBody): void {
    for (const { moneyKey, known } of transactions) {
      if (known !== undefined) this.#know(moneyKey, { isCarried: true });
    }
    if (to > this.trimmed) return;
    for (const { amount } of totals) this.spent += Number(amount);
    for (const [name, at] of members.flatMap((each) => each.members)) {
      this.destinations.set(name, Math.max(at, this.destinations.get(name) ?? 0));
    }
    for (const { sequence: since, freeze } of freezes) this.freezes.set(String(freeze.id), since);
    for (const { moneyKey, known, held } of transactions) {
      if (known === undefined) this.transactions.delete(moneyKey);
      else {
        const { approved, rejected, released, events } = known;
        const [amount = 0] = held.map((each) => Number(each.amount));
        const last = Number(events);
        this.transactions.set(moneyKey, {
          approved,
          rejected,
          released,
          held: amount,
          last,
          isCarried: true,
        });
      }
    }
  }

  #know(money: string, changed: Partial<Transaction>): void {
    this.transactions.set(money, { ...this.transaction(money), ...changed });
  }
}

export function variantOf({ ask, content }: Question): string {
  return `${ask} as ${content}`;
}
