/**
 * Audit files in a folder of their own for each ledger. One process writes there at a time; a file is only ever
 * appended to, and what a crash left unfinished at its end is cut off before the next line is written.
 */
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { chmod, type FileHandle, open, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CountersignError } from '../core/errors.js';
import { fileName, isFileName, linesOf } from './file.js';
import { type CheckpointKey, hasSigned, type Line, type Position, readLine } from './line.js';
import { type Chain, type Found, type Sink, Stretch } from './sink.js';
import { type Broken, Walk } from './walk.js';

/** A file that is larger is closed, and another one begun; so is one of an earlier day (UTC). */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;

export interface DirectorySettings {
  /** Made when there is none. */
  readonly directory: string;
  readonly key: CheckpointKey;
  readonly chain: Chain;
  /** Told of a file that is kept as it is, and not gone on with. */
  readonly damaged: (problem: string) => void;
  readonly maxFileBytes?: number;
}

/** Undefined: another process of this machine writes there. */
export function openDirectory(settings: DirectorySettings): Sink | undefined {
  const { workspace, ledger } = settings.chain;
  const folder = join(settings.directory, `${workspace}-${ledger.slice(0, 8)}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const release = lock(folder);
  if (release === undefined) return undefined;
  publishKey(folder, settings.key);
  return new Directory(folder, settings, release);
}

/** Held until the process ends, however it ends: Node has no file locks of its own, SQLite's are the system's. */
function lock(folder: string): (() => void) | undefined {
  const database = new DatabaseSync(join(folder, 'exporter.lock'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
    return () => database.close();
  } catch (error) {
    database.close();
    if (typeof error === 'object' && error !== null && 'errcode' in error && error.errcode === SQLITE_BUSY)
      return undefined;
    throw error;
  }
}

/** Beside the files, so that damage can be found without looking for the key; against forgery it proves nothing. */
function publishKey(folder: string, { privateKey, id }: CheckpointKey): void {
  const file = join(folder, `checkpoint-${id.slice(0, 12)}.pub.pem`);
  if (existsSync(file)) return;
  writeFileSync(file, createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }), { mode: 0o644 });
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  readonly stretch: Stretch;
  /** What it holds by our count: another length means that somebody else writes there. */
  bytes: number;
  holdsEvents: boolean;
  readonly day: string;
}

/** What a file holds, up to its last checkpoint. */
interface Reading extends Found {
  readonly path: string;
  readonly bytes: number;
  readonly lines: number;
  /** The length of the file; beyond `bytes` stands what was not finished. */
  readonly total: number;
  readonly day: string;
}

class Directory implements Sink {
  #file: OpenFile | undefined;

  constructor(
    private readonly folder: string,
    private readonly settings: DirectorySettings,
    private readonly release: () => void,
  ) {}

  async resume(): Promise<Found | undefined> {
    const newest = await this.#newest();
    if (newest === undefined) return undefined;
    const { path, bytes, lines, total, day, position, previous } = newest;
    if (total > bytes) await truncate(path, bytes);
    const handle = await open(path, 'a');
    await handle.datasync();
    const { chain, key } = this.settings;
    const stretch = new Stretch(chain, key, lines);
    this.#file = { handle, path, stretch, bytes, holdsEvents: previous !== undefined, day };
    return { position, previous };
  }

  async begin(position: Position): Promise<void> {
    const { chain, key } = this.settings;
    const path = join(this.folder, fileName(position.sequence, randomBytes(4).toString('hex')));
    const handle = await open(path, 'ax', 0o600);
    const stretch = new Stretch(chain, key, 0);
    const file: OpenFile = {
      handle,
      path,
      stretch,
      bytes: 0,
      holdsEvents: false,
      day: dayOf(new Date().toISOString()),
    };
    try {
      await write(file, [], position);
      // The name of a new file is on the disk when its folder is.
      const folder = await open(this.folder, 'r');
      await folder.sync().finally(() => folder.close());
    } catch (error) {
      await handle.close();
      throw error;
    }
    const done = this.#file;
    this.#file = file;
    if (done === undefined) return;
    await done.handle.close();
    // A file that is done with is read-only.
    await chmod(done.path, 0o400);
  }

  async append(lines: readonly string[], position: Position): Promise<void> {
    const file = this.#file;
    if (file === undefined) throw new CountersignError('INTERNAL', 'nothing was begun in the audit folder');
    await write(file, lines, position);
    file.holdsEvents ||= lines.length > 0;
    const isFull = file.bytes >= (this.settings.maxFileBytes ?? MAX_FILE_BYTES);
    const isOld = file.day !== dayOf(new Date().toISOString());
    if (file.holdsEvents && (isFull || isOld)) await this.begin(position);
  }

  async close(): Promise<void> {
    await this.#file?.handle.close();
    this.#file = undefined;
    this.release();
  }

  /** Of the files that begin latest, the one that leads furthest; names sort by where files begin. */
  async #newest(): Promise<Reading | undefined> {
    const found: Reading[] = [];
    let latest: string | undefined;
    for (const name of readdirSync(this.folder).filter(isFileName).sort().reverse()) {
      const beginning = name.slice(0, 'journal-'.length + 16);
      if (latest !== undefined && latest !== beginning) break;
      const path = join(this.folder, name);
      const reading = await read(path, this.settings);
      // Not even its first line was finished.
      if (reading === 'unbegun') {
        rmSync(path);
        continue;
      }
      latest = beginning;
      if ('damage' in reading)
        this.settings.damaged(`${path}:${reading.damage.line}: ${reading.damage.problem}`);
      else found.push(reading);
    }
    return found.sort((one, other) => other.position.sequence - one.position.sequence)[0];
  }
}

async function write(file: OpenFile, lines: readonly string[], position: Position): Promise<void> {
  const { size, nlink } = await file.handle.stat();
  if (nlink === 0) throw new CountersignError('ENVIRONMENT', `${file.path} was removed`);
  if (size !== file.bytes)
    throw new CountersignError(
      'ENVIRONMENT',
      `${file.path} has ${size} bytes, not ${file.bytes}: somebody else writes to it`,
    );
  const piece = file.stretch.piece(lines, position, Date.now());
  await file.handle.appendFile(piece);
  await file.handle.datasync();
  file.bytes += piece.length;
}

type Checked = Pick<Reading, 'position' | 'previous' | 'bytes' | 'lines' | 'day'>;

async function read(
  path: string,
  { key, chain }: DirectorySettings,
): Promise<Reading | { readonly damage: Broken } | 'unbegun'> {
  const publicKey = createPublicKey(key.privateKey);
  let checked: Checked | undefined;
  let previous: string | undefined;
  const walk = new Walk(new Map([[key.id, publicKey]]), {
    begun: ({ ledger, workspace }) =>
      ledger === chain.ledger && workspace === chain.workspace ? undefined : 'it is of another ledger',
    event: (event) => {
      previous = event.previous;
      return undefined;
    },
    checked: ({ sequence, hash, count, line, at }, bytes) => {
      checked = { position: { sequence, hash, count }, previous, bytes, lines: line, day: dayOf(at) };
    },
  });
  let total = 0;
  let complete = 0;
  let isWhole = true;
  let isFollowed = false;
  for await (const lines of linesOf(path))
    for (const line of lines) {
      total = line.offset + line.bytes.length + (line.complete ? 1 : 0);
      complete += line.complete ? 1 : 0;
      if (isWhole) isWhole = walk.take(line);
      // What a crash leaves behind is followed by nothing: before a genuine checkpoint it is damage.
      if (!isWhole && line.complete) isFollowed ||= isGenuine(readLine(line.bytes), publicKey);
    }
  if (complete === 0) return 'unbegun';
  // A value that is assigned in a callback: the compiler does not see it.
  const last = checked as Checked | undefined;
  const damage = walk.end() ?? { line: 1, problem: 'it is not what was written' };
  return last === undefined || isFollowed ? { damage } : { path, ...last, total };
}

function isGenuine(line: Line, publicKey: KeyObject): boolean {
  return line.kind === 'checkpoint' && hasSigned(publicKey, line);
}

/** UTC. */
function dayOf(at: string): string {
  return at.slice(0, 10);
}
