import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { builtinAssets } from '../../src/chains/assets.js';
import { checksOf } from '../../src/chains/checks.js';
import { REASONS } from '../../src/core/decision.js';
import { DEFAULT_SETTINGS } from '../../src/core/policy/verification.js';

const page = readFileSync(new URL('../../docs/verification.md', import.meta.url), 'utf8');
const codes = [...page.matchAll(/^\| ([A-Z0-9_]+) \| (.+) \|$/gm)].map(([, code, meaning]) => ({
  code,
  meaning,
}));

describe('the page about verification', () => {
  test('gives every reason code of a check, with the meaning it has', () => {
    expect(codes.length).toBeGreaterThan(80);
    for (const { code, meaning } of codes) expect(REASONS[code as keyof typeof REASONS]).toBe(meaning);
  });

  test('gives every setting', () => {
    for (const name of Object.keys(DEFAULT_SETTINGS)) expect(page).toContain(`| \`${name}\` |`);
  });
});

test('every reason code of verification belongs to a check that people are shown', () => {
  const asset = (id: string) => builtinAssets().find((one) => one.id === id);
  const shown = ['ETH', 'USDC', 'BTC'].flatMap((id) =>
    ['TRANSFER', 'APPROVE', 'CONTRACT_CALL', 'TYPED_MESSAGE'].flatMap((operation) =>
      checksOf(asset(id), operation).flatMap(({ reasons }) => reasons),
    ),
  );
  for (const { code } of codes) expect(shown).toContain(code);
});
