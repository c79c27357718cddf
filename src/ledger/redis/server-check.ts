/** Settings of a Redis server under which decisions could be lost or evicted, in words that say what to change. */
import type { Connection } from './connection.js';

const OLDEST_MAJOR_VERSION = 7;

export async function serverProblems(connection: Connection): Promise<readonly string[]> {
  const server = fieldsOf(await connection.call('INFO', ['server']));
  const replication = fieldsOf(await connection.call('INFO', ['replication']));
  const memory = fieldsOf(await connection.call('INFO', ['memory']));
  const persistence = fieldsOf(await connection.call('INFO', ['persistence']));
  const version = server.get('redis_version') ?? 'unknown';
  const role = replication.get('role') ?? 'unknown';
  const policy = memory.get('maxmemory_policy') ?? 'unknown';
  const problems: string[] = [];
  if (!(Number.parseInt(version, 10) >= OLDEST_MAJOR_VERSION)) {
    problems.push(`The Redis version is ${version}. Run Redis or Valkey ${OLDEST_MAJOR_VERSION}.0 or newer.`);
  }
  if (role !== 'master') {
    problems.push(`The Redis server's role is ${role}. Connect to the primary, not to a replica.`);
  }
  if (persistence.get('aof_enabled') !== '1') {
    problems.push('Redis keeps no append-only file, so a restart forgets decisions. Set `appendonly yes`.');
  }
  if (memory.get('maxmemory') !== '0' && policy !== 'noeviction') {
    problems.push(
      `Redis may evict keys (maxmemory-policy is ${policy}): an evicted counter is a limit reset. Set \`maxmemory-policy noeviction\`.`,
    );
  }
  return problems;
}

/** INFO is readable where managed services forbid CONFIG. */
function fieldsOf(info: unknown): ReadonlyMap<string, string> {
  const lines = typeof info === 'string' ? info.split('\r\n') : [];
  return new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1)] as const;
    }),
  );
}
