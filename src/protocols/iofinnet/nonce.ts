/**
 * The nonce of a request: an integer up to 2^63 − 2, kept as the digits it was written with, because a double holds 2^53.
 * Source: the vendor's published requests; it stands in `Accept-Signature` (RFC 9421 section 5.1) and in `VS-Nonce`.
 */
import type { InboundMessage } from '../../core/ports.js';

const DIGITS = /^(?:0|[1-9]\d{0,18})$/;
const LARGEST = 9_223_372_036_854_775_806n;
const PARAMETER = /;\s*nonce\s*=\s*([^;,]*)/g;

export type NonceReading =
  | { readonly ok: true; readonly digits: string }
  | { readonly ok: false; readonly problem: string };

/** One of the two headers must carry it; where both are there, they must agree. */
export function readNonce(headers: InboundMessage['headers']): NonceReading {
  const own = headers['vs-nonce']?.trim();
  const accept = headers['accept-signature'];
  const named =
    accept === undefined ? [] : [...accept.matchAll(PARAMETER)].map(([, text = '']) => text.trim());
  const texts = [...(own === undefined ? [] : [own]), ...named];
  const [digits] = texts;
  if (digits === undefined)
    return { ok: false, problem: 'there is no nonce in VS-Nonce or Accept-Signature' };
  if (accept !== undefined && named.length !== 1)
    return { ok: false, problem: 'Accept-Signature names no nonce, or several' };
  if (texts.some((text) => text !== digits)) return { ok: false, problem: 'the two nonces differ' };
  if (!DIGITS.test(digits) || BigInt(digits) > LARGEST)
    return { ok: false, problem: `the nonce is not an integer from 0 to ${LARGEST}` };
  return { ok: true, digits };
}
