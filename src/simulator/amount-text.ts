/** Amounts as the vendor writes them, from whole base units. No float touches money, here either. */

/** `10000000000000000`, 18 → `0.010000000000000000`: padded to the asset's decimals. */
export function paddedAmount(units: bigint, decimals: number): string {
  const digits = units.toString().padStart(decimals + 1, '0');
  const point = digits.length - decimals;
  return decimals === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** `10000000000000000`, 18 → `0.01`: as a person would have requested it. */
export function shortAmount(units: bigint, decimals: number): string {
  const padded = paddedAmount(units, decimals);
  return padded.includes('.') ? padded.replace(/0+$/, '').replace(/\.$/, '') : padded;
}

/** The text of the deprecated JSON numbers, which carry eight decimals whatever the asset: the rest is cut off. */
export function eightDecimals(units: bigint, decimals: number): string {
  return decimals >= 8
    ? paddedAmount(units / 10n ** BigInt(decimals - 8), 8)
    : paddedAmount(units * 10n ** BigInt(8 - decimals), 8);
}
