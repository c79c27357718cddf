/** The shared memory on Redis. Every method is one script, so each is one atomic step on one primary. */
import { randomUUID } from 'node:crypto';
import type { Charge } from '../../core/decision.js';
import { assert, CountersignError } from '../../core/errors.js';
import type { Exports } from '../../core/export.js';
import type {
  CommitReply,
  CounterEntry,
  JournalEvent,
  Ledger,
  LedgerState,
  Proposal,
} from '../../core/ports.js';
import {
  decisionOf,
  eventOf,
  freezeOf,
  freezeText,
  markOf,
  markText,
  policyOf,
  policyText,
} from '../decision-record.js';
import { checkEntry, checkProposal, MAX_EVENTS, otherLedger } from '../proposal.js';
import { commitOperands, commitReply, counterOperands } from './commit.js';
import { type Connection, connect, type RedisConnection } from './connection.js';
import { createFence, fenced, type RedisFence } from './fence.js';
import { type Keys, keysOf } from './keys.js';
import { run, SCRIPTS } from './scripts.js';
import { keepsWhatItSaid, readServer, serverProblems } from './server-check.js';

export interface RedisLedgerSettings {
  readonly workspace: string;
  readonly connection: RedisConnection;
}

/** Entries one script call fills in. */
const FILL_CHUNK = 200;

/** Connects in the background; until that succeeds, every method rejects with LEDGER_UNAVAILABLE. */
export function createRedisLedger({ workspace, connection: settings }: RedisLedgerSettings): Ledger {
  const keys = keysOf(workspace);
  const connection = connect(settings, () => fence.meet());
  const fence = createFence(connection, keys);
  const written = (fields: readonly string[]) => {
    const sequence = Number(fields[0]);
    fence.saw({ sequence });
    return { sequence };
  };
  return {
    kind: 'redis',
    fence,
    async init() {
      const { identity } = await init(connection, keys);
      fence.saw({ identity, sequence: 1 });
      return { identity };
    },
    async state() {
      const current = await state(connection, keys);
      fence.saw(current);
      return current;
    },
    commit: (proposal) => commit(fence, keys, proposal),
    fill: (entries) => fill(fence, keys, entries),
    async activate({ expectedSequence, ...policy }) {
      const { code, fields } = await fence.write(SCRIPTS.activate, {
        keys: [keys.meta, keys.journal, keys.policy],
        args: [String(expectedSequence), policyText(policy)],
      });
      if (code === 'CHANGED') {
        throw new CountersignError(
          'CONCURRENT_CHANGE',
          `the ledger is at event ${fields[0]} and the change was prepared at event ${expectedSequence}`,
        );
      }
      return written(fields);
    },
    async freeze(freeze) {
      const { code, fields } = await fence.write(SCRIPTS.freeze, {
        keys: [keys.meta, keys.journal, keys.freezes],
        args: [freeze.id, freezeText(freeze)],
      });
      if (code === 'TAKEN') {
        throw new CountersignError('CONCURRENT_CHANGE', `another freeze named ${freeze.id} is in force`);
      }
      return written(fields);
    },
    async unfreeze(id, statements) {
      const { code, fields } = await fence.write(SCRIPTS.unfreeze, {
        keys: [keys.meta, keys.journal, keys.freezes],
        args: [id, JSON.stringify({ id, statements })],
      });
      if (code === 'UNKNOWN') {
        throw new CountersignError('CONCURRENT_CHANGE', `no freeze named ${id} is in force`);
      }
      return written(fields);
    },
    events: (after, limit) => events(connection, keys, after, limit),
    exports: createExports(connection, fence, keys),
    usage: (charges) => usage(connection, keys, charges),
    async lookup(askKey) {
      const { fields } = await run(connection, SCRIPTS.lookup, {
        keys: [keys.meta, keys.asks],
        args: [askKey],
      });
      return fields[0] === undefined ? undefined : decisionOf(fields[0]);
    },
    async check() {
      const server = await readServer(connection);
      const problems = serverProblems(server);
      // A replica runs no script of ours, so it cannot be asked.
      if (problems.some(({ code }) => code === 'ROLE')) return problems;
      return [...(await fence.problems(server)), ...problems];
    },
    close: () => connection.close(),
  };
}

async function init(connection: Connection, keys: Keys): Promise<{ readonly identity: string }> {
  const identity = randomUUID();
  const server = await readServer(connection);
  const { code, fields } = await run(connection, SCRIPTS.init, {
    keys: [keys.meta, keys.journal],
    args: [identity, JSON.stringify({ identity }), keepsWhatItSaid(server) ? '1' : '0'],
  });
  if (code === 'FENCED') throw fenced({ fields });
  if (code === 'EXISTS') throw new CountersignError('LEDGER_EXISTS', 'the store already holds a ledger');
  return { identity };
}

async function state(connection: Connection, keys: Keys): Promise<LedgerState> {
  const { fields } = await run(connection, SCRIPTS.state, {
    keys: [keys.meta, keys.policy, keys.freezes],
    args: [],
  });
  const [identity = '', nowMs, sequence, policySequence, freezesSequence, policy = '', ...freezes] = fields;
  const versions = { ledger: identity, policy: Number(policySequence), freezes: Number(freezesSequence) };
  return {
    identity,
    nowMs: Number(nowMs),
    sequence: Number(sequence),
    policy: policy === '' ? undefined : policyOf(policy, versions.policy),
    freezes: freezes
      .map((text) => {
        const blank = text.indexOf(' ');
        return freezeOf(text.slice(blank + 1), Number(text.slice(0, blank)));
      })
      .sort((a, b) => a.sequence - b.sequence),
    versions,
  };
}

async function commit(fence: RedisFence, keys: Keys, proposal: Proposal): Promise<CommitReply> {
  checkProposal(proposal);
  const operands = commitOperands(keys, proposal);
  for (;;) {
    const reply = commitReply(await fence.write(SCRIPTS.commit, operands), proposal);
    // Each call drops some of the expired entries, so the loop ends.
    if (reply === undefined) continue;
    if ('decision' in reply) fence.saw(reply.decision);
    return reply;
  }
}

async function fill(fence: RedisFence, keys: Keys, entries: readonly CounterEntry[]): Promise<void> {
  for (const entry of entries) checkEntry(entry);
  for (let start = 0; start < entries.length; start += FILL_CHUNK) {
    const chunk = entries.slice(start, start + FILL_CHUNK).map((entry) => {
      const counter = counterOperands(keys.counter({ ...entry, mode: 'enforce' }), entry);
      return { keys: counter.keys, args: [...counter.args, entry.moneyKey, String(entry.atMs)] };
    });
    await fence.write(SCRIPTS.fill, {
      keys: [keys.meta, ...chunk.flatMap((entry) => entry.keys)],
      args: [String(chunk.length), ...chunk.flatMap((entry) => entry.args)],
    });
  }
}

async function events(
  connection: Connection,
  keys: Keys,
  after: number,
  limit: number,
): Promise<readonly JournalEvent[]> {
  assert(limit > 0 && limit <= MAX_EVENTS, `between 1 and ${MAX_EVENTS} events are read at a time`);
  const { fields } = await run(connection, SCRIPTS.events, {
    keys: [keys.meta, keys.journal],
    args: [String(after), String(limit)],
  });
  const found: JournalEvent[] = [];
  for (let index = 0; index < fields.length; index += 4) {
    const [sequence = '', atMs = '', type = '', body = ''] = fields.slice(index, index + 4);
    found.push(eventOf(sequence, atMs, type, body));
  }
  return found;
}

function createExports(connection: Connection, fence: RedisFence, keys: Keys): Exports {
  return {
    async state() {
      const { fields } = await run(connection, SCRIPTS.exportState, { keys: [keys.meta], args: [] });
      const [identity = '', newest, mark = ''] = fields;
      return { identity, newest: Number(newest), ...(mark === '' ? {} : { mark: markOf(mark) }) };
    },
    async moved(identity, mark) {
      const { code } = await fence.write(SCRIPTS.exported, {
        keys: [keys.meta],
        args: [identity, String(mark.sequence), markText(mark)],
      });
      if (code === 'CHANGED') throw otherLedger(identity);
    },
  };
}

async function usage(
  connection: Connection,
  keys: Keys,
  charges: readonly Charge[],
): Promise<readonly string[]> {
  const { fields } = await run(connection, SCRIPTS.usage, {
    keys: [
      keys.meta,
      ...charges.flatMap((charge) => {
        const { held, times, members } = keys.counter(charge);
        return [held, times, members];
      }),
    ],
    args: [
      String(charges.length),
      ...charges.map(({ window }) => (window.kind === 'rolling' ? String(window.lengthMs) : '')),
    ],
  });
  return fields;
}
