/** EVM addresses. Everywhere inside, an address is lower-case hex with `0x`. */
import { getAddress } from 'ethers';
import type { Asset } from '../../core/ports.js';
import { type Refusal, refuse } from '../refusal.js';
import { remembered } from '../remembered.js';

/** The grammar comes before the library: `getAddress` also takes ICAP and addresses without `0x`. */
const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const MIXED_CASE = /[a-f].*[A-F]|[A-F].*[a-f]/;

/** RSK writes checksums by EIP-1191, which differ from EIP-55: its mixed case proves nothing. */
const OTHER_CHECKSUM: readonly string[] = ['eip155:30', 'eip155:31'];

/** EIP-55, of lower case. One request asks for that of one address three times, and the next one often for the same. */
const withChecksum = remembered(10_000, getAddress);

export function isAddress(text: string): boolean {
  return ADDRESS.test(text);
}

/** Lower-case address; mixed case must satisfy EIP-55. `name` is the field's name for people. */
export function readAddress(asset: Asset, text: string | undefined, name: string): string | Refusal {
  if (text === undefined || !ADDRESS.test(text))
    return refuse('ADDRESS_FORMAT', `${name} is not an address of the form 0x and 40 hex digits`);
  const lower = text.toLowerCase();
  const checksummed = MIXED_CASE.test(text.slice(2)) && !OTHER_CHECKSUM.includes(asset.chain ?? '');
  if (checksummed && withChecksum(lower) !== text)
    return refuse('ADDRESS_CHECKSUM', `${name} has a wrong EIP-55 checksum`);
  return lower;
}
