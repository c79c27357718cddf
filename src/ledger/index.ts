/** The shared memory: which kinds of ledger there are. */
import type { Ledger } from '../core/ports.js';
import { createEmbeddedLedger } from './embedded/embedded-ledger.js';
import type { NodeConnection, RedisConnection } from './redis/connection.js';
import { createRedisLedger, type RedisLedgerSettings } from './redis/redis-ledger.js';

export type { NodeConnection, RedisConnection };

export type LedgerSettings =
  | {
      readonly kind: 'redis';
      readonly connection: RedisConnection;
      /** Those that hold every event besides; none in fence mode. */
      readonly witnesses: readonly NodeConnection[];
    }
  | { readonly kind: 'embedded'; readonly file: string };

/** What a ledger that recovers by itself is given besides: who is told, and what keeps replicas from doing it at once. */
export type LedgerWatch = Pick<RedisLedgerSettings, 'observer' | 'alone'>;

/** Opens without waiting: a store that cannot be reached makes the methods reject, not this. */
export function openLedger(workspace: string, settings: LedgerSettings, watch: LedgerWatch = {}): Ledger {
  switch (settings.kind) {
    case 'redis':
      return createRedisLedger({ workspace, ...settings, ...watch });
    case 'embedded':
      return createEmbeddedLedger({ workspace, file: settings.file });
  }
}
