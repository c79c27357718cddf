/** Which key answers, and in what form: checked with node:crypto alone. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { Signer } from '../../../src/core/keys.js';
import { answerKeyRing, answerSigners } from '../../../src/keys/answer-keys.js';
import { signerOf } from '../../../src/keys/pem-signer.js';
import { spkiSha256 } from '../../../src/keys/published-keys.js';
import { headerOf, type KeyPair, payloadOf, rsaPair, verifies } from '../../support/cosigner.js';
import { errorOf } from '../../support/errors.js';

const CLAIMS = { action: 'APPROVE', requestId: 'r' };
const [otherwise, own, ownLater, general] = [rsaPair(), rsaPair(), rsaPair(), rsaPair()];
const p256: KeyPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });

describe('the key that answers', () => {
  let nowMs = 0;
  const ring = answerKeyRing(
    [
      {
        cosigner: 'a',
        answerKey: otherwise.privateKey,
        answerKeys: [
          { signers: ['s'], key: own.privateKey, notAfter: 300 },
          { signers: ['s', 't'], key: ownLater.privateKey, notBefore: 100, notAfter: 200 },
          { key: general.privateKey, notBefore: 400 },
        ],
      },
      { cosigner: 'b', answerKey: p256.privateKey },
    ],
    () => nowMs,
  );
  const names = new Map([
    [otherwise, 'answerKey'],
    [own, 'own'],
    [ownLater, 'own, later'],
    [general, 'general'],
  ]);
  const answering = async (signer: string | undefined) => {
    const jwt = await ring.sign('a', signer, CLAIMS);
    return [...names].filter(([pair]) => verifies(jwt, pair.publicKey)).map(([, name]) => name);
  };

  test.each<readonly [number, string, string, string]>([
    [0, 'own', 'answerKey', 'answerKey'],
    [99, 'own', 'answerKey', 'answerKey'],
    [100, 'own, later', 'own, later', 'answerKey'],
    [199, 'own, later', 'own, later', 'answerKey'],
    [200, 'own', 'answerKey', 'answerKey'],
    [300, 'answerKey', 'answerKey', 'answerKey'],
    [400, 'general', 'general', 'general'],
  ])('at %i: %s for s, %s for t, %s for others', async (atMs, s, t, others) => {
    nowMs = atMs;
    expect([await answering('s'), await answering('t')]).toEqual([[s], [t]]);
    expect([await answering('u'), await answering(undefined)]).toEqual([[others], [others]]);
  });

  test('is one of its own co-signer', async () => {
    expect(verifies(await ring.sign('b', 's', CLAIMS), p256.publicKey)).toBe(true);
  });
});

describe('the form of an answer', () => {
  test.each([
    ['RS256', otherwise, 256],
    ['ES256', p256, 64],
  ] as const)('%s', async (alg, pair, bytes) => {
    const jwt = await answerKeyRing([{ cosigner: 'a', answerKey: pair.privateKey }]).sign(
      'a',
      undefined,
      CLAIMS,
    );
    expect(headerOf(jwt)).toBe(`{"alg":"${alg}","typ":"JWT"}`);
    expect(payloadOf(jwt)).toBe('{"action":"APPROVE","requestId":"r"}');
    expect(Buffer.from(jwt.split('.')[2] ?? '', 'base64url')).toHaveLength(bytes);
    expect(verifies(jwt, pair.publicKey)).toBe(true);
  });

  test('ES256 that is not R and S, as key services give it, is never sent', async () => {
    const der: Signer = {
      ...signerOf(p256.privateKey),
      sign: async (bytes) => sign('sha256', bytes, p256.privateKey),
    };
    const ring = answerSigners([{ cosigner: 'a', answerKey: der }]);
    await expect(ring.sign('a', undefined, CLAIMS)).rejects.toThrow('an ES256 signature that is not R and S');
  });
});

describe('a signer of a key in a file', () => {
  test.each([
    ['RS256', otherwise],
    ['ES256', p256],
    ['EdDSA', generateKeyPairSync('ed25519')],
  ] as const)('%s: names its public half', (algorithm, { privateKey, publicKey }) => {
    expect(signerOf(privateKey)).toMatchObject({ algorithm, publicKeySha256: spkiSha256(publicKey) });
  });

  test('of a kind that nothing is signed with', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    expect(errorOf(() => signerOf(privateKey))).toMatchObject({
      code: 'KEY_INVALID',
      message: 'nothing is signed with a key that is secp384r1',
    });
  });
});

test('an answer is never signed with an Ed25519 key', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  expect(() => answerKeyRing([{ cosigner: 'a', answerKey: privateKey }])).toThrow(
    'answers cannot be signed with a key that is Ed25519',
  );
});

test('two keys for one signer from one instant on are refused', () => {
  const answerKeys = [
    { signers: ['s'], key: own.privateKey, notBefore: 5 },
    { signers: ['t', 's'], key: ownLater.privateKey, notBefore: 5 },
  ];
  expect(() => answerKeyRing([{ cosigner: 'a', answerKey: otherwise.privateKey, answerKeys }])).toThrow(
    'co-signer "a" has two answer keys for the signer "s" that begin at the same instant',
  );
});
