import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { type CosignerKeyObjects, cosignerKeyRing } from '../../../src/keys/cosigner-keys.js';
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

describe('a ring of several co-signers with several keys', () => {
  const ring = cosignerKeyRing([cosigner('a', [first, second]), cosigner('b', [third])]);

  test('finds who signed, in any order, again and again', async () => {
    const messages = [third, first, second, third, third, first].map((pair, index) => ({
      cosigners: [pair === third ? 'b' : 'a'],
      text: `{"n":${index}}`,
      jws: token(`{"n":${index}}`, pair.privateKey),
    }));
    const ask = async ({ cosigners, text, jws }: (typeof messages)[number]) => {
      const verified = await ring.verify(jws);
      expect(verified?.cosigners).toEqual(cosigners);
      expect(Buffer.from(verified?.payload ?? []).toString()).toBe(text);
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
    expect((await ring.verify(token('{}', first.privateKey)))?.cosigners).toEqual(['a', 'b']);
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
