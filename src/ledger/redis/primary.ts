/** The server that decides, as a recovery sees it. */
import { CountersignError } from '../../core/errors.js';
import { bodyOf, checkpointBody } from '../journal-body.js';
import { partsOf } from '../witness/log.js';
import type { LogEvent } from '../witness/ports.js';
import type { SalvagePrimary } from '../witness/salvage.js';
import type { Connection } from './connection.js';
import { fenced } from './fence.js';
import { keysOf } from './keys.js';
import { loadOperands } from './replay.js';
import { run, SCRIPTS } from './scripts.js';

/** Events of the journal in one call. */
const PAGE_EVENTS = 200;

export interface PrimarySettings {
  readonly workspace: string;
  readonly connection: Connection;
  /** Whether witnesses keep the recovered ledger. */
  readonly witnessed: boolean;
  /** '1' when the server's next restart may be trusted; see reopen.lua. */
  readonly synced: '0' | '1';
}

export function recoveryPrimary({
  workspace,
  connection,
  witnessed,
  synced,
}: PrimarySettings): SalvagePrimary {
  const meta = keysOf(workspace, 0).meta;
  const caller = (epoch: number) => [String(epoch), witnessed ? '1' : '0'];
  return {
    async survey() {
      const { code, fields } = await run(connection, SCRIPTS.survey, { keys: [meta], args: [] });
      if (code === 'INFO') throw fenced({ fields: ['info'] });
      const [role = '', history = '', ledger = '', epoch, claim, isOpen, sequence] = fields;
      if (role !== 'master') {
        throw new CountersignError(
          'LEDGER_UNAVAILABLE',
          `the Redis server's role is ${role}, and not master`,
        );
      }
      return {
        history,
        ...(ledger === '' ? {} : { ledger }),
        epoch: Number(epoch),
        claim: Number(claim),
        isOpen: isOpen === '1',
        sequence: Number(sequence),
      };
    },
    async claim(epoch, history) {
      const { code } = await run(connection, SCRIPTS.claim, { keys: [meta], args: [String(epoch), history] });
      return code === 'DONE';
    },
    async load(epoch, history, events) {
      const { keys, args } = loadOperands(keysOf(workspace, epoch), events);
      const { code } = await run(connection, SCRIPTS.load, { keys, args: [String(epoch), history, ...args] });
      return code === 'DONE';
    },
    async settle({ ledger, epoch }, history, summary) {
      const args = [
        String(epoch),
        history,
        ledger,
        witnessed ? '1' : '0',
        synced,
        String(summary.sequence),
        ...marksArguments(summary.events.reduce(marksAfter, NO_MARKS)),
      ];
      return (await run(connection, SCRIPTS.settle, { keys: [meta], args })).code === 'DONE';
    },
    async journal(epoch) {
      const keys = [meta, keysOf(workspace, epoch).journal];
      const events: LogEvent[] = [];
      for (;;) {
        const args = [...caller(epoch), String(events.at(-1)?.sequence ?? 0), String(PAGE_EVENTS)];
        const page = loggedEvents((await run(connection, SCRIPTS.events, { keys, args })).fields);
        events.push(...page);
        if (page.length < PAGE_EVENTS) break;
      }
      const args = [...caller(epoch), '', '0', '0'];
      const { fields } = await run(connection, SCRIPTS.inspect, { keys: [meta], args });
      return { events, seen: Number(fields[2]) };
    },
    async now() {
      const time = await connection.call('TIME', []);
      return 1000 * Number(Array.isArray(time) ? time[0] : Number.NaN);
    },
  };
}

/** From the reply of events.lua. */
export function loggedEvents(fields: readonly string[]): readonly LogEvent[] {
  const events: LogEvent[] = [];
  for (let index = 0; index < fields.length; index += 4) {
    const [sequence, at = '', type = '', body = ''] = fields.slice(index, index + 4);
    events.push({ sequence: Number(sequence), event: `${type} ${at} ${body}` });
  }
  return events;
}

/** What a log says about itself, beside its events. */
export interface Marks {
  /** When the newest event was whose script found the clock right, Unix milliseconds: the ledger never steps back behind it. */
  readonly clock: number;
  /** Versions of the policy and of the freezes. */
  readonly policy: number;
  readonly freezes: number;
  /** The newest checkpoint, the last event that it covers, and when the newest of those was; zeros when there is none. */
  readonly checkpoint: number;
  readonly covered: number;
  readonly coveredAt: number;
}

export const NO_MARKS: Marks = { clock: 0, policy: 0, freezes: 0, checkpoint: 0, covered: 0, coveredAt: 0 };

/**
 * Recorded by scripts that ask whether a replica's clock agrees with the server's. Others (a report, a freeze) are recorded
 * whatever the clock says: by one that was a year ahead for a moment nothing would be decided for a year.
 */
const BY_AGREED_CLOCK: ReadonlySet<string> = new Set(['decision', 'conflict', 'checkpoint']);

/** The marks of a log that goes on with this event. */
export function marksAfter(marks: Marks, logged: LogEvent): Marks {
  const { sequence } = logged;
  const { type, at, body } = partsOf(logged);
  const next = BY_AGREED_CLOCK.has(type) ? { ...marks, clock: Math.max(marks.clock, Number(at)) } : marks;
  switch (type) {
    case 'policy':
      return { ...next, policy: sequence };
    case 'freeze':
    case 'unfreeze':
      return { ...next, freezes: sequence };
    case 'checkpoint': {
      // Each goes on from the one before, so the newest covers all that is covered.
      const { versions, to, atMs } = bodyOf(checkpointBody, { sequence, type, body });
      return {
        ...next,
        policy: Math.max(marks.policy, versions.policy),
        freezes: Math.max(marks.freezes, versions.freezes),
        checkpoint: sequence,
        covered: to,
        coveredAt: atMs,
      };
    }
    default:
      return next;
  }
}

/** In the order in which settle.lua and replace.lua take them. */
export function marksArguments(marks: Marks): readonly string[] {
  const { clock, policy, freezes, checkpoint, covered, coveredAt } = marks;
  return [clock, policy, freezes, checkpoint, covered, coveredAt].map(String);
}
