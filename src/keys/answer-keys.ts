/** The keys that answers are signed with: one per co-signer, and others for some of its signers or some of the time. */
import type { KeyObject } from 'node:crypto';
import { assert, CountersignError } from '../core/errors.js';
import { type ForSigners, inOrderFor, stateAt, undecidable } from '../core/key-window.js';
import type { AnswerKeys, Signer } from '../core/keys.js';
import { compactJwt } from './compact-jws.js';
import { type Algorithm, invalid, kindOf } from './key-file.js';
import { readSigner, signerOf } from './pem-signer.js';

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
  /** Keys for particular signers, or for a time. */
  readonly answerKeys?: readonly (ForSigners & { readonly key: Key })[];
}

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. */
export function loadAnswerKeys(cosigners: readonly CosignerAnswerKeys<AnswerKeyFile>[]): {
  readonly answerKeys: AnswerKeys;
  /** Sentences for the operator. */
  readonly warnings: readonly string[];
} {
  const warnings = new Set<string>();
  const read = (file: AnswerKeyFile): Signer => {
    const { signer, warnings: found } = readAnswerSigner(file);
    for (const warning of found) warnings.add(warning);
    return signer;
  };
  const keys = cosigners.map(({ cosigner, answerKey, answerKeys = [] }) => ({
    cosigner,
    answerKey: read(answerKey),
    answerKeys: answerKeys.map(({ key, ...others }) => ({ ...others, key: read(key) })),
  }));
  return { answerKeys: answerSigners(keys), warnings: [...warnings] };
}

function readAnswerSigner({ file, algorithm }: AnswerKeyFile) {
  const { key, ...read } = readSigner(file, [algorithm]);
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits !== ANSWER_RSA_BITS) {
    throw invalid(file, `its key is ${kindOf(key)}, and co-signers accept exactly ${ANSWER_RSA_BITS}`);
  }
  return read;
}

/** The ring itself, from keys that the caller vouches for. */
export function answerKeyRing(
  cosigners: readonly CosignerAnswerKeys<KeyObject>[],
  now?: () => number,
): AnswerKeys {
  const signers = cosigners.map(({ cosigner, answerKey, answerKeys = [] }) => ({
    cosigner,
    answerKey: answerSigner(answerKey),
    answerKeys: answerKeys.map(({ key, ...others }) => ({ ...others, key: answerSigner(key) })),
  }));
  return answerSigners(signers, now);
}

function answerSigner(key: KeyObject): Signer {
  const signer = signerOf(key);
  if (signer.algorithm !== 'EdDSA') return signer;
  throw new CountersignError('KEY_INVALID', `answers cannot be signed with a key that is ${kindOf(key)}`);
}

/**
 * The ring of whatever signs. Which key answers is looked up when the answer is signed, by the replica's clock, so that all
 * replicas go over to the next one at the instant that the document names.
 */
export function answerSigners(
  cosigners: readonly CosignerAnswerKeys<Signer>[],
  now: () => number = Date.now,
): AnswerKeys {
  const rings = new Map(cosigners.map((cosigner) => [cosigner.cosigner, ringOf(cosigner)]));
  return {
    async sign(cosigner, signer, claims) {
      const ring = rings.get(cosigner);
      assert(ring !== undefined, 'a co-signer without an answer key');
      const candidates = (signer === undefined ? undefined : ring.bySigner.get(signer)) ?? ring.general;
      const nowMs = now();
      const chosen = candidates.find((candidate) => stateAt(candidate, nowMs) === 'valid');
      return compactJwt(chosen?.key ?? ring.otherwise, claims);
    },
  };
}

function ringOf({ cosigner, answerKey, answerKeys = [] }: CosignerAnswerKeys<Signer>) {
  const who = undecidable(answerKeys);
  if (who !== undefined) {
    throw new CountersignError(
      'KEY_INVALID',
      `co-signer ${JSON.stringify(cosigner)} has two answer keys for ${who} that begin at the same instant`,
    );
  }
  const listed = new Set(answerKeys.flatMap(({ signers = [] }) => signers));
  return {
    otherwise: answerKey,
    general: inOrderFor(answerKeys, undefined),
    bySigner: new Map([...listed].map((signer) => [signer, inOrderFor(answerKeys, signer)])),
  };
}
