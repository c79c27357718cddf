/**
 * The fence of a ledger on Redis. Redis begins a new history (`master_replid`) at every restart and promotion, and the
 * ledger remembers on which one it is valid: a script that writes compares the two and refuses on any other. So nothing
 * is decided on a server that may have forgotten, without anybody having to notice that it was restarted.
 */
import { CountersignError } from '../../core/errors.js';
import type { Fence, FenceState, LedgerProblem } from '../../core/fence.js';
import type { Operands } from './commit.js';
import type { Connection } from './connection.js';
import type { Keys } from './keys.js';
import { type Reply, type ReplyCode, run, SCRIPTS, type Script } from './scripts.js';
import { historyOf, keepsWhatItSaid, maySayAndForget, readServer, type Server } from './server-check.js';

export interface RedisFence extends Fence {
  /** Runs a script that writes; LEDGER_FENCED when it may not. */
  write<Code extends Exclude<ReplyCode, 'FENCED'>>(
    script: Script<Code | 'FENCED'>,
    operands: Operands,
  ): Promise<Reply<Code>>;
  /** This replica has been shown this ledger, up to this event: it must never be shown less of it. */
  saw(shown: { readonly identity?: string; readonly sequence: number }): void;
  /** Tells a server that has come back what was seen before, and lets it go on if it cannot have lost anything. */
  meet(): Promise<void>;
  /** Whether anything is decided, and after the next restart, on this server. */
  problems(server: Server): Promise<readonly LedgerProblem[]>;
}

/** A server that restarts faster than a script can follow is not worth waiting for. */
const ATTEMPTS = 3;

/** Why the scripts refuse; see fence.lua and reopen.lua. */
const WHYS = {
  info: 'this Redis does not let scripts read INFO, and without it a restart or fail-over would go unnoticed. Allow INFO in scripts (`+info` for our user), or use a Redis that does.',
  role: 'the Redis server is a replica. Connect to the primary.',
  'rolled-back':
    'events were lost: a replica has seen event SEEN, and the ledger ends at event SEQUENCE. OPERATOR',
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

type FencedReply = Pick<Reply<'FENCED'>, 'fields'>;

export function createFence(connection: Connection, keys: Keys): RedisFence {
  let known = { identity: '', sequence: 0 };
  const credentials = () => [known.identity, String(known.sequence)];

  /** Undefined when the fence stands open now. */
  async function reopen(): Promise<FencedReply | undefined> {
    const server = await readServer(connection);
    const args = [...credentials(), historyOf(server), keepsWhatItSaid(server) ? '1' : '0'];
    const reply = await run(connection, SCRIPTS.reopen, { keys: [keys.meta], args });
    return reply.code === 'OPEN' ? undefined : reply;
  }

  async function inspect(server?: Server) {
    const isWeak = server !== undefined && maySayAndForget(server);
    const args = [...credentials(), isWeak ? '1' : '0'];
    const reply = await run(connection, SCRIPTS.inspect, { keys: [keys.meta], args });
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
    async write(script, operands) {
      for (let attempt = 1; ; attempt += 1) {
        const { keys: named, args } = operands;
        const { code, fields } = await run(connection, script, {
          keys: named,
          args: [...credentials(), ...args],
        });
        if (code !== 'FENCED') return { code, fields };
        const refused = fields[0] === 'history' ? await reopen() : { fields };
        if (refused !== undefined || attempt === ATTEMPTS) throw fenced(refused ?? { fields });
      }
    },
    saw({ identity, sequence }) {
      const isOther = identity !== undefined && identity !== known.identity;
      known = isOther ? { identity, sequence } : { ...known, sequence: Math.max(sequence, known.sequence) };
    },
    async meet() {
      if (known.sequence > 0) await inspect();
    },
    async problems(server) {
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
      const { code, fields } = await run(connection, SCRIPTS.unfence, {
        keys: [keys.meta, keys.journal],
        args: [
          identity,
          history,
          String(sequence),
          JSON.stringify({ history, statement }),
          historyOf(server) === history && keepsWhatItSaid(server) ? '1' : '0',
        ],
      });
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

export function fenced(reply: FencedReply): CountersignError {
  return new CountersignError('LEDGER_FENCED', sentenceOf(reply));
}

function sentenceOf({ fields: [why = '', sequence = '', seen = ''] }: FencedReply): string {
  const text =
    Object.entries(WHYS).find(([name]) => name === why)?.[1] ?? `the ledger is fenced (${why}). OPERATOR`;
  return `Nothing is decided: ${text.replace('SEEN', seen).replace('SEQUENCE', sequence).replace('OPERATOR', OPERATOR)}`;
}
