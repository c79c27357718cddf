/** One of the independent servers that locks stand on, with settings under which it is given up on at once. */
import { Redis, type RedisOptions } from 'ioredis';
import { messageOf } from '../core/errors.js';

export interface LockNodeSettings {
  /** `redis://host:port` or `rediss://host:port`. */
  readonly url: string;
  readonly username?: string;
  /** Asked for each connection, so that a password may change while we run. */
  readonly password?: () => string;
  /** PEM text; an empty object is TLS with the system's authorities. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

export interface LockNode {
  readonly url: string;
  readonly redis: Redis;
  /** When the first attempt to connect has ended, well or not. */
  readonly tried: Promise<void>;
  /** Why there is no connection. */
  fault(): string;
}

const ANSWER_MS = 150;
const LONGEST_PAUSE_MS = 1000;

/** With the defaults of ioredis a lock would hang for over twenty seconds when most of the nodes are gone. */
const FAST_TO_FAIL = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  // It would need INFO; a server that still loads its data refuses scripts by itself.
  enableReadyCheck: false,
  disableClientInfo: true,
  connectTimeout: 300,
  disconnectTimeout: 100,
  socketTimeout: 1000,
  retryStrategy: (attempt: number) => Math.min(50 * attempt, LONGEST_PAUSE_MS),
} as const satisfies RedisOptions;

/** @param answerMs one that has not answered a command after this is done without */
export function connectNode(
  { url, username, password, tls }: LockNodeSettings,
  answerMs = ANSWER_MS,
): LockNode {
  const secret = password?.();
  const redis = new Redis(url, {
    ...FAST_TO_FAIL,
    commandTimeout: answerMs,
    ...(username === undefined ? {} : { username }),
    ...(secret === undefined ? {} : { password: secret }),
    ...(tls === undefined ? {} : { tls }),
  });
  let fault = 'not connected yet';
  redis.on('error', (error) => {
    fault = messageOf(error);
  });
  redis.on('close', () => {
    try {
      redis.options.password = password?.() ?? redis.options.password;
    } catch {
      // The one that was known may still be right; if it is not, the server says so.
    }
  });
  const tried = new Promise<void>((resolve) => {
    for (const event of ['ready', 'error', 'close']) redis.once(event, resolve);
  });
  return { url, redis, tried, fault: () => fault };
}
