/** The file of the embedded ledger: its tables, and how it is opened so that what was answered is on the disk. */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/**
 * Amounts are decimal text: SQLite's integers have 64 bits. `span` and `mode` are part of a counter's name, as in
 * the Redis ledger. A counter of different members is a counter in which every member holds one.
 */
const TABLES = `
CREATE TABLE IF NOT EXISTS ledgers (
  workspace TEXT PRIMARY KEY, identity TEXT NOT NULL, format INTEGER NOT NULL, epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL, clock INTEGER NOT NULL,
  policy INTEGER NOT NULL, freezes INTEGER NOT NULL, active TEXT,
  checkpoint INTEGER NOT NULL, trimmed INTEGER NOT NULL, trimmed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (
  workspace TEXT, sequence INTEGER, at INTEGER NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (workspace, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asks (
  workspace TEXT, ask TEXT, fingerprint TEXT NOT NULL, effect TEXT NOT NULL, decision TEXT NOT NULL,
  PRIMARY KEY (workspace, ask)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS conflicts (
  workspace TEXT, ask TEXT, fingerprint TEXT, decision TEXT NOT NULL,
  PRIMARY KEY (workspace, ask, fingerprint)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transactions (
  workspace TEXT, money TEXT, core TEXT, approved INTEGER NOT NULL, rejected INTEGER NOT NULL, amount TEXT,
  released INTEGER, carried INTEGER, events TEXT NOT NULL,
  PRIMARY KEY (workspace, money)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bindings (
  workspace TEXT, request TEXT, tx TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (workspace, request)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fates (
  workspace TEXT, money TEXT, sequence INTEGER NOT NULL, signed INTEGER NOT NULL, fate TEXT NOT NULL,
  PRIMARY KEY (workspace, money)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (
  workspace TEXT, fact TEXT, value TEXT NOT NULL, PRIMARY KEY (workspace, fact)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS moments (
  workspace TEXT, moment TEXT, since INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (workspace, moment)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS freezes (
  workspace TEXT, id TEXT, sequence INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (workspace, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exports (
  workspace TEXT PRIMARY KEY, mark TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
  workspace TEXT, counter TEXT, total TEXT NOT NULL, PRIMARY KEY (workspace, counter)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  workspace TEXT, counter TEXT, holder TEXT, at INTEGER NOT NULL, amount TEXT NOT NULL,
  PRIMARY KEY (workspace, counter, holder)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS boards (
  workspace TEXT PRIMARY KEY, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (
  workspace TEXT, ask TEXT, replica TEXT, about TEXT NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL, deliveries INTEGER NOT NULL,
  PRIMARY KEY (workspace, ask, replica)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_by_time ON entries (workspace, counter, at);
`;

/** Creates the file if there is none, readable by its owner alone. Throws what SQLite throws. */
export function openFile(file: string, busyTimeoutMs: number): DatabaseSync {
  closeSync(openSync(file, 'a', 0o600));
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs });
  database.exec('PRAGMA journal_mode = WAL');
  // FULL: a commit returns when it is on the disk. macOS needs a flush of the drive's own cache besides.
  database.exec('PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON');
  database.exec(`BEGIN IMMEDIATE; ${TABLES} COMMIT`);
  return database;
}
