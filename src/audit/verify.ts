/**
 * Verifying audit files without the ledger: every file by itself, and that together they hold one chain without a
 * hole. What memory it takes does not depend on how many lines there are.
 */
import { open } from 'node:fs/promises';
import { assert } from '../core/errors.js';
import { linesOf } from './file.js';
import {
  BEGINNING,
  type Checkpoint,
  type EventHead,
  hasSigned,
  LINE_FEED,
  type Position,
  readLine,
} from './line.js';
import { type Broken, type CheckpointKeys, NO_OPENING, Walk } from './walk.js';

export interface Verified {
  readonly ledger: string;
  readonly workspace: string;
  /** The chain begins after this event; 0: nothing is missing before. */
  readonly after: number;
  /** Its last event. */
  readonly sequence: number;
  readonly hash: string;
  readonly events: number;
  /** When its newest checkpoint was written, by the exporter's clock. */
  readonly at: string;
  readonly files: number;
  /** Numbers that no event has: [last before, first after]. The first ones are named, all are counted. */
  readonly gaps: readonly (readonly [number, number])[];
  readonly gapCount: number;
  /** SHA-256 of the keys that signed. */
  readonly keys: readonly string[];
}

export type Verification =
  | {
      readonly ok: true;
      readonly chains: readonly Verified[];
      readonly lines: number;
      readonly bytes: number;
    }
  | { readonly ok: false; readonly file: string; readonly line: number; readonly problem: string };

/** An event that follows from those before it. */
export interface WatchedEvent {
  readonly event: EventHead;
  readonly position: Position;
  /** Its line; valid during the call. */
  readonly bytes: Buffer;
  readonly chain: Pick<Checkpoint, 'ledger' | 'workspace'>;
}

/** For whoever looks at more than the chain: told of every event of every file. Text: what is wrong with it. */
export type EventWatcher = (watched: WatchedEvent) => string | undefined;

export type Mark = Pick<Position, 'sequence' | 'hash'> & Partial<Pick<Position, 'count'>>;

export interface Further {
  readonly watch?: EventWatcher;
  /** The chain must pass here, if it comes so far: what the ledger knows, or somebody wrote down before. */
  readonly mark?: Mark;
  /** The files were collected from standard output: one may hold what several runs wrote, one after the other. */
  readonly collected?: boolean;
}

interface File {
  readonly path: string;
  readonly opening: Checkpoint;
  /** What its last line says, if it is a checkpoint. */
  readonly end: Checkpoint | undefined;
}

/** Of positions that were passed so many are remembered, to connect files that overlap; a file has fewer checkpoints. */
const MAX_KNOWN = 50_000;
const MAX_GAPS_NAMED = 10;

/** Throws FILE_UNREADABLE when a file cannot be read at all. */
export async function verifyFiles(
  paths: readonly string[],
  keys: CheckpointKeys,
  further: Further = {},
): Promise<Verification> {
  const files: File[] = [];
  for (const path of paths) {
    const file = await endsOf(path, keys);
    if ('problem' in file) return { ok: false, file: path, ...file };
    files.push(file);
  }
  const groups = Map.groupBy(files, ({ opening }) => `${opening.ledger} ${opening.workspace}`);
  const chains: Verified[] = [];
  let lines = 0;
  let bytes = 0;
  for (const group of groups.values()) {
    const chain = new ChainOfFiles(group, keys, further);
    const broken = await chain.verify();
    if (broken !== undefined) return { ok: false, ...broken };
    chains.push(chain.result());
    lines += chain.lines;
    bytes += chain.bytes;
  }
  return { ok: true, chains, lines, bytes };
}

/** The files of one ledger, in the order in which they begin. */
class ChainOfFiles {
  lines = 0;
  bytes = 0;
  readonly #files: readonly File[];
  readonly #keys: CheckpointKeys;
  readonly #watch: EventWatcher | undefined;
  readonly #isCollected: boolean;
  /** Where files end, as they say themselves: every walk that passes must find the same there. */
  readonly #ends: ReadonlyMap<number, Mark>;
  /** Checkpoints that were passed, oldest first. */
  readonly #known = new Map<number, Position>();
  /** By their last event: lines at the end of a run that no checkpoint covers, until the next run has written the same. */
  readonly #doubtful = new Map<number, Position & { readonly file: string; readonly broken: Broken }>();
  readonly #usedKeys = new Set<string>();
  readonly #gaps: (readonly [number, number])[] = [];
  #gapCount = 0;
  #reached: Position | undefined;
  #newestAt = '';

  constructor(files: readonly File[], keys: CheckpointKeys, { watch, mark, collected = false }: Further) {
    this.#isCollected = collected;
    this.#files = [...files].sort(
      (a, b) => a.opening.sequence - b.opening.sequence || (a.path < b.path ? -1 : 1),
    );
    this.#keys = keys;
    this.#watch = watch;
    const ends = this.#files.flatMap(({ end }) => (end === undefined ? [] : [end]));
    this.#ends = new Map([...ends, ...(mark === undefined ? [] : [mark])].map((end) => [end.sequence, end]));
  }

  async verify(): Promise<
    { readonly file: string; readonly line: number; readonly problem: string } | undefined
  > {
    for (const { path } of this.#files) {
      const walk: Walk = new Walk(this.#keys, {
        begun: (opening) => this.#begun(opening, walk, path),
        event: (event, position, line) => {
          this.#settle(position);
          const before = walk.position?.sequence ?? 0;
          if (event.sequence > before + 1) this.#gap(before, event.sequence);
          return (
            this.#differs(position) ??
            (walk.opening === undefined
              ? undefined
              : this.#watch?.({ event, position, bytes: line.bytes, chain: walk.opening }))
          );
        },
        checked: (checkpoint) => this.#checked(checkpoint),
      });
      for await (const piece of linesOf(path)) {
        if (!piece.every((line) => walk.take(line))) break;
        this.lines += piece.length;
        this.bytes += piece.reduce((sum, line) => sum + line.bytes.length + 1, 0);
      }
      const broken = walk.end();
      if (broken !== undefined) return { file: path, ...broken };
    }
    for (const { file, broken } of this.#doubtful.values()) return { file, ...broken };
    return undefined;
  }

  result(): Verified {
    const opening = this.#files[0]?.opening;
    const reached = this.#reached;
    assert(opening !== undefined && reached !== undefined, 'a chain has files');
    return {
      ledger: opening.ledger,
      workspace: opening.workspace,
      after: opening.sequence,
      sequence: reached.sequence,
      hash: reached.hash,
      events: reached.count - opening.count,
      at: this.#newestAt,
      files: this.#files.length,
      gaps: this.#gaps,
      gapCount: this.#gapCount,
      keys: [...this.#usedKeys],
    };
  }

  /** A file must begin at a place that files before it have reached. */
  #begun(
    { sequence, hash, count }: Checkpoint,
    { position, uncovered }: Pick<Walk, 'position' | 'uncovered'>,
    file: string,
  ): string | undefined {
    if (position !== undefined) {
      if (!this.#isCollected)
        return 'it begins a file, and stands in the middle of one; standard output that was collected is verified with --collected';
      if (uncovered === undefined) this.#remember(position);
      // What a run left uncovered is written again by the next; it must be the same.
      else this.#doubtful.set(position.sequence, { ...position, file, broken: uncovered });
    }
    if (this.#reached === undefined) {
      const isBeginning = sequence > 0 || (hash === BEGINNING.hash && count === 0);
      return isBeginning ? undefined : 'it begins before the first event, and not as a chain does';
    }
    if (sequence > this.#reached.sequence)
      return `the events after ${this.#reached.sequence}, up to ${sequence}, are missing: no file holds them`;
    const known = this.#known.get(sequence) ?? this.#ends.get(sequence);
    if (known === undefined)
      return `it begins after event ${sequence}, and no other file has a checkpoint there`;
    return this.#differs({ sequence, hash, count });
  }

  /** A chain leads to the same hash over the same lines only. */
  #settle({ sequence, hash }: Position): void {
    if (this.#doubtful.get(sequence)?.hash === hash) this.#doubtful.delete(sequence);
  }

  #differs({ sequence, hash, count }: Position): string | undefined {
    for (const known of [this.#known.get(sequence), this.#ends.get(sequence), this.#doubtful.get(sequence)])
      if (known !== undefined && (known.hash !== hash || known.count !== count))
        return `event ${sequence} is another one than in another file: there ${known.hash} after ${known.count} events, here ${hash} after ${count}`;
    return undefined;
  }

  #checked({ sequence, hash, count, at, key }: Checkpoint): void {
    this.#usedKeys.add(key);
    if (at > this.#newestAt) this.#newestAt = at;
    this.#remember({ sequence, hash, count });
    if (this.#reached === undefined || sequence >= this.#reached.sequence)
      this.#reached = { sequence, hash, count };
  }

  #remember(position: Position): void {
    this.#known.set(position.sequence, position);
    if (this.#known.size <= MAX_KNOWN) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      break;
    }
  }

  /** Files that overlap show the same gap twice. */
  #gap(before: number, after: number): void {
    if (before < (this.#reached?.sequence ?? 0)) return;
    this.#gapCount += 1;
    if (this.#gaps.length < MAX_GAPS_NAMED) this.#gaps.push([before, after]);
  }
}

/** Which events files hold, as their first and last checkpoints say: (after, upTo]. Of files that were verified. */
export async function rangesOf(
  paths: readonly string[],
  keys: CheckpointKeys,
): Promise<readonly { readonly path: string; readonly after: number; readonly upTo: number }[]> {
  const ranges: { readonly path: string; readonly after: number; readonly upTo: number }[] = [];
  for (const path of paths) {
    const ends = await endsOf(path, keys);
    if ('problem' in ends || ends.end === undefined) continue;
    ranges.push({ path, after: ends.opening.sequence, upTo: ends.end.sequence });
  }
  return ranges.sort((one, other) => one.after - other.after || (one.path < other.path ? -1 : 1));
}

/** A file's first line, and its last. */
async function endsOf(
  path: string,
  keys: CheckpointKeys,
): Promise<File | { readonly line: number; readonly problem: string }> {
  for await (const [first] of linesOf(path)) {
    if (first === undefined) continue;
    const read = readLine(first.bytes);
    if (read.kind === 'checkpoint') return { path, opening: read.checkpoint, end: await endOf(path, keys) };
    return { line: 1, problem: read.kind === 'event' ? NO_OPENING : read.problem };
  }
  return { line: 1, problem: 'the file is empty' };
}

/** A checkpoint is shorter. */
const LAST_BYTES = 4_096;

/** Only a genuine one: other files are held against it. */
async function endOf(path: string, keys: CheckpointKeys): Promise<Checkpoint | undefined> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const at = Math.max(0, size - LAST_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(LAST_BYTES), 0, LAST_BYTES, at);
    const text = buffer.subarray(0, bytesRead);
    const read = readLine(text.subarray(text.lastIndexOf(LINE_FEED, bytesRead - 2) + 1, bytesRead - 1));
    if (read.kind !== 'checkpoint') return undefined;
    const key = keys.get(read.checkpoint.key);
    return key !== undefined && hasSigned(key, read) ? read.checkpoint : undefined;
  } finally {
    await handle.close();
  }
}
