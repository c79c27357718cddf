/** Requests for tests, in our words. Constants are the vendor's published documentation example. */
import type { Intent, RawTransaction, TransactionRequest } from '../../src/core/request.js';

export const VENDOR_ADDRESS = '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8';
export const VENDOR_BYTES =
  '02ef0104843b9aca008506a0c1987d825208945dc69b1fbb13bafd09af88a782f0f285772ad5f8872386f26fc1000080c0';
export const VENDOR_DIGEST = '77b4e74099ce90c08503c0e0bb6e672dbe1c5e3e127ce333bf22eb581cd3f6ce';

export const vendorRaw: RawTransaction = {
  keyDerivationPath: '[ 44, 60, 0, 0, 0 ]',
  bytes: VENDOR_BYTES,
  digest: VENDOR_DIGEST,
};

export const vendorIntent: Intent = {
  operation: 'TRANSFER',
  asset: 'ETH',
  source: { type: 'VAULT', id: '0' },
  destinations: [{ type: 'VAULT', id: '1', address: VENDOR_ADDRESS, otherAddresses: [], amount: '0.01' }],
  destinationAddress: VENDOR_ADDRESS,
  amount: '0.010000000000000000',
  requestedAmount: '0.01',
  fee: '0.000597803762241000',
};

export function signingRequest(
  intent: Partial<Intent> = {},
  rawTransactions: readonly RawTransaction[] = [vendorRaw],
): TransactionRequest {
  return {
    kind: 'transaction',
    stage: 'signing',
    protocol: 'fireblocks',
    workspace: 'main',
    cosigner: 'cosigner-a',
    signer: undefined,
    requestId: '9c794cee-7e27-46c9-9e9a-ed68295ff06b',
    txId: '9c794cee-7e27-46c9-9e9a-ed68295ff06b',
    intent: { ...vendorIntent, ...intent },
    rawTransactions,
  };
}
