import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { SignJWT } from 'jose';
import { checkAnswer } from '../../../src/simulator/answer.js';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const EXPECTED = { requestId: 'a-1', stage: 'signing', keys: [rsa.publicKey, ec.publicKey] } as const;

/** Signs exactly this text, which a library would tidy. */
function signed(header: string, payload: string): string {
  const input = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
  return `${input}.${sign('sha256', Buffer.from(input), rsa.privateKey).toString('base64url')}`;
}

/** 256 bytes end in a character of which two bits count: its neighbour in the alphabet decodes to the same bytes. */
function withSpareBits(token: string): string {
  return token.slice(0, -1) + String.fromCharCode(token.charCodeAt(token.length - 1) + 1);
}

const HEADER = '{"alg":"RS256","typ":"JWT"}';
const APPROVE = '{"action":"APPROVE","requestId":"a-1"}';

describe('an answer that a co-signer would obey', () => {
  it.each([
    ['RS256', rsa.privateKey],
    ['ES256', ec.privateKey],
  ])('is accepted when signed with %s by the key of that kind', async (alg, key) => {
    const token = await new SignJWT({ action: 'REJECT', requestId: 'a-1', rejectionReason: 'no room' })
      .setProtectedHeader({ alg, typ: 'JWT' })
      .sign(key);
    expect(checkAnswer(200, token, EXPECTED)).toEqual({
      ok: true,
      answer: { action: 'REJECT', reason: 'no room' },
    });
  });

  it('may be IGNORE at the approval stage', () => {
    const token = signed(HEADER, '{"action":"IGNORE","requestId":"a-1"}');
    expect(checkAnswer(200, token, { ...EXPECTED, stage: 'approval' })).toMatchObject({ ok: true });
  });
});

describe('what is no answer', () => {
  const good = signed(HEADER, APPROVE);
  const cases: readonly (readonly [string, string, string])[] = [
    ['an empty body', '', 'the body is not exactly one compact JWT'],
    ['a JSON body', APPROVE, 'the body is not exactly one compact JWT'],
    ['a new line after it', `${good}\n`, 'the body is not exactly one compact JWT'],
    [
      'another header algorithm',
      signed('{"alg":"PS256","typ":"JWT"}', APPROVE),
      'the JWT header is not RS256 or ES256 with typ JWT',
    ],
    ['no typ', signed('{"alg":"RS256"}', APPROVE), 'the JWT header is not RS256 or ES256 with typ JWT'],
    [
      'ES256 in the header of an RSA signature',
      signed('{"alg":"ES256","typ":"JWT"}', APPROVE),
      'the signature does not verify with the answer key',
    ],
    ['spare bits that are set', withSpareBits(good), 'the JWT is not canonical base64url'],
    [
      'another signature',
      `${good.slice(0, -10)}AAAAAAAAAA`,
      'the signature does not verify with the answer key',
    ],
    ['a list of claims', signed(HEADER, `[${APPROVE}]`), 'the claims are no JSON object'],
    [
      'a claim written twice',
      signed(HEADER, '{"action":"REJECT","action":"APPROVE","requestId":"a-1"}'),
      'the claims are no JSON object',
    ],
    [
      'a further claim',
      signed(HEADER, '{"action":"APPROVE","requestId":"a-1","iat":1}'),
      'there is a claim "iat"',
    ],
    [
      'another request id',
      signed(HEADER, '{"action":"APPROVE","requestId":"a-2"}'),
      'requestId is not the one that was asked',
    ],
    [
      'lower case',
      signed(HEADER, '{"action":"approve","requestId":"a-1"}'),
      'action "approve" means nothing at the signing stage',
    ],
    [
      'IGNORE at signing',
      signed(HEADER, '{"action":"IGNORE","requestId":"a-1"}'),
      'action "IGNORE" means nothing at the signing stage',
    ],
    [
      'a reason of null',
      signed(HEADER, '{"action":"REJECT","requestId":"a-1","rejectionReason":null}'),
      'rejectionReason is not a sentence',
    ],
    [
      'a REJECT without a reason',
      signed(HEADER, '{"action":"REJECT","requestId":"a-1"}'),
      'a REJECT comes without a rejectionReason',
    ],
  ];
  it.each(cases)('%s', (_name, body, problem) => {
    expect(checkAnswer(200, body, EXPECTED)).toEqual({ ok: false, problem });
  });

  it('another status', () => {
    expect(checkAnswer(503, good, EXPECTED)).toEqual({ ok: false, problem: 'the status is 503, not 200' });
  });
});
