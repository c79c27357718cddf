/**
 * Everything that is read when deciding, anew from the journal: for when somebody has written to Redis, a counter is
 * doubted, or a copy of the journal has events that the ledger lacks. The server's journal is replayed into keys of an
 * epoch of their own, which nobody reads, while decisions go on in the present one; what was decided meanwhile is
 * replayed too, until one script finds that nothing is left, and makes the new epoch the ledger's in that same step.
 *
 * Whoever dies before that leaves the ledger as it was, and keys that the next rebuild removes. Of two at once the one that
 * claimed last goes on. What the journal itself was made to say cannot be seen here: the audit trail shows that.
 */
import { CountersignError } from '../../core/errors.js';
import type { KeptEvent, RebuildOrder, Rebuilt } from '../../core/fence.js';
import { bodyOf, checkpointBody } from '../journal-body.js';
import type { PrimarySurvey } from '../witness/ports.js';
import { differencesOf, type Found, removeEpochs, versionDifferences } from './compare.js';
import { keysOf } from './keys.js';
import { Loading, overtaken, type Place, type RebuildParts } from './loading.js';
import { recoveryPrimary } from './primary.js';
import { run, SCRIPTS } from './scripts.js';
import type { Session } from './session.js';

/** The janitor forgets events that were loaded already; it does so once a minute at most, unless much is old. */
const ATTEMPTS = 10;

/** For the last few events, while others come. */
const CATCH_UP_MS = 30_000;

/** Times that entries which differ are looked at again because decisions were made meanwhile. */
const LOOKS = 50;

export async function rebuild(parts: RebuildParts, order: RebuildOrder): Promise<Rebuilt> {
  const coveredByMissing = order.kind === 'extend' ? await coveredBy(order.missing()) : 0;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const { covered } = await standingOf(parts.session);
    const place = await reserve(parts);
    const loading = new Loading(parts, place, Math.max(covered, coveredByMissing));
    try {
      const result = await complete(loading, order);
      if (result !== undefined) return result;
    } finally {
      // If it cannot be removed now, the next rebuild does it.
      await discard(parts, place).catch(() => undefined);
    }
  }
  throw changed('events are being forgotten at this moment: look again in a minute');
}

/** The last event that a checkpoint among these covers: whatever is up to it must not be loaded. */
async function coveredBy(missing: AsyncIterable<KeptEvent>): Promise<number> {
  let covered = 0;
  for await (const { sequence, type, bodyText } of missing) {
    if (type === 'checkpoint') covered = bodyOf(checkpointBody, { sequence, type, body: bodyText }).to;
  }
  return covered;
}

/** An epoch of one's own. Whatever others have loaded is removed: from the claim on they can complete nothing. */
async function reserve(parts: RebuildParts): Promise<Place> {
  const { workspace, connection } = parts;
  const { epoch: last, claim, history } = await survey(parts);
  const epoch = 1 + Math.max(last, claim);
  const keys = [keysOf(workspace, 0).meta];
  const { code } = await run(connection, SCRIPTS.claim, { keys, args: [String(epoch), history, '1'] });
  if (code === 'OVERTAKEN') throw overtaken();
  // Asked after the claim: another one may have completed just before it.
  const present = await survey(parts);
  await removeEpochs(parts, (other) => other > present.epoch && other < epoch);
  return { epoch, history, present };
}

/** Removes what was loaded and came to nothing. By a claim: a reply that never came may be of a step that is yet to be made. */
async function discard(parts: RebuildParts, { epoch }: Place): Promise<void> {
  const now = await survey(parts);
  if (now.claim === epoch && now.epoch !== epoch) await reserve(parts);
}

function survey({ workspace, connection }: RebuildParts): Promise<PrimarySurvey> {
  return recoveryPrimary({ workspace, connection, witnessed: false, synced: '0' }).survey();
}

/** Undefined when events that were loaded were forgotten meanwhile: begin again. */
async function complete(loading: Loading, order: RebuildOrder): Promise<Rebuilt | undefined> {
  switch (order.kind) {
    case 'compare':
      return compare(loading);
    case 'extend': {
      // What was decided since would stand beside other events under the same numbers.
      if (loading.place.present.sequence !== order.after) throw deciding();
      if (!(await loading.catchUp(order.after)) || !(await loading.addAll(order.missing()))) return undefined;
      if (order.isRehearsal) {
        loading.checkBeginning();
        return { kind: 'rehearsed', sequence: loading.position, events: loading.events };
      }
      const { code } = await loading.replace(order.after);
      if (code === 'DONE') return replaced(loading);
      throw deciding();
    }
    case 'replace': {
      const endsAt = performance.now() + CATCH_UP_MS;
      let newest = loading.place.present.sequence;
      while (performance.now() < endsAt) {
        if (!(await loading.catchUp(newest))) return undefined;
        const { code, fields } = await loading.replace(loading.position);
        if (code === 'DONE') return replaced(loading);
        newest = Number(fields[0]);
      }
      throw changed('decisions come faster than they can be replayed: repeat it when there are fewer');
    }
  }
}

async function replaced(loading: Loading): Promise<Rebuilt> {
  const { parts, place, position: sequence, events } = loading;
  // Nobody reads the old keys any more: each script looks at the epoch first.
  await removeEpochs(parts, (epoch) => epoch < place.epoch);
  return { kind: 'replaced', epoch: place.epoch, sequence, events };
}

/** Entries that differ are looked at until nothing is decided while that is done. */
async function compare(loading: Loading): Promise<Rebuilt | undefined> {
  const { parts, place } = loading;
  const { workspace, connection, session } = parts;
  let again: readonly Found[] | undefined;
  for (let look = 1; ; look += 1) {
    const { nowMs, ...standing } = await standingOf(session);
    if (!(await loading.catchUp(standing.sequence)) || standing.trimmed < standing.covered) return undefined;
    const differences = await differencesOf(
      { workspace, connection },
      {
        ledger: session.epoch,
        journal: place.epoch,
        expiring: loading.expiring,
        nowMs,
        ...(again && { again }),
      },
    );
    loading.checkBeginning();
    const { sequence } = await standingOf(session);
    const certain = sequence === loading.position;
    if (!certain && look < LOOKS && differences.length > 0) {
      again = differences;
      continue;
    }
    return {
      kind: 'compared',
      sequence: loading.position,
      events: loading.events,
      differences: [
        ...differences.map(({ names: _, ...difference }) => difference),
        ...(certain ? versionDifferences(standing, loading.marks) : []),
      ],
      certain,
    };
  }
}

async function standingOf(session: Session) {
  const { fields: state } = await session.read(SCRIPTS.state, (keys) => ({
    keys: [keys.meta, keys.journal, keys.pending, keys.policy, keys.freezes],
    args: [],
  }));
  const { fields: kept } = await session.read(SCRIPTS.kept, ({ meta, journal, pending }) => ({
    keys: [meta, journal, pending],
    args: [],
  }));
  return {
    sequence: Number(state[2]),
    policy: Number(state[4]),
    freezes: Number(state[5]),
    nowMs: Number(kept[1]),
    covered: Number(kept[5]),
    trimmed: Number(kept[7]),
  };
}

function deciding(): CountersignError {
  return changed('decisions are made on this ledger: stop the replicas, or the co-signers');
}

function changed(message: string): CountersignError {
  return new CountersignError('CONCURRENT_CHANGE', message);
}
