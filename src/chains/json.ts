/** JSON that a request carries inside itself, and JSON of a node: objects, with numbers kept as text. */
import { type Json, JsonNumber } from '../core/request.js';

const MAX_TEXT_LENGTH = 512 * 1024;

export type JsonObject = { readonly [key: string]: Json };

export function isObject(value: Json | undefined): value is JsonObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
  );
}

/** The vendor's `extraParameters` and their parts are objects, or texts that hold one. Undefined: neither. */
export function objectIn(value: Json | undefined): JsonObject | undefined {
  const parsed = typeof value === 'string' ? parseJson(value) : value;
  return isObject(parsed) ? parsed : undefined;
}

/** Numbers keep the text they had: a chain id or an amount must not pass through a double. */
export function parseJson(text: string, maxLength = MAX_TEXT_LENGTH): Json | undefined {
  if (text.length > maxLength) return undefined;
  try {
    return JSON.parse(text, (_key, value: Json, context?: { readonly source?: string }) =>
      typeof value === 'number' ? new JsonNumber(context?.source ?? '') : value,
    );
  } catch {
    return undefined;
  }
}
