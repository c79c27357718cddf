/** A small asset registry whose decoders know addresses and nothing else. */
import type { Asset, Chains, Decoder } from '../../src/core/ports.js';

const ETH: Asset = {
  id: 'ETH',
  family: 'evm',
  chain: 'eip155:1',
  decimals: 18,
  coinType: 60,
  native: { asset: 'ETH', decimals: 18 },
};
const BTC: Asset = {
  id: 'BTC',
  family: 'bitcoin',
  chain: 'bip122:000000000019d6689c085ae165831e93',
  decimals: 8,
  coinType: 0,
  native: { asset: 'BTC', decimals: 8 },
};
const ASSETS: readonly Asset[] = [
  ETH,
  { ...ETH, id: 'USDC', decimals: 6, contract: '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48' },
  {
    ...ETH,
    id: 'USDC_ALIAS',
    decimals: 6,
    countedAs: 'USDC',
    contract: '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48',
  },
  { ...ETH, id: 'MATIC_POLYGON', chain: 'eip155:137', native: { asset: 'MATIC_POLYGON', decimals: 18 } },
  BTC,
  { ...BTC, id: 'SOL', family: 'solana', decimals: 9, native: { asset: 'SOL', decimals: 9 } },
];

const SELECTORS: Readonly<Record<string, string>> = {
  'transfer(address,uint256)': '0xa9059cbb',
  'approve(address,uint256)': '0x095ea7b3',
};

const evm: Decoder = {
  family: 'evm',
  canonicalAddress: (_asset, address) =>
    /^0x[0-9a-f]{40}$/i.test(address) ? address.toLowerCase() : undefined,
  selectorOf: (signature) => SELECTORS[signature],
  decode: () => Promise.reject(new Error('this decoder reads no bytes')),
};

/** Two spellings of one output script: enough to see that text is not what is compared. */
const bitcoin: Decoder = {
  family: 'bitcoin',
  canonicalAddress: (_asset, address) =>
    /^(bc1q|BC1Q)/.test(address) ? `script:${address.toLowerCase()}` : undefined,
  decode: () => Promise.reject(new Error('this decoder reads no bytes')),
};

export const testChains: Chains = {
  asset: (id) => ASSETS.find((asset) => asset.id === id),
  message: () => ({ kind: 'refused', reason: 'RAW_REFUSED', detail: 'this registry reads no messages' }),
  decoder: (family) => [evm, bitcoin].find((decoder) => decoder.family === family),
};
