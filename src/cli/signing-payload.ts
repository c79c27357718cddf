/** The decoded body of a Fireblocks `tx_sign_request`, read leniently for people: every muddle gets a reason code. */

import { isRefusal, type Refusal, refuse } from '../chains/refusal.js';
import { isObject, type JsonObject } from '../core/json.js';
import type { Destination, Json, RawTransaction, TransactionRequest } from '../core/request.js';

export function readSigningPayload(payload: Json | undefined): TransactionRequest | Refusal {
  if (!isObject(payload)) return refuse('PAYLOAD_MALFORMED', 'the payload is no JSON object');
  const { operation = 'TRANSFER', asset, sourceType, sourceId, rawTx } = payload;
  if (typeof operation !== 'string' || typeof asset !== 'string')
    return refuse('PAYLOAD_MALFORMED', 'operation or asset is not text');
  if (typeof sourceType !== 'string' || typeof sourceId !== 'string')
    return refuse('PAYLOAD_MALFORMED', 'sourceType or sourceId is not text');
  if (rawTx !== undefined && rawTx !== null && !Array.isArray(rawTx))
    return refuse('PAYLOAD_MALFORMED', 'rawTx is no list');
  const destinations = readDestinations(payload.destinations);
  if (isRefusal(destinations)) return destinations;
  const amounts = readTexts(payload, ['amountStr', 'requestedAmountStr', 'fee'], 'AMOUNT_FORMAT');
  if (isRefusal(amounts)) return amounts;
  const addresses = readTexts(payload, ['destAddress'], 'ADDRESS_FORMAT');
  if (isRefusal(addresses)) return addresses;
  const { amountStr: amount, requestedAmountStr: requestedAmount, fee } = amounts;
  return {
    kind: 'transaction',
    stage: 'signing',
    protocol: 'fireblocks',
    workspace: '',
    cosigner: '',
    signer: undefined,
    requestId: textOr(payload.requestId),
    txId: textOr(payload.txId),
    intent: {
      operation,
      asset,
      source: { type: sourceType === 'VAULT_ACCOUNT' ? 'VAULT' : sourceType, id: sourceId },
      destinations,
      ...optional('destinationAddress', addresses.destAddress),
      ...optional('amount', amount),
      ...optional('requestedAmount', requestedAmount),
      ...optional('fee', fee),
      ...optional('extraParameters', payload.extraParameters),
    },
    rawTransactions: (Array.isArray(rawTx) ? rawTx : []).map(readRaw),
  };
}

function readDestinations(value: Json | undefined): readonly Destination[] | Refusal {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return refuse('PAYLOAD_MALFORMED', 'destinations is no list');
  const destinations: Destination[] = [];
  for (const item of value as readonly Json[]) {
    if (!isObject(item)) return refuse('PAYLOAD_MALFORMED', 'a destination is no object');
    const amounts = readTexts(item, ['amountNativeStr'], 'AMOUNT_FORMAT');
    if (isRefusal(amounts)) return amounts;
    const addresses = readTexts(item, ['displayDstAddress', 'dstAddress'], 'ADDRESS_FORMAT');
    if (isRefusal(addresses)) return addresses;
    destinations.push({
      type: textOr(item.dstType),
      id: textOr(item.dstId),
      otherAddresses: addresses.dstAddress === undefined ? [] : [addresses.dstAddress],
      ...optional('address', addresses.displayDstAddress),
      ...optional('amount', amounts.amountNativeStr),
    });
  }
  return destinations;
}

function readRaw(item: Json): RawTransaction {
  if (!isObject(item)) return { keyDerivationPath: undefined, bytes: undefined, digest: undefined };
  return { keyDerivationPath: item.keyDerivationPath, bytes: item.rawTx, digest: item.payload };
}

/** Fields that are text or absent; anything else gets the reason. */
function readTexts<Name extends string>(
  object: JsonObject,
  names: readonly Name[],
  reason: Refusal['reason'],
): { readonly [name in Name]?: string } | Refusal {
  const texts: { [name in Name]?: string } = {};
  for (const name of names) {
    const value = object[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== 'string') return refuse(reason, `${name} is not text`);
    texts[name] = value;
  }
  return texts;
}

function textOr(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function optional<Name extends string, T>(name: Name, value: T | undefined): { readonly [key in Name]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [key in Name]: T });
}
