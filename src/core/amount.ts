/**
 * Exact amounts. On the wire and in documents an amount is decimal text; inside it is a bigint in base units
 * (wei, satoshi, 10^-decimals of the asset). No float touches money.
 */

/** Decimal text without sign, exponent or blanks; at most 78 digits (2^256 has 78) before and after the point. */
const DECIMAL = /^(0|[1-9]\d{0,77})(?:\.(\d{1,78}))?$/;

/** A JSON number as it may stand in a document: sign and exponent are allowed by RFC 8259. */
const JSON_NUMBER = /^(-?)(0|[1-9]\d{0,77})(?:\.(\d{1,78}))?(?:[eE]([+-]?\d{1,3}))?$/;

/** USD values are counted in units of 10^-18 dollar. */
export const USD_DECIMALS = 18;

export type BaseUnits =
  | { readonly ok: true; readonly units: bigint }
  | { readonly ok: false; readonly problem: 'format' | 'precision' };

/** Whether the text is a non-negative decimal in the one accepted form. */
export function isDecimal(text: string): boolean {
  return DECIMAL.test(text);
}

/**
 * Decimal text → base units, exactly.
 * `format`: not decimal text. `precision`: non-zero digits beyond `decimals` (trailing zeros are fine).
 */
export function toBaseUnits(text: string, decimals: number): BaseUnits {
  const match = DECIMAL.exec(text);
  if (match === null) return { ok: false, problem: 'format' };
  const fraction = (match[2] ?? '').replace(/0+$/, '');
  if (fraction.length > decimals) return { ok: false, problem: 'precision' };
  return { ok: true, units: BigInt((match[1] ?? '0') + fraction.padEnd(decimals, '0')) };
}

/** Base units → decimal text without trailing zeros: the inverse of {@link toBaseUnits}. */
export function fromBaseUnits(units: bigint, decimals: number): string {
  const digits = units.toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** The largest number of base units that is not above the decimal text: how a `max` of a document is read. */
export function floorToBaseUnits(text: string, decimals: number): bigint | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  return BigInt((match[1] ?? '0') + (match[2] ?? '').slice(0, decimals).padEnd(decimals, '0'));
}

/**
 * The text of a JSON number → units of 10^-decimals, rounded **up**, so that a charge is never too small.
 * Undefined for negative numbers and for anything that is not a JSON number of sane size.
 */
export function ceilJsonNumber(text: string, decimals: number): bigint | undefined {
  const match = JSON_NUMBER.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '0', fraction = '', exponentText = '0'] = match;
  const digits = BigInt(whole + fraction);
  if (sign === '-' && digits !== 0n) return undefined;
  const shift = Number(exponentText) - fraction.length + decimals;
  if (shift >= 0) return digits * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  return (digits + divisor - 1n) / divisor;
}

/** Decimal text in its shortest form: `0.0100` and `0.01` are one amount. Text of any other form is kept as it is. */
export function normaliseDecimal(text: string): string {
  const match = DECIMAL.exec(text);
  if (match === null) return text;
  const fraction = (match[2] ?? '').replace(/0+$/, '');
  return fraction === '' ? (match[1] ?? '0') : `${match[1]}.${fraction}`;
}
