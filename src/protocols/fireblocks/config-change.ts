/**
 * A configuration change's claims → its type and what it would change, without secrets of third parties.
 * Source: Fireblocks, "Approve configuration changes", callback handler reference. The shape of `extraInfo` differs
 * by type and is documented for some types only, so it is carried as it is.
 */
import { createHash } from 'node:crypto';
import { isList, isObject, type JsonObject, parseJson } from '../../core/json.js';
import { canonicalJson, type Json, JsonNumber } from '../../core/request.js';
import type { Claims } from './claims.js';

export interface ConfigChangeClaims {
  readonly type: string;
  readonly extraInfo: JsonObject;
}

export function readConfigChange(claims: Claims): ConfigChangeClaims {
  // Required, so that a transaction's token brought to this route is no configuration change.
  return { type: claims.requiredId('type'), extraInfo: redactObject(claims.objectOrText('extraInfo') ?? {}) };
}

/** `apiKey` is the documented one (ThirdPartyInfo); the other names are here in case undocumented types carry them. */
const SECRET_NAME =
  /(api|private|access|encryption)[-_]?key|secret|pass(word|phrase|code)|token|credential|mnemonic|seed|pairing|otp$/i;

/**
 * A digest stands in for each secret: two different secrets stay two different contents, and neither can be read.
 * Some members are text that holds JSON (`addresses`, `routingPolicy`); secrets inside are replaced as well.
 */
function redact(value: Json): Json {
  if (typeof value === 'string') return redactText(value);
  if (value === null || typeof value !== 'object' || value instanceof JsonNumber) return value;
  if (isList(value)) return value.map(redact);
  return isObject(value) ? redactObject(value) : value;
}

function redactObject(object: JsonObject): JsonObject {
  const redacted: Record<string, Json> = Object.create(null);
  for (const [name, member] of Object.entries(object)) {
    redacted[name] = SECRET_NAME.test(name) && member !== null ? digestOf(member) : redact(member);
  }
  return redacted;
}

function redactText(text: string): string {
  if (!/^\s*[{[]/.test(text)) return text;
  const parsed = parseJson(text);
  // It looks like JSON and is not: nobody can say where in it the secret is.
  if (!parsed.ok) return SECRET_NAME.test(text) ? digestOf(text) : text;
  const before = canonicalJson(parsed.value);
  const after = canonicalJson(redact(parsed.value));
  return before === after ? text : after;
}

function digestOf(secret: Json): string {
  const text = typeof secret === 'string' ? secret : canonicalJson(secret);
  return `redacted:sha256:${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}
