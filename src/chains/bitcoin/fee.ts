/** The fee: what the inputs are worth more than the outputs. */
import type { AssetSettings } from '../../core/policy/verification.js';
import { type Refusal, refuse } from '../refusal.js';
import type { Output, Preimage } from './preimage.js';
import { isDataOutput } from './script.js';

/** Virtual bytes, as an estimate: a signed key-hash input, and everything around inputs and outputs. */
const OVERHEAD_VBYTES = 11;
const WITNESS_INPUT_VBYTES = 68;
const LEGACY_INPUT_VBYTES = 148;
const OUTPUT_VBYTES = 9;

export interface FeeQuestion {
  readonly entries: readonly Preimage[];
  readonly outputs: readonly Output[];
  /** Undefined: some input's value is not known. */
  readonly inputTotal: bigint | undefined;
  /** Satoshi. */
  readonly claimed: bigint;
}

/** The actual fee in satoshi, undefined where it cannot be known and the settings allow that. */
export function checkBitcoinFee(
  question: FeeQuestion,
  settings: AssetSettings,
): { fee: bigint | undefined } | Refusal {
  const { outputs, inputTotal, claimed } = question;
  const fee =
    inputTotal === undefined ? undefined : inputTotal - outputs.reduce((sum, { value }) => sum + value, 0n);
  if (fee === undefined && settings.legacyFeeUnknown === 'reject')
    return refuse(
      'FEE_UNVERIFIABLE',
      'legacy inputs do not show their amounts: the fee needs their previous outputs',
    );
  if (fee !== undefined) {
    if (fee < 0n) return refuse('FEE_NEGATIVE', 'the outputs are worth more than the inputs');
    const distance = fee > claimed ? fee - claimed : claimed - fee;
    if (distance > BigInt(settings.feeWindowSat))
      return refuse('FEE_MISMATCH', `the fee is ${fee} satoshi, claimed are ${claimed}`);
    if (fee > settings.maxFeeSat)
      return refuse('FEE_CEILING', `the fee is ${fee} satoshi, allowed are ${settings.maxFeeSat}`);
  }
  const size = virtualSize(question);
  if ((fee ?? claimed) > BigInt(size) * BigInt(settings.maxFeeRate))
    return refuse(
      'FEE_RATE',
      `a fee of ${fee ?? claimed} satoshi for ${size} vB exceeds ${settings.maxFeeRate} sat/vB`,
    );
  const dust = outputs.find(({ value, script }) => value < settings.dustSat && !isDataOutput(script));
  if (dust !== undefined)
    return refuse('DUST_OUTPUT', `an output of ${dust.value} satoshi is below ${settings.dustSat}`);
  return { fee };
}

function virtualSize({ entries, outputs }: FeeQuestion): number {
  const inputs = entries.map(({ kind }) => (kind === 'witness' ? WITNESS_INPUT_VBYTES : LEGACY_INPUT_VBYTES));
  const scripts = outputs.map(({ script }) => OUTPUT_VBYTES + script.length / 2);
  return [...inputs, ...scripts].reduce((sum, size) => sum + size, OVERHEAD_VBYTES);
}
