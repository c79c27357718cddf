/**
 * Fireblocks' REST API, as far as it is read here. Nothing is ever written: each call is a GET.
 *
 * Source: Fireblocks, "Signing a request" and "API responses and error codes", API reference. Each call carries the API
 * key and a token of its own: RS256 over the path with its query, a nonce, the SHA-256 of the (empty) body, and an end
 * less than 30 s away.
 */
import { createHash, type KeyObject, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { CompactSign } from 'jose';
import { CountersignError } from '../../core/errors.js';
import { isObject, type JsonObject, parseJson } from '../../core/json.js';
import { type Json, JsonNumber } from '../../core/request.js';
import { type HttpAnswer, httpGet } from './http-get.js';
import { readCosigner, readPage, readUser, type VendorCosigner, type VendorUser } from './pairing.js';

export const API_PROBLEMS = [
  'key',
  'permission',
  'missing',
  'refused',
  'limited',
  'unavailable',
  'answer',
] as const;

/**
 * - `key` 401, `permission` 403, `missing` 404, `refused` any other 4xx;
 * - `limited` 429: not before `retryAfterMs`;
 * - `unavailable`: 5xx, no connection, no answer in time; it passes by itself;
 * - `answer`: what came is not what was asked for.
 */
export type ApiProblem = (typeof API_PROBLEMS)[number];

/** Its message names no key, no token, and nothing of what the vendor wrote but its error code. */
export class ApiError extends CountersignError {
  constructor(
    readonly problem: ApiProblem,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
  ) {
    super('API_FAILED', message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }

  readonly retryAfterMs: number | undefined;
}

export interface FireblocksApiSettings {
  /** `https://api.fireblocks.io`: no path, no query. */
  readonly origin: string;
  /** The API user's id. */
  readonly apiKey: string;
  /** RSA. */
  readonly privateKey: KeyObject;
  /** One call, from the connection to the end of its answer. */
  readonly timeoutMs: number;
  readonly requestsPerMinute: number;
  /** An authority besides those that Node trusts, PEM. */
  readonly ca?: string;
  /** Told how each call ended. */
  readonly called?: (result: ApiProblem | 'ok') => void;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

export interface FireblocksApi {
  /** As the vendor has it; undefined: it knows no such transaction. */
  transaction(txId: string, signal: AbortSignal): Promise<JsonObject | undefined>;
  /** Every co-signer of the workspace. Beta at the vendor's; needs an administrator's API user. */
  cosigners(signal: AbortSignal): Promise<readonly VendorCosigner[]>;
  /** Every API user paired with a co-signer. Beta, and the same. */
  users(cosignerId: string, signal: AbortSignal): Promise<readonly VendorUser[]>;
}

const API = '/v1';
/** The vendor demands less than 30. */
const TOKEN_LIFE_S = 25;
const EMPTY_BODY_HASH = createHash('sha256').update('').digest('hex');
const MAX_ANSWER_BYTES = 2 * 1024 * 1024;
/** Pages have ten entries by default; no workspace has a thousand co-signers. */
const MOST_PAGES = 100;
const LONGEST_RETRY_AFTER_MS = 600_000;
const DEFAULT_RETRY_AFTER_MS = 60_000;

/** One call, and what its answer must be. */
interface Question<T> {
  readonly path: string;
  /** Undefined: it is something else. */
  readonly read: (answer: Json) => T | undefined;
  /** For the sentence about an answer that is something else. */
  readonly expected: string;
}

/** Every method rejects with an {@link ApiError}, or as the signal was aborted. */
export function fireblocksApi(settings: FireblocksApiSettings): FireblocksApi {
  const ask = asker(settings);

  async function pages<T>(
    path: string,
    read: (entry: JsonObject) => T | undefined,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    const all: T[] = [];
    const cursors = new Set<string>();
    for (let cursor: string | undefined; ; ) {
      const query = cursor === undefined ? '' : `?pageCursor=${encodeURIComponent(cursor)}`;
      const expected = 'a page of entries';
      const page = await ask(
        { path: `${path}${query}`, read: (answer) => readPage(answer, read), expected },
        signal,
      );
      all.push(...page.entries);
      cursor = page.next;
      if (cursor === undefined) return all;
      if (cursors.has(cursor) || cursors.size >= MOST_PAGES)
        throw new ApiError('answer', `${path}: its pages do not end`);
      cursors.add(cursor);
    }
  }

  function user(cosignerPath: string, id: string, signal: AbortSignal): Promise<VendorUser> {
    const read = (answer: Json) => {
      const found = isObject(answer) ? readUser(answer) : undefined;
      return found?.id === id ? found : undefined;
    };
    const path = `${cosignerPath}/${encodeURIComponent(id)}`;
    return ask({ path, read, expected: 'about this API user' }, signal);
  }

  return {
    async transaction(txId, signal) {
      const path = `${API}/transactions/${encodeURIComponent(txId)}`;
      const read = (answer: Json) => (isObject(answer) ? answer : undefined);
      try {
        return await ask({ path, read, expected: 'a JSON object' }, signal);
      } catch (error) {
        if (error instanceof ApiError && error.problem === 'missing') return undefined;
        throw error;
      }
    },
    cosigners: (signal) => pages(`${API}/cosigners`, readCosigner, signal),
    async users(cosignerId, signal) {
      const path = `${API}/cosigners/${encodeURIComponent(cosignerId)}/api_keys`;
      const users: VendorUser[] = [];
      for (const listed of await pages(path, readUser, signal)) {
        // That a list shows no handler does not prove that there is none: the API user itself is asked for.
        users.push(listed.handler === undefined ? await user(path, listed.id, signal) : listed);
      }
      return users;
    },
  };
}

/** Asks, and tells how each call ended. */
function asker(settings: FireblocksApiSettings) {
  const { called = () => undefined } = settings;
  const call = caller(settings);
  return async <T>({ path, read, expected }: Question<T>, signal: AbortSignal): Promise<T> => {
    try {
      const found = read(await call(path, signal));
      if (found === undefined) throw new ApiError('answer', `${path}: the answer is not ${expected}`);
      called('ok');
      return found;
    } catch (error) {
      signal.throwIfAborted();
      called(error instanceof ApiError ? error.problem : 'unavailable');
      throw error;
    }
  };
}

/** One GET, paced. */
function caller(settings: FireblocksApiSettings): (path: string, signal: AbortSignal) => Promise<Json> {
  const { origin, timeoutMs, ca } = settings;
  const authorization = authorizer(settings);
  const pace = pacer(settings.requestsPerMinute);
  return async (path, signal) => {
    await pace.turn(signal);
    const headers = { ...(await authorization(path)), accept: 'application/json' };
    const answer = await httpGet(`${origin}${path}`, {
      headers,
      signal,
      timeoutMs,
      maxBytes: MAX_ANSWER_BYTES,
      ...(ca === undefined ? {} : { ca }),
    }).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new ApiError('unavailable', `${origin}${path}: ${whyUnreachable(cause)}`, { cause });
    });
    if (answer.status === 200) return jsonOf(answer, path);
    const error = refusalOf(answer, path);
    if (error.retryAfterMs !== undefined) pace.rest(error.retryAfterMs);
    throw error;
  };
}

function authorizer({ apiKey, privateKey, now = Date.now }: FireblocksApiSettings) {
  const key = privateKey.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign']);
  return async (path: string): Promise<Readonly<Record<string, string>>> => {
    const iat = Math.floor(now() / 1_000);
    const claims = {
      uri: path,
      nonce: randomUUID(),
      iat,
      exp: iat + TOKEN_LIFE_S,
      sub: apiKey,
      bodyHash: EMPTY_BODY_HASH,
    };
    const token = await new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
      .sign(key);
    return { 'x-api-key': apiKey, authorization: `Bearer ${token}` };
  };
}

/** Calls keep their distance, however many want to call at once. */
function pacer(requestsPerMinute: number) {
  const distanceMs = 60_000 / requestsPerMinute;
  let nextAt = 0;
  let restsUntil = 0;
  return {
    async turn(signal: AbortSignal): Promise<void> {
      const nowMs = performance.now();
      if (restsUntil > nowMs) {
        const retryAfterMs = Math.ceil(restsUntil - nowMs);
        throw new ApiError('limited', 'the API asked to be left alone for a while, and is', { retryAfterMs });
      }
      const at = Math.max(nowMs, nextAt);
      nextAt = at + distanceMs;
      if (at > nowMs) await pause(at - nowMs, undefined, { signal });
    },
    rest(ms: number): void {
      restsUntil = performance.now() + ms;
    },
  };
}

function jsonOf({ body }: HttpAnswer, path: string): Json {
  const parsed = parseJson(body, MAX_ANSWER_BYTES);
  if (!parsed.ok) throw new ApiError('answer', `${path}: the answer is not JSON: ${parsed.problem}`);
  return parsed.value;
}

function refusalOf({ status, retryAfter, body }: HttpAnswer, path: string): ApiError {
  const code = vendorCodeOf(body);
  const said = `${path}: ${status}${code === undefined ? '' : `, code ${code}`}`;
  if (status === 401)
    return new ApiError('key', `${said}: the API key and the private key are not a pair that it knows`);
  if (status === 403) return new ApiError('permission', `${said}: the API user has not the role for this`);
  if (status === 404) return new ApiError('missing', `${said}: there is no such thing`);
  if (status === 429) {
    const retryAfterMs = retryAfterMsOf(retryAfter);
    return new ApiError('limited', `${said}: too many calls`, { retryAfterMs });
  }
  if (status >= 500) return new ApiError('unavailable', `${said}: a fault at the vendor's`);
  return new ApiError(status >= 400 ? 'refused' : 'answer', `${said}: not what was asked for`);
}

/** The vendor's number for an error; its words are not repeated. */
function vendorCodeOf(body: Uint8Array): string | undefined {
  const parsed = parseJson(body, MAX_ANSWER_BYTES);
  const code = parsed.ok && isObject(parsed.value) ? parsed.value.code : undefined;
  return code instanceof JsonNumber && /^-?\d{1,9}$/.test(code.text) ? code.text : undefined;
}

/** Seconds, or a date (RFC 9110 section 10.2.3). */
function retryAfterMsOf(header: string | undefined): number {
  const ms = /^\d{1,9}$/.test(header ?? '') ? Number(header) * 1_000 : Date.parse(header ?? '') - Date.now();
  if (Number.isNaN(ms)) return DEFAULT_RETRY_AFTER_MS;
  return Math.min(Math.max(ms, 1_000), LONGEST_RETRY_AFTER_MS);
}

/** Codes of Node say enough: ENOTFOUND, ECONNREFUSED, CERT_HAS_EXPIRED. */
function whyUnreachable(cause: unknown): string {
  const { name, message, code } = Object(cause) as Partial<NodeJS.ErrnoException>;
  return name === 'TimeoutError' ? 'no answer in time' : `no answer (${code ?? message})`;
}
