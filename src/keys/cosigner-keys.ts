/**
 * The public keys of the co-signers that share a path. Their tokens carry no key id, so every key is tried; the key
 * that verified last is tried first, which is the only thing remembered: a key is trusted for one message at a time.
 */
import type { KeyObject } from 'node:crypto';
import { type CryptoKey, compactVerify, errors } from 'jose';
import { CountersignError } from '../core/errors.js';
import type { CosignerKeys } from '../core/ports.js';
import { algorithmOf, invalid, kindOf, readPublicKeyFile } from './key-file.js';
import { spkiSha256 } from './published-keys.js';

interface CosignerIdentity {
  readonly name: string;
  readonly workspace: string;
  /** The ids of its signers; absent: any. */
  readonly signers?: readonly string[];
}

export interface CosignerKeyFiles extends CosignerIdentity {
  readonly publicKeyFiles: readonly string[];
}

export interface CosignerKeyObjects extends CosignerIdentity {
  readonly publicKeys: readonly {
    readonly key: KeyObject;
    /** Where it is from, for messages. */
    readonly file: string;
  }[];
}

/** What a stranger's message costs at most: about 0.1 ms for each key. */
const MAX_KEYS = 64;

const ALGORITHM = 'RS256';

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. */
export function loadCosignerKeys(cosigners: readonly CosignerKeyFiles[]): CosignerKeys {
  return cosignerKeyRing(
    cosigners.map(({ publicKeyFiles, ...identity }) => ({
      ...identity,
      publicKeys: publicKeyFiles.map((file) => readPublicKeyFile(file, [ALGORITHM])),
    })),
  );
}

/** The ring itself, from keys that the caller vouches for. Throws KEY_INVALID when a key would be ambiguous. */
export function cosignerKeyRing(cosigners: readonly CosignerKeyObjects[]): CosignerKeys {
  const ring = ringOf(cosigners);
  return {
    async verify(compactJws) {
      // A copy, because other messages reorder the ring while this one waits.
      for (const entry of [...ring]) {
        const payload = await verifyWith(entry.key, compactJws);
        if (payload === undefined) continue;
        if (ring[0] !== entry) {
          ring.splice(ring.indexOf(entry), 1);
          ring.unshift(entry);
        }
        return { cosigners: entry.owners.map(({ name }) => name), payload };
      }
      return undefined;
    },
  };
}

interface RingEntry {
  readonly key: CryptoKey;
  readonly owners: CosignerIdentity[];
}

function ringOf(cosigners: readonly CosignerKeyObjects[]): RingEntry[] {
  const ring = new Map<string, RingEntry>();
  for (const cosigner of cosigners) {
    if (cosigner.publicKeys.length === 0) {
      throw new CountersignError(
        'KEY_INVALID',
        `co-signer ${JSON.stringify(cosigner.name)} has no public key`,
      );
    }
    for (const { key, file } of cosigner.publicKeys) {
      const id = spkiSha256(key);
      const entry = ring.get(id);
      if (entry === undefined) ring.set(id, { key: imported(key, file), owners: [cosigner] });
      else entry.owners.push(withoutAmbiguity(cosigner, entry.owners, file));
    }
  }
  if (ring.size > MAX_KEYS) {
    throw new CountersignError(
      'KEY_INVALID',
      `${ring.size} co-signer keys share a path; at most ${MAX_KEYS} may`,
    );
  }
  return [...ring.values()];
}

/** Imported once: verification then runs on the thread pool. */
function imported(key: KeyObject, file: string): CryptoKey {
  if (algorithmOf(key) !== ALGORITHM) {
    throw invalid(file, `its key is ${kindOf(key)}, and co-signers sign with RSA`);
  }
  return key.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['verify']);
}

/** One machine may serve several workspaces, if the signer always tells which one asks. */
function withoutAmbiguity(
  cosigner: CosignerIdentity,
  owners: readonly CosignerIdentity[],
  file: string,
): CosignerIdentity {
  for (const owner of owners) {
    if (owner.name === cosigner.name && owner.workspace === cosigner.workspace) {
      throw invalid(file, `it is listed twice for co-signer ${JSON.stringify(cosigner.name)}`);
    }
    const who = `co-signers ${JSON.stringify(owner.name)} and ${JSON.stringify(cosigner.name)} share it`;
    if (owner.workspace === cosigner.workspace) {
      throw invalid(file, `${who}; each co-signer has a key of its own`);
    }
    const disjoint =
      owner.signers !== undefined && cosigner.signers?.every((signer) => !owner.signers?.includes(signer));
    if (!disjoint) {
      throw invalid(
        file,
        `${who} on one path, and nothing tells their workspaces apart; ` +
          'give them different paths, or list the signers of both without a common one',
      );
    }
  }
  return cosigner;
}

async function verifyWith(key: CryptoKey, compactJws: string): Promise<Uint8Array | undefined> {
  try {
    return (await compactVerify(compactJws, key, { algorithms: [ALGORITHM] })).payload;
  } catch (error) {
    // Whatever the library has against the message, this key does not vouch for it; other faults are ours.
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}
