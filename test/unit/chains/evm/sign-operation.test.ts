/** Data to be signed, decoded and judged. */
import { describe, expect, test } from '@jest/globals';
import { Transaction } from 'ethers';
import { createRegistry } from '../../../../src/chains/assets.js';
import { readSignOperation } from '../../../../src/chains/evm/sign-operation.js';
import { defaultsOf, verificationSchema } from '../../../../src/core/policy/verification.js';
import type { SignRequest } from '../../../../src/core/request.js';

const registry = createRegistry();
const CONTRACT = `0x${'c0'.repeat(20)}`;
const settings = defaultsOf(
  verificationSchema.parse({
    defaults: {
      allowPersonalSign: true,
      typedData: [{ chainId: 1, verifyingContract: CONTRACT, primaryTypes: ['Order'] }],
    },
  }),
);
const closed = defaultsOf(verificationSchema.parse({ defaults: {} }));
const UNSIGNED = Transaction.from({
  type: 2,
  chainId: 1,
  nonce: 0,
  to: CONTRACT,
  value: 1n,
  gasLimit: 21_000n,
}).unsignedSerialized;

const ORDER = {
  types: { Order: [{ name: 'size', type: 'uint256' }] },
  primaryType: 'Order',
  domain: { chainId: 1, verifyingContract: CONTRACT },
  message: { size: '5' },
};
const EIP712 = 'application/x-eip712+json';
const HEX = 'application/octet-stream+hex';
const BASE64 = 'application/octet-stream+base64';

function outcome(data: unknown, contentType: string, { algorithm = '', under = settings } = {}): string {
  const request: SignRequest = {
    kind: 'sign',
    stage: 'approval',
    protocol: 'iofinnet',
    workspace: 'main',
    cosigner: 'vs',
    signer: undefined,
    requestId: 'o.op',
    source: { type: 'VAULT', id: 'v' },
    contentType,
    algorithm,
    data: data === undefined || typeof data === 'string' ? data : JSON.stringify(data),
  };
  const judged = readSignOperation(request, { settings: under, registry });
  return judged.kind === 'refused' ? judged.reason : 'effects';
}

describe('typed data', () => {
  test.each<[string, unknown, string]>([
    ['that is listed', ORDER, 'effects'],
    [
      'for another contract',
      { ...ORDER, domain: { ...ORDER.domain, verifyingContract: `0x${'c1'.repeat(20)}` } },
      'TYPED_NOT_ALLOWED',
    ],
    ['for another chain', { ...ORDER, domain: { ...ORDER.domain, chainId: 5 } }, 'TYPED_NOT_ALLOWED'],
    ['for no contract', { ...ORDER, domain: { chainId: 1 } }, 'TYPED_NOT_ALLOWED'],
    [
      'of another type',
      { ...ORDER, types: { Permit: ORDER.types.Order }, primaryType: 'Permit' },
      'TYPED_NOT_ALLOWED',
    ],
    [
      'that shows more than is signed',
      { ...ORDER, message: { size: '5', price: '1' } },
      'TYPED_EXTRA_FIELDS',
    ],
    ['that is no JSON', '{', 'TYPED_MALFORMED'],
    ['that is missing', undefined, 'TYPED_MESSAGE_MISSING'],
  ])('%s: %s', (_, data, expected) => {
    expect(outcome(data, EIP712)).toBe(expected);
  });

  test('is signed with the algorithm that contracts verify, or one that nobody names', () => {
    expect(outcome(ORDER, EIP712, { algorithm: 'ESKEC256' })).toBe('effects');
    expect(outcome(ORDER, EIP712, { algorithm: 'EDDSA' })).toBe('TYPED_TYPE_REFUSED');
  });

  test('shows its contract as a call that is not understood', () => {
    const judged = readSignOperation(
      {
        kind: 'sign',
        stage: 'approval',
        protocol: 'p',
        workspace: 'w',
        cosigner: 'c',
        signer: undefined,
        requestId: 'r',
        source: { type: 'VAULT', id: 'v' },
        contentType: EIP712,
        algorithm: '',
        data: JSON.stringify(ORDER),
      },
      { settings, registry },
    );
    expect(judged).toMatchObject({
      effects: { chain: 'eip155:1', movements: [], calls: [{ address: CONTRACT, understood: false }] },
    });
  });
});

describe('text', () => {
  test.each<[string, string, string]>([
    ['of words', 'I own this address', 'effects'],
    ['that spells a transaction', UNSIGNED, 'RAW_REFUSED'],
    ['that spells one without prefix', UNSIGNED.slice(2), 'RAW_REFUSED'],
    ['that spells one in base64', Buffer.from(UNSIGNED.slice(2), 'hex').toString('base64'), 'RAW_REFUSED'],
    ['as long as a digest', 'x'.repeat(32), 'RAW_REFUSED'],
    ['that spells a digest', 'ab'.repeat(32), 'RAW_REFUSED'],
    ['that spells a digest with its prefix', `0x${'ab'.repeat(32)}`, 'RAW_REFUSED'],
    ['that spells a digest in base64', Buffer.alloc(32, 0xab).toString('base64'), 'RAW_REFUSED'],
    ['that is not well formed', '\ud800', 'TYPED_MALFORMED'],
  ])('%s: %s', (_, data, expected) => {
    expect(outcome(data, 'text/plain')).toBe(expected);
  });

  test('is refused unless it is allowed', () => {
    expect(outcome('I own this address', 'text/plain', { under: closed })).toBe('PERSONAL_SIGN_REFUSED');
  });
});

describe('raw bytes', () => {
  test.each<[string, string, string]>([
    [HEX, UNSIGNED, 'RAW_REFUSED'],
    [HEX, 'ab'.repeat(32), 'RAW_REFUSED'],
    [HEX, '68656c6c6f', 'RAW_REFUSED'],
    [HEX, 'hello', 'TYPED_MALFORMED'],
    [HEX, '', 'TYPED_MESSAGE_MISSING'],
    [HEX, 'ab'.repeat(200_000), 'RAWTX_TOO_LARGE'],
    [BASE64, 'aGVsbG8=', 'RAW_REFUSED'],
    [BASE64, 'aGVsbG8', 'TYPED_MALFORMED'],
    ['application/json', '{}', 'TYPED_TYPE_REFUSED'],
    ['', '00', 'TYPED_TYPE_REFUSED'],
  ])('%s %.20s: %s', (contentType, data, expected) => {
    expect(outcome(data, contentType)).toBe(expected);
  });
});
