/**
 * A key set behind a URL, cached. It is fetched in the background when it has grown old; when that fails, the keys that are
 * known stay in use. An id that nobody knows may be a key that is new: the set is fetched again for it, at most once a minute,
 * so that strangers who invent ids cannot make us a burden to the server.
 */
import type { CryptoKey } from 'jose';
import { messageOf } from '../core/errors.js';
import { type KeySet, type KeySource, MAX_KEY_SET_BYTES, readKeySet } from './webhook-keys.js';

export interface RemoteKeysSettings {
  readonly url: string;
  /** Thumbprints of the keys that are accepted; undefined: all. */
  readonly pins?: readonly string[] | undefined;
  readonly observer: RemoteKeysObserver;
  readonly times?: Partial<typeof TIMES>;
}

export interface RemoteKeysObserver {
  loaded(keys: number, left: readonly string[]): void;
  failed(problem: string): void;
}

/** Milliseconds. */
const TIMES = {
  /** For the whole answer. */
  fetch: 5_000,
  /** Between two fetches for ids that nobody knows. */
  unknown: 60_000,
  /** What the server says of how long its answer is good (`max-age`) is taken within these bounds. */
  shortest: 60_000,
  otherwise: 3_600_000,
  longest: 6 * 3_600_000,
  /** After a failure; twice as long after each further one, as far as `slowest`. */
  retry: 15_000,
  slowest: 600_000,
};

export class RemoteKeys implements KeySource {
  readonly #times: typeof TIMES;
  #keys: KeySet | undefined;
  #loadedAtMs: number | undefined;
  /** Monotonic. */
  #loadedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #fetching: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #stopped = new AbortController();

  constructor(private readonly settings: RemoteKeysSettings) {
    this.#times = { ...TIMES, ...settings.times };
  }

  /** Fetches now, and from now on whenever it is time. */
  start(): void {
    void this.#fetch();
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  get loadedAtMs(): number | undefined {
    return this.#loadedAtMs;
  }

  async keyOf(kid: string): Promise<CryptoKey | 'unknown' | 'unavailable'> {
    const known = this.#keys?.get(kid);
    if (known !== undefined) return known;
    if (this.#fetching !== undefined || performance.now() - this.#triedAt >= this.#times.unknown)
      await this.#fetch();
    const found = this.#keys?.get(kid);
    if (found !== undefined) return found;
    // A set as new as this would have it, if it were anybody's; an older one may lack a key that is.
    return performance.now() - this.#loadedAt <= this.#times.unknown ? 'unknown' : 'unavailable';
  }

  /** One at a time. Never rejects. */
  #fetch(): Promise<void> {
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #load(): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#triedAt = performance.now();
    try {
      const { content, maxAgeMs } = await this.#download();
      const { keys, left } = readKeySet(content, this.settings.pins);
      this.#keys = keys;
      this.#loadedAtMs = Date.now();
      this.#loadedAt = performance.now();
      this.#failures = 0;
      this.settings.observer.loaded(keys.size, left);
      const { shortest, otherwise, longest } = this.#times;
      this.#again(Math.min(Math.max(maxAgeMs ?? otherwise, shortest), longest));
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      this.settings.observer.failed(problemOf(error));
      const { retry, slowest } = this.#times;
      this.#again(Math.min(retry * 2 ** Math.min(this.#failures, 16), slowest));
      this.#failures += 1;
    }
  }

  #again(ms: number): void {
    this.#timer = setTimeout(() => void this.#fetch(), ms).unref();
  }

  async #download(): Promise<{ readonly content: Uint8Array; readonly maxAgeMs: number | undefined }> {
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(this.#times.fetch)]);
    const response = await fetch(this.settings.url, {
      signal,
      // Somewhere else is somebody else.
      redirect: 'error',
      headers: { accept: 'application/json' },
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new Error(`the server of the keys answers ${response.status}`);
    }
    const maxAge = /(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])/i.exec(
      response.headers.get('cache-control') ?? '',
    );
    return {
      content: await bounded(response),
      maxAgeMs: maxAge === null ? undefined : Number(maxAge[1]) * 1_000,
    };
  }
}

/** What the platform calls `fetch failed` has a cause that says why. */
function problemOf(error: unknown): string {
  const { cause } = error as { readonly cause?: unknown };
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`;
}

async function bounded(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > MAX_KEY_SET_BYTES) throw new Error(`the key set is larger than ${MAX_KEY_SET_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
