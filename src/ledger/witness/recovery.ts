/**
 * Recovery: after a restart or fail-over, the exact ledger again, from its witnesses. Any replica may run it, several may
 * run it at once, and each may die at any step: nothing is decided until one has finished, and what it then decides from
 * holds every event that anybody was ever answered.
 *
 * An event may be relied upon when a majority of the witnesses holds it. Each witness promises epochs in ascending order
 * and refuses events of epochs below its promise. So:
 *
 *   1  survey   the server and the witnesses: stop if somebody else has recovered already
 *   2  epoch    one above everything that anybody has promised, claimed or is in
 *   3  seal     a majority of witnesses promises it: from here on no event of an older epoch reaches a majority
 *   4  claim    the server promises it: nothing is decided there, and older recoveries cannot write there any more
 *   5  read     the logs of the witnesses that were sealed, after the seal: every event that was relied upon is in one
 *   6  load     them into keys of their own on the server; what only its old keys hold was never answered, and is dropped
 *   7  install  the same events on a majority of witnesses, under the new epoch, before anything is decided by them
 *   8  settle   the epoch is the ledger's
 *
 * A witness without a log (blank: its disk was lost) has promised nothing and holds nothing, so it has no vote; it gets
 * both by being installed. Every rule here has a mutant in test/simulation that breaks a promise without it.
 *
 * No clock, no randomness, no I/O: the ports do that, and the simulation schedules them as it likes.
 */
import { CountersignError } from '../../core/errors.js';

import { withoutCovered } from './log.js';
import type {
  Ballot,
  LogEvent,
  PrimarySurvey,
  RecoveryPorts,
  RecoveryPrimary,
  RecoveryWitness,
  WitnessedEvent,
  WitnessSurvey,
} from './ports.js';
import { majorityOf } from './quorum.js';

/** Why the recovery was asked for. */
export interface RecoveryCause {
  /** The epoch that the replica was in. */
  readonly epoch: number;
  /** Its events are refused by the witnesses, or it has a reason of its own: that the server decides is not enough. */
  readonly evenIfOpen: boolean;
}

export type RecoveryResult =
  | { readonly kind: 'recovered'; readonly epoch: number; readonly events: number }
  /** Somebody else recovered, or is about to; look again. */
  | { readonly kind: 'overtaken' };

const OVERTAKEN: RecoveryResult = { kind: 'overtaken' };

/** Events in one call: no call may keep a server busy for long. */
const PAGE_EVENTS = 200;

/** Rejects with LEDGER_RECOVERING when it cannot go on now, with LEDGER_CORRUPT when it never can. */
export async function recover(
  { primary, witnesses, progress }: RecoveryPorts,
  cause: RecoveryCause,
): Promise<RecoveryResult> {
  const server = await primary.survey();
  if (isDone(server, cause)) return OVERTAKEN;
  const surveyed = await surveyAll(witnesses);
  if (areMostBlank(surveyed, witnesses.length)) throw await missing(surveyed, witnesses);
  const ledger = ledgerOf(server, surveyed, witnesses.length);
  const promised = surveyed.map(({ survey }) => (survey.kind === 'member' ? survey.promised : 0));
  const epoch = 1 + Math.max(server.epoch, server.claim, cause.epoch, ...promised);
  const ballot = { ledger, epoch };

  const sealed = await seal(surveyed, ballot, witnesses.length);
  if (sealed === undefined) return OVERTAKEN;
  if (!(await primary.claim(epoch, server.history))) return OVERTAKEN;

  const logs = await readAll(sealed, ballot, progress);
  if (logs === undefined) return OVERTAKEN;
  const log = merge(logs);
  const highest = Math.max(server.sequence, ...logs.map(({ events }) => highestOf(events)));

  const isDoneAll = await Promise.all([
    load(primary, { ballot, history: server.history, log, progress }),
    installAll(surveyed, { ballot, logs, log, needed: majorityOf(witnesses.length), progress }),
  ]);
  if (!isDoneAll.every(Boolean)) return OVERTAKEN;
  const isSettled = await primary.settle(ballot, server.history, { sequence: highest, events: log });
  return isSettled ? { kind: 'recovered', epoch, events: log.length } : OVERTAKEN;
}

function isDone({ isOpen, epoch }: PrimarySurvey, cause: RecoveryCause): boolean {
  return isOpen && (epoch > cause.epoch || (epoch === cause.epoch && !cause.evenIfOpen));
}

export interface Surveyed {
  readonly witness: RecoveryWitness;
  readonly survey: WitnessSurvey;
}

/** Those that answered. */
export async function surveyAll(witnesses: readonly RecoveryWitness[]): Promise<readonly Surveyed[]> {
  const surveys = await Promise.allSettled(witnesses.map((witness) => witness.survey()));
  return witnesses.flatMap((witness, index) => {
    const result = surveys[index];
    return result?.status === 'fulfilled' ? [{ witness, survey: result.value }] : [];
  });
}

export function areMostBlank(surveyed: readonly Surveyed[], members: number): boolean {
  const blank = surveyed.filter(({ survey }) => survey.kind === 'blank');
  return blank.length >= majorityOf(members);
}

/**
 * Surveys take their time: they may show two witnesses blank of which one was given its log before the other lost its
 * disk, and an operator told that the ledger is gone would act on it. Those that are blank on the same disk in a second
 * survey were so in between, all at once.
 */
async function missing(
  surveyed: readonly Surveyed[],
  witnesses: readonly RecoveryWitness[],
): Promise<CountersignError> {
  const disks = new Set(surveyed.map(({ survey }) => survey.disk));
  const again = (await surveyAll(witnesses)).filter(({ survey }) => disks.has(survey.disk));
  if (!areMostBlank(again, witnesses.length))
    return unavailable('most witnesses were blank in one survey, and not in the next');
  return new CountersignError(
    'LEDGER_MISSING',
    'most witnesses are blank. A new ledger begins with `countersign ledger init`; when their disks are lost, `countersign ledger activate --dry-run` shows what is left of it',
  );
}

/** The one ledger that all of them hold. An empty server is no contradiction: its disk may be new. */
function ledgerOf(server: PrimarySurvey, surveyed: readonly Surveyed[], members: number): string {
  const held = surveyed.flatMap(({ survey }) => (survey.kind === 'member' ? [survey] : []));
  const [first] = held;
  if (first === undefined) throw unavailable('no witness that holds a ledger answers');
  // A ledger begins with an event: without one `ledger init` is still at it, or died.
  const isBegun = held.length >= majorityOf(members) && held.every(({ events }) => events === 0);
  if (server.ledger === undefined && isBegun) {
    throw new CountersignError(
      'LEDGER_MISSING',
      'the ledger was begun and not completed: run `countersign ledger init` again',
    );
  }
  const ledgers = new Set(held.map(({ ledger }) => ledger));
  if (server.ledger !== undefined) ledgers.add(server.ledger);
  if (ledgers.size > 1) {
    throw new CountersignError(
      'LEDGER_CORRUPT',
      `the server and the witnesses hold different ledgers: ${[...ledgers].join(', ')}`,
    );
  }
  return first.ledger;
}

/** The witnesses that promised; undefined when another recovery has a higher promise of so many that no majority is left. */
async function seal(
  surveyed: readonly Surveyed[],
  ballot: Ballot,
  members: number,
): Promise<readonly RecoveryWitness[] | undefined> {
  const voters = surveyed.filter(({ survey }) => survey.kind === 'member');
  const votes = await Promise.allSettled(voters.map(({ witness }) => witness.seal(ballot)));
  const isKept = (index: number, value: boolean) => {
    const vote = votes[index];
    return vote?.status === 'fulfilled' && vote.value === value;
  };
  const sealed = voters.filter((_, index) => isKept(index, true)).map(({ witness }) => witness);
  if (sealed.length >= majorityOf(members)) return sealed;
  if (voters.some((_, index) => isKept(index, false))) return undefined;
  throw unavailable(`${sealed.length} of ${members} witnesses promised, and ${majorityOf(members)} must`);
}

export interface WitnessLog {
  readonly witness: RecoveryWitness;
  readonly base: number;
  readonly events: ReadonlyMap<number, WitnessedEvent>;
}

/** The whole logs of sealed witnesses, a majority of them; undefined when one has promised another epoch since. */
export async function readAll(
  sealed: readonly RecoveryWitness[],
  ballot: Ballot,
  progress: RecoveryPorts['progress'],
): Promise<readonly WitnessLog[] | undefined> {
  // A survey after the seal: the base and the log stay as they are from here on.
  const logs = await Promise.all(
    sealed.map(async (witness): Promise<WitnessLog | undefined> => {
      const survey = await witness.survey();
      if (survey.kind === 'blank' || survey.promised !== ballot.epoch) return undefined;
      const events = new Map<number, WitnessedEvent>();
      let cursor: string | undefined;
      do {
        const page = await witness.read(ballot, cursor);
        if (page === undefined) return undefined;
        for (const event of page.events) events.set(event.sequence, event);
        progress('read', events.size, survey.events);
        cursor = page.next;
      } while (cursor !== undefined);
      return { witness, base: survey.base, events };
    }),
  );
  return logs.every((log) => log !== undefined) ? logs : undefined;
}

/** Every event that a majority may hold. What a checkpoint covers is forgotten. */
function merge(logs: readonly WitnessLog[]): readonly LogEvent[] {
  return withoutCovered([...newestOf(logs).values()].sort((one, other) => one.sequence - other.sequence));
}

/**
 * By their numbers. What is older than the newest installation was in it, or was never relied upon; of two events under
 * one number the one of the higher epoch is the one that was.
 */
export function newestOf(logs: readonly Pick<WitnessLog, 'base' | 'events'>[]): Map<number, WitnessedEvent> {
  const base = Math.max(...logs.map((log) => log.base));
  const newest = new Map<number, WitnessedEvent>();
  for (const { events } of logs) {
    for (const event of events.values()) {
      const known = newest.get(event.sequence);
      if (event.tag >= base && (known === undefined || event.tag > known.tag))
        newest.set(event.sequence, event);
    }
  }
  return newest;
}

export function highestOf(events: ReadonlyMap<number, WitnessedEvent>): number {
  let highest = 0;
  for (const sequence of events.keys()) highest = Math.max(highest, sequence);
  return highest;
}

interface Loading {
  readonly ballot: Ballot;
  readonly history: string;
  readonly log: readonly LogEvent[];
  readonly progress: RecoveryPorts['progress'];
}

/**
 * A page is made ready while the server is at the one before. One connection keeps them in order, and a load of which
 * anything failed is never settled: the next recovery loads under another epoch.
 */
export async function load(
  primary: RecoveryPrimary,
  { ballot, history, log, progress }: Loading,
): Promise<boolean> {
  let before = Promise.resolve(true);
  for (const { events, end } of pagesOf(log)) {
    const loading = primary.load(ballot.epoch, history, events).then((isLoaded) => {
      progress('load', end, log.length);
      return isLoaded;
    });
    // Looked at in the next turn, unless the page before it ends the load.
    loading.catch(() => undefined);
    if (!(await before)) return false;
    before = loading;
  }
  return before;
}

interface Installing {
  readonly ballot: Ballot;
  readonly logs: readonly WitnessLog[];
  readonly log: readonly LogEvent[];
  readonly needed: number;
  readonly progress: RecoveryPorts['progress'];
}

/** On every witness that can be reached, blank ones too; so many must take it. Of the two steps that it has one may be chosen. */
export async function installAll(
  surveyed: readonly Surveyed[],
  installing: Installing,
  step: (each: Surveyed, installing: Installing) => Promise<boolean> = stageAndSwitch,
): Promise<boolean> {
  const results = await Promise.allSettled(surveyed.map((each) => step(each, installing)));
  const installed = results.filter((result) => result.status === 'fulfilled' && result.value).length;
  const { needed } = installing;
  if (installed >= needed) return true;
  if (results.some((result) => result.status === 'fulfilled' && !result.value)) return false;
  throw unavailable(`the log was installed on ${installed} witnesses, and must be on ${needed}`);
}

async function stageAndSwitch(surveyed: Surveyed, installing: Installing): Promise<boolean> {
  return (await stage(surveyed, installing)) && switchOver(surveyed, installing);
}

/** Makes what was put aside the log. */
export function switchOver({ witness, survey }: Surveyed, { ballot, log }: Installing): Promise<boolean> {
  return witness.install(ballot, { disk: survey.disk, count: log.length });
}

/** Only on the disk that was surveyed: one that was lost since may have held events that this log has not. */
export async function stage(
  { witness, survey: { disk } }: Surveyed,
  { ballot, logs, log, progress }: Installing,
): Promise<boolean> {
  const own = logs.find((each) => each.witness === witness)?.events;
  let isFirst = true;
  for (const { events, end } of pagesOf(log)) {
    const held = new Set(
      events.flatMap(({ sequence, event }) => (own?.get(sequence)?.event === event ? [sequence] : [])),
    );
    if (!(await witness.stage(ballot, { disk, isFirst, events, held }))) return false;
    isFirst = false;
    progress('install', end, log.length);
  }
  return true;
}

function* pagesOf(log: readonly LogEvent[]) {
  for (let start = 0; start < log.length; start += PAGE_EVENTS) {
    const events = log.slice(start, start + PAGE_EVENTS);
    yield { events, end: start + events.length };
  }
}

function unavailable(problem: string): CountersignError {
  return new CountersignError('LEDGER_RECOVERING', `the ledger cannot be recovered yet: ${problem}`);
}
