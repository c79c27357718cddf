/** A transaction's claims → what it says it does. Source: Fireblocks, "Approve transactions", callback reference. */
import type { Destination, Intent, RawTransaction, VendorRules } from '../../core/request.js';
import type { Claims } from './claims.js';
import { type StageEvidence, stageEvidence } from './stage.js';
import { readVendorRules } from './vendor-rules.js';
import { kindOf } from './vocabulary.js';

const MAX_DESTINATIONS = 500;
/** One entry per input of a UTXO transaction. */
const MAX_RAW_TRANSACTIONS = 500;
const MAX_WORD_LENGTH = 64;
const MAX_NAME_LENGTH = 1024;
const MAX_NOTE_LENGTH = 16_384;

/** They sign messages, and pay nobody. */
const MESSAGE_OPERATIONS: readonly string[] = ['RAW', 'TYPED_MESSAGE'];

export interface TransactionClaims {
  readonly txId: string;
  readonly intent: Intent;
  readonly rawTransactions: readonly RawTransaction[];
  readonly vendorRules?: VendorRules;
  readonly evidence: StageEvidence;
}

export function readTransaction(claims: Claims): TransactionClaims {
  const operation = claims.text('operation', MAX_WORD_LENGTH) || 'TRANSFER';
  const entries = claims.objects('destinations', MAX_DESTINATIONS);
  const rawTransactions = claims.objects('rawTx', MAX_RAW_TRANSACTIONS).map(readRawTransaction);
  const paysByBytes = rawTransactions.length > 0 && !MESSAGE_OPERATIONS.includes(operation);
  const destinations =
    entries.length > 0 || paysByBytes ? entries.map(readDestination) : readTopLevelDestination(claims);
  const vendorRules = readVendorRules(entries);
  return {
    txId: claims.requiredId('txId'),
    intent: readIntent(claims, operation, destinations),
    rawTransactions,
    ...(vendorRules && { vendorRules }),
    evidence: stageEvidence(claims, entries, { operation, rawCount: rawTransactions.length }),
  };
}

/** The number fields `amount`, `requestedAmount` and `amountNative` are deprecated, rounded, and never read. */
function readIntent(claims: Claims, operation: string, destinations: readonly Destination[]): Intent {
  return withoutUndefined<Intent>({
    operation,
    asset: claims.id('asset') ?? '',
    source: {
      ...kindOf(claims.text('sourceType', MAX_WORD_LENGTH), undefined),
      id: claims.id('sourceId') ?? '',
    },
    destinations,
    // What the top level names when there are several destinations is not documented.
    destinationAddress: destinations.length === 1 ? claims.address('destAddress') : undefined,
    amount: claims.amount('amountStr'),
    requestedAmount: claims.amount('requestedAmountStr'),
    fee: claims.amount('fee') || undefined,
    externalTxId: claims.id('externalTxId'),
    note: claims.remark('note', MAX_NOTE_LENGTH),
    extraParameters: claims.objectOrText('extraParameters'),
  });
}

function readDestination(entry: Claims): Destination {
  const type = entry.text('dstType', MAX_WORD_LENGTH);
  const otherAddress = entry.address('dstAddress');
  return withoutUndefined<Destination>({
    ...kindOf(type, entry.text('dstSubType', MAX_WORD_LENGTH)),
    id: entry.id('dstId') ?? '',
    name: entry.remark('dstName', MAX_NAME_LENGTH),
    address: entry.address('displayDstAddress'),
    otherAddresses: otherAddress === undefined ? [] : [otherAddress],
    addressType: entry.text('dstAddressType', MAX_WORD_LENGTH)?.toUpperCase() || undefined,
    amount: entry.amount('amountNativeStr'),
    usd: entry.number('amountUSD'),
  });
}

/**
 * Messages without a list of destinations describe their only one at the top level, or none at all. It never stands in
 * where a transaction's bytes are: what they pay is compared with the address that each destination is named with, and
 * the top level may hold a token's contract instead.
 */
function readTopLevelDestination(claims: Claims): readonly Destination[] {
  const type = claims.text('destType', MAX_WORD_LENGTH);
  const id = claims.id('destId');
  const address = claims.address('destAddress');
  if (!type && id === undefined && address === undefined) return [];
  return [
    withoutUndefined<Destination>({
      ...kindOf(type, undefined),
      id: id ?? '',
      address,
      otherAddresses: [],
      addressType: claims.text('destAddressType', MAX_WORD_LENGTH)?.toUpperCase() || undefined,
      amount: claims.amount('amountStr'),
    }),
  ];
}

/** Left unread: what is wrong with the bytes is for verification to say, with its own reason codes. */
function readRawTransaction(entry: Claims): RawTransaction {
  return {
    keyDerivationPath: entry.json('keyDerivationPath'),
    bytes: entry.json('rawTx'),
    digest: entry.json('payload'),
  };
}

type OrUndefined<T> = { readonly [K in keyof T]: T[K] | (undefined extends T[K] ? undefined : never) };

/** Absent members are absent, not undefined: a request has one shape for one meaning. */
function withoutUndefined<T extends object>(members: OrUndefined<T>): T {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T;
}
