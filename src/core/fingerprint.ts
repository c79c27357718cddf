/** The canonical form of a request: which ask, which money, which content. */
import { createHash } from 'node:crypto';
import { normaliseDecimal, toBaseUnits } from './amount.js';
import type { AskIdentity } from './ports.js';
import {
  type ConfigChangeRequest,
  canonicalJson,
  type Destination,
  type Intent,
  type Json,
  type RawTransaction,
  type Request,
  type TransactionRequest,
} from './request.js';

/**
 * Amounts of different stages are compared at this scale, whatever the asset: an approval stage may be asked
 * before anybody knows the asset's decimals. No asset has more.
 */
const COMPARISON_DECIMALS = 36;

/**
 * Who is asking what. The ask key must not hold more than it does (no vault, amount or co-signer): a key with
 * more in it lets a reused request id escape the conflict check.
 */
export function identify(request: Request): AskIdentity {
  return request.kind === 'transaction' ? identifyTransaction(request) : identifyConfigChange(request);
}

function identifyTransaction(request: TransactionRequest): AskIdentity {
  const { protocol, kind, stage, requestId, txId, intent } = request;
  // Every approver is asked separately; one signature is asked for once, whoever asks.
  const asker = stage === 'approval' ? (request.signer ?? '') : '';
  return {
    askKey: key(protocol, kind, stage, requestId, asker),
    moneyKey: moneyKeyOf(protocol, isBatchMember(requestId, txId) ? requestId : txId),
    binding: { requestKey: key(protocol, requestId), txId },
    fingerprint: hash([txId, ...contentOf(intent), request.rawTransactions.map(bytesOf)]),
    coreFingerprint: hash([
      txId,
      intent.operation,
      intent.asset,
      intent.source.type,
      intent.source.id,
      // In no order: what one stage lists, another may list as it will be serialised.
      intent.destinations.map(({ type, id }) => JSON.stringify([type, id])).sort(),
      amountOf(intent.requestedAmount),
    ]),
    amount: comparableAmount(intent),
  };
}

function identifyConfigChange(request: ConfigChangeRequest): AskIdentity {
  return {
    askKey: key(request.protocol, request.kind, request.stage, request.requestId, request.signer ?? ''),
    moneyKey: undefined,
    binding: undefined,
    fingerprint: hash([request.type, canonicalJson(request.extraInfo)]),
    coreFingerprint: undefined,
    amount: undefined,
  };
}

/** @param id of a transaction; of a member of a batch its request id */
export function moneyKeyOf(protocol: string, id: string): string {
  return key(protocol, id);
}

/** A batch gives each member the transaction's id with a suffix as its request id. */
function isBatchMember(requestId: string, txId: string): boolean {
  return requestId.length > txId.length && requestId.startsWith(txId);
}

function contentOf(intent: Intent): Canonical[] {
  return [
    intent.operation,
    intent.asset,
    intent.source.type,
    intent.source.id,
    intent.destinations.map(destinationOf),
    intent.destinationAddress === undefined ? null : addressOf(intent.destinationAddress),
    amountOf(intent.amount),
    amountOf(intent.requestedAmount),
    amountOf(intent.fee),
    canonicalJson(intent.extraParameters),
  ];
}

function destinationOf(destination: Destination): Canonical {
  const { type, id, address, otherAddresses, amount } = destination;
  return [
    type,
    id,
    address === undefined ? null : addressOf(address),
    otherAddresses.map(addressOf),
    amountOf(amount),
  ];
}

/**
 * The digest belongs to the content: it is what will be signed, a message may come without the bytes behind it, and a
 * standing approval is repeated without looking at the bytes again.
 */
function bytesOf({ keyDerivationPath, bytes, digest }: RawTransaction): Canonical {
  return [pathOf(keyDerivationPath), hexIn(bytes), hexIn(digest)];
}

/** A path comes as a list or as the text of one, with and without blanks: co-signers of two kinds may differ in it. */
function pathOf(path: Json | undefined): Canonical {
  return typeof path === 'string' ? path.replace(/\s/g, '') : canonicalJson(path);
}

function hexIn(value: Json | undefined): Canonical {
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? hexOf(value) : canonicalJson(value);
}

function amountOf(text: string | undefined): Canonical {
  return text === undefined ? null : normaliseDecimal(text);
}

/** Hex addresses are written with and without checksum case; every other form is significant as it stands. */
function addressOf(address: string): string {
  return /^0x[0-9a-f]{40}$/i.test(address) ? address.toLowerCase() : address;
}

function hexOf(text: string): string {
  return /^(0x)?[0-9a-f]*$/i.test(text) ? text.toLowerCase().replace(/^0x/, '') : text;
}

/** The larger of what the whole and its parts say: to leave one of them out, or to make it small, hides nothing. */
function comparableAmount({ amount, destinations }: Intent): string | undefined {
  const parts = destinations.map((destination) => unitsOf(destination.amount));
  const sum = parts.reduce(
    (total, part) => (total === undefined || part === undefined ? undefined : total + part),
    parts.length === 0 ? undefined : 0n,
  );
  const whole = unitsOf(amount);
  return (sum === undefined || (whole !== undefined && whole > sum) ? whole : sum)?.toString();
}

function unitsOf(text: string | undefined): bigint | undefined {
  const units = text === undefined ? undefined : toBaseUnits(text, COMPARISON_DECIMALS);
  return units?.ok === true ? units.units : undefined;
}

type Canonical = string | null | readonly Canonical[];

/** Parts cannot run into one another: each is length-prefixed by its JSON quotes. */
function key(...parts: readonly string[]): string {
  return parts.every((part) => /^[\w.-]*$/.test(part)) ? parts.join(':') : hash(parts);
}

function hash(value: Canonical): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
