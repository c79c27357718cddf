import { expect, test } from '@jest/globals';
import { canonicalFormOf } from '../../../../src/core/policy/canonical-address.js';
import { testChains } from '../../../support/chains.js';

/** Of a chain that nobody here can decode. */
const canonical = canonicalFormOf('SOL', testChains);

test.each([
  ['20 bytes in hex', '0xAbCdef0123456789aBcDeF0123456789abcdef01'],
  ['32 bytes in hex', `0x${'Ab'.repeat(32)}`],
  ['a short account', '0X1'],
  ['bech32', 'LTC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KGMN4N9'],
  ['CashAddr', 'BITCOINCASH:QPM2QSZNHKS23Z7629MMS6S5CWEF74VCWVY22GDX6A'],
])('%s has one form, whichever case it is written in', (_, address) => {
  expect(canonical(address)).toBe(address.toLowerCase());
  expect(canonical(address.toLowerCase())).toBe(address.toLowerCase());
});

test.each([
  ['base58', '7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV'],
  ['base32', 'GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ'],
  ['a name', 'ALICE'],
  ['bech32 in mixed case, which is none', 'LTC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KGMN4n9'],
])('in %s the case means something', (_, address) => {
  expect(canonical(address)).toBe(address);
});
