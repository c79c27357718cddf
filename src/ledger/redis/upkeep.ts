/**
 * Forgetting on Redis what is older than the retention, in steps that any replica may take and die in:
 *
 *   1  a checkpoint of the oldest events is recorded (checkpoint.lua): from here on nothing is decided by what they wrote
 *   2  it is taken to a majority of the witnesses
 *   3  what they wrote, and they themselves, are removed from the server (forget.lua), in one atomic step
 *   4  the events are removed from each witness that holds the checkpoint (witness/trim.lua)
 *
 * Whoever comes after a janitor that died goes on where it ended. What a recovery finds is the ledger before step 1 or
 * the one after step 3: it drops every event that a checkpoint covers.
 */
import type { Counter, JournalEvent } from '../../core/ports.js';
import type { Kept, Trimmed, TrimOrder, Upkeep } from '../../core/upkeep.js';
import { bodyOf, type Checkpoint, checkpointBody } from '../journal-body.js';
import { CLOCK_TOLERANCE_MS } from '../proposal.js';
import { forgettable, RANGE_EVENTS, type Range, rangeOf, withCarried } from '../range.js';
import { holdingOperands, listOperands, type Operands } from './commit.js';
import type { Connection } from './connection.js';
import { type Covered, type Guard, unconfirmedOf } from './fence.js';
import { epochsPattern, epochsPrefix, type Keys } from './keys.js';
import { SCRIPTS } from './scripts.js';
import type { Answer, Session } from './session.js';

export interface UpkeepParts {
  readonly workspace: string;
  readonly connection: Connection;
  readonly session: Session;
  readonly guard: Guard;
  readonly events: (after: number, limit: number) => Promise<readonly JournalEvent[]>;
}

/** What is still there; see kept.lua. */
interface Standing extends Covered {
  readonly nowMs: number;
  readonly oldest: { readonly sequence: number; readonly atMs: number };
  readonly coveredAtMs: number;
  readonly trimmed: number;
  /** The checkpoint as witnesses must have it; empty text when they do. */
  readonly event: string;
  readonly swept: number;
}

export function createUpkeep(parts: UpkeepParts): Upkeep {
  const sweeping = { epoch: 0, cursor: '0' };
  return {
    async kept(): Promise<Kept> {
      const { nowMs, oldest, checkpoint, to, coveredAtMs, trimmed } = await standing(parts);
      return {
        nowMs,
        ...(oldest.sequence === 0 ? {} : { oldest }),
        ...(checkpoint === 0 ? {} : { checkpoint: { sequence: checkpoint, to } }),
        ...(trimmed === 0 ? {} : { trimmed: { sequence: trimmed, atMs: coveredAtMs } }),
      };
    },
    trim: (order) => trim(parts, order),
    sweep: () => sweep(parts, sweeping),
  };
}

async function standing({ session }: UpkeepParts): Promise<Standing> {
  const { fields, epoch } = await session.read(SCRIPTS.kept, ({ meta, journal, pending }) => ({
    keys: [meta, journal, pending],
    args: [],
  }));
  const [ledger = '', nowMs, sequence, atMs, checkpoint, to, coveredAtMs, trimmed, event = '', swept] =
    fields;
  return {
    ledger,
    epoch,
    nowMs: Number(nowMs),
    oldest: { sequence: Number(sequence), atMs: Number(atMs) },
    checkpoint: Number(checkpoint),
    to: Number(to),
    coveredAtMs: Number(coveredAtMs),
    trimmed: Number(trimmed),
    event,
    swept: Number(swept),
  };
}

async function trim(parts: UpkeepParts, order: TrimOrder): Promise<Trimmed> {
  const now = await standing(parts);
  const events = await parts.events(now.trimmed, RANGE_EVENTS);
  if (now.trimmed < now.to) {
    const covered = events.filter(({ sequence }) => sequence <= now.to);
    return finish(parts, now, rangeOf(now.trimmed, covered));
  }
  const chosen = forgettable(events, { ...order, nowMs: Math.min(order.nowMs, now.nowMs) });
  if (chosen.length === 0) {
    // Witnesses that were away, or lacked an earlier checkpoint.
    if (now.trimmed > 0) await parts.guard.drop(now);
    return { kind: 'nothing' };
  }
  const range = rangeOf(now.trimmed, chosen);
  const answer = await record(parts, { ledger: now.ledger, range, order, carried: [] });
  switch (answer.code) {
    case 'DONE':
      break;
    case 'CLOCK_SKEW':
      return { kind: 'waits', why: 'clocks' };
    case 'BEHIND':
      return { kind: 'waits', why: 'export' };
    case 'PENDING':
      return { kind: 'waits', why: 'durability' };
    default:
      return { kind: 'waits', why: 'another' };
  }
  const [checkpoint, event = ''] = answer.fields;
  const recorded = { ledger: now.ledger, epoch: answer.epoch, checkpoint: Number(checkpoint), to: range.to };
  return finish(parts, { ...recorded, event }, range);
}

/** Steps 2 to 4. */
async function finish(
  parts: UpkeepParts,
  covered: Covered & Pick<Standing, 'event'>,
  range: Range,
): Promise<Trimmed> {
  const { session, guard } = parts;
  const { epoch, checkpoint, to, event } = covered;
  if (event !== '') {
    await guard.confirm(unconfirmedOf(epoch, [String(checkpoint), event]));
    await session.read(SCRIPTS.confirm, ({ meta, pending }) => ({
      keys: [meta, pending],
      args: [String(checkpoint)],
    }));
  }
  session.saw({ epoch, sequence: checkpoint });
  // A transaction that an earlier checkpoint carried may hold something in counters that the range does not name.
  const body = await checkpointAt(parts, checkpoint);
  const holders = range.holders.map((holder) => withCarried(holder, body));
  const { code } = await session.write(SCRIPTS.forget, (keys) => forgetOperands(keys, { ...range, holders }));
  if (code === 'CHANGED') return { kind: 'waits', why: 'another' };
  if (code === 'PENDING') return { kind: 'waits', why: 'durability' };
  await guard.drop(covered);
  return { kind: 'trimmed', events: range.events, to, checkpoint };
}

interface Recording {
  readonly ledger: string;
  readonly range: Range;
  readonly order: TrimOrder;
  /** Earlier checkpoints that carry some of the transactions, and so name counters that the range does not. */
  readonly carried: readonly number[];
}

/** Step 1. */
async function record(
  parts: UpkeepParts,
  { ledger, range, order, carried }: Recording,
): Promise<Answer<'DONE' | 'CHANGED' | 'YOUNG' | 'BEHIND' | 'PENDING' | 'CARRIED' | 'CLOCK_SKEW'>> {
  const { from, to, atMs, members, facts } = range;
  const body = JSON.stringify({
    ledger,
    from,
    to,
    atMs,
    members: members
      .filter(({ window }) => window.kind === 'lifetime')
      .map((each) => ({ ...each, members: [...each.members] })),
    facts: [...facts],
  });
  const answer = await parts.session.write(SCRIPTS.checkpoint, (keys) => {
    const holders = holdersOperands(keys, range);
    return {
      keys: [
        ...[keys.meta, keys.journal, keys.pending, keys.asks, keys.transactions, keys.policy, keys.freezes],
        ...holders.keys,
      ],
      args: [
        ...[String(order.nowMs), String(CLOCK_TOLERANCE_MS), String(order.retentionMs)],
        ...[order.demandsExport ? '1' : '0', String(from), String(to), String(atMs), body.slice(0, -1)],
        ...listOperands(carried.map((each) => ({ keys: [], args: [String(each)] }))).args,
        ...listOperands(range.totals.map((total) => ({ keys: [], args: [counterText(total), total.amount] })))
          .args,
        ...holders.args,
      ],
    };
  });
  if (answer.code !== 'CARRIED') return answer;
  const unconsidered = answer.fields.map(Number);
  const known = await Promise.all(unconsidered.map((each) => checkpointAt(parts, each)));
  return record(parts, {
    ledger,
    range: { ...range, holders: range.holders.map((holder) => known.reduce(withCarried, holder)) },
    order,
    carried: [...carried, ...unconsidered],
  });
}

async function checkpointAt({ events }: UpkeepParts, number: number): Promise<Checkpoint> {
  const [event] = await events(number - 1, 1);
  const { sequence, type, body } = event ?? { sequence: 0, type: '', body: {} };
  return bodyOf(checkpointBody, { sequence, type, body: JSON.stringify(body) });
}

function holdersOperands(keys: Keys, { holders }: Range): Operands {
  return listOperands(
    holders.map(({ kind, key, counters }) => {
      const named = listOperands(
        counters.map((counter) => {
          const operands = holdingOperands(keys, counter);
          return { ...operands, args: [...operands.args, counterText(counter)] };
        }),
      );
      return { keys: named.keys, args: [kind, key, JSON.stringify(key), ...named.args] };
    }),
  );
}

/** JSON without its end: what the counter holds is added. */
function counterText({ counter, mode, window }: Counter): string {
  return JSON.stringify({ counter, mode, window }).slice(0, -1);
}

function forgetOperands(keys: Keys, range: Range): Operands {
  const words = (list: readonly string[]) => listOperands(list.map((word) => ({ keys: [], args: [word] })));
  const parts = [
    holdersOperands(keys, range),
    listOperands(
      range.members
        .filter(({ window }) => window.kind !== 'lifetime')
        .map((each) => {
          const names = [...each.members].map(([name, atMs]) => ({ keys: [], args: [name, String(atMs)] }));
          return { keys: [keys.counter(each).members], args: listOperands(names).args };
        }),
    ),
    words(range.asks),
    words(range.conflicts.map(({ askKey, fingerprint }) => `${fingerprint} ${askKey}`)),
    words(range.bindings),
    words(range.fates),
    words(range.moments),
  ];
  return {
    keys: [
      ...[keys.meta, keys.journal, keys.pending, keys.asks],
      ...[keys.transactions, keys.conflicts, keys.bindings, keys.fates, keys.moments],
      ...parts.flatMap((part) => part.keys),
    ],
    args: [String(range.to), ...parts.flatMap((part) => part.args)],
  };
}

/** Keys looked at in one call, and calls in one run. */
const SWEEP_KEYS = 500;
const SWEEP_CALLS = 20;

/** Where a sweep that was not finished goes on. */
interface Sweeping {
  epoch: number;
  cursor: string;
}

/**
 * Keys of the epoch before the present one stay: a replica that does not know of the recovery yet finds out by a script
 * that is given their names, and reads nothing by them. A recovery that is under way loads keys of a later epoch.
 */
async function sweep(parts: UpkeepParts, sweeping: Sweeping): Promise<number> {
  const { workspace, connection, session } = parts;
  const { epoch, swept } = await standing(parts);
  if (epoch - 1 <= swept) return 0;
  if (sweeping.epoch !== epoch) Object.assign(sweeping, { epoch, cursor: '0' });
  const prefix = epochsPrefix(workspace);
  let removed = 0;
  for (let call = 0; call < SWEEP_CALLS; call += 1) {
    const command = [sweeping.cursor, 'MATCH', epochsPattern(workspace), 'COUNT', String(SWEEP_KEYS)];
    const [cursor, names] = (await connection.call('SCAN', command)) as [string, readonly string[]];
    const over = names.filter((name) => Number.parseInt(name.slice(prefix.length), 10) < epoch - 1);
    if (over.length > 0) await connection.call('UNLINK', over);
    removed += over.length;
    sweeping.cursor = cursor;
    if (cursor !== '0') continue;
    await session.write(SCRIPTS.swept, ({ meta }) => ({ keys: [meta], args: [String(epoch - 1)] }));
    break;
  }
  return removed;
}
