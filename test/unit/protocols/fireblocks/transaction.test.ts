import { describe, expect, test } from '@jest/globals';
import { JsonNumber } from '../../../../src/core/request.js';
import type { FireblocksSigner } from '../../../../src/protocols/fireblocks/stage.js';
import {
  approvalClaims,
  CONFIG_CHANGE,
  handler,
  rsaPair,
  signingClaims,
} from '../../../support/fireblocks-handler.js';

const cosigner = rsaPair();
const { transaction, malformed } = handler(cosigner);

async function destination(overrides: object) {
  const request = await transaction(signingClaims({ destinations: [overrides] }));
  return request.intent.destinations[0];
}

test('every documented field arrives where it belongs', async () => {
  expect(
    await transaction(
      signingClaims({
        externalTxId: 'order-9',
        note: 'for the auditors',
        extraParameters: { contractCallData: '0xa9059cbb', inputsSelection: { max: 12 } },
      }),
    ),
  ).toEqual({
    kind: 'transaction',
    protocol: 'fireblocks',
    workspace: 'main',
    cosigner: 'cosigner-a',
    signer: 'signer-1',
    requestId: '6a9d2e0c-0a53-4a0e-9d6c-1f2b7a8c9d10',
    stage: 'signing',
    txId: '6a9d2e0c-0a53-4a0e-9d6c-1f2b7a8c9d10',
    intent: {
      operation: 'TRANSFER',
      asset: 'ETH',
      source: { type: 'VAULT', id: '7' },
      destinations: [
        {
          type: 'VAULT',
          id: '8',
          name: 'Treasury',
          address: '0x00000000000000000000000000000000000000aa',
          otherAddresses: [],
          addressType: 'WHITELISTED',
          amount: '0.5',
          usd: '1000.25',
        },
      ],
      destinationAddress: '0x00000000000000000000000000000000000000aa',
      amount: '0.500000000000000000',
      requestedAmount: '0.5',
      fee: '0.000021',
      externalTxId: 'order-9',
      note: 'for the auditors',
      extraParameters: {
        contractCallData: '0xa9059cbb',
        inputsSelection: { max: new JsonNumber('12') },
      },
    },
    rawTransactions: [{ keyDerivationPath: '[ 44, 60, 7, 0, 0 ]', bytes: '02c0', digest: 'ab' }],
  });
});

test('ids, amounts and values are exact text; the deprecated number fields are never read', async () => {
  const text = JSON.stringify(signingClaims())
    .replace('"amountUSD":1000.25', '"amountUSD":0.10000000000000000001')
    .replace('"amountNative":0.5', '"amountNative":99')
    .replace('"amount":0.5', '"amount":99');
  const { intent } = await transaction(text);
  expect(intent.destinations[0]?.usd).toBe('0.10000000000000000001');
  expect(JSON.stringify(intent)).not.toContain('99');
});

test('without the text fields there is no amount, whatever the number fields say', async () => {
  const { intent } = await transaction(
    signingClaims({
      amountStr: undefined,
      requestedAmountStr: null,
      destinations: [{ dstType: 'VAULT', dstId: '8', amountNative: 5, displayDstAddress: '0xaa' }],
    }),
  );
  expect(intent).not.toHaveProperty('amount');
  expect(intent).not.toHaveProperty('requestedAmount');
  expect(intent.destinations[0]).not.toHaveProperty('amount');
});

test.each([
  ['null', 'null', undefined],
  ['negative', '-1', '-1'],
  ['huge', '1e400', '1e400'],
  ['in quotes', '"1000.25"', undefined],
  ['an object', '{"value":5}', undefined],
])('a USD value that is %s is left to the policy', async (_, written, usd) => {
  const { intent } = await transaction(JSON.stringify(signingClaims()).replace('1000.25', written));
  expect(intent.destinations[0]?.usd).toBe(usd);
});

test.each([
  ['an endless note', { note: 'x'.repeat(20_000) }],
  ['a note that is no text', { note: { text: 'hello' } }],
  ['a destination with a list for a name', { destinations: [{ dstId: '8', dstName: ['Treasury'] }] }],
])('%s is left out, and fails nothing', async (_, claims) => {
  const { intent } = await transaction(signingClaims(claims));
  expect(intent).not.toHaveProperty('note');
  expect(intent.destinations[0]?.name ?? 'Treasury').toBe('Treasury');
});

test('the operation is TRANSFER by default and otherwise what is written', async () => {
  expect((await transaction(signingClaims({ operation: undefined }))).intent.operation).toBe('TRANSFER');
  expect((await transaction(signingClaims({ operation: 'UPGRADE_V9' }))).intent.operation).toBe('UPGRADE_V9');
  expect((await transaction(signingClaims({ operation: 'transfer' }))).intent.operation).toBe('transfer');
});

test('a batch member keeps its own request id', async () => {
  const request = await transaction(signingClaims({ txId: 'tx-1', requestId: 'tx-1_0001' }));
  expect(request).toMatchObject({ txId: 'tx-1', requestId: 'tx-1_0001' });
});

test('extraParameters may be text that holds an object', async () => {
  const { intent } = await transaction(signingClaims({ extraParameters: '{"n":1.50,"__proto__":{"x":1}}' }));
  expect(intent.extraParameters).toEqual(
    Object.assign(Object.create(null), {
      n: new JsonNumber('1.50'),
      ['__proto__']: { x: new JsonNumber('1') },
    }),
  );
  expect((await transaction(signingClaims({ extraParameters: '' }))).intent).not.toHaveProperty(
    'extraParameters',
  );
});

describe('destinations', () => {
  test.each([
    ['VAULT', '', { type: 'VAULT' }],
    ['VAULT_ACCOUNT', undefined, { type: 'VAULT' }],
    ['EXCHANGE', 'kraken', { type: 'EXCHANGE', subType: 'KRAKEN' }],
    ['EXCHANGE_ACCOUNT', 'BINANCE', { type: 'EXCHANGE', subType: 'BINANCE' }],
    ['FIAT_ACCOUNT', 'BLINC', { type: 'FIAT', subType: 'BLINC' }],
    ['UNMANAGED', 'EXTERNAL', { type: 'UNMANAGED', subType: 'EXTERNAL' }],
    ['UNMANAGED', 'contract', { type: 'UNMANAGED', subType: 'CONTRACT' }],
    ['UNMANAGED', '', { type: 'UNMANAGED' }],
    ['INTERNAL', undefined, { type: 'UNMANAGED', subType: 'INTERNAL' }],
    ['EXTERNAL', 'EXTERNAL', { type: 'UNMANAGED', subType: 'EXTERNAL' }],
    ['CONTRACT', undefined, { type: 'UNMANAGED', subType: 'CONTRACT' }],
    ['INTERNAL_WALLET', undefined, { type: 'UNMANAGED', subType: 'INTERNAL' }],
    ['EXTERNAL_WALLET', undefined, { type: 'UNMANAGED', subType: 'EXTERNAL' }],
    ['INTERNAL', 'EXTERNAL', { type: 'INTERNAL', subType: 'EXTERNAL' }],
    ['ONE_TIME', undefined, { type: 'ONE_TIME' }],
    ['ONE_TIME_ADDRESS', undefined, { type: 'ONE_TIME' }],
    ['NETWORK_CONNECTION', undefined, { type: 'NETWORK' }],
    ['CONNECTED_ACCOUNT', undefined, { type: 'CONNECTED' }],
    ['END_USER_WALLET', undefined, { type: 'END_USER' }],
    ['unmanaged', 'internal', { type: 'UNMANAGED', subType: 'INTERNAL' }],
    ['SRC_DST_NA', undefined, { type: 'SRC_DST_NA' }],
    ['*', undefined, { type: '*' }],
    ['__proto__', undefined, { type: '__PROTO__' }],
    ['', undefined, { type: 'UNKNOWN' }],
    [undefined, undefined, { type: 'UNKNOWN' }],
  ])('type %p with sub-type %p', async (dstType, dstSubType, kind) => {
    expect(await destination({ dstType, dstSubType, dstId: '1' })).toEqual({
      ...kind,
      id: '1',
      otherAddresses: [],
    });
  });

  test('each of several is read; the top level speaks of none of them', async () => {
    const { intent } = await transaction(
      signingClaims({
        destinations: [
          { dstType: 'VAULT', dstId: '1', amountNativeStr: '0.2', displayDstAddress: 'a', dstAddress: 'b' },
          { dstType: 'ONE_TIME', dstId: '', amountNativeStr: '0.3', displayDstAddress: 'c' },
        ],
      }),
    );
    expect(intent.destinations).toEqual([
      { type: 'VAULT', id: '1', amount: '0.2', address: 'a', otherAddresses: ['b'] },
      { type: 'ONE_TIME', id: '', amount: '0.3', address: 'c', otherAddresses: [] },
    ]);
    expect(intent).not.toHaveProperty('destinationAddress');
  });

  test.each([[undefined], [null], [[]]])(
    'with %p for a list and no bytes, the top level is the destination',
    async (destinations) => {
      const { intent } = await transaction(signingClaims({ destinations, rawTx: undefined }));
      expect(intent.destinations).toEqual([
        {
          type: 'VAULT',
          id: '8',
          address: '0x00000000000000000000000000000000000000aa',
          otherAddresses: [],
          addressType: 'WHITELISTED',
          amount: '0.500000000000000000',
        },
      ]);
      expect(intent.destinationAddress).toBe('0x00000000000000000000000000000000000000aa');
    },
  );

  test('where bytes pay, the top level never stands in for a missing list', async () => {
    const { intent } = await transaction(signingClaims({ destinations: [] }));
    expect(intent.destinations).toEqual([]);
  });

  test('there may be none at all', async () => {
    const none = { destinations: undefined, destType: '', destId: '', destAddress: '', operation: 'RAW' };
    const { intent } = await transaction(signingClaims(none));
    expect(intent.destinations).toEqual([]);
    expect(intent).not.toHaveProperty('destinationAddress');
  });
});

describe('the stage', () => {
  const BOTH: FireblocksSigner = { id: 'signer-1', stages: ['approval', 'signing'] };
  const APPROVER: FireblocksSigner = { id: 'signer-1', stages: ['approval'] };
  const SIGNER: FireblocksSigner = { id: 'signer-1', stages: ['signing'] };
  const OTHER: FireblocksSigner = { id: 'signer-2', stages: ['approval', 'signing'] };
  const raw = { operation: 'RAW', extraParameters: { rawMessageData: { messages: [] } } };
  const typed = { operation: 'TYPED_MESSAGE' };
  const emptyMark = { destinations: [{ dstType: 'VAULT', dstId: '8', displayDstAddress: '' }] };
  const onlyAddress = { destinations: [{ dstType: 'VAULT', dstId: '8', displayDstAddress: '0xaa' }] };
  const nobody = { signerId: undefined };
  const bytes = { rawTx: [{ rawTx: '02' }] };

  const APPROVAL = { stage: 'approval' };
  const SIGNING = { stage: 'signing' };
  const UNCLEAR = { stage: 'signing', doubt: 'STAGE_UNCLEAR' };
  const NOT_LISTED = { stage: 'signing', doubt: 'SIGNER_NOT_LISTED' };

  test.each<readonly [string, readonly FireblocksSigner[] | undefined, object, object]>([
    ['marked, no list', undefined, signingClaims(), SIGNING],
    ['marked, no list, no signer', undefined, signingClaims(nobody), SIGNING],
    ['marked, a signer for signing', [OTHER, SIGNER], signingClaims(), SIGNING],
    ['marked, a signer for both', [BOTH], signingClaims(), SIGNING],
    ['marked, a signer for approval only', [APPROVER, OTHER], signingClaims(), NOT_LISTED],
    ['marked, another signer', [OTHER], signingClaims(), NOT_LISTED],
    ['marked, a signer without stages', [{ id: 'signer-1', stages: [] }], signingClaims(), NOT_LISTED],
    ['marked, an empty list', [], signingClaims(), NOT_LISTED],
    ['marked, no signer, one listed for signing', [SIGNER], signingClaims(nobody), SIGNING],
    ['marked, no signer, none listed for signing', [APPROVER], signingClaims(nobody), NOT_LISTED],
    ['marked, an empty signer', [SIGNER], signingClaims({ signerId: '' }), SIGNING],
    ['marked by the fee alone', [BOTH], approvalClaims({ fee: '0.1' }), SIGNING],
    ['marked by bytes alone', [BOTH], approvalClaims(bytes), SIGNING],
    ['marked by an address alone', [BOTH], approvalClaims(onlyAddress), SIGNING],
    ['marked RAW', [BOTH], approvalClaims({ ...raw, ...bytes }), SIGNING],

    ['unmarked, no list', undefined, approvalClaims(), UNCLEAR],
    ['unmarked, no list, no signer', undefined, approvalClaims(nobody), UNCLEAR],
    ['unmarked, a signer for approval', [APPROVER], approvalClaims(), APPROVAL],
    ['unmarked, a signer for both', [BOTH], approvalClaims(), APPROVAL],
    ['unmarked, a signer for signing', [SIGNER, OTHER], approvalClaims(), UNCLEAR],
    ['unmarked, another signer', [OTHER], approvalClaims(), NOT_LISTED],
    ['unmarked, no signer', [APPROVER], approvalClaims(nobody), UNCLEAR],
    ['unmarked, an empty list of bytes', [APPROVER], approvalClaims({ rawTx: [] }), APPROVAL],

    ['unmarked RAW, a signer for approval', [APPROVER], approvalClaims(raw), APPROVAL],
    ['unmarked RAW, a signer for signing', [SIGNER], approvalClaims(raw), SIGNING],
    ['unmarked RAW, a signer for both', [BOTH], approvalClaims(raw), UNCLEAR],
    ['unmarked RAW, no list', undefined, approvalClaims(raw), SIGNING],
    ['unmarked RAW, no signer', undefined, approvalClaims({ ...raw, ...nobody }), UNCLEAR],
    ['unmarked RAW, another signer', [OTHER], approvalClaims(raw), NOT_LISTED],
    ['unmarked TYPED_MESSAGE, a signer for both', [BOTH], approvalClaims(typed), UNCLEAR],
    ['unmarked TYPED_MESSAGE, a signer for approval', [APPROVER], approvalClaims(typed), APPROVAL],

    ['a fee of null, a signer for both', [BOTH], approvalClaims({ fee: null }), UNCLEAR],
    ['an empty fee, a signer for approval', [APPROVER], approvalClaims({ fee: '' }), APPROVAL],
    ['an empty address, a signer for both', [BOTH], approvalClaims(emptyMark), UNCLEAR],
    ['an empty address, a signer for signing', [SIGNER], approvalClaims(emptyMark), SIGNING],
  ])('%s', async (_, signers, claims, expected) => {
    const request = await handler(cosigner, cosigner, signers === undefined ? {} : { signers }).transaction(
      claims,
    );
    const { stage, doubt } = request;
    expect(doubt === undefined ? { stage } : { stage, doubt }).toEqual(expected);
  });
});

describe('answered 400, naming the field', () => {
  const long = 'x'.repeat(257);
  test.each<readonly [string, object | string, string]>([
    [
      'no request id',
      signingClaims({ requestId: undefined }),
      'requestId: expected text of 1 to 256 characters',
    ],
    [
      'an empty request id',
      signingClaims({ requestId: '' }),
      'requestId: expected text of 1 to 256 characters',
    ],
    ['a number for a request id', signingClaims({ requestId: 7 }), 'requestId: expected text'],
    ['a long request id', signingClaims({ requestId: long }), 'requestId: expected at most 256 characters'],
    ['a line break in an id', signingClaims({ txId: 'a\nb' }), 'txId: expected no control characters'],
    ['half a character in an id', signingClaims({ txId: 'a\ud800' }), 'txId: expected no control characters'],
    ['no transaction id', signingClaims({ txId: null }), 'txId: expected text of 1 to 256 characters'],
    ['a signer that is no text', signingClaims({ signerId: ['signer-1'] }), 'signerId: expected text'],
    ['a number for an amount', signingClaims({ amountStr: 0.5 }), 'amountStr: expected text'],
    [
      'an endless amount',
      signingClaims({ amountStr: '1'.repeat(161) }),
      'amountStr: expected at most 160 characters',
    ],
    ['a number for a fee', signingClaims({ fee: 1 }), 'fee: expected text'],
    ['an object for destinations', signingClaims({ destinations: {} }), 'destinations: expected a list'],
    [
      'text among destinations',
      signingClaims({ destinations: [{}, 'x'] }),
      'destinations[1]: expected an object',
    ],
    [
      '501 destinations',
      signingClaims({ destinations: Array(501).fill({}) }),
      'destinations: expected at most 500 entries',
    ],
    [
      'a number for a type',
      signingClaims({ destinations: [{}, { dstType: 1 }] }),
      'destinations[1].dstType: expected text',
    ],
    [
      '501 raw transactions',
      signingClaims({ rawTx: Array(501).fill({}) }),
      'rawTx: expected at most 500 entries',
    ],
    ['text for raw transactions', signingClaims({ rawTx: '02c0' }), 'rawTx: expected a list'],
    [
      'a list for extra parameters',
      signingClaims({ extraParameters: [] }),
      'extraParameters: expected an object, or text that holds one',
    ],
    [
      'text for extra parameters',
      signingClaims({ extraParameters: 'psbt' }),
      'extraParameters: expected an object, or text that holds one (expected a value at character 0)',
    ],
    [
      'a repeated claim',
      '{"requestId":"a","requestId":"b"}',
      'the payload is not JSON: a member name is repeated at character 17',
    ],
    [
      'a repeated claim inside text',
      signingClaims({ extraParameters: '{"a":1,"a":2}' }),
      'extraParameters: expected an object, or text that holds one (a member name is repeated at character 7)',
    ],
    [
      'something after the claims',
      '{"requestId":"a"}{}',
      'the payload is not JSON: expected the end at character 17',
    ],
    [
      'endless nesting',
      `{"a":${'['.repeat(40)}`,
      'the payload is not JSON: nested deeper than 32 at character 36',
    ],
  ])('%s', async (_, claims, problem) => {
    expect(await malformed(claims)).toBe(problem);
  });

  test('a transaction brought to the route of configuration changes', async () => {
    expect(await malformed(signingClaims(), CONFIG_CHANGE)).toBe(
      'type: expected text of 1 to 256 characters',
    );
  });
});
