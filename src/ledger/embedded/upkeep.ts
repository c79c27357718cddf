/** Forgetting in the embedded ledger what is older than the retention: checkpoint and removal are one transaction. */
import { CountersignError } from '../../core/errors.js';
import type { Counter, JournalEvent } from '../../core/ports.js';
import type { Kept, Trimmed, TrimOrder } from '../../core/upkeep.js';
import { eventOf } from '../decision-record.js';
import { bodyOf, type Checkpoint, checkpointBody } from '../journal-body.js';
import { CLOCK_TOLERANCE_MS } from '../proposal.js';
import {
  forgettable,
  type Holder,
  nameOf,
  RANGE_EVENTS,
  type Range,
  rangeOf,
  withCarried,
} from '../range.js';
import type { Row } from './rows.js';
import type { EmbeddedStore, Head } from './store.js';

export function kept({ rows }: EmbeddedStore, { nowMs, checkpoint, trimmed, trimmedAtMs }: Head): Kept {
  const oldest = rows.one('SELECT sequence, at FROM journal WHERE workspace = ? ORDER BY sequence LIMIT 1');
  return {
    nowMs,
    ...(oldest && { oldest: { sequence: Number(oldest.sequence), atMs: Number(oldest.at) } }),
    ...(checkpoint === 0 ? {} : { checkpoint: { sequence: checkpoint, to: trimmed } }),
    ...(trimmed === 0 ? {} : { trimmed: { sequence: trimmed, atMs: trimmedAtMs } }),
  };
}

export function trim(store: EmbeddedStore, head: Head, order: TrimOrder): Trimmed {
  if (Math.abs(head.nowMs - order.nowMs) > CLOCK_TOLERANCE_MS) return { kind: 'waits', why: 'clocks' };
  const nowMs = Math.min(head.nowMs, order.nowMs);
  const chosen = forgettable(eventsAfter(store, head.trimmed), { ...order, nowMs });
  if (chosen.length === 0) return { kind: 'nothing' };
  const range = rangeOf(head.trimmed, chosen);
  if (order.demandsExport && (store.exportState().mark?.sequence ?? 0) < range.to)
    return { kind: 'waits', why: 'export' };
  const holders = range.holders.map((holder) => lookUp(store, holder, range.to));
  const body = checkpointOf(store, head, range, holders);
  const checkpoint = store.append(head, 'checkpoint', JSON.stringify(body));
  store.keepClock(head);
  for (const holder of holders) forgetHolder(store, holder, { checkpoint, to: range.to });
  forgetRecords(store, range);
  store.rows.write(
    'UPDATE ledgers SET checkpoint = ?2, trimmed = ?3, trimmed_at = ?4 WHERE workspace = ?1',
    checkpoint,
    range.to,
    range.atMs,
  );
  return { kind: 'trimmed', events: range.events, to: range.to, checkpoint };
}

function eventsAfter({ rows }: EmbeddedStore, after: number): readonly JournalEvent[] {
  const sql = 'SELECT * FROM journal WHERE workspace = ? AND sequence > ? ORDER BY sequence LIMIT ?';
  return rows
    .all(sql, after, RANGE_EVENTS)
    .map((row) => eventOf(String(row.sequence), String(row.at), String(row.type), String(row.body)));
}

/** A holder, and whether no later event is about it. */
interface Known extends Holder {
  readonly isForgotten: boolean;
  /** Of a transaction. */
  readonly row: Row | undefined;
}

function lookUp(store: EmbeddedStore, holder: Holder, to: number): Known {
  const { rows } = store;
  if (holder.kind === 'ask') {
    const row = rows.one('SELECT decision FROM asks WHERE workspace = ? AND ask = ?', holder.key);
    return { ...holder, row: undefined, isForgotten: row === undefined || sequenceOf(row) <= to };
  }
  const row = rows.one('SELECT * FROM transactions WHERE workspace = ? AND money = ?', holder.key);
  if (row === undefined) return { ...holder, row, isForgotten: true };
  const events = String(row.events);
  const isForgotten = Number(events.slice(events.lastIndexOf(',') + 1)) <= to;
  if (row.carried === null) return { ...holder, row, isForgotten };
  return { ...withCarried(holder, checkpointAt(store, Number(row.carried))), row, isForgotten };
}

function checkpointAt({ rows }: EmbeddedStore, sequence: number): Checkpoint {
  const row = rows.one('SELECT body FROM journal WHERE workspace = ? AND sequence = ?', sequence);
  return bodyOf(checkpointBody, { sequence, type: 'checkpoint', body: String(row?.body) });
}

/** Decisions are kept as text. */
function sequenceOf({ decision }: Row): number {
  const { sequence } = JSON.parse(String(decision)) as { readonly sequence?: unknown };
  if (typeof sequence === 'number') return sequence;
  throw new CountersignError('LEDGER_CORRUPT', 'the ledger holds a decision that cannot be read');
}

function checkpointOf(
  { rows, counters }: EmbeddedStore,
  head: Head,
  { from, to, atMs, members, facts, totals }: Range,
  holders: readonly Known[],
): Checkpoint {
  const folded = new Map<string, Counter & { readonly amount: string }>();
  const fold = ({ counter, mode, window }: Counter, amount: bigint) => {
    const known = folded.get(nameOf({ counter, mode, window }))?.amount ?? '0';
    const sum = String(BigInt(known) + amount);
    folded.set(nameOf({ counter, mode, window }), { counter, mode, window, amount: sum });
  };
  for (const total of totals) fold(total, BigInt(total.amount));
  for (const { key, counters: named, isForgotten } of holders) {
    for (const counter of named) {
      const amount = counters.heldBy(counter, key);
      if (isForgotten && counter.window.kind === 'lifetime' && amount > 0n) fold(counter, amount);
    }
  }
  const freezes = rows.all('SELECT sequence, body FROM freezes WHERE workspace = ? AND sequence <= ?', to);
  return {
    ledger: head.identity,
    from,
    to,
    atMs,
    members: members
      .filter(({ window }) => window.kind === 'lifetime')
      .map((each) => ({ ...each, members: [...each.members] })),
    facts: [...facts],
    versions: { policy: head.policy, freezes: head.freezes },
    ...(head.active !== undefined && head.policy <= to
      ? { policy: { sequence: head.policy, record: JSON.parse(head.active) as Record<string, unknown> } }
      : {}),
    freezes: freezes.map((row) => ({ sequence: Number(row.sequence), freeze: JSON.parse(String(row.body)) })),
    totals: [...folded.values()],
    transactions: holders.flatMap((holder) => statementOf(counters, holder, to)),
  };
}

/** Of a transaction that later events are about too, and of one that an earlier checkpoint carries. */
function statementOf(
  counters: EmbeddedStore['counters'],
  { key, counters: named, row, isForgotten }: Known,
  to: number,
): Checkpoint['transactions'] {
  if (row === undefined || (isForgotten && row.carried === null)) return [];
  const held = named.map((counter) => ({
    ...counter,
    amount: isForgotten ? '0' : String(counters.heldBy(counter, key)),
    atMs: counters.heldSince(counter, key) ?? 0,
  }));
  if (isForgotten) return [{ moneyKey: key, held }];
  const known = {
    ...(row.core === null ? {} : { core: String(row.core) }),
    approved: row.approved === 1,
    rejected: row.rejected === 1,
    ...(row.amount === null ? {} : { amount: String(row.amount) }),
    ...(row.released === null ? {} : { released: Number(row.released) }),
    events: numbersAfter(String(row.events), to),
  };
  return [{ moneyKey: key, known, held }];
}

function numbersAfter(events: string, to: number): string {
  return events
    .split(',')
    .filter((number) => number === '+' || Number(number) > to)
    .join(',');
}

function forgetHolder(
  { rows, counters }: EmbeddedStore,
  { kind, key, counters: named, row, isForgotten }: Known,
  { checkpoint, to }: { readonly checkpoint: number; readonly to: number },
): void {
  if (!isForgotten) {
    if (kind === 'ask' || row === undefined) return;
    const sql = 'UPDATE transactions SET carried = ?3, events = ?4 WHERE workspace = ?1 AND money = ?2';
    rows.write(sql, key, checkpoint, numbersAfter(String(row.events), to));
    return;
  }
  for (const counter of named) {
    if (counter.window.kind === 'lifetime') counters.fold(counter, key);
    else counters.giveBack(counter, key);
  }
  rows.write('DELETE FROM transactions WHERE workspace = ? AND money = ?', key);
}

function forgetRecords({ rows, counters, moments }: EmbeddedStore, range: Range): void {
  for (const { members, ...counter } of range.members) {
    if (counter.window.kind === 'lifetime') continue;
    for (const [member, atMs] of members) {
      const latest = counters.heldSince(counter, member);
      if (latest !== undefined && latest <= atMs) counters.giveBack(counter, member);
    }
  }
  for (const ask of range.asks) {
    const row = rows.one('SELECT decision FROM asks WHERE workspace = ? AND ask = ?', ask);
    if (row !== undefined && sequenceOf(row) <= range.to) {
      rows.write('DELETE FROM asks WHERE workspace = ? AND ask = ?', ask);
    }
  }
  for (const { askKey, fingerprint } of range.conflicts) {
    const where = 'workspace = ? AND ask = ? AND fingerprint = ?';
    const row = rows.one(`SELECT decision FROM conflicts WHERE ${where}`, askKey, fingerprint);
    if (row !== undefined && sequenceOf(row) <= range.to) {
      rows.write(`DELETE FROM conflicts WHERE ${where}`, askKey, fingerprint);
    }
  }
  for (const moment of range.moments) moments.forget(moment, range.to);
  for (const request of range.bindings) {
    rows.write(
      'DELETE FROM bindings WHERE workspace = ? AND request = ? AND sequence <= ?',
      request,
      range.to,
    );
  }
  for (const money of range.fates) {
    rows.write('DELETE FROM fates WHERE workspace = ? AND money = ? AND sequence <= ?', money, range.to);
  }
  rows.write('DELETE FROM journal WHERE workspace = ? AND sequence <= ?', range.to);
}
