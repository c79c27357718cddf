/** Whose keys sign the inputs, and which output scripts are therefore own change. */
import { HDNodeVoidWallet, HDNodeWallet } from 'ethers';
import type { AssetSettings } from '../../core/policy/verification.js';
import type { DerivationPath } from '../raw-entry.js';
import { type Refusal, refuse } from '../refusal.js';
import { remembered } from '../remembered.js';
import { keyHashIn, keyHashOf, p2pkh, p2wpkh } from './script.js';

export interface SignedInput {
  readonly script: string;
  readonly path: DerivationPath;
}

export interface Ownership {
  /** Key hash of each entry, in their order. */
  readonly keyHashes: readonly string[];
  /** Output scripts that return value to this workspace. */
  readonly changeScripts: readonly string[];
}

/**
 * Without a set of own keys every input must be of one single key: otherwise the key of a foreign input would make
 * an output to that key look like own change.
 */
export function proveOwnership(inputs: readonly SignedInput[], settings: AssetSettings): Ownership | Refusal {
  const keyHashes: string[] = [];
  for (const { script, path } of inputs) {
    const keyHash = keyHashIn(script);
    if (keyHash === undefined)
      return refuse(
        'SCRIPT_UNSUPPORTED',
        'an input is not spent by one key hash (P2PKH, P2WPKH, P2SH-P2WPKH)',
      );
    if (!isOwned(keyHash, path, settings))
      return refuse('INPUT_NOT_OWNED', `key hash ${keyHash} is not of this workspace`);
    keyHashes.push(keyHash);
  }
  const keys = [...new Set(keyHashes)];
  if (!hasSet(settings) && keys.length > 1)
    return refuse(
      'INPUT_NOT_OWNED',
      'inputs of several keys need a set of own keys (ownedXpubs or ownedPkh)',
    );
  return {
    keyHashes,
    changeScripts: [
      ...new Set([...keys.flatMap((key) => [p2wpkh(key), p2pkh(key)]), ...settings.changeScripts]),
    ],
  };
}

function hasSet({ ownedPkh, ownedXpubs }: AssetSettings): boolean {
  return ownedPkh.length > 0 || ownedXpubs.length > 0;
}

function isOwned(keyHash: string, path: DerivationPath, settings: AssetSettings): boolean {
  if (!hasSet(settings) || settings.ownedPkh.includes(keyHash)) return true;
  return settings.ownedXpubs.some((xpub) => derivedKeyHash(xpub, path) === keyHash);
}

/**
 * BIP-32 without hardening, as the vendor derives: 44/coin/vault/change/index from the root. A key that is already
 * some levels deep is taken for the first levels of the path. Undefined: the text is no extended public key.
 */
function derivedKeyHash(xpub: string, path: DerivationPath): string | undefined {
  return keyHashAt(`${xpub} ${path.join('/')}`);
}

const keyHashAt = remembered(10_000, (place) => {
  const [xpub = '', path = ''] = place.split(' ');
  return derive(xpub, path.split('/'));
});

function derive(xpub: string, path: readonly string[]): string | undefined {
  try {
    const root = HDNodeWallet.fromExtendedKey(xpub);
    if (!(root instanceof HDNodeVoidWallet) || root.depth > path.length) return undefined;
    const rest = path.slice(root.depth);
    const node = rest.length === 0 ? root : root.derivePath(rest.join('/'));
    return keyHashOf(Buffer.from(node.publicKey.slice(2), 'hex'));
  } catch {
    return undefined;
  }
}
