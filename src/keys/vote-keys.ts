/** Ed25519 keys: what votes are signed with, and what a co-signer's requests would be signed with. */
import { type KeyObject, verify } from 'node:crypto';
import { assert } from '../core/errors.js';
import type { Signer, VoteKeys } from '../core/keys.js';
import { readPublicKeyFile } from './key-file.js';
import { readSigner, signerOf } from './pem-signer.js';

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
    const { signer, warnings: found } = readSigner(answerKeyFile, ['EdDSA']);
    for (const warning of found) warnings.add(warning);
    const requestKeys = requestKeyFiles.map((file) => readPublicKeyFile(file, ['EdDSA']).key);
    return { cosigner, answerKey: signer, requestKeys };
  });
  return { voteKeys: voteSigners(keys), warnings: [...warnings] };
}

export interface CosignerVoteKeys<Key> {
  readonly cosigner: string;
  readonly answerKey: Key;
  readonly requestKeys?: readonly KeyObject[];
}

/** The ring itself, from keys that the caller vouches for. */
export function voteKeyRing(cosigners: readonly CosignerVoteKeys<KeyObject>[]): VoteKeys {
  return voteSigners(cosigners.map((keys) => ({ ...keys, answerKey: signerOf(keys.answerKey) })));
}

/** The ring of whatever signs. */
function voteSigners(cosigners: readonly CosignerVoteKeys<Signer>[]): VoteKeys {
  const ring = new Map(cosigners.map((keys) => [keys.cosigner, keys]));
  const keysOf = (cosigner: string) => {
    const keys = ring.get(cosigner);
    assert(keys !== undefined, 'a co-signer without a key for votes');
    return keys;
  };
  return {
    sign: async (cosigner, text) => keysOf(cosigner).answerKey.sign(Buffer.from(text)),
    scopeOf: (cosigner) => keysOf(cosigner).answerKey.publicKeySha256.slice(0, 32),
    verify: (cosigner, text, signature) =>
      (keysOf(cosigner).requestKeys ?? []).some((key) => verify(null, Buffer.from(text), key, signature)),
  };
}
