import { expect, test } from '@jest/globals';
import { createChains } from '../../../../src/chains/index.js';
import { compilePolicy } from '../../../../src/core/policy/compile.js';
import { addressWarnings } from '../../../../src/core/policy/written-addresses.js';

const GOOD = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const SEGWIT = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
const RSK = '0x5aaEB6053f3e94c9b9a09f33669435E7ef1bEAeD';

/** Where a policy names what is no address, and which. */
function misspelt(match: string, lists = '{}'): readonly string[] {
  const policy = compilePolicy(
    `version: 1\nlists: ${lists}\nrules: [{ name: deny, match: { stage: signing, ${match} }, effect: reject }]`,
    'policy.yaml',
    createChains(),
  );
  return addressWarnings(policy).map(
    ({ path, message }) => `${path.slice(3).join('.')} ${message.split(' ')[0]}`,
  );
}

test.each([
  ['an address of EIP-55', GOOD],
  ['one in lower case', GOOD.toLowerCase()],
  ['one in upper case', `0x${GOOD.slice(2).toUpperCase()}`],
  ['one of Bitcoin', SEGWIT],
  ['one of Bitcoin in upper case', SEGWIT.toUpperCase()],
  ['one of its testnet', 'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx'],
  ['one of a chain that nobody here can read', '7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV'],
])('%s is taken as it is', (_, address) => {
  expect(misspelt(`destination: { address: '${address}' }`)).toEqual([]);
});

test.each([
  ['a case that contradicts the checksum', GOOD.replace('aAeb', 'aAeB')],
  ['a capital x', GOOD.toLowerCase().replace('0x', '0X')],
  ['no 0x', GOOD.slice(2)],
  ['a letter changed', SEGWIT.replace('w508', 'w509')],
  ['case mixed', SEGWIT.replace('qw508', 'qW508')],
])('%s: no request is ever equal to it, and the check says so', (_, address) => {
  expect(misspelt(`destination: { address: '${address}' }`)).toEqual([`destination.address ${address}`]);
});

test('addresses are looked for wherever a match names them', () => {
  const [bad] = [GOOD.slice(2)];
  expect(
    misspelt(`destination: { address: { list: thieves } }`, `{ thieves: ['${GOOD}', '${bad}'] }`),
  ).toEqual([`destination.address ${bad}`]);
  expect(misspelt(`contract: [{ selector: '0xa9059cbb' }, { address: ['${bad}'] }]`)).toEqual([
    `contract.1.address ${bad}`,
  ]);
  expect(misspelt(`type: UNMANAGED_WALLET, extraInfo: { address: '${bad}' }`)).toEqual([
    `extraInfo.address ${bad}`,
  ]);
});

test('where the match names an asset with checksums of its own, they count too', () => {
  expect(misspelt(`destination: { address: '${RSK}' }`)).toEqual([`destination.address ${RSK}`]);
  expect(misspelt(`asset: [RBTC], destination: { address: '${RSK}' }`)).toEqual([]);
  expect(misspelt(`asset: [ETH, RBTC], destination: { address: '${RSK}' }`)).toEqual([]);
  expect(misspelt(`asset: [BTC], destination: { address: '${GOOD}' }`)).toEqual([]);
  expect(misspelt(`asset: ['ETH*'], destination: { address: '${SEGWIT}' }`)).toEqual([]);
});
