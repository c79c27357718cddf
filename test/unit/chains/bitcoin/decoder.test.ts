import { describe, expect, test } from '@jest/globals';
import { crypto } from 'bitcoinjs-lib';
import { HDNodeWallet } from 'ethers';
import type { PrevoutSource } from '../../../../src/chains/index.js';
import type { TransactionRequest } from '../../../../src/core/request.js';
import {
  addressOf,
  bitcoinRequest,
  type Draft,
  draft,
  FRIEND,
  FRIEND_SCRIPT,
  type Input,
  legacyDraft,
  OTHER_KEY,
  OWN_KEY,
  outpoint,
  outpointName,
  p2pkh,
  p2wpkh,
  preimagesOf,
  rawOf,
  STRANGER_KEY,
} from '../../../support/bitcoin-requests.js';
import { reasonOf, verifier } from '../../../support/examining.js';

const verify = verifier();
const stranger = { script: p2wpkh(STRANGER_KEY), value: 1_000n };

/** A source that knows the true value of every input of the draft, and its script where given. */
function prevoutsOf({ inputs }: Draft, script?: string): PrevoutSource {
  const known = new Map(
    inputs.map((input) => [
      outpointName(input.outpoint),
      { value: input.value, ...(script === undefined ? {} : { script }) },
    ]),
  );
  return async () => known;
}

const verifyLegacy = verifier({}, { prevouts: prevoutsOf(legacyDraft) });

function inputs(...changes: readonly Partial<Input>[]): readonly Input[] {
  return draft.inputs.map((input, index) => ({ ...input, ...changes[index] }));
}

describe('a SegWit transaction', () => {
  const destinations = (...paid: readonly [string, string][]) =>
    paid.map(([address, amount]) => ({ type: 'VAULT', id: '', address, otherAddresses: [], amount }));
  const shares: readonly [string, bigint, string][] = [
    [`5120${'79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'}`, 10_000n, '0.0001'],
    [`0020${'33'.repeat(32)}`, 20_000n, '0.0002'],
    [`a914${'44'.repeat(20)}87`, 30_000n, '0.0003'],
    [p2pkh('55'.repeat(20)), 10_000n, '0.0001'],
  ];
  const shared: Draft = {
    ...draft,
    outputs: [
      ...shares.map(([script, value]) => ({ script, value })),
      { script: p2wpkh(OWN_KEY), value: 38_000n },
    ],
  };
  const sharedIntent = {
    destinations: destinations(
      ...shares.map(([script, , amount]): [string, string] => [addressOf(script), amount]),
    ),
  };
  const sweep: Draft = { ...draft, outputs: [{ script: FRIEND_SCRIPT, value: 108_000n }] };

  test.each<[string, TransactionRequest]>([
    ['to one destination with change', bitcoinRequest(draft)],
    ['with the change first', bitcoinRequest({ ...draft, outputs: draft.outputs.toReversed() })],
    [
      'with change to P2PKH of the own key',
      bitcoinRequest({
        ...draft,
        outputs: [
          { script: FRIEND_SCRIPT, value: 70_000n },
          { script: p2pkh(OWN_KEY), value: 38_000n },
        ],
      }),
    ],
    ['to destinations of all standard forms', bitcoinRequest(shared, sharedIntent)],
    [
      'in any order of the outputs',
      bitcoinRequest({ ...shared, outputs: shared.outputs.toReversed() }, sharedIntent),
    ],
    [
      'whose entries come in another order',
      { ...bitcoinRequest(draft), rawTransactions: bitcoinRequest(draft).rawTransactions.toReversed() },
    ],
    ['that is a sweep', bitcoinRequest(sweep, { amount: '0.0011' })],
    ['that was requested gross', bitcoinRequest(draft, { requestedAmount: '0.00072' })],
    [
      'that is a sweep requested gross',
      bitcoinRequest(sweep, { amount: '0.00108', requestedAmount: '0.0011' }),
    ],
    ['without change', bitcoinRequest(sweep, { amount: '0.00108' })],
    [
      'with replaceable inputs',
      bitcoinRequest({ ...draft, inputs: inputs({ sequence: 0xfffffffd }, { sequence: 0xfffffffd }) }),
    ],
  ])('agrees %s', async (_, request) => {
    expect(reasonOf(await verify(request))).toBe('agrees');
  });

  test('does what its effects say: payments leave, change does not', async () => {
    expect(await verify(bitcoinRequest(draft))).toMatchObject({
      kind: 'agrees',
      effects: { movements: [{ asset: 'BTC', to: FRIEND, amount: 70_000n }], maxFee: 2_000n },
    });
  });

  test('remembers what every input was said to hold', async () => {
    const examination = await verify(bitcoinRequest(draft));
    if (examination.kind !== 'agrees') throw new Error(reasonOf(examination));
    expect(examination.effects.facts).toMatchObject(
      draft.inputs.map((input) => ({
        key: expect.stringContaining(outpointName(input.outpoint)),
        value: input.value.toString(),
        reason: 'INPUT_AMOUNT_CHANGED',
      })),
    );
  });

  const [first, second] = preimagesOf(draft);
  const entries = (...bytes: readonly (string | undefined)[]): TransactionRequest => ({
    ...bitcoinRequest(draft),
    rawTransactions: bytes.map((one) => rawOf(one ?? '')),
  });

  test.each<[string, string, TransactionRequest]>([
    ['one entry missing', 'PREVOUTS_MISMATCH', entries(first)],
    ['one entry twice', 'DUPLICATE_INPUT', entries(first, second, first)],
    [
      'an entry of another transaction',
      'INPUTS_INCONSISTENT',
      entries(first, preimagesOf({ ...draft, outputs: [stranger] })[1]),
    ],
    [
      'another lock time in one entry',
      'LOCKTIME_REFUSED',
      entries(first, preimagesOf({ ...draft, locktime: 1 })[1]),
    ],
    [
      'another version in one entry',
      'INPUTS_INCONSISTENT',
      entries(first, preimagesOf({ ...draft, version: 1 })[1]),
    ],
    ['a version nobody knows', 'TX_VERSION', bitcoinRequest({ ...draft, version: 3 })],
    [
      'a relative lock time',
      'SEQUENCE_REFUSED',
      bitcoinRequest({ ...draft, inputs: inputs({ sequence: 5 }) }),
    ],
    ['outputs left unsigned', 'SIGHASH_REFUSED', bitcoinRequest({ ...draft, hashType: 2 })],
    ['inputs left unsigned', 'SIGHASH_REFUSED', bitcoinRequest({ ...draft, hashType: 0x81 })],
    ['a hash type with more than a byte', 'SIGHASH_REFUSED', bitcoinRequest({ ...draft, hashType: 0x101 })],
    [
      'another destination',
      'OUTPUTS_MISMATCH',
      bitcoinRequest({
        ...draft,
        outputs: [
          { script: stranger.script, value: 70_000n },
          { script: p2wpkh(OWN_KEY), value: 38_000n },
        ],
      }),
    ],
    [
      'a satoshi more',
      'OUTPUTS_MISMATCH',
      bitcoinRequest({
        ...draft,
        outputs: [
          { script: FRIEND_SCRIPT, value: 70_001n },
          { script: p2wpkh(OWN_KEY), value: 37_999n },
        ],
      }),
    ],
    [
      'an output more',
      'OUTPUTS_MISMATCH',
      bitcoinRequest({
        ...draft,
        outputs: [...draft.outputs.slice(0, 1), stranger, { script: p2wpkh(OWN_KEY), value: 37_000n }],
      }),
    ],
    [
      'the change to a stranger',
      'OUTPUTS_MISMATCH',
      bitcoinRequest({ ...draft, outputs: [...draft.outputs.slice(0, 1), { ...stranger, value: 38_000n }] }),
    ],
    [
      'the change to the miners',
      'OUTPUTS_MISMATCH',
      bitcoinRequest({ ...draft, outputs: draft.outputs.slice(0, 1) }),
    ],
    [
      'an input of another key',
      'INPUT_NOT_OWNED',
      bitcoinRequest({ ...draft, inputs: inputs({}, { key: OTHER_KEY }) }),
    ],
    [
      'a signed script that is no key hash',
      'SCRIPT_UNSUPPORTED',
      bitcoinRequest({ ...draft, inputs: inputs({ script: `${p2pkh(OWN_KEY)}ab` }) }),
    ],
    [
      'more than all the coins',
      'AMOUNT_RANGE',
      bitcoinRequest({ ...draft, inputs: inputs({ value: 2_100_000_000_000_001n }) }),
    ],
    ['a claim of nothing', 'AMOUNT_RANGE', bitcoinRequest(draft, { amount: '0' })],
    [
      'a claim that is not the sum',
      'PAYLOAD_INCONSISTENT',
      bitcoinRequest(draft, { requestedAmount: '0.0008' }),
    ],
    [
      'a fee that comes out twice',
      'OUTPUTS_MISMATCH',
      bitcoinRequest(
        { ...draft, outputs: [{ script: FRIEND_SCRIPT, value: 108_000n }] },
        { amount: '0.0011', requestedAmount: '0.00112' },
      ),
    ],
    ['half a satoshi', 'AMOUNT_PRECISION', bitcoinRequest(draft, { amount: '0.000700005' })],
    [
      'an address of testnet',
      'ADDRESS_FORMAT',
      bitcoinRequest(draft, {
        destinations: destinations(['tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx', '0.0007']),
      }),
    ],
    [
      'an address of a later witness version',
      'ADDRESS_FORMAT',
      bitcoinRequest(draft, {
        destinations: destinations(['bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs', '0.0007']),
      }),
    ],
    [
      'an address in mixed case',
      'ADDRESS_FORMAT',
      bitcoinRequest(draft, { destinations: destinations([FRIEND.replace('bc1q', 'bc1Q'), '0.0007']) }),
    ],
    [
      'another top-level address',
      'PAYLOAD_INCONSISTENT',
      bitcoinRequest(draft, { destinationAddress: addressOf(stranger.script) }),
    ],
    ['no destination', 'DEST_COUNT', bitcoinRequest(draft, { destinations: [] })],
    ['another fee than claimed', 'OUTPUTS_MISMATCH', bitcoinRequest(draft, { fee: '0.00001999' })],
    ['a fee above the ceiling', 'FEE_CEILING', bitcoinRequest(draft, { fee: '0.00200001' })],
    [
      'the path of another coin',
      'PATH_MISMATCH',
      {
        ...bitcoinRequest(draft),
        rawTransactions: bitcoinRequest(draft).rawTransactions.map((raw) => ({
          ...raw,
          keyDerivationPath: '[44,60,25,0,0]',
        })),
      },
    ],
    [
      'a whole transaction',
      'DECODE_ERROR',
      entries(`02000000${'01'}${outpoint(0)}00ffffffff01${'00'.repeat(8)}0000000000`),
    ],
    ['a PSBT', 'DECODE_ERROR', entries('70736274ff01')],
    ['a taproot message', 'DECODE_ERROR', entries(`0000${'00'.repeat(173)}`)],
    [
      'an output below the dust limit',
      'DUST_OUTPUT',
      bitcoinRequest(
        {
          ...draft,
          outputs: [
            { script: FRIEND_SCRIPT, value: 107_707n },
            { script: p2wpkh(OWN_KEY), value: 293n },
          ],
        },
        { amount: '0.00107707' },
      ),
    ],
    ['another operation', 'OPERATION_REFUSED', bitcoinRequest(draft, { operation: 'CONTRACT_CALL' })],
  ])('is refused with %s: %s', async (_, reason, request) => {
    expect(reasonOf(await verify(request))).toBe(reason);
  });

  test('may miss the claimed fee by the window of the settings, and no more', async () => {
    const request = bitcoinRequest(draft, { fee: '0.00002003' });
    expect(reasonOf(await verifier({ feeWindowSat: 3 })(request))).toBe('agrees');
    expect(reasonOf(await verifier({ feeWindowSat: 2 })(request))).toBe('OUTPUTS_MISMATCH');
  });

  test('must not cost too much for its size', async () => {
    expect(reasonOf(await verifier({ maxFeeRate: 9 })(bitcoinRequest(draft)))).toBe('FEE_RATE');
    expect(reasonOf(await verifier({ maxFeeRate: 10 })(bitcoinRequest(draft)))).toBe('agrees');
  });
});

describe('inputs of several keys', () => {
  const both: Draft = { ...draft, inputs: inputs({}, { key: OTHER_KEY }) };

  test('agree when the keys are listed, and change may go to either', async () => {
    const known = verifier({ ownedPkh: [OWN_KEY, OTHER_KEY] });
    const changed: Draft = {
      ...both,
      outputs: [
        { script: FRIEND_SCRIPT, value: 70_000n },
        { script: p2wpkh(OTHER_KEY), value: 38_000n },
      ],
    };
    expect(reasonOf(await known(bitcoinRequest(both)))).toBe('agrees');
    expect(reasonOf(await known(bitcoinRequest(changed)))).toBe('agrees');
    expect(reasonOf(await verifier({ ownedPkh: [OWN_KEY] })(bitcoinRequest(both)))).toBe('INPUT_NOT_OWNED');
  });

  test('agree when the keys follow from the extended public key along their own paths', async () => {
    const root = HDNodeWallet.fromSeed(Buffer.alloc(32, 7));
    const keyAt = (path: string) =>
      Buffer.from(crypto.hash160(Buffer.from(root.derivePath(path).publicKey.slice(2), 'hex'))).toString(
        'hex',
      );
    const [one, two] = [keyAt('44/0/25/0/0'), keyAt('44/0/25/1/3')];
    const derived: Draft = {
      inputs: inputs({ key: one }, { key: two }),
      outputs: [
        { script: FRIEND_SCRIPT, value: 70_000n },
        { script: p2wpkh(two), value: 38_000n },
      ],
    };
    const [first = '', second = ''] = preimagesOf(derived);
    const request = (paths: readonly [string, string]) => ({
      ...bitcoinRequest(derived),
      rawTransactions: [rawOf(first, paths[0]), rawOf(second, paths[1])],
    });
    const known = verifier({ ownedXpubs: [root.neuter().extendedKey] });
    expect(reasonOf(await known(request(['[44,0,25,0,0]', '[44,0,25,1,3]'])))).toBe('agrees');
    expect(reasonOf(await known(request(['[44,0,25,0,0]', '[44,0,25,1,4]'])))).toBe('INPUT_NOT_OWNED');
  });
});

describe('a legacy transaction', () => {
  const outputs = (...more: readonly { script: string; value: bigint }[]): Draft => ({
    ...legacyDraft,
    outputs: more,
  });
  const friend = { script: FRIEND_SCRIPT, value: 70_000n };
  const change = { script: p2wpkh(OWN_KEY), value: 38_000n };

  test('has no provable fee without its previous outputs', async () => {
    expect(reasonOf(await verify(bitcoinRequest(legacyDraft)))).toBe('FEE_UNVERIFIABLE');
    expect(reasonOf(await verifyLegacy(bitcoinRequest(legacyDraft)))).toBe('agrees');
    const trusting = verifier({ legacyFeeUnknown: 'allow' });
    expect(await trusting(bitcoinRequest(legacyDraft))).toMatchObject({
      kind: 'agrees',
      effects: { maxFee: undefined },
    });
  });

  test.each<[string, string, Draft]>([
    ['another destination', 'DESTINATION_MISMATCH', outputs({ ...friend, script: stranger.script }, change)],
    [
      'another amount',
      'VALUE_MISMATCH',
      outputs({ ...friend, value: 70_001n }, { ...change, value: 37_999n }),
    ],
    ['an output nobody claimed', 'UNKNOWN_OUTPUT', outputs(friend, stranger, { ...change, value: 37_000n })],
    ['a data output', 'OP_RETURN_REFUSED', outputs(friend, change, { script: '6a0101', value: 0n })],
    [
      'two change outputs',
      'CHANGE_COUNT',
      outputs(friend, { ...change, value: 19_000n }, { ...change, value: 19_000n }),
    ],
    ['a fee that is not the claimed one', 'FEE_MISMATCH', outputs(friend, { ...change, value: 8_000n })],
    ['more out than in', 'FEE_NEGATIVE', outputs(friend, { ...change, value: 90_000n })],
  ])('is refused with %s: %s', async (_, reason, from) => {
    expect(reasonOf(await verifyLegacy(bitcoinRequest(from)))).toBe(reason);
  });

  test('may carry data where a policy opens that, and never value with it', async () => {
    const opened = verifier({ allowOpReturn: true }, { prevouts: prevoutsOf(legacyDraft) });
    const withData = (value: bigint) =>
      bitcoinRequest(outputs(friend, { ...change, value: 38_000n - value }, { script: '6a0101', value }));
    expect(reasonOf(await opened(withData(0n)))).toBe('agrees');
    expect(reasonOf(await opened(withData(1_000n)))).toBe('OP_RETURN_REFUSED');
  });

  test('is refused when an entry is missing or shows another transaction', async () => {
    const [first = '', second = ''] = preimagesOf(legacyDraft);
    const [, other = ''] = preimagesOf(outputs(friend));
    const request = (...bytes: readonly string[]) => ({
      ...bitcoinRequest(legacyDraft),
      rawTransactions: bytes.map((one) => rawOf(one)),
    });
    expect(reasonOf(await verifyLegacy(request(first)))).toBe('INPUT_COUNT_MISMATCH');
    expect(reasonOf(await verifyLegacy(request(first, other)))).toBe('INPUTS_INCONSISTENT');
    expect(reasonOf(await verifyLegacy(request(first, second, first)))).toBe('DUPLICATE_INPUT');
  });

  test('may be mixed with SegWit inputs, which must sign the same outputs', async () => {
    const mixed: Draft = { ...draft, inputs: inputs({ form: 'legacy' }) };
    const [legacy = '', witness = ''] = preimagesOf(mixed);
    const [, elsewhere = ''] = preimagesOf({ ...mixed, outputs: [stranger] });
    const request = (...bytes: readonly string[]) => ({
      ...bitcoinRequest(mixed),
      rawTransactions: bytes.map((one) => rawOf(one)),
    });
    expect(reasonOf(await verifyLegacy(request(legacy, witness)))).toBe('agrees');
    expect(reasonOf(await verifyLegacy(request(legacy, elsewhere)))).toBe('OUTPUTS_MISMATCH');
  });
});

describe('previous outputs', () => {
  test('must agree with the amounts that are signed', async () => {
    const truth = prevoutsOf({ ...draft, inputs: inputs({ value: 1_000_000n }) });
    expect(reasonOf(await verifier({}, { prevouts: truth })(bitcoinRequest(draft)))).toBe(
      'INPUT_AMOUNT_MISMATCH',
    );
  });

  test.each<[string, string, string]>([
    ['P2WPKH of the key', 'agrees', p2wpkh(OWN_KEY)],
    [
      'P2SH of P2WPKH of the key',
      'agrees',
      `a914${Buffer.from(crypto.hash160(Buffer.from(p2wpkh(OWN_KEY), 'hex'))).toString('hex')}87`,
    ],
    ['P2WPKH of another key', 'INPUT_SCRIPT_MISMATCH', p2wpkh(OTHER_KEY)],
    ['P2PKH, which signs another form', 'INPUT_SCRIPT_MISMATCH', p2pkh(OWN_KEY)],
  ])('locked to %s: %s', async (_, expected, script) => {
    const verifying = verifier({}, { prevouts: prevoutsOf(draft, script) });
    expect(reasonOf(await verifying(bitcoinRequest(draft)))).toBe(expected);
  });

  test('that cannot be had decide nothing', async () => {
    const down = verifier({}, { prevouts: () => Promise.reject(new Error('no route')) });
    expect(reasonOf(await down(bitcoinRequest(draft)))).toBe('unavailable');
  });
});

test('an output that no address names is shown as its script, and nothing throws', async () => {
  const odd = `5120${'ff'.repeat(32)}`;
  const examination = await verifier({ changeScripts: [odd] })(
    bitcoinRequest({ ...draft, outputs: [...draft.outputs.slice(0, 1), { script: odd, value: 38_000n }] }),
  );
  expect(examination).toMatchObject({
    kind: 'agrees',
    effects: { summary: { outputs: expect.stringContaining(`script:${odd}`) } },
  });
});

test('an address has one canonical form, whatever its case', async () => {
  const upper = bitcoinRequest(draft, {
    destinations: [
      { type: 'VAULT', id: '', address: FRIEND.toUpperCase(), otherAddresses: [FRIEND], amount: '0.0007' },
    ],
  });
  expect(await verify(upper)).toMatchObject({ kind: 'agrees', effects: { movements: [{ to: FRIEND }] } });
});
