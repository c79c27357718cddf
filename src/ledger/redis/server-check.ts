/** A Redis server's own settings: those under which decisions could be lost, in words that say what to change. */
import type { LedgerProblem } from '../../core/fence.js';
import type { Connection } from './connection.js';

const OLDEST_MAJOR_VERSION = 7;

/** Settings that INFO does not tell; a server that does not let us read them counts as one that has them wrong. */
const SETTINGS = ['appendfsync', 'repl-backlog-ttl'] as const;

export interface Server {
  readonly info: ReadonlyMap<string, string>;
  readonly settings: ReadonlyMap<string, string>;
}

export async function readServer(connection: Connection): Promise<Server> {
  const [info, settings] = await Promise.all([
    connection.call('INFO', []),
    // Managed services forbid CONFIG, and so may the access list of our user.
    connection.call('CONFIG', ['GET', ...SETTINGS]).catch(() => []),
  ]);
  return { info: infoFields(info), settings: settingFields(settings) };
}

/** The server's present history. */
export function historyOf({ info }: Server): string {
  return info.get('master_replid') ?? '';
}

/** A server of its own that has every write on its disk before it acknowledges it: a restart cannot lose any. */
export function keepsWhatItSaid({ info, settings }: Server): boolean {
  return (
    info.get('redis_mode') === 'standalone' &&
    info.get('aof_enabled') === '1' &&
    settings.get('appendfsync') === 'always'
  );
}

/** It was read, and says so; what cannot be read says nothing about the time until now. */
export function maySayAndForget({ info, settings }: Server): boolean {
  return info.get('aof_enabled') === '0' || (settings.get('appendfsync') ?? 'always') !== 'always';
}

export function serverProblems({ info, settings }: Server): readonly LedgerProblem[] {
  const problems: LedgerProblem[] = [];
  const add = (code: LedgerProblem['code'], text: string, blocks = true) =>
    problems.push({ code, text, blocks });
  const version = info.get('redis_version') ?? 'unknown';
  const role = info.get('role') ?? 'unknown';
  const policy = info.get('maxmemory_policy') ?? 'unknown';
  if (!(Number.parseInt(version, 10) >= OLDEST_MAJOR_VERSION)) {
    add(
      'VERSION',
      `The Redis version is ${version}. Run Redis or Valkey ${OLDEST_MAJOR_VERSION}.0 or newer.`,
    );
  }
  if (role !== 'master') {
    add('ROLE', `The Redis server's role is ${role}. Connect to the primary, not to a replica.`);
  }
  const keepsFile = info.get('aof_enabled') === '1';
  if (!keepsFile) {
    add(
      'APPEND_ONLY',
      'Redis keeps no append-only file, so a restart forgets decisions. Set `appendonly yes`.',
    );
  }
  if (info.get('maxmemory') !== '0' && policy !== 'noeviction') {
    add(
      'EVICTION',
      `Redis may evict keys (maxmemory-policy is ${policy}): an evicted counter is a limit reset. Set \`maxmemory-policy noeviction\`.`,
    );
  }
  const sync = settings.get('appendfsync');
  if (role === 'master' && keepsFile && sync !== 'always') {
    add(
      'RESTART',
      sync === undefined
        ? 'Whether Redis writes decisions to its disk before it acknowledges them cannot be read (CONFIG GET appendfsync), so an operator must activate the ledger after every restart. Let this user run `CONFIG GET`.'
        : `Redis may lose its last decisions when it stops (appendfsync is ${sync}), so an operator must activate the ledger after every restart. Set \`appendfsync always\`.`,
      false,
    );
  }
  const ttl = settings.get('repl-backlog-ttl');
  if (ttl !== undefined && ttl !== '0') {
    add(
      'BACKLOG',
      `Redis begins a new history ${ttl} s after its last replica left, and then decides nothing. Set \`repl-backlog-ttl 0\`.`,
      false,
    );
  }
  return problems;
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
