/** Keys whose private halves anybody can read in vendors' documentation: whoever trusts one trusts everybody. */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

const PUBLISHED: ReadonlyMap<string, string> = new Map([
  ['5862232efd2378889f2403fd93946c47275b203531752d690db4a9cae9082895', 'the Fireblocks documentation'],
  ['58c1b7059404890a3d41726e0c2b1bf8b93b9ed5c04c1c96e66ac256df2fbfce', 'the io.finnet samples'],
  ['890eed7e3777e94bb3463df82ade9668c7eaf7affdc81eb2c3d1b82977027884', 'the Cobo callback server template'],
  ['3dd07fe029c879103ce93b64f58e5614a9d0eeb3a1200ca3ea616be841f67246', 'the Cobo callback server template'],
]);

/** SHA-256 of the public half as DER SubjectPublicKeyInfo, hex: one name for both halves of a key pair. */
export function spkiSha256(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** Where the private half of this key is published; undefined for keys that are not known to be. */
export function publishedIn(spki: string): string | undefined {
  return PUBLISHED.get(spki);
}
