/** Private keys in PEM files, as signers. */
import type { KeyObject } from 'node:crypto';
import { CountersignError } from '../core/errors.js';
import type { Signer } from '../core/keys.js';
import { type Algorithm, algorithmOf, kindOf, readPrivateKeyFile } from './key-file.js';
import { spkiSha256 } from './published-keys.js';

/** Names of the Web Cryptography API: what a key is imported for, and what it signs with. */
const ALGORITHMS = {
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  ES256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  EdDSA: { name: 'Ed25519' },
} as const;

export interface FileSigner {
  readonly signer: Signer;
  readonly key: KeyObject;
  /** Sentences for the operator. */
  readonly warnings: readonly string[];
}

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. */
export function readSigner(file: string, allowed: readonly Algorithm[]): FileSigner {
  const { key, warnings } = readPrivateKeyFile(file, allowed);
  return { signer: signerOf(key), key, warnings };
}

/** A key that the caller vouches for. Throws KEY_INVALID when it is of a kind that signs nothing here. */
export function signerOf(key: KeyObject): Signer {
  const algorithm = algorithmOf(key);
  if (algorithm === undefined)
    throw new CountersignError('KEY_INVALID', `nothing is signed with a key that is ${kindOf(key)}`);
  const named = ALGORITHMS[algorithm];
  // Imported once: signing then runs on the thread pool and leaves the event loop free.
  const imported = key.toCryptoKey(named, false, ['sign']);
  return {
    algorithm,
    publicKeySha256: spkiSha256(key),
    sign: async (bytes) => new Uint8Array(await crypto.subtle.sign(named, imported, Buffer.from(bytes))),
  };
}
