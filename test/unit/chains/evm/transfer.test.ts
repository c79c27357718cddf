import { describe, expect, test } from '@jest/globals';
import { Interface, keccak256, Signature, type TransactionLike } from 'ethers';
import type { TransactionRequest } from '../../../../src/core/request.js';
import { FRIEND, rawOf, requestFor, STRANGER, transaction, USDC } from '../../../support/evm-requests.js';
import { reasonOf, verifier } from '../../../support/examining.js';

const verify = verifier();
const erc20 = new Interface([
  'function transfer(address to, uint256 amount)',
  'function approve(address spender, uint256 amount)',
  'function increaseAllowance(address spender, uint256 amount)',
]);

function tokenData(name: 'transfer' | 'approve' | 'increaseAllowance', to: string, amount: bigint): string {
  return erc20.encodeFunctionData(name, [to, amount]);
}

function tokenRequest(overrides: TransactionLike = {}, intent: Parameters<typeof requestFor>[1] = {}) {
  const data = tokenData('transfer', FRIEND, 1_000_000n);
  return requestFor(transaction({ to: USDC, value: 0n, data, ...overrides }), {
    asset: 'USDC',
    amount: '1',
    ...intent,
  });
}

function withRaw(request: TransactionRequest, raw: object): TransactionRequest {
  const [first] = request.rawTransactions;
  return { ...request, rawTransactions: [{ ...(first ?? rawOf('00')), ...raw }] };
}

describe('a plain transfer', () => {
  test.each<[string, TransactionRequest]>([
    ['type 2', requestFor(transaction())],
    [
      'type 1',
      requestFor(
        transaction({ type: 1, maxFeePerGas: null, maxPriorityFeePerGas: null, gasPrice: 20_000_000_000n }),
      ),
    ],
    [
      'legacy with chain id',
      requestFor(
        transaction({ type: 0, maxFeePerGas: null, maxPriorityFeePerGas: null, gasPrice: 20_000_000_000n }),
      ),
    ],
    [
      'one wei more than a double can tell',
      requestFor(transaction({ value: 1_000_000_000_000_000_001n }), { amount: '1.000000000000000001' }),
    ],
    ['gross, by exactly the fee', requestFor(transaction({ value: 8_000_000_000_000_000n }))],
    ['gross, with the fee already out of the claim', requestFor(transaction(), { requestedAmount: '0.012' })],
    [
      'on a testnet, whose paths have coin 1',
      withRaw(requestFor(transaction({ chainId: 11155111n }), { asset: 'ETH_TEST5' }), {
        keyDerivationPath: '[44,1,0,0,0]',
      }),
    ],
    [
      'with a path that is a list of numbers in text',
      withRaw(requestFor(transaction()), { keyDerivationPath: ' [44, 60, 0,0 , 0]' }),
    ],
  ])('agrees: %s', async (_, request) => {
    expect(reasonOf(await verify(request))).toBe('agrees');
  });

  test.each<[string, string, TransactionRequest]>([
    ['another recipient', 'DESTINATION_MISMATCH', requestFor(transaction({ to: STRANGER }))],
    ['one wei more', 'VALUE_MISMATCH', requestFor(transaction({ value: 10_000_000_000_000_001n }))],
    ['one wei less', 'VALUE_MISMATCH', requestFor(transaction({ value: 9_999_999_999_999_999n }))],
    [
      'gross by less than the fee it can cost',
      'VALUE_MISMATCH',
      requestFor(transaction({ value: 8_000_000_000_000_001n })),
    ],
    [
      'nothing but the fee',
      'VALUE_MISMATCH',
      requestFor(transaction({ value: 0n }), { amount: '0.002', requestedAmount: '0.002' }),
    ],
    ['call data behind it', 'DATA_NOT_EMPTY', requestFor(transaction({ data: '0x00' }))],
    ['another chain', 'CHAIN_ID_MISMATCH', requestFor(transaction({ chainId: 137n }))],
    [
      'no chain',
      'NO_REPLAY_PROTECTION',
      requestFor(
        transaction({ type: 0, chainId: 0n, maxFeePerGas: null, maxPriorityFeePerGas: null, gasPrice: 1n }),
      ),
    ],
    ['no recipient', 'CONTRACT_CREATION', requestFor(transaction({ to: null }))],
    [
      'an access list',
      'ACCESS_LIST_REFUSED',
      requestFor(transaction({ accessList: [{ address: FRIEND, storageKeys: [] }] })),
    ],
    ['too little gas', 'GAS_LIMIT_LOW', requestFor(transaction({ gasLimit: 20_999n }))],
    [
      'too much gas',
      'GAS_LIMIT_CEILING',
      requestFor(transaction({ gasLimit: 2_000_001n, maxFeePerGas: 1_000_000_000n })),
    ],
    [
      'a fee above the claim',
      'FEE_EXCEEDS_CLAIM',
      requestFor(transaction(), { fee: '0.001999999999999999' }),
    ],
    [
      'a fee that eats the wallet',
      'FEE_CEILING',
      requestFor(transaction({ gasLimit: 2_000_000n, maxFeePerGas: 300_000_000_000n }), { fee: '0.6' }),
    ],
    ['no claimed fee', 'FEE_MISSING', omitFee(requestFor(transaction()))],
    ['a claimed amount with an exponent', 'AMOUNT_FORMAT', requestFor(transaction(), { amount: '1e-2' })],
    [
      'a claimed amount beyond wei',
      'AMOUNT_PRECISION',
      requestFor(transaction(), { amount: '0.0100000000000000001' }),
    ],
    [
      'a requested amount that is not fee and claim exactly',
      'PAYLOAD_INCONSISTENT',
      requestFor(transaction(), { requestedAmount: '0.012000000000000001' }),
    ],
    [
      'the fee taken out twice',
      'VALUE_MISMATCH',
      requestFor(transaction({ value: 8_000_000_000_000_000n }), { requestedAmount: '0.012' }),
    ],
    ['amounts that differ', 'PAYLOAD_INCONSISTENT', requestFor(transaction(), { requestedAmount: '0.02' })],
    [
      'addresses that differ',
      'PAYLOAD_INCONSISTENT',
      requestFor(transaction(), {
        destinations: [
          { type: 'VAULT', id: '1', address: FRIEND, otherAddresses: [STRANGER], amount: '0.01' },
        ],
      }),
    ],
    ['no destination', 'DEST_COUNT', requestFor(transaction(), { destinations: [] })],
    [
      'a wrong checksum',
      'ADDRESS_CHECKSUM',
      requestFor(transaction(), { destinationAddress: '0x5Dc69B1Fbb13Bafd09af88a782F0F285772Ad5f8' }),
    ],
    [
      'an address without 0x',
      'ADDRESS_FORMAT',
      requestFor(transaction(), { destinationAddress: FRIEND.slice(2) }),
    ],
    [
      'the path of another vault',
      'PATH_MISMATCH',
      requestFor(transaction(), { source: { type: 'VAULT', id: '1' } }),
    ],
    [
      'a source that holds no keys',
      'PATH_MISMATCH',
      requestFor(transaction(), { source: { type: 'EXCHANGE', id: '0' } }),
    ],
    [
      'a path of four numbers',
      'PATH_MALFORMED',
      withRaw(requestFor(transaction()), { keyDerivationPath: '[44,60,0,0]' }),
    ],
    [
      'a path with a hardened index',
      'PATH_MALFORMED',
      withRaw(requestFor(transaction()), { keyDerivationPath: '[44,60,0,0,2147483648]' }),
    ],
    [
      'odd hex',
      'RAWTX_MALFORMED',
      withRaw(requestFor(transaction()), {
        bytes: `${requestFor(transaction()).rawTransactions[0]?.bytes}0`,
      }),
    ],
    ['hex with a stranger in it', 'RAWTX_MALFORMED', withRaw(requestFor(transaction()), { bytes: '02zz' })],
    ['nothing', 'RAWTX_MALFORMED', withRaw(requestFor(transaction()), { bytes: '' })],
    [
      'more than the size limit',
      'RAWTX_TOO_LARGE',
      withRaw(requestFor(transaction()), { bytes: '00'.repeat(128 * 1024 + 1) }),
    ],
    ['a short digest', 'RAWTX_MALFORMED', withRaw(requestFor(transaction()), { digest: '00'.repeat(31) })],
    [
      'the digest of other bytes',
      'HASH_MISMATCH',
      withRaw(requestFor(transaction()), { digest: '00'.repeat(32) }),
    ],
    ['typed data instead of a transaction', 'MESSAGE_BYTES', requestFor(`1901${'00'.repeat(64)}`)],
    ['a delegation instead of a transaction', 'TX_TYPE_REFUSED', requestFor(`05d8${'01'.repeat(24)}`)],
    ['a deposit of a rollup', 'TX_TYPE_REFUSED', requestFor('7ec0')],
    ['half a transaction', 'DECODE_ERROR', requestFor('02c0')],
    ['trailing bytes', 'DECODE_ERROR', requestFor(`${transaction().unsignedSerialized}00`)],
  ])('is refused with %s: %s', async (_, reason, request) => {
    expect(reasonOf(await verify(request))).toBe(reason);
  });

  test('is refused when it already carries a signature', async () => {
    const signed = transaction();
    signed.signature = { r: `0x${'11'.repeat(32)}`, s: `0x${'22'.repeat(32)}`, v: 27 };
    expect(reasonOf(await verify(requestFor(signed.serialized)))).toBe('ALREADY_SIGNED');
  });

  test('must have the expected nonce where a source knows it; a source that is down decides nothing', async () => {
    const expecting = (nonces: readonly number[]) => verifier({}, { nonces: async () => nonces });
    const down = verifier({}, { nonces: () => Promise.reject(new Error('no route')) });
    const request = requestFor(transaction());
    expect(reasonOf(await expecting([6])(request))).toBe('NONCE_MISMATCH');
    expect(reasonOf(await expecting([6, 7])(request))).toBe('agrees');
    expect(reasonOf(await down(request))).toBe('unavailable');
  });
});

describe('what a policy may open', () => {
  const delegation = {
    chainId: 1n,
    address: STRANGER,
    nonce: 1n,
    signature: Signature.from({ r: `0x${'11'.repeat(32)}`, s: `0x${'22'.repeat(32)}`, v: 27 }),
  };
  const delegating = requestFor(transaction({ type: 4, authorizationList: [delegation] }));
  const anywhere = requestFor(transaction({ type: 4, authorizationList: [{ ...delegation, chainId: 0n }] }));
  const exact = { ...requestFor(transaction(), { fee: '0.003' }) };
  const blob = transaction({
    type: 3,
    maxFeePerBlobGas: 1_000_000_000n,
    blobVersionedHashes: [`0x01${'00'.repeat(31)}`],
  });

  test.each<[string, string, object, TransactionRequest]>([
    ['a delegation, closed', 'AUTH_LIST_REFUSED', {}, delegating],
    ['a delegation, listed', 'agrees', { allow7702: [{ chainId: 1, delegate: STRANGER }] }, delegating],
    [
      'a delegation for all chains, listed for one',
      'AUTH_LIST_REFUSED',
      { allow7702: [{ chainId: 1, delegate: STRANGER }] },
      anywhere,
    ],
    ['a blob, closed', 'BLOB_REFUSED', {}, requestFor(blob, { fee: '0.002131072' })],
    [
      'a blob, whose gas is paid too',
      'agrees',
      { allowBlobs: true },
      requestFor(blob, { fee: '0.002131072' }),
    ],
    [
      'a blob, whose gas nobody claimed',
      'FEE_EXCEEDS_CLAIM',
      { allowBlobs: true },
      requestFor(blob, { fee: '0.002131071999999999' }),
    ],
    ['type 2, closed', 'TX_TYPE_REFUSED', { allowTypes: [0] }, requestFor(transaction())],
    ['an exact fee', 'FEE_EXCEEDS_CLAIM', { feeMode: 'exact' }, exact],
    ['no fee at all', 'agrees', { requireFee: false }, omitFee(requestFor(transaction()))],
    [
      'gross, closed',
      'VALUE_MISMATCH',
      { gross: 'reject' },
      requestFor(transaction({ value: 8_000_000_000_000_000n })),
    ],
  ])('%s: %s', async (_, expected, settings, request) => {
    expect(reasonOf(await verifier(settings)(request))).toBe(expected);
  });
});

describe('a token transfer', () => {
  test('agrees, and its movement is in the token', async () => {
    const examination = await verify(tokenRequest());
    expect(examination).toMatchObject({
      kind: 'agrees',
      effects: {
        movements: [{ asset: 'USDC', to: FRIEND, amount: 1_000_000n }],
        calls: [{ address: USDC, understood: true }],
      },
    });
  });

  test("agrees when the top-level address is the token's contract", async () => {
    const request = tokenRequest(
      {},
      {
        destinationAddress: USDC,
        destinations: [{ type: 'ONE_TIME', id: '', address: FRIEND, otherAddresses: [''], amount: '1' }],
      },
    );
    expect(reasonOf(await verify(request))).toBe('agrees');
  });

  const canonical = tokenData('transfer', FRIEND, 1_000_000n);
  test.each<[string, string, TransactionLike]>([
    ['another recipient', 'DESTINATION_MISMATCH', { data: tokenData('transfer', STRANGER, 1_000_000n) }],
    ['one unit more', 'VALUE_MISMATCH', { data: tokenData('transfer', FRIEND, 1_000_001n) }],
    ['another contract', 'TOKEN_CONTRACT_MISMATCH', { to: STRANGER }],
    ['ether with it', 'TOKEN_VALUE_NONZERO', { value: 1n }],
    ['an approval', 'SELECTOR_MISMATCH', { data: tokenData('approve', FRIEND, 1_000_000n) }],
    ['no call data', 'SELECTOR_MISMATCH', { data: '0x' }],
    ['trailing bytes', 'CALLDATA_NON_CANONICAL', { data: `${canonical}00` }],
    [
      'a dirty address',
      'CALLDATA_NON_CANONICAL',
      { data: `${canonical.slice(0, 10)}ff${canonical.slice(12)}` },
    ],
  ])('is refused with %s: %s', async (_, reason, overrides) => {
    expect(reasonOf(await verify(tokenRequest(overrides)))).toBe(reason);
  });
});

describe('an allowance', () => {
  const approve = (spender: string, amount: bigint, claimed = '1') =>
    tokenRequest({ data: tokenData('approve', spender, amount) }, { operation: 'APPROVE', amount: claimed });
  const listed = { approveSpenders: [FRIEND] };
  const everything = 2n ** 256n - 1n;
  const everythingText = `${everything / 10n ** 6n}.${(everything % 10n ** 6n).toString().padStart(6, '0')}`;

  test.each<[string, string, object, TransactionRequest]>([
    ['to a listed spender', 'agrees', listed, approve(FRIEND, 1_000_000n)],
    ['to a spender nobody listed', 'SPENDER_NOT_ALLOWED', {}, approve(FRIEND, 1_000_000n)],
    ['to another spender than claimed', 'DESTINATION_MISMATCH', listed, approve(STRANGER, 1_000_000n)],
    ['of more than claimed', 'VALUE_MISMATCH', listed, approve(FRIEND, 1_000_001n)],
    ['without limit', 'UNLIMITED_APPROVAL', listed, approve(FRIEND, everything, everythingText)],
    [
      'without limit, allowed',
      'agrees',
      { ...listed, allowUnlimitedApprove: true },
      approve(FRIEND, everything, everythingText),
    ],
    ['of the coin itself', 'OPERATION_REFUSED', listed, requestFor(transaction(), { operation: 'APPROVE' })],
  ])('%s: %s', async (_, expected, settings, request) => {
    expect(reasonOf(await verifier(settings)(request))).toBe(expected);
  });
});

test('the digest is compared with the hash of the bytes, not of what they decode to', async () => {
  // A leading zero in the value: decoders that normalise would hash the canonical form.
  const hex =
    '02f00104843b9aca008506a0c1987d825208945dc69b1fbb13bafd09af88a782f0f285772ad5f888002386f26fc1000080c0';
  const normalised = keccak256(transaction().unsignedSerialized);
  expect(reasonOf(await verify(requestFor(hex)))).toBe('NON_CANONICAL');
  expect(reasonOf(await verify(withRaw(requestFor(hex), { digest: normalised.slice(2) })))).toBe(
    'HASH_MISMATCH',
  );
});

function omitFee(request: TransactionRequest): TransactionRequest {
  const { fee: _fee, ...intent } = request.intent;
  return { ...request, intent };
}
