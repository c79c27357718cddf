/**
 * The vendor's own listings, `GET /v1/blockchains` and `GET /v1/assets`, turned into registry entries.
 * https://developers.fireblocks.com/reference/listblockchains and .../listassets
 */
import { z } from 'zod';
import { CountersignError } from '../core/errors.js';
import type { Asset } from '../core/ports.js';
import { builtinAssets, COIN_TYPE_TESTNET, evmCoinType } from './assets.js';

const blockchainSchema = z.object({
  id: z.string().min(1),
  legacyId: z.string().min(1).max(100),
  nativeAssetId: z.string().min(1),
  onchain: z.object({
    protocol: z.string().min(1).max(50),
    chainId: z.string().max(50).nullish(),
    test: z.boolean(),
  }),
});

const assetSchema = z.object({
  id: z.string().min(1),
  legacyId: z.string().min(1).max(100),
  blockchainId: z.string().nullish(),
  assetClass: z.string(),
  decimals: z.number().int().min(0).max(36).nullish(),
  onchain: z
    .object({ address: z.string().max(200).nullish(), decimals: z.number().int().min(0).max(36).nullish() })
    .nullish(),
});

type Blockchain = z.infer<typeof blockchainSchema>;
type ListedAsset = z.infer<typeof assetSchema>;

export interface Listings {
  readonly assets: readonly Asset[];
  /** Listed by the vendor and unusable here, with the reason. */
  readonly leftOut: readonly { readonly id: string; readonly why: string }[];
  /** Entries whose chain, contract or decimals differ from the built-in table's. */
  readonly changed: readonly string[];
}

const COIN_CLASSES: readonly string[] = ['NATIVE', 'FT'];
const EVM_CHAIN_ID = /^[1-9]\d{0,17}$/;
const EVM_CONTRACT = /^0x[0-9a-fA-F]{40}$/;

/** Throws USAGE when a listing has another shape or is incomplete. */
export function readListings(blockchains: unknown, assets: unknown): Listings {
  const chains = new Map(
    pagesOf(blockchains, blockchainSchema, 'blockchains').map((chain) => [chain.id, chain]),
  );
  const listed = pagesOf(assets, assetSchema, 'assets');
  const byId = new Map(listed.map((asset) => [asset.id, asset]));
  const builtin = new Map(builtinAssets().map((asset) => [asset.id, asset]));
  const result = new Map<string, Asset>();
  const leftOut: { id: string; why: string }[] = [];
  for (const asset of listed) {
    const chain = chains.get(asset.blockchainId ?? '');
    const entry = entryOf(asset, chain, { byId, builtin });
    if (typeof entry === 'string') leftOut.push({ id: asset.legacyId, why: entry });
    else if (result.has(entry.id))
      throw new CountersignError('USAGE', `the listing has two assets named ${entry.id}`);
    else result.set(entry.id, entry);
  }
  const sorted = [...result.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    assets: sorted,
    leftOut,
    changed: sorted.flatMap((asset) => differences(builtin.get(asset.id), asset)),
  };
}

/** One page `{data, next?}`, a list of pages, or the plain list of all items. */
function pagesOf<T>(listing: unknown, schema: z.ZodType<T>, name: string): readonly T[] {
  const page = z.object({ data: z.array(schema), next: z.string().nullish() });
  const parsed = z.union([page.transform((one) => [one]), z.array(page), z.array(schema)]).safeParse(listing);
  if (!parsed.success)
    throw new CountersignError('USAGE', `the listing of ${name} has another shape than the vendor's`);
  const items: T[] = [];
  let next: string | null | undefined;
  for (const item of parsed.data) {
    if (isPage(item)) {
      items.push(...item.data);
      next = item.next;
    } else {
      items.push(item);
    }
  }
  if (next !== undefined && next !== null && next !== '')
    throw new CountersignError(
      'USAGE',
      `the listing of ${name} is incomplete: its last page names a next one`,
    );
  return items;
}

function isPage<T>(
  item: T | { readonly data: readonly T[]; readonly next?: string | null | undefined },
): item is {
  readonly data: readonly T[];
  readonly next?: string | null | undefined;
} {
  return typeof item === 'object' && item !== null && 'data' in item;
}

interface Known {
  readonly byId: ReadonlyMap<string, ListedAsset>;
  readonly builtin: ReadonlyMap<string, Asset>;
}

/** A registry entry, or why there is none. */
function entryOf(asset: ListedAsset, chain: Blockchain | undefined, known: Known): Asset | string {
  if (!COIN_CLASSES.includes(asset.assetClass)) return `it is of class ${asset.assetClass}`;
  if (chain === undefined) return 'its blockchain is not listed';
  const native = known.byId.get(chain.nativeAssetId);
  if (native === undefined) return `the own coin of ${chain.legacyId} is not listed`;
  const decimals = decimalsOf(asset);
  const nativeDecimals = decimalsOf(native);
  if (decimals === undefined || nativeDecimals === undefined) return 'its decimals are not given';
  const builtin = known.builtin.get(native.legacyId);
  const base = {
    id: asset.legacyId,
    decimals,
    native: { asset: native.legacyId, decimals: nativeDecimals },
  };
  const { protocol, chainId, test } = chain.onchain;
  if (protocol.toUpperCase() !== 'EVM') {
    if (asset.id !== native.id) return `tokens of ${protocol} cannot be verified`;
    const coinType = test ? COIN_TYPE_TESTNET : (builtin?.coinType ?? 0);
    const family = builtin?.family ?? protocol.toLowerCase();
    return { ...base, family, coinType, ...(builtin?.chain === undefined ? {} : { chain: builtin.chain }) };
  }
  if (chainId === null || chainId === undefined || !EVM_CHAIN_ID.test(chainId))
    return 'its chain id is not given';
  const entry = {
    ...base,
    family: 'evm',
    chain: `eip155:${chainId}`,
    coinType: evmCoinType(native.legacyId, test),
  };
  if (asset.id === native.id) return entry;
  const contract = asset.onchain?.address ?? '';
  if (!EVM_CONTRACT.test(contract)) return 'its contract is not given';
  return { ...entry, contract: contract.toLowerCase() };
}

function decimalsOf({ onchain, decimals }: ListedAsset): number | undefined {
  return onchain?.decimals ?? decimals ?? undefined;
}

function differences(before: Asset | undefined, after: Asset): readonly string[] {
  if (before === undefined) return [];
  const fields = ['chain', 'contract', 'decimals', 'coinType'] as const;
  return fields
    .filter((field) => before[field] !== after[field])
    .map((field) => `${after.id}: ${field} ${before[field] ?? 'none'} is now ${after[field] ?? 'none'}`);
}
