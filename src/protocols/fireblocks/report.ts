/**
 * What the vendor says became of a transaction → what it means for charges. The same object comes by webhook (`data`) and
 * from the REST API (`GET /v1/transactions/{txId}`).
 *
 * Whatever is not known for certain to have ended before a signature could exist counts as signed: to keep a charge for
 * its window is safe, to give back the charge of a transaction that may still be mined is not.
 *
 * Sources: Fireblocks, "Primary transaction statuses", "Transaction sub-statuses", "Transaction events" (webhooks v2).
 */
import { moneyKeyOf } from '../../core/fingerprint.js';
import { isList, isObject, type JsonObject } from '../../core/json.js';
import type { ReleaseReason } from '../../core/release.js';
import type { Fate, Report } from '../../core/report.js';
import { JsonNumber } from '../../core/request.js';
import { Claims, MalformedClaims } from './claims.js';
import { kindOf } from './vocabulary.js';

export type ReadReport =
  | {
      readonly kind: 'report';
      readonly report: Report;
      /** Ids of the users who signed it, by the vendor's word; often empty. */
      readonly signedBy: readonly string[];
      /** False: a status that this version does not know. */
      readonly statusKnown: boolean;
    }
  /** Its source is none of ours: a deposit, or what somebody else pays for. */
  | { readonly kind: 'ignored' }
  /** `problem` names a field and what was expected, never a value. */
  | { readonly kind: 'malformed'; readonly problem: string };

const MAX_WORD_LENGTH = 128;
/** As long as the ledger keeps. */
const MAX_HASH_LENGTH = 256;

/** Never throws for bad input. */
export function readReport(
  transaction: JsonObject,
  source: Report['source'],
  notification?: string,
): ReadReport {
  try {
    return read(Claims.of(transaction), source, notification);
  } catch (error) {
    if (!(error instanceof MalformedClaims)) throw error;
    return { kind: 'malformed', problem: error.message };
  }
}

function read(claims: Claims, source: Report['source'], notification: string | undefined): ReadReport {
  const txId = claims.requiredId('id');
  const status = wordIn(claims, 'status');
  if (status === undefined) throw new MalformedClaims('status: expected a word');
  const payer = payerOf(claims);
  if (payer === undefined) return { kind: 'ignored' };
  const subStatus = wordIn(claims, 'subStatus');
  const txHash = claims.text('txHash', MAX_HASH_LENGTH)?.trim() || undefined;
  const signedBy = idsIn(claims, 'signedBy');
  const fate = fateOf({
    status,
    subStatus,
    payer,
    isSigned: txHash !== undefined || countOf(claims, 'signedMessages') > 0,
    isSaidSigned: signedBy.length > 0,
  });
  const report: Report = {
    moneyKey: moneyKeyOf('fireblocks', txId),
    protocol: 'fireblocks',
    txId,
    fate: fate ?? 'pending',
    ...(fate === 'never-signed' && { reason: ENDINGS.get(status) ?? 'failed' }),
    status,
    ...(subStatus === undefined ? {} : { subStatus }),
    ...(txHash === undefined ? {} : { txHash }),
    createdAtMs: instantIn(claims, 'createdAt'),
    updatedAtMs: instantIn(claims, 'lastUpdated'),
    source,
    ...(notification === undefined ? {} : { notification }),
  };
  return { kind: 'report', report, signedBy, statusKnown: STATUSES.has(status) };
}

/** Who pays: our keys sign for a vault; for an account at a third party it is told to pay, and nothing is signed. */
type Payer = 'vault' | 'third-party';

const PAYERS: ReadonlyMap<string, Payer> = new Map([
  ['VAULT', 'vault'],
  ['EXCHANGE', 'third-party'],
  ['FIAT', 'third-party'],
]);

function payerOf(claims: Claims): Payer | undefined {
  const source = claims.json('source');
  if (!isObject(source)) throw new MalformedClaims('source: expected an object');
  const type = Claims.of(source, 'source.').text('type', MAX_WORD_LENGTH);
  if (!type) throw new MalformedClaims('source.type: expected a word');
  return PAYERS.get(kindOf(type, undefined).type);
}

/** `ended` is settled by the sub-status. Those without a meaning of their own any more are the vendor's former ones. */
const STATUSES: ReadonlyMap<string, Fate | 'ended'> = new Map([
  ['SUBMITTED', 'pending'],
  ['PENDING', 'pending'],
  ['PENDING_AML_SCREENING', 'pending'],
  ['PENDING_ENRICHMENT', 'pending'],
  ['PENDING_AUTHORIZATION', 'pending'],
  ['PENDING_CONSOLE_APPROVAL', 'pending'],
  ['QUEUED', 'pending'],
  ['PENDING_SIGNATURE', 'pending'],
  ['CANCELLING', 'pending'],
  // From here on a third party has been told to pay, and may have done so whatever it says later.
  ['PENDING_3RD_PARTY_MANUAL_APPROVAL', 'signed'],
  ['PENDING_3RD_PARTY', 'signed'],
  ['BROADCASTING', 'signed'],
  ['CONFIRMING', 'signed'],
  ['CONFIRMED', 'signed'],
  ['PARTIALLY_COMPLETED', 'signed'],
  ['COMPLETED', 'completed'],
  ['CANCELLED', 'ended'],
  ['REJECTED', 'ended'],
  ['BLOCKED', 'ended'],
  ['FAILED', 'ended'],
  ['TIMEOUT', 'failed'],
]);

/** What those that ended unsigned are called when their charges are given back; the rest has failed. */
const ENDINGS: ReadonlyMap<string, ReleaseReason> = new Map([
  ['CANCELLED', 'cancelled'],
  ['REJECTED', 'rejected'],
  ['BLOCKED', 'blocked'],
]);

/**
 * Sub-statuses of transactions that ended while people and policies were being asked: nobody was told to sign or to pay.
 * The list is closed. Left out on purpose is whatever may also be said of a transaction that exists already: lack of
 * funds, fees, addresses, SIGNING_ERROR, INTERNAL_ERROR, TIMEOUT.
 */
const BEFORE_SIGNING: ReadonlySet<string> = new Set([
  'AUTHORIZATION_FAILED',
  'AUTHORIZER_NOT_FOUND',
  'BLOCKED_BY_POLICY',
  'INCOMPLETE_USER_SETUP',
  'REJECTED_BY_USER',
  'SIGNER_NOT_FOUND',
  'UNAUTHORISED__DEVICE',
  'UNAUTHORISED__USER',
]);

interface Said {
  readonly status: string;
  readonly subStatus: string | undefined;
  readonly payer: Payer;
  /** It has a hash, or signed messages. */
  readonly isSigned: boolean;
  /** Somebody is said to have signed. */
  readonly isSaidSigned: boolean;
}

/** Undefined: an unknown status that shows no signature. */
function fateOf({ status, subStatus = '', payer, isSigned, isSaidSigned }: Said): Fate | undefined {
  const meaning = STATUSES.get(status);
  if (meaning === undefined || meaning === 'pending') return isSigned ? 'signed' : meaning;
  if (meaning !== 'ended') return meaning;
  if (isSigned || isSaidSigned) return 'failed';
  if (BEFORE_SIGNING.has(subStatus)) return 'never-signed';
  // A withdrawal may be called off when the exchange has been told already, and then nothing shows whether it paid.
  if (status === 'FAILED' || payer === 'third-party' || subStatus.startsWith('3RD_PARTY')) return 'failed';
  return 'never-signed';
}

function wordIn(claims: Claims, name: string): string | undefined {
  return claims.text(name, MAX_WORD_LENGTH)?.trim().toUpperCase() || undefined;
}

/** Unix milliseconds: seconds would be an instant of 1970, long before there was anything to report. */
const EARLIEST_MS = Date.UTC(2015, 0);
const LATEST_MS = Date.UTC(2200, 0);

function instantIn(claims: Claims, name: string): number {
  const value = claims.json(name);
  const ms = value instanceof JsonNumber && /^\d{1,15}$/.test(value.text) ? Number(value.text) : Number.NaN;
  if (ms >= EARLIEST_MS && ms <= LATEST_MS) return ms;
  throw new MalformedClaims(`${name}: expected Unix milliseconds`);
}

function idsIn(claims: Claims, name: string): readonly string[] {
  const value = claims.json(name);
  if (!isList(value)) return [];
  return value.map((each) => (typeof each === 'string' ? each : ''));
}

function countOf(claims: Claims, name: string): number {
  const value = claims.json(name);
  return isList(value) ? value.length : 0;
}
