import { describe, expect, test } from '@jest/globals';
import { AbiCoder, Interface, solidityPacked } from 'ethers';
import type { ContractCall, Movement } from '../../../../src/core/ports.js';
import { FRIEND, requestFor, STRANGER, transaction, USDC } from '../../../support/evm-requests.js';
import { reasonOf, verifier } from '../../../support/examining.js';

const ROUTER = '0x1111111254eeb25477b68fb85ed929f73a960582';
const SAFE = '0x2222222222222222222222222222222222222222';
const ETHER = 10n ** 18n;

const abi = new Interface([
  'function deposit()',
  'function transfer(address,uint256)',
  'function approve(address,uint256)',
  'function setApprovalForAll(address,bool)',
  'function safeTransferFrom(address,address,uint256)',
  'function multicall(bytes[])',
  'function aggregate3Value((address,bool,uint256,bytes)[])',
  'function executeBatch(address[],uint256[],bytes[])',
  'function execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)',
  'function multiSend(bytes)',
  'function permit(address,address,uint256,uint256,uint8,bytes32,bytes32)',
  'function execute(bytes,bytes[],uint256)',
]);

const data = (name: string, ...args: readonly unknown[]): string => abi.encodeFunctionData(name, [...args]);
const selector = (name: string): string => abi.getFunction(name)?.selector ?? '';

const DEPOSIT = data('deposit');
const PAY_FRIEND = data('transfer', FRIEND, 5n);
const PAY_STRANGER = data('transfer', STRANGER, 5n);

const lists = {
  approveSpenders: [ROUTER],
  contracts: [
    {
      chainId: 1,
      to: ROUTER,
      selectors: ['deposit()', 'multicall(bytes[])', '0x3593564c'],
      maxValueWei: '1000000000000000000',
      recipients: [FRIEND],
    },
    {
      chainId: 1,
      to: USDC,
      selectors: [selector('transfer'), selector('approve'), selector('permit')],
      recipients: [FRIEND],
    },
    {
      chainId: 1,
      to: SAFE,
      selectors: [
        selector('execTransaction'),
        selector('aggregate3Value'),
        selector('executeBatch'),
        selector('multiSend'),
      ],
    },
    { chainId: 137, to: STRANGER, selectors: ['deposit()'] },
  ],
};

interface Call {
  readonly to?: string;
  readonly data: string;
  readonly value?: bigint;
  readonly amount?: string;
  readonly shown?: string | null;
}

function callRequest({ to = ROUTER, data: callData, value = 0n, amount = '0', shown = callData }: Call) {
  const bytes = transaction({
    to,
    value,
    data: callData,
    gasLimit: 1_000_000n,
    maxFeePerGas: 1_000_000_000n,
    maxPriorityFeePerGas: 1n,
  });
  return requestFor(bytes, {
    operation: 'CONTRACT_CALL',
    destinationAddress: to,
    amount,
    ...(shown === null ? {} : { extraParameters: { contractCallData: shown } }),
  });
}

function safeCall(
  to: string,
  inner: string,
  { operation = 0, gasPrice = 0n, refundTo = STRANGER } = {},
): string {
  return data('execTransaction', to, 0n, inner, operation, 0n, 0n, gasPrice, USDC, refundTo, '0x');
}

function packed(...calls: readonly { to: string; data: string; operation?: number }[]): string {
  const items = calls.map(({ to, data: inner, operation = 0 }) =>
    solidityPacked(
      ['uint8', 'address', 'uint256', 'uint256', 'bytes'],
      [operation, to, 0n, inner.length / 2 - 1, inner],
    ).slice(2),
  );
  return data('multiSend', `0x${items.join('')}`);
}

function nested(depth: number): string {
  return depth === 0 ? DEPOSIT : data('multicall', [nested(depth - 1)]);
}

const verify = verifier(lists);

describe('a contract call agrees', () => {
  test.each<[string, Call]>([
    ['to a listed function', { data: DEPOSIT }],
    ['with value within the ceiling', { data: DEPOSIT, value: ETHER, amount: '1' }],
    [
      'when the data is shown with other letters',
      { data: PAY_FRIEND, to: USDC, shown: PAY_FRIEND.slice(2).toUpperCase() },
    ],
    ['when the request shows no data', { data: DEPOSIT, shown: null }],
    ['that pays a listed recipient', { to: USDC, data: PAY_FRIEND }],
    ['that is wrapped four deep', { data: nested(4) }],
    ['through a Safe', { to: SAFE, data: safeCall(USDC, PAY_FRIEND) }],
    [
      'in a packed batch of a Safe',
      { to: SAFE, data: packed({ to: USDC, data: PAY_FRIEND }, { to: ROUTER, data: DEPOSIT }) },
    ],
    ['that gives a listed spender an allowance', { to: USDC, data: data('approve', ROUTER, 5n) }],
  ])('%s', async (_, call) => {
    expect(reasonOf(await verify(callRequest(call)))).toBe('agrees');
  });
});

describe('a contract call is refused', () => {
  const manyLeaves = data(
    'multicall',
    Array.from({ length: 65 }, () => DEPOSIT),
  );
  const router = (commands: string, inputs: readonly string[]) => data('execute', commands, inputs, 0n);
  const sweepTo = (to: string) =>
    AbiCoder.defaultAbiCoder().encode(['address', 'address', 'uint256'], [USDC, to, 1n]);

  test.each<[string, string, Call]>([
    ['a contract nobody listed', 'CONTRACT_NOT_ALLOWED', { to: STRANGER, data: DEPOSIT }],
    ['a function nobody listed', 'SELECTOR_NOT_ALLOWED', { data: PAY_FRIEND }],
    ['unknown call data', 'SELECTOR_NOT_ALLOWED', { data: '0xdeadbeef00' }],
    [
      'more value than listed',
      'CALL_VALUE_CEILING',
      { data: DEPOSIT, value: ETHER + 1n, amount: '1.000000000000000001' },
    ],
    ['another value than claimed', 'VALUE_MISMATCH', { data: DEPOSIT, value: 1n }],
    ['other data than shown', 'CALLDATA_MISMATCH', { data: DEPOSIT, shown: PAY_FRIEND }],
    ['shown data that is no text of bytes', 'CALLDATA_MISMATCH', { data: DEPOSIT, shown: '0xd0e30db' }],
    ['no data', 'CALLDATA_MISSING', { data: '0x', shown: null }],
    ['an unlisted recipient of a listed transfer', 'RECIPIENT_NOT_ALLOWED', { to: USDC, data: PAY_STRANGER }],
    [
      'an unlisted recipient inside a listed wrapper',
      'RECIPIENT_NOT_ALLOWED',
      { to: SAFE, data: safeCall(USDC, PAY_STRANGER) },
    ],
    [
      'an unlisted leaf inside a listed wrapper',
      'CONTRACT_NOT_ALLOWED',
      { to: SAFE, data: safeCall(STRANGER, DEPOSIT) },
    ],
    [
      'a listed leaf inside an unlisted wrapper',
      'CONTRACT_NOT_ALLOWED',
      { to: STRANGER, data: safeCall(USDC, PAY_FRIEND) },
    ],
    [
      'a wrapper function nobody listed',
      'SELECTOR_NOT_ALLOWED',
      { to: USDC, data: data('multicall', [PAY_FRIEND]) },
    ],
    [
      'value at a wrapper without ceiling',
      'CALL_VALUE_CEILING',
      {
        to: SAFE,
        data: data('aggregate3Value', [[ROUTER, false, 1n, DEPOSIT]]),
        value: 1n,
        amount: '0.000000000000000001',
      },
    ],
    ['an empty multicall', 'CALL_COUNT', { data: data('multicall', []) }],
    ['an empty packed batch', 'CALL_COUNT', { to: SAFE, data: data('multiSend', '0x') }],
    [
      'an empty multicall inside a wrapper',
      'CALL_COUNT',
      { data: data('multicall', [DEPOSIT, data('multicall', [])]) },
    ],
    ['more leaves than anybody reads', 'CALL_COUNT', { data: manyLeaves }],
    ['five wrappers', 'CALL_DEPTH', { data: nested(5) }],
    [
      'a delegate call',
      'DELEGATECALL_REFUSED',
      { to: SAFE, data: safeCall(USDC, PAY_FRIEND, { operation: 1 }) },
    ],
    [
      'a delegate call in a packed batch',
      'DELEGATECALL_REFUSED',
      { to: SAFE, data: packed({ to: USDC, data: PAY_FRIEND, operation: 1 }) },
    ],
    [
      'an operation that Safes do not have',
      'SAFE_OPERATION',
      { to: SAFE, data: safeCall(USDC, PAY_FRIEND, { operation: 2 }) },
    ],
    [
      'a gas refund of a Safe to a stranger',
      'RECIPIENT_NOT_ALLOWED',
      { to: SAFE, data: safeCall(USDC, PAY_FRIEND, { gasPrice: 1n }) },
    ],
    [
      'packed calls with a byte too many',
      'CALLDATA_NON_CANONICAL',
      {
        to: SAFE,
        data: data('multiSend', `0x${packed({ to: USDC, data: PAY_FRIEND }).slice(138, 138 + 2 * 153)}00`),
      },
    ],
    [
      'lists of a batch that differ in length',
      'CALLDATA_NON_CANONICAL',
      { to: SAFE, data: data('executeBatch', [USDC], [], [PAY_FRIEND]) },
    ],
    ['trailing bytes', 'CALLDATA_NON_CANONICAL', { data: `${DEPOSIT}00` }],
    ['a spender nobody listed', 'SPENDER_NOT_ALLOWED', { to: USDC, data: data('approve', STRANGER, 5n) }],
    [
      'a spender nobody listed, behind a multicall',
      'SPENDER_NOT_ALLOWED',
      { to: USDC, data: data('multicall', [data('approve', STRANGER, 5n)]) },
    ],
    [
      'an allowance without limit',
      'UNLIMITED_APPROVAL',
      { to: USDC, data: data('approve', ROUTER, 2n ** 255n) },
    ],
    [
      'a permit for a stranger',
      'SPENDER_NOT_ALLOWED',
      {
        to: USDC,
        data: data('permit', FRIEND, STRANGER, 5n, 0n, 27, `0x${'00'.repeat(32)}`, `0x${'00'.repeat(32)}`),
      },
    ],
    [
      'power over all collectibles',
      'UNLIMITED_APPROVAL',
      { to: USDC, data: data('setApprovalForAll', ROUTER, true) },
    ],
    ['a router command nobody knows', 'UR_COMMAND_REFUSED', { data: router('0x07', ['0x']) }],
    ['a router sweep to a stranger', 'RECIPIENT_NOT_ALLOWED', { data: router('0x04', [sweepTo(STRANGER)]) }],
    ['a router call without commands', 'CALL_COUNT', { data: router('0x', []) }],
    ['a router command without input', 'CALLDATA_NON_CANONICAL', { data: router('0x04', []) }],
    [
      'router input with trailing bytes',
      'CALLDATA_NON_CANONICAL',
      { data: router('0x04', [`${sweepTo(FRIEND)}00`]) },
    ],
  ])('for %s: %s', async (_, reason, call) => {
    expect(reasonOf(await verify(callRequest(call)))).toBe(reason);
  });

  test('when the asset is a token', async () => {
    const request = callRequest({ data: DEPOSIT });
    expect(reasonOf(await verify({ ...request, intent: { ...request.intent, asset: 'USDC' } }))).toBe(
      'OPERATION_REFUSED',
    );
  });

  test('when the bytes call another contract than the claimed one', async () => {
    const request = callRequest({ data: DEPOSIT });
    const elsewhere = callRequest({ to: USDC, data: DEPOSIT });
    expect(reasonOf(await verify({ ...request, intent: elsewhere.intent }))).toBe('DESTINATION_MISMATCH');
  });

  test('unless somebody wrote that any recipient will do', async () => {
    const open = {
      contracts: [
        { chainId: 1, to: USDC, selectors: ['transfer(address,uint256)'], recipients: 'any' as const },
      ],
    };
    expect(reasonOf(await verifier(open)(callRequest({ to: USDC, data: PAY_STRANGER })))).toBe('agrees');
  });
});

test('a list of thousands of calls is refused before it is decoded', async () => {
  const request = callRequest({
    data: data(
      'multicall',
      Array.from({ length: 1_500 }, () => '0x'),
    ),
  });
  expect(await verify(request)).toMatchObject({
    reason: 'CALL_COUNT',
    detail: expect.stringContaining('items'),
  });
});

describe('the effects of a contract call', () => {
  async function effectsOf(
    call: Call,
  ): Promise<{ movements: readonly Movement[]; calls: readonly ContractCall[] }> {
    const examination = await verifier({
      ...lists,
      contracts: [
        ...lists.contracts,
        {
          chainId: 1,
          to: FRIEND,
          selectors: ['0xdeadbeef', selector('safeTransferFrom')],
          recipients: 'any' as const,
        },
      ],
    })(callRequest(call));
    if (examination.kind !== 'agrees') throw new Error(reasonOf(examination));
    return examination.effects;
  }

  test('charge a token moved by a leaf to that token', async () => {
    const { movements } = await effectsOf({ to: SAFE, data: safeCall(USDC, PAY_FRIEND) });
    expect(movements).toEqual([{ asset: 'USDC', to: FRIEND, amount: 5n }]);
  });

  test('count native value once, however it is wrapped', async () => {
    const { movements } = await effectsOf({
      data: data('multicall', [DEPOSIT, DEPOSIT]),
      value: ETHER,
      amount: '1',
    });
    expect(movements).toEqual([{ asset: 'ETH', to: ROUTER, amount: ETHER }]);
  });

  test('count an allowance as a movement to the spender', async () => {
    const { movements } = await effectsOf({ to: USDC, data: data('approve', ROUTER, 5n) });
    expect(movements).toEqual([{ asset: 'USDC', to: ROUTER, amount: 5n }]);
  });

  test('say so when it cannot be said what a leaf moves', async () => {
    const unknown = await effectsOf({ to: FRIEND, data: '0xdeadbeef' });
    const collectible = await effectsOf({ to: FRIEND, data: data('safeTransferFrom', FRIEND, STRANGER, 1n) });
    const known = await effectsOf({ data: DEPOSIT });
    expect(unknown.calls).toMatchObject([{ selector: '0xdeadbeef', understood: false }]);
    expect(collectible.calls).toMatchObject([{ understood: false }]);
    expect(collectible.movements).toEqual([{ asset: undefined, to: STRANGER, amount: undefined }]);
    expect(known.calls).toMatchObject([{ signature: 'deposit()', understood: true }]);
  });
});

describe('contract creation', () => {
  const creation = (shown: string | null) =>
    requestFor(transaction({ to: null, value: 0n, data: '0x600a' }), {
      operation: 'CONTRACT_CALL',
      amount: '0',
      ...(shown === null ? {} : { extraParameters: { contractCallData: shown } }),
    });

  test('is possible only where it is spelled out and the whole code is shown', async () => {
    const open = verifier({ allowCreate: true });
    expect(reasonOf(await verify(creation('0x600a')))).toBe('CONTRACT_CREATION');
    expect(reasonOf(await open(creation(null)))).toBe('CALLDATA_MISMATCH');
    expect(reasonOf(await open(creation('0x600a')))).toBe('agrees');
  });
});
