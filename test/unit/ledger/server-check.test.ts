import { describe, expect, test } from '@jest/globals';
import {
  type Durability,
  keepsWhatItSaid,
  type Server,
  serverProblems,
} from '../../../src/ledger/redis/server-check.js';

interface Parts {
  readonly info?: Readonly<Record<string, string>>;
  /** Fields that INFO does not have. */
  readonly without?: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
  readonly movable?: boolean;
}

/** A server as it should be, but for these parts. */
function server({ info = {}, without = [], settings = {}, movable = false }: Parts): Server {
  return {
    info: new Map(
      Object.entries({
        redis_version: '7.0.15',
        redis_mode: 'standalone',
        role: 'master',
        aof_enabled: '1',
        maxmemory: '0',
        maxmemory_policy: 'noeviction',
        ...info,
      }).filter(([name]) => !without.includes(name)),
    ),
    settings: new Map(Object.entries({ appendfsync: 'always', 'repl-backlog-ttl': '0', ...settings })),
    movable,
  };
}

test.each<[string, Parts, boolean]>([
  ['a server of its own that syncs each write', {}, true],
  ['behind Sentinels', { movable: true }, false],
  ['of a Cluster', { info: { redis_mode: 'cluster' } }, false],
  ['Valkey', { without: ['redis_mode'], info: { server_mode: 'standalone' } }, true],
  ['of a Cluster of Valkey', { without: ['redis_mode'], info: { server_mode: 'cluster' } }, false],
  ['of an unknown mode', { without: ['redis_mode'] }, false],
  ['that syncs once a second', { settings: { appendfsync: 'everysec' } }, false],
  ['without a file', { info: { aof_enabled: '0' } }, false],
])('whether a restart can lose anything: %s', (_, parts, keeps) => {
  expect(keepsWhatItSaid(server(parts))).toBe(keeps);
});

describe('what is wrong with a server, with a fence and with witnesses', () => {
  test.each<[string, Parts, readonly string[], readonly string[]]>([
    ['nothing', {}, [], []],
    ['an old version', { info: { redis_version: '6.2.7' } }, ['VERSION!'], ['VERSION!']],
    ['no version', { info: { redis_version: 'x' } }, ['VERSION!'], ['VERSION!']],
    ['a replica', { info: { role: 'slave' } }, ['ROLE!'], ['ROLE!']],
    ['no file', { info: { aof_enabled: '0' } }, ['APPEND_ONLY!'], ['APPEND_ONLY']],
    ['eviction', { info: { maxmemory: '1', maxmemory_policy: 'allkeys-lru' } }, ['EVICTION!'], ['EVICTION!']],
    ['lazy syncs', { settings: { appendfsync: 'everysec' } }, ['RESTART'], []],
    ['a primary that may move', { movable: true }, ['RESTART'], []],
    ['a backlog that ends', { settings: { 'repl-backlog-ttl': '3600' } }, ['BACKLOG'], ['BACKLOG']],
  ])('%s', (_, parts, fence, witness) => {
    const found = (durability: Durability) =>
      serverProblems(server(parts), durability).map(({ code, blocks }) => code + (blocks ? '!' : ''));
    expect([found('fence'), found('witness')]).toEqual([fence, witness]);
  });

  test('each sentence says what to change', () => {
    const texts = (parts: Parts, durability: Durability) =>
      serverProblems(server(parts), durability).map(({ text }) => text);
    expect(texts({ movable: true }, 'fence')).toEqual([
      'A server that takes the place of this one may lack its last decisions, so an operator must activate the ledger after every fail-over and restart. Set `ledger.durability.mode: witness`.',
    ]);
    expect(texts({ movable: true, info: { role: 'slave' } }, 'fence')).toEqual([
      "The Redis server's role is slave. Another one is the primary, or becomes it; it is being looked for.",
    ]);
    expect(texts({ info: { aof_enabled: '0' }, settings: { 'repl-backlog-ttl': '9' } }, 'witness')).toEqual([
      'Redis keeps no append-only file, so only the witnesses hold what was decided. Set `appendonly yes`.',
      'Redis begins a new history 9 s after its last replica left, and then recovers from the witnesses without need. Set `repl-backlog-ttl 0`.',
    ]);
  });
});
