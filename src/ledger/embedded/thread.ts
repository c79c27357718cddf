/** The replica's end of the ledger's thread: calls in, outcomes back, and every call settled when the thread dies. */
import { Worker } from 'node:worker_threads';
import { CountersignError, messageOf } from '../../core/errors.js';
import type { Reply, Request } from './call.js';
import type { StoreSettings } from './store.js';

/** Calls that may wait at once; more would outlive any deadline. */
const MAX_WAITING = 10_000;

/** The source is TypeScript where tests run it uncompiled: Node strips the types, and imports say `.js` for `.ts`. */
const SOURCE_EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const SOURCE_LOADER = `import { registerHooks } from 'node:module';
registerHooks({
  resolve: (name, context, next) =>
    next(context.parentURL?.endsWith('.ts') ? name.replace(/^(\\..*)\\.js$/, '$1.ts') : name, context),
});`;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: CountersignError) => void;
}

export class StoreThread {
  readonly #settings: StoreSettings;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;
  #closed = false;

  constructor(settings: StoreSettings) {
    this.#settings = settings;
  }

  call(request: Request): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(unavailable('the ledger is closed'));
      if (this.#waiting.size >= MAX_WAITING) return reject(unavailable('too many calls wait for the ledger'));
      this.#worker ??= this.#start();
      this.#lastId += 1;
      this.#worker.postMessage({ id: this.#lastId, request });
      this.#worker.ref();
      this.#waiting.set(this.#lastId, { resolve, reject });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(new URL(`./worker${SOURCE_EXTENSION}`, import.meta.url), {
      workerData: this.#settings,
      execArgv:
        SOURCE_EXTENSION === '.ts'
          ? ['--import', `data:text/javascript,${encodeURIComponent(SOURCE_LOADER)}`]
          : [],
    });
    worker.on('message', (reply: Reply) => this.#settle(worker, reply));
    worker.on('error', (cause) => this.#abandon(worker, cause));
    worker.on('exit', () => this.#abandon(worker, undefined));
    return worker;
  }

  #settle(worker: Worker, { id, value, failure }: Reply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    // An idle ledger does not keep its process alive.
    if (this.#waiting.size === 0) worker.unref();
    if (failure === undefined) waiting?.resolve(value);
    else waiting?.reject(new CountersignError(failure.code, failure.message));
  }

  /** What the thread was doing may or may not be on the disk; the next call starts another one. */
  #abandon(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const reason = cause === undefined ? 'it was stopped' : messageOf(cause);
    for (const { reject } of this.#waiting.values())
      reject(unavailable(`the ledger's thread ended: ${reason}`, cause));
    this.#waiting.clear();
  }
}

function unavailable(message: string, cause?: unknown): CountersignError {
  return new CountersignError('LEDGER_UNAVAILABLE', message, { cause });
}
