/** Transfers: from the places where a generation of bodies holds its facts to what the core calls an intent. */
import { fromBaseUnits } from '../../core/amount.js';
import type { Destination, Intent, Json, RawTransaction } from '../../core/request.js';
import { numberAt, presenceAt, textAt } from './body.js';

/** Places in a body, such as `details.asset.id`; absent: not known where. */
export interface TransferPlaces {
  readonly vault?: string | undefined;
  readonly asset?: string | undefined;
  readonly amount?: string | undefined;
  readonly usd?: string | undefined;
  readonly destination?: string | undefined;
  readonly otherDestination?: string | undefined;
  readonly tokenContract?: string | undefined;
  readonly contractData?: string | undefined;
  readonly rawTransaction?: string | undefined;
  /** Where it holds something, the operation signs what a dApp asked for, in a form that is not published. */
  readonly foreignInput?: string | undefined;
}

/** Source: the vendor's OpenAPI document 0.0.2, `TransactionRequest`. */
export const LEGACY_PLACES: TransferPlaces = {
  vault: 'vault.id',
  asset: 'asset.id',
  amount: 'amountOriginal',
  usd: 'amountUsd',
  destination: 'receivingAddress',
  otherDestination: 'transaction.toAddress',
  tokenContract: 'asset.contractAddress',
  contractData: 'metadata.contractData',
  foreignInput: 'metadata.signerInputV1',
};

export interface AssetNames {
  /** The vendor's asset id → the id of the registry. */
  readonly assets: Readonly<Record<string, string>>;
  /** What amounts are in; absent: nobody has said, and they are unknown. */
  readonly amounts?: 'decimal' | 'base-units';
  /** Of an asset of the registry. */
  readonly decimalsOf: (asset: string) => number | undefined;
}

/** What a transfer says, whatever form it came in; undefined: not known. */
export interface TransferWords {
  readonly vault: string | undefined;
  readonly asset: string | undefined;
  readonly amount: string | undefined;
  readonly usd: string | undefined;
  readonly destination: string | undefined;
  /** A second address that the body gives, which is the same or the token's contract. */
  readonly otherDestination: string | undefined;
  readonly tokenContract: string | undefined;
  readonly contractData: string | undefined;
  readonly rawTransaction: string | undefined;
  readonly foreignInput: string | undefined;
}

export function transferWords(body: Json, places: TransferPlaces): TransferWords {
  const read = (place: string | undefined, at: typeof textAt) =>
    place === undefined ? undefined : at(body, place);
  return {
    vault: read(places.vault, textAt),
    asset: read(places.asset, textAt),
    amount: read(places.amount, numberAt),
    usd: read(places.usd, numberAt),
    destination: read(places.destination, textAt),
    otherDestination: read(places.otherDestination, presenceAt),
    tokenContract: read(places.tokenContract, textAt),
    contractData: read(places.contractData, presenceAt),
    rawTransaction: read(places.rawTransaction, presenceAt),
    foreignInput: read(places.foreignInput, presenceAt),
  };
}

export interface TransferParts {
  readonly intent: Intent;
  readonly rawTransactions: readonly RawTransaction[];
}

export function transferOf(words: TransferWords, names: AssetNames): TransferParts {
  if (words.foreignInput !== undefined) return unknownOperation('SIGNER_INPUT');
  const asset = assetOf(words.asset, names);
  const amount = amountOf(words.amount, asset, names);
  const { contractData, rawTransaction, usd } = words;
  const destination = destinationOf(words);
  const paid: Destination = {
    type: 'ONE_TIME',
    id: '',
    otherAddresses: [],
    ...(destination !== undefined && { address: destination }),
    ...(amount !== undefined && { amount }),
    ...(usd !== undefined && { usd }),
  };
  return {
    intent: {
      operation: operationOf(words),
      asset,
      source: { type: 'VAULT', id: words.vault ?? '' },
      destinations: destination === undefined ? [] : [paid],
      ...(amount !== undefined && { amount }),
      ...(contractData !== undefined && { extraParameters: { contractCallData: contractData } }),
    },
    rawTransactions:
      rawTransaction === undefined
        ? []
        : [{ bytesOnly: true, keyDerivationPath: undefined, bytes: rawTransaction, digest: undefined }],
  };
}

/** An operation of a type that is not known, or that signs what cannot be read: nothing of it is, so nothing can approve it, and a rule may abstain. */
export function unknownOperation(type: string): TransferParts {
  const intent: Intent = {
    operation: type,
    asset: '',
    source: { type: 'UNKNOWN', id: '' },
    destinations: [],
  };
  return { intent, rawTransactions: [] };
}

function operationOf({ contractData }: TransferWords): string {
  return contractData === undefined || contractData === '0x' ? 'TRANSFER' : 'CONTRACT_CALL';
}

/** When a body names two addresses nobody knows which of them is paid. */
function destinationOf({ destination, otherDestination, tokenContract }: TransferWords): string | undefined {
  const same = (other: string | undefined) => other?.toLowerCase() === otherDestination?.toLowerCase();
  return otherDestination === undefined || same(destination) || same(tokenContract) ? destination : undefined;
}

/** A name that no registry holds, where the configuration does not say which asset is meant. */
function assetOf(vendorId: string | undefined, { assets }: AssetNames): string {
  if (vendorId === undefined) return '';
  return (Object.hasOwn(assets, vendorId) ? assets[vendorId] : undefined) ?? `iofinnet:${vendorId}`;
}

function amountOf(
  text: string | undefined,
  asset: string,
  { amounts, decimalsOf }: AssetNames,
): string | undefined {
  if (amounts === undefined || text === undefined) return undefined;
  if (amounts === 'decimal') return text;
  const decimals = decimalsOf(asset);
  return decimals !== undefined && /^(0|[1-9]\d{0,77})$/.test(text)
    ? fromBaseUnits(BigInt(text), decimals)
    : undefined;
}
