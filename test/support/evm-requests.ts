/** EVM signing requests built from a transaction and a claim, each of which a test may spoil on its own. */
import { keccak256, Transaction, type TransactionLike } from 'ethers';
import type { Intent, TransactionRequest } from '../../src/core/request.js';
import { signingRequest } from './signing-requests.js';

export const FRIEND = '0x5dc69b1fbb13bafd09af88a782f0f285772ad5f8';
export const STRANGER = '0xbadbadbadbadbadbadbadbadbadbadbadbadbad1';
export const USDC = '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48';

const GAS_PRICE = 20_000_000_000n;

/** A type 2 transaction of 0.01 ether on mainnet, unless told otherwise. */
export function transaction(overrides: TransactionLike = {}): Transaction {
  return Transaction.from({
    type: 2,
    chainId: 1n,
    nonce: 7,
    maxFeePerGas: GAS_PRICE,
    maxPriorityFeePerGas: 1_000_000_000n,
    gasLimit: 100_000n,
    to: FRIEND,
    value: 10_000_000_000_000_000n,
    data: '0x',
    ...overrides,
  });
}

/** Hex without prefix, and the digest that fits it. */
export function rawOf(hex: string, path = '[ 44, 60, 0, 0, 0 ]') {
  const digits = hex.replace(/^0x/, '');
  return { keyDerivationPath: path, bytes: digits, digest: keccak256(`0x${digits}`).slice(2) };
}

/** The request that claims what the transaction does. */
export function requestFor(bytes: string | Transaction, intent: Partial<Intent> = {}): TransactionRequest {
  const hex = typeof bytes === 'string' ? bytes : bytes.unsignedSerialized;
  const amount = intent.amount ?? '0.01';
  const address = intent.destinationAddress ?? FRIEND;
  return signingRequest(
    {
      destinations: [{ type: 'VAULT', id: '1', address, otherAddresses: [], amount }],
      destinationAddress: address,
      amount,
      requestedAmount: amount,
      fee: '0.002',
      ...intent,
    },
    [rawOf(hex)],
  );
}
