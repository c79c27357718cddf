/**
 * Files that are taken again while a replica runs: keys, certificates, the configuration document. What is in force stays so
 * until something else was taken whole, so nothing is ever half replaced.
 *
 * Files are looked at and not watched: Kubernetes replaces a mounted Secret by swapping a symbolic link to a folder, which
 * watchers of the file miss.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '../core/errors.js';
import { codeOf } from '../keys/key-file.js';
import type { ReloadMetrics } from '../telemetry/reload-metrics.js';

/** What is taken together or not at all. */
export interface ReloadedPart {
  /** For log and metrics: one of a few names of ours. */
  readonly name: string;
  /** What it is read from, as it is in force now; those of a part that names others may be others after a reload. */
  files(): readonly string[];
  /** Reads everything anew and puts it in force in one step. When it rejects, what was in force must still be. */
  reload(): Promise<void>;
}

export interface ReloadingSettings {
  readonly logger: Logger;
  readonly metrics: ReloadMetrics;
  /** Milliseconds between two looks. */
  readonly pollMs?: number;
  /** Milliseconds for which files must not change before they are taken. */
  readonly settleMs?: number;
}

const POLL_MS = 5_000;
const SETTLE_MS = 250;
/** A key may lie there before its certificate does: nobody is called for a state that the next looks find mended. */
const PATIENCE_LOOKS = 3;
/** A document that was taken may name other files, which were not looked at before. */
const MOST_ROUNDS = 3;
/** No key, certificate or document is larger; of what is, only its size and age are looked at. */
const MAX_READ_BYTES = 4 * 1024 * 1024;

/** File → digest of its content. */
export type Contents = ReadonlyMap<string, string>;

interface Watched {
  readonly part: ReloadedPart;
  /** What was last taken; undefined before the first look. */
  taken: Contents | undefined;
  /** Why it could not be taken at the last look; undefined when it could. */
  problem: string | undefined;
  /** Looks in a row that met this problem. */
  looks: number;
  /** The problem that was told last; undefined while all is well. */
  told: string | undefined;
}

export class Reloading {
  readonly #watched: Watched[] = [];
  readonly #pollMs: number;
  readonly #settleMs: number;
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(private readonly settings: ReloadingSettings) {
    this.#pollMs = settings.pollMs ?? POLL_MS;
    this.#settleMs = settings.settleMs ?? SETTLE_MS;
  }

  add(part: ReloadedPart): void {
    this.settings.metrics.expect(part.name);
    this.#watched.push({ part, taken: undefined, problem: undefined, looks: 0, told: undefined });
  }

  /**
   * The first look takes every part again, whether or not it changed: something may have, between the start of the replica
   * and this one. It is not told of.
   */
  start(): void {
    const look = (): void => {
      if (this.#waiting === 0) void this.#queue('poll');
    };
    look();
    this.#timer = setInterval(look, this.#pollMs).unref();
  }

  /** Takes every part now; somebody asked and is told at once what came of it. Never rejects. */
  now(): Promise<void> {
    return this.#queue('asked');
  }

  /** Resolves when the look that is under way has ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#last;
  }

  #queue(why: 'poll' | 'asked'): Promise<void> {
    this.#waiting += 1;
    this.#last = this.#last.then(async () => {
      for (const watched of this.#watched) await this.#look(watched, why);
      this.#waiting -= 1;
    });
    return this.#last;
  }

  async #look(watched: Watched, why: 'poll' | 'asked'): Promise<void> {
    const { part, taken, problem } = watched;
    try {
      // What failed is tried again even when all is as it was: somebody may have put the old files back.
      const isDue = why === 'asked' || problem !== undefined;
      if (!isDue && taken !== undefined && changesOf(taken, await contentsOf(part.files())).length === 0)
        return;
      watched.taken = await this.#take(part);
      this.#succeeded(watched, taken, why);
    } catch (error) {
      this.#failed(watched, messageOf(error), why);
    }
  }

  /** What was read is at least as new as the contents that are returned: a change in between is found by the next look. */
  async #take(part: ReloadedPart): Promise<Contents> {
    for (let round = 1; ; round += 1) {
      const files = part.files();
      const contents = await contentsOf(files);
      await sleep(this.#settleMs);
      if (changesOf(contents, await contentsOf(files)).length > 0)
        throw new Error(
          'its files are being written; they are taken when they have not changed for a moment',
        );
      await part.reload();
      const now = part.files();
      const isSame = now.length === files.length && now.every((file) => contents.has(file));
      if (isSame || round === MOST_ROUNDS) return contents;
    }
  }

  #succeeded(watched: Watched, before: Contents | undefined, why: 'poll' | 'asked'): void {
    const { part, taken, told } = watched;
    watched.problem = undefined;
    watched.told = undefined;
    const { logger, metrics } = this.settings;
    metrics.mended(part.name);
    if (before === undefined && why === 'poll' && told === undefined) return;
    metrics.taken(part.name);
    logger.info({ part: part.name, changed: changesOf(before, taken) }, 'reloaded');
  }

  #failed(watched: Watched, problem: string, why: 'poll' | 'asked'): void {
    const { part } = watched;
    watched.looks = problem === watched.problem ? watched.looks + 1 : 1;
    watched.problem = problem;
    if (why === 'poll' && (watched.looks < PATIENCE_LOOKS || watched.told === problem)) return;
    watched.told = problem;
    const { logger, metrics } = this.settings;
    metrics.failed(part.name);
    logger.error({ part: part.name, problem }, 'not reloaded: what was in force stays so');
  }
}

/** The files that differ. */
export function changesOf(before: Contents = new Map(), after: Contents = new Map()): readonly string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name));
}

/** Never rejects. */
export async function contentsOf(files: readonly string[]): Promise<Contents> {
  const contents = new Map<string, string>();
  for (const file of files) contents.set(file, await digestOf(file));
  return contents;
}

/** Never rejects: that a file cannot be read is a content like others, and reading it is what complains. */
async function digestOf(file: string): Promise<string> {
  try {
    const stats = await stat(file, { bigint: true });
    // Nothing else ends when it is read.
    if (!stats.isFile() || stats.size > MAX_READ_BYTES) return `${stats.ino} ${stats.size} ${stats.mtimeNs}`;
    return createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  } catch (error) {
    return codeOf(error) ?? 'unreadable';
  }
}
