/** Messages. */
import type { Decoded } from '../../core/ports.js';
import { refuse } from '../refusal.js';
import type { EvmContext } from './decoder.js';

export function readMessages(_context: EvmContext): Decoded {
  return refuse('TYPED_TYPE_REFUSED', 'messages are not supported yet');
}
