/** Ed25519 keys: what votes are signed with, and what a co-signer's requests would be signed with. */
import { type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { assert } from '../core/errors.js';
import type { VoteKeys } from '../core/ports.js';
import { readPrivateKeyFile, readPublicKeyFile } from './key-file.js';
import { spkiSha256 } from './published-keys.js';

const signAsync = promisify(sign);

export interface VoteKeyFiles {
  readonly cosigner: string;
  readonly answerKeyFile: string;
  /** Absent: its requests are not signed. */
  readonly requestKeyFiles?: readonly string[];
}

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. */
export function loadVoteKeys(files: readonly VoteKeyFiles[]): {
  readonly voteKeys: VoteKeys;
  /** Sentences for the operator. */
  readonly warnings: readonly string[];
} {
  const warnings = new Set<string>();
  const keys = files.map(({ cosigner, answerKeyFile, requestKeyFiles = [] }) => {
    const answerKey = readPrivateKeyFile(answerKeyFile, ['EdDSA']);
    for (const warning of answerKey.warnings) warnings.add(warning);
    const requestKeys = requestKeyFiles.map((file) => readPublicKeyFile(file, ['EdDSA']).key);
    return { cosigner, answerKey: answerKey.key, requestKeys };
  });
  return { voteKeys: voteKeyRing(keys), warnings: [...warnings] };
}

export interface CosignerVoteKeys {
  readonly cosigner: string;
  readonly answerKey: KeyObject;
  readonly requestKeys?: readonly KeyObject[];
}

/** The ring itself, from keys that the caller vouches for. */
export function voteKeyRing(cosigners: readonly CosignerVoteKeys[]): VoteKeys {
  const ring = new Map(
    cosigners.map((keys) => [keys.cosigner, { ...keys, scope: spkiSha256(keys.answerKey).slice(0, 32) }]),
  );
  const keysOf = (cosigner: string) => {
    const keys = ring.get(cosigner);
    assert(keys !== undefined, 'a co-signer without a key for votes');
    return keys;
  };
  return {
    // With a callback it runs on the thread pool and leaves the event loop free.
    sign: async (cosigner, text) => signAsync(null, Buffer.from(text), keysOf(cosigner).answerKey),
    scopeOf: (cosigner) => keysOf(cosigner).scope,
    verify: (cosigner, text, signature) =>
      (keysOf(cosigner).requestKeys ?? []).some((key) => verify(null, Buffer.from(text), key, signature)),
  };
}
