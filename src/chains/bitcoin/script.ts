/** Output scripts: the five standard forms, and the addresses that name them. */
import * as ecc from '@bitcoinerlab/secp256k1';
import { address as addresses, crypto, initEccLib, type Network, networks } from 'bitcoinjs-lib';
import type { Asset } from '../../core/ports.js';
import { remembered } from '../remembered.js';

const NETWORKS: Readonly<Record<string, Network>> = {
  'bip122:000000000019d6689c085ae165831e93': networks.bitcoin,
  'bip122:000000000933ea01ad0ee984209779ba': networks.testnet,
};

const P2PKH = /^76a914([0-9a-f]{40})88ac$/;

/** P2PKH, P2SH, P2WPKH, P2WSH, P2TR. Later witness versions are anyone-can-spend until they get a meaning. */
const STANDARD =
  /^(76a914[0-9a-f]{40}88ac|a914[0-9a-f]{40}87|0014[0-9a-f]{40}|0020[0-9a-f]{64}|5120[0-9a-f]{64})$/;
const OP_RETURN = '6a';

/** BIP-173 allows 90 characters. */
const MAX_ADDRESS_LENGTH = 90;

/** The key hash of a P2PKH script, which is also what BIP-143 signs for P2WPKH. */
export function keyHashIn(script: string): string | undefined {
  return P2PKH.exec(script)?.[1];
}

export function isDataOutput(script: string): boolean {
  return script.startsWith(OP_RETURN);
}

export const p2pkh = (keyHash: string): string => `76a914${keyHash}88ac`;
export const p2wpkh = (keyHash: string): string => `0014${keyHash}`;

export function p2shP2wpkh(keyHash: string): string {
  return `a914${Buffer.from(crypto.hash160(Buffer.from(p2wpkh(keyHash), 'hex'))).toString('hex')}87`;
}

export function keyHashOf(publicKey: Uint8Array): string {
  return Buffer.from(crypto.hash160(publicKey)).toString('hex');
}

/**
 * The output script of an address on the asset's network, lower-case hex; undefined for anything but the five
 * standard forms. Testnet, testnet4 and signet share their addresses and cannot be told apart.
 */
export function scriptOf(asset: Asset, address: string): string | undefined {
  if (address.length > MAX_ADDRESS_LENGTH) return undefined;
  return scriptAt(`${asset.chain} ${address}`);
}

const scriptAt = remembered(10_000, (place) => {
  const [chain, address] = split(place);
  const network = NETWORKS[chain];
  return network === undefined ? undefined : standardScript(network, address);
});

function split(place: string): readonly [string, string] {
  const blank = place.indexOf(' ');
  return [place.slice(0, blank), place.slice(blank + 1)];
}

export function standardScript(network: Network, address: string): string | undefined {
  if (isLaterWitnessVersion(address)) return undefined;
  try {
    const script = Buffer.from(addressLibrary().toOutputScript(address, network)).toString('hex');
    return STANDARD.test(script) ? script : undefined;
  } catch {
    return undefined;
  }
}

/** The one spelling of the address of a script; the script itself where none exists. */
export function addressOf(asset: Asset, script: string): string {
  return STANDARD.test(script) ? addressAt(`${asset.chain} ${script}`) : `script:${script}`;
}

const addressAt = remembered(10_000, (place) => {
  const [chain, script] = split(place);
  const network = NETWORKS[chain];
  try {
    if (network !== undefined) return addressLibrary().fromOutputScript(Buffer.from(script, 'hex'), network);
  } catch {
    // The form of P2TR around bytes that are no point of the curve: nobody can spend it, and it has no address.
  }
  return `script:${script}`;
});

/** It tries the curve before it is used, for 50 ms: nobody who meets no address of Bitcoin waits for that. */
function addressLibrary(): typeof addresses {
  initEccLib(ecc);
  return addresses;
}

/** The library only prints a warning for witness versions without meaning; here they are no addresses. */
function isLaterWitnessVersion(address: string): boolean {
  try {
    return addresses.fromBech32(address).version > 1;
  } catch {
    return false;
  }
}
