/** What holds for all transfers, not only for examples. */
import { describe, expect, test } from '@jest/globals';
import { Transaction } from 'ethers';
import fc from 'fast-check';
import { fromBaseUnits, toBaseUnits } from '../../../src/core/amount.js';
import { FRIEND, requestFor, STRANGER, transaction } from '../../support/evm-requests.js';
import { reasonOf, verifier } from '../../support/examining.js';
import { runs } from '../../support/fuzz-runs.js';

const verify = verifier({ maxFeeWei: '1000000000000000000000' });

const transfers = fc.record({
  value: fc.bigInt({ min: 0n, max: 2n ** 90n }),
  nonce: fc.nat({ max: 2 ** 31 }),
  gasLimit: fc.bigInt({ min: 21_000n, max: 2_000_000n }),
  maxFeePerGas: fc.bigInt({ min: 0n, max: 10n ** 12n }),
  type: fc.constantFrom(0, 1, 2),
  to: fc
    .uint8Array({ minLength: 20, maxLength: 20 })
    .map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`),
});

type Transfer = typeof transfers extends fc.Arbitrary<infer T> ? T : never;

function bytesOf({ type, maxFeePerGas, ...fields }: Transfer, overrides: object = {}): Transaction {
  const price =
    type === 2
      ? { maxFeePerGas, maxPriorityFeePerGas: maxFeePerGas / 2n }
      : { gasPrice: maxFeePerGas, maxFeePerGas: null, maxPriorityFeePerGas: null };
  return transaction({ type, ...fields, ...price, ...overrides });
}

function claimOf({ value, gasLimit, maxFeePerGas, to }: Transfer) {
  return {
    amount: fromBaseUnits(value, 18),
    fee: fromBaseUnits(gasLimit * maxFeePerGas, 18),
    destinationAddress: to,
  };
}

describe('a transfer that agrees', () => {
  test('is, byte for byte, what its claim encodes to', async () => {
    await fc.assert(
      fc.asyncProperty(transfers, async (transfer) => {
        const bytes = bytesOf(transfer);
        const claim = claimOf(transfer);
        const examination = await verify(requestFor(bytes, claim));
        if (examination.kind !== 'agrees') throw new Error(reasonOf(examination));
        const { summary } = examination.effects;
        const claimed = toBaseUnits(claim.amount, 18);
        const again = Transaction.from(bytes.unsignedSerialized);
        again.to = claim.destinationAddress;
        again.value = claimed.ok ? claimed.units : -1n;
        again.chainId = 1n;
        again.data = '0x';
        expect(again.unsignedSerialized).toBe(bytes.unsignedSerialized);
        expect([summary.to, summary.value]).toEqual([transfer.to, transfer.value.toString()]);
      }),
      { numRuns: runs(300) },
    );
  });
});

describe('a change in only one of request and bytes', () => {
  const spoil: Readonly<Record<string, (transfer: Transfer) => ReturnType<typeof requestFor>>> = {
    'recipient in the bytes': (transfer) =>
      requestFor(bytesOf(transfer, { to: STRANGER }), claimOf(transfer)),
    'recipient in the request': (transfer) =>
      requestFor(bytesOf(transfer), { ...claimOf(transfer), destinationAddress: FRIEND }),
    'value in the bytes': (transfer) =>
      requestFor(bytesOf(transfer, { value: transfer.value + 1n }), claimOf(transfer)),
    'amount in the request': (transfer) =>
      requestFor(bytesOf(transfer), { ...claimOf(transfer), amount: fromBaseUnits(transfer.value + 1n, 18) }),
    'chain in the bytes': (transfer) => requestFor(bytesOf(transfer, { chainId: 137n }), claimOf(transfer)),
    'asset in the request': (transfer) =>
      requestFor(bytesOf(transfer), { ...claimOf(transfer), asset: 'MATIC_POLYGON' }),
    'data in the bytes': (transfer) => requestFor(bytesOf(transfer, { data: '0x00' }), claimOf(transfer)),
    'price in the bytes': (transfer) =>
      requestFor(bytesOf({ ...transfer, maxFeePerGas: transfer.maxFeePerGas + 1n }), claimOf(transfer)),
  };

  test.each(Object.keys(spoil))('%s: refused', async (name) => {
    await fc.assert(
      fc.asyncProperty(transfers, async (transfer) => {
        const request = spoil[name]?.(transfer);
        if (request === undefined) throw new Error(name);
        expect(reasonOf(await verify(request))).not.toBe('agrees');
      }),
      { numRuns: runs(60) },
    );
  });
});

test('an amount written out and read back is the same, for every number of decimals', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
      fc.integer({ min: 0, max: 36 }),
      (units, decimals) => {
        expect(toBaseUnits(fromBaseUnits(units, decimals), decimals)).toEqual({ ok: true, units });
      },
    ),
    { numRuns: runs(1_000) },
  );
});
