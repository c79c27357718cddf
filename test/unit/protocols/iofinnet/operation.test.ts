/** Bodies whose members have other forms than the published ones: what is overlooked would be approved. */
import { describe, expect, test } from '@jest/globals';
import { parseBody } from '../../../../src/protocols/iofinnet/body.js';
import { type OperationSettings, readOperation } from '../../../../src/protocols/iofinnet/operation.js';
import { ETHER } from '../../../support/iofinnet-deployment.js';
import { legacyTransfer, ORGANISATION, vaultCreation } from '../../../support/virtual-signer.js';

const SETTINGS: OperationSettings = {
  organisation: ORGANISATION,
  assets: { [ETHER]: 'ETH' },
  amounts: 'decimal',
  transferPlaces: {},
  decimalsOf: () => 18,
};

function read(body: object, settings: Partial<OperationSettings> = {}) {
  return readOperation(parseBody(Buffer.from(JSON.stringify(body))), { ...SETTINGS, ...settings });
}

/** Of a transfer: its operation, its amount and the address it pays. */
function transferIn(body: object, settings: Partial<OperationSettings> = {}) {
  const { subject } = read(body, settings);
  if (subject.kind !== 'transaction') throw new Error('it is no transfer');
  const { intent, rawTransactions } = subject;
  const [destination] = intent.destinations;
  const bytes = rawTransactions.map((raw) => raw.bytes);
  return {
    operation: intent.operation,
    asset: intent.asset,
    amount: intent.amount,
    to: destination?.address,
    bytes,
  };
}

const PAYEE = '0x1111111111111111111111111111111111111111';

describe('a transfer', () => {
  test('is what its body says', () => {
    expect(transferIn(legacyTransfer())).toEqual({
      operation: 'TRANSFER',
      asset: 'ETH',
      amount: '0.5',
      to: PAYEE,
      bytes: [],
    });
  });

  test.each<[unknown, string]>([
    ['', 'TRANSFER'],
    ['0x', 'TRANSFER'],
    [null, 'TRANSFER'],
    [{}, 'TRANSFER'],
    [[], 'TRANSFER'],
    ['0xa9059cbb', 'CONTRACT_CALL'],
    [['0xa9059cbb'], 'CONTRACT_CALL'],
    [{ data: '0xa9059cbb' }, 'CONTRACT_CALL'],
    [7, 'CONTRACT_CALL'],
    [false, 'CONTRACT_CALL'],
  ])('with the call data %j is a %s', (contractData, operation) => {
    expect(transferIn(legacyTransfer({ metadata: { contractData } })).operation).toBe(operation);
  });

  test.each<[unknown, boolean]>([
    ['', true],
    [null, true],
    [{}, true],
    ['x', false],
    [{ to: 'x' }, false],
    [[0], false],
  ])('with the dApp’s input %j: %s', (signerInputV1, isTransfer) => {
    const { operation, asset } = transferIn(legacyTransfer({ metadata: { signerInputV1 } }));
    expect({ operation, asset }).toEqual(
      isTransfer ? { operation: 'TRANSFER', asset: 'ETH' } : { operation: 'SIGNER_INPUT', asset: '' },
    );
  });

  test.each<[unknown, string | undefined]>([
    [PAYEE, PAYEE],
    [PAYEE.toUpperCase().replace('0X', '0x'), PAYEE],
    ['', PAYEE],
    [null, PAYEE],
    [`0x${'2'.repeat(40)}`, undefined],
    [[PAYEE], undefined],
    [7, undefined],
    [`${PAYEE}${' '.repeat(300)}`, undefined],
  ])('whose second address is %j pays %s', (toAddress, to) => {
    expect(transferIn(legacyTransfer({ transaction: { toAddress } })).to).toBe(to);
  });

  test('of a token may name its contract as the second address', () => {
    const contractAddress = `0x${'c'.repeat(40)}`;
    const asset = { id: ETHER, contractAddress };
    const body = legacyTransfer({ asset, transaction: { toAddress: contractAddress.toUpperCase() } });
    expect(transferIn(body).to).toBe(PAYEE);
  });

  test('of the current generation shows bytes of whatever form to who verifies them', () => {
    const transferPlaces = { asset: 'asset', destination: 'to', amount: 'amount', rawTransaction: 'raw' };
    const body = { __typename: 'OperationTransferOut_v3', id: 'a', asset: ETHER, to: PAYEE, amount: 1 };
    expect(transferIn(body, { transferPlaces }).bytes).toEqual([]);
    expect(transferIn({ ...body, raw: '02ef' }, { transferPlaces }).bytes).toEqual(['02ef']);
    expect(transferIn({ ...body, raw: ['02ef'] }, { transferPlaces }).bytes).toEqual(['["02ef"]']);
  });

  test.each<[OperationSettings['amounts'], unknown, string | undefined]>([
    [undefined, '0.5', undefined],
    [undefined, '500', undefined],
    ['decimal', '0.5', '0.5'],
    ['base-units', '500000000000000000', '0.5'],
    ['base-units', '0.5', undefined],
    ['base-units', '-5', undefined],
    ['base-units', '05', undefined],
    ['base-units', '0x10', undefined],
    ['base-units', 5e17, '0.5'],
    ['base-units', null, undefined],
    ['base-units', ['5'], undefined],
  ])('of amounts in %s: %j is %s', (amounts, amountOriginal, amount) => {
    const { amounts: _, ...others } = SETTINGS;
    const settings = { ...others, ...(amounts !== undefined && { amounts }) };
    const body = parseBody(Buffer.from(JSON.stringify(legacyTransfer({ amountOriginal }))));
    const { subject } = readOperation(body, settings);
    expect(subject.kind === 'transaction' && subject.intent.amount).toBe(amount);
  });
});

describe('the end of an operation', () => {
  test.each<[unknown, number | undefined]>([
    ['2025-01-07T15:20:52.984Z', Date.UTC(2025, 0, 7, 15, 20, 52, 984)],
    ['2025-01-07T15:20:52+02:00', Date.UTC(2025, 0, 7, 13, 20, 52)],
    ['2025-01-07T15:20:52', undefined],
    ['2025-01-07', undefined],
    ['7 January 2125', undefined],
    ['', undefined],
    [4102444800000, undefined],
    ['4102444800000', undefined],
    [null, undefined],
    [['2025-01-07T15:20:52.984Z'], undefined],
    ['2025-13-07T15:20:52.984Z', undefined],
    ['2025-01-07T15:20:52.984Z ', undefined],
  ])('%j', (expiresAt, ms) => {
    expect(read(legacyTransfer({ expiresAt })).expiresAtMs).toBe(ms);
  });

  test('stands where its type has it, or where the configuration says', () => {
    const end = '2025-01-07T15:20:52.984Z';
    const ms = Date.parse(end);
    const transfer = { __typename: 'OperationTransferOut_v3', id: 'a', expiresAt: end };
    expect(read(transfer).expiresAtMs).toBeUndefined();
    expect(read(transfer, { transferExpiry: 'expiresAt' }).expiresAtMs).toBe(ms);
    expect(read({ ...transfer, details: { expiresAt: end } }).expiresAtMs).toBe(ms);
    expect(
      read({ ...transfer, __typename: 'OperationSign' }, { transferExpiry: 'expiresAt' }).expiresAtMs,
    ).toBe(undefined);
  });
});

test.each<[object, boolean]>([
  [{}, true],
  [{ transactionRequestStatus: 'VOTING' }, true],
  [{ transactionRequestStatus: '' }, true],
  [{ transactionRequestStatus: null }, true],
  [{ transactionRequestStatus: 'voting' }, false],
  [{ transactionRequestStatus: 'COMPLETED' }, false],
  [{ transactionRequestStatus: ['VOTING'] }, false],
  [{ reshareRequestStatus: 'SIGNING' }, false],
  [{ details: { status: 'EXPIRED' } }, false],
  [{ cDetails: { status: 'REJECTED' } }, false],
  [{ rDetails: { status: 'PENDING' } }, false],
])('an operation with %j is open for votes: %s', (change, isOpen) => {
  expect(read(legacyTransfer({ transactionRequestStatus: undefined, ...change })).voting).toBe(isOpen);
});

/** Of a vault: its new threshold and the ids of its new devices. */
function vaultIn(body: object) {
  const { subject } = read(body);
  if (subject.kind !== 'keygen' && subject.kind !== 'reshare') throw new Error('it is no vault');
  const { kind, threshold, devices } = subject;
  return { kind, threshold, devices: devices?.map(({ id, weight }) => `${id} ${weight}`) };
}

describe('a vault', () => {
  const { details } = vaultCreation();

  test('is made of the devices that both of its lists name', () => {
    const expected = { kind: 'keygen', threshold: '2', devices: ['device0 1', 'device1 1', 'device2 1'] };
    expect(vaultIn(vaultCreation())).toEqual(expected);
    const { vault } = details;
    const backwards = { ...vault.details, signers: vault.details.signers.toReversed() };
    expect(
      vaultIn(vaultCreation({ details: { ...details, vault: { ...vault, details: backwards } } })),
    ).toEqual(expected);
  });

  test.each<[string, (signers: readonly { device: object }[]) => readonly object[]]>([
    ['lacks one', (signers) => signers.slice(1)],
    ['has one more', (signers) => [...signers, { device: { id: 'device3' } }]],
    ['has one twice', (signers) => [...signers, ...signers.slice(0, 1)]],
    [
      'has another UUID',
      (signers) => signers.map(({ device }) => ({ device: { ...device, uuid: 'other' } })),
    ],
  ])('of nobody knows which devices, when the second list %s', (_, change) => {
    const { vault } = details;
    const other = { ...vault.details, signers: change(vault.details.signers) };
    expect(
      vaultIn(vaultCreation({ details: { ...details, vault: { ...vault, details: other } } })).devices,
    ).toBe(undefined);
  });

  test('that is reshared in the current generation may still show its old devices', () => {
    const body = vaultCreation({ __typename: 'OperationReshare_v3', rDetails: { newThreshold: 3 } });
    expect(vaultIn(body)).toEqual({ kind: 'reshare', threshold: '3', devices: undefined });
  });

  test('that is reshared in the older one has its new devices, and not the original ones', () => {
    const signer = (id: string) => ({ id: 's', weight: 1, device: { id } });
    const body = { __typename: 'ReshareRequest', id: 'a', newThreshold: 2, originalThreshold: 9 };
    expect(vaultIn({ ...body, newSigners: [signer('n')], originalSigners: [signer('o')] })).toEqual({
      kind: 'reshare',
      threshold: '2',
      devices: ['n 1'],
    });
    expect(vaultIn({ ...body, originalSigners: [signer('o')] }).devices).toBeUndefined();
  });
});
