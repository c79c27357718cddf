import { parseJson } from '../../src/core/json.js';
import type { Json } from '../../src/core/request.js';

/** The value of JSON text that a test is sure of. */
export function jsonOf(text: string): Json {
  const parsed = parseJson(text, 64 * 1024 * 1024);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}
