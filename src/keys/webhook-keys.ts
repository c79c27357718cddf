/**
 * The keys that a vendor signs its notifications with. They come as a JSON Web Key Set (RFC 7517) from a URL or a file, and
 * rotate; the old kind of signature has one static key, in a PEM file.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { type CryptoKey, compactVerify, errors } from 'jose';
import { CountersignError } from '../core/errors.js';
import { isList, isObject, type JsonObject, parseJson } from '../core/json.js';
import type { NotificationKeys } from '../core/messages.js';
import type { Json } from '../core/request.js';
import { codeOf, readPublicKeyFile } from './key-file.js';
import { publishedIn, spkiSha256 } from './published-keys.js';

const ALGORITHM = 'RS512';
const MIN_RSA_BITS = 2048;
/** Larger ones only cost time. */
const MAX_RSA_BITS = 8192;
const MIN_RSA_EXPONENT = 65_537n;
const MAX_RSA_EXPONENT = 2n ** 32n;
const MAX_KEYS = 32;
const MAX_KID_LENGTH = 256;
export const MAX_KEY_SET_BYTES = 64 * 1024;

/** By key id. */
export type KeySet = ReadonlyMap<string, CryptoKey>;

/** Where keys are had from. */
export interface KeySource {
  /** `unknown`: there is no such key. `unavailable`: nobody can say, since the set could not be had or is not new enough. */
  keyOf(kid: string): Promise<CryptoKey | 'unknown' | 'unavailable'>;
  /** Unix milliseconds; undefined: never. */
  readonly loadedAtMs: number | undefined;
  stop(): void;
}

export interface KeySetReading {
  readonly keys: KeySet;
  /** Why other entries of the set are not used; sentences. */
  readonly left: readonly string[];
}

/**
 * The usable keys of a set: RSA of 2048 bit or more, for signatures, with an id. Throws KEY_INVALID when there is none.
 *
 * @param pins thumbprints (RFC 7638, SHA-256, base64url) of the keys that are accepted; undefined: all
 */
export function readKeySet(content: Uint8Array, pins?: readonly string[]): KeySetReading {
  const parsed = parseJson(content, MAX_KEY_SET_BYTES);
  if (!parsed.ok) throw unusable(`it is not JSON: ${parsed.problem}`);
  const entries = isObject(parsed.value) ? parsed.value.keys : undefined;
  if (!isList(entries)) throw unusable('it has no list of keys');
  if (entries.length > MAX_KEYS) throw unusable(`it has more than ${MAX_KEYS} keys`);
  const keys = new Map<string, CryptoKey>();
  const left: string[] = [];
  for (const [index, entry] of entries.entries()) {
    const read = readKey(entry, pins);
    if (typeof read === 'string') left.push(`key ${index + 1}: ${read}`);
    else if (keys.has(read.kid)) throw unusable(`two keys have the id of key ${index + 1}`);
    else keys.set(read.kid, read.key);
  }
  if (keys.size === 0) throw unusable(left.length === 0 ? 'it has no keys' : left.join('; '));
  return { keys, left };
}

/** The key, or why it is not used. */
function readKey(
  entry: Json,
  pins: readonly string[] | undefined,
): string | { readonly kid: string; readonly key: CryptoKey } {
  if (!isObject(entry)) return 'it is no object';
  const { kid, kty, use = 'sig', alg = ALGORITHM } = entry;
  if (kty !== 'RSA') return 'it is not RSA';
  if (use !== 'sig' || alg !== ALGORITHM) return `it is not for signatures with ${ALGORITHM}`;
  if (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID_LENGTH) return 'it has no id';
  const key = publicKeyOf(entry);
  if (key === undefined) return 'it is damaged';
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS)
    return `it is RSA of ${modulusLength} bit, and ${MIN_RSA_BITS} to ${MAX_RSA_BITS} are expected`;
  if (publicExponent < MIN_RSA_EXPONENT || publicExponent > MAX_RSA_EXPONENT)
    return 'its public exponent is not 65537';
  const published = publishedIn(spkiSha256(key));
  if (published !== undefined) return `its private half is published in ${published}`;
  if (pins !== undefined && !pins.includes(thumbprintOf(key))) return 'it is not one of the pinned keys';
  const imported = key.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' }, false, ['verify']);
  return { kid, key: imported };
}

function publicKeyOf({ n, e }: JsonObject): KeyObject | undefined {
  if (typeof n !== 'string' || typeof e !== 'string') return undefined;
  try {
    return createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/** RFC 7638: SHA-256 over the members that make the key, in the order of their names. */
export function thumbprintOf(key: KeyObject): string {
  const { e, kty, n } = key.export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ e, kty, n })).digest('base64url');
}

function unusable(problem: string): CountersignError {
  return new CountersignError('KEY_INVALID', `the key set cannot be used: ${problem}`);
}

/** A set in a file, for networks without a way out. */
export class KeySetFile implements KeySource {
  #keys: KeySet;
  #loadedAtMs: number;

  /** Throws FILE_UNREADABLE or KEY_INVALID. */
  constructor(
    readonly file: string,
    private readonly pins?: readonly string[],
  ) {
    this.#keys = this.#read();
    this.#loadedAtMs = Date.now();
  }

  get loadedAtMs(): number {
    return this.#loadedAtMs;
  }

  /** Throws, and then keeps the keys it had. */
  reload(): void {
    this.#keys = this.#read();
    this.#loadedAtMs = Date.now();
  }

  async keyOf(kid: string): Promise<CryptoKey | 'unknown'> {
    return this.#keys.get(kid) ?? 'unknown';
  }

  stop(): void {}

  #read(): KeySet {
    try {
      return readKeySet(readFileSync(this.file), this.pins).keys;
    } catch (cause) {
      if (cause instanceof CountersignError)
        throw new CountersignError(cause.code, `key set ${this.file}: ${cause.message}`, { cause });
      throw new CountersignError(
        'FILE_UNREADABLE',
        `key set ${this.file}: it cannot be read (${codeOf(cause) ?? 'unknown error'})`,
        { cause },
      );
    }
  }
}

const verifyAsync = promisify(verify);

/**
 * What verifies notifications. Throws FILE_UNREADABLE or KEY_INVALID.
 *
 * @param legacyKeyFile SPKI PEM; undefined: the old kind of signature is not accepted
 */
export function notificationKeys(source: KeySource, legacyKeyFile?: string): NotificationKeys {
  const legacy = legacyKeyFile === undefined ? undefined : readPublicKeyFile(legacyKeyFile, ['RS256']).key;
  return {
    async verify(compactJws, kid) {
      const key = await source.keyOf(kid);
      if (key === 'unknown') return 'unknown-key';
      if (key === 'unavailable') return 'unavailable';
      return (await isSignedBy(key, compactJws)) ? 'valid' : 'invalid';
    },
    ...(legacy && {
      // PKCS#1 v1.5 over the body as it came. With a callback it runs on the thread pool.
      verifyLegacy: (body: Uint8Array, signature: Uint8Array) =>
        verifyAsync('sha512', body, legacy, signature),
    }),
  };
}

async function isSignedBy(key: CryptoKey, compactJws: string): Promise<boolean> {
  try {
    await compactVerify(compactJws, key, { algorithms: [ALGORITHM] });
    return true;
  } catch (error) {
    // Whatever the library has against the message, this key does not vouch for it; other faults are ours.
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}
