/** How long property tests run: COUNTERSIGN_FUZZ multiplies the moderate default. */
const factor = Number(process.env.COUNTERSIGN_FUZZ ?? '1');

export function runs(moderate: number): number {
  return Math.max(1, Math.round(moderate * (Number.isFinite(factor) && factor > 0 ? factor : 1)));
}
