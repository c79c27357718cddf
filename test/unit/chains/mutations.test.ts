/** Every small change of good bytes, with a digest that fits: approved only where nothing that matters has changed. */
import { describe, expect, test } from '@jest/globals';
import { Transaction } from 'ethers';
import fc from 'fast-check';
import { isRefusal } from '../../../src/chains/refusal.js';
import { readSigningPayload } from '../../../src/cli/signing-payload.js';
import type { TransactionRequest } from '../../../src/core/request.js';
import {
  rawOf as bitcoinRaw,
  bitcoinRequest,
  draft,
  legacyDraft,
  outpointName,
} from '../../support/bitcoin-requests.js';
import { cpuClock } from '../../support/cpu-clock.js';
import { rawOf } from '../../support/evm-requests.js';
import { reasonOf, verifier } from '../../support/examining.js';
import { runs } from '../../support/fuzz-runs.js';
import { signingRequest, VENDOR_BYTES, VENDOR_DIGEST, vendorIntent } from '../../support/signing-requests.js';

const verify = verifier();
const good = Buffer.from(VENDOR_BYTES, 'hex');

function substitutions(bytes: Buffer): readonly Buffer[] {
  return [...bytes].flatMap((old, at) =>
    Array.from({ length: 255 }, (_, step) => {
      const mutant = Buffer.from(bytes);
      mutant[at] = (old + step + 1) % 256;
      return mutant;
    }),
  );
}

function insertionsAndDeletions(bytes: Buffer): readonly Buffer[] {
  const places = Array.from({ length: bytes.length + 1 }, (_, at) => at);
  const inserted = places.flatMap((at) =>
    Array.from({ length: 256 }, (_, byte) =>
      Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), bytes.subarray(at)]),
    ),
  );
  const deleted = [...bytes].map((_, at) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]));
  return [...inserted, ...deleted];
}

describe("the vendor's example, a byte at a time", () => {
  test('with the old digest nothing else passes', async () => {
    for (const mutant of substitutions(good)) {
      const request = signingRequest({}, [
        { ...rawOf('00'), bytes: mutant.toString('hex'), digest: VENDOR_DIGEST },
      ]);
      expect(reasonOf(await verify(request))).toBe('HASH_MISMATCH');
    }
  });

  test('with a fresh digest only the nonce, the priority fee or a lower fee may differ', async () => {
    const original = Transaction.from(`0x${VENDOR_BYTES}`);
    const approved = { nonce: 0, priorityFee: 0, lowerFee: 0 };
    for (const mutant of substitutions(good)) {
      const hex = mutant.toString('hex');
      if (reasonOf(await verify(signingRequest({}, [rawOf(hex)]))) !== 'agrees') continue;
      const changed = Transaction.from(`0x${hex}`);
      for (const field of ['type', 'chainId', 'to', 'value', 'data', 'gasLimit'] as const)
        expect(changed[field]).toEqual(original[field]);
      if (changed.nonce !== original.nonce) approved.nonce += 1;
      else if (changed.maxPriorityFeePerGas !== original.maxPriorityFeePerGas) approved.priorityFee += 1;
      else if ((changed.maxFeePerGas ?? 0n) < (original.maxFeePerGas ?? 0n)) approved.lowerFee += 1;
    }
    expect(approved).toEqual({ nonce: 127, priorityFee: 1019, lowerFee: 635 });
  });

  test('with the exact fee and the expected nonce only the priority fee may differ', async () => {
    const strict = verifier({ feeMode: 'exact' }, { nonces: async () => [4] });
    let approved = 0;
    for (const mutant of substitutions(good)) {
      const hex = mutant.toString('hex');
      if (reasonOf(await strict(signingRequest({}, [rawOf(hex)]))) !== 'agrees') continue;
      approved += 1;
      expect(Transaction.from(`0x${hex}`).maxFeePerGas).toBe(
        Transaction.from(`0x${VENDOR_BYTES}`).maxFeePerGas,
      );
    }
    expect(approved).toBe(1019);
  });

  test('with a byte more or less nothing passes', async () => {
    const mutants = insertionsAndDeletions(good).filter((mutant) => !mutant.equals(good));
    for (const mutant of mutants)
      expect(reasonOf(await verify(signingRequest({}, [rawOf(mutant.toString('hex'))])))).not.toBe('agrees');
    expect(mutants.length).toBe(12_849);
  });
});

describe('Bitcoin, a bit at a time', () => {
  const trusted = new Map(draft.inputs.map(({ outpoint, value }) => [outpointName(outpoint), { value }]));
  const verifying = verifier({}, { prevouts: async () => trusted });

  function* flips(request: TransactionRequest): Generator<TransactionRequest> {
    for (const [index, raw] of request.rawTransactions.entries()) {
      const bytes = Buffer.from(String(raw.bytes), 'hex');
      for (let bit = 0; bit < 8 * bytes.length; bit += 1) {
        const mutant = Buffer.from(bytes);
        mutant[bit >> 3] = (mutant[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const rawTransactions = request.rawTransactions.with(index, bitcoinRaw(mutant.toString('hex')));
        yield { ...request, rawTransactions };
      }
    }
  }

  test.each([
    ['SegWit', draft],
    ['legacy', legacyDraft],
  ])('%s: no flipped bit of one entry passes', async (_, from) => {
    const request = bitcoinRequest(from);
    expect(reasonOf(await verifying(request))).toBe('agrees');
    let tried = 0;
    for (const mutant of flips(request)) {
      tried += 1;
      expect(reasonOf(await verifying(mutant))).not.toBe('agrees');
    }
    expect(tried).toBeGreaterThan(2_900);
  });

  test('entries removed, repeated or exchanged: refused, or the same verdict', async () => {
    const request = bitcoinRequest(draft);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 4 }), async (order) => {
        const rawTransactions = order.flatMap((index) => request.rawTransactions.slice(index, index + 1));
        const complete = order.length === 2 && order[0] !== order[1];
        const agrees = reasonOf(await verify({ ...request, rawTransactions })) === 'agrees';
        expect(agrees).toBe(complete);
      }),
      { numRuns: runs(60) },
    );
  });
});

describe('anything at all', () => {
  const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const firstBytes = fc.constantFrom(0x01, 0x02, 0x03, 0x04, 0x05, 0x19, 0xc0, 0xf8, 0xf9, 0xfa);

  test('of up to 128 KiB is answered in bounded time, and nothing throws', async () => {
    await fc.assert(
      fc.asyncProperty(
        firstBytes,
        fc.uint8Array({ minLength: 1, maxLength: 128 * 1024 - 1, size: 'max' }),
        async (first, rest) => {
          const hex = hexOf(Buffer.concat([Buffer.from([first]), rest]));
          const cpuMs = cpuClock();
          expect(reasonOf(await verify(signingRequest({}, [rawOf(hex)])))).not.toBe('agrees');
          expect(
            reasonOf(await verify({ ...bitcoinRequest(draft), rawTransactions: [bitcoinRaw(hex)] })),
          ).not.toBe('agrees');
          expect(cpuMs()).toBeLessThan(2_000);
        },
      ),
      { numRuns: runs(25) },
    );
  });

  test.each([
    ['nested empty lists', `fa020000${'c0'.repeat(0x20000 - 4)}`],
    ['lists in lists', `02${'c1'.repeat(0x20000 - 2)}c0`],
    ['one byte repeated', 'ff'.repeat(0x20000)],
    ['zeros', '00'.repeat(0x20000)],
    ['a preimage of many inputs', `02000000fdff0a${'00'.repeat(0x20000 - 7)}`],
  ])('%s: answered soon', async (_, hex) => {
    const cpuMs = cpuClock();
    expect(reasonOf(await verify(signingRequest({}, [rawOf(hex)])))).not.toBe('agrees');
    expect(reasonOf(await verify({ ...bitcoinRequest(draft), rawTransactions: [bitcoinRaw(hex)] }))).not.toBe(
      'agrees',
    );
    expect(cpuMs()).toBeLessThan(2_000);
  });
});

describe('every field of the payload, with junk in it', () => {
  const payload = {
    txId: 'x',
    requestId: 'x',
    operation: 'TRANSFER',
    asset: 'ETH',
    sourceType: 'VAULT',
    sourceId: '0',
    amountStr: vendorIntent.amount,
    requestedAmountStr: vendorIntent.requestedAmount,
    fee: vendorIntent.fee,
    destAddress: vendorIntent.destinationAddress,
    destinations: [
      {
        amountNativeStr: '0.01',
        displayDstAddress: vendorIntent.destinationAddress,
        dstType: 'VAULT',
        dstId: '1',
      },
    ],
    rawTx: [{ keyDerivationPath: '[ 44, 60, 0, 0, 0 ]', rawTx: VENDOR_BYTES, payload: VENDOR_DIGEST }],
  };
  const junk = [
    null,
    true,
    0,
    -1,
    1e300,
    '',
    ' ',
    '0x',
    '__proto__',
    [],
    [null],
    {},
    { __proto__: null, a: 1 },
    [[]],
  ];
  /** Names of things, and fields whose absence says nothing. */
  const harmless = ['txId', 'requestId', 'dstType', 'dstId', 'requestedAmountStr', 'destAddress'];

  async function judged(value: object): Promise<string> {
    const request = readSigningPayload(Buffer.from(JSON.stringify(value)));
    return isRefusal(request) ? request.reason : reasonOf(await verify(request));
  }

  test('nothing throws, and no junk in a field that matters is approved', async () => {
    expect(await judged(payload)).toBe('agrees');
    for (const value of junk) {
      for (const key of Object.keys(payload)) {
        const reason = await judged({ ...payload, [key]: value });
        // An absent operation is a transfer, as documented.
        const absent = key === 'operation' && (value === null || value === '');
        if (!harmless.includes(key) && !absent)
          expect([key, value, reason]).not.toEqual([key, value, 'agrees']);
      }
      for (const part of ['destinations', 'rawTx'] as const) {
        for (const key of Object.keys(payload[part][0] ?? {})) {
          const reason = await judged({ ...payload, [part]: [{ ...payload[part][0], [key]: value }] });
          if (!harmless.includes(key)) expect([key, value, reason]).not.toEqual([key, value, 'agrees']);
        }
      }
    }
  });
});
