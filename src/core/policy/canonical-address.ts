/** The one form of an address that comparisons use. */
import type { Asset, Chains } from '../ports.js';

const HEX_ADDRESS = /^0x[0-9a-f]{40}$/i;

/** The form in which addresses of one asset are compared; undefined: the text is no address of its chain. */
export function canonicalFormOf(
  asset: Asset | string,
  chains: Chains,
): (address: string) => string | undefined {
  const entry = typeof asset === 'string' ? chains.asset(asset) : asset;
  const decoder = entry === undefined ? undefined : chains.decoder(entry.family);
  if (entry === undefined || decoder === undefined)
    return (address) => (HEX_ADDRESS.test(address) ? address.toLowerCase() : address);
  return (address) => decoder.canonicalAddress(entry, address);
}
