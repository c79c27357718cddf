/** The one connection of a replica to its ledger, with settings under which no command ever runs twice. */
import { type PeerCertificate, TLSSocket } from 'node:tls';
import { Redis, type RedisOptions } from 'ioredis';
import { CountersignError, messageOf } from '../../core/errors.js';
import {
  accessOptions,
  connectorTo,
  NobodyNames,
  primaryOfCluster,
  primaryOfSentinels,
  refreshPassword,
  watchSentinels,
} from './find-primary.js';

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

/**
 * Answers of a server that is not, or no longer, the primary that decides: connect anew, which looks for it anew where
 * it may move. It has not run the command. ASK and TRYAGAIN, while a slot of a Cluster is on its way, pass by themselves.
 */
const NOT_THE_PRIMARY = /^(READONLY|LOADING|MASTERDOWN|MOVED|CLUSTERDOWN)\b/;

/**
 * A script that stopped on what it found. Other refusals inside a script (OOM, NOREPLICAS) pass by themselves, and so
 * does `SCRIPT KILL`.
 */
const UNREADABLE =
  /^(WRONGTYPE\b|ERR (?!The user executing the script can't|.*Script killed by user).*(user_script|equal or smaller than the target stream))/;

export interface Connection {
  /** The primary may become another server (Sentinel, Cluster), which may lack what the old one acknowledged. */
  readonly movable: boolean;
  /** Of the Sentinels, those that do not answer now, each with why. */
  silentSentinels(): readonly string[];
  /** When the certificate ends that the server showed last; undefined without TLS. */
  certificateEnds(): Date | undefined;
  /** Sends one command, once. Rejects with LEDGER_UNAVAILABLE when its outcome is not known. */
  call(command: string, args: readonly string[]): Promise<unknown>;
  /** Drops what it is connected to and looks anew for the server that decides. */
  renew(): void;
  close(): Promise<void>;
}

/**
 * @param onReady called each time there is a connection; whether it succeeds is nobody's concern
 * @param key of a Cluster the primary that owns the slot of this key is connected to: every command goes there
 */
export function connect(settings: NodeConnection, onReady: () => Promise<unknown>): Connection;
export function connect(settings: RedisConnection, onReady: () => Promise<unknown>, key: string): Connection;
export function connect(settings: RedisConnection, onReady: () => Promise<unknown>, key = ''): Connection {
  let found: string | undefined;
  let says = '';
  const redis = clientOf(settings, key, (...told) => {
    [found, says] = told;
  });
  let isLeaving = false;
  redis.on('close', () => {
    isLeaving = false;
    refreshPassword(redis, settings);
  });
  let certificateEnds: Date | undefined;
  redis.on('ready', () => {
    certificateEnds = endOfCertificate(redis.stream) ?? certificateEnds;
    void onReady().catch(() => undefined);
  });
  const renew = () => {
    if (isLeaving || (redis.status !== 'ready' && redis.status !== 'connect')) return;
    isLeaving = true;
    redis.disconnect(true);
  };
  // Each Sentinel says so, up to seconds apart: we must not leave the new primary again, in the middle of a recovery.
  const onSwitch = (primary: string) => {
    if (primary !== found) renew();
  };
  const watch = 'sentinel' in settings ? watchSentinels(settings, onSwitch) : undefined;
  const placed = (error: unknown) =>
    found === undefined ? messageOf(error) : `${messageOf(error)} (the primary is ${found}, say ${says})`;
  // Why there is no connection: a command that fails while there is none says only that.
  let fault: string | undefined;
  redis.on('error', (error) => {
    fault = error instanceof NobodyNames ? error.message : placed(error);
  });
  // Commands sent before the first attempt to connect has ended wait for it; later ones fail at once while down.
  const firstAttempt = new Promise<void>((resolve) => {
    for (const event of ['ready', 'error', 'close']) redis.once(event, resolve);
  });
  return {
    movable: !('url' in settings),
    silentSentinels: () => watch?.silent() ?? [],
    certificateEnds: () => certificateEnds,
    async call(command, args) {
      await firstAttempt;
      try {
        return await redis.call(command, [...args]);
      } catch (error) {
        throw failureOf((redis.status === 'ready' ? undefined : fault) ?? placed(error));
      }
    },
    renew,
    async close() {
      watch?.end();
      redis.disconnect();
    },
  };
}

function endOfCertificate(stream: unknown): Date | undefined {
  if (!(stream instanceof TLSSocket)) return undefined;
  // Null once the connection is closed, whatever the types say.
  const certificate: PeerCertificate | null = stream.getPeerCertificate();
  return certificate?.valid_to === undefined ? undefined : new Date(certificate.valid_to);
}

function clientOf(
  settings: RedisConnection,
  key: string,
  onFound: (address: string, says: string) => void,
): Redis {
  const options = optionsOf(settings);
  if ('url' in settings) return new Redis(settings.url, options);
  const find = 'sentinel' in settings ? primaryOfSentinels(settings) : primaryOfCluster(settings, key);
  return new Redis({ ...options, Connector: connectorTo(find, { tls: settings.tls, onFound }) });
}

/**
 * With the defaults of ioredis a command whose reply was cut off is sent again behind our back, and commands sent
 * while disconnected wait in a queue past any deadline.
 */
function optionsOf(settings: RedisConnection) {
  const commandTimeout = settings.commandTimeoutMs ?? COMMAND_TIMEOUT_MS;
  return {
    ...accessOptions(settings),
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
  // What Redis itself says begins with a word in capitals.
  const what = /^[A-Z]{3,} /.test(message) ? 'Redis refused' : 'Redis did not answer';
  return new CountersignError('LEDGER_UNAVAILABLE', `${what}: ${message}`, { cause });
}

/** Whether the server does not know a script by its digest. */
export function isUnknownScript(error: unknown): boolean {
  return (
    error instanceof CountersignError &&
    error.cause instanceof Error &&
    error.cause.message.startsWith('NOSCRIPT')
  );
}
