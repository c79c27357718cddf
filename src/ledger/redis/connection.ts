/** The one connection of a replica to its ledger, with settings under which no command ever runs twice. */
import { Redis, type RedisOptions } from 'ioredis';
import { CountersignError, messageOf } from '../../core/errors.js';

/** How the port of a Redis is got into. */
export interface Access {
  readonly username?: string;
  /** Asked for each connection, so that a password may change while we run. */
  readonly password?: () => string;
  /** PEM text; an empty object is TLS with the system's authorities. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

interface Shared extends Access {
  readonly connectTimeoutMs?: number;
  /** After this the outcome of a command is unknown, and its sender asks again. */
  readonly commandTimeoutMs?: number;
}

/** One standalone server. */
export interface NodeConnection extends Shared {
  /** `redis://host:port` or `rediss://host:port`. */
  readonly url: string;
}

/** The primary that Sentinels name. */
export interface SentinelConnection extends Shared {
  /** The Sentinels, each `host:port`, and what gets into them. */
  readonly sentinel: Access & { readonly name: string; readonly nodes: readonly string[] };
}

/** The primary of a Cluster that owns one slot. */
export interface ClusterConnection extends Shared {
  /** Nodes that know the others, each `host:port`. */
  readonly cluster: { readonly nodes: readonly string[] };
}

export type RedisConnection = NodeConnection | SentinelConnection | ClusterConnection;

const CONNECT_TIMEOUT_MS = 1000;
const COMMAND_TIMEOUT_MS = 2000;
const LONGEST_PAUSE_MS = 500;

/** Answers of a server that is not, or no longer, the primary that decides: connect anew. */
const NOT_THE_PRIMARY = /^(READONLY|LOADING|MASTERDOWN)\b/;

/** A script that stopped on what it found. Other refusals inside a script (OOM, NOREPLICAS) pass by themselves. */
const UNREADABLE = /^(WRONGTYPE\b|ERR .*(user_script|equal or smaller than the target stream))/;

export interface Connection {
  /** Sends one command, once. Rejects with LEDGER_UNAVAILABLE when its outcome is not known. */
  call(command: string, args: readonly string[]): Promise<unknown>;
  close(): Promise<void>;
}

/** @param onReady called each time there is a connection; whether it succeeds is nobody's concern */
export function connect(settings: RedisConnection, onReady: () => Promise<unknown>): Connection {
  if (!('url' in settings)) {
    throw new CountersignError('CONFIG_INVALID', 'this version connects to one standalone Redis only');
  }
  const redis = new Redis(settings.url, optionsOf(settings));
  redis.on('close', () => {
    try {
      redis.options.password = settings.password?.() ?? redis.options.password;
    } catch {
      // The one that was known may still be right; if it is not, Redis says so.
    }
  });
  redis.on('ready', () => void onReady().catch(() => undefined));
  // Why there is no connection: a command that fails while there is none says only that.
  let fault: string | undefined;
  redis.on('error', (error) => {
    fault = messageOf(error);
  });
  // Commands sent before the first attempt to connect has ended wait for it; later ones fail at once while down.
  const firstAttempt = new Promise<void>((resolve) => {
    redis.once('ready', resolve);
    redis.once('close', resolve);
  });
  return {
    async call(command, args) {
      await firstAttempt;
      try {
        return await redis.call(command, [...args]);
      } catch (error) {
        throw failureOf((redis.status === 'ready' ? undefined : fault) ?? messageOf(error));
      }
    },
    async close() {
      redis.disconnect();
    },
  };
}

/**
 * With the defaults of ioredis a command whose reply was cut off is sent again behind our back, and commands sent
 * while disconnected wait in a queue past any deadline.
 */
function optionsOf(settings: RedisConnection) {
  const { username, tls } = settings;
  const password = settings.password?.();
  const commandTimeout = settings.commandTimeoutMs ?? COMMAND_TIMEOUT_MS;
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    enableReadyCheck: true,
    connectTimeout: settings.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    commandTimeout,
    // A connection on which nothing comes back any more is replaced; ioredis would keep it.
    socketTimeout: 2 * commandTimeout,
    disconnectTimeout: 100,
    retryStrategy: (attempt: number) => Math.min(50 * attempt, LONGEST_PAUSE_MS),
    // 1: connect anew. Never 2, which also sends the command again.
    reconnectOnError: (error: Error) => (NOT_THE_PRIMARY.test(error.message) ? 1 : false),
  } as const satisfies RedisOptions;
}

/** The error of ioredis carries the command with all its arguments, a password among them: only its message is kept. */
function failureOf(message: string): CountersignError {
  const cause = new Error(message);
  if (UNREADABLE.test(message)) {
    return new CountersignError('LEDGER_CORRUPT', 'the store holds data that this version did not write', {
      cause,
    });
  }
  return new CountersignError('LEDGER_UNAVAILABLE', `Redis did not answer: ${message}`, { cause });
}

/** Whether the server does not know a script by its digest. */
export function isUnknownScript(error: unknown): boolean {
  return (
    error instanceof CountersignError &&
    error.cause instanceof Error &&
    error.cause.message.startsWith('NOSCRIPT')
  );
}
