/**
 * The shared memory in one file, for the processes of one machine. Synchronous: it lives in a worker thread. Each
 * method is one step inside a transaction that {@link EmbeddedStore.transact} opens and makes durable.
 *
 * This file and what it imports is also loaded by Node's type stripping, so it uses erasable TypeScript only.
 */
import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { Decision } from '../../core/decision.js';
import { CountersignError } from '../../core/errors.js';
import type { ExportMark, ExportState } from '../../core/export.js';
import type { LedgerProblem } from '../../core/fence.js';
import type {
  Activation,
  Clock,
  CommitReply,
  Counter,
  Freeze,
  JournalEvent,
  LedgerState,
  Proposal,
} from '../../core/ports.js';
import type { KnownTransaction, Release, Released } from '../../core/release.js';
import type { Reported, SettlingReport } from '../../core/report.js';
import type { Kept, Trimmed, TrimOrder } from '../../core/upkeep.js';
import {
  decisionOf,
  eventOf,
  freezeOf,
  freezeText,
  markOf,
  markText,
  policyOf,
  policyText,
} from '../decision-record.js';
import { fillOf, momentsOf } from '../journal-body.js';
import { type FillStep, otherLedger } from '../proposal.js';
import { commit } from './commit.js';
import { Counters } from './counters.js';
import { Moments } from './moments.js';
import { release, transaction, withEvent } from './release.js';
import { fateOf, report } from './report.js';
import { Rows } from './rows.js';
import { openFile } from './schema.js';
import { kept, trim } from './upkeep.js';

/** The layout of records this version reads and writes. */
const FORMAT = 4;

/** The ledger's own row, and its clock at the instant of the step. */
export interface Head {
  readonly identity: string;
  readonly sequence: number;
  readonly policy: number;
  readonly freezes: number;
  readonly active: string | undefined;
  /** The newest checkpoint; 0 when there is none. */
  readonly checkpoint: number;
  /** The last event that was forgotten, and when the newest of those was. */
  readonly trimmed: number;
  readonly trimmedAtMs: number;
  readonly nowMs: number;
}

export interface StoreSettings {
  readonly file: string;
  readonly workspace: string;
  /** How long another process may hold the file before the step fails. */
  readonly busyTimeoutMs: number;
}

export class EmbeddedStore {
  readonly rows: Rows;
  readonly counters: Counters;
  readonly moments: Moments;
  readonly #settings: StoreSettings;
  readonly #clock: Clock;
  readonly #database: DatabaseSync;
  readonly #inode: number;

  constructor(settings: StoreSettings, clock: Clock = Date) {
    this.#settings = settings;
    this.#clock = clock;
    this.#database = openFile(settings.file, settings.busyTimeoutMs);
    this.#inode = statSync(settings.file).ino;
    this.rows = new Rows(this.#database, settings.workspace);
    this.counters = new Counters(this.rows);
    this.moments = new Moments(this.rows);
  }

  /** Whether the file at the path is still the one that is open: a removed file would be written to unseen. */
  isCurrent(): boolean {
    return statSync(this.#settings.file, { throwIfNoEntry: false })?.ino === this.#inode;
  }

  /**
   * Runs steps in one transaction, each all or nothing, and returns their outcomes once all are on the disk.
   * Throws, and nothing has happened, when the file is busy or cannot be written.
   */
  transact<T>(steps: readonly ((store: EmbeddedStore) => T)[]): readonly PromiseSettledResult<T>[] {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const outcomes = steps.map((step) => this.#attempt(step));
      this.#database.exec('COMMIT');
      return outcomes;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  #attempt<T>(step: (store: EmbeddedStore) => T): PromiseSettledResult<T> {
    this.#database.exec('SAVEPOINT step');
    try {
      const value = step(this);
      this.#database.exec('RELEASE step');
      return { status: 'fulfilled', value };
    } catch (reason) {
      // A full disk or an I/O error may have rolled back everything already: then the whole transaction fails.
      if (!this.#database.isTransaction) throw reason;
      this.#database.exec('ROLLBACK TO step; RELEASE step');
      return { status: 'rejected', reason };
    }
  }

  init(): { readonly identity: string } {
    if (this.rows.one('SELECT 1 FROM ledgers WHERE workspace = ?') !== undefined) {
      throw new CountersignError('LEDGER_EXISTS', 'the store already holds a ledger');
    }
    const identity = randomUUID();
    this.rows.write('INSERT INTO ledgers VALUES (?, ?, ?, 0, 0, 0, 0, 0, NULL, 0, 0, 0)', identity, FORMAT);
    this.append(this.head(), 'ledger', JSON.stringify({ identity }));
    return { identity };
  }

  state(): LedgerState {
    const { identity, nowMs, sequence, policy, freezes, active } = this.head();
    return {
      identity,
      nowMs,
      sequence,
      durable: sequence,
      policy: active === undefined ? undefined : policyOf(active, policy),
      freezes: this.rows
        .all('SELECT sequence, body FROM freezes WHERE workspace = ? ORDER BY sequence')
        .map((row) => freezeOf(String(row.body), Number(row.sequence))),
      versions: { ledger: identity, epoch: 0, policy, freezes },
    };
  }

  commit(proposal: Proposal): CommitReply {
    return commit(this, this.head(), proposal);
  }

  fill({ entries, moments }: FillStep): void {
    const sinces = moments.map(({ key, sinceMs }) => {
      const known = this.moments.since(key) ?? sinceMs;
      return { key, sinceMs: Math.min(sinceMs, known) };
    });
    const body = { ...fillOf(entries), ...(sinces.length > 0 && { moments: momentsOf(sinces) }) };
    const sequence = this.append(this.head(), 'fill', JSON.stringify(body));
    for (const moment of sinces) this.moments.keep(moment, sequence);
    for (const entry of entries) this.counters.fill(entry);
    for (const moneyKey of new Set(entries.map((entry) => entry.moneyKey))) {
      const sql = 'SELECT events FROM transactions WHERE workspace = ? AND money = ?';
      const known = this.rows.one(sql, moneyKey);
      if (known !== undefined) {
        this.rows.write(
          'UPDATE transactions SET events = ?3 WHERE workspace = ?1 AND money = ?2',
          moneyKey,
          withEvent(String(known.events), sequence),
        );
      }
    }
  }

  release(request: Release): Released {
    return release(this, this.head(), request);
  }

  transaction(moneyKey: string): KnownTransaction | undefined {
    this.head();
    return transaction(this, moneyKey);
  }

  activate({ expectedSequence, ...policy }: Activation): { readonly sequence: number } {
    const head = this.head();
    if (head.sequence !== expectedSequence) {
      throw new CountersignError(
        'CONCURRENT_CHANGE',
        `the ledger is at event ${head.sequence} and the change was prepared at event ${expectedSequence}`,
      );
    }
    const record = policyText(policy);
    const sequence = this.append(head, 'policy', record);
    this.rows.write('UPDATE ledgers SET policy = ?2, active = ?3 WHERE workspace = ?1', sequence, record);
    return { sequence };
  }

  freeze(freeze: Omit<Freeze, 'sequence'>): { readonly sequence: number } {
    const head = this.head();
    const body = freezeText(freeze);
    const known = this.rows.one(
      'SELECT sequence, body FROM freezes WHERE workspace = ? AND id = ?',
      freeze.id,
    );
    if (known !== undefined) {
      if (known.body === body) return { sequence: Number(known.sequence) };
      throw new CountersignError('CONCURRENT_CHANGE', `another freeze named ${freeze.id} is in force`);
    }
    const sequence = this.append(head, 'freeze', body);
    this.rows.write('INSERT INTO freezes VALUES (?, ?, ?, ?)', freeze.id, sequence, body);
    this.rows.write('UPDATE ledgers SET freezes = ?2 WHERE workspace = ?1', sequence);
    return { sequence };
  }

  unfreeze(id: string, statements: readonly string[]): { readonly sequence: number } {
    const head = this.head();
    if (this.rows.one('SELECT 1 FROM freezes WHERE workspace = ? AND id = ?', id) === undefined) {
      throw new CountersignError('CONCURRENT_CHANGE', `no freeze named ${id} is in force`);
    }
    const sequence = this.append(head, 'unfreeze', JSON.stringify({ id, statements }));
    this.rows.write('DELETE FROM freezes WHERE workspace = ? AND id = ?', id);
    this.rows.write('UPDATE ledgers SET freezes = ?2 WHERE workspace = ?1', sequence);
    return { sequence };
  }

  events(after: number, limit: number): readonly JournalEvent[] {
    this.head();
    const sql = 'SELECT * FROM journal WHERE workspace = ? AND sequence > ? ORDER BY sequence LIMIT ?';
    return this.rows
      .all(sql, after, limit)
      .map((row) => eventOf(String(row.sequence), String(row.at), String(row.type), String(row.body)));
  }

  report(said: SettlingReport): Reported {
    return report(this, this.head(), said);
  }

  fateOf(moneyKey: string): ReturnType<typeof fateOf> {
    this.head();
    return fateOf(this, moneyKey);
  }

  kept(): Kept {
    return kept(this, this.head());
  }

  trim(order: TrimOrder): Trimmed {
    return trim(this, this.head(), order);
  }

  exportState(): ExportState {
    const { identity, sequence: newest } = this.head();
    const row = this.rows.one('SELECT mark FROM exports WHERE workspace = ?');
    return { identity, newest, ...(row && { mark: markOf(String(row.mark)) }) };
  }

  exported(identity: string, mark: ExportMark): void {
    const { identity: own, mark: known } = this.exportState();
    if (identity !== own) throw otherLedger(identity);
    if (known !== undefined && known.sequence >= mark.sequence) return;
    this.rows.write('INSERT OR REPLACE INTO exports VALUES (?, ?)', markText(mark));
  }

  usage(counters: readonly Counter[]): readonly string[] {
    const { nowMs } = this.head();
    return counters.map((counter) => String(this.counters.usage(counter, nowMs)));
  }

  lookup(askKey: string): Decision | undefined {
    this.head();
    const row = this.rows.one('SELECT decision FROM asks WHERE workspace = ? AND ask = ?', askKey);
    return row && decisionOf(String(row.decision));
  }

  check(): readonly LedgerProblem[] {
    const problems: string[] = [];
    if (this.#database.prepare('PRAGMA journal_mode').get()?.journal_mode !== 'wal') {
      problems.push(
        'The ledger file is not in WAL mode. Keep it on a local disk, not on a network file system.',
      );
    }
    if (Number(this.#database.prepare('PRAGMA synchronous').get()?.synchronous) < 2) {
      problems.push('The ledger file is not written through to the disk (PRAGMA synchronous is below FULL).');
    }
    return problems.map((text) => ({ code: 'FILE', text, blocks: true }));
  }

  close(): void {
    this.#database.close();
  }

  /** The ledger of this workspace; its clock never steps back behind the stored mark. */
  head(): Head {
    const row = this.rows.one('SELECT * FROM ledgers WHERE workspace = ?');
    if (row === undefined) {
      throw new CountersignError(
        'LEDGER_MISSING',
        'the store holds no ledger; `countersign ledger init` makes one',
      );
    }
    if (row.format !== FORMAT) {
      throw new CountersignError('LEDGER_CORRUPT', `the ledger cannot be read: its format is ${row.format}`);
    }
    return {
      identity: String(row.identity),
      sequence: Number(row.sequence),
      policy: Number(row.policy),
      freezes: Number(row.freezes),
      active: row.active === null ? undefined : String(row.active),
      checkpoint: Number(row.checkpoint),
      trimmed: Number(row.trimmed),
      trimmedAtMs: Number(row.trimmed_at),
      nowMs: Math.max(this.#clock.now(), Number(row.clock)),
    };
  }

  /** Only a clock that agreed with a replica's may raise the mark: one jump ahead would stop the ledger until then. */
  keepClock({ nowMs }: Head): void {
    this.rows.write('UPDATE ledgers SET clock = ?2 WHERE workspace = ?1 AND clock < ?2', nowMs);
  }

  /** Returns the event's sequence number. */
  append(head: Head, type: JournalEvent['type'], body: string): number {
    const sequence = head.sequence + 1;
    this.rows.write('INSERT INTO journal VALUES (?, ?, ?, ?, ?)', sequence, head.nowMs, type, body);
    this.rows.write('UPDATE ledgers SET sequence = ?2 WHERE workspace = ?1', sequence);
    return sequence;
  }
}
