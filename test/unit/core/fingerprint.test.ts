import { describe, expect, test } from '@jest/globals';
import { batchFacts, identify } from '../../../src/core/fingerprint.js';
import { type Intent, JsonNumber, type TransactionRequest } from '../../../src/core/request.js';

const INTENT: Intent = {
  operation: 'TRANSFER',
  asset: 'ETH',
  source: { type: 'VAULT', id: '0' },
  destinations: [
    {
      type: 'VAULT',
      id: '1',
      address: '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8',
      otherAddresses: [],
      amount: '0.01',
      usd: '18.7',
    },
  ],
  amount: '0.010000000000000000',
  requestedAmount: '0.01',
  fee: '0.0005',
};

const REQUEST: TransactionRequest = {
  kind: 'transaction',
  protocol: 'fireblocks',
  workspace: 'main',
  cosigner: 'cosigner-a',
  signer: 'signer-a',
  requestId: 'r-1',
  txId: 't-1',
  stage: 'signing',
  intent: INTENT,
  rawTransactions: [{ keyDerivationPath: '[ 44, 60, 0, 0, 0 ]', bytes: '02ef', digest: 'aa' }],
};

const with_ = (changes: Partial<TransactionRequest>, intent: Partial<Intent> = {}): TransactionRequest => ({
  ...REQUEST,
  ...changes,
  intent: { ...INTENT, ...intent },
});

describe('one ask', () => {
  test('is the same whichever co-signer and signer ask for the signature', () => {
    expect(identify(with_({ cosigner: 'cosigner-b', signer: 'signer-b' }))).toEqual(identify(REQUEST));
  });

  test('is another one for each approver', () => {
    const one = identify(with_({ stage: 'approval' }));
    const other = identify(with_({ stage: 'approval', signer: 'signer-b' }));
    expect(one.askKey).not.toBe(other.askKey);
    expect(one.moneyKey).toBe(other.moneyKey);
  });

  test('is another one at another stage, about the same money', () => {
    const approval = identify(with_({ stage: 'approval' }));
    expect(approval.askKey).not.toBe(identify(REQUEST).askKey);
    expect(approval.moneyKey).toBe(identify(REQUEST).moneyKey);
    expect(approval.coreFingerprint).toBe(identify(REQUEST).coreFingerprint);
  });

  test('has a key that holds neither vault nor amount, so that a reused id cannot escape', () => {
    const other = identify(with_({}, { source: { type: 'VAULT', id: '7' }, amount: '5' }));
    expect(other.askKey).toBe(identify(REQUEST).askKey);
    expect(other.fingerprint).not.toBe(identify(REQUEST).fingerprint);
  });

  test('cannot be imitated by ids that run into one another', () => {
    const one = identify(with_({ stage: 'approval', requestId: 'a:b', signer: 'c' }));
    const other = identify(with_({ stage: 'approval', requestId: 'a', signer: 'b:c' }));
    expect(one.askKey).not.toBe(other.askKey);
  });
});

describe('money', () => {
  test('of a batch member, and of nothing else, the ledger remembers that it is one', () => {
    const facts = (change: Partial<TransactionRequest>) => batchFacts(with_(change)).map(({ key }) => key);
    expect(facts({ requestId: 't-1-batch-7' })).toEqual(['batch:fireblocks:t-1']);
    expect(facts({ requestId: 't-1' })).toEqual([]);
    expect(facts({ requestId: 'r-1' })).toEqual([]);
  });

  test('of a batch member is counted by the request id, of everything else by the transaction', () => {
    expect(identify(with_({ requestId: 't-1-batch-7' })).moneyKey).toBe('fireblocks:t-1-batch-7');
    expect(identify(with_({ requestId: 't-1' })).moneyKey).toBe('fireblocks:t-1');
    expect(identify(with_({ requestId: 'other' })).moneyKey).toBe('fireblocks:t-1');
  });

  test('may become less between the stages and never more: amounts compare at one scale', () => {
    expect(identify(with_({}, { amount: '0.01' })).amount).toBe(identify(REQUEST).amount);
    expect(BigInt(identify(with_({}, { amount: '0.02' })).amount ?? 0)).toBe(
      2n * BigInt(identify(REQUEST).amount ?? 0),
    );
  });
});

test.each<[string, Partial<Intent>, string | undefined]>([
  ['the whole alone', { amount: '2', destinations: [] }, '2'],
  ['the parts alone', { amount: 'two', destinations: paid('1', '2') }, '3'],
  ['parts that are more than the whole', { amount: '1', destinations: paid('1', '2') }, '3'],
  ['parts that are less than the whole', { amount: '4', destinations: paid('1', '2') }, '4'],
  ['a whole of which one part is not said', { amount: '4', destinations: paid('5', undefined) }, '4'],
  ['neither', { amount: '1e9', destinations: paid(undefined) }, undefined],
])('the amount that no later stage may exceed: %s', (_, intent, expected) => {
  const { amount } = identify(with_({}, intent));
  expect(amount).toBe(expected === undefined ? undefined : `${expected}${'0'.repeat(36)}`);
});

function paid(...amounts: readonly (string | undefined)[]): Intent['destinations'] {
  return amounts.map((amount) => ({
    type: 'VAULT',
    id: '1',
    otherAddresses: [],
    ...(amount === undefined ? {} : { amount }),
  }));
}

test.each<[string, Partial<TransactionRequest>, Partial<Intent>]>([
  ['id', { txId: 't-2' }, {}],
  ['operation', {}, { operation: 'BURN' }],
  ['asset', {}, { asset: 'BTC' }],
  ['source type', {}, { source: { type: 'EXCHANGE', id: '0' } }],
  ['source', {}, { source: { type: 'VAULT', id: '9' } }],
  [
    'destination type',
    {},
    { destinations: INTENT.destinations.map((one) => ({ ...one, type: 'EXCHANGE' })) },
  ],
  ['destination', {}, { destinations: INTENT.destinations.map((one) => ({ ...one, id: '9' })) }],
  ['requested amount', {}, { requestedAmount: '0.02' }],
])('a stage that names another %s speaks of another transaction', (_, changes, intent) => {
  expect(identify(with_(changes, intent)).coreFingerprint).not.toBe(identify(REQUEST).coreFingerprint);
});

test('stages may differ in what only one of them carries', () => {
  const { fee: _fee, ...unsigned } = INTENT;
  const approval: TransactionRequest = {
    ...with_({ stage: 'approval', rawTransactions: [] }),
    intent: {
      ...unsigned,
      amount: '0.01',
      destinations: [{ type: 'VAULT', id: '1', otherAddresses: [], amount: '0.01' }],
    },
  };
  expect(identify(approval).coreFingerprint).toBe(identify(REQUEST).coreFingerprint);
});

test('stages that list the same destinations in another order speak of one transaction', () => {
  const [first] = INTENT.destinations;
  if (first === undefined) throw new Error('a destination');
  const second = { ...first, id: '2' };
  const core = (...destinations: (typeof first)[]) => identify(with_({}, { destinations })).coreFingerprint;
  expect(core(first, second)).toBe(core(second, first));
  expect(core(first, second)).not.toBe(core(first, first));
  expect(core(first, second)).not.toBe(core(first));
});

describe('the content', () => {
  test.each<[string, Partial<TransactionRequest>, Partial<Intent>]>([
    ['the transaction', { txId: 't-2' }, {}],
    ['the operation', {}, { operation: 'BURN' }],
    ['the asset', {}, { asset: 'BTC' }],
    ['the source', {}, { source: { type: 'EXCHANGE', id: '0' } }],
    ['the amount', {}, { amount: '0.010000000000000001' }],
    ['the requested amount', {}, { requestedAmount: '0.02' }],
    ['the fee', {}, { fee: '0.0006' }],
    ['the extra parameters', {}, { extraParameters: { contractCallData: '0x' } }],
    [
      'a destination address',
      {},
      { destinations: [{ type: 'VAULT', id: '1', address: '0x00', otherAddresses: [] }] },
    ],
    [
      'a further address of a destination',
      {},
      { destinations: INTENT.destinations.map((one) => ({ ...one, otherAddresses: ['0xaa'] })) },
    ],
    ['the top-level address', {}, { destinationAddress: '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8' }],
    [
      'the bytes',
      { rawTransactions: [{ keyDerivationPath: '[ 44, 60, 0, 0, 0 ]', bytes: '02ee', digest: 'aa' }] },
      {},
    ],
    [
      'the derivation path',
      { rawTransactions: [{ keyDerivationPath: '[ 44, 60, 1, 0, 0 ]', bytes: '02ef', digest: 'aa' }] },
      {},
    ],
    [
      'the digest, which is what will be signed',
      { rawTransactions: [{ keyDerivationPath: '[ 44, 60, 0, 0, 0 ]', bytes: '02ef', digest: 'ab' }] },
      {},
    ],
    ['a second entry', { rawTransactions: [...REQUEST.rawTransactions, ...REQUEST.rawTransactions] }, {}],
  ])('is another one with %s changed', (_, changes, intent) => {
    expect(identify(with_(changes, intent)).fingerprint).not.toBe(identify(REQUEST).fingerprint);
  });

  test.each<[string, Partial<TransactionRequest>, Partial<Intent>]>([
    ['another spelling of the amount', {}, { amount: '0.01' }],
    [
      'another US dollar value',
      {},
      { destinations: INTENT.destinations.map((one) => ({ ...one, usd: '19' })) },
    ],
    ['another note', {}, { note: 'hello' }],
    [
      'the derivation path as a list',
      {
        rawTransactions: [
          {
            keyDerivationPath: ['44', '60', '0', '0', '0'].map((part) => new JsonNumber(part)),
            bytes: '02ef',
            digest: '0xAA',
          },
        ],
      },
      {},
    ],
    [
      'address and bytes in another case',
      {
        rawTransactions: [{ keyDerivationPath: '[ 44, 60, 0, 0, 0 ]', bytes: '0x02EF', digest: 'aa' }],
      },
      {
        destinations: INTENT.destinations.map((one) => ({
          ...one,
          address: one.address?.toLowerCase() ?? '',
        })),
      },
    ],
  ])('is the same with %s', (_, changes, intent) => {
    expect(identify(with_(changes, intent)).fingerprint).toBe(identify(REQUEST).fingerprint);
  });

  test('of a message that comes without bytes is told by its digest', () => {
    const message = (digest: string) =>
      identify(with_({ rawTransactions: [{ keyDerivationPath: '[]', bytes: undefined, digest }] }));
    expect(message('aa').fingerprint).not.toBe(message('ab').fingerprint);
  });

  test('tells the number 1 from the text "1" in extra parameters, and keeps long numbers exact', () => {
    const digest = (value: JsonNumber | string) =>
      identify(with_({}, { extraParameters: { value } })).fingerprint;
    expect(digest(new JsonNumber('1'))).not.toBe(digest('1'));
    expect(digest(new JsonNumber('9007199254740993'))).not.toBe(digest(new JsonNumber('9007199254740992')));
  });
});

test('a configuration change moves no money and is known by type and content', () => {
  const change = {
    kind: 'config-change',
    protocol: 'fireblocks',
    workspace: 'main',
    cosigner: 'cosigner-a',
    signer: 'admin',
    requestId: 'c-1',
    stage: 'approval',
    type: 'UNMANAGED_WALLET',
    extraInfo: { address: 'bc1q' },
  } as const;
  const ask = identify(change);
  expect(ask.moneyKey).toBeUndefined();
  expect(ask.binding).toBeUndefined();
  expect(identify({ ...change, extraInfo: { address: 'bc1p' } }).fingerprint).not.toBe(ask.fingerprint);
});
