import { describe, expect, test } from '@jest/globals';
import { hashMessage, TypedDataEncoder, type TypedDataField } from 'ethers';
import type { TransactionRequest } from '../../../../src/core/request.js';
import { cpuClock } from '../../../support/cpu-clock.js';
import { reasonOf, verifier } from '../../../support/examining.js';
import { jsonOf } from '../../../support/json.js';
import { signingRequest } from '../../../support/signing-requests.js';

const CONTRACT = '0xcccccccccccccccccccccccccccccccccccccccc';
const domain = { name: 'Ether Mail', version: '1', chainId: 1, verifyingContract: CONTRACT };
const types: Record<string, TypedDataField[]> = {
  Person: [
    { name: 'name', type: 'string' },
    { name: 'wallet', type: 'address' },
  ],
  Mail: [
    { name: 'from', type: 'Person' },
    { name: 'to', type: 'Person[]' },
    { name: 'urgent', type: 'bool' },
    { name: 'size', type: 'uint256' },
  ],
};
const cow = { name: 'Cow', wallet: '0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826' };
const message = { from: cow, to: [cow], urgent: true, size: '9007199254740993' };
const content = { types, primaryType: 'Mail', domain, message };
const listed = { typedData: [{ chainId: 1, verifyingContract: CONTRACT, primaryTypes: ['Mail'] }] };

interface Shown {
  readonly shown?: object | string;
  readonly digest?: string;
  readonly type?: string;
  readonly bytes?: string;
}

const mailDigest = TypedDataEncoder.hash(domain, types, message);

function typedRequest({
  shown = content,
  digest = mailDigest,
  type = 'EIP712',
  bytes,
}: Shown = {}): TransactionRequest {
  const rawMessageData = { messages: [{ content: shown, type }] };
  return signingRequest(
    {
      operation: 'TYPED_MESSAGE',
      amount: '0',
      extraParameters: jsonOf(JSON.stringify({ rawMessageData })),
    },
    [{ keyDerivationPath: '[ 44, 60, 0, 0, 0 ]', bytes, digest: digest.slice(2) }],
  );
}

const verify = verifier(listed);

describe('typed data', () => {
  test.each<[string, Shown]>([
    ['as an object', {}],
    ['as text', { shown: JSON.stringify(content) }],
    ['with its preimage', { bytes: TypedDataEncoder.encode(domain, types, message).slice(2) }],
    [
      'with a declared domain type',
      {
        shown: {
          ...content,
          types: { ...types, EIP712Domain: domainType('name', 'version', 'chainId', 'verifyingContract') },
        },
      },
    ],
  ])('agrees %s', async (_, shown) => {
    expect(reasonOf(await verify(typedRequest(shown)))).toBe('agrees');
  });

  test('is a call that nobody understands, so no amount is known', async () => {
    expect(await verify(typedRequest())).toMatchObject({
      effects: { movements: [], calls: [{ address: CONTRACT, understood: false }] },
    });
  });

  const forChain = (chainId: number | undefined) => {
    const other = {
      name: 'Ether Mail',
      version: '1',
      verifyingContract: CONTRACT,
      ...(chainId === undefined ? {} : { chainId }),
    };
    return { shown: { ...content, domain: other }, digest: TypedDataEncoder.hash(other, types, message) };
  };

  test.each<[string, string, Shown]>([
    ['another digest', 'HASH_MISMATCH', { digest: `0x${'11'.repeat(32)}` }],
    ['a preimage of something else', 'HASH_MISMATCH', { bytes: `1901${'00'.repeat(64)}` }],
    [
      'a member more than is signed',
      'TYPED_EXTRA_FIELDS',
      { shown: { ...content, message: { ...message, note: 'x' } } },
    ],
    [
      'a nested member more than is signed',
      'TYPED_EXTRA_FIELDS',
      { shown: { ...content, message: { ...message, to: [{ ...cow, note: 'x' }] } } },
    ],
    [
      'a member missing',
      'TYPED_MALFORMED',
      { shown: { ...content, message: { ...message, size: undefined } } },
    ],
    [
      'text for a boolean',
      'TYPED_MALFORMED',
      { shown: { ...content, message: { ...message, urgent: 'false' } } },
    ],
    [
      'a fraction for an integer',
      'TYPED_MALFORMED',
      { shown: { ...content, message: { ...message, size: 1.5 } } },
    ],
    [
      'an address without 0x',
      'TYPED_MALFORMED',
      { shown: { ...content, message: { ...message, from: { ...cow, wallet: cow.wallet.slice(2) } } } },
    ],
    ['another root type', 'TYPED_MALFORMED', { shown: { ...content, primaryType: 'Person' } }],
    [
      'a root type named like a member of every object',
      'TYPED_MALFORMED',
      { shown: { ...content, primaryType: 'constructor' } },
    ],
    [
      'a domain with a foreign member',
      'TYPED_DOMAIN_MISMATCH',
      { shown: { ...content, domain: { ...domain, httpOrigin: 'https://example.org' } } },
    ],
    [
      'a domain type that names less than the domain',
      'TYPED_DOMAIN_MISMATCH',
      { shown: { ...content, types: { ...types, EIP712Domain: domainType('name', 'version') } } },
    ],
    [
      'a declared domain of another type',
      'TYPED_DOMAIN_MISMATCH',
      {
        shown: {
          ...content,
          types: {
            ...types,
            EIP712Domain: domainType('name', 'version', 'chainId', 'verifyingContract').map((member) =>
              member.name === 'chainId' ? { ...member, type: 'uint8' } : member,
            ),
          },
        },
      },
    ],
    ['another chain', 'CHAIN_ID_MISMATCH', forChain(137)],
    ['no chain', 'CHAIN_ID_MISMATCH', forChain(undefined)],
    ['another kind of message', 'TYPED_TYPE_REFUSED', { type: 'EIP191' }],
    [
      'types in a circle',
      'TYPED_MALFORMED',
      { shown: { ...content, types: { Mail: [{ name: 'a', type: 'Mail' }] }, message: { a: null } } },
    ],
  ])('is refused with %s: %s', async (_, reason, shown) => {
    expect(reasonOf(await verify(typedRequest(shown)))).toBe(reason);
  });

  test('is refused when nobody listed it', async () => {
    expect(reasonOf(await verifier()(typedRequest()))).toBe('TYPED_NOT_ALLOWED');
  });

  test('is answered soon when its types multiply', async () => {
    const layered = Object.fromEntries(
      Array.from({ length: 40 }, (_, layer) => [
        `T${layer}`,
        layer === 39
          ? [{ name: 'x', type: 'bool' }]
          : [`T${layer + 1}`, `T${layer + 1}`].map((type, index) => ({ name: `m${index}`, type })),
      ]),
    );
    const cpuMs = cpuClock();
    expect(
      reasonOf(await verify(typedRequest({ shown: { ...content, types: layered, primaryType: 'T0' } }))),
    ).toBe('TYPED_MALFORMED');
    expect(cpuMs()).toBeLessThan(1_000);
  });
});

describe('a personal message', () => {
  const text = Buffer.from('login');
  const request = typedRequest({
    type: 'ETH_MESSAGE',
    shown: text.toString('hex'),
    digest: hashMessage(text),
  });
  const open = verifier({ allowPersonalSign: true });

  test('is refused by default', async () => {
    expect(reasonOf(await verify(request))).toBe('PERSONAL_SIGN_REFUSED');
  });

  test('agrees where allowed, and only with its own digest', async () => {
    expect(reasonOf(await open(request))).toBe('agrees');
    const other = typedRequest({ type: 'ETH_MESSAGE', shown: '00', digest: hashMessage(text) });
    expect(reasonOf(await open(other))).toBe('HASH_MISMATCH');
  });
});

test('a request that shows no message, too many, or another number than digests is refused', async () => {
  const request = typedRequest();
  const showing = (messages: readonly object[]) => ({
    ...request,
    intent: {
      ...request.intent,
      extraParameters: jsonOf(JSON.stringify({ rawMessageData: { messages } })),
    },
  });
  const one = { content, type: 'EIP712' };
  expect(reasonOf(await verify(showing([])))).toBe('TYPED_MESSAGE_MISSING');
  expect(reasonOf(await verify(showing([one, one])))).toBe('RAWTX_COUNT');
  expect(reasonOf(await verify(showing(Array.from({ length: 9 }, () => one))))).toBe('TYPED_MALFORMED');
});

function domainType(
  ...names: readonly ('name' | 'version' | 'chainId' | 'verifyingContract')[]
): TypedDataField[] {
  const kinds = { name: 'string', version: 'string', chainId: 'uint256', verifyingContract: 'address' };
  return names.map((name) => ({ name, type: kinds[name] }));
}
