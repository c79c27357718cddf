/** A Redis server's own settings: those under which decisions could be lost, in words that say what to change. */
import { CountersignError, errorCodeOf, messageOf } from '../../core/errors.js';
import type { LedgerProblem } from '../../core/fence.js';
import type { Connection } from './connection.js';

const OLDEST_MAJOR_VERSION = 7;
/** As CountersignCertificateExpiring has it for our own. */
const CERTIFICATE_NOTICE_MS = 21 * 86_400_000;

/** Settings that INFO does not tell; a server that does not let us read them counts as one that has them wrong. */
const SETTINGS = ['appendfsync', 'repl-backlog-ttl'] as const;

export interface Server {
  readonly info: ReadonlyMap<string, string>;
  readonly settings: ReadonlyMap<string, string>;
  /** Another server may take its place; see {@link Connection}. */
  readonly movable: boolean;
  readonly certificateEnds?: Date | undefined;
}

/** Who holds every event: this server alone, or witnesses besides. */
export type Durability = 'fence' | 'witness';

export async function readServer(connection: Connection): Promise<Server> {
  const [info, settings] = await Promise.all([
    connection.call('INFO', []),
    // Managed services forbid CONFIG, and so may the access list of our user.
    connection.call('CONFIG', ['GET', ...SETTINGS]).catch(() => []),
  ]);
  return {
    info: infoFields(info),
    settings: settingFields(settings),
    movable: connection.movable,
    certificateEnds: connection.certificateEnds(),
  };
}

/** The server's present history. */
export function historyOf({ info }: Server): string {
  return info.get('master_replid') ?? '';
}

/** A server of its own that has every write on its disk before it acknowledges it: a restart cannot lose any. */
export function keepsWhatItSaid({ info, settings, movable }: Server): boolean {
  return (
    !movable &&
    // Valkey 8 has another name for it.
    (info.get('redis_mode') ?? info.get('server_mode')) === 'standalone' &&
    info.get('aof_enabled') === '1' &&
    settings.get('appendfsync') === 'always'
  );
}

/** It was read, and says so; what cannot be read says nothing about the time until now. */
export function maySayAndForget({ info, settings }: Server): boolean {
  return info.get('aof_enabled') === '0' || (settings.get('appendfsync') ?? 'always') !== 'always';
}

/** What is wrong with a server, the worst first. With witnesses it need not keep by itself what it acknowledged. */
export function serverProblems(server: Server, durability: Durability): readonly LedgerProblem[] {
  return [
    ...versionProblems(server),
    ...roleProblems(server),
    ...fileProblems(server, durability),
    ...evictionProblems(server),
    ...(durability === 'fence' ? restartProblems(server) : []),
    ...backlogProblems(server, durability),
    ...certificateProblems(server),
  ];
}

/** The server that decides does not answer: a problem where another one may take its place, and a failure elsewhere. */
export function primaryGone({ movable }: Connection, error: unknown): LedgerProblem {
  if (!movable || errorCodeOf(error) !== 'LEDGER_UNAVAILABLE') throw error;
  const text = `${messageOf(error)}. Nothing is decided until it is back or another one is promoted; if that lasts: docs/runbooks/CountersignPrimaryGone.md.`;
  return { code: 'PRIMARY', text, blocks: true };
}

/** A server that is full answers whatever only asks about it, and refuses every script that may write. */
export function writeProblems(error: unknown): readonly LedgerProblem[] {
  const refusal = error instanceof CountersignError ? messageOf(error.cause) : '';
  if (!/^(OOM|MISCONF|NOREPLICAS)\b/.test(refusal)) return [];
  const text = `Redis takes no writes: ${refusal} Nothing is decided until it has room (memory, disk) or the replicas it waits for.`;
  return [{ code: 'WRITES', text, blocks: true }];
}

/** A set that has lost its majority shows nothing of it until the day on which the primary goes. */
export function sentinelProblems(connection: Connection): readonly LedgerProblem[] {
  const silent = connection.silentSentinels();
  if (silent.length === 0) return [];
  const text = `Of the Sentinels some do not answer (${silent.join('; ')}). Without a majority of them nobody is promoted when the primary goes.`;
  return [{ code: 'SENTINELS', text, blocks: false }];
}

/** A witness is relied upon to keep whatever it acknowledged: one that forgets and still votes loses decisions. */
export function witnessFaults(server: Server): readonly LedgerProblem[] {
  const forgets = forgetfulness(server).map((text) => ({ code: 'WITNESSES' as const, text, blocks: true }));
  return [...forgets, ...certificateProblems(server)];
}

/** Why it may forget. */
function forgetfulness(server: Server): readonly string[] {
  const { info, settings } = server;
  const sync = settings.get('appendfsync');
  return [
    ...[...versionProblems(server), ...evictionProblems(server)].map(({ text }) => text),
    ...(info.get('role') === 'master' ? [] : ['it is a replica. A witness is a standalone server.']),
    ...(info.get('aof_enabled') === '1'
      ? []
      : ['it keeps no append-only file. Set `appendonly yes` and `appendfsync always`.']),
    ...(sync === 'always' || info.get('aof_enabled') !== '1'
      ? []
      : [
          sync === undefined
            ? 'whether it syncs every write cannot be read. Let our user run `CONFIG GET`.'
            : `it may lose its last events when it stops (appendfsync is ${sync}). Set \`appendfsync always\`.`,
        ]),
  ];
}

function versionProblems({ info }: Server): readonly LedgerProblem[] {
  const version = info.get('redis_version') ?? 'unknown';
  if (Number.parseInt(version, 10) >= OLDEST_MAJOR_VERSION) return [];
  const text = `The Redis version is ${version}. Run Redis or Valkey ${OLDEST_MAJOR_VERSION}.0 or newer.`;
  return [{ code: 'VERSION', text, blocks: true }];
}

function roleProblems({ info, movable }: Server): readonly LedgerProblem[] {
  const role = info.get('role') ?? 'unknown';
  if (role === 'master') return [];
  const advice = movable
    ? 'Another one is the primary, or becomes it; it is being looked for.'
    : 'Connect to the primary, not to a replica.';
  return [{ code: 'ROLE', text: `The Redis server's role is ${role}. ${advice}`, blocks: true }];
}

function fileProblems({ info }: Server, durability: Durability): readonly LedgerProblem[] {
  if (info.get('aof_enabled') === '1') return [];
  if (durability === 'witness') {
    const text =
      'Redis keeps no append-only file, so only the witnesses hold what was decided. Set `appendonly yes`.';
    return [{ code: 'APPEND_ONLY', text, blocks: false }];
  }
  const text = 'Redis keeps no append-only file, so a restart forgets decisions. Set `appendonly yes`.';
  return [{ code: 'APPEND_ONLY', text, blocks: true }];
}

function evictionProblems({ info }: Server): readonly LedgerProblem[] {
  const policy = info.get('maxmemory_policy') ?? 'unknown';
  if (info.get('maxmemory') === '0' || policy === 'noeviction') return [];
  const text = `Redis may evict keys (maxmemory-policy is ${policy}): an evicted counter is a limit reset. Set \`maxmemory-policy noeviction\`.`;
  return [{ code: 'EVICTION', text, blocks: true }];
}

/** Why an operator must activate the ledger after a restart. */
function restartProblems({ info, settings, movable }: Server): readonly LedgerProblem[] {
  const sync = settings.get('appendfsync');
  const warning = (text: string): readonly LedgerProblem[] => [{ code: 'RESTART', text, blocks: false }];
  if (info.get('role') !== 'master' || info.get('aof_enabled') !== '1') return [];
  if (movable) {
    return warning(
      'A server that takes the place of this one may lack its last decisions, so an operator must activate the ledger after every fail-over and restart. Set `ledger.durability.mode: witness`.',
    );
  }
  if (sync === 'always') return [];
  return warning(
    sync === undefined
      ? 'Whether Redis writes decisions to its disk before it acknowledges them cannot be read (CONFIG GET appendfsync), so an operator must activate the ledger after every restart. Let this user run `CONFIG GET`.'
      : `Redis may lose its last decisions when it stops (appendfsync is ${sync}), so an operator must activate the ledger after every restart. Set \`appendfsync always\`.`,
  );
}

function backlogProblems({ settings }: Server, durability: Durability): readonly LedgerProblem[] {
  const ttl = settings.get('repl-backlog-ttl') ?? '0';
  if (ttl === '0') return [];
  const then = durability === 'fence' ? 'decides nothing' : 'recovers from the witnesses without need';
  const text = `Redis begins a new history ${ttl} s after its last replica left, and then ${then}. Set \`repl-backlog-ttl 0\`.`;
  return [{ code: 'BACKLOG', text, blocks: false }];
}

/** Connections that stand outlive the certificate, so its end shows on the day on which one breaks: here it shows before. */
function certificateProblems({ certificateEnds }: Server): readonly LedgerProblem[] {
  if (certificateEnds === undefined || certificateEnds.getTime() - Date.now() > CERTIFICATE_NOTICE_MS)
    return [];
  const text = `The certificate that Redis shows ends on ${certificateEnds.toISOString()}, and after that nobody can connect to it any more. Renew it.`;
  return [{ code: 'CERTIFICATE', text, blocks: false }];
}

function infoFields(info: unknown): ReadonlyMap<string, string> {
  const lines = typeof info === 'string' ? info.split('\r\n') : [];
  return new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1)] as const;
    }),
  );
}

function settingFields(reply: unknown): ReadonlyMap<string, string> {
  const words = Array.isArray(reply) ? reply.map(String) : [];
  return new Map(SETTINGS.flatMap((name) => pairAt(words, words.indexOf(name))));
}

function pairAt(words: readonly string[], index: number): readonly (readonly [string, string])[] {
  const [name, value] = index < 0 ? [] : words.slice(index, index + 2);
  return name === undefined || value === undefined ? [] : [[name, value]];
}
