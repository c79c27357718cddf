/**
 * A webhook notification (version 2): signed bytes → what the vendor says became of a transaction.
 *
 * The vendor signs for all its customers with the same keys: a good signature says that Fireblocks wrote this, and the
 * workspace id says about whom. Order and completeness are not promised, and one notification may come many times.
 *
 * Sources: Fireblocks, "Validating webhooks", "Transaction events", "Responses and retries" (webhooks v2); detached content
 * of a JWS: RFC 7515 appendix F.
 */
import { isObject, type JsonObject, parseJson } from '../../core/json.js';
import type { InboundMessage, NotificationKeys } from '../../core/messages.js';
import { Claims, MalformedClaims } from './claims.js';
import { type ReadReport, readReport } from './report.js';

const SIGNATURE_HEADER = 'fireblocks-webhook-signature';
const LEGACY_HEADER = 'fireblocks-signature';

/** Those whose data is the transaction. */
const TRANSACTION_EVENTS = [
  'transaction.created',
  'transaction.status.updated',
  'transaction.approval_status.updated',
  'transaction.network_records.processing_completed',
] as const;

/** `other`: none that this version knows. */
export const EVENT_TYPES = [...TRANSACTION_EVENTS, 'transaction.alert.stuck_confirming', 'other'] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Why a message is not taken for a notification of this workspace. */
export const REFUSAL_REASONS = [
  'UNSIGNED',
  'SIGNATURE_FORM',
  'KEY_UNKNOWN',
  'SIGNATURE',
  'WORKSPACE',
  'MALFORMED',
  'KEYS_UNAVAILABLE',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export type ReceivedNotification =
  | {
      readonly kind: 'notification';
      /** The vendor's id of it: every delivery has the same. */
      readonly id: string;
      readonly eventType: EventType;
      /** What it says of a transaction; undefined: it is about something else. */
      readonly said: Exclude<ReadReport, { kind: 'malformed' }> | undefined;
    }
  /** A status of 5xx makes the vendor deliver it again; 4xx does not. `problem` is safe to log. */
  | {
      readonly kind: 'refused';
      readonly status: 400 | 401 | 503;
      readonly reason: RefusalReason;
      readonly problem: string;
    };

export interface NotificationSettings {
  readonly keys: NotificationKeys;
  /** The vendor's ids of the workspaces whose notifications are taken. */
  readonly workspaceIds: readonly string[];
}

export function notificationReader({ keys, workspaceIds }: NotificationSettings) {
  return async (message: Pick<InboundMessage, 'body' | 'headers'>): Promise<ReceivedNotification> => {
    const refusal = await refusalOf(message, keys);
    if (refusal !== undefined) return refusal;
    try {
      return read(message.body, workspaceIds);
    } catch (error) {
      if (!(error instanceof MalformedClaims)) throw error;
      return refused(400, 'MALFORMED', error.message);
    }
  };
}

type Refusal = ReceivedNotification & { readonly kind: 'refused' };

/** When both kinds of signature come, the new one alone counts: the old one would be a way around it. */
async function refusalOf(
  { body, headers }: Pick<InboundMessage, 'body' | 'headers'>,
  keys: NotificationKeys,
): Promise<Refusal | undefined> {
  const detached = headers[SIGNATURE_HEADER];
  if (detached !== undefined) return detachedRefusal(detached, body, keys);
  const legacy = headers[LEGACY_HEADER];
  if (legacy === undefined || keys.verifyLegacy === undefined)
    return refused(401, 'UNSIGNED', `there is no ${SIGNATURE_HEADER} header`);
  const signature = legacySignature(legacy);
  if (signature === undefined) return refused(401, 'SIGNATURE_FORM', 'the old signature is no base64');
  const isGood = await keys.verifyLegacy(body, signature);
  return isGood ? undefined : refused(401, 'SIGNATURE', 'the old signature is not of the configured key');
}

const MAX_SIGNATURE_LENGTH = 8_192;
const MAX_HEADER_BYTES = 2_048;
const MAX_KID_LENGTH = 256;

/** Members that would change what is verified, or with which key (RFC 7515, RFC 7797). */
const REFUSED_MEMBERS = ['crit', 'b64', 'zip', 'enc', 'jwk', 'jku', 'x5u', 'x5c'] as const;

async function detachedRefusal(
  detached: string,
  body: Uint8Array,
  keys: NotificationKeys,
): Promise<Refusal | undefined> {
  const form = (problem: string) => refused(401, 'SIGNATURE_FORM', problem);
  if (detached.length > MAX_SIGNATURE_LENGTH) return form('the signature is too long');
  const segments = detached.split('.', 4);
  const [header, content, signature] = segments;
  if (segments.length !== 3 || !header || content !== '' || !signature)
    return form('the signature is not a JWS with detached content');
  if (!isCanonical(header) || !isCanonical(signature))
    return form('the signature is not canonical base64url');
  const read = headerOf(Buffer.from(header, 'base64url'));
  if (typeof read === 'string') return form(read);
  const signed = `${header}.${Buffer.from(body).toString('base64url')}.${signature}`;
  switch (await keys.verify(signed, read.kid)) {
    case 'valid':
      return undefined;
    case 'invalid':
      return refused(401, 'SIGNATURE', 'the key does not verify the signature');
    case 'unknown-key':
      return refused(401, 'KEY_UNKNOWN', 'there is no key of this id');
    case 'unavailable':
      return refused(503, 'KEYS_UNAVAILABLE', 'the keys of the vendor cannot be had');
  }
}

/** The id of the key, or what is wrong with the header. The algorithm is ours to say. */
function headerOf(bytes: Uint8Array): string | { readonly kid: string } {
  const parsed = parseJson(bytes, MAX_HEADER_BYTES);
  if (!parsed.ok) return `the header is not JSON: ${parsed.problem}`;
  if (!isObject(parsed.value)) return 'the header is not a JSON object';
  const header: JsonObject = parsed.value;
  if (header.alg !== 'RS512') return "the header's alg is not RS512";
  const member = REFUSED_MEMBERS.find((name) => Object.hasOwn(header, name));
  if (member !== undefined) return `the header has the member ${member}`;
  const { kid } = header;
  if (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID_LENGTH) return 'the header has no key id';
  return { kid };
}

/** One text for one content (RFC 4648 section 3.5). */
function isCanonical(segment: string): boolean {
  return Buffer.from(segment, 'base64url').toString('base64url') === segment;
}

function legacySignature(text: string): Uint8Array | undefined {
  if (text.length > MAX_SIGNATURE_LENGTH) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length > 0 && bytes.toString('base64') === text ? bytes : undefined;
}

const MAX_TYPE_LENGTH = 128;

function read(body: Uint8Array, workspaceIds: readonly string[]): ReceivedNotification {
  const claims = Claims.parse(body);
  const workspaceId = claims.requiredId('workspaceId');
  if (!workspaceIds.includes(workspaceId))
    return refused(401, 'WORKSPACE', `it is for the workspace ${workspaceId}, which is not configured here`);
  const id = claims.requiredId('id');
  const type = claims.text('eventType', MAX_TYPE_LENGTH);
  if (!type) throw new MalformedClaims('eventType: expected a word');
  const eventType = EVENT_TYPES.find((known) => known === type) ?? 'other';
  if (!TRANSACTION_EVENTS.some((known) => known === eventType))
    return { kind: 'notification', id, eventType, said: undefined };
  const data = claims.json('data');
  if (!isObject(data)) throw new MalformedClaims('data: expected an object');
  const said = readReport(data, 'webhook', id);
  if (said.kind === 'malformed') throw new MalformedClaims(`data.${said.problem}`);
  return { kind: 'notification', id, eventType, said };
}

function refused(status: Refusal['status'], reason: RefusalReason, problem: string): Refusal {
  return { kind: 'refused', status, reason, problem };
}
