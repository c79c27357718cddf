/** A copy of what passed between a co-signer and its handler: a request, an answer, or both. */
import { isObject, parseJson } from '../core/json.js';
import { JsonNumber } from '../core/request.js';

export interface Copy {
  /** When it passed, RFC 3339, by the word of whoever copied it; for the report alone. */
  readonly at?: string;
  readonly request?: {
    /** The whole path it was sent to, e.g. `/fireblocks/v2/tx_sign_request`. */
    readonly path: string;
    /** The body as it was received. */
    readonly body: string;
  };
  readonly answer?: HandlerAnswer;
}

export interface HandlerAnswer {
  /** The body as it was sent. */
  readonly body: string;
  /** HTTP status; absent: not known, and taken for 200. */
  readonly status?: number;
}

export type ReadCopy =
  | { readonly ok: true; readonly copy: Copy }
  | { readonly ok: false; readonly problem: string };

/** Bodies are base64 of bytes in a text, and requests hold raw transactions in hex: a line may be long. */
export const MAX_COPY_BYTES = 16 * 1024 * 1024;
const MAX_PATH = 2_048;
const MEMBERS: ReadonlySet<string> = new Set(['at', 'path', 'request', 'answer', 'status']);

/** One JSON object: `path` with `request`, `answer` with `status`, or both; `at`. */
export function readCopy(line: string | Uint8Array): ReadCopy {
  const parsed = parseJson(line, MAX_COPY_BYTES);
  if (!parsed.ok) return wrong(`it is not JSON: ${parsed.problem}`);
  const { value } = parsed;
  if (!isObject(value)) return wrong('it is not a JSON object');
  const unknown = Object.keys(value).find((name) => !MEMBERS.has(name));
  if (unknown !== undefined) return wrong(`it has the member ${JSON.stringify(unknown.slice(0, 40))}`);
  const { at, path, request, answer, status } = value;
  for (const [name, text] of Object.entries({ at, path, request, answer }))
    if (text !== undefined && text !== null && typeof text !== 'string')
      return wrong(`${name} is not text: bodies are copied as they came`);
  const code = status instanceof JsonNumber ? Number(status.text) : undefined;
  if (status !== undefined && status !== null && !Number.isInteger(code))
    return wrong('status is not a whole number');
  if (typeof request === 'string' && (typeof path !== 'string' || !/^\/[!-~]*$/.test(path)))
    return wrong('a request has no path, such as /fireblocks/v2/tx_sign_request');
  if (typeof path === 'string' && path.length > MAX_PATH) return wrong('its path is too long');
  if (typeof request !== 'string' && typeof answer !== 'string')
    return wrong('it has neither a request nor an answer');
  const isAt = typeof at === 'string' && !Number.isNaN(Date.parse(at));
  return {
    ok: true,
    copy: {
      ...(isAt ? { at } : {}),
      ...(typeof request === 'string' && typeof path === 'string'
        ? { request: { path, body: request } }
        : {}),
      ...(typeof answer === 'string'
        ? { answer: { body: answer, ...(code === undefined ? {} : { status: code }) } }
        : {}),
    },
  };
}

function wrong(problem: string): ReadCopy {
  return { ok: false, problem };
}
