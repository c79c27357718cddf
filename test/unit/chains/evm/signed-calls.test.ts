/** Typed data that gives value away is judged as the call it stands for, by Fireblocks' messages and by data to be signed alike. */
import { describe, expect, test } from '@jest/globals';
import type { TypedDataField } from 'ethers';
import { createChains } from '../../../../src/chains/index.js';
import { factsOf } from '../../../../src/core/policy/facts.js';
import { defaultsOf, verificationSchema } from '../../../../src/core/policy/verification.js';
import type { SignRequest } from '../../../../src/core/request.js';
import { examineMessage } from '../../../../src/core/verify.js';

const USDC = '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48';
const UNLISTED = `0x${'77'.repeat(20)}`;
const PERMIT2 = '0x000000000022d473030f116ddee9f6b43ac78ba3';
const OWNER = `0x${'0a'.repeat(20)}`;
const SPENDER = `0x${'5b'.repeat(20)}`;
const PAYEE = `0x${'9c'.repeat(20)}`;
const WORD = `0x${'00'.repeat(32)}`;

type Fields = readonly (readonly [type: string, name: string])[];
const fields = (list: Fields): TypedDataField[] => list.map(([type, name]) => ({ type, name }));

const PERMIT: Fields = [
  ...([
    ['address', 'owner'],
    ['address', 'spender'],
    ['uint256', 'value'],
  ] as Fields),
  ...([
    ['uint256', 'nonce'],
    ['uint256', 'deadline'],
  ] as Fields),
];
const DAI_PERMIT: Fields = [
  ...([
    ['address', 'holder'],
    ['address', 'spender'],
    ['uint256', 'nonce'],
  ] as Fields),
  ...([
    ['uint256', 'expiry'],
    ['bool', 'allowed'],
  ] as Fields),
];
const AUTHORIZATION: Fields = [
  ...([
    ['address', 'from'],
    ['address', 'to'],
    ['uint256', 'value'],
  ] as Fields),
  ...([
    ['uint256', 'validAfter'],
    ['uint256', 'validBefore'],
    ['bytes32', 'nonce'],
  ] as Fields),
];
const DETAILS: Fields = [
  ...([
    ['address', 'token'],
    ['uint160', 'amount'],
    ['uint48', 'expiration'],
    ['uint48', 'nonce'],
  ] as Fields),
];
const TOKEN_PERMISSIONS: Fields = [
  ['address', 'token'],
  ['uint256', 'amount'],
];
const transferOf = (permitted: string, ...more: Fields): Fields => [
  ...([
    [permitted, 'permitted'],
    ['address', 'spender'],
    ['uint256', 'nonce'],
    ['uint256', 'deadline'],
  ] as Fields),
  ...more,
];

interface Message {
  readonly type: string;
  readonly types: Readonly<Record<string, Fields>>;
  readonly message: object;
  readonly contract?: string;
}

const permit = (change: object = {}, contract = USDC): Message => ({
  type: 'Permit',
  types: { Permit: PERMIT },
  contract,
  message: { owner: OWNER, spender: SPENDER, value: '5000000', nonce: 0, deadline: 2_000_000_000, ...change },
});
const daiPermit = (allowed: boolean): Message => ({
  type: 'Permit',
  types: { Permit: DAI_PERMIT },
  message: { holder: OWNER, spender: SPENDER, nonce: 0, expiry: 0, allowed },
});
const authorization = (type: string, to = PAYEE): Message => ({
  type,
  types: { [type]: AUTHORIZATION },
  message: { from: OWNER, to, value: '0x4c4b40', validAfter: 0, validBefore: 1, nonce: WORD },
});
const single = (amount: string, token = USDC): Message => ({
  type: 'PermitSingle',
  contract: PERMIT2,
  types: {
    PermitSingle: [
      ['PermitDetails', 'details'],
      ['address', 'spender'],
      ['uint256', 'sigDeadline'],
    ],
    PermitDetails: DETAILS,
  },
  message: { details: { token, amount, expiration: 1, nonce: 0 }, spender: SPENDER, sigDeadline: 1 },
});
const batch = (...amounts: readonly string[]): Message => ({
  type: 'PermitBatch',
  contract: PERMIT2,
  types: {
    PermitBatch: [
      ['PermitDetails[]', 'details'],
      ['address', 'spender'],
      ['uint256', 'sigDeadline'],
    ],
    PermitDetails: DETAILS,
  },
  message: {
    details: amounts.map((amount) => ({ token: USDC, amount, expiration: 1, nonce: 0 })),
    spender: SPENDER,
    sigDeadline: 1,
  },
});
const transferFrom = (amount: string, spender = SPENDER): Message => ({
  type: 'PermitTransferFrom',
  contract: PERMIT2,
  types: { PermitTransferFrom: transferOf('TokenPermissions'), TokenPermissions: TOKEN_PERMISSIONS },
  message: { permitted: { token: USDC, amount }, spender, nonce: 0, deadline: 1 },
});
const witnessed = (...amounts: readonly string[]): Message => ({
  type: 'PermitBatchWitnessTransferFrom',
  contract: PERMIT2,
  types: {
    PermitBatchWitnessTransferFrom: transferOf('TokenPermissions[]', ['Order', 'witness']),
    Order: [['address', 'filler']],
    TokenPermissions: TOKEN_PERMISSIONS,
  },
  message: {
    permitted: amounts.map((amount) => ({ token: USDC, amount })),
    spender: SPENDER,
    nonce: 0,
    deadline: 1,
    witness: { filler: PAYEE },
  },
});

const FUNCTIONS = [
  'permit(address,address,uint256,uint256,uint8,bytes32,bytes32)',
  'permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)',
  'transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)',
  'receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)',
];
const PERMIT2_FUNCTIONS = [
  'permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)',
  'permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)',
  'approve(address,address,uint160,uint48)',
];
const TYPES = [
  ...['Permit', 'TransferWithAuthorization', 'ReceiveWithAuthorization', 'PermitSingle', 'PermitBatch'],
  ...['PermitTransferFrom', 'PermitBatchWitnessTransferFrom', 'Order'],
];

const SETTINGS = {
  typedData: [USDC, UNLISTED, PERMIT2].map((verifyingContract) => ({
    chainId: 1,
    verifyingContract,
    primaryTypes: TYPES,
  })),
  contracts: [
    { chainId: 1, to: USDC, selectors: FUNCTIONS, recipients: [PAYEE] },
    { chainId: 1, to: PERMIT2, selectors: PERMIT2_FUNCTIONS },
  ],
  approveSpenders: [SPENDER],
};

const chains = createChains();

function judged({ type, types, message, contract = USDC }: Message, settings: object = SETTINGS) {
  const data = JSON.stringify({
    types: Object.fromEntries(Object.entries(types).map(([name, list]) => [name, fields(list)])),
    primaryType: type,
    domain: { name: 'x', chainId: 1, verifyingContract: contract },
    message,
  });
  const request: SignRequest = {
    kind: 'sign',
    stage: 'approval',
    protocol: 'p',
    workspace: 'w',
    cosigner: 'c',
    signer: undefined,
    requestId: 'r',
    source: { type: 'VAULT', id: 'v' },
    algorithm: '',
    data,
    contentType: 'application/x-eip712+json',
  };
  const parsed = verificationSchema.parse({ defaults: settings });
  const examination = examineMessage(request, chains, parsed);
  const { transaction } = factsOf(request, examination, chains);
  return {
    verdict: examination.kind === 'refused' ? examination.reason : examination.kind,
    moves: transaction?.moves?.map(({ asset, amount, destination }) => `${amount} ${asset} ${destination}`),
    destinations: transaction?.destinations?.map(({ address }) => address),
    functions: transaction?.calls?.map(({ signature }) => signature),
    settings: defaultsOf(parsed),
  };
}

describe('what is given away', () => {
  test.each<[string, Message, readonly string[], string]>([
    ['a permit', permit(), [`5000000 USDC ${SPENDER}`], SPENDER],
    [
      'a transfer by authorization',
      authorization('TransferWithAuthorization'),
      [`5000000 USDC ${PAYEE}`],
      PAYEE,
    ],
    ['a pull by authorization', authorization('ReceiveWithAuthorization'), [`5000000 USDC ${PAYEE}`], PAYEE],
    ['a permit of Permit2', single('7'), [`7 USDC ${SPENDER}`], SPENDER],
    ['several', batch('7', '8'), [`7 USDC ${SPENDER}`, `8 USDC ${SPENDER}`], SPENDER],
    ['a single transfer of Permit2', transferFrom('9'), [`9 USDC ${SPENDER}`], SPENDER],
    ['several with a witness', witnessed('1', '2'), [`1 USDC ${SPENDER}`, `2 USDC ${SPENDER}`], SPENDER],
  ])('%s is a movement of it, to whom a rule can name', (_, message, moves, to) => {
    const { verdict, moves: seen, destinations } = judged(message);
    expect(verdict).toBe('agrees');
    expect(seen).toEqual(moves.map((each) => each.replace('0x', '@/0x')));
    expect(destinations).toEqual([to]);
  });

  test('a permit that takes an allowance back moves nothing', () => {
    expect(judged(daiPermit(false))).toMatchObject({ verdict: 'agrees', moves: [] });
  });

  test('of a token that is in no registry nobody can say how much', () => {
    expect(judged(single('7', UNLISTED))).toMatchObject({ verdict: 'agrees', moves: undefined });
  });

  test('by a message that stands for no call is not known', () => {
    const order: Message = { type: 'Order', types: { Order: [['uint256', 'size']] }, message: { size: 1 } };
    expect(judged(order)).toMatchObject({ verdict: 'agrees', moves: undefined, functions: [null] });
  });

  test('is seen as the function it stands for', () => {
    expect(judged(permit()).functions).toEqual([FUNCTIONS[0]]);
  });
});

describe('is refused', () => {
  const most160 = (2n ** 160n - 1n).toString();
  const most256 = (2n ** 256n - 1n).toString();
  test.each<[string, Message, string]>([
    ['a permit for somebody else', permit({ spender: PAYEE }), 'SPENDER_NOT_ALLOWED'],
    ['a permit without limit', permit({ value: most256 }), 'UNLIMITED_APPROVAL'],
    ['a permit of a contract that is not listed', permit({}, UNLISTED), 'CONTRACT_NOT_ALLOWED'],
    ['a permit that knows no amounts', daiPermit(true), 'UNLIMITED_APPROVAL'],
    [
      'a transfer to a stranger',
      authorization('TransferWithAuthorization', SPENDER),
      'RECIPIENT_NOT_ALLOWED',
    ],
    ['a pull by a stranger', authorization('ReceiveWithAuthorization', SPENDER), 'RECIPIENT_NOT_ALLOWED'],
    ['a permit of Permit2 without limit', single(most160), 'UNLIMITED_APPROVAL'],
    ['one of several without limit', batch('7', most160), 'UNLIMITED_APPROVAL'],
    ['a transfer of Permit2 without limit', transferFrom(most256), 'UNLIMITED_APPROVAL'],
    ['a transfer of Permit2 by somebody else', transferFrom('9', PAYEE), 'SPENDER_NOT_ALLOWED'],
    ['several of nothing', witnessed(), 'CALL_COUNT'],
    ['more than anybody looks at', witnessed(...Array.from({ length: 65 }, () => '1')), 'CALL_COUNT'],
    ['an amount below zero', permit({ value: '-1' }), 'TYPED_MALFORMED'],
  ])('%s: %s', (_, message, reason) => {
    expect(judged(message).verdict).toBe(reason);
  });

  test('a permit whose function is not listed', () => {
    const contracts = [{ chainId: 1, to: USDC, selectors: ['transfer(address,uint256)'], recipients: 'any' }];
    expect(judged(permit(), { ...SETTINGS, contracts }).verdict).toBe('SELECTOR_NOT_ALLOWED');
  });

  test('a permit that is listed as a call, but not as a message', () => {
    expect(judged(permit(), { ...SETTINGS, typedData: [] }).verdict).toBe('TYPED_NOT_ALLOWED');
  });

  test('nothing because its types look like those of Permit2, and nothing is thrown', () => {
    const strange: Message = {
      type: 'PermitTransferFrom',
      contract: PERMIT2,
      types: {
        PermitTransferFrom: transferOf('TokenPermissions'),
        TokenPermissions: [
          ['uint256', 'token'],
          ['address', 'amount'],
        ],
      },
      message: { permitted: { token: 1, amount: USDC }, spender: SPENDER, nonce: 0, deadline: 1 },
    };
    expect(judged(strange)).toMatchObject({ verdict: 'agrees', moves: undefined });
  });
});
