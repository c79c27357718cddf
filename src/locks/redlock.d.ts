/** What we use of redlock 4.2.0, which brings no types. */
declare module 'redlock' {
  import type { EventEmitter } from 'node:events';

  type Reply = (error: Error | null, reply?: unknown) => void;

  /** What it asks of a client: scripts with callbacks. */
  export interface RedlockClient {
    /** @param operands number of keys, keys, arguments */
    evalsha(digest: string, operands: (string | number)[], reply: Reply): unknown;
    /** @param operands source, number of keys, keys, arguments */
    eval(operands: (string | number)[], reply: Reply): unknown;
  }

  export interface RedlockLock {
    /** Rejects when the lock has expired, or a quorum does not agree; then it is given up on all nodes. */
    extend(ttlMs: number): Promise<RedlockLock>;
    /** Rejects when fewer than a quorum still held it. */
    unlock(): Promise<void>;
  }

  class LockError extends Error {}

  export default class Redlock extends EventEmitter {
    static readonly LockError: typeof LockError;
    constructor(
      clients: readonly RedlockClient[],
      options: {
        readonly retryCount: number;
        readonly driftFactor: number;
      },
    );
    /** Rejects with a {@link LockError} when a quorum did not agree. */
    lock(resource: string, ttlMs: number): Promise<RedlockLock>;
  }
}
