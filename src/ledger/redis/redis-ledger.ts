/** The shared memory on Redis. Every method is one script, so each is one atomic step on one primary. */
import { assert, CountersignError } from '../../core/errors.js';
import type { Exports } from '../../core/export.js';
import type { CommitObserver, RecoveryObserver } from '../../core/fence.js';
import type { CommitReply, Counter, JournalEvent, Ledger, LedgerState, Proposal } from '../../core/ports.js';
import type { SingleFlight } from '../../core/single-flight.js';
import { clockProblems } from '../clock-check.js';
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
import { fillOf } from '../journal-body.js';
import { checkProposal, type FillStep, fillSteps, MAX_EVENTS, otherLedger } from '../proposal.js';
import { commitOperands, committed, entryOperands, expiring, listOperands } from './commit.js';
import { type Connection, connect, type NodeConnection, type RedisConnection } from './connection.js';
import { createFence, type Guard, unconfirmedOf } from './fence.js';
import { createKeeper } from './keeper.js';
import { keysOf } from './keys.js';
import { rebuild } from './rebuild.js';
import { release, transaction } from './release.js';
import { fateOf, report } from './report.js';
import { SCRIPTS } from './scripts.js';
import { primaryGone, readServer, sentinelProblems, serverProblems } from './server-check.js';
import { type Answer, Session } from './session.js';
import { createUpkeep } from './upkeep.js';
import { createBoard } from './waiting.js';

export interface RedisLedgerSettings {
  readonly workspace: string;
  readonly connection: RedisConnection;
  /** An odd number of at least three stores that keep the log; none: the server alone keeps it. */
  readonly witnesses?: readonly NodeConnection[];
  readonly observer?: RecoveryObserver;
  /** Keeps replicas from recovering at once: two that do disturb one another, and nothing else. */
  readonly alone?: SingleFlight;
}

/** Connects in the background; until that succeeds, every method rejects with LEDGER_UNAVAILABLE. */
export function createRedisLedger(settings: RedisLedgerSettings): Ledger {
  const { workspace, witnesses = [] } = settings;
  const connection = connect(settings.connection, () => guard.meet(), keysOf(workspace, 0).meta);
  const session: Session = new Session({
    workspace,
    connection,
    witnessed: witnesses.length > 0,
    mend: (refusal, attempt) => guard.mend(refusal, attempt),
  });
  const { guard, ports } = guardOf(settings, connection, session);
  /** For replies that begin with the number of the event, and the event as witnesses must have it. */
  const recorded = async ({
    fields: [number, event = ''],
    epoch,
  }: Pick<Answer<'DONE'>, 'fields' | 'epoch'>) => {
    const sequence = Number(number);
    if (event !== '') await guard.confirm([{ epoch, sequence, event }]);
    session.saw({ epoch, sequence });
    return { sequence };
  };
  return {
    kind: 'redis',
    ...ports,
    async init() {
      const { identity } = await guard.init();
      session.saw({ identity, epoch: session.epoch, sequence: 1 });
      return { identity };
    },
    state: () => state(session, guard),
    commit: (proposal, observer) => commit(session, guard, { proposal, observer }),
    async fill(entries, moments = []) {
      for (const step of fillSteps(entries, moments)) {
        const answer = await fill(session, step);
        if (answer.code === 'EXPIRING') throw expiring();
        await recorded(answer);
      }
    },
    async activate({ expectedSequence, ...policy }) {
      const answer = await session.write(SCRIPTS.activate, (keys) => ({
        keys: [keys.meta, keys.journal, keys.pending, keys.policy],
        args: [String(expectedSequence), policyText(policy)],
      }));
      if (answer.code === 'CHANGED') {
        throw new CountersignError(
          'CONCURRENT_CHANGE',
          `the ledger is at event ${answer.fields[0]} and the change was prepared at event ${expectedSequence}`,
        );
      }
      return recorded(answer);
    },
    async freeze(freeze) {
      const answer = await session.write(SCRIPTS.freeze, (keys) => ({
        keys: [keys.meta, keys.journal, keys.pending, keys.freezes],
        args: [freeze.id, freezeText(freeze)],
      }));
      if (answer.code === 'TAKEN') {
        throw new CountersignError('CONCURRENT_CHANGE', `another freeze named ${freeze.id} is in force`);
      }
      return recorded(answer);
    },
    async unfreeze(id, statements) {
      const answer = await session.write(SCRIPTS.unfreeze, (keys) => ({
        keys: [keys.meta, keys.journal, keys.pending, keys.freezes],
        args: [id, JSON.stringify({ id, statements })],
      }));
      if (answer.code === 'UNKNOWN') {
        throw new CountersignError('CONCURRENT_CHANGE', `no freeze named ${id} is in force`);
      }
      return recorded(answer);
    },
    release: (request) => release(session, guard, request),
    transaction: (moneyKey) => transaction(session, guard, moneyKey),
    report: (said) => report(session, guard, said),
    fateOf: (moneyKey) => fateOf(session, guard, moneyKey),
    events: (after, limit) => events(session, after, limit),
    upkeep: createUpkeep({
      workspace,
      connection,
      session,
      guard,
      events: (after, limit) => events(session, after, limit),
    }),
    exports: createExports(session),
    waiting: createBoard(session),
    usage: (counters) => usage(session, counters),
    async lookup(askKey) {
      const { fields } = await session.read(SCRIPTS.lookup, (keys) => ({
        keys: [keys.meta, keys.asks],
        args: [askKey],
      }));
      return fields[0] === undefined ? undefined : decisionOf(fields[0]);
    },
    async remembered(fact) {
      const { fields } = await session.read(SCRIPTS.remembered, (keys) => ({
        keys: [keys.meta, keys.facts],
        args: [fact],
      }));
      return fields[0];
    },
    async check() {
      const server = await readServer(connection).catch((error: unknown) => primaryGone(connection, error));
      if ('code' in server) return [server, ...(await guard.problems(undefined))];
      const problems = [
        ...serverProblems(server, witnesses.length > 0 ? 'witness' : 'fence'),
        ...sentinelProblems(connection),
      ];
      // A replica runs no script of ours, so it cannot be asked.
      if (problems.some(({ code }) => code === 'ROLE')) return problems;
      const found = [...(await guard.problems(server)), ...problems];
      // It may wait for a recovery, and what blocks already need not be joined.
      if (found.some(({ blocks }) => blocks)) return found;
      return [...(await clockProblems(() => state(session, guard))), ...found];
    },
    async close() {
      await Promise.all([connection.close(), guard.close()]);
    },
  };
}

function guardOf(
  { workspace, witnesses = [], observer, alone }: RedisLedgerSettings,
  connection: Connection,
  session: Session,
): { readonly guard: Guard; readonly ports: Pick<Ledger, 'fence' | 'witnesses'> } {
  if (witnesses.length === 0) {
    const fence = createFence(connection, session);
    const parts = { workspace, connection, session };
    return { guard: fence, ports: { fence: { ...fence, rebuild: (order) => rebuild(parts, order) } } };
  }
  const keeper = createKeeper({ workspace, connection, session, witnesses, observer, alone });
  return { guard: keeper, ports: { witnesses: keeper } };
}

async function state(session: Session, guard: Guard): Promise<LedgerState> {
  const { fields, epoch } = await session.read(SCRIPTS.state, (keys) => ({
    keys: [keys.meta, keys.journal, keys.pending, keys.policy, keys.freezes],
    args: [],
  }));
  const [
    identity = '',
    nowMs,
    sequence,
    durable,
    policySequence,
    freezesSequence,
    policy = '',
    count,
    ...rest
  ] = fields;
  const end = 2 * Number(count);
  session.saw({ identity, epoch, sequence: 0 });
  // Nobody evaluates by a policy or a freeze that a fail-over could still forget.
  await guard.confirm(unconfirmedOf(epoch, rest.slice(0, end)));
  session.saw({ epoch, sequence: Number(sequence) });
  const versions = {
    ledger: identity,
    epoch,
    policy: Number(policySequence),
    freezes: Number(freezesSequence),
  };
  return {
    identity,
    nowMs: Number(nowMs),
    sequence: Number(sequence),
    durable: Number(durable),
    policy: policy === '' ? undefined : policyOf(policy, versions.policy),
    freezes: rest
      .slice(end)
      .map((text) => {
        const blank = text.indexOf(' ');
        return freezeOf(text.slice(blank + 1), Number(text.slice(0, blank)));
      })
      .sort((a, b) => a.sequence - b.sequence),
    versions,
  };
}

async function commit(
  session: Session,
  guard: Guard,
  { proposal, observer }: { readonly proposal: Proposal; readonly observer?: CommitObserver | undefined },
): Promise<CommitReply> {
  checkProposal(proposal);
  for (;;) {
    const answer = await session.write(SCRIPTS.commit, (keys) => commitOperands(keys, proposal));
    const { epoch } = answer;
    const result = committed(answer, proposal);
    // Each call drops some of the expired entries, so the loop ends.
    if (result === undefined) continue;
    const { reply, event } = result;
    if (!('decision' in reply)) return reply;
    const { sequence } = reply.decision;
    const confirm = () => guard.confirm([{ epoch, sequence, event }]);
    if (event !== '') await (observer === undefined ? confirm() : observer.during('witness', confirm));
    session.saw({ epoch, sequence });
    return reply;
  }
}

function fill(session: Session, { entries, moments }: FillStep): Promise<Answer<'DONE' | 'EXPIRING'>> {
  return session.write(SCRIPTS.fill, (keys) => {
    const operands = listOperands(entries.map((entry) => entryOperands(keys, entry)));
    return {
      keys: [keys.meta, keys.journal, keys.pending, keys.transactions, keys.moments, ...operands.keys],
      args: [
        // The script adds the moments, as they stand then, and the closing brace.
        JSON.stringify(fillOf(entries)).slice(0, -1),
        String(moments.length),
        ...moments.flatMap(({ key, sinceMs }) => [key, JSON.stringify(key), String(sinceMs)]),
        ...operands.args,
      ],
    };
  });
}

async function events(session: Session, after: number, limit: number): Promise<readonly JournalEvent[]> {
  assert(limit > 0 && limit <= MAX_EVENTS, `between 1 and ${MAX_EVENTS} events are read at a time`);
  const { fields } = await session.read(SCRIPTS.events, (keys) => ({
    keys: [keys.meta, keys.journal],
    args: [String(after), String(limit)],
  }));
  const found: JournalEvent[] = [];
  for (let index = 0; index < fields.length; index += 4) {
    const [sequence = '', atMs = '', type = '', body = ''] = fields.slice(index, index + 4);
    found.push(eventOf(sequence, atMs, type, body));
  }
  return found;
}

function createExports(session: Session): Exports {
  return {
    async state() {
      const { fields } = await session.read(SCRIPTS.exportState, (keys) => ({
        keys: [keys.meta, keys.pending],
        args: [],
      }));
      const [identity = '', newest, mark = ''] = fields;
      return { identity, newest: Number(newest), ...(mark === '' ? {} : { mark: markOf(mark) }) };
    },
    async moved(identity, mark) {
      const { code } = await session.write(SCRIPTS.exported, (keys) => ({
        keys: [keys.meta],
        args: [identity, String(mark.sequence), markText(mark)],
      }));
      if (code === 'CHANGED') throw otherLedger(identity);
    },
  };
}

async function usage(session: Session, counters: readonly Counter[]): Promise<readonly string[]> {
  const { fields } = await session.read(SCRIPTS.usage, (keys) => ({
    keys: [
      keys.meta,
      ...counters.flatMap((counter) => {
        const { held, times, members } = keys.counter(counter);
        return [held, times, members];
      }),
    ],
    args: [
      String(counters.length),
      ...counters.map(({ window }) => (window.kind === 'rolling' ? String(window.lengthMs) : '')),
    ],
  }));
  return fields;
}
