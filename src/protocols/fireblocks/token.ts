/**
 * The outer form of a Fireblocks message: the whole body is one compact JWS (RFC 7515 section 7.1) and nothing else.
 * All of this is checked before any key is tried; the algorithm is ours to say, never the message's.
 */
import { isObject, type JsonObject, parseJson } from '../../core/json.js';

export type Token =
  | { readonly ok: true; readonly jws: string }
  | { readonly ok: false; readonly reason: 'TOKEN' | 'HEADER'; readonly problem: string };

const ALGORITHM = 'RS256';
const MAX_HEADER_BYTES = 2048;

/**
 * Header members that would change how the message is verified (crit, b64, zip, a key or where to fetch one) or what
 * it is (cty announces a nested token). None is ever sent by a co-signer.
 */
const REFUSED_MEMBERS = ['crit', 'b64', 'zip', 'enc', 'cty', 'jwk', 'jku', 'x5u', 'x5c'] as const;

/** The token in a body, or why there is none. White space around it is tolerated, everything else is not. */
export function readToken(body: Uint8Array): Token {
  const jws = trimmed(body).toString('latin1');
  const segments = jws.split('.', 4);
  const [header, payload, signature] = segments;
  if (segments.length !== 3 || !header || !payload || !signature) {
    return refused('the body is not a compact JWS of three segments');
  }
  if (!isCanonical(header)) return refused('the header is not canonical base64url');
  if (!isCanonical(payload)) return refused('the payload is not canonical base64url');
  if (!isCanonical(signature)) return refused('the signature is not canonical base64url');
  const problem = headerProblem(Buffer.from(header, 'base64url'));
  return problem === undefined ? { ok: true, jws } : { ok: false, reason: 'HEADER', problem };
}

/** Without ASCII white space around it. Byte by byte: a pattern for blanks at the end takes quadratic time on a body full of them. */
export function trimmed(body: Uint8Array): Buffer {
  let start = 0;
  let end = body.length;
  while (start < end && isBlank(body[start])) start += 1;
  while (end > start && isBlank(body[end - 1])) end -= 1;
  return Buffer.from(body.buffer, body.byteOffset + start, end - start);
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** One text for one content: no padding, no foreign characters, no bits left over (RFC 4648 section 3.5). */
function isCanonical(segment: string): boolean {
  return Buffer.from(segment, 'base64url').toString('base64url') === segment;
}

function headerProblem(bytes: Uint8Array): string | undefined {
  const parsed = parseJson(bytes, MAX_HEADER_BYTES);
  if (!parsed.ok) return `the header is not JSON: ${parsed.problem}`;
  if (!isObject(parsed.value)) return 'the header is not a JSON object';
  const header: JsonObject = parsed.value;
  if (header.alg !== ALGORITHM) return `the header's alg is not ${ALGORITHM}`;
  if (header.typ !== undefined && header.typ !== 'JWT') return "the header's typ is not JWT";
  const member = REFUSED_MEMBERS.find((name) => Object.hasOwn(header, name));
  return member === undefined ? undefined : `the header has the member ${member}`;
}

function refused(problem: string): Token {
  return { ok: false, reason: 'TOKEN', problem };
}
