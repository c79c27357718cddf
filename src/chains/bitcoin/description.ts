/** What a preimage shows, judged by nobody: for a person who looks at a refused request. */
import type { Asset } from '../../core/ports.js';
import type { RawTransaction } from '../../core/request.js';
import { hexDigits, MAX_RAW_BYTES } from '../raw-entry.js';
import { isRefusal } from '../refusal.js';
import { classify, outpointText, readLegacy, readWitness } from './preimage.js';
import { addressOf } from './script.js';

export function describePreimage({ bytes }: RawTransaction, asset: Asset): Readonly<Record<string, string>> {
  if (typeof bytes !== 'string' || bytes.length > 2 * MAX_RAW_BYTES) return {};
  const raw = Buffer.from(hexDigits(bytes) ?? '', 'hex');
  const preimage = classify(readLegacy(raw), readWitness(raw));
  if (preimage === undefined || isRefusal(preimage)) return {};
  const shown = {
    form: preimage.kind === 'witness' ? 'BIP-143' : 'legacy',
    version: String(preimage.version),
    input: outpointText(preimage.outpoint),
    sequence: preimage.sequence.toString(16),
    locktime: String(preimage.locktime),
    hashType: String(preimage.hashType),
  };
  if (preimage.kind === 'witness')
    return { ...shown, amount: preimage.value.toString(), hashOutputs: preimage.hashOutputs };
  const outputs = preimage.outputs.map(({ script, value }) => `${addressOf(asset, script)} ${value}`);
  return { ...shown, outputs: outputs.join(', ') };
}
