/**
 * Call data of the approval contract → an operation. Source: the vendor's `Approval.sol` (revision R1) and the prose
 * beside it (R2, which has `SourceUrl` before `ContractData`); `Uiid` is the vendor's spelling.
 */
import type { Device } from '../../core/request.js';
import { type AbiType, type AbiValue, decodeExactly, INTEGER, struct, TEXT } from './abi.js';
import { instantOf, MalformedBody, operationId } from './body.js';
import { asTransaction, type Operation, type OperationSettings, type Subject } from './operation.js';
import { transferOf, unknownOperation } from './transfer.js';

export type Revision = 'R1' | 'R2';

type Function = 'keygenReshare' | 'transaction' | 'signOperation';

/** Whether the argument is declared `bytes` or `string` is all that the two selectors of a function differ by. */
const SELECTORS: ReadonlyMap<string, Function> = new Map([
  ['f61eff5a', 'keygenReshare'],
  ['93a66917', 'keygenReshare'],
  ['808c0098', 'transaction'],
  ['ef3ea7c6', 'transaction'],
  ['0591cae4', 'signOperation'],
  ['706d6b44', 'signOperation'],
]);
const SELECTOR_DIGITS = 8;

const SIGNER = struct([
  ['Weight', INTEGER],
  ['Uiid', TEXT],
  ['Id', TEXT],
]);

const KEYGEN_RESHARE = struct([
  ...texts('Typename', 'Id', 'ExpiresAt', 'OrganisationId', 'ReshareRequestStatus', 'VaultId', 'VaultName'),
  ['ReshareNonce', INTEGER],
  ['NewThreshold', INTEGER],
  ['OriginalSigners', { kind: 'list', of: SIGNER }],
  ['NewSigners', { kind: 'list', of: SIGNER }],
]);

const SIGN_OPERATION = struct([
  ...texts('Typename', 'Id', 'OrganisationId', 'OperationSignStatus', 'VaultId', 'VaultName', 'Data'),
  ...texts('ContentType'),
  ['ChainId', INTEGER],
]);

function transactionLayout(revision: Revision): AbiType {
  const metadata = struct([
    ['MaxFees', TEXT],
    ['MaxFeePerGas', INTEGER],
    ['MaxPriorityFeePerGas', INTEGER],
    ...texts('Source', ...(revision === 'R2' ? ['SourceUrl'] : []), 'ContractData'),
  ]);
  return struct([
    ...texts('Typename', 'Id', 'CreatedAt', 'UpdatedAt', 'ExpiresAt', 'CreatedByUserId', 'AmountOriginal'),
    ...texts('AmountUsd', 'ReceivingAddress', 'SendingAddressId', 'VaultId', 'VaultName', 'AssetId'),
    ...texts('OrganisationId', 'RawTransaction', 'Status', 'AssetExecutionType'),
    ['Metadata', metadata],
    ['NetworkId', TEXT],
  ]);
}

const LAYOUTS: Readonly<Record<Revision, Readonly<Record<Function, AbiType>>>> = {
  R1: { keygenReshare: KEYGEN_RESHARE, transaction: transactionLayout('R1'), signOperation: SIGN_OPERATION },
  R2: { keygenReshare: KEYGEN_RESHARE, transaction: transactionLayout('R2'), signOperation: SIGN_OPERATION },
};

/** Throws MalformedBody: also when the bytes are another layout's, which would decode to something else. */
export function readCall(callData: string, revision: Revision, settings: OperationSettings): Operation {
  const hex = /^0x((?:[0-9a-fA-F]{2})*)$/.exec(callData)?.[1]?.toLowerCase();
  if (hex === undefined) throw new MalformedBody('the call data is not hex');
  const called = SELECTORS.get(hex.slice(0, SELECTOR_DIGITS));
  if (called === undefined) throw new MalformedBody('the call data calls none of the three functions');
  const argument = argumentOf(Buffer.from(hex.slice(SELECTOR_DIGITS), 'hex'));
  const value = argument === undefined ? undefined : decodeExactly(argument, LAYOUTS[revision][called]);
  if (value === undefined)
    throw new MalformedBody(`the call data is not encoded as revision ${revision} of the contract has it`);
  const fields = new Fields(value);
  const organisation = fields.text('OrganisationId');
  if (organisation !== undefined && organisation !== settings.organisation)
    throw new MalformedBody('OrganisationId: it is another organisation than the configured one');
  return {
    id: operationId(fields.text('Id')),
    // Sign operations carry none here, and what has no known end is not approved.
    expiresAtMs: instantOf(fields.text('ExpiresAt')),
    voting: ['ReshareRequestStatus', 'Status', 'OperationSignStatus'].every((name) =>
      [undefined, 'VOTING'].includes(fields.text(name)),
    ),
    subject: subjectOf(called, fields, settings),
  };
}

/** The one argument, `bytes` or `string`: offset, length, and content up to the end, which is of whole words when it is encoded. */
function argumentOf(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 64) return undefined;
  const offset = BigInt(`0x${bytes.subarray(0, 32).toString('hex')}`);
  const length = BigInt(`0x${bytes.subarray(32, 64).toString('hex')}`);
  return offset === 32n && 64n + length === BigInt(bytes.length) ? bytes.subarray(64) : undefined;
}

const TRANSFERS: readonly string[] = ['TransactionRequest', 'OperationTransferOut_v3'];
const RESHARES: readonly string[] = ['ReshareRequest', 'OperationReshare_v3'];

function subjectOf(called: Function, fields: Fields, settings: OperationSettings): Subject {
  const type = fields.text('Typename') ?? '';
  switch (called) {
    case 'keygenReshare': {
      if (type !== 'OperationCreateVault_v3' && !RESHARES.includes(type)) return unknown(type);
      return {
        kind: type === 'OperationCreateVault_v3' ? 'keygen' : 'reshare',
        stage: 'approval',
        vault: { id: fields.text('VaultId') ?? '', name: fields.text('VaultName') ?? '' },
        threshold: fields.integer('NewThreshold'),
        devices: fields.list('NewSigners').map(deviceOf),
      };
    }
    case 'transaction': {
      if (!TRANSFERS.includes(type)) return unknown(type);
      const metadata = fields.inside('Metadata');
      return asTransaction(
        transferOf(
          {
            vault: fields.text('VaultId'),
            asset: fields.text('AssetId'),
            amount: fields.text('AmountOriginal'),
            usd: fields.text('AmountUsd'),
            destination: fields.text('ReceivingAddress'),
            otherDestination: undefined,
            tokenContract: undefined,
            foreignInput: undefined,
            contractData: metadata.text('ContractData'),
            rawTransaction: fields.text('RawTransaction'),
          },
          settings,
        ),
      );
    }
    case 'signOperation':
      if (type !== 'OperationSign') return unknown(type);
      return {
        kind: 'sign',
        stage: 'approval',
        source: { type: 'VAULT', id: fields.text('VaultId') ?? '' },
        contentType: fields.text('ContentType') ?? '',
        algorithm: '',
        data: fields.text('Data'),
      };
  }
}

function unknown(type: string): Subject {
  return asTransaction(unknownOperation(/^\w{1,64}$/.test(type) ? type : 'UNKNOWN'));
}

/** Whether `Id` is the device's or the signer's is not documented; the UUID is the device's. */
function deviceOf(signer: Fields): Device {
  return { id: '', uuid: signer.text('Uiid') ?? '', weight: signer.integer('Weight') };
}

/** The members of a decoded struct. An empty text is an absent one: the layout has no other way to say so. */
class Fields {
  readonly #members: Readonly<Record<string, AbiValue>>;

  constructor(value: AbiValue) {
    this.#members = isStruct(value) ? value : {};
  }

  text(name: string): string | undefined {
    const value = this.#members[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  integer(name: string): string | undefined {
    const value = this.#members[name];
    return typeof value === 'bigint' ? value.toString() : undefined;
  }

  inside(name: string): Fields {
    return new Fields(this.#members[name] ?? {});
  }

  list(name: string): readonly Fields[] {
    const value = this.#members[name];
    return Array.isArray(value) ? value.map((item: AbiValue) => new Fields(item)) : [];
  }
}

function isStruct(value: AbiValue): value is { readonly [field: string]: AbiValue } {
  return typeof value === 'object' && !Array.isArray(value);
}

function texts(...names: readonly string[]): readonly (readonly [string, AbiType])[] {
  return names.map((name) => [name, TEXT] as const);
}
