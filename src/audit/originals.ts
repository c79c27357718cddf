/**
 * Keeping originals in files, beside the answering and never in its way: whoever hands one over does not wait, and
 * learns of no fault. What the disk does not take in time is dropped and counted.
 *
 * Every process writes to files of its own, and begins a new one after every fault, so nothing is ever repaired: a line
 * that a crash cut off stays the last of its file.
 */
import { randomBytes } from 'node:crypto';
import { access, constants, type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises';
import { CountersignError } from '../core/errors.js';
import { originalsFileName } from './file.js';
import { MAX_LINE_BYTES } from './line.js';
import { newSeal, type Original, type Recipient } from './original.js';

export interface OriginalsObserver {
  /** `waiting`: how many are not written yet. */
  written(count: number, waiting: number): void;
  dropped(count: number, problem: string): void;
  /** An attempt that is made again. */
  failed(error: unknown): void;
}

export interface OriginalsSettings {
  /** Made when there is none. */
  readonly directory: string;
  readonly recipient: Recipient;
  readonly observer: OriginalsObserver;
  readonly bounds?: Bounds;
}

interface Bounds {
  /** Of what waits in memory. */
  readonly messages: number;
  readonly bytes: number;
  /** A file that is larger is followed by another one; so is one of an earlier day (UTC). */
  readonly fileBytes: number;
}

/** A few seconds of a replica at its limit. */
const BOUNDS: Bounds = { messages: 10_000, bytes: 32 * 1024 * 1024, fileBytes: 64 * 1024 * 1024 };

/** What is sealed with one key and written at once. */
const PIECE_MESSAGES = 256;
const PIECE_BYTES = 1024 * 1024;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
/** How long the last ones may take when it is closed. */
const LAST_MS = 3_000;

interface Waiting {
  readonly original: Original;
  readonly bytes: number;
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  readonly day: string;
  bytes: number;
}

export class Originals {
  readonly #queue: Waiting[] = [];
  readonly #stopping = new AbortController();
  readonly #bounds: Bounds;
  #bytes = 0;
  #file: OpenFile | undefined;
  /** At most one, so that a disk that hangs holds one thread of the pool and no more. */
  #running: Promise<void> | undefined;

  constructor(private readonly settings: OriginalsSettings) {
    this.#bounds = settings.bounds ?? BOUNDS;
  }

  /** Looks whether it could write, so that a wrong folder is seen before the first message. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Never waits, and never throws. */
  keep(original: Original): void {
    const bytes = sizeOf(original);
    const { messages, bytes: most } = this.#bounds;
    if (this.#queue.length >= messages || this.#bytes + bytes > most) {
      this.settings.observer.dropped(1, 'more is answered than the disk takes');
      return;
    }
    this.#queue.push({ original, bytes });
    this.#bytes += bytes;
    this.#running ??= this.#run();
  }

  /** Writes what waits, as far as it can be written soon. */
  async close(): Promise<void> {
    const { signal } = this.#stopping;
    await Promise.race([this.#running, rest(LAST_MS, signal)]);
    this.#stopping.abort();
    const { length } = this.#queue;
    if (length > 0)
      this.settings.observer.dropped(length, 'they were not written before the replica stopped');
    // A disk that hangs would not close it either.
    if (this.#running === undefined) await this.#file?.handle.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let retryMs = FIRST_RETRY_MS;
    do {
      // The answer goes first.
      await immediate();
      try {
        const [first] = this.#queue;
        await (first === undefined ? this.#prepare() : this.#writePiece(first));
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        await this.#abandon();
        this.settings.observer.failed(error);
        await rest(retryMs, signal);
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
      }
    } while (this.#queue.length > 0 && !signal.aborted);
    this.#running = undefined;
  }

  async #prepare(): Promise<void> {
    const { directory } = this.settings;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await access(directory, constants.W_OK);
  }

  async #writePiece(first: Waiting): Promise<void> {
    const { recipient, observer } = this.settings;
    const piece = this.#pieceFrom(first);
    const file = await this.#fileOf(first.original.atMs);
    const { nlink } = await file.handle.stat();
    if (nlink === 0) throw new CountersignError('ENVIRONMENT', `${file.path} was removed`);
    const seal = newSeal(recipient);
    const lines: string[] = [];
    for (const { original } of piece) {
      const line = seal(original);
      if (line.length <= MAX_LINE_BYTES) lines.push(line);
      await immediate();
    }
    const bytes = Buffer.from(lines.join(''));
    await file.handle.appendFile(bytes);
    await file.handle.datasync();
    file.bytes += bytes.length;
    this.#queue.splice(0, piece.length);
    for (const waiting of piece) this.#bytes -= waiting.bytes;
    const tooLong = piece.length - lines.length;
    if (tooLong > 0) observer.dropped(tooLong, `a line would be longer than ${MAX_LINE_BYTES} bytes`);
    observer.written(lines.length, this.#queue.length);
  }

  /** The first ones that wait, all of one day. */
  #pieceFrom(first: Waiting): readonly Waiting[] {
    const day = dayOf(first.original.atMs);
    let bytes = 0;
    const end = this.#queue.findIndex((waiting, index) => {
      bytes += waiting.bytes;
      const isFull = index >= PIECE_MESSAGES || bytes > PIECE_BYTES;
      return index > 0 && (isFull || dayOf(waiting.original.atMs) !== day);
    });
    return this.#queue.slice(0, end < 0 ? this.#queue.length : end);
  }

  async #fileOf(atMs: number): Promise<OpenFile> {
    const day = dayOf(atMs);
    const current = this.#file;
    if (current?.day === day && current.bytes < this.#bounds.fileBytes) return current;
    this.#file = undefined;
    await current?.handle.close();
    await this.#prepare();
    const { directory } = this.settings;
    const path = join(directory, originalsFileName(atMs, randomBytes(4).toString('hex')));
    const file = { handle: await open(path, 'ax', 0o600), path, day, bytes: 0 };
    this.#file = file;
    // The name of a new file is on the disk when its folder is.
    const folder = await open(directory, 'r');
    await folder.sync().finally(() => folder.close());
    return file;
  }

  /** What was written in part is taken back as far as the disk lets us; it is written again. */
  async #abandon(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    const { handle, path, bytes } = file;
    await (bytes === 0 ? unlink(path) : handle.truncate(bytes)).catch(() => undefined);
    await handle.close().catch(() => undefined);
  }
}

/** UTC. */
function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

/** About what it takes in memory. */
function sizeOf({ request, answer }: Original): number {
  const ofHeaders = Object.entries(request.headers).map(([name, value = '']) => name.length + value.length);
  return ofHeaders.reduce((sum, length) => sum + length, 1_024 + request.body.length + answer.body.length);
}

/** Ends early when it is told to stop. */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}
