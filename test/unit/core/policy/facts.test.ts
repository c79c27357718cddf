import { expect, test } from '@jest/globals';
import { partyKey } from '../../../../src/core/policy/destination-keys.js';
import { type Facts, factsOf, type TransactionFacts } from '../../../../src/core/policy/facts.js';
import { JsonNumber } from '../../../../src/core/request.js';
import { testChains } from '../../../support/chains.js';
import {
  ALICE,
  BOB,
  type Change,
  call,
  configChange,
  destination,
  movement,
  question,
} from '../../../support/policy.js';

function factsFrom({ request, examination }: ReturnType<typeof question>): Facts {
  return factsOf(request, examination, testChains);
}

function transaction(change: Change = {}): TransactionFacts {
  const { transaction: facts } = factsFrom(question(change));
  if (facts === null) throw new Error('a transaction');
  return facts;
}

const CLAIMED = { examination: 'absent' } as const;

test('facts are plain JSON', () => {
  for (const asked of [question(), question(CLAIMED), configChange()]) {
    const facts = factsFrom(asked);
    expect(JSON.parse(JSON.stringify(facts))).toEqual(facts);
  }
});

test('a party that is not named is unknown, unless it is of a type that has no name', () => {
  const sourceOf = (type: string, id: string) => transaction({ intent: { source: { type, id } } }).source;
  expect(sourceOf('VAULT', '')).toMatchObject({ type: 'VAULT', id: null });
  expect(sourceOf('UNKNOWN', '7')).toMatchObject({ type: null, id: '7' });
  expect(sourceOf('ONE_TIME', '')).toMatchObject({ type: 'ONE_TIME', id: '' });
});

test('amounts are those of the bytes, not those of the claim', () => {
  const change: Change = {
    intent: { destinations: [destination({ amount: '0.01' })] },
    effects: { movements: [movement({ amount: 7n })] },
  };
  expect(transaction(change)).toMatchObject({
    amount: '7',
    moves: [{ asset: 'ETH', destination: 'VAULT/1', amount: '7' }],
  });
});

test('the fee is what the bytes can cost at most', () => {
  expect(transaction({ intent: { fee: '0.1' }, effects: { maxFee: 5n } }).fee).toEqual({
    asset: 'ETH',
    decimals: 18,
    amount: '5',
  });
});

test('who receives without being named is a destination of which only the address is known', () => {
  const facts = transaction({ effects: { movements: [movement(), movement({ to: BOB, amount: 5n })] } });
  expect(facts.destinations).toMatchObject([
    { type: 'VAULT', id: '1', address: ALICE },
    { type: null, id: null, addressType: null, address: BOB, key: `@/${BOB}`, amount: '5' },
  ]);
  expect(facts).toMatchObject({ amount: '10000000000000005', usd: null });
});

test.each<[string, Change, Partial<TransactionFacts>]>([
  [
    'a leaf that is not understood',
    { effects: { calls: [call({ understood: false })] } },
    { amount: null, usd: null, moves: null },
  ],
  ['a signed message', { effects: { movements: [] } }, { amount: null, usd: null, moves: null }],
  [
    'an asset nobody knows',
    { effects: { movements: [movement({ asset: undefined })] } },
    { amount: null, usd: null, moves: null },
  ],
  [
    'an amount nobody knows',
    { effects: { movements: [movement({ amount: undefined })] } },
    { amount: null, usd: null, moves: null },
  ],
  [
    'something else moves too',
    { effects: { movements: [movement(), movement({ asset: 'USDC', amount: 1n })] } },
    {
      amount: null,
      usd: null,
      moves: [
        { asset: 'ETH', destination: 'VAULT/1', amount: '10000000000000000' },
        { asset: 'USDC', destination: 'VAULT/1', amount: '1' },
      ],
    },
  ],
  [
    'claims: one part is missing',
    { ...CLAIMED, intent: { destinations: [destination(), destination({ amount: 'x' })] } },
    { amount: null, usd: null, moves: null },
  ],
  [
    'claims: the whole is not the sum',
    { ...CLAIMED, intent: { amount: '0.02' } },
    { amount: null, usd: null },
  ],
  [
    'claims: the whole is the sum',
    { ...CLAIMED, intent: { amount: '0.0100' } },
    { amount: '10000000000000000' },
  ],
  [
    'claims: too many decimals',
    { ...CLAIMED, intent: { destinations: [destination({ amount: '0.0000000000000000001' })] } },
    { amount: null },
  ],
  [
    'claims: an unknown asset',
    { intent: { asset: 'NOSUCH' }, refused: { reason: 'ASSET_UNKNOWN', detail: '' } },
    { amount: null, usd: null, decimals: null, chain: null, fee: null },
  ],
  [
    'no destination',
    { ...CLAIMED, intent: { destinations: [] } },
    { destinations: null, amount: null, usd: null },
  ],
  [
    'too many destinations',
    { ...CLAIMED, intent: { destinations: Array.from({ length: 257 }, () => destination()) } },
    { destinations: null, amount: null },
  ],
  ['no bytes, no calls', CLAIMED, { calls: null }],
  ['no fee', { ...CLAIMED, intent: { fee: 'much' } }, { fee: null }],
])('%s', (_, change, expected) => expect(transaction(change)).toMatchObject(expected));

test.each([
  ['18.74292937', '18742929370000000000'],
  ['1e3', '1000000000000000000000'],
  ['0.0000000000000000001', '1'],
  ['-1', null],
  ['0', null],
  ['0.00', null],
  ['NaN', null],
  [undefined, null],
])('US dollars of %s', (usd, expected) => {
  const { usd: _, ...rest } = destination();
  const priced = usd === undefined ? rest : { ...rest, usd };
  expect(transaction({ intent: { destinations: [priced] } }).usd).toBe(expected);
});

test('nothing may be worth nothing', () => {
  expect(
    transaction({ ...CLAIMED, intent: { destinations: [destination({ amount: '0', usd: '0' })] } }).usd,
  ).toBe('0');
});

test('destinations are told apart by type and id, without id by address', () => {
  const keys = (change: Change) => transaction(change).destinations?.map(({ key }) => key);
  const oneTime = destination({ type: 'ONE_TIME', id: '', address: BOB.toUpperCase().replace('0X', '0x') });
  expect(keys({ ...CLAIMED, intent: { destinations: [destination(), oneTime] } })).toEqual([
    'VAULT/1',
    `@/${BOB}`,
  ]);
  const { address: _, ...nowhere } = oneTime;
  expect(keys({ ...CLAIMED, intent: { destinations: [nowhere] } })).toEqual([null]);
  expect(partyKey({ type: '@', id: ALICE })).not.toBe(`@/${ALICE}`);
  expect(partyKey({ type: 'a/b', id: 'c' })).not.toBe(partyKey({ type: 'a', id: 'b/c' }));
});

test('without a decoder addresses are compared as they stand, hex without case', () => {
  const address = (text: string) =>
    transaction({ ...CLAIMED, intent: { asset: 'SOL', destinations: [destination({ address: text })] } })
      .destinations?.[0]?.address;
  expect(address('So1Ana')).toBe('So1Ana');
  expect(address(ALICE.toUpperCase().replace('0X', '0x'))).toBe(ALICE);
});

test('what a configuration change says is bounded, and free of objects', () => {
  const { change } = factsFrom(
    configChange({
      extraInfo: {
        asset: 'ETH',
        walletName: 'x'.repeat(2000),
        walletId: ['a'],
        tag: new JsonNumber('1.50'),
        address: ALICE.toUpperCase().replace('0X', '0x'),
      },
    }),
  );
  expect(change).toEqual({
    type: 'UNMANAGED_WALLET',
    whole: false,
    extraInfo: { asset: 'ETH', tag: '1.50', address: ALICE.toUpperCase().replace('0X', '0x') },
    addresses: [{ member: 'address', asset: 'ETH', address: ALICE }],
  });
});
