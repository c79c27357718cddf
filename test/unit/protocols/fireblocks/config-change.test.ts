import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { JsonNumber } from '../../../../src/core/request.js';
import type { FireblocksSigner } from '../../../../src/protocols/fireblocks/stage.js';
import { CONFIG_CHANGE, handler, rsaPair } from '../../../support/fireblocks-handler.js';

const cosigner = rsaPair();
const signers: readonly FireblocksSigner[] = [
  { id: 'approver', stages: ['approval'] },
  { id: 'signer', stages: ['signing'] },
];
const { configChange, malformed } = handler(cosigner, cosigner, { signers });

function change(extraInfo: unknown, overrides: object = {}) {
  return configChange({
    requestId: 'change-1',
    signerId: 'approver',
    type: 'EXCHANGE',
    extraInfo,
    ...overrides,
  });
}

function digest(secret: string): string {
  return `redacted:sha256:${createHash('sha256').update(secret).digest('hex').slice(0, 16)}`;
}

test('a whitelisting arrives with all it says', async () => {
  const extraInfo = {
    subType: 'EXTERNAL',
    walletName: 'Supplier',
    walletId: 'w-1',
    asset: 'XLM',
    address: 'GABC',
    tag: '2147483647',
  };
  expect(await change(extraInfo, { type: 'UNMANAGED_WALLET' })).toEqual({
    kind: 'config-change',
    protocol: 'fireblocks',
    workspace: 'main',
    cosigner: 'cosigner-a',
    signer: 'approver',
    requestId: 'change-1',
    stage: 'approval',
    type: 'UNMANAGED_WALLET',
    extraInfo,
  });
});

describe('secrets of third parties', () => {
  test.each<readonly [string, unknown, unknown]>([
    ['at the top', { apiKey: 'k', accountId: '1' }, { apiKey: digest('k'), accountId: '1' }],
    ['inside', { a: [{ b: { apiKey: 'k' } }] }, { a: [{ b: { apiKey: digest('k') } }] }],
    ['that are no text', { apiKey: { id: 'k' } }, { apiKey: digest('{"id":"k"}') }],
    [
      'by a neighbouring name',
      { api_key: 'k', APISecret: 's', passphrase: 'p' },
      { api_key: digest('k'), APISecret: digest('s'), passphrase: digest('p') },
    ],
    [
      'inside text',
      { routingPolicy: '{"n":1.50,"apiKey":"k"}' },
      { routingPolicy: `{"apiKey":"${digest('k')}","n":1.50}` },
    ],
    [
      'inside text inside text',
      { a: JSON.stringify([JSON.stringify({ apiKey: 'k' })]) },
      { a: JSON.stringify([`{"apiKey":"${digest('k')}"}`]) },
    ],
    ['inside text that is broken', { a: '{"apiKey":"k"' }, { a: digest('{"apiKey":"k"') }],
    ['that are absent', { apiKey: null }, { apiKey: null }],
    [
      'that there are none of',
      { addresses: '{ "BTC":"bc1q" }', note: 'rotate the api key' },
      { addresses: '{ "BTC":"bc1q" }', note: 'rotate the api key' },
    ],
  ])('%s', async (_, extraInfo, redacted) => {
    const request = await change(extraInfo);
    expect(request.extraInfo).toEqual(redacted);
  });

  test('different secrets stay different contents', async () => {
    const [one, two] = await Promise.all([change({ apiKey: 'one' }), change({ apiKey: 'two' })]);
    expect(one.extraInfo).not.toEqual(two.extraInfo);
  });
});

test('values are opaque and exact', async () => {
  const request = await configChange(
    '{"requestId":"c","signerId":"approver","type":"POLICY_CHANGE","extraInfo":{"n":1.10}}',
  );
  expect(request.extraInfo).toEqual({ n: new JsonNumber('1.10') });
});

test('extraInfo may be absent, or text that holds an object', async () => {
  expect((await change(undefined)).extraInfo).toEqual({});
  expect((await change('{"walletId":"w"}')).extraInfo).toEqual({ walletId: 'w' });
});

describe('who may ask', () => {
  test.each([
    ['a signer for approval', 'approver', undefined],
    ['a signer for signing only', 'signer', 'SIGNER_NOT_LISTED'],
    ['a signer nobody listed', 'stranger', 'SIGNER_NOT_LISTED'],
    ['nobody by name', undefined, undefined],
  ])('%s', async (_, signerId, doubt) => {
    expect((await change({}, { signerId })).doubt).toBe(doubt);
  });

  test('without a list of signers nobody may ask for approvals', async () => {
    const open = handler(cosigner);
    const request = await open.configChange({ requestId: 'c', type: 'ADD_USER' });
    expect(request.doubt).toBe('SIGNER_NOT_LISTED');
  });
});

test.each([
  [{ type: 'ADD_USER' }, 'requestId: expected text of 1 to 256 characters'],
  [{ requestId: 'c' }, 'type: expected text of 1 to 256 characters'],
  [
    { requestId: 'c', type: 'ADD_USER', extraInfo: [] },
    'extraInfo: expected an object, or text that holds one',
  ],
])('%j is answered 400', async (claims, problem) => {
  expect(await malformed(claims, CONFIG_CHANGE)).toBe(problem);
});
