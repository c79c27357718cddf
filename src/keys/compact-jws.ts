/** The compact form of JWS (RFC 7515 section 7.1) over whatever signs. */
import { assert } from '../core/errors.js';
import type { Signer } from '../core/keys.js';

/** R and S of P-256, 32 bytes each: RFC 7518 section 3.4. */
const ES256_BYTES = 64;

/** A compact JWT with exactly these claims. */
export async function compactJwt(signer: Signer, claims: Readonly<Record<string, string>>): Promise<string> {
  const { algorithm } = signer;
  const input = `${encoded({ alg: algorithm, typ: 'JWT' })}.${encoded(claims)}`;
  const signature = await signer.sign(Buffer.from(input));
  // Libraries and key services give DER unless told otherwise, which no co-signer would take.
  assert(algorithm !== 'ES256' || signature.length === ES256_BYTES, 'an ES256 signature that is not R and S');
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

function encoded(part: Readonly<Record<string, string>>): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
