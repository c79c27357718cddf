/** Amounts that a request names, in base units. */
import { toBaseUnits } from '../core/amount.js';
import { type Refusal, refuse } from './refusal.js';

/** `name` is the field's name for people. */
export function claimedUnits(text: string | undefined, decimals: number, name: string): bigint | Refusal {
  if (text === undefined) return refuse('AMOUNT_FORMAT', `${name} is missing`);
  const result = toBaseUnits(text, decimals);
  if (result.ok) return result.units;
  if (result.problem === 'precision')
    return refuse('AMOUNT_PRECISION', `${name} has more than ${decimals} decimals`);
  return refuse('AMOUNT_FORMAT', `${name} is not plain decimal text`);
}
