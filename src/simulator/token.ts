/**
 * Compact JWTs made by hand from node:crypto (RFC 7515, RFC 7518): the co-signer's side shares no code with the
 * server's, or both ends would agree on the same mistake.
 */
import { type KeyObject, sign as signBytes } from 'node:crypto';
import { promisify } from 'node:util';

const signAsync = promisify(signBytes);

/** The header of the vendor's samples: no `kid`. */
const HEADER = encode('{"alg":"RS256","typ":"JWT"}');

export function encode(text: string | Buffer): string {
  return Buffer.from(text).toString('base64url');
}

/** RS256, as every co-signer signs. The payload is JSON text and is sent byte for byte. */
export async function signToken(payload: string, key: KeyObject): Promise<string> {
  const signingInput = `${HEADER}.${encode(payload)}`;
  return `${signingInput}.${encode(await signAsync('sha256', Buffer.from(signingInput), key))}`;
}
