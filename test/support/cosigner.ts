/** A co-signer's end of the channel for tests, on node:crypto alone: it shares no code with what it tests. */
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function rsaPair(modulusLength = 2048): KeyPair {
  return generateKeyPairSync('rsa', { modulusLength });
}

export function base64url(content: string | Uint8Array): string {
  return Buffer.from(content).toString('base64url');
}

/** A compact JWS of exactly this header text and payload text. */
export function rs256(header: string, payload: string | Uint8Array, key: KeyObject): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${base64url(sign('sha256', Buffer.from(input), key))}`;
}

export function ps256(header: string, payload: string, key: KeyObject): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return `${input}.${base64url(sign('sha256', Buffer.from(input), { key, padding, saltLength: 32 }))}`;
}

export function hs256(header: string, payload: string, secret: string | Uint8Array): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

export const HEADER = '{"alg":"RS256","typ":"JWT"}';

/** What an honest co-signer sends. */
export function token(claims: object | string, key: KeyObject): string {
  return rs256(HEADER, typeof claims === 'string' ? claims : JSON.stringify(claims), key);
}

export function payloadOf(compactJws: string): string {
  return Buffer.from(compactJws.split('.')[1] ?? '', 'base64url').toString('utf8');
}

export function headerOf(compactJws: string): string {
  return Buffer.from(compactJws.split('.')[0] ?? '', 'base64url').toString('utf8');
}

/** RS256 or ES256, by the kind of the key. */
export function verifies(compactJws: string, key: KeyObject): boolean {
  const [header, payload, signature] = compactJws.split('.');
  const input = Buffer.from(`${header}.${payload}`);
  return verify(
    'sha256',
    input,
    { key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature ?? '', 'base64url'),
  );
}
