/**
 * One operation, told apart by its `__typename`. Source: the vendor's sample requests (v3) and OpenAPI document 0.0.2
 * (the older generation). What of v3 is published is little; docs/protocols/iofinnet.md says what, and what is unknown.
 */
import type { JsonObject } from '../../core/json.js';
import type { Device, Json, Request } from '../../core/request.js';
import {
  dataAt,
  instantAt,
  listAt,
  MalformedBody,
  numberAt,
  operationId,
  textAt,
  typeName,
  valueAt,
} from './body.js';
import {
  type AssetNames,
  LEGACY_PLACES,
  type TransferPlaces,
  transferOf,
  transferWords,
  unknownOperation,
} from './transfer.js';

export interface OperationSettings extends AssetNames {
  /** The id of the organisation. */
  readonly organisation: string;
  /** Where transfers of the current generation hold their facts. */
  readonly transferPlaces: TransferPlaces;
  /** Where they hold their end, if not where other operations do. */
  readonly transferExpiry?: string | undefined;
}

/** What the core has to know, beside who asks. */
export interface Operation {
  readonly id: string;
  /** Unix milliseconds; undefined: not known. */
  readonly expiresAtMs: number | undefined;
  /** False: it says of itself that nobody votes on it. */
  readonly voting: boolean;
  readonly subject: Subject;
}

/** The part of a request that differs by kind. */
export type Subject = DistributiveOmit<
  Request,
  'protocol' | 'workspace' | 'cosigner' | 'signer' | 'requestId' | 'txId' | 'doubt' | 'unsigned'
>;

type DistributiveOmit<T, Key extends PropertyKey> = T extends unknown ? Omit<T, Key> : never;

/** Throws MalformedBody. */
export function readOperation(body: JsonObject, settings: OperationSettings): Operation {
  const type = typeName(body.__typename);
  const id = operationId(body.id);
  const organisation = valueAt(body, 'organisationId');
  if (organisation !== undefined && organisation !== settings.organisation)
    throw new MalformedBody('organisationId: it is another organisation than the configured one');
  const expiry = type === 'OperationTransferOut_v3' ? settings.transferExpiry : undefined;
  return {
    id,
    expiresAtMs: instantAt(body, expiry ?? (isLegacy(type) ? 'expiresAt' : 'details.expiresAt')),
    voting: STATUS_PLACES.every((place) => isVoting(valueAt(body, place))),
    subject: subjectOf(type, body, settings),
  };
}

const STATUS_PLACES = [
  ...['details.status', 'cDetails.status', 'rDetails.status'],
  ...['transactionRequestStatus', 'reshareRequestStatus'],
];

function isVoting(status: Json | undefined): boolean {
  return status === undefined || status === '' || status === 'VOTING';
}

function isLegacy(type: string): boolean {
  return type === 'TransactionRequest' || type === 'ReshareRequest';
}

function subjectOf(type: string, body: JsonObject, settings: OperationSettings): Subject {
  switch (type) {
    case 'OperationCreateVault_v3':
      return {
        kind: 'keygen',
        stage: 'approval',
        vault: {
          id: textAt(body, 'details.vault.id') ?? '',
          name: textAt(body, 'details.vault.details.name') ?? '',
        },
        threshold: numberAt(body, 'cDetails.threshold'),
        devices: newDevices(body),
      };
    case 'OperationReshare_v3':
      return {
        kind: 'reshare',
        stage: 'approval',
        vault: {
          id: textAt(body, 'details.vault.id') ?? '',
          name: textAt(body, 'details.vault.details.name') ?? '',
        },
        threshold: numberAt(body, 'rDetails.newThreshold'),
        // Where the new devices stand is not published, and those of the vault may be the old ones.
        devices: undefined,
      };
    case 'ReshareRequest':
      return {
        kind: 'reshare',
        stage: 'approval',
        vault: { id: textAt(body, 'vault.id') ?? '', name: textAt(body, 'vault.name') ?? '' },
        threshold: numberAt(body, 'newThreshold'),
        devices: listAt(body, 'newSigners')?.map(deviceOf),
      };
    case 'OperationSign':
      return {
        kind: 'sign',
        stage: 'approval',
        source: { type: 'VAULT', id: textAt(body, 'details.vault.id') ?? '' },
        contentType: textAt(body, 'signingData.contentType') ?? '',
        algorithm: textAt(body, 'signingData.coseAlgorithm') ?? '',
        data: dataAt(body, 'signingData.data'),
      };
    case 'TransactionRequest':
      return asTransaction(transferOf(transferWords(body, LEGACY_PLACES), settings));
    case 'OperationTransferOut_v3':
      return asTransaction(transferOf(transferWords(body, settings.transferPlaces), settings));
    default:
      return asTransaction(unknownOperation(type));
  }
}

export function asTransaction(parts: ReturnType<typeof transferOf>): Subject {
  return { kind: 'transaction', stage: 'approval', ...parts };
}

/** The body lists them twice; when the lists differ nobody knows which of them is made. */
function newDevices(body: JsonObject): readonly Device[] | undefined {
  const devices = listAt(body, 'details.vault.signers')?.map(deviceOf);
  const named = listAt(body, 'details.vault.details.signers')?.map(deviceOf);
  if (devices === undefined || named === undefined) return devices;
  return namesOf(devices) === namesOf(named) ? devices : undefined;
}

function namesOf(devices: readonly Device[]): string {
  return JSON.stringify(devices.map(({ id, uuid }) => JSON.stringify([id, uuid])).sort());
}

function deviceOf(signer: Json): Device {
  return {
    id: textAt(signer, 'device.id') ?? '',
    uuid: textAt(signer, 'device.uuid') ?? '',
    weight: numberAt(signer, 'weight'),
  };
}
