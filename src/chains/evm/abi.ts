/** Strict ABI decoding: what is decoded must encode to the same bytes again. */
import { AbiCoder, FunctionFragment, type ParamType } from 'ethers';
import { assert } from '../../core/errors.js';
import { type Refusal, refuse } from '../refusal.js';

/** Addresses in lower case, bytes in lower-case hex, numbers as bigint, tuples and arrays as lists. */
export type AbiValue = string | bigint | boolean | readonly AbiValue[];

const coder = AbiCoder.defaultAbiCoder();

/** `0x` and four bytes. */
export const SELECTOR_LENGTH = 10;

/** Selector of call data in lower-case hex; empty text for a call without data. */
export function selectorIn(data: string): string {
  return data === '0x' ? '' : data.slice(0, SELECTOR_LENGTH);
}

/**
 * Decoders accept trailing bytes, dirty padding and aliased offsets; two readers may then see two things. So the
 * values are encoded again and must give the bytes that came.
 */
export function decodeArguments(
  types: readonly ParamType[] | readonly string[],
  encoded: string,
  name: string,
): readonly AbiValue[] | Refusal {
  try {
    const values = coder.decode([...types], encoded);
    const plain = values.toArray(true).map((value: unknown) => plainOf(value));
    if (coder.encode([...types], [...values]).toLowerCase() === encoded) return plain;
  } catch {
    // Undecodable, or a deferred error of a dirty word: the same refusal.
  }
  return refuse('CALLDATA_NON_CANONICAL', `the call data of ${name} is not canonical ABI encoding`);
}

function plainOf(value: unknown): AbiValue {
  if (Array.isArray(value)) return value.map(plainOf);
  if (typeof value === 'bigint' || typeof value === 'boolean') return value;
  assert(typeof value === 'string', 'ABI values are text, numbers, booleans and lists');
  return value.toLowerCase();
}

export function text(value: AbiValue | undefined): string {
  assert(typeof value === 'string', 'an ABI value is not text');
  return value;
}

export function units(value: AbiValue | undefined): bigint {
  assert(typeof value === 'bigint', 'an ABI value is not a number');
  return value;
}

export function flag(value: AbiValue | undefined): boolean {
  assert(typeof value === 'boolean', 'an ABI value is not a boolean');
  return value;
}

export function items(value: AbiValue | undefined): readonly AbiValue[] {
  assert(Array.isArray(value), 'an ABI value is not a list');
  return value;
}

/** For people and for the argument matching of policies: numbers in decimal digits, addresses in lower case. */
export function argumentText(value: AbiValue): string {
  if (typeof value === 'object') return `(${value.map(argumentText).join(',')})`;
  return String(value);
}

/** Types and selector of a signature such as `transfer(address,uint256)`. */
export function functionOf(signature: string): {
  readonly selector: string;
  readonly inputs: readonly ParamType[];
} {
  const fragment = FunctionFragment.from(`function ${signature}`);
  return { selector: fragment.selector, inputs: fragment.inputs };
}
