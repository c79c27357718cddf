/**
 * The exporter: what the ledger's journal holds goes to a sink, in order, once, as a chain of lines with signed
 * checkpoints. It takes no part in deciding: whatever fails here is tried again, and is seen in the metrics.
 *
 * Two exporters at once are harmless. An event's line is the same whoever writes it, each writes to files of its own,
 * and the mark in the ledger only moves forward. The mark moves when lines are on the disk, so a crash repeats
 * events, and loses none.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { CountersignError } from '../core/errors.js';
import type { Ledger } from '../core/ports.js';
import { BEGINNING, eventLine, hashOf, type Position } from './line.js';
import type { Found, Sink } from './sink.js';

export interface ExporterSettings {
  readonly ledger: Pick<Ledger, 'events' | 'exports'>;
  /** Opens where lines go, for the ledger of this identity. Undefined: another process writes there. */
  readonly open: (identity: string) => Sink | undefined;
  readonly observer: ExportObserver;
}

export interface ExportObserver {
  /** `behind`: how many sequence numbers the ledger is ahead. */
  exported(progress: { readonly lines: number; readonly behind: number }): void;
  failed(error: unknown): void;
}

/** Events of one piece; one checkpoint covers them. Few enough for requests not to notice. */
const PIECE_EVENTS = 250;
const POLL_MS = 1_000;
/** A checkpoint without events says that there was nothing new. */
const IDLE_CHECKPOINT_MS = 3_600_000;
const STANDBY_MS = 5_000;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
/** How long the last events may take when it is told to stop: others may go on deciding all the while. */
const LAST_MS = 5_000;

export class Exporter {
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(private readonly settings: ExporterSettings) {}

  start(): void {
    this.#running ??= this.#run(this.#stopping.signal);
  }

  /** Exports what the journal holds by now, and ends. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      try {
        const held = await this.#session(signal);
        retryMs = FIRST_RETRY_MS;
        if (!held) await rest(STANDBY_MS, signal);
      } catch (error) {
        this.settings.observer.failed(error);
        await rest(retryMs, signal);
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
      }
    }
  }

  /** Resolves to false when another process writes, to true when it was told to stop. */
  async #session(signal: AbortSignal): Promise<boolean> {
    const { ledger, open } = this.settings;
    const { identity } = await ledger.exports.state();
    const sink = open(identity);
    if (sink === undefined) return false;
    try {
      let position = await this.#settle(sink, identity);
      let checkpointAt = Date.now();
      let endsAt = Number.POSITIVE_INFINITY;
      for (;;) {
        const startedAt = Date.now();
        if (signal.aborted) endsAt = Math.min(endsAt, startedAt + LAST_MS);
        // Asked before the last look, so that what was decided until then is exported.
        const isLast = signal.aborted;
        const isIdle = startedAt - checkpointAt > IDLE_CHECKPOINT_MS;
        const next = await this.#piece(sink, identity, position, isIdle);
        const isNews = next !== undefined && next.sequence > position.sequence;
        if (next !== undefined) checkpointAt = Date.now();
        position = next ?? position;
        if (isLast && (!isNews || Date.now() > endsAt)) return true;
        // While it catches up it leaves half of the time to requests.
        await rest(isNews ? Date.now() - startedAt : POLL_MS, signal);
      }
    } finally {
      await sink.close();
    }
  }

  /** Where to go on: at the end of what the sink holds, otherwise at the ledger's mark. */
  async #settle(sink: Sink, identity: string): Promise<Position> {
    const { ledger } = this.settings;
    const found = await sink.resume();
    const { newest, mark } = await ledger.exports.state();
    if (found !== undefined && found.position.sequence > newest) {
      throw corrupt(
        `the ledger ends at event ${newest}, and event ${found.position.sequence} was exported: it has lost events`,
      );
    }
    const [first] = await ledger.events(0, 1);
    const isTrimmed =
      found !== undefined && first !== undefined && first.sequence > found.position.sequence + 1;
    if (
      found !== undefined &&
      !(isTrimmed && mark !== undefined && mark.sequence > found.position.sequence)
    ) {
      await this.#compare(found);
      await ledger.exports.moved(identity, found.position);
      return found.position;
    }
    const position = mark ?? BEGINNING;
    await sink.begin(position);
    return position;
  }

  /** A ledger that was set back and has gone on has other events under the numbers that were exported. */
  async #compare({ position, previous }: Found): Promise<void> {
    if (previous === undefined) return;
    const [event] = await this.settings.ledger.events(position.sequence - 1, 1);
    if (event?.sequence !== position.sequence) return;
    if (hashOf(eventLine(event, previous)) === position.hash) return;
    throw corrupt(
      `event ${position.sequence} of the ledger is not the event ${position.sequence} that was exported: the ledger was set back or altered`,
    );
  }

  /** The next events. Undefined: there was nothing to write. */
  async #piece(sink: Sink, identity: string, from: Position, isIdle: boolean): Promise<Position | undefined> {
    const { ledger, observer } = this.settings;
    const events = await ledger.events(from.sequence, PIECE_EVENTS);
    // Asked afterwards: an identity never comes back, so the events are of this ledger.
    const { identity: current, newest } = await ledger.exports.state();
    if (current !== identity)
      throw corrupt(`the store holds the ledger ${current}, and held ${identity} before`);
    if (newest < from.sequence)
      throw corrupt(
        `the ledger ends at event ${newest}, and event ${from.sequence} was exported: it has lost events`,
      );
    if (events.length === 0 && !isIdle) {
      observer.exported({ lines: 0, behind: newest - from.sequence });
      return undefined;
    }
    let position = from;
    const lines: string[] = [];
    for (const event of events) {
      const line = eventLine(event, position.hash);
      lines.push(line);
      position = { sequence: event.sequence, hash: hashOf(line), count: position.count + 1 };
    }
    await sink.append(lines, position);
    await ledger.exports.moved(identity, position);
    observer.exported({ lines: lines.length, behind: Math.max(0, newest - position.sequence) });
    return position;
  }
}

function corrupt(message: string): CountersignError {
  return new CountersignError('LEDGER_CORRUPT', message);
}

/** Ends early when it is told to stop. */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}
