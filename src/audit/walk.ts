/**
 * Following the chain of one file, line by line, and naming the first line that breaks it. Used by whoever verifies
 * and by the exporter when it goes on with a file of its own.
 */
import type { KeyObject } from 'node:crypto';
import type { FileLine } from './file.js';
import { type Checkpoint, type EventHead, hashOf, hasSigned, type Position, readLine } from './line.js';

/** Public keys of checkpoints by {@link keyId}. */
export type CheckpointKeys = ReadonlyMap<string, KeyObject>;

export interface Broken {
  readonly line: number;
  readonly problem: string;
}

/** What a walk is told of on its way. */
export interface WalkObserver {
  /** A checkpoint that begins a file, or a stretch in a file that several runs wrote to. Text: what is wrong with it. */
  begun(opening: Checkpoint): string | undefined;
  /** An event that follows from the one before. Text: what is wrong with it. */
  event?(event: EventHead, position: Position, line: FileLine): string | undefined;
  /** A checkpoint that agrees with the chain so far; `end` is where its line ends in the file. */
  checked?(checkpoint: Checkpoint, end: number): void;
}

export const NO_OPENING = 'a file begins with a checkpoint: what was before this line is missing';

interface Suspect extends Broken {
  /** The event line before it, which is the one to blame if what comes next vouches for the suspect. */
  readonly before: Broken;
  readonly hash: string;
}

export class Walk {
  /** Where the chain stands; undefined before the first line. */
  #position: Position | undefined;
  #opening: Checkpoint | undefined;
  /** What is added to a line's place in the file to have its number in the stretch. */
  #base = 0;
  #lastEvent = 0;
  #uncovered: { readonly line: number; readonly count: number } | undefined;
  #suspect: Suspect | undefined;
  #broken: Broken | undefined;

  constructor(
    private readonly keys: CheckpointKeys,
    private readonly observer: WalkObserver,
  ) {}

  get position(): Position | undefined {
    return this.#position;
  }

  get opening(): Checkpoint | undefined {
    return this.#opening;
  }

  /** The first of the last lines, when no checkpoint covers them. */
  get uncovered(): Broken | undefined {
    if (this.#uncovered === undefined) return undefined;
    const { line, count } = this.#uncovered;
    return {
      line,
      problem: `no checkpoint covers it${count > 1 ? ` and the ${count - 1} after it` : ''}: the file was cut off, or its exporter was interrupted or is at work`,
    };
  }

  /** False: the chain is broken, and no further line is of use. */
  take(line: FileLine): boolean {
    if (this.#broken !== undefined) return false;
    const read = line.complete
      ? readLine(line.bytes)
      : ({ kind: 'broken', problem: 'it is cut off: the file does not end with a line feed' } as const);
    if (this.#suspect !== undefined) {
      this.#broken = settled(this.#suspect, read);
      return false;
    }
    const problem =
      read.kind === 'broken'
        ? read.problem
        : read.kind === 'event'
          ? this.#event(read, line)
          : this.#checkpoint(read, line);
    if (problem !== undefined)
      this.#broken = typeof problem === 'string' ? { line: line.number, problem } : problem;
    return this.#broken === undefined;
  }

  /** After the last line: the first line that is not as it should be; undefined when all are. */
  end(): Broken | undefined {
    if (this.#broken !== undefined) return this.#broken;
    if (this.#suspect !== undefined) return this.#suspect;
    if (this.#opening === undefined) return { line: 1, problem: 'the file is empty' };
    return this.uncovered;
  }

  #event(event: EventHead, line: FileLine): string | undefined {
    const position = this.#position;
    if (position === undefined) return NO_OPENING;
    const hash = hashOf(line.bytes);
    if (event.previous !== position.hash) {
      const problem = `it does not follow from the line before it: its \`previous\` is ${event.previous}, and that line's SHA-256 is ${position.hash}`;
      this.#suspect = {
        line: line.number,
        problem,
        hash,
        before: {
          line: this.#lastEvent === 0 ? line.number : this.#lastEvent,
          problem: `its SHA-256 is ${position.hash}, and line ${line.number}, which is vouched for, follows ${event.previous}: it was changed, or lines after it were removed`,
        },
      };
      return undefined;
    }
    if (event.sequence <= position.sequence)
      return `it is event ${event.sequence}, and event ${position.sequence} stands before it`;
    const next = { sequence: event.sequence, hash, count: position.count + 1 };
    const objection = this.observer.event?.(event, next, line);
    if (objection !== undefined) return objection;
    this.#position = next;
    this.#lastEvent = line.number;
    this.#uncovered = {
      line: this.#uncovered?.line ?? line.number,
      count: (this.#uncovered?.count ?? 0) + 1,
    };
    return undefined;
  }

  #checkpoint(
    read: { readonly checkpoint: Checkpoint; readonly signed: Buffer },
    { number, offset, bytes }: FileLine,
  ): string | Broken | undefined {
    const { checkpoint } = read;
    const key = this.keys.get(checkpoint.key);
    if (key === undefined)
      return `it is signed with a key that was not given (SPKI SHA-256 ${checkpoint.key})`;
    if (!hasSigned(key, read)) return 'its signature does not verify';
    if (this.#position === undefined || (checkpoint.line === 1 && number > 1)) {
      const objection = this.observer.begun(checkpoint);
      if (objection !== undefined) return objection;
      this.#opening = checkpoint;
      this.#base = checkpoint.line - number;
    } else {
      const objection = this.#disagreement(checkpoint, number);
      if (objection !== undefined) return objection;
    }
    this.#position = { sequence: checkpoint.sequence, hash: checkpoint.hash, count: checkpoint.count };
    this.#uncovered = undefined;
    this.observer.checked?.(checkpoint, offset + bytes.length + 1);
    return undefined;
  }

  /** The checkpoint is genuine, so whatever it does not agree with is not. */
  #disagreement(
    { ledger, workspace, sequence, hash, count, line }: Checkpoint,
    number: number,
  ): string | Broken | undefined {
    const { ledger: ownLedger, workspace: ownWorkspace } = this.#opening ?? { ledger, workspace };
    if (ledger !== ownLedger) return `it is of ledger ${ledger}, and the file of ${ownLedger}`;
    if (workspace !== ownWorkspace) return `it is of workspace ${workspace}, and the file of ${ownWorkspace}`;
    const position = this.#position;
    if (position === undefined) return undefined;
    if (sequence !== position.sequence || hash !== position.hash || count !== position.count) {
      return {
        line: Math.max(this.#lastEvent, 1),
        problem: `the signed checkpoint in line ${number} says that the chain is at event ${sequence} (${hash}) after ${count} events, and it is at event ${position.sequence} (${position.hash}) after ${position.count}: the line was changed, or lines before the checkpoint were removed or added`,
      };
    }
    if (line !== number + this.#base)
      return `it was line ${line} when it was written, and is line ${number + this.#base} now: lines before it were removed or added`;
    return undefined;
  }
}

/** Whether what comes after a suspect vouches for it. */
function settled({ before, hash, ...suspect }: Suspect, next: ReturnType<typeof readLine>): Broken {
  const vouched =
    (next.kind === 'event' && next.previous === hash) ||
    (next.kind === 'checkpoint' && next.checkpoint.hash === hash);
  return vouched ? before : { line: suspect.line, problem: suspect.problem };
}
