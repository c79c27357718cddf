/**
 * Published vectors, each as its own description says what it must show. The files are no part of the repository:
 * COUNTERSIGN_VECTORS names their folder, and without it these tests are skipped (the unit tests stand alone).
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { Transaction as BitcoinTransaction, networks } from 'bitcoinjs-lib';
import { Transaction, TypedDataEncoder, type TypedDataField } from 'ethers';
import { builtinAssets } from '../../src/chains/assets.js';
import {
  classify,
  doubleSha256,
  readLegacy,
  readPreimage,
  readWitness,
} from '../../src/chains/bitcoin/preimage.js';
import { standardScript } from '../../src/chains/bitcoin/script.js';
import { KNOWN_FUNCTIONS } from '../../src/chains/evm/known-functions.js';
import { type Envelope, readTransaction } from '../../src/chains/evm/transaction.js';
import { readTypedData } from '../../src/chains/evm/typed-data.js';
import { readEntry } from '../../src/chains/raw-entry.js';
import { isRefusal, type Refusal } from '../../src/chains/refusal.js';
import { judgeCases } from '../../src/cli/verification-cases.js';
import { DEFAULT_SETTINGS } from '../../src/core/policy/verification.js';
import type { Json } from '../../src/core/request.js';
import { rawOf as bitcoinRaw } from '../support/bitcoin-requests.js';
import { rawOf } from '../support/evm-requests.js';
import { jsonOf } from '../support/json.js';

const folder = process.env.COUNTERSIGN_VECTORS;
const vectors = folder === undefined ? describe.skip : describe;

// biome-ignore lint/suspicious/noExplicitAny: published files of many shapes, read only by these tests
function read(name: string): any {
  return JSON.parse(text(name));
}

function text(name: string): string {
  return readFileSync(`${folder}/rawtx/${name}`, 'utf8');
}

function json(name: string): Json {
  return jsonOf(text(name));
}

const OPEN = {
  ...DEFAULT_SETTINGS,
  allowPre155: true,
  allowCreate: true,
  allowAccessList: true,
  allowBlobs: true,
};

/** The envelope, or the reason code. */
function decoded(hex: string, chainId: bigint, settings = OPEN): Envelope | Refusal['reason'] {
  const entry = readEntry(rawOf(hex));
  const envelope = isRefusal(entry) ? entry : readTransaction(entry, chainId, settings);
  return isRefusal(envelope) ? envelope.reason : envelope;
}

function kindOf(hex: string, chainId: bigint): string {
  const envelope = decoded(hex, chainId);
  return typeof envelope === 'string' ? envelope : 'decoded';
}

const big = (value: string | number | undefined): bigint =>
  value === undefined || value === '0x' ? 0n : BigInt(value);

vectors('cases made for this verifier', () => {
  test.each(['evm-cases.json', 'btc-cases.json'])('%s: every action and reason code', async (name) => {
    const judged = await judgeCases(json(name));
    const wrong = judged.filter(
      ({ expected, got }) => expected.action !== got.action || !expected.codes.includes(got.code),
    );
    expect(wrong).toEqual([]);
    expect(judged).toHaveLength(name === 'evm-cases.json' ? 76 : 51);
  });

  test("the vendor's own payloads: three agree, legacy Bitcoin needs its previous outputs", async () => {
    const file = json('fireblocks-official-payloads.json') as { readonly [name: string]: Json };
    const prevouts = read('btc-cases.json').cases.find(({ id }: { id: string }) => id === 'B002').context
      .prevouts;
    const expected = { action: 'APPROVE', code: 'OK' };
    const cases = ['ethPlain', 'ethJwt', 'btcSegwit'].map((id) => ({
      id,
      payload: file[id] ?? null,
      expected,
    }));
    const legacy = { payload: file.btcLegacy ?? null };
    const judged = await judgeCases({
      cases: [
        ...cases,
        { id: 'btcLegacy', ...legacy, expected: { action: 'REJECT', code: 'FEE_UNVERIFIABLE' } },
        { id: 'btcLegacy with previous outputs', ...legacy, context: { prevouts }, expected },
      ],
    });
    expect(judged.map(({ id, got }) => [id, got.action, got.code])).toEqual(
      judged.map(({ id, expected: { action, codes } }) => [id, action, codes[0]]),
    );
  });
});

vectors('Ethereum', () => {
  test('EIP-155: the example decodes to its fields', () => {
    const { tx, signingData, signingHash } = read('eip155.json');
    expect(rawOf(signingData).digest).toBe(signingHash.slice(2));
    expect(decoded(signingData, 1n)).toMatchObject({
      to: tx.to,
      value: BigInt(tx.value),
      nonce: tx.nonce,
      gasLimit: BigInt(tx.gasLimit),
      maxFee: BigInt(tx.gasLimit) * BigInt(tx.gasPrice),
    });
  });

  test("ethers' legacy transactions: both unsigned forms decode to their fields", () => {
    const { cases } = read('ethers-transactions.json');
    for (const one of cases) {
      const fields = {
        to: one.to?.toLowerCase(),
        value: big(one.value),
        data: (one.data ?? '0x').toLowerCase(),
        nonce: Number(big(one.nonce)),
        gasLimit: big(one.gasLimit),
        maxFee: big(one.gasLimit) * big(one.gasPrice),
      };
      expect(decoded(one.unsignedTransaction, 5n)).toMatchObject(fields);
      expect(decoded(one.unsignedTransactionChainId5, 5n)).toMatchObject(fields);
    }
    expect(cases).toHaveLength(178);
  });

  test("ethers' typed transactions: unsigned ones are canonical, signed ones are refused as such", () => {
    const { cases } = read('ethers-typed-transactions.json');
    const types = { 1: 0, 2: 0 };
    for (const { tx, unsigned, signed } of cases) {
      const chainId = big(tx.chainId);
      expect(decoded(unsigned, chainId)).toMatchObject({
        type: tx.type,
        value: big(tx.value),
        gasLimit: big(tx.gasLimit),
      });
      expect(kindOf(signed, chainId)).toBe('ALREADY_SIGNED');
      types[tx.type as 1 | 2] += 1;
    }
    expect(types).toEqual({ 1: 77, 2: 103 });
  });

  test('EIP-712: every digest of the set, and the example with a foreign domain member is refused by name', () => {
    const { cases, mailEip } = read('eip712.json');
    for (const { domain, types, primaryType, data, digest } of cases) {
      expect(TypedDataEncoder.hash(domain, types as Record<string, TypedDataField[]>, data)).toBe(digest);
      const typed = readTypedData(jsonOf(JSON.stringify({ domain, types, primaryType, message: data })));
      expect(isRefusal(typed) ? typed : typed.digest).toBe(digest);
    }
    expect(cases).toHaveLength(82);
    expect(readTypedData(jsonOf(JSON.stringify(mailEip)))).toMatchObject({
      reason: 'TYPED_DOMAIN_MISMATCH',
    });
  });

  test('ethereum/tests: nothing signed is accepted; decoding and the canonical form stop what they can', () => {
    const { cases } = read('ethereum-tests-transactiontests.json');
    const tally = { valid: 0, validPass: 0, invalid: 0, invalidStopped: 0, invalidDecoded: 0 };
    for (const { txbytes, exception } of cases) {
      // Zeros in place of a signature are, byte for byte, the unsigned form of EIP-155.
      if (kindOf(txbytes, 1n) === 'decoded')
        expect(Transaction.from(txbytes).unsignedSerialized).toBe(txbytes);
      const form = serialised(txbytes);
      if (exception === undefined || exception === null) {
        tally.valid += 1;
        tally.validPass += form === txbytes ? 1 : 0;
      } else {
        tally.invalid += 1;
        tally.invalidDecoded += form === undefined ? 0 : 1;
        tally.invalidStopped += form === txbytes ? 0 : 1;
      }
    }
    expect(tally).toMatchObject({ valid: 49, validPass: 48, invalid: 159, invalidStopped: 112 });
  });

  test('the decode matrix: only canonical, unsigned transactions of allowed types for this chain', () => {
    const { rows } = read('evm-decode-matrix.json');
    const accepted = rows
      .filter(({ raw }: { raw: string }) => typeof decoded(raw, 1n, DEFAULT_SETTINGS) !== 'string')
      .map(({ form }: { form: string }) => form);
    expect(rows).toHaveLength(50);
    expect(accepted).toEqual([
      'legacy EIP-155 (9: chainId,0,0)',
      '2930 (8)',
      '1559 (9)',
      '1559 value=2^256-1',
      // Decodes; the gas ceiling refuses it.
      '1559 gas 2^64',
    ]);
  });

  test('the selectors are those of their signatures', () => {
    const { selectors } = read('evm-selectors.json');
    for (const { selector, signature } of selectors)
      expect(KNOWN_FUNCTIONS.get(selector)?.signature).toBe(signature);
    const listed = (selectors as readonly { signature: string }[]).map(({ signature }) => signature);
    const others = [...KNOWN_FUNCTIONS.values()].map(({ signature }) => signature);
    expect(others.filter((signature) => !listed.includes(signature))).toEqual([
      // The second function of EIP-3009.
      'receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)',
    ]);
  });
});

/** What ethers makes of a signed transaction; undefined when it does not decode or serialise. */
function serialised(hex: string): string | undefined {
  try {
    return Transaction.from(hex).serialized;
  } catch {
    return undefined;
  }
}

vectors('Bitcoin', () => {
  test('BIP-143: every preimage has its hash, and is BIP-143 and not legacy', () => {
    const cases = read('bip143.json').sections.flatMap(({ cases: some }: { cases: object[] }) => some);
    for (const { preimage, sigHash } of cases) {
      const bytes = Buffer.from(preimage, 'hex');
      expect(doubleSha256(bytes).toString('hex')).toBe(sigHash);
      expect(readWitness(bytes)).toBeDefined();
      expect(readLegacy(bytes)).toBeUndefined();
    }
    expect(cases).toHaveLength(13);
  });

  test('BIP-341: the key path hashes, none of which is taken for a preimage', () => {
    const [{ given, inputSpending }] = read('bip341-wallet-vectors.json').keyPathSpending;
    const transaction = BitcoinTransaction.fromHex(given.rawUnsignedTx);
    const scripts = given.utxosSpent.map(({ scriptPubKey }: { scriptPubKey: string }) =>
      Buffer.from(scriptPubKey, 'hex'),
    );
    const amounts = given.utxosSpent.map(({ amountSats }: { amountSats: number }) => BigInt(amountSats));
    for (const { given: input, intermediary } of inputSpending) {
      const hash = transaction.hashForWitnessV1(input.txinIndex, scripts, amounts, input.hashType);
      expect(Buffer.from(hash).toString('hex')).toBe(intermediary.sigHash);
      const bytes = Buffer.from(intermediary.sigMsg, 'hex');
      expect(classify(readLegacy(bytes), readWitness(bytes))).toBeUndefined();
    }
    expect(inputSpending).toHaveLength(7);
  });

  test('Bitcoin Core sighash: every hash, and the legacy preimages that can be built from the set', () => {
    const { cases } = read('core-sighash.json');
    let built = 0;
    let both = 0;
    for (const [raw, script, index, hashType, expected] of cases) {
      const transaction = BitcoinTransaction.fromHex(raw);
      const hash = transaction.hashForSignature(index, Buffer.from(script, 'hex'), hashType);
      expect(Buffer.from(hash).reverse().toString('hex')).toBe(expected);
      const preimage = legacyPreimage(transaction, index, script);
      if (preimage === undefined) continue;
      built += 1;
      const bytes = Buffer.from(preimage, 'hex');
      const all = transaction.hashForSignature(index, Buffer.from(script, 'hex'), 1);
      expect(doubleSha256(bytes)).toEqual(Buffer.from(all));
      expect(readLegacy(bytes)).toMatchObject({ script, hashType: 1 });
      if (readWitness(bytes) !== undefined) both += 1;
    }
    expect(cases).toHaveLength(500);
    expect([built, both]).toEqual([244, 1]);
  });

  test('addresses: the standard forms give their scripts, later witness versions none', () => {
    const litecoin = { ...networks.bitcoin, bech32: 'ltc', pubKeyHash: 0x30, scriptHash: 0x32 };
    const known = {
      bitcoin: networks.bitcoin,
      testnet: networks.testnet,
      regtest: networks.regtest,
      litecoin,
    };
    const { standard, invalid } = read('bitcoinjs-address.json');
    let scripts = 0;
    for (const { network, base58check, bech32, script } of standard) {
      const found = standardScript(known[network as keyof typeof known], base58check ?? bech32);
      if (/^OP_(2|16) /.test(script)) {
        expect(found).toBeUndefined();
      } else {
        scripts += 1;
        expect(found).toContain(/[0-9a-f]{40,64}/.exec(script)?.[0]);
      }
    }
    expect(scripts).toBe(14);
    for (const { address } of invalid.toOutputScript) {
      expect(standardScript(networks.bitcoin, address)).toBeUndefined();
      expect(standardScript(networks.testnet, address)).toBeUndefined();
    }
  });

  test('whole transactions are not what is signed', () => {
    const { valid } = read('bitcoinjs-transaction.json');
    for (const { hex, whex } of valid) {
      for (const raw of [hex, whex].filter((one) => typeof one === 'string' && one !== '')) {
        const entry = readEntry(bitcoinRaw(raw));
        const preimage = isRefusal(entry) ? entry : readPreimage(entry);
        expect(isRefusal(preimage) ? preimage.reason : 'read').toBe('DECODE_ERROR');
      }
    }
    expect(valid.length).toBeGreaterThan(10);
  });
});

/** With SIGHASH_ALL; undefined where scripts cannot be told apart (empty, or holding OP_CODESEPARATOR). */
function legacyPreimage(transaction: BitcoinTransaction, index: number, script: string): string | undefined {
  if (script === '' || script.includes('ab')) return undefined;
  const copy = transaction.clone();
  for (const [at, input] of copy.ins.entries()) {
    input.witness = [];
    input.script = at === index ? Buffer.from(script, 'hex') : Buffer.alloc(0);
  }
  return `${copy.toHex()}01000000`;
}

vectors('assets', () => {
  test('the built-in table says what the public lists say', () => {
    const { evmNative, evmTokensSample, utxo } = read('fireblocks-assets.json');
    const table = new Map(builtinAssets().map((asset) => [asset.id, asset]));
    for (const { id, chainId, decimals } of evmNative) {
      expect(table.get(id)).toMatchObject({ family: 'evm', decimals });
      expect(table.get(id)?.chain).toBe(chainId === null ? undefined : `eip155:${chainId}`);
    }
    for (const { id, chainId, contract, decimals } of evmTokensSample) {
      expect(table.get(id)).toMatchObject({
        chain: `eip155:${chainId}`,
        contract: contract.toLowerCase(),
        decimals,
      });
    }
    for (const { id, decimals } of utxo) expect(table.get(id)).toMatchObject({ decimals });
    expect(table.size).toBe(evmNative.length + evmTokensSample.length + utxo.length);
  });
});
