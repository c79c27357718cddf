/** The keys that answers are signed with: one per co-signer, and others for some of its signers. */
import type { KeyObject } from 'node:crypto';
import { CompactSign, type CryptoKey } from 'jose';
import { assert, CountersignError } from '../core/errors.js';
import type { AnswerKeys } from '../core/ports.js';
import { type Algorithm, algorithmOf, invalid, kindOf, readPrivateKeyFile } from './key-file.js';

/** Co-signers accept no other: RSA of exactly 2048 bit, or P-256 (Fireblocks: AWS Nitro 2026.08.19 and later). */
export type AnswerAlgorithm = Exclude<Algorithm, 'EdDSA'>;
const ANSWER_RSA_BITS = 2048;

export interface AnswerKeyFile {
  readonly file: string;
  readonly algorithm: AnswerAlgorithm;
}

export interface CosignerAnswerKeys<Key> {
  /** The co-signer's name. */
  readonly cosigner: string;
  readonly answerKey: Key;
  /** Keys registered for particular signers, where they differ. */
  readonly answerKeys?: readonly { readonly signers: readonly string[]; readonly key: Key }[];
}

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. */
export function loadAnswerKeys(cosigners: readonly CosignerAnswerKeys<AnswerKeyFile>[]): {
  readonly answerKeys: AnswerKeys;
  /** Sentences for the operator. */
  readonly warnings: readonly string[];
} {
  const warnings = new Set<string>();
  const read = ({ file, algorithm }: AnswerKeyFile): KeyObject => {
    const loaded = readPrivateKeyFile(file, [algorithm]);
    const bits = loaded.key.asymmetricKeyDetails?.modulusLength;
    if (bits !== undefined && bits !== ANSWER_RSA_BITS) {
      throw invalid(
        file,
        `its key is ${kindOf(loaded.key)}, and co-signers accept exactly ${ANSWER_RSA_BITS}`,
      );
    }
    for (const warning of loaded.warnings) warnings.add(warning);
    return loaded.key;
  };
  const keys = cosigners.map(({ cosigner, answerKey, answerKeys = [] }) => ({
    cosigner,
    answerKey: read(answerKey),
    answerKeys: answerKeys.map(({ signers, key }) => ({ signers, key: read(key) })),
  }));
  return { answerKeys: answerKeyRing(keys), warnings: [...warnings] };
}

/** The ring itself, from keys that the caller vouches for. */
export function answerKeyRing(cosigners: readonly CosignerAnswerKeys<KeyObject>[]): AnswerKeys {
  const rings = new Map(cosigners.map((cosigner) => [cosigner.cosigner, ringOf(cosigner)]));
  return {
    async sign(cosigner, signer, claims) {
      const ring = rings.get(cosigner);
      assert(ring !== undefined, 'a co-signer without an answer key');
      const { key, algorithm } =
        (signer === undefined ? undefined : ring.bySigner.get(signer)) ?? ring.otherwise;
      return new CompactSign(Buffer.from(JSON.stringify(claims)))
        .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
        .sign(key);
    },
  };
}

interface SigningKey {
  readonly algorithm: AnswerAlgorithm;
  /** Imported once: signing then runs on the thread pool and leaves the event loop free. */
  readonly key: CryptoKey;
}

function ringOf({ cosigner, answerKey, answerKeys = [] }: CosignerAnswerKeys<KeyObject>) {
  const bySigner = new Map<string, SigningKey>();
  for (const { signers, key } of answerKeys) {
    for (const signer of signers) {
      if (bySigner.has(signer)) {
        throw new CountersignError(
          'KEY_INVALID',
          `co-signer ${JSON.stringify(cosigner)} has two answer keys for the signer ${JSON.stringify(signer)}`,
        );
      }
      bySigner.set(signer, imported(key));
    }
  }
  return { otherwise: imported(answerKey), bySigner };
}

function imported(key: KeyObject): SigningKey {
  const algorithm = algorithmOf(key);
  switch (algorithm) {
    case 'RS256':
      return {
        algorithm,
        key: key.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign']),
      };
    case 'ES256':
      return { algorithm, key: key.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']) };
    default:
      throw new CountersignError('KEY_INVALID', `answers cannot be signed with a key that is ${kindOf(key)}`);
  }
}
