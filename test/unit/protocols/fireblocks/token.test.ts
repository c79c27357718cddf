import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { base64url, HEADER, hs256, ps256, rs256, token } from '../../../support/cosigner.js';
import { cpuClock } from '../../../support/cpu-clock.js';
import {
  CONFIG_CHANGE,
  handler,
  rsaPair,
  signingClaims,
  TRANSACTION,
} from '../../../support/fireblocks-handler.js';

const cosigner = rsaPair();
const stranger = rsaPair();
const { receive } = handler(cosigner);

const claims = JSON.stringify(signingClaims());
const good = token(claims, cosigner.privateKey);
const [header = '', payload = '', signature = ''] = good.split('.');
const publicPem = cosigner.publicKey.export({ type: 'spki', format: 'pem' });
const publicDer = cosigner.publicKey.export({ type: 'spki', format: 'der' });
const jwk = JSON.stringify(stranger.publicKey.export({ format: 'jwk' }));
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** The same token with the last character of a segment replaced by one that differs in unused bits only. */
function withStrayBits(segment: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return segment.slice(0, -1) + alphabet[alphabet.indexOf(segment.slice(-1)) + 1];
}

/** A valid signature of the co-signer over any first two segments. */
function signed(input: string): string {
  return `${input}.${base64url(sign('sha256', Buffer.from(input), cosigner.privateKey))}`;
}

function honestHeader(text: string): string {
  return rs256(text, claims, cosigner.privateKey);
}

test('the honest token is a request', async () => {
  expect(await receive(good)).toMatchObject({ kind: 'request', request: { cosigner: 'cosigner-a' } });
});

test.each([
  ['white space around it', ` \t\r\n${good}\n`],
  ['no typ', honestHeader('{"alg":"RS256"}')],
  ['typ first', honestHeader('{"typ":"JWT","alg":"RS256"}')],
  ['a header member nobody needs', honestHeader('{"alg":"RS256","typ":"JWT","kid":"1","x":{"y":[1]}}')],
])('tolerated: %s', async (_, body) => {
  expect(await receive(body)).toMatchObject({ kind: 'request' });
});

const NOT_COMPACT = 'the body is not a compact JWS of three segments';
const NOT_VERIFIED = 'no configured key verifies the signature';
const NOT_RS256 = "the header's alg is not RS256";

describe('answered 401', () => {
  test.each<readonly [string, string | Uint8Array, string]>([
    ['an empty body', '', NOT_COMPACT],
    ['white space', ' \n\t ', NOT_COMPACT],
    ['one segment', 'abc', NOT_COMPACT],
    ['two segments', `${header}.${payload}`, NOT_COMPACT],
    ['an empty signature', `${header}.${payload}.`, NOT_COMPACT],
    ['an empty payload', `${header}..${signature}`, NOT_COMPACT],
    ['an empty header', `.${payload}.${signature}`, NOT_COMPACT],
    ['four segments', `${good}.AAAA`, NOT_COMPACT],
    ['a dot at the end', `${good}.`, NOT_COMPACT],
    ['five segments (JWE)', `${header}.AAAA.AAAA.AAAA.AAAA`, NOT_COMPACT],
    ['the token twice', good + good, NOT_COMPACT],
    ['the token twice, apart', `${good}\n${good}`, NOT_COMPACT],
    ['plain JSON', claims, NOT_COMPACT],
    ['a token in quotes', `"${good}"`, 'the header is not canonical base64url'],
    ['a token in JSON', `{"token":"${good}"}`, 'the header is not canonical base64url'],
    ['a form', `jwt=${good}`, 'the header is not canonical base64url'],
    ['a bearer prefix', `Bearer ${good}`, 'the header is not canonical base64url'],
    ['flattened JWS JSON', JSON.stringify({ protected: header, payload, signature }), NOT_COMPACT],
    ['a byte order mark', `\ufeff${good}`, 'the header is not canonical base64url'],
    ['a null byte before', `\0${good}`, 'the header is not canonical base64url'],
    ['a null byte after', `${good}\0`, 'the signature is not canonical base64url'],
    ['trailing garbage', `${good} x`, 'the signature is not canonical base64url'],
    ['trailing base64url', `${good}AAAA`, NOT_VERIFIED],
    ['a padded header', `${header}=.${payload}.${signature}`, 'the header is not canonical base64url'],
    ['a padded payload', signed(`${header}.${payload}=`), 'the payload is not canonical base64url'],
    ['a padded signature', `${good}==`, 'the signature is not canonical base64url'],
    ['a line break inside', `${header}.\n${payload}.${signature}`, 'the payload is not canonical base64url'],
    [
      'stray bits in the signature',
      `${header}.${payload}.${withStrayBits(signature)}`,
      'the signature is not canonical base64url',
    ],
    [
      'stray bits in the payload',
      signed(
        `${header}.${withStrayBits(base64url(`${claims} `.padEnd(claims.length + 3 - (claims.length % 3) + 1)))}`,
      ),
      'the payload is not canonical base64url',
    ],
    [
      'the standard alphabet',
      `${header}.${payload}.${signature.replace(/-/g, '+').replace(/_/g, '/')}+`,
      'the signature is not canonical base64url',
    ],
    [
      'bytes above ASCII',
      Uint8Array.from([0xff, 0x2e, 0xfe, 0x2e, 0xfd]),
      'the header is not canonical base64url',
    ],
    ['alg none', `${base64url('{"alg":"none"}')}.${payload}.AAAA`, NOT_RS256],
    ['alg none with a good signature', honestHeader('{"alg":"none"}'), NOT_RS256],
    ['alg None', honestHeader('{"alg":"None"}'), NOT_RS256],
    ['alg rs256', honestHeader('{"alg":"rs256"}'), NOT_RS256],
    ['alg a list', honestHeader('{"alg":["RS256"]}'), NOT_RS256],
    ['alg missing', honestHeader('{"typ":"JWT"}'), NOT_RS256],
    ['HS256 with the public key as PEM', hs256('{"alg":"HS256","typ":"JWT"}', claims, publicPem), NOT_RS256],
    ['HS256 with the public key as DER', hs256('{"alg":"HS256","typ":"JWT"}', claims, publicDer), NOT_RS256],
    ['an HMAC that says RS256', hs256(HEADER, claims, publicPem), NOT_VERIFIED],
    ['PS256', ps256('{"alg":"PS256","typ":"JWT"}', claims, cosigner.privateKey), NOT_RS256],
    ['a PSS signature that says RS256', ps256(HEADER, claims, cosigner.privateKey), NOT_VERIFIED],
    ['ES256', rs256('{"alg":"ES256","typ":"JWT"}', claims, ec.privateKey), NOT_RS256],
    ['an ECDSA signature that says RS256', rs256(HEADER, claims, ec.privateKey), NOT_VERIFIED],
    ['the key of a stranger', token(claims, stranger.privateKey), NOT_VERIFIED],
    [
      'SHA-1',
      `${header}.${payload}.${base64url(sign('sha1', Buffer.from(`${header}.${payload}`), cosigner.privateKey))}`,
      NOT_VERIFIED,
    ],
    ['a signature of zeros', `${header}.${payload}.${base64url(new Uint8Array(256))}`, NOT_VERIFIED],
    ['47 characters 0', `${header}.${payload}.${'0'.repeat(47)}`, NOT_VERIFIED],
    [
      'a signature of ones',
      `${header}.${payload}.${base64url(new Uint8Array(256).fill(0xff))}`,
      NOT_VERIFIED,
    ],
    ['a signature of one byte', `${header}.${payload}.AA`, NOT_VERIFIED],
    [
      'a signature one byte too long',
      `${header}.${payload}.${base64url(Buffer.concat([new Uint8Array(1), Buffer.from(signature, 'base64url')]))}`,
      NOT_VERIFIED,
    ],
    [
      'a signature cut short',
      `${header}.${payload}.${base64url(Buffer.from(signature, 'base64url').subarray(0, 255))}`,
      NOT_VERIFIED,
    ],
    [
      'another payload',
      `${header}.${base64url(claims.replace('"0.5"', '"9.5"'))}.${signature}`,
      NOT_VERIFIED,
    ],
    ['another header', `${base64url('{"alg":"RS256"}')}.${payload}.${signature}`, NOT_VERIFIED],
    ['crit', honestHeader('{"alg":"RS256","crit":["exp"],"exp":1}'), 'the header has the member crit'],
    ['crit null', honestHeader('{"alg":"RS256","crit":null}'), 'the header has the member crit'],
    ['b64', honestHeader('{"alg":"RS256","b64":false}'), 'the header has the member b64'],
    ['zip', honestHeader('{"alg":"RS256","zip":"DEF"}'), 'the header has the member zip'],
    ['enc', honestHeader('{"alg":"RS256","enc":"A128GCM"}'), 'the header has the member enc'],
    ['cty', honestHeader('{"alg":"RS256","cty":"JWT"}'), 'the header has the member cty'],
    [
      'a key of its own',
      rs256(`{"alg":"RS256","jwk":${jwk}}`, claims, stranger.privateKey),
      'the header has the member jwk',
    ],
    [
      'a place to fetch keys',
      honestHeader('{"alg":"RS256","jku":"http://127.0.0.1/"}'),
      'the header has the member jku',
    ],
    [
      'a place to fetch certificates',
      honestHeader('{"alg":"RS256","x5u":"http://127.0.0.1/"}'),
      'the header has the member x5u',
    ],
    [
      'a certificate of its own',
      honestHeader('{"alg":"RS256","x5c":["AA=="]}'),
      'the header has the member x5c',
    ],
    ['another typ', honestHeader('{"alg":"RS256","typ":"at+jwt"}'), "the header's typ is not JWT"],
    ['typ null', honestHeader('{"alg":"RS256","typ":null}'), "the header's typ is not JWT"],
    [
      'alg twice',
      honestHeader('{"alg":"none","alg":"RS256"}'),
      'the header is not JSON: a member name is repeated at character 14',
    ],
    [
      'alg escaped twice',
      honestHeader('{"alg":"RS256","\\u0061lg":"none"}'),
      'the header is not JSON: a member name is repeated at character 15',
    ],
    ['alg inherited', honestHeader('{"__proto__":{"alg":"RS256"}}'), NOT_RS256],
    ['a header that is a list', honestHeader('["RS256"]'), 'the header is not a JSON object'],
    [
      'a header that is no JSON',
      honestHeader('RS256'),
      'the header is not JSON: expected a value at character 0',
    ],
    [
      'a header with something after it',
      honestHeader('{"alg":"RS256"}x'),
      'the header is not JSON: expected the end at character 15',
    ],
    [
      'a huge header',
      honestHeader(`{"alg":"RS256","x":"${'x'.repeat(3000)}"}`),
      'the header is not JSON: longer than 2048',
    ],
    ['a token inside a token', token(good, cosigner.privateKey), 'the signed payload is not a JSON object'],
    [
      'a quoted token inside a token',
      token(`"${good}"`, cosigner.privateKey),
      'the signed payload is not a JSON object',
    ],
    [
      'a list of tokens inside a token',
      token(`["${good}"]`, cosigner.privateKey),
      'the signed payload is not a JSON object',
    ],
  ])('%s', async (_, body, problem) => {
    for (const route of [TRANSACTION, CONFIG_CHANGE]) {
      expect(await receive(body, route)).toEqual({
        kind: 'refused',
        status: 401,
        code: 'UNAUTHENTICATED',
        reason: reasonOf(problem),
        problem,
      });
    }
  });

  test('every single flipped bit of a token', async () => {
    const bytes = Buffer.from(good);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (index, bit) => {
        const flipped = Buffer.from(bytes);
        flipped[index] = (flipped[index] ?? 0) ^ (1 << bit);
        // A last character that becomes white space leaves a signature cut short.
        expect(await receive(flipped)).toMatchObject({ kind: 'refused', status: 401 });
      }),
      { numRuns: 300 },
    );
  });

  test('blanks without end, in no time', async () => {
    const body = Buffer.alloc(4 * 1024 * 1024, ' ');
    body[0] = 0x61;
    body[body.length - 1] = 0x61;
    const cpuMs = cpuClock();
    expect(await receive(body)).toMatchObject({ status: 401 });
    expect(cpuMs()).toBeLessThan(2_000);
  });
});

test.each([
  '',
  '/',
  '/v2/tx_sign_request/',
  '/v2/tx_sign_request?x=1',
  '/V2/tx_sign_request',
  '/v3/tx_sign_request',
])('no message arrives at %p', async (route) => {
  expect(await receive(good, route)).toEqual({
    kind: 'refused',
    status: 404,
    code: 'PATH_UNKNOWN',
    problem: 'no message arrives at this path',
  });
});

describe('whatever is sent', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      header,
      payload,
      signature,
      '.',
      '=',
      ' ',
      '"',
      base64url('{"alg":"none"}'),
      base64url('{}'),
    ),
    fc.string(),
    fc.base64String(),
  );
  test('is never a request without a signature, and never throws', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
        const body = pieces.join('');
        fc.pre(body.trim() !== good);
        expect(await receive(body)).toMatchObject({ kind: 'refused', status: 401 });
      }),
      { numRuns: 500 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (body) => {
        expect(await receive(body)).toMatchObject({ kind: 'refused', status: 401 });
      }),
      { numRuns: 500 },
    );
  });

  test('is answered 400 or understood when a co-signer signed it', async () => {
    const field = fc.constantFrom(
      ...Object.keys(signingClaims()),
      'extraParameters',
      'note',
      'type',
      'extraInfo',
      '__proto__',
    );
    const change = fc.dictionary(field, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 });
    await fc.assert(
      fc.asyncProperty(change, fc.constantFrom(TRANSACTION, CONFIG_CHANGE), async (members, route) => {
        const received = await receive(token(signingClaims(members), cosigner.privateKey), route);
        expect(received.kind === 'refused' ? received.status : received.kind).toEqual(
          received.kind === 'refused' ? 400 : 'request',
        );
      }),
      { numRuns: 300 },
    );
    await fc.assert(
      fc.asyncProperty(fc.string(), async (text) => {
        const received = await receive(token(`{"requestId":${text}`, cosigner.privateKey));
        expect(received).toMatchObject({ kind: 'refused', status: 400 });
      }),
      { numRuns: 200 },
    );
  });
});

/** What strangers send is told apart from what only somebody sends who knows the format. */
function reasonOf(problem: string): string {
  if (problem.startsWith('the body') || problem.endsWith('not canonical base64url')) return 'TOKEN';
  if (problem === NOT_VERIFIED) return 'SIGNATURE';
  return problem.startsWith('the signed payload') ? 'PAYLOAD' : 'HEADER';
}
