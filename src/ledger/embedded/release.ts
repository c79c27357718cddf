/** What the embedded ledger knows of a transaction, and taking back what it holds: as release.lua does. */
import type { Holding, KnownTransaction, Release, Released } from '../../core/release.js';
import { countersOf, givenBy, releaseOf, type StoredEvent } from '../journal-body.js';
import { checkKnown, maybeSigned } from '../proposal.js';
import { fateOf } from './report.js';
import type { Row } from './rows.js';
import type { EmbeddedStore, Head } from './store.js';

export function transaction(store: EmbeddedStore, moneyKey: string): KnownTransaction | undefined {
  const known = read(store, moneyKey);
  if (known === undefined) return undefined;
  const { released, approved, rejected } = known;
  return {
    approved,
    rejected,
    ...(released === undefined ? {} : { released }),
    holdings: released === undefined ? holdingsOf(store, moneyKey, known.events) : [],
  };
}

export function release(store: EmbeddedStore, head: Head, request: Release): Released {
  const { moneyKey } = request;
  const known = read(store, moneyKey);
  checkKnown(moneyKey, known);
  if (known.released !== undefined) {
    const event = known.events.find(({ sequence }) => sequence === known.released);
    return { sequence: known.released, repeated: true, given: event === undefined ? [] : givenBy(event) };
  }
  if (fateOf(store, moneyKey)?.signed === true) throw maybeSigned(moneyKey);
  const given = holdingsOf(store, moneyKey, known.events);
  const sequence = store.append(head, 'release', JSON.stringify({ ...releaseOf(request), given }));
  for (const holding of given) store.counters.giveBack(holding, moneyKey);
  store.rows.write(
    'UPDATE transactions SET released = ?3, events = ?4 WHERE workspace = ?1 AND money = ?2',
    moneyKey,
    sequence,
    withEvent(known.numbers, sequence),
  );
  return { sequence, repeated: false, given };
}

export function remembered(store: EmbeddedStore, fact: string): string | undefined {
  store.head();
  const row = store.rows.one('SELECT value FROM facts WHERE workspace = ? AND fact = ?', fact);
  return row === undefined ? undefined : String(row.value);
}

const EVENTS_LENGTH = 1000;

/** The events that are about a transaction, one more; those that are not named any more are a '+' in front. */
export function withEvent(numbers: string, sequence: number): string {
  const events = numbers === '' ? String(sequence) : `${numbers},${sequence}`;
  return events.length > EVENTS_LENGTH ? `+,${sequence}` : events;
}

interface Known {
  readonly approved: boolean;
  readonly rejected: boolean;
  readonly released: number | undefined;
  readonly numbers: string;
  readonly isCut: boolean;
  readonly events: readonly StoredEvent[];
}

function read({ rows }: EmbeddedStore, moneyKey: string): Known | undefined {
  const row = rows.one('SELECT * FROM transactions WHERE workspace = ? AND money = ?', moneyKey);
  if (row === undefined) return undefined;
  const numbers = String(row.events);
  const named = row.carried === null ? numbers : `${row.carried},${numbers}`;
  const events = named.split(',').flatMap((number) => {
    const sql = 'SELECT sequence, type, body FROM journal WHERE workspace = ? AND sequence = ?';
    const event = number === '+' ? undefined : rows.one(sql, Number(number));
    return event === undefined ? [] : [eventOf(event)];
  });
  return {
    approved: row.approved === 1,
    rejected: row.rejected === 1,
    released: row.released === null ? undefined : Number(row.released),
    numbers,
    isCut: numbers.startsWith('+'),
    events,
  };
}

function eventOf({ sequence, type, body }: Row): StoredEvent {
  return { sequence: Number(sequence), type: String(type), body: String(body) };
}

function holdingsOf(
  { counters }: EmbeddedStore,
  moneyKey: string,
  events: readonly StoredEvent[],
): readonly Holding[] {
  return countersOf(moneyKey, events).map((counter) => ({
    ...counter,
    amount: String(counters.heldBy(counter, moneyKey)),
  }));
}
