/** A freeze in words, for people. */
import type { Freeze } from '../core/ports.js';

/** By the ledger's clock. */
export function hasExpired({ expiresAtMs }: Pick<Freeze, 'expiresAtMs'>, nowMs: number): boolean {
  return expiresAtMs !== undefined && expiresAtMs <= nowMs;
}

export function describeFreeze(freeze: Freeze, nowMs: number): readonly string[] {
  const { id, scope, reason, author, answers } = freeze;
  return [
    `freeze      ${id}${hasExpired(freeze, nowMs) ? ' (expired: no longer in force)' : ''}`,
    `scope       ${scope === '{}' ? 'everything' : printable(scope)}`,
    `answers     ${answers === 'retry' ? 'ask again later (RETRY)' : 'REJECT, for good'}`,
    `reason      ${printable(reason)}`,
    `author      ${printable(author)}`,
    `lasts       ${lastsUntil(freeze, nowMs)}`,
  ];
}

function lastsUntil({ expiresAtMs }: Freeze, nowMs: number): string {
  if (expiresAtMs === undefined) return 'until it is lifted';
  const at = new Date(expiresAtMs).toISOString().replace(/\.\d+Z$/, 'Z');
  return expiresAtMs <= nowMs
    ? `ended at ${at}`
    : `until ${at}, for another ${spanText(expiresAtMs - nowMs)}`;
}

/** The two largest units, e.g. `3h 59m`. */
export function spanText(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  const units = [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ] as const;
  let rest = seconds;
  const parts = units.map(([unit, length]) => {
    const count = Math.floor(rest / length);
    rest -= count * length;
    return { count, text: `${count}${unit}` };
  });
  const first = parts.findIndex(({ count }) => count > 0);
  if (first < 0) return '0s';
  return parts
    .slice(first, first + 2)
    .filter(({ count }) => count > 0)
    .map(({ text }) => text)
    .join(' ');
}

/** Nothing that somebody wrote may steer a terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '·');
}
