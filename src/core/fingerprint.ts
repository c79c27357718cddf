/** The canonical form of a request: which ask, which money, which content. */
import { createHash } from 'node:crypto';
import { normaliseDecimal, toBaseUnits } from './amount.js';
import { type LedgerFact, REASONS } from './decision.js';
import { unreachable } from './errors.js';
import type { AskIdentity } from './ports.js';
import { batchFactKey } from './report.js';
import {
  canonicalJson,
  type Destination,
  type Intent,
  type Json,
  type Nonce,
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
  if (request.unsigned !== undefined) return identifyUnsigned(request);
  if (request.kind === 'transaction') return identifyTransaction(request);
  return identifyChange(request);
}

/** What a request is asked again under; the same request has the same. See {@link decidedUnder}. */
export function askKeyOf(request: Request): string {
  if (request.unsigned !== undefined) return identifyUnsigned(request).askKey;
  if (request.anonymous === true) return identifyContent(request, identify(request)).askKey;
  return sharedKeyOf(request);
}

function sharedKeyOf(request: Request): string {
  const { protocol, kind, stage, requestId, signer = '' } = request;
  // Every approver is asked separately; one signature is asked for once, whoever asks.
  return key(protocol, kind, stage, requestId, stage === 'approval' ? signer : '');
}

/**
 * Nobody vouches for who asks: the content is part of the ask, so that a refusal binds nothing else, and money is counted
 * by it too. Of all contents of one id at most one is approved: see {@link approvalFact}.
 *
 * Whatever else a verdict can rest on is part of the ask: how it is told, and whether there is an end. Or a stranger could
 * have an operation refused by leaving its end out, or charged with a worth that he makes up. A vendor may value it anew
 * for each signer: it is the same content all the same, and the same money, so the highest worth is what is charged.
 */
function identifyUnsigned(request: Request): AskIdentity {
  const { protocol, requestId, kind, unsigned } = request;
  const content = unsignedContent(request);
  const fingerprint = hash([
    content,
    unsigned?.expiresAtMs === undefined ? 'endless' : 'ends',
    tellingOf(request),
  ]);
  const moves = kind === 'transaction' || kind === 'sign';
  return {
    ...NOTHING_BOUND,
    askKey: key(protocol, requestId, fingerprint),
    moneyKey: moves ? contentMoneyKeyOf(protocol, requestId, content) : undefined,
    fingerprint,
  };
}

function unsignedContent(request: Request): string {
  return hash([request.kind, request.requestId, ...contentOf(request)]);
}

/** What an approval of an unsigned request makes the ledger remember: this id has this content, and no other. */
export function approvalFact(request: Request): LedgerFact {
  const { protocol, requestId } = request;
  return {
    key: approvedContentKey(protocol, requestId),
    value: unsignedContent(request),
    reason: 'CONFLICT_CONTENT',
    sentence: `Rejected: ${REASONS.CONFLICT_CONTENT}.`,
  };
}

/** The fact that says which content of an unsigned request was approved. */
export function approvedContentKey(protocol: string, requestId: string): string {
  return `approved:${key(protocol, requestId)}`;
}

/** What an unsigned request of this content is counted under. */
export function contentMoneyKeyOf(protocol: string, requestId: string, content: string): string {
  return key(protocol, requestId, content);
}

/** A nonce as something to decide once: which content it gets a signed approval for. */
export function identifyNonce(
  { protocol }: Request,
  { digits, scope }: Nonce,
  { fingerprint }: AskIdentity,
): AskIdentity {
  return { ...NOTHING_BOUND, askKey: key(protocol, 'nonce', scope, digits), fingerprint };
}

/**
 * A content, as it is told, as something to decide once, of an ask that anybody may have written: a refusal recorded here
 * binds neither the request id nor the transaction, nor the same content told otherwise.
 */
export function identifyContent(
  request: Request,
  { askKey, fingerprint: content }: AskIdentity,
): AskIdentity {
  const fingerprint = hash([content, tellingOf(request)]);
  return { ...NOTHING_BOUND, askKey: `${askKey}${CONTENT}${fingerprint}`, fingerprint };
}

/** What a decision about an ask may be recorded under: its own key, and that of the content it had. */
export function decidedUnder(askKey: string): readonly string[] {
  const [shared = askKey] = askKey.split(CONTENT, 1);
  return shared === askKey ? [askKey] : [shared, askKey];
}

/** Is in no other key. */
const CONTENT = '#';

const NOTHING_BOUND = {
  moneyKey: undefined,
  binding: undefined,
  coreFingerprint: undefined,
  amount: undefined,
} as const;

function identifyTransaction(request: TransactionRequest): AskIdentity {
  const { protocol, requestId, txId, intent } = request;
  return {
    askKey: sharedKeyOf(request),
    moneyKey: moneyKeyOf(protocol, isBatchMember(requestId, txId) ? requestId : txId),
    binding: { requestKey: key(protocol, requestId), txId },
    fingerprint: hash([txId, ...contentOf(request)]),
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

function identifyChange(request: Exclude<Request, TransactionRequest>): AskIdentity {
  return { ...NOTHING_BOUND, askKey: sharedKeyOf(request), fingerprint: hash(contentOf(request)) };
}

/** @param id of a transaction; of a member of a batch its request id */
export function moneyKeyOf(protocol: string, id: string): string {
  return key(protocol, id);
}

/**
 * What the approval of a member of a batch makes the ledger remember: vendors report on the transaction, and members are
 * counted by themselves. Every member says the same, so they contradict nobody.
 */
export function batchFacts(request: Request): readonly LedgerFact[] {
  if (request.kind !== 'transaction' || request.unsigned !== undefined) return [];
  const { protocol, requestId, txId } = request;
  if (!isBatchMember(requestId, txId)) return [];
  const key = batchFactKey(moneyKeyOf(protocol, txId));
  return [
    {
      key,
      value: '1',
      reason: 'CONFLICT_TRANSACTION',
      sentence: `Rejected: ${REASONS.CONFLICT_TRANSACTION}.`,
    },
  ];
}

/** A batch gives each member the transaction's id with a suffix as its request id. */
function isBatchMember(requestId: string, txId: string): boolean {
  return requestId.length > txId.length && requestId.startsWith(txId);
}

/** What tells one question from another; nothing that may differ between two deliveries of it. */
function contentOf(request: Request): Canonical[] {
  switch (request.kind) {
    case 'transaction':
      return [...intentOf(request.intent), request.rawTransactions.map(bytesOf)];
    case 'config-change':
      return [request.type, canonicalJson(request.extraInfo)];
    case 'keygen':
    case 'reshare': {
      const { vault, threshold = null, devices } = request;
      // In no order: signers of one vault may be told about its devices in different ones.
      const listed = devices?.map(({ id, uuid, weight = null }) => JSON.stringify([id, uuid, weight])).sort();
      return [vault.id, vault.name, threshold, listed ?? null];
    }
    case 'sign': {
      const { source, contentType, algorithm, data = null } = request;
      return [source.type, source.id, contentType, algorithm, data];
    }
    default:
      return unreachable(request);
  }
}

/**
 * What a verdict can rest on beside the content, letter by letter where the content is indifferent: an address whose
 * case is wrong is refused. Of a signed request it may differ between deliveries.
 */
function tellingOf(request: Request): Canonical {
  const { signer = null } = request;
  if (request.kind !== 'transaction') return [signer];
  const { source, destinations, destinationAddress = null, externalTxId = null } = request.intent;
  return [
    signer,
    externalTxId,
    source.subType ?? null,
    destinationAddress,
    destinations.map(({ subType = null, address = null, otherAddresses, addressType = null, usd }) => [
      subType,
      address,
      otherAddresses,
      addressType,
      amountOf(usd),
    ]),
    request.rawTransactions.map(({ keyDerivationPath }) => canonicalJson(keyDerivationPath)),
  ];
}

function intentOf(intent: Intent): Canonical[] {
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
