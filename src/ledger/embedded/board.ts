/** The board of what waits: two tables that nothing else reads. */
import { type Board, MAX_BOARD, type Sighting, type WaitingAsk } from '../../core/waiting.js';
import { aboutOf, aboutText } from '../waiting-record.js';
import type { EmbeddedStore } from './store.js';

/** All of them throw LEDGER_MISSING on an empty store. */
export function post(store: EmbeddedStore, replica: string, sightings: readonly Sighting[]): void {
  const { nowMs } = store.head();
  const { rows } = store;
  rows.write('INSERT OR REPLACE INTO boards VALUES (?, ?)', nowMs);
  for (const { askKey, about, deliveries } of sightings) {
    const isKnown = rows.one('SELECT 1 FROM waiting WHERE workspace = ? AND ask = ?', askKey) !== undefined;
    const count = rows.one('SELECT COUNT(DISTINCT ask) AS asks FROM waiting WHERE workspace = ?')?.asks;
    if (!isKnown && Number(count) >= MAX_BOARD) continue;
    const { firstMs, lastMs, count: delivered } = deliveries;
    const values = [askKey, replica, aboutText(about), firstMs, lastMs, delivered];
    rows.write('INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?)', ...values);
  }
}

export function list(store: EmbeddedStore): Board {
  store.head();
  const { rows } = store;
  const postedAt = rows.one('SELECT at FROM boards WHERE workspace = ?')?.at;
  const asks = new Map<string, WaitingAsk>();
  // The newest words of an ask come last, and stay.
  for (const row of rows.all('SELECT * FROM waiting WHERE workspace = ? ORDER BY last')) {
    const askKey = String(row.ask);
    const about = aboutOf(String(row.about));
    if (about === undefined) continue;
    const deliveries = {
      firstMs: Number(row.first),
      lastMs: Number(row.last),
      count: Number(row.deliveries),
    };
    const seen = new Map(asks.get(askKey)?.seen).set(String(row.replica), deliveries);
    asks.set(askKey, { askKey, about, seen });
  }
  return { ...(postedAt === undefined ? {} : { postedAtMs: Number(postedAt) }), asks: [...asks.values()] };
}

export function remove(store: EmbeddedStore, askKeys: readonly string[]): readonly string[] {
  store.head();
  const { rows } = store;
  return askKeys.filter((askKey) => {
    const known = rows.one('SELECT 1 FROM waiting WHERE workspace = ? AND ask = ?', askKey);
    rows.write('DELETE FROM waiting WHERE workspace = ? AND ask = ?', askKey);
    return known !== undefined;
  });
}
