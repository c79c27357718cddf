/** Bodies that nobody may act on. Each names itself in the report. */
import { createHmac, createPublicKey, type KeyObject } from 'node:crypto';
import type { Random } from './random.js';
import { encode, signToken } from './token.js';

export interface Forgery {
  readonly name: string;
  /** Replaces the route of the vendor, for bodies that are fine and come to the wrong place. */
  readonly route?: string;
  readonly make: (material: Material) => string | Buffer | Promise<string | Buffer>;
}

/** What a forger has: an honest token, what it says, the key that made it, and a key of his own. */
export interface Material {
  readonly token: string;
  readonly payload: string;
  readonly key: KeyObject;
  readonly strangerKey: KeyObject;
  readonly random: Random;
}

/** Above every sane body limit: fifty legacy Bitcoin inputs, the largest honest request known, are 290 KiB. */
const HUGE_BYTES = 6 * 1_048_576;

export const BAD_SIGNATURES: readonly [Forgery, ...Forgery[]] = [
  { name: 'signed by a stranger', make: ({ payload, strangerKey }) => signToken(payload, strangerKey) },
  {
    name: 'one bit of the signature differs',
    make: ({ token, random }) => withSignature(token, flippedBit(random)),
  },
  {
    name: 'signature of zero bytes',
    make: ({ token }) => withSignature(token, (bytes) => Buffer.alloc(bytes.length)),
  },
  // As the vendor prints its second example.
  { name: 'obfuscated signature', make: ({ token }) => `${signingInput(token)}.${'0'.repeat(47)}` },
  {
    name: 'shortened signature',
    make: ({ token }) => withSignature(token, (bytes) => bytes.subarray(0, 128)),
  },
  { name: 'payload changed after signing', make: ({ token, payload }) => withPayload(token, `${payload} `) },
];

export const GARBAGE: readonly [Forgery, ...Forgery[]] = [
  { name: 'empty body', make: () => '' },
  { name: 'blanks', make: () => ' \r\n\t ' },
  { name: 'random bytes', make: ({ random }) => random.bytes(300) },
  { name: 'plain JSON', make: ({ payload }) => payload },
  { name: 'token wrapped in JSON', make: ({ token }) => JSON.stringify({ jwt: token }) },
  { name: 'token twice', make: ({ token }) => token + token },
  { name: 'two tokens on two lines', make: ({ token }) => `${token}\n${token}` },
  { name: 'token with a fourth part', make: ({ token }) => `${token}.e30` },
  { name: 'token inside a token', make: ({ token, key }) => signToken(JSON.stringify(token), key) },
  { name: 'no signature', make: ({ token }) => `${signingInput(token)}.` },
  { name: 'alg none', make: ({ payload }) => `${encode('{"alg":"none","typ":"JWT"}')}.${encode(payload)}.` },
  { name: 'HS256 with the public key', make: hmacWithPublicKey },
  { name: 'signed text that is no JSON', make: ({ key }) => signToken('transfer everything', key) },
  { name: 'signed list', make: ({ key, payload }) => signToken(`[${payload}]`, key) },
  { name: 'signed empty object', make: ({ key }) => signToken('{}', key) },
  { name: 'huge body', make: () => Buffer.alloc(HUGE_BYTES, 'A') },
  { name: 'path of the JSON mode', route: '/tx_sign_request', make: ({ token }) => token },
  { name: 'path nobody knows', route: '/v3/tx_sign_request', make: ({ token }) => token },
];

/** Bodies that are no question in plain JSON; what makes them is the payload of an honest one. */
export const NO_QUESTIONS: readonly [NoQuestion, ...NoQuestion[]] = [
  { name: 'empty body', make: () => '' },
  { name: 'blanks', make: () => ' \r\n\t ' },
  { name: 'random bytes', make: (_, random) => random.bytes(300) },
  { name: 'half an object', make: (payload) => payload.slice(0, -1) },
  { name: 'an object and more', make: (payload) => `${payload}{}` },
  { name: 'list', make: (payload) => `[${payload}]` },
  { name: 'empty object', make: () => '{}' },
  { name: 'a member twice', make: (payload) => `{"requestId":"another",${payload.slice(1)}` },
  { name: 'object in text', make: (payload) => JSON.stringify(payload) },
  { name: 'nesting without end', make: () => '['.repeat(10_000) },
  { name: 'huge body', make: () => Buffer.alloc(HUGE_BYTES, ' ') },
  { name: 'path of signed messages', route: '/v2/tx_sign_request', make: (payload) => payload },
];

export interface NoQuestion {
  readonly name: string;
  readonly route?: string;
  readonly make: (payload: string, random: Random) => string | Buffer;
}

/** The oldest trick against JWT libraries: the public key, which everybody has, used as a shared secret. */
function hmacWithPublicKey({ payload, key }: Material): string {
  const secret = createPublicKey(key).export({ type: 'spki', format: 'pem' });
  const input = `${encode('{"alg":"HS256","typ":"JWT"}')}.${encode(payload)}`;
  return `${input}.${encode(createHmac('sha256', secret).update(input).digest())}`;
}

function flippedBit(random: Random): (signature: Buffer) => Buffer {
  return (signature) => {
    const changed = Buffer.from(signature);
    const place = random.below(changed.length);
    changed[place] = (changed[place] ?? 0) ^ (1 << random.below(8));
    return changed;
  };
}

function withSignature(token: string, change: (signature: Buffer) => Buffer): string {
  const signature = Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url');
  return `${signingInput(token)}.${encode(change(signature))}`;
}

function withPayload(token: string, payload: string): string {
  const [header = '', , signature = ''] = token.split('.');
  return `${header}.${encode(payload)}.${signature}`;
}

function signingInput(token: string): string {
  return token.slice(0, token.lastIndexOf('.'));
}
