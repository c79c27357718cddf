import { describe, expect, test } from '@jest/globals';
import {
  DEFAULT_SETTINGS,
  settingsFor,
  verificationSchema,
} from '../../../../src/core/policy/verification.js';
import type { Asset } from '../../../../src/core/ports.js';

const ether: Asset = {
  id: 'ETH',
  family: 'evm',
  chain: 'eip155:1',
  decimals: 18,
  native: { asset: 'ETH', decimals: 18 },
  coinType: 60,
};
const dollar: Asset = {
  ...ether,
  id: 'USDC',
  decimals: 6,
  contract: '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48',
};

describe('the verification section', () => {
  test('may be absent, and then the defaults hold', () => {
    expect(settingsFor(verificationSchema.parse(undefined), ether)).toEqual(DEFAULT_SETTINGS);
  });

  test("an asset's settings stand above those of its chain's coin, and these above the document's", () => {
    const settings = verificationSchema.parse({
      defaults: { maxFeeWei: '1', maxGasLimit: 1, feeMode: 'exact' },
      assets: { ETH: { maxFeeWei: '2', maxGasLimit: 2 }, USDC: { maxFeeWei: '3' } },
    });
    expect(settingsFor(settings, dollar)).toMatchObject({ maxFeeWei: 3n, maxGasLimit: 2n, feeMode: 'exact' });
    expect(
      settingsFor(settings, { ...ether, id: 'BTC', native: { asset: 'BTC', decimals: 8 } }),
    ).toMatchObject({ maxFeeWei: 1n });
  });

  test('reads wei and satoshi exactly, as text or number', () => {
    const settings = verificationSchema.parse({
      defaults: { maxFeeWei: '50000000000000000001', maxFeeSat: 200_000 },
    });
    expect(settings.defaults).toEqual({ maxFeeWei: 50_000_000_000_000_000_001n, maxFeeSat: 200_000n });
  });

  test('has the names of the example that is shipped', () => {
    const example = {
      defaults: { allowPre155: false, allowBlobs: false, allowCreate: false, unsupported: 'reject' },
      assets: {
        ETH: { feeMode: 'exact', maxFeeWei: '50000000000000000' },
        BTC: { maxFeeSat: 200000, ownedXpubs: [] },
      },
    };
    expect(settingsFor(verificationSchema.parse(example), ether)).toMatchObject({ feeMode: 'exact' });
  });

  test('compares addresses without case', () => {
    const { defaults } = verificationSchema.parse({
      defaults: { approveSpenders: [`0x${'AB'.repeat(20)}`] },
    });
    expect(defaults.approveSpenders).toEqual([`0x${'ab'.repeat(20)}`]);
  });

  test.each([
    ['a misspelled key', { allowPre151: true }],
    ['a number that is not exact', { maxFeeWei: 2 ** 53 }],
    ['a fraction', { maxFeeSat: '0.5' }],
    ['an exponent', { maxFeeWei: '5e16' }],
    ['a negative number', { maxFeeSat: -1 }],
    ['a type that is opened elsewhere', { allowTypes: [3] }],
    ['an address without 0x', { approveSpenders: ['ab'.repeat(20)] }],
    [
      'a contract entry with a misspelled key',
      { contracts: [{ chainId: 1, to: `0x${'ab'.repeat(20)}`, selectors: [], recipient: 'any' }] },
    ],
    [
      'a selector that is none',
      { contracts: [{ chainId: 1, to: `0x${'ab'.repeat(20)}`, selectors: ['transfer'] }] },
    ],
    [
      'an extended private key',
      {
        ownedXpubs: [
          'xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi',
        ],
      },
    ],
    ['delegations to anybody', { allow7702: true }],
  ])('refuses %s', (_, defaults) => {
    expect(verificationSchema.safeParse({ defaults }).success).toBe(false);
  });
});
