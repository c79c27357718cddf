/** The journal on its way into the keys of an epoch that nobody reads yet. */
import { CountersignError } from '../../core/errors.js';
import type { KeptEvent } from '../../core/fence.js';
import { EVENT_TYPES } from '../../core/journal.js';
import { partsOf } from '../witness/log.js';
import type { LogEvent, PrimarySurvey } from '../witness/ports.js';
import type { Expiring } from './compare.js';
import type { Connection } from './connection.js';
import { type Keys, keysOf } from './keys.js';
import { loggedEvents, type Marks, marksAfter, marksArguments, NO_MARKS } from './primary.js';
import { loadOperands } from './replay.js';
import { type Reply, run, SCRIPTS } from './scripts.js';
import type { Session } from './session.js';

export interface RebuildParts {
  readonly workspace: string;
  readonly connection: Connection;
  readonly session: Session;
}

/** Where a rebuild loads. */
export interface Place {
  readonly epoch: number;
  readonly history: string;
  /** The ledger as it was then. */
  readonly present: PrimarySurvey;
}

/** Events in one call: decisions wait for as long as one takes. */
const PAGE_EVENTS = 100;

export class Loading {
  readonly parts: RebuildParts;
  readonly place: Place;
  /** How long entries count, by the key of a counter. */
  readonly expiring = new Map<string, Expiring>();
  readonly #keys: Keys;
  /** Up to this event everything is covered by a checkpoint. */
  readonly #from: number;
  /** The last event that was loaded. */
  position: number;
  events = 0;
  marks: Marks = NO_MARKS;

  constructor(parts: RebuildParts, place: Place, after: number) {
    this.parts = parts;
    this.place = place;
    this.#from = after;
    this.position = after;
    this.#keys = noting(keysOf(parts.workspace, place.epoch), this.expiring);
  }

  /** LEDGER_CORRUPT when the journal begins late, and nothing in it says what was before. */
  checkBeginning(): void {
    if (this.marks.covered === this.#from) return;
    throw corrupt(`the journal begins after event ${this.#from}, and no checkpoint says what was before`);
  }

  /**
   * Loads the journal up to its end. False when a checkpoint covers what was loaded before it was found.
   * @param newest the newest event, as the ledger says
   */
  async catchUp(newest: number): Promise<boolean> {
    for (;;) {
      const page = await this.#read(this.position);
      if (!(await this.#add(page))) return false;
      if (page.length === PAGE_EVENTS) continue;
      if (this.position >= newest) return true;
      throw corrupt(`the journal ends at event ${this.position}, and the ledger at event ${newest}`);
    }
  }

  async addAll(missing: AsyncIterable<KeptEvent>): Promise<boolean> {
    let page: LogEvent[] = [];
    for await (const kept of missing) {
      if (kept.sequence <= this.#from) continue;
      page.push(logged(kept));
      if (page.length < PAGE_EVENTS) continue;
      if (!(await this.#add(page))) return false;
      page = [];
    }
    return this.#add(page);
  }

  /** @param known the newest event of the present ledger */
  async replace(known: number): Promise<Reply<'DONE' | 'CHANGED'>> {
    this.checkBeginning();
    const { workspace, connection } = this.parts;
    const { epoch, history, present } = this.place;
    const marks = marksArguments(this.marks);
    const args = [epoch, history, present.epoch, known, this.position, ...marks].map(String);
    return mine(await run(connection, SCRIPTS.replace, { keys: [keysOf(workspace, 0).meta], args }));
  }

  async #read(after: number): Promise<readonly LogEvent[]> {
    const { fields } = await this.parts.session.read(SCRIPTS.events, ({ meta, journal }) => ({
      keys: [meta, journal],
      args: [String(after), String(PAGE_EVENTS)],
    }));
    return loggedEvents(fields);
  }

  async #add(events: readonly LogEvent[]): Promise<boolean> {
    let { marks, position } = this;
    for (const event of events) {
      checkFollows(event, position);
      position = event.sequence;
      marks = marksAfter(marks, event);
    }
    this.marks = marks;
    if (marks.covered > this.#from) return false;
    if (events.length === 0) return true;
    const { keys, args } = loadOperands(this.#keys, events);
    const place = [String(this.place.epoch), this.place.history];
    mine(await run(this.parts.connection, SCRIPTS.load, { keys, args: [...place, ...args] }));
    this.position = position;
    this.events += events.length;
    return true;
  }
}

/** Numbers are skipped by the statement of an operator alone: what lay between was lost, and he knew. */
function checkFollows(logged: LogEvent, before: number): void {
  const { sequence } = logged;
  const { type } = partsOf(logged);
  if (sequence <= before) throw corrupt(`event ${sequence} comes after event ${before}`);
  if (sequence > before + 1 && type !== 'activation') {
    throw corrupt(
      before === 0
        ? `the journal begins at event ${sequence}, and no checkpoint says what was before`
        : `the journal has no event between ${before} and ${sequence}`,
    );
  }
  if ((type === 'ledger') !== (sequence === 1))
    throw corrupt(`event ${sequence} of the journal is a ${type}`);
}

function logged({ sequence, atMs, type, bodyText }: KeptEvent): LogEvent {
  if (EVENT_TYPES.every((known) => known !== type)) {
    throw corrupt(`event ${sequence} is a ${type}, which this version does not know`);
  }
  return { sequence, event: `${type} ${atMs} ${bodyText}` };
}

/** The same keys; of each counter that is asked for it is noted how long its entries count. */
function noting(keys: Keys, expiring: Map<string, Expiring>): Keys {
  return {
    ...keys,
    counter(charge) {
      const names = keys.counter(charge);
      if (charge.window.kind === 'rolling') {
        const note = { times: names.times, lengthMs: charge.window.lengthMs };
        for (const name of Object.values(names)) expiring.set(name, note);
      }
      return names;
    },
  };
}

function mine<Code extends 'DONE' | 'CHANGED'>({ code, fields }: Reply<Code | 'OVERTAKEN'>): Reply<Code> {
  if (code === 'OVERTAKEN') throw overtaken();
  return { code, fields };
}

export function overtaken(): CountersignError {
  return new CountersignError(
    'CONCURRENT_CHANGE',
    'Redis has restarted or failed over, or somebody else rebuilds this ledger',
  );
}

function corrupt(message: string): CountersignError {
  return new CountersignError('LEDGER_CORRUPT', message);
}
