/** Bitcoin. */
import type { Decoder } from '../../core/ports.js';
import { refuse } from '../refusal.js';
import type { PrevoutSource } from './prevouts.js';

export function bitcoinDecoder(_prevouts?: PrevoutSource): Decoder {
  return {
    family: 'bitcoin',
    canonicalAddress: () => undefined,
    decode: async () => refuse('CHAIN_UNSUPPORTED', 'not supported yet'),
  };
}
