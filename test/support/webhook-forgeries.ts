/** Signatures that no vendor makes for this message, each with the reason it is refused for. */
import { createHmac, type KeyObject, sign } from 'node:crypto';
import { base64url } from './cosigner.js';
import { detached, legacySignatureOf, signatureOf, type VendorKey } from './webhook-vendor.js';

export interface Forgery {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly reason: string;
}

const V2 = 'fireblocks-webhook-signature';
const V1 = 'fireblocks-signature';

/** @param vendor a key of the set @param stranger a key that nobody knows */
export function forgeries(body: string, vendor: VendorKey, stranger: VendorKey): readonly Forgery[] {
  const { kid } = vendor;
  const honest = signatureOf(body, vendor);
  const [header = '', , signature = ''] = honest.split('.');
  const of = (members: object | string) => detached(body, vendor.privateKey, members);
  const v2 = (name: string, value: string, reason: string): Forgery => ({
    name,
    headers: { [V2]: value },
    reason,
  });
  return [
    { name: 'none', headers: {}, reason: 'UNSIGNED' },
    {
      name: 'the former kind alone',
      headers: { [V1]: legacySignatureOf(body, vendor.privateKey) },
      reason: 'UNSIGNED',
    },
    v2('empty', '', 'SIGNATURE_FORM'),
    v2('words', 'trust me', 'SIGNATURE_FORM'),
    v2('too long', `${header}..${'A'.repeat(9_000)}`, 'SIGNATURE_FORM'),
    v2('four segments', `${header}..${signature}.A`, 'SIGNATURE_FORM'),
    v2('no signature', `${header}..`, 'SIGNATURE_FORM'),
    v2('attached content', `${header}.${base64url(body)}.${signature}`, 'SIGNATURE_FORM'),
    v2('other content attached', `${header}.${base64url('{}')}.${signature}`, 'SIGNATURE_FORM'),
    v2('two signatures', `${honest}, ${honest}`, 'SIGNATURE_FORM'),
    v2('padded', `${header}..${signature}==`, 'SIGNATURE_FORM'),
    v2('header not JSON', of('alg'), 'SIGNATURE_FORM'),
    v2('alg none', `${base64url(JSON.stringify({ alg: 'none', kid }))}..AA`, 'SIGNATURE_FORM'),
    v2('alg none, unsigned', `${base64url(JSON.stringify({ alg: 'none', kid }))}..`, 'SIGNATURE_FORM'),
    v2('alg RS256', of({ alg: 'RS256', kid }), 'SIGNATURE_FORM'),
    v2('alg PS512', of({ alg: 'PS512', kid }), 'SIGNATURE_FORM'),
    v2('alg HS512 with the public key', hmac(body, kid, vendor.publicKey), 'SIGNATURE_FORM'),
    v2('alg twice', of(`{"alg":"none","alg":"RS512","kid":"${kid}"}`), 'SIGNATURE_FORM'),
    v2('crit', of({ alg: 'RS512', kid, crit: ['b64'], b64: false }), 'SIGNATURE_FORM'),
    v2('b64', of({ alg: 'RS512', kid, b64: false }), 'SIGNATURE_FORM'),
    v2(
      'a key of its own',
      own(body, stranger, { jwk: stranger.publicKey.export({ format: 'jwk' }) }),
      'SIGNATURE_FORM',
    ),
    v2('a key elsewhere', own(body, stranger, { jku: 'https://example.com/jwks.json' }), 'SIGNATURE_FORM'),
    v2('no key id', of({ alg: 'RS512' }), 'SIGNATURE_FORM'),
    v2('key id no text', of({ alg: 'RS512', kid: 7 }), 'SIGNATURE_FORM'),
    v2('unknown key', signatureOf(body, stranger), 'KEY_UNKNOWN'),
    v2('key id of a property', signatureOf(body, { ...stranger, kid: '__proto__' }), 'KEY_UNKNOWN'),
    v2('unknown key under a known id', signatureOf(body, { ...stranger, kid }), 'SIGNATURE'),
    v2('of another body', signatureOf(`${body} `, vendor), 'SIGNATURE'),
    v2('of the empty body', signatureOf('', vendor), 'SIGNATURE'),
    v2('over the bytes alone', raw(body, vendor), 'SIGNATURE'),
    v2('cut short', `${header}..${shorter(signature)}`, 'SIGNATURE'),
    v2('SHA-256 under RS512', weaker(body, vendor), 'SIGNATURE'),
    {
      name: 'a bad new one beside a good old one',
      headers: {
        [V2]: signatureOf(body, { ...stranger, kid }),
        [V1]: legacySignatureOf(body, vendor.privateKey),
      },
      reason: 'SIGNATURE',
    },
  ];
}

function own(body: string, { kid, privateKey }: VendorKey, members: object): string {
  return detached(body, privateKey, { alg: 'RS512', kid, ...members });
}

function hmac(body: string, kid: string, publicKey: KeyObject): string {
  const header = base64url(JSON.stringify({ alg: 'HS512', kid }));
  const secret = publicKey.export({ type: 'spki', format: 'pem' });
  return `${header}..${createHmac('sha512', secret)
    .update(`${header}.${base64url(body)}`)
    .digest('base64url')}`;
}

function raw(body: string, { kid, privateKey }: VendorKey): string {
  const header = base64url(JSON.stringify({ alg: 'RS512', kid }));
  return `${header}..${base64url(sign('sha512', Buffer.from(body), privateKey))}`;
}

function weaker(body: string, { kid, privateKey }: VendorKey): string {
  const header = base64url(JSON.stringify({ alg: 'RS512', kid }));
  return `${header}..${base64url(sign('sha256', Buffer.from(`${header}.${base64url(body)}`), privateKey))}`;
}

function shorter(signature: string): string {
  return Buffer.from(signature, 'base64url').subarray(0, -1).toString('base64url');
}
