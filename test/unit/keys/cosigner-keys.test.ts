import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { Vouched } from '../../../src/core/keys.js';
import { type CosignerKeyObjects, cosignerKeyRing } from '../../../src/keys/cosigner-keys.js';
import { spkiSha256 } from '../../../src/keys/published-keys.js';
import { type KeyPair, rs256, rsaPair, token } from '../../support/cosigner.js';
import { errorOf } from '../../support/errors.js';

const [first, second, third, stranger] = [rsaPair(), rsaPair(3072), rsaPair(), rsaPair()];

function cosigner(
  name: string,
  pairs: readonly KeyPair[],
  more: Partial<CosignerKeyObjects> = {},
): CosignerKeyObjects {
  const publicKeys = pairs.map(({ publicKey }) => ({ key: publicKey, file: `${name}.pem` }));
  return { name, workspace: 'main', publicKeys, ...more };
}

function payloadText(vouched: Vouched | undefined): string | undefined {
  return vouched?.kind === 'verified' ? Buffer.from(vouched.payload).toString() : undefined;
}

describe('a ring of several co-signers with several keys', () => {
  const ring = cosignerKeyRing([cosigner('a', [first, second]), cosigner('b', [third])]);

  test('finds who signed, in any order, again and again', async () => {
    const messages = [third, first, second, third, third, first].map((pair, index) => ({
      cosigners: [pair === third ? 'b' : 'a'],
      text: `{"n":${index}}`,
      jws: token(`{"n":${index}}`, pair.privateKey),
      key: spkiSha256(pair.publicKey),
    }));
    const ask = async ({ cosigners, text, jws, key }: (typeof messages)[number]) => {
      const verified = await ring.verify(jws);
      expect(verified).toEqual({ kind: 'verified', cosigners, key, payload: expect.any(Uint8Array) });
      expect(ring.known).toContainEqual(expect.objectContaining({ cosigner: cosigners[0], key }));
      expect(payloadText(verified)).toBe(text);
    };
    for (const message of messages) await ask(message);
    await Promise.all([...messages, ...messages].map(ask));
  });

  test('trusts a key for one message at a time', async () => {
    const jws = token('{}', first.privateKey);
    expect(await ring.verify(jws)).toBeDefined();
    expect(await ring.verify(token('{}', stranger.privateKey))).toBeUndefined();
    const [header, , signature] = jws.split('.');
    expect(await ring.verify(`${header}.e30g.${signature}`)).toBeUndefined();
  });

  test('pins the algorithm, whatever the message says', async () => {
    for (const alg of ['RS512', 'PS256', 'HS256', 'none']) {
      expect(await ring.verify(rs256(`{"alg":"${alg}"}`, '{}', first.privateKey))).toBeUndefined();
    }
  });

  test.each(['', '.', '..', 'a.b.c', '{}', 'e30.e30.e30'])("%p is nobody's", async (jws) => {
    expect(await ring.verify(jws)).toBeUndefined();
  });
});

describe('a key of two co-signers', () => {
  const list = (...signers: readonly string[]) => ({ signers });
  const test2 = { workspace: 'test' };
  const NOTHING_TELLS =
    'key file b.pem: co-signers "a" and "b" share it on one path, and nothing tells their workspaces apart; ' +
    'give them different paths, or list the signers of both without a common one';

  test.each<readonly [string, CosignerKeyObjects, CosignerKeyObjects, string]>([
    [
      'of one workspace',
      cosigner('a', [first], list('x')),
      cosigner('b', [first], list('y')),
      'key file b.pem: co-signers "a" and "b" share it; each co-signer has a key of its own',
    ],
    ['without signers', cosigner('a', [first]), cosigner('b', [first], test2), NOTHING_TELLS],
    ['one without signers', cosigner('a', [first], list('x')), cosigner('b', [first], test2), NOTHING_TELLS],
    [
      'the other without signers',
      cosigner('a', [first]),
      cosigner('b', [first], { ...test2, ...list('x') }),
      NOTHING_TELLS,
    ],
    [
      'with a common signer',
      cosigner('a', [first], list('x', 'y')),
      cosigner('b', [first], { ...test2, ...list('y') }),
      NOTHING_TELLS,
    ],
  ])('%s is refused', (_, a, b, message) => {
    expect(errorOf(() => cosignerKeyRing([a, b]))).toMatchObject({ code: 'KEY_INVALID', message });
  });

  test('of two workspaces with different signers belongs to both', async () => {
    const ring = cosignerKeyRing([
      cosigner('a', [first], list('x')),
      cosigner('b', [first], { ...test2, ...list('y') }),
    ]);
    expect(await ring.verify(token('{}', first.privateKey))).toMatchObject({ cosigners: ['a', 'b'] });
  });

  test('listed twice for one co-signer is refused', () => {
    expect(() => cosignerKeyRing([cosigner('a', [first, first])])).toThrow(
      'key file a.pem: it is listed twice for co-signer "a"',
    );
  });
});

test('a key that no co-signer signs with is refused', () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  expect(() =>
    cosignerKeyRing([{ name: 'a', workspace: 'w', publicKeys: [{ key: publicKey, file: 'a.pem' }] }]),
  ).toThrow('key file a.pem: its key is Ed25519, and co-signers sign with RSA');
});

test('more keys than a stranger may make us try are refused', () => {
  // Short keys, because they are quick to make and none is used.
  const keys = Array.from({ length: 65 }, () => rsaPair(512));
  expect(() => cosignerKeyRing([cosigner('a', keys)])).toThrow(
    '65 co-signer keys share a path; at most 64 may',
  );
});

describe('keys with a time', () => {
  const YEAR_2026 = Date.parse('2026-01-01T00:00:00Z');
  const YEAR_2027 = Date.parse('2027-01-01T00:00:00Z');
  let nowMs = 0;
  const ring = cosignerKeyRing(
    [
      {
        name: 'a',
        workspace: 'main',
        publicKeys: [
          { key: first.publicKey, file: 'old.pem', notAfter: YEAR_2027 },
          { key: second.publicKey, file: 'new.pem', notBefore: YEAR_2026 },
        ],
      },
    ],
    () => nowMs,
  );
  const outcomes = async () => {
    const vouched = await Promise.all(
      [first, second, stranger].map(({ privateKey }) => ring.verify(token('{}', privateKey))),
    );
    return vouched.map((each) => (each?.kind === 'outside-window' ? each.reason : each?.kind));
  };

  test.each<readonly [string, number, readonly (string | undefined)[]]>([
    ['before the overlap', YEAR_2026 - 1, ['verified', 'KEY_NOT_YET', undefined]],
    ['from its first moment', YEAR_2026, ['verified', 'verified', undefined]],
    ['to its last', YEAR_2027 - 1, ['verified', 'verified', undefined]],
    ['and after it', YEAR_2027, ['KEY_EXPIRED', 'verified', undefined]],
  ])('%s', async (_, atMs, expected) => {
    nowMs = atMs;
    expect(await outcomes()).toEqual(expected);
    expect(await outcomes()).toEqual(expected);
  });

  test('whoever is on call is told which key it was, and when its time is', async () => {
    nowMs = YEAR_2026 - 1;
    expect(await ring.verify(token('{}', second.privateKey))).toEqual({
      kind: 'outside-window',
      reason: 'KEY_NOT_YET',
      problem:
        'no key that is valid now verifies the signature; new.pem does, and is valid only from 2026-01-01T00:00:00.000Z on (notBefore)',
    });
    nowMs = YEAR_2027;
    expect(await ring.verify(token('{}', first.privateKey))).toMatchObject({
      problem:
        'no key that is valid now verifies the signature; old.pem does, and is valid only until 2027-01-01T00:00:00.000Z (notAfter)',
    });
  });

  test('one machine of two workspaces has one time', () => {
    const keyOf = (notAfter?: number) => ({
      publicKeys: [{ key: first.publicKey, file: 'k.pem', notAfter }],
    });
    const both = (one?: number, other?: number) => [
      { name: 'a', workspace: 'main', signers: ['x'], ...keyOf(one) },
      { name: 'b', workspace: 'test', signers: ['y'], ...keyOf(other) },
    ];
    expect(() => cosignerKeyRing(both(5, 5))).not.toThrow();
    expect(() => cosignerKeyRing(both(5, undefined))).toThrow(
      'key file k.pem: co-signers "a" and "b" share it, and it is one machine\'s key: give it the same notBefore and notAfter in both',
    );
  });
});
