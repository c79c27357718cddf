/** Where a workspace's ledger and the locks of a cluster live, as the configuration says it. */
import { readText } from '../config/load.js';
import type { Config, RedisConfig } from '../config/schema.js';
import { assert } from '../core/errors.js';
import type { LedgerSettings, NodeConnection, RedisConnection } from '../ledger/index.js';

/** Where a ledger lives. Throws FILE_UNREADABLE when a file of secrets cannot be read. */
export function ledgerSettings({ ledger }: Pick<Config, 'ledger'>): LedgerSettings {
  if (ledger.kind === 'embedded') return { kind: 'embedded', file: ledger.embedded.file };
  return {
    kind: 'redis',
    connection: redisConnection(ledger.redis),
    witnesses: ledger.durability.witnesses.map(nodeConnection),
  };
}

/**
 * Where replicas agree who does what needs doing once. Without nodes of their own: the witnesses, which are independent,
 * or else the one standalone server. Behind Sentinels or on a Cluster without witnesses, and on one machine: nowhere.
 */
export function lockNodes({ ledger, locks }: Pick<Config, 'ledger' | 'locks'>): readonly NodeConnection[] {
  if (locks !== undefined) return locks.nodes.map(nodeConnection);
  if (ledger.kind === 'embedded') return [];
  if (ledger.durability.witnesses.length > 0) return ledger.durability.witnesses.map(nodeConnection);
  const { url, ...access } = ledger.redis;
  return url === undefined ? [] : [nodeConnection({ url, ...access })];
}

function nodeConnection({ url, ...access }: AccessConfig & { readonly url: string }): NodeConnection {
  return { url, ...accessOf(access) };
}

function redisConnection({ url, sentinel, cluster, ...access }: RedisConfig): RedisConnection {
  const shared = accessOf(access);
  if (sentinel !== undefined) {
    const { name, nodes, ...own } = sentinel;
    return { ...shared, sentinel: { name, nodes, ...accessOf(own) } };
  }
  if (cluster !== undefined) return { ...shared, cluster };
  assert(url !== undefined, 'a Redis without an address');
  return { ...shared, url };
}

type AccessConfig = Pick<RedisConfig, 'username' | 'passwordFile' | 'tls'>;

function accessOf({ username, passwordFile, tls }: AccessConfig) {
  return {
    ...(username === undefined ? {} : { username }),
    ...(passwordFile === undefined ? {} : { password: () => readText(passwordFile).trim() }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...(tls.caFile === undefined ? {} : { ca: readText(tls.caFile) }),
            ...(tls.certificateFile === undefined ? {} : { cert: readText(tls.certificateFile) }),
            ...(tls.keyFile === undefined ? {} : { key: readText(tls.keyFile) }),
          },
        }),
  };
}
