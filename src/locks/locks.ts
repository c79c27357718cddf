/**
 * Who of many replicas does what needs doing once: an expensive evaluation, a recovery, the janitor, an export. The
 * Redlock algorithm on independent servers.
 *
 * NEVER FOR CORRECTNESS. A process that is suspended, a clock that jumps or a server that forgets lets two hold one lock
 * at the same time. Whatever runs under one must be harmless when it runs twice: that a decision is made once, that a
 * limit holds and that a ledger is active is ensured by the ledger's atomic commit alone.
 */
import Redlock, { type RedlockClient, type RedlockLock } from 'redlock';
import { assert, CountersignError } from '../core/errors.js';
import type { SingleFlight } from '../core/single-flight.js';
import { connectNode, type LockNode, type LockNodeSettings } from './lock-node.js';

export interface Locks {
  /**
   * Runs the work if nobody else holds the name, and keeps the name as long as it runs.
   *
   * Rejects as the work does; with LOCKS_UNAVAILABLE, within a second, when most of the nodes do not answer; and with
   * LOCK_LOST when the lock was lost meanwhile. The work's signal is aborted then, and nobody waits for the work.
   */
  hold<T>(
    name: string,
    options: { /** Aborts the work. */ readonly signal?: AbortSignal },
    work: Work<T>,
  ): Promise<Held<T>>;
  close(): void;
}

/** Ends soon when its signal is aborted. */
export type Work<T> = (signal: AbortSignal) => Promise<T>;

export type Held<T> =
  | { readonly kind: 'done'; readonly value: T }
  /** Somebody else holds the name: another replica, or another call here. */
  | { readonly kind: 'busy' };

export interface LocksSettings {
  /** An odd number, none a replica of another; without any, names are held within this process only. */
  readonly nodes: readonly LockNodeSettings[];
  /** After this a lock whose holder died is free. */
  readonly ttlMs?: number;
  /** A node that has not answered after this is done without. */
  readonly answerMs?: number;
}

/** Long enough for several attempts to extend; short enough that nobody waits long for the work of the dead. */
const TTL_MS = 3000;
/** Shorter, and one slow reply would be the end of a lock. */
const SHORTEST_TTL_MS = 500;
const EXTENSIONS_PER_TTL = 3;
/** Clocks of servers run apart by at most this share; redlock takes 2 ms off besides. */
const DRIFT = 0.01;
const ROUNDING_MS = 2;
const NAME = /^[A-Za-z0-9._:-]{1,200}$/;

export function createLocks({ nodes: settings, ttlMs = TTL_MS, answerMs }: LocksSettings): Locks {
  assert(settings.length % 2 === 1 || settings.length === 0, 'locks need an odd number of nodes');
  assert(ttlMs >= SHORTEST_TTL_MS, `a lock is held for at least ${SHORTEST_TTL_MS} ms`);
  const nodes = settings.map((node) => connectNode(node, answerMs));
  const heldHere = new Set<string>();

  async function holdOnNodes<T>(name: string, cancel: AbortSignal, work: Work<T>): Promise<Held<T>> {
    const lock = await acquire(nodes, name, ttlMs);
    if (lock === undefined) return { kind: 'busy' };
    try {
      return { kind: 'done', value: await underLock({ lock, name, ttlMs, cancel }, work) };
    } finally {
      // What cannot be given back expires.
      await lock.held.unlock().catch(() => undefined);
    }
  }

  return {
    async hold(name, { signal = new AbortController().signal }, work) {
      assert(NAME.test(name), `${name} is no name of a lock`);
      signal.throwIfAborted();
      if (heldHere.has(name)) return { kind: 'busy' };
      heldHere.add(name);
      try {
        if (nodes.length === 0) return { kind: 'done', value: await work(signal) };
        return await holdOnNodes(name, signal, work);
      } finally {
        heldHere.delete(name);
      }
    },
    close() {
      for (const { redis } of nodes) redis.disconnect();
    },
  };
}

/**
 * For work that is rather done twice than not at all, such as a recovery: without the nodes it is done all the same, and
 * with a lost lock it is for the work to heed its signal, or not.
 *
 * @param troubled told of LOCKS_UNAVAILABLE and LOCK_LOST
 */
export function singleFlight(locks: Locks, troubled: (error: CountersignError) => void): SingleFlight {
  return {
    async run(name, work) {
      let running: ReturnType<typeof work> | undefined;
      try {
        const held = await locks.hold(name, {}, (signal) => {
          running = work(signal);
          return running;
        });
        return held.kind === 'busy' ? 'busy' : held.value;
      } catch (error) {
        const code = error instanceof CountersignError ? error.code : undefined;
        if (code !== 'LOCKS_UNAVAILABLE' && code !== 'LOCK_LOST') throw error;
        troubled(error as CountersignError);
        return running ?? work(new AbortController().signal);
      }
    },
  };
}

interface Lock {
  readonly held: RedlockLock;
  /** On the clock of `performance.now()`, which no operator sets. */
  readonly untilMs: number;
}

/** Undefined: somebody else holds it. */
async function acquire(nodes: readonly LockNode[], name: string, ttlMs: number): Promise<Lock | undefined> {
  await Promise.all(nodes.map(({ tried }) => tried));
  const silent = new Map<LockNode, string>();
  const redlock = new Redlock(
    nodes.map((node) => listening(node, (fault) => silent.set(node, fault))),
    // Whether to try again is for the caller to say.
    { retryCount: 0, driftFactor: DRIFT },
  );
  const untilMs = validUntil(ttlMs);
  try {
    return { held: await redlock.lock(`countersign:lock:${name}`, ttlMs), untilMs };
  } catch (error) {
    if (!(error instanceof Redlock.LockError)) throw error;
    if (2 * (nodes.length - silent.size) > nodes.length) return undefined;
    const faults = nodes.flatMap((node) => {
      const fault = silent.get(node);
      return fault === undefined ? [] : [`${node.url}: ${fault}`];
    });
    throw new CountersignError(
      'LOCKS_UNAVAILABLE',
      `most of the ${nodes.length} lock nodes do not answer (${faults.join('; ')})`,
    );
  }
}

/** A client as redlock wants it, that tells of a node which did not answer. Its own event names no node. */
function listening({ redis, fault }: LockNode, failed: (fault: string) => void): RedlockClient {
  const noting =
    (reply: (error: Error | null, found?: unknown) => void) =>
    (error: Error | null | undefined, found?: unknown): void => {
      const unknown = error?.message.startsWith('NOSCRIPT') === true;
      if (error && !unknown) failed(redis.status === 'ready' ? error.message : fault());
      reply(error ?? null, found);
    };
  return {
    evalsha: (digest, operands, reply) => redis.call('EVALSHA', [digest, ...operands], noting(reply)),
    eval: (operands, reply) => redis.call('EVAL', operands, noting(reply)),
  };
}

/** Counted from before the first node was asked. */
function validUntil(ttlMs: number): number {
  return performance.now() + ttlMs - Math.round(DRIFT * ttlMs) - ROUNDING_MS;
}

interface Holding {
  readonly lock: Lock;
  readonly name: string;
  readonly ttlMs: number;
  readonly cancel: AbortSignal;
}

async function underLock<T>({ lock, name, ttlMs, cancel }: Holding, work: Work<T>): Promise<T> {
  const lost = new AbortController();
  let { untilMs } = lock;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  const lose = (cause?: unknown) => {
    const error = new CountersignError('LOCK_LOST', `the lock ${name} was lost while its work ran`, {
      cause,
    });
    if (!ended) lost.abort(error);
  };
  const extend = async () => {
    // A process that was suspended for longer than the lock lives must not revive it.
    if (performance.now() >= untilMs) return lose();
    const extendedUntilMs = validUntil(ttlMs);
    try {
      await lock.held.extend(ttlMs);
    } catch (error) {
      return lose(error);
    }
    untilMs = extendedUntilMs;
    schedule();
  };
  const schedule = () => {
    if (!ended) timer = setTimeout(() => void extend(), ttlMs / EXTENSIONS_PER_TTL);
  };
  const loss = new Promise<never>((_, reject) => {
    lost.signal.addEventListener('abort', () => reject(lost.signal.reason), { once: true });
  });
  schedule();
  try {
    const value = await Promise.race([work(AbortSignal.any([cancel, lost.signal])), loss]);
    // Nobody has noticed, because this process was suspended.
    if (performance.now() >= untilMs) lose();
    lost.signal.throwIfAborted();
    return value;
  } finally {
    ended = true;
    clearTimeout(timer);
  }
}
