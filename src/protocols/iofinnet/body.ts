/**
 * Reading of bodies. What tells operations apart must have the type it is published with; what is missing or of an
 * unexpected form is unknown, which no rule that approves accepts.
 */
import { isList, isObject, type JsonObject, parseJson } from '../../core/json.js';
import { canonicalJson, type Json, JsonNumber } from '../../core/request.js';

/** Thrown and caught inside this folder: the message names a field and what was expected, never a value. */
export class MalformedBody extends Error {}

const OPERATION_ID = /^[A-Za-z0-9_-]{1,64}$/;
const MAX_TEXT = 256;
/** Fraction and offset as RFC 3339 has them; leap seconds are none that matter here. */
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

export function parseBody(bytes: Uint8Array): JsonObject {
  const parsed = parseJson(bytes);
  if (!parsed.ok) throw new MalformedBody(`the body is not JSON: ${parsed.problem}`);
  if (!isObject(parsed.value)) throw new MalformedBody('the body is not a JSON object');
  return parsed.value;
}

/** What stands at a place such as `details.vault.id`; undefined when there is nothing, or null. */
export function valueAt(body: Json, place: string): Json | undefined {
  let value: Json | undefined = body;
  for (const name of place.split('.')) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value ?? undefined;
}

/** A text of the operation itself; undefined: not known. One that is too long, or steers a terminal, is not. */
export function textAt(body: Json, place: string, maxLength = MAX_TEXT): string | undefined {
  const value = valueAt(body, place);
  if (typeof value !== 'string' || value === '' || value.length > maxLength) return undefined;
  return value.isWellFormed() && !/\p{Cc}/u.test(value) ? value : undefined;
}

/** Data in text, of any length. */
export function dataAt(body: Json, place: string): string | undefined {
  const value = valueAt(body, place);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * What changes the meaning of everything beside it, so that it must not be overlooked because it has another form than
 * expected: then it is its JSON text, which nobody can read as what it should be. Undefined: there is nothing, or nothing in it.
 */
export function presenceAt(body: Json, place: string): string | undefined {
  const value = valueAt(body, place);
  if (value === undefined || typeof value === 'string') return value || undefined;
  const text = canonicalJson(value);
  return text === '{}' || text === '[]' ? undefined : text;
}

/** The text of a number, written as one or as text; undefined: not known. */
export function numberAt(body: Json, place: string): string | undefined {
  const value = valueAt(body, place);
  return value instanceof JsonNumber ? value.text : textAt(body, place);
}

export function listAt(body: Json, place: string): readonly Json[] | undefined {
  const value = valueAt(body, place);
  return isList(value) ? value : undefined;
}

/** Unix milliseconds; undefined: not known. */
export function instantAt(body: Json, place: string): number | undefined {
  return instantOf(textAt(body, place));
}

export function instantOf(text: string | undefined): number | undefined {
  const ms = text !== undefined && INSTANT.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** Without its type and id nothing can be said about an operation, not even no. */
export function operationId(text: Json | undefined): string {
  if (typeof text === 'string' && OPERATION_ID.test(text)) return text;
  throw new MalformedBody('id: expected 1 to 64 letters, digits, dashes and underscores');
}

export function typeName(text: Json | undefined): string {
  if (typeof text === 'string' && /^\w{1,64}$/.test(text)) return text;
  throw new MalformedBody('__typename: expected 1 to 64 letters, digits and underscores');
}
