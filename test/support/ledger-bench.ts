/** A ledger to test, on either store: as many clients as a test wants, each workspace fresh, initialised and active. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ledger, Versions } from '../../src/core/ports.js';
import { createEmbeddedLedger } from '../../src/ledger/embedded/embedded-ledger.js';
import type { NodeConnection } from '../../src/ledger/redis/connection.js';
import { createRedisLedger } from '../../src/ledger/redis/redis-ledger.js';
import { type RedisServer, startRedis } from './redis-server.js';

type Timeouts = Pick<NodeConnection, 'connectTimeoutMs' | 'commandTimeoutMs'>;

/** For tests that take no server away: a disk that is busy for a second makes none of them fail. */
export const PATIENT: Timeouts = { connectTimeoutMs: 30_000, commandTimeoutMs: 30_000 };

/** For those that take a witness away, and wait until it is given up on: the same up to a few seconds. */
const UNHURRIED: Timeouts = { connectTimeoutMs: 3_000, commandTimeoutMs: 3_000 };

export interface Store {
  open(workspace: string): Ledger;
  stop(): Promise<void>;
}

export interface RedisStore extends Store {
  readonly server: RedisServer;
}

export async function redisStore(
  settings: Readonly<Record<string, string>> = {},
  timeouts: Timeouts = {},
): Promise<RedisStore> {
  return storeOn(await startRedis({ settings }), timeouts);
}

export function storeOn(server: RedisServer, timeouts: Timeouts = {}): RedisStore {
  return {
    server,
    open: (workspace) => createRedisLedger({ workspace, connection: { url: server.url, ...timeouts } }),
    stop: () => server.stop(),
  };
}

export interface WitnessedStore extends RedisStore {
  readonly witnesses: readonly RedisServer[];
  /** A replica that takes another server for the primary. */
  openOn(workspace: string, server: RedisServer): Ledger;
  /** A replica whose configuration names no witnesses. */
  openAlone(workspace: string): Ledger;
}

/** A server that may forget its last second, and three witnesses that forget nothing. */
export async function witnessedStore(timeouts = UNHURRIED): Promise<WitnessedStore> {
  const [server, ...witnesses] = await Promise.all([
    startRedis({ settings: { appendfsync: 'everysec' } }),
    startRedis(),
    startRedis(),
    startRedis(),
  ]);
  const openOn = (workspace: string, { url }: RedisServer) =>
    createRedisLedger({
      workspace,
      connection: { url, ...timeouts },
      witnesses: witnesses.map((each) => ({ url: each.url, ...timeouts })),
    });
  return {
    server,
    witnesses,
    openOn,
    open: (workspace) => openOn(workspace, server),
    openAlone: (workspace) => createRedisLedger({ workspace, connection: { url: server.url, ...timeouts } }),
    async stop() {
      await Promise.all([server, ...witnesses].map((each) => each.stop()));
    },
  };
}

export async function embeddedStore(): Promise<Store> {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-ledger-'));
  return {
    open: (workspace) =>
      createEmbeddedLedger({
        workspace,
        file: join(directory, 'ledger.db'),
        // As long as for the others: replicas of one file wait for one another while the disk is busy.
        busyTimeoutMs: 30_000,
      }),
    stop: async () => rmSync(directory, { recursive: true, force: true }),
  };
}

export interface Bench {
  readonly workspace: string;
  readonly ledger: Ledger;
  readonly versions: Versions;
  /** Another replica of the same workspace. */
  another(): Ledger;
  close(): Promise<void>;
}

let workspaces = 0;

/** A new ledger with an active policy. */
export async function bench(store: Store): Promise<Bench> {
  workspaces += 1;
  const workspace = `bench-${process.pid}-${workspaces}`;
  const opened: Ledger[] = [];
  const another = () => {
    const ledger = store.open(workspace);
    opened.push(ledger);
    return ledger;
  };
  const ledger = another();
  await ledger.init();
  await activate(ledger);
  const { versions } = await ledger.state();
  return {
    workspace,
    ledger,
    versions,
    another,
    close: async () => {
      await Promise.all(opened.map((each) => each.close()));
    },
  };
}

/** Activates a policy of no content at the ledger's present sequence. */
export async function activate(ledger: Ledger): Promise<{ readonly sequence: number }> {
  const { sequence } = await ledger.state();
  return ledger.activate({
    version: 'f'.repeat(64),
    document: 'version: 1',
    instances: { hourly: 'hourly-1' },
    statement: 'a.b.c',
    expectedSequence: sequence,
  });
}

/** After these decide.ts asks again, until the deadline; after the last one whoever asked does. */
const PASSING = ['LEDGER_RECOVERING', 'LEDGER_UNAVAILABLE', 'stale', 'CLOCK_SKEW'];

/**
 * Asks as decide.ts does: again while the ledger cannot be reached or is being recovered. What was recorded by an attempt
 * that could not be answered is repeated by the next one.
 */
export async function patiently<T>(ask: () => Promise<T>, withinMs = 45_000): Promise<T | string> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const reply = await ask().catch((error: { readonly code: string }) => error.code);
    if (typeof reply !== 'string' || !PASSING.includes(reply)) return reply;
    if (Date.now() > deadline) throw new Error(`still ${reply} after ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
