/** What the bytes do: the asset registry and one decoder per family of chains. */
import type { Asset, Chains, Decoder } from '../core/ports.js';
import { createRegistry } from './assets.js';
import { bitcoinDecoder } from './bitcoin/decoder.js';
import type { PrevoutSource } from './bitcoin/prevouts.js';
import { evmDecoder, type NonceSource } from './evm/decoder.js';
import { readSignOperation } from './evm/sign-operation.js';

export { loadAssets } from './assets.js';
export type { Prevout, PrevoutSource } from './bitcoin/prevouts.js';
export { filePrevouts, rpcPrevouts } from './bitcoin/prevouts.js';
export type { NonceSource } from './evm/decoder.js';

export interface ChainOptions {
  /** Imported assets (see loadAssets); they replace built-in ones of the same id. */
  readonly assets?: readonly Asset[];
  /** Trusted previous outputs of Bitcoin transactions. */
  readonly prevouts?: PrevoutSource;
  /** Which nonces may come next from an account of an EVM chain. */
  readonly nonces?: NonceSource;
}

export function createChains(options: ChainOptions = {}): Chains {
  const registry = createRegistry(options.assets);
  const decoders: readonly Decoder[] = [
    evmDecoder(registry, options.nonces),
    bitcoinDecoder(options.prevouts),
  ];
  return {
    asset: registry.asset,
    message: (request, settings) => readSignOperation(request, { settings, registry }),
    decoder: (family) => decoders.find((decoder) => decoder.family === family),
  };
}
