/**
 * What is left when most witnesses have lost their disks at once: then no majority can say what was answered, no replica
 * recovers anything, and only an operator can say that what is still known is to be the ledger. That is everything that
 * the server holds, the witnesses that kept their disks, and the audit trail.
 *
 * The steps are those of a recovery, and so is the end: one epoch, installed on every witness, settled on the server. But
 *
 * - every witness must answer, and most must be blank: while a majority may still hold the log, nothing is to be decided here;
 * - the epoch is above all that anybody can have been in: those who would know the highest one may be the ones that are lost;
 * - the server's own journal counts, and the audit trail: whatever was answered and is known anywhere is kept;
 * - the operator's signed word is an event of the log, behind everything that anybody holds;
 * - no witness begins the epoch before every one has the log put aside: of two operators one begins nothing.
 *
 * Whoever dies on the way leaves either most witnesses blank, as before, or a majority that holds the new log, whole, and
 * then replicas recover from it by themselves.
 */
import { z } from 'zod';
import { CountersignError } from '../../core/errors.js';
import type { ExportedLog, Remains, SalvageOrder } from '../../core/fence.js';
import { bodyOf, checkpointBody } from '../journal-body.js';
import { newestCheckpoint, partsOf, withoutCovered } from './log.js';
import type { LogEvent, PrimarySurvey, RecoveryPorts, RecoveryPrimary, WitnessedEvent } from './ports.js';
import { majorityOf } from './quorum.js';
import {
  areMostBlank,
  highestOf,
  installAll,
  load,
  newestOf,
  readAll,
  type Surveyed,
  stage,
  surveyAll,
  switchOver,
  type WitnessLog,
} from './recovery.js';

export interface SalvagePrimary extends RecoveryPrimary {
  /** The journal of an epoch, and the highest event that a replica is known to have seen. */
  journal(epoch: number): Promise<{ readonly events: readonly LogEvent[]; readonly seen: number }>;
  /** Its clock, Unix milliseconds. */
  now(): Promise<number>;
}

export interface SalvagePorts extends RecoveryPorts {
  readonly primary: SalvagePrimary;
}

export type Salvaged =
  | {
      readonly kind: 'recovered';
      readonly epoch: number;
      readonly events: number;
      readonly remains: Remains;
    }
  /** Somebody else is at it, or the server has restarted meanwhile. */
  | { readonly kind: 'overtaken' };

type Sources = Omit<SalvageOrder, 'attest'>;

/** Looks, and changes nothing. CHECK_FAILED when it is not for an operator to say what the ledger is. */
export async function remainsOf(ports: SalvagePorts, sources: Sources): Promise<Remains> {
  const scene = await surveyScene(ports, sources);
  const logs = await Promise.all(
    scene.members.map(({ witness, survey: { promised } }) =>
      readAll([witness], { ledger: scene.ledger, epoch: promised }, ports.progress),
    ),
  );
  return (await gather(ports, scene, { sources, logs: logs.flatMap((log) => log ?? []) })).remains;
}

/** @param leastEpoch above every epoch that anybody can have been in */
export async function salvage(
  ports: SalvagePorts,
  order: SalvageOrder,
  leastEpoch: number,
): Promise<Salvaged> {
  const { primary, witnesses, progress } = ports;
  const scene = await surveyScene(ports, order);
  const { ledger, server, members, surveyed } = scene;
  const promised = members.map(({ survey }) => survey.promised);
  const epoch = Math.max(leastEpoch, 1 + Math.max(server.epoch, server.claim, ...promised));
  const ballot = { ledger, epoch };

  const votes = await Promise.all(members.map(({ witness }) => witness.seal(ballot)));
  if (!votes.every(Boolean)) return OVERTAKEN;
  if (!(await primary.claim(epoch, server.history))) return OVERTAKEN;
  const logs = await readAll(
    members.map(({ witness }) => witness),
    ballot,
    progress,
  );
  if (logs === undefined) return OVERTAKEN;

  const { log: known, remains } = await gather(ports, scene, { sources: order, logs });
  const body = JSON.stringify({ history: server.history, statement: await order.attest(remains) });
  const at = Math.max(await primary.now(), remains.newest.atMs);
  const sequence = remains.sequence + 1;
  const log = [...known, { sequence, event: `activation ${at} ${body}` }];
  // One after the other. A server that restarted while its journal was read takes no load, and then no witness is changed.
  if (!(await load(primary, { ballot, history: server.history, log, progress }))) return OVERTAKEN;
  // A blank witness promises nothing, but what is put aside there keeps older epochs out. Only once all keep them out may
  // one begin: two operators would otherwise begin an epoch each, on some witnesses, and the older one be recovered first.
  const installing = { ballot, logs, log, needed: witnesses.length, progress };
  if (!(await installAll(surveyed, installing, stage))) return OVERTAKEN;
  if (!(await installAll(surveyed, installing, switchOver))) return OVERTAKEN;
  const isSettled = await primary.settle(ballot, server.history, { sequence, events: log });
  return isSettled ? { kind: 'recovered', epoch, events: log.length, remains } : OVERTAKEN;
}

const OVERTAKEN: Salvaged = { kind: 'overtaken' };

interface Member extends Surveyed {
  readonly survey: Extract<Surveyed['survey'], { readonly kind: 'member' }>;
}

interface Scene {
  readonly ledger: string;
  readonly server: PrimarySurvey;
  readonly surveyed: readonly Surveyed[];
  readonly members: readonly Member[];
}

async function surveyScene({ primary, witnesses }: RecoveryPorts, { exported }: Sources): Promise<Scene> {
  const server = await primary.survey();
  const surveyed = await surveyAll(witnesses);
  const members = surveyed.flatMap(({ witness, survey }) =>
    survey.kind === 'member' ? [{ witness, survey }] : [],
  );
  if (members.length >= majorityOf(witnesses.length)) {
    throw failed(
      'a majority of the witnesses holds the log: replicas recover the ledger from it by themselves',
    );
  }
  if (surveyed.length < witnesses.length) {
    throw failed(
      `${witnesses.length - surveyed.length} of ${witnesses.length} witnesses do not answer, and may hold what was answered. Bring them back with their disks; in place of one whose disk is lost for good start an empty one`,
    );
  }
  // One that was given the log since the first survey is not among those that are blank on the same disk in a second one.
  const disks = new Set(surveyed.map(({ survey }) => survey.disk));
  const again = (await surveyAll(witnesses)).filter(({ survey }) => disks.has(survey.disk));
  if (!areMostBlank(again, witnesses.length)) throw failed('a witness has changed meanwhile: look again');
  const ledgers = new Set(
    [server.ledger, exported?.ledger, ...members.map(({ survey }) => survey.ledger)].filter(
      (each) => each !== undefined,
    ),
  );
  const [ledger, other] = ledgers;
  if (ledger === undefined) {
    throw new CountersignError(
      'LEDGER_MISSING',
      'neither the server nor a witness holds a ledger, and no audit trail was given: nothing is known of one',
    );
  }
  if (other === undefined) return { ledger, server, surveyed, members };
  throw new CountersignError(
    'LEDGER_CORRUPT',
    `the server, the witnesses and the audit trail are of different ledgers: ${[...ledgers].join(', ')}`,
  );
}

interface Gathered {
  readonly log: readonly LogEvent[];
  readonly remains: Remains;
}

async function gather(
  { primary }: SalvagePorts,
  { ledger, server, members }: Scene,
  { sources, logs }: { readonly sources: Sources; readonly logs: readonly WitnessLog[] },
): Promise<Gathered> {
  const { exported, above } = sources;
  const journal = server.ledger === undefined ? undefined : await primary.journal(server.epoch);
  // A recovery gave it all that was answered before its epoch, so it counts as a witness that was installed then.
  const own = new Map(journal?.events.map((event) => [event.sequence, { ...event, tag: server.epoch }]));
  const all = [...logs, ...(journal === undefined ? [] : [{ base: server.epoch, events: own }])];
  const log = await together(newestOf(all), exported);
  const newest = log.at(-1);
  if (newest === undefined) {
    throw new CountersignError('LEDGER_MISSING', 'nobody holds an event: nothing is known of a ledger');
  }
  const seen = Math.max(server.sequence, journal?.seen ?? 0, exported?.sequence ?? 0, above);
  const sequence = Math.max(newest.sequence, seen, ...logs.map(({ events }) => highestOf(events)));
  const covered = newestCheckpoint(log)?.to ?? 0;
  const isNewest = journal !== undefined && all.every(({ base }) => base <= server.epoch);
  const accounted: Range[] = [
    [1, covered],
    ...(isNewest ? [[1, server.sequence] as const] : []),
    ...(exported === undefined ? [] : [[exported.after + 1, exported.sequence] as const]),
  ];
  const remains: Remains = {
    ledger,
    history: server.history,
    sequence,
    covered,
    events: log.length,
    newest: { sequence: newest.sequence, atMs: Number(partsOf(newest).at) },
    ...(journal && { server: { events: own.size, sequence: server.sequence } }),
    lost: missing(
      log.map((event) => event.sequence),
      accounted,
      sequence,
    ),
    isEndCertain:
      isNewest &&
      server.isOpen &&
      members.every(({ survey }) => survey.promised <= server.epoch) &&
      sequence === server.sequence,
    ...inForce(log),
  };
  return { log, remains };
}

/**
 * What was exported was answered, and where the export has come by it left nothing out: there it is the log. An event that
 * differs from the exported one under its number was never relied upon, and then nothing was that came after it in its epoch:
 * a recovery that gives a number anew has found no higher one.
 */
async function together(
  held: Map<number, WitnessedEvent>,
  exported: ExportedLog | undefined,
): Promise<readonly LogEvent[]> {
  if (exported === undefined) return inOrder(held.values());
  const trail = await kept(exported);
  let [from, deadTag] = [Number.POSITIVE_INFINITY, 0];
  for (const { sequence, event } of trail) {
    const other = held.get(sequence);
    if (other === undefined || isSame(other.event, event)) continue;
    from = Math.min(from, sequence);
    deadTag = Math.max(deadTag, other.tag);
  }
  // A replica may have gone on exporting since the files were verified.
  const end = Math.max(exported.sequence, trail.at(-1)?.sequence ?? 0);
  const rest = [...held.values()].filter(({ sequence, tag }) => {
    const isExported = sequence > exported.after && sequence <= end;
    return !isExported && !(sequence > from && tag <= deadTag);
  });
  return inOrder([...rest, ...trail]);
}

function inOrder(events: Iterable<LogEvent>): readonly LogEvent[] {
  return withoutCovered(
    [...events]
      .map(({ sequence, event }) => ({ sequence, event }))
      .sort((one, other) => one.sequence - other.sequence),
  );
}

/** The exported events that no exported checkpoint covers: the others are many. */
async function kept({ events }: ExportedLog): Promise<readonly LogEvent[]> {
  let trail: LogEvent[] = [];
  for await (const { sequence, atMs, type, bodyText: body } of events()) {
    trail.push({ sequence, event: `${type} ${atMs} ${body}` });
    if (type !== 'checkpoint') continue;
    const { to } = bodyOf(checkpointBody, { sequence, type, body });
    trail = trail.filter((event) => event.sequence > to);
  }
  return trail;
}

/** The bodies may be spelt differently: an exported one was read and written again. */
function isSame(one: string, other: string): boolean {
  if (one === other) return true;
  const [first, second] = [one, other].map((event) => partsOf({ sequence: 0, event }));
  return (
    first?.type === second?.type &&
    first?.at === second?.at &&
    JSON.stringify(JSON.parse(first?.body ?? '')) === JSON.stringify(JSON.parse(second?.body ?? ''))
  );
}

type Range = readonly [number, number];

/** Numbers up to `end` that no event has, and of which nobody can say that they were never relied upon. */
function missing(held: readonly number[], accounted: readonly Range[], end: number): readonly Range[] {
  const known = [...accounted, ...held.map((number): Range => [number, number])].sort(
    ([one], [other]) => one - other,
  );
  const lost: Range[] = [];
  let next = 1;
  for (const [first, last] of [...known, [end + 1, end + 1] as const]) {
    if (first > next) lost.push([next, first - 1]);
    next = Math.max(next, last + 1);
  }
  return lost;
}

const policyBody = z.object({ version: z.string() });
const freezeBody = z.object({ id: z.string(), reason: z.string() });
const unfreezeBody = freezeBody.pick({ id: true });

/** The policy and the freezes that stand at the end of a log: those that were lost do not. */
function inForce(log: readonly LogEvent[]): Pick<Remains, 'policy' | 'freezes'> {
  let policy: string | undefined;
  const freezes = new Map<string, z.infer<typeof freezeBody>>();
  for (const logged of log) {
    const { type, body } = partsOf(logged);
    const event = { sequence: logged.sequence, type, body };
    if (type === 'policy') policy = bodyOf(policyBody, event).version;
    else if (type === 'freeze') {
      const freeze = bodyOf(freezeBody, event);
      freezes.set(freeze.id, freeze);
    } else if (type === 'unfreeze') freezes.delete(bodyOf(unfreezeBody, event).id);
    else if (type === 'checkpoint') {
      const { policy: active, freezes: standing } = bodyOf(checkpointBody, event);
      if (active !== undefined) policy = policyBody.parse(active.record).version;
      for (const { freeze } of standing) freezes.set(String(freeze.id), freezeBody.parse(freeze));
    }
  }
  return { ...(policy !== undefined && { policy }), freezes: [...freezes.values()] };
}

function failed(message: string): CountersignError {
  return new CountersignError('CHECK_FAILED', message);
}
