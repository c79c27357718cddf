/** Contract calls. */
import { type Refusal, refuse } from '../refusal.js';
import type { Claim } from './claim.js';
import type { EvmContext } from './decoder.js';
import type { Envelope } from './transaction.js';
import type { Meaning } from './transfer.js';

export function contractCall(_context: EvmContext, _envelope: Envelope, _claim: Claim): Meaning | Refusal {
  return refuse('CONTRACT_NOT_ALLOWED', 'contract calls are not supported yet');
}
