/**
 * The fence of a ledger on Redis. Redis begins a new history (`master_replid`) at every restart and promotion, and the
 * ledger remembers on which one it is valid: a script that writes compares the two and refuses on any other. So nothing
 * is decided on a server that may have forgotten, without anybody having to notice that it was restarted.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { assert, CountersignError } from '../../core/errors.js';
import type { Fence, FenceState, LedgerProblem } from '../../core/fence.js';
import type { Connection } from './connection.js';
import { type Reply, SCRIPTS } from './scripts.js';
import { historyOf, keepsWhatItSaid, maySayAndForget, readServer, type Server } from './server-check.js';
import type { Mend, Session } from './session.js';

/** What stands between a ledger on Redis and a server that may have forgotten: the fence, or witnesses behind it. */
export interface Guard {
  /** Makes an empty store a ledger. */
  init(): Promise<{ readonly identity: string }>;
  /** What is done when a script refuses. */
  readonly mend: Mend;
  /** A connection was made, perhaps to a server that has come back. */
  meet(): Promise<void>;
  /** Makes events as durable as demanded; until it resolves nobody may rely on them. */
  confirm(events: readonly Unconfirmed[]): Promise<void>;
  /** Removes what a checkpoint covers from wherever else it is kept; what cannot be removed now is the next time. */
  drop(covered: Covered): Promise<void>;
  /**
   * Whether anything is decided on this server, and what it will take after its next restart.
   *
   * @param server undefined: none answers
   */
  problems(server: Server | undefined): Promise<readonly LedgerProblem[]>;
  close(): Promise<void>;
}

/** What the newest checkpoint covers. */
export interface Covered {
  /** The identity of the ledger. */
  readonly ledger: string;
  readonly epoch: number;
  readonly checkpoint: number;
  /** The last event. */
  readonly to: number;
}

/** An event that may be forgotten by a fail-over. */
export interface Unconfirmed {
  readonly epoch: number;
  readonly sequence: number;
  /** The identity of the ledger, and the event as witnesses keep it: type, Unix milliseconds, body. */
  readonly event: string;
}

/** A server that restarts faster than a script can follow is not worth waiting for. */
const ATTEMPTS = 3;

/** A rebuild from the journal takes a moment for its last events; whoever waits for seconds asks again. */
const HELD_PAUSE_MS = 20;
const HELD_ATTEMPTS = 100;

/** Why the scripts refuse; see fence.lua and reopen.lua. */
const WHYS = {
  info: 'this Redis does not let scripts read INFO, and without it a restart or fail-over would go unnoticed. Allow INFO in scripts (`+info` for our user), or use a Redis that does.',
  role: 'the Redis server is a replica. Connect to the primary.',
  'rolled-back':
    'events were lost: a replica has seen event SEEN, and the ledger ends at event SEQUENCE. OPERATOR',
  held: 'the ledger is being rebuilt from its journal, which takes a moment.',
  history: 'the Redis server has restarted or was promoted. OPERATOR',
  replicas:
    'the Redis server has restarted, or its first replica was connected: with replicas it may lose decisions to a fail-over. OPERATOR',
  promoted: 'the Redis server was a replica and has been promoted: it may lack decisions. OPERATOR',
  unsynced:
    'the Redis server has restarted, and before that it did not have every decision on its disk, or had a replica. OPERATOR',
  settings:
    'the Redis server has restarted, and it is not certain that it has every decision on its disk (a server of its own with `appendonly yes` and `appendfsync always`). OPERATOR',
} as const;

const OPERATOR =
  'When the old primary is certain to be stopped, an operator says so: countersign ledger activate --config FILE --key OPERATOR.pem';

const NEXT_RESTART =
  'The next restart of Redis needs an operator: when the ledger was last activated, or since, Redis did not have every decision on its disk, or had a replica. `countersign ledger activate` takes the settings of now.';

/** From the fields of a reply: sequence number and event, one after the other. */
export function unconfirmedOf(epoch: number, fields: readonly string[]): readonly Unconfirmed[] {
  const events: Unconfirmed[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    events.push({ epoch, sequence: Number(fields[index]), event: fields[index + 1] ?? '' });
  }
  return events;
}

type FencedReply = Pick<Reply<'FENCED'>, 'fields'>;

export function createFence(connection: Connection, session: Session): Guard & Omit<Fence, 'rebuild'> {
  /** Undefined when the fence stands open now. */
  async function reopen(): Promise<FencedReply | undefined> {
    const server = await readServer(connection);
    const reply = await session.read(SCRIPTS.reopen, ({ meta }) => ({
      keys: [meta],
      args: [...session.shown(), historyOf(server), keepsWhatItSaid(server) ? '1' : '0'],
    }));
    return reply.code === 'OPEN' ? undefined : reply;
  }

  async function inspect(server?: Server) {
    const isWeak = server !== undefined && maySayAndForget(server);
    const reply = await session.read(SCRIPTS.inspect, ({ meta }) => ({
      keys: [meta],
      args: [...session.shown(), isWeak ? '1' : '0'],
    }));
    const [why = '', sequence, seen, history = '', synced] = reply.fields;
    const refused = why === '' ? undefined : { fields: [why, String(sequence), String(seen)] };
    return {
      refused: why === 'history' ? await reopen() : refused,
      state: {
        history,
        sequence: Number(sequence),
        seen: Math.max(Number(seen), Number(sequence)),
        restartsAlone: synced === '1',
      },
    };
  }

  return {
    init: () => init(connection, session),
    async mend(refusal, attempt) {
      if (refusal.kind === 'missing') throw refusal.error;
      assert(refusal.kind === 'fenced', 'epochs are followed where no witnesses are');
      if (refusal.fields[0] === 'held' && attempt < HELD_ATTEMPTS) {
        await pause(HELD_PAUSE_MS);
        return;
      }
      const refused = refusal.fields[0] === 'history' ? await reopen() : refusal;
      if (refused !== undefined || attempt === ATTEMPTS) throw fenced(refused ?? refusal);
    },
    async meet() {
      if (!session.isNew) await inspect();
    },
    // What the server acknowledged it keeps, or the fence falls.
    async confirm() {},
    async drop() {},
    async close() {},
    async problems(server) {
      if (server === undefined) return [];
      const { refused, state } = await inspect(server);
      if (refused !== undefined) return [{ code: 'FENCED', text: sentenceOf(refused), blocks: true }];
      // The settings that would be at fault are named by themselves.
      if (state.restartsAlone || !keepsWhatItSaid(server)) return [];
      return [{ code: 'RESTART', text: NEXT_RESTART, blocks: false }];
    },
    async state(): Promise<FenceState> {
      const { refused, state } = await inspect();
      return { ...state, ...(refused && { problem: sentenceOf(refused) }) };
    },
    async activate({ identity, history, sequence, statement }) {
      const server = await readServer(connection);
      const { code, fields } = await session.read(SCRIPTS.unfence, (keys) => ({
        keys: [keys.meta, keys.journal, keys.pending],
        args: [
          identity,
          history,
          String(sequence),
          JSON.stringify({ history, statement }),
          historyOf(server) === history && keepsWhatItSaid(server) ? '1' : '0',
        ],
      }));
      if (code === 'FENCED') throw fenced({ fields });
      if (code === 'CHANGED') {
        const [last, seen] = fields;
        throw new CountersignError(
          'CONCURRENT_CHANGE',
          `the statement is for event ${sequence} of another history or an earlier state: the ledger is at event ${last}, and event ${seen} was seen`,
        );
      }
      return { sequence };
    },
  };
}

async function init(connection: Connection, session: Session): Promise<{ readonly identity: string }> {
  const identity = randomUUID();
  const server = await readServer(connection);
  const { code, fields } = await session.read(SCRIPTS.init, ({ meta, journal, pending }) => ({
    keys: [meta, journal, pending],
    args: [identity, JSON.stringify({ identity }), keepsWhatItSaid(server) ? '1' : '0'],
  }));
  if (code === 'FENCED') throw fenced({ fields });
  if (code === 'EXISTS') throw new CountersignError('LEDGER_EXISTS', 'the store already holds a ledger');
  return { identity };
}

export function fenced(reply: FencedReply): CountersignError {
  return new CountersignError('LEDGER_FENCED', sentenceOf(reply));
}

function sentenceOf({ fields: [why = '', sequence = '', seen = ''] }: FencedReply): string {
  const text =
    Object.entries(WHYS).find(([name]) => name === why)?.[1] ?? `the ledger is fenced (${why}). OPERATOR`;
  return `Nothing is decided: ${text.replace('SEEN', seen).replace('SEQUENCE', sequence).replace('OPERATOR', OPERATOR)}`;
}
