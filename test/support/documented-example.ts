/** The vendor's documentation example (developers.fireblocks.com/reference/basic-code-example), retold in our words. */
import { ETH } from '../../src/simulator/invention.js';
import type { EtherTransfer } from '../../src/simulator/transaction.js';

export const DOCUMENTED: EtherTransfer = {
  txId: '9c794cee-7e27-46c9-9e9a-ed68295ff06b',
  requestId: '9c794cee-7e27-46c9-9e9a-ed68295ff06b',
  asset: { ...ETH, price: 187_429_293_700n },
  amount: 10_000_000_000_000_000n,
  source: '0',
  destination: {
    type: 'VAULT',
    subType: '',
    id: '1',
    name: 'Network Deposits',
    address: '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8',
  },
  players: [
    '21926ecc-4a8a-4614-bbac-7c591aa7efdd',
    '27900737-46f6-4097-a169-d0ff45649ed5',
    'f89cac50-c656-4e74-879f-041aff8d01b5',
  ],
  gas: { nonce: 4, limit: 21_000n, maxFeePerGas: 28_466_845_821n, maxPriorityFeePerGas: 1_000_000_000n },
};

/** The public half of the example's key. Its private half is printed beside it: nobody may use it. */
export const DOCUMENTED_PUBLIC_KEY = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAybYBhz5W1eSgdcsz7JcW
JxYmHqIFF9MOq3fRHvswJY0NprBD+OTQmh8D1+n7LpEJ8PsO4Zb6+dmlUbyiShZl
5zTE0hHfb9+fNOd4CQs8lXfYShZ1Tv9OLsBUyMF19dVT3fF1mcurnvJnhKs7RnyS
b7w7R525iVBYH+PAwb9OIVMw5u8ktgibDtFEfdVkEcJUw5DFLOG9oyeADaCxWh5c
PhwJCkB/juIPlhH6vhkFp8auey+VPdEx+P/rxC8ueIDonKI8MOrf606481kY8ycX
xOlHt026X+7X1TK5QrA/qt/efKvpuWujvypsMnzKOj/8lLeultSoSuFpoL+mBmPC
ewIDAQAB
-----END PUBLIC KEY-----
`;
