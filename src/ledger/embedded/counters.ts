/** Counters of the embedded ledger: the same windows as counters.lua, on BigInt and rows. */
import type { Charge } from '../../core/decision.js';
import type { Counter, CounterEntry } from '../../core/ports.js';
import type { Rows } from './rows.js';

/** What a charge would add, and the total after it. */
export interface Measure {
  readonly added: bigint;
  readonly after: bigint;
  /** The need alone: the total it would make in an empty window. */
  readonly need: bigint;
}

interface Holding {
  readonly at: number;
  readonly amount: bigint;
}

type NeedOf = Pick<Charge, 'need'>;

export class Counters {
  readonly #rows: Rows;

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  /** Drops entries that are certainly older than the window. Returns whether there were any. */
  trim(charge: Counter, nowMs: number): boolean {
    if (charge.window.kind !== 'rolling') return false;
    const expired = this.#expiredTotal(charge, nowMs);
    if (expired === undefined) return false;
    const name = nameOf(charge);
    this.#setTotal(name, this.#totalOf(name) - expired);
    const sql = 'DELETE FROM entries WHERE workspace = ? AND counter = ? AND at < ?';
    this.#rows.write(sql, name, nowMs - charge.window.lengthMs);
    return true;
  }

  measure(charge: Counter & NeedOf, moneyKey: string): Measure {
    const name = nameOf(charge);
    let added = 0n;
    let need = 0n;
    for (const [holder, amount] of needsOf(charge, moneyKey)) {
      const held = this.#holding(name, holder)?.amount ?? 0n;
      if (amount > held) added += amount - held;
      need += amount;
    }
    return { added, need, after: this.#totalOf(name) + added };
  }

  /**
   * Every approval moves its entry to now, raised or not: what was approved a moment ago is inside the window whole.
   * A need of zero makes no entry.
   */
  charge(charge: Counter & NeedOf, moneyKey: string, atMs: number): void {
    const name = nameOf(charge);
    let total = this.#totalOf(name);
    for (const [holder, amount] of needsOf(charge, moneyKey)) {
      const held = this.#holding(name, holder);
      if (held === undefined && amount === 0n) continue;
      const larger = held !== undefined && held.amount > amount ? held.amount : amount;
      total += larger - (held?.amount ?? 0n);
      this.#setEntry(name, holder, { at: Math.max(atMs, held?.at ?? atMs), amount: larger });
    }
    this.#setTotal(name, total);
  }

  /** Of two entries that no window holds both, the later one counts; of two that one holds, the larger need. */
  fill(entry: CounterEntry): void {
    const { window, need, moneyKey, atMs } = entry;
    const counter = { ...entry, mode: 'enforce' } as const;
    const name = nameOf(counter);
    const held = this.#holding(name, moneyKey);
    if (held !== undefined && window.kind === 'rolling' && need.kind === 'amount') {
      if (held.at - atMs > window.lengthMs) return;
      if (atMs - held.at > window.lengthMs) {
        this.#setTotal(name, this.#totalOf(name) - held.amount);
        this.#setEntry(name, moneyKey, { at: atMs, amount: 0n });
      }
    }
    this.charge(counter, moneyKey, atMs);
  }

  /** In a counter of amounts. */
  heldBy(counter: Counter, moneyKey: string): bigint {
    return this.#holding(nameOf(counter), moneyKey)?.amount ?? 0n;
  }

  /** Takes the entry of a money key away, as if it had never been charged. */
  giveBack(counter: Counter, moneyKey: string): void {
    const name = nameOf(counter);
    this.#setTotal(name, this.#totalOf(name) - this.heldBy(counter, moneyKey));
    this.#rows.write(
      'DELETE FROM entries WHERE workspace = ? AND counter = ? AND holder = ?',
      name,
      moneyKey,
    );
  }

  /** Forgets who holds something: it stays in the total. */
  fold(counter: Counter, holder: string): void {
    const sql = 'DELETE FROM entries WHERE workspace = ? AND counter = ? AND holder = ?';
    this.#rows.write(sql, nameOf(counter), holder);
  }

  /** When the entry of a money key, or of a member, was made last. */
  heldSince(counter: Counter, holder: string): number | undefined {
    return this.#holding(nameOf(counter), holder)?.at;
  }

  usage(charge: Counter, nowMs: number): bigint {
    return this.#totalOf(nameOf(charge)) - (this.#expiredTotal(charge, nowMs) ?? 0n);
  }

  #expiredTotal({ window, ...charge }: Counter, nowMs: number): bigint | undefined {
    if (window.kind !== 'rolling') return undefined;
    const sql = 'SELECT amount FROM entries WHERE workspace = ? AND counter = ? AND at < ?';
    const rows = this.#rows.all(sql, nameOf({ window, ...charge }), nowMs - window.lengthMs);
    if (rows.length === 0) return undefined;
    return rows.reduce((total, row) => total + BigInt(String(row.amount)), 0n);
  }

  #totalOf(name: string): bigint {
    const row = this.#rows.one('SELECT total FROM totals WHERE workspace = ? AND counter = ?', name);
    return BigInt(String(row?.total ?? '0'));
  }

  #setTotal(name: string, total: bigint): void {
    if (total === 0n) {
      this.#rows.write('DELETE FROM totals WHERE workspace = ? AND counter = ?', name);
      return;
    }
    this.#rows.write('INSERT OR REPLACE INTO totals VALUES (?, ?, ?)', name, String(total));
  }

  #holding(name: string, holder: string): Holding | undefined {
    const sql = 'SELECT at, amount FROM entries WHERE workspace = ? AND counter = ? AND holder = ?';
    const row = this.#rows.one(sql, name, holder);
    return row && { at: Number(row.at), amount: BigInt(String(row.amount)) };
  }

  #setEntry(name: string, holder: string, { at, amount }: Holding): void {
    this.#rows.write(
      'INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)',
      name,
      holder,
      at,
      String(amount),
    );
  }
}

/** The kind of need is not part of the name: a counter counts amounts or members, never both. */
function nameOf({ counter, mode, window }: Counter): string {
  const span = window.kind === 'calendar' ? `calendar-${window.startMs}` : window.kind;
  return `${mode}:${span}:${counter}`;
}

function needsOf({ need }: NeedOf, moneyKey: string): readonly (readonly [string, bigint])[] {
  if (need.kind === 'amount') return [[moneyKey, BigInt(need.amount)]];
  return [...new Set(need.members)].map((member) => [member, 1n] as const);
}
