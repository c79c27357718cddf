/**
 * The public keys of the co-signers that share a path. Their tokens carry no key id, so every key is tried; the key
 * that verified last is tried first, which is the only thing remembered: a key is trusted for one message at a time.
 */
import type { KeyObject } from 'node:crypto';
import { type CryptoKey, compactVerify, errors } from 'jose';
import { CountersignError } from '../core/errors.js';
import { type KeyWindow, stateAt } from '../core/key-window.js';
import type { CosignerKeys, Vouched } from '../core/keys.js';
import { algorithmOf, invalid, kindOf, readPublicKeyFile } from './key-file.js';
import { spkiSha256 } from './published-keys.js';

interface CosignerIdentity {
  readonly name: string;
  readonly workspace: string;
  /** The ids of its signers; absent: any. */
  readonly signers?: readonly string[];
}

export interface CosignerKeyFiles extends CosignerIdentity {
  readonly publicKeyFiles: readonly (KeyWindow & { readonly file: string })[];
}

export interface CosignerKeyObjects extends CosignerIdentity {
  readonly publicKeys: readonly (KeyWindow & {
    readonly key: KeyObject;
    /** Where it is from, for messages. */
    readonly file: string;
  })[];
}

/** What a stranger's message costs at most: about 0.1 ms for each key. */
const MAX_KEYS = 64;

const ALGORITHM = 'RS256';

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. */
export function loadCosignerKeys(cosigners: readonly CosignerKeyFiles[]): CosignerKeys {
  return cosignerKeyRing(
    cosigners.map(({ publicKeyFiles, ...identity }) => ({
      ...identity,
      publicKeys: publicKeyFiles.map((entry) => ({
        ...entry,
        key: readPublicKeyFile(entry.file, [ALGORITHM]).key,
      })),
    })),
  );
}

/**
 * The ring itself, from keys that the caller vouches for. Throws KEY_INVALID when a key would be ambiguous.
 *
 * @param now the replica's clock, Unix milliseconds
 */
export function cosignerKeyRing(
  cosigners: readonly CosignerKeyObjects[],
  now: () => number = Date.now,
): CosignerKeys {
  const ring = ringOf(cosigners);
  const known = ring.flatMap(({ id, owners }) =>
    owners.map(({ workspace, name }) => ({ workspace, cosigner: name, key: id })),
  );
  return {
    known,
    async verify(compactJws) {
      const nowMs = now();
      // Copies, because other messages reorder the ring while this one waits.
      for (const entry of ring.filter((each) => stateAt(each.window, nowMs) === 'valid')) {
        const payload = await verifyWith(entry.key, compactJws);
        if (payload === undefined) continue;
        if (ring[0] !== entry) {
          ring.splice(ring.indexOf(entry), 1);
          ring.unshift(entry);
        }
        return { kind: 'verified', cosigners: entry.owners.map(({ name }) => name), key: entry.id, payload };
      }
      // Nothing is accepted any more: only what the log will say of it is still open.
      for (const entry of ring.filter((each) => stateAt(each.window, nowMs) !== 'valid'))
        if ((await verifyWith(entry.key, compactJws)) !== undefined) return outsideWindow(entry, nowMs);
      return undefined;
    },
  };
}

function outsideWindow({ file, window }: RingEntry, nowMs: number): Vouched {
  const isOver = stateAt(window, nowMs) === 'expired';
  const edge = new Date((isOver ? window.notAfter : window.notBefore) ?? nowMs).toISOString();
  const when = isOver ? `only until ${edge} (notAfter)` : `only from ${edge} on (notBefore)`;
  return {
    kind: 'outside-window',
    reason: isOver ? 'KEY_EXPIRED' : 'KEY_NOT_YET',
    problem: `no key that is valid now verifies the signature; ${file} does, and is valid ${when}`,
  };
}

interface RingEntry {
  readonly id: string;
  readonly key: CryptoKey;
  /** Where it is from, for messages. */
  readonly file: string;
  readonly window: KeyWindow;
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
    for (const { key, file, ...window } of cosigner.publicKeys) {
      const id = spkiSha256(key);
      const entry = ring.get(id);
      if (entry === undefined)
        ring.set(id, { id, key: imported(key, file), file, window, owners: [cosigner] });
      else entry.owners.push(withoutAmbiguity({ cosigner, file, window }, entry));
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
  { cosigner, file, window }: Pick<RingEntry, 'file' | 'window'> & { readonly cosigner: CosignerIdentity },
  { owners, window: known }: RingEntry,
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
    // Or what one workspace's signer asks would be taken for the other's while only that one's window is open.
    if (window.notBefore !== known.notBefore || window.notAfter !== known.notAfter)
      throw invalid(
        file,
        `${who}, and it is one machine's key: give it the same notBefore and notAfter in both`,
      );
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
