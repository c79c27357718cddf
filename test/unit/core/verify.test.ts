import { describe, expect, test } from '@jest/globals';
import { verificationSchema } from '../../../src/core/policy/verification.js';
import type { Asset, Chains, Decoded, Effects } from '../../../src/core/ports.js';
import { examine } from '../../../src/core/verify.js';
import { signingRequest, vendorIntent } from '../../support/signing-requests.js';

const asset: Asset = {
  id: 'ETH',
  family: 'test',
  chain: 'test:1',
  decimals: 18,
  native: { asset: 'ETH', decimals: 18 },
  coinType: 60,
};
const to = (vendorIntent.destinationAddress ?? '').toLowerCase();
const effects: Effects = {
  chain: 'test:1',
  movements: [{ asset: 'ETH', to, amount: 10_000_000_000_000_000n }],
  calls: [],
  maxFee: 597_803_762_241_000n,
  summary: {},
  facts: [],
};

/** A decoder that says whatever it is told to. */
function saying(decoded: Decoded): Chains {
  return {
    asset: () => asset,
    message: () => ({ kind: 'refused', reason: 'RAW_REFUSED', detail: '' }),
    decoder: () => ({
      family: 'test',
      canonicalAddress: (_, text) => text.toLowerCase(),
      decode: async () => decoded,
    }),
  };
}

async function examined(more: Partial<Effects>, defaults: object = {}): Promise<string> {
  const chains = saying({ kind: 'effects', effects: { ...effects, ...more } });
  const settings = verificationSchema.parse({ defaults });
  const examination = await examine(signingRequest(), chains, settings, new AbortController().signal);
  return examination.kind === 'refused' ? examination.reason : examination.kind;
}

describe('whatever a decoder concludes, a transfer agrees only when its movements are its destinations', () => {
  const [paid] = effects.movements;
  test.each<[string, string, Partial<Effects>]>([
    ['the same movement', 'agrees', {}],
    [
      'the amount without the claimed fee',
      'agrees',
      { movements: [{ asset: 'ETH', to, amount: 10_000_000_000_000_000n - 597_803_762_241_000n }] },
    ],
    [
      'one unit less',
      'VALUE_MISMATCH',
      { movements: [{ asset: 'ETH', to, amount: 9_999_999_999_999_999n }] },
    ],
    ['an unknown amount', 'VALUE_MISMATCH', { movements: [{ asset: 'ETH', to, amount: undefined }] }],
    [
      'another asset',
      'VALUE_MISMATCH',
      { movements: [{ asset: 'DAI', to, amount: 10_000_000_000_000_000n }] },
    ],
    [
      'another recipient',
      'VALUE_MISMATCH',
      { movements: [{ asset: 'ETH', to: 'else', amount: 10_000_000_000_000_000n }] },
    ],
    [
      'one movement more',
      'DESTINATION_MISMATCH',
      { movements: paid === undefined ? [] : [paid, { asset: 'ETH', to: 'else', amount: 1n }] },
    ],
    ['no movement', 'VALUE_MISMATCH', { movements: [] }],
    ['more fee than claimed', 'FEE_EXCEEDS_CLAIM', { maxFee: 597_803_762_241_001n }],
    ['a fee that nobody knows', 'agrees', { maxFee: undefined }],
  ])('%s: %s', async (_, expected, more) => {
    expect(await examined(more)).toBe(expected);
  });

  test('and gross only where the settings allow it', async () => {
    const gross = {
      movements: [{ asset: 'ETH', to, amount: 10_000_000_000_000_000n - 597_803_762_241_000n }],
    };
    expect(await examined(gross, { gross: 'reject' })).toBe('VALUE_MISMATCH');
  });
});

test.each<[string, Decoded]>([
  ['refused', { kind: 'refused', reason: 'HASH_MISMATCH', detail: '' }],
  ['unavailable', { kind: 'unavailable', detail: '' }],
  ['skipped', { kind: 'skipped' }],
])('a decoder that says %s is believed', async (kind, decoded) => {
  const settings = verificationSchema.parse(undefined);
  const examination = await examine(
    signingRequest(),
    saying(decoded),
    settings,
    new AbortController().signal,
  );
  expect(examination.kind).toBe(kind);
});
