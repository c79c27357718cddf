/** The one form of an address that comparisons use. */
import type { Asset, Chains } from '../ports.js';

/** Of whatever length: accounts of 32 bytes are written in either case too. */
const HEX_ADDRESS = /^0x[0-9a-f]+$/i;
/** Bech32 (BIP-173) and CashAddr may be written in upper case alone; no other form in use has such a separator and no small letter. */
const UPPER_BECH32 = /^[A-Z0-9]+[1:][02-9AC-HJ-NP-Z]{6,}$/;

/** The form in which addresses of one asset are compared; undefined: the text is no address of its chain. */
export function canonicalFormOf(
  asset: Asset | string,
  chains: Chains,
): (address: string) => string | undefined {
  const entry = typeof asset === 'string' ? chains.asset(asset) : asset;
  const decoder = entry === undefined ? undefined : chains.decoder(entry.family);
  if (entry === undefined || decoder === undefined)
    return (address) =>
      HEX_ADDRESS.test(address) || UPPER_BECH32.test(address) ? address.toLowerCase() : address;
  return (address) => decoder.canonicalAddress(entry, address);
}
