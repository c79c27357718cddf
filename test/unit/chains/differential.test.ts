/** Other people's decoders and encoders must see what ours see. */
import { describe, expect, test } from '@jest/globals';
import { networks } from 'bitcoinjs-lib';
import { keccak256, Transaction } from 'ethers';
import fc from 'fast-check';
import { Transaction as MicroTransaction } from 'micro-eth-signer';
import { readLegacy, readWitness } from '../../../src/chains/bitcoin/preimage.js';
import { standardScript } from '../../../src/chains/bitcoin/script.js';
import { readTransaction } from '../../../src/chains/evm/transaction.js';
import { readEntry } from '../../../src/chains/raw-entry.js';
import { isRefusal } from '../../../src/chains/refusal.js';
import { DEFAULT_SETTINGS } from '../../../src/core/policy/verification.js';
import { type Draft, doubleSha256, outpoint, p2pkh, preimagesOf } from '../../support/bitcoin-requests.js';
import { rawOf, transaction } from '../../support/evm-requests.js';
import { runs } from '../../support/fuzz-runs.js';

// Loaded after the code under test: it must not be the first to load the curves that both share.
const scure = await import('@scure/btc-signer');
const payments = await import('@scure/btc-signer/payment.js');

const address = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`);

const transactions = fc
  .record({
    type: fc.constantFrom(0, 1, 2),
    nonce: fc.nat({ max: 2 ** 40 }),
    gasLimit: fc.bigInt({ min: 21_000n, max: 30_000_000n }),
    price: fc.bigInt({ min: 1n, max: 10n ** 13n }),
    value: fc.bigInt({ min: 0n, max: 2n ** 100n }),
    chainId: fc.constantFrom(1n, 56n, 137n, 43114n),
    to: address,
    data: fc.uint8Array({ maxLength: 80 }).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`),
    accounts: fc.array(address, { maxLength: 2 }),
  })
  .map(({ type, price, accounts, ...fields }) =>
    transaction({
      type,
      ...fields,
      ...(type === 2
        ? { maxFeePerGas: price, maxPriorityFeePerGas: price / 3n }
        : { gasPrice: price, maxFeePerGas: null, maxPriorityFeePerGas: null }),
      ...(type === 0
        ? {}
        : {
            accessList: accounts.map((account) => ({ address: account, storageKeys: [keccak256(account)] })),
          }),
    }),
  );

/** Our strict decoder, with every policy about what decodes left open. */
function accepts(hex: string): boolean {
  const entry = readEntry(rawOf(hex));
  if (isRefusal(entry)) return false;
  const read = readTransaction(entry, 1n, DEFAULT_SETTINGS);
  return !isRefusal(read) || !ENCODING.includes(read.reason);
}

const ENCODING: readonly string[] = [
  'DECODE_ERROR',
  'NON_CANONICAL',
  'ALREADY_SIGNED',
  'TX_TYPE_REFUSED',
  'MESSAGE_BYTES',
];

function microAccepts(hex: string): boolean {
  try {
    const decoded = MicroTransaction.fromHex(hex);
    return !decoded.isSigned && decoded.toHex({ includeSignature: false }) === hex;
  } catch {
    return false;
  }
}

describe('micro-eth-signer', () => {
  test('sees the same transaction in every valid encoding', () => {
    fc.assert(
      fc.property(transactions, (ours) => {
        const hex = ours.unsignedSerialized;
        const theirs = MicroTransaction.fromHex(hex);
        expect(theirs.toHex({ includeSignature: false })).toBe(hex);
        expect(theirs.raw).toMatchObject({
          value: ours.value,
          nonce: BigInt(ours.nonce),
          gasLimit: ours.gasLimit,
        });
        expect(theirs.raw.to.toLowerCase()).toBe(ours.to?.toLowerCase());
        expect(accepts(hex)).toBe(true);
      }),
      { numRuns: runs(300) },
    );
  });

  test('accepts and refuses the same mutants', () => {
    const place = fc.nat({ max: 10_000 });
    const mutation = fc.record({
      at: place,
      byte: fc.integer({ min: 0, max: 255 }),
      how: fc.constantFrom('set', 'insert', 'delete'),
    });
    fc.assert(
      fc.property(transactions, fc.array(mutation, { minLength: 1, maxLength: 2 }), (ours, mutations) => {
        let bytes = [...Buffer.from(ours.unsignedSerialized.slice(2), 'hex')];
        for (const { at, byte, how } of mutations) {
          const index = at % bytes.length;
          if (how === 'set') bytes = bytes.with(index, byte);
          else bytes = how === 'insert' ? bytes.toSpliced(index, 0, byte) : bytes.toSpliced(index, 1);
        }
        const hex = `0x${Buffer.from(bytes).toString('hex')}`;
        if (beyondOneOfThem(hex)) return;
        expect([hex, accepts(hex)]).toEqual([hex, microAccepts(hex)]);
      }),
      { numRuns: runs(2_000) },
    );
  });
});

/** Limits that only one library has on numbers that no other check lets through: gas, nonce, prices, chain 0, blobs. */
function beyondOneOfThem(hex: string): boolean {
  try {
    const { gasLimit, nonce, maxFeePerGas, gasPrice, chainId, type, data, to, maxPriorityFeePerGas } =
      Transaction.from(hex);
    const price = maxFeePerGas ?? gasPrice ?? 0n;
    return (
      gasLimit > 30_000_000n ||
      nonce > 2 ** 48 ||
      price > 10n ** 13n ||
      (maxPriorityFeePerGas ?? 0n) > price ||
      chainId === 0n ||
      (type ?? 0) > 2 ||
      (to === null && data === '0x')
    );
  } catch {
    return false;
  }
}

describe('@scure/btc-signer', () => {
  const keyHash = fc
    .uint8Array({ minLength: 20, maxLength: 20 })
    .map((bytes) => Buffer.from(bytes).toString('hex'));
  const drafts: fc.Arbitrary<Draft> = fc.record({
    version: fc.constantFrom(1, 2),
    inputs: fc
      .array(
        fc.record({
          value: fc.bigInt({ min: 0n, max: 2_100_000_000_000_000n }),
          key: keyHash,
          sequence: fc.constantFrom(0xffffffff, 0xfffffffe, 0xfffffffd),
          form: fc.constantFrom('witness' as const, 'legacy' as const),
        }),
        { minLength: 1, maxLength: 5 },
      )
      .map((inputs) => inputs.map((input, index) => ({ ...input, outpoint: outpoint(index) }))),
    outputs: fc.array(
      fc.record({
        value: fc.bigInt({ min: 0n, max: 2_100_000_000_000_000n }),
        script: keyHash.map((hash) => `0014${hash}`),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  });

  test('hashes every preimage as we read it', () => {
    fc.assert(
      fc.property(drafts, (from) => {
        const theirs = new scure.Transaction({
          version: from.version ?? 2,
          allowUnknownInputs: true,
          allowUnknownOutputs: true,
          disableScriptCheck: true,
        });
        for (const { outpoint: hex, sequence = 0xffffffff } of from.inputs)
          theirs.addInput({ txid: Buffer.from(hex.slice(0, 64), 'hex').reverse(), index: 0, sequence });
        for (const { script, value } of from.outputs)
          theirs.addOutput({ script: Buffer.from(script, 'hex'), amount: value });
        for (const [index, preimage] of preimagesOf(from).entries()) {
          const { form, key = '', value } = from.inputs[index] ?? { form: 'witness', value: 0n };
          const script = Buffer.from(p2pkh(key), 'hex');
          const hash =
            form === 'legacy'
              ? // biome-ignore lint/complexity/useLiteralKeys: the type declares it private
                theirs['preimageLegacy'](index, script, 1)
              : theirs.preimageWitnessV0(index, script, 1, value);
          expect(doubleSha256(preimage)).toBe(Buffer.from(hash).toString('hex'));
          const bytes = Buffer.from(preimage, 'hex');
          const read = form === 'legacy' ? readLegacy(bytes) : readWitness(bytes);
          expect(read).toMatchObject({
            script: p2pkh(key),
            version: from.version,
            outpoint: outpoint(index),
            hashType: 1,
          });
        }
      }),
      { numRuns: runs(200) },
    );
  });

  test('gives every address the same script', () => {
    const scripts = fc.oneof(
      keyHash.map((hash) => `76a914${hash}88ac`),
      keyHash.map((hash) => `a914${hash}87`),
      keyHash.map((hash) => `0014${hash}`),
      fc
        .uint8Array({ minLength: 32, maxLength: 32 })
        .map((bytes) => `0020${Buffer.from(bytes).toString('hex')}`),
    );
    fc.assert(
      fc.property(scripts, fc.boolean(), (script, mainnet) => {
        const theirs = payments.Address(mainnet ? scure.NETWORK : scure.TEST_NETWORK);
        const text = theirs.encode(payments.OutScript.decode(Buffer.from(script, 'hex')));
        expect(standardScript(mainnet ? networks.bitcoin : networks.testnet, text)).toBe(script);
        expect(standardScript(mainnet ? networks.testnet : networks.bitcoin, text)).toBeUndefined();
      }),
      { numRuns: runs(300) },
    );
  });
});
