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
import type { ExportMark, ExportState } from '../core/export.js';
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
}

/** Events of one piece; one checkpoint covers them. Few enough for requests not to notice. */
const PIECE_EVENTS = 250;
const POLL_MS = 1_000;
/** A checkpoint without events says that there was nothing new. */
const IDLE_CHECKPOINT_MS = 3_600_000;
/** How long the last events may take when it is told to stop: others may go on deciding all the while. */
const LAST_MS = 5_000;

export class Exporter {
  constructor(private readonly settings: ExporterSettings) {}

  /**
   * Until the signal aborts, and then what the journal holds by now; ends at once when another process writes to the same
   * place. Rejects with whatever ledger or sink failed with; when it is called again it goes on where it was.
   */
  async export(signal: AbortSignal): Promise<void> {
    const { ledger, open } = this.settings;
    const { identity } = await ledger.exports.state();
    const sink = open(identity);
    if (sink === undefined) return;
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
        if (isLast && (!isNews || Date.now() > endsAt)) return;
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
    const { mark } = await this.#look(identity, found?.position.sequence ?? 0);
    if (found !== undefined && !(await this.#isTrimmed(found.position, mark))) {
      await this.#compare(found);
      await ledger.exports.moved(identity, found.position);
      return found.position;
    }
    const position = mark ?? BEGINNING;
    await sink.begin(position);
    return position;
  }

  /** Others have exported what comes next, and the ledger does not hold it any more. */
  async #isTrimmed({ sequence }: Position, mark: ExportMark | undefined): Promise<boolean> {
    if (mark === undefined || mark.sequence <= sequence) return false;
    const [first] = await this.settings.ledger.events(0, 1);
    return first !== undefined && first.sequence > sequence + 1;
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

  /** Throws LEDGER_CORRUPT when this is another ledger than before, or one that was set back. */
  async #look(identity: string, exported: number): Promise<ExportState> {
    const state = await this.settings.ledger.exports.state();
    if (state.identity !== identity)
      throw corrupt(`the store holds the ledger ${state.identity}, and held ${identity} before`);
    if (state.newest < exported)
      throw corrupt(
        `the ledger ends at event ${state.newest}, and event ${exported} was exported: it has lost events`,
      );
    return state;
  }

  /** The next events. Undefined: there was nothing to write. */
  async #piece(sink: Sink, identity: string, from: Position, isIdle: boolean): Promise<Position | undefined> {
    const { ledger, observer } = this.settings;
    // Asked first: what is final now stays what it is, and events beyond it may become others in a recovery.
    const { newest, mark } = await this.#look(identity, from.sequence);
    // A recovery does not bring it back, and without it nothing would be forgotten until something is decided.
    if ((mark?.sequence ?? 0) < from.sequence) await ledger.exports.moved(identity, from);
    const final = newest > from.sequence ? await ledger.events(from.sequence, PIECE_EVENTS) : [];
    const events = final.filter(({ sequence }) => sequence <= newest);
    // Asked again: an identity never comes back, so the events are of this ledger.
    if (events.length > 0) await this.#look(identity, from.sequence);
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
