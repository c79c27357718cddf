/** The asset registry: the built-in table, and an imported file that extends and replaces its entries. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { CountersignError, messageOf } from '../core/errors.js';
import type { Asset } from '../core/ports.js';
import { EVM_COINS, EVM_TOKENS, UTXO_COINS } from './builtin-assets.js';

const COIN_TYPE_ETHER = 60;
const COIN_TYPE_ETHER_CLASSIC = 61;
export const COIN_TYPE_TESTNET = 1;

const MAX_FILE_BYTES = 64 * 1024 * 1024;
const MAX_ASSETS = 100_000;

/** What decoders need to know beyond one asset. */
export interface AssetRegistry {
  asset(id: string): Asset | undefined;
  /** The token whose contract this is; canonical (lower-case) address. */
  token(chain: string, contract: string): Asset | undefined;
}

/** SLIP-44 coin type that the vendor uses in derivation paths. */
export function evmCoinType(id: string, testnet: boolean): number {
  if (testnet) return COIN_TYPE_TESTNET;
  return id === 'ETC' ? COIN_TYPE_ETHER_CLASSIC : COIN_TYPE_ETHER;
}

export function builtinAssets(): readonly Asset[] {
  const coins = new Map<string, Asset>();
  for (const [id, chainId, testnet = false] of EVM_COINS) {
    coins.set(id, {
      id,
      family: 'evm',
      decimals: 18,
      native: { asset: id, decimals: 18 },
      coinType: evmCoinType(id, testnet),
      ...(chainId === undefined ? {} : { chain: `eip155:${chainId}` }),
    });
  }
  const tokens = EVM_TOKENS.flatMap(([id, native, decimals, contract]): Asset[] => {
    const coin = coins.get(native);
    return coin === undefined ? [] : [{ ...coin, id, decimals, contract: contract.toLowerCase() }];
  });
  const utxo = UTXO_COINS.map(
    ([id, family, decimals, coinType, chain]): Asset => ({
      id,
      family,
      decimals,
      native: { asset: id, decimals },
      coinType,
      ...(chain === undefined ? {} : { chain }),
    }),
  );
  return [...coins.values(), ...tokens, ...utxo];
}

/** Entries of `imported` replace built-in ones of the same id. Lookup is by Map: `__proto__` is no asset. */
export function createRegistry(imported: readonly Asset[] = []): AssetRegistry {
  const byId = new Map<string, Asset>();
  for (const asset of [...builtinAssets(), ...imported]) byId.set(asset.id, canonical(asset));
  const byPlace = new Map<string, Asset>();
  for (const asset of byId.values()) {
    if (asset.chain === undefined) continue;
    const place = `${asset.chain} ${asset.contract ?? ''}`;
    const first = byPlace.get(place);
    if (first === undefined) byPlace.set(place, asset);
    // Two ids of one contract must not have a limit each; of two that differ in decimals nobody knows which is right.
    else if (first.decimals === asset.decimals) byId.set(asset.id, { ...asset, countedAs: first.id });
  }
  return {
    asset: (id) => byId.get(id),
    token: (chain, contract) => byPlace.get(`${chain} ${contract}`),
  };
}

/** Contracts of EVM chains compare without their checksum case. */
function canonical(asset: Asset): Asset {
  if (asset.family !== 'evm' || asset.contract === undefined) return asset;
  return { ...asset, contract: asset.contract.toLowerCase() };
}

const assetSchema = z.strictObject({
  id: z.string().min(1).max(100),
  family: z.string().min(1).max(50),
  chain: z.string().min(3).max(100).optional(),
  decimals: z.number().int().min(0).max(36),
  native: z.strictObject({ asset: z.string().min(1).max(100), decimals: z.number().int().min(0).max(36) }),
  contract: z.string().min(1).max(100).optional(),
  coinType: z.number().int().min(0).max(0x7fffffff),
});

/** The form of `assets.json`: what `countersign assets import` writes and a replica reads. */
export const assetFileSchema = z.strictObject({
  version: z.literal(1),
  /** SHA-256 of the vendor's two listings, so that a reader can tell where the entries come from. */
  source: z.strictObject({ blockchains: z.string(), assets: z.string() }),
  assets: z.array(assetSchema).max(MAX_ASSETS),
});

/**
 * Reads an imported asset file. With `sha256` (hex) the file must have exactly that hash.
 * Throws FILE_UNREADABLE or CONFIG_INVALID, naming the file.
 */
export function loadAssets(file: string, sha256?: string): readonly Asset[] {
  const bytes = readAssetFile(file);
  if (sha256 !== undefined) {
    const actual = createHash('sha256').update(bytes).digest('hex');
    if (actual !== sha256.toLowerCase())
      throw new CountersignError('CONFIG_INVALID', `${file} has SHA-256 ${actual}, pinned is ${sha256}`);
  }
  const parsed = assetFileSchema.safeParse(parseJson(bytes, file));
  if (!parsed.success)
    throw new CountersignError(
      'CONFIG_INVALID',
      `${file} is no asset file: ${z.prettifyError(parsed.error)}`,
    );
  const ids = new Set<string>();
  return parsed.data.assets.map(({ chain, contract, ...asset }) => {
    if (ids.has(asset.id)) throw new CountersignError('CONFIG_INVALID', `${file} lists ${asset.id} twice`);
    ids.add(asset.id);
    // Without a contract it would be taken for the chain's own coin, in units of another asset.
    if (asset.family === 'evm' && contract === undefined && asset.id !== asset.native.asset)
      throw new CountersignError('CONFIG_INVALID', `${file}: token ${asset.id} has no contract`);
    return {
      ...asset,
      ...(chain === undefined ? {} : { chain }),
      ...(contract === undefined ? {} : { contract }),
    };
  });
}

function readAssetFile(file: string): Buffer {
  try {
    const bytes = readFileSync(file);
    if (bytes.length <= MAX_FILE_BYTES) return bytes;
  } catch (cause) {
    throw new CountersignError('FILE_UNREADABLE', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  throw new CountersignError('FILE_UNREADABLE', `${file} is larger than ${MAX_FILE_BYTES} bytes`);
}

function parseJson(bytes: Buffer, file: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new CountersignError('CONFIG_INVALID', `${file} is not JSON: ${messageOf(cause)}`, { cause });
  }
}
