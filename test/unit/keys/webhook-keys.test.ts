import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { KeySetFile, notificationKeys, readKeySet } from '../../../src/keys/webhook-keys.js';
import { jwkOf, keySet, legacySignatureOf, thumbprint, vendorKey } from '../../support/webhook-vendor.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-jwks-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const one = vendorKey('one');
const two = vendorKey('two');

function read(content: unknown, pins?: readonly string[]) {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  const { keys, left } = readKeySet(Buffer.from(text), pins);
  return { ids: [...keys.keys()], left };
}

test('keys are known by their ids', () => {
  expect(read(keySet(one, two))).toEqual({ ids: ['one', 'two'], left: [] });
  expect(
    read({ keys: [jwkOf(one, { use: undefined, alg: undefined, x5c: ['whatever'] })], more: 1 }).ids,
  ).toEqual(['one']);
});

describe('what cannot verify a notification is left out, with the reason', () => {
  const weak = vendorKey('weak', 1024);
  const small = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
  const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  test.each([
    ['a curve', { ...curve.publicKey.export({ format: 'jwk' }), kid: 'c' }, 'it is not RSA'],
    ['a secret', { kty: 'oct', k: 'AAAA', kid: 's' }, 'it is not RSA'],
    ['for encryption', jwkOf(two, { use: 'enc' }), 'it is not for signatures with RS512'],
    ['for RS256', jwkOf(two, { alg: 'RS256' }), 'it is not for signatures with RS512'],
    ['without an id', jwkOf(two, { kid: undefined }), 'it has no id'],
    ['with an empty id', jwkOf(two, { kid: '' }), 'it has no id'],
    ['weak', jwkOf(weak), 'it is RSA of 1024 bit, and 2048 to 8192 are expected'],
    ['a small exponent', jwkOf({ kid: 'e', ...small }), 'its public exponent is not 65537'],
    ['damaged', jwkOf(two, { n: 17 }), 'it is damaged'],
    ['no object', 'two', 'it is no object'],
  ])('%s', (_what, entry, reason) => {
    expect(read({ keys: [jwkOf(one), entry] })).toEqual({ ids: ['one'], left: [`key 2: ${reason}`] });
  });

  test('published: anybody could sign with it', () => {
    const vectors = process.env.COUNTERSIGN_VECTORS;
    if (vectors === undefined) throw new Error('COUNTERSIGN_VECTORS is not set');
    const pem = readFileSync(join(vectors, 'fireblocks/published-doc-key.public.pem'));
    const publicKey = createPublicKey(pem);
    expect(read({ keys: [jwkOf(one), jwkOf({ kid: 'p', publicKey })] }).left[0]).toContain('is published in');
  });
});

test.each([
  ['not JSON', '{', 'it is not JSON'],
  ['no list', {}, 'it has no list of keys'],
  ['none', { keys: [] }, 'it has no keys'],
  ['none usable', { keys: [{ kty: 'oct' }] }, 'key 1: it is not RSA'],
  ['one id twice', { keys: [jwkOf(one), jwkOf({ ...two, kid: 'one' })] }, 'two keys have the id of key 2'],
  ['too many', { keys: Array.from({ length: 33 }, () => ({})) }, 'it has more than 32 keys'],
  ['too large', `{"keys":[${' '.repeat(70_000)}]}`, 'longer than'],
])('a set that is %s is no set', (_what, content, problem) => {
  expect(() => read(content)).toThrow(problem);
});

test('of a set only the pinned keys are taken', () => {
  expect(read(keySet(one, two), [thumbprint(two)])).toEqual({
    ids: ['two'],
    left: ['key 1: it is not one of the pinned keys'],
  });
  expect(() => read(keySet(one), [thumbprint(two)])).toThrow('it is not one of the pinned keys');
});

test('a file is taken again when told so, and a damaged one leaves what was', async () => {
  const file = join(dir, 'jwks.json');
  writeFileSync(file, keySet(one));
  const source = new KeySetFile(file);
  expect(await source.keyOf('two')).toBe('unknown');
  writeFileSync(file, keySet(two));
  source.reload();
  expect(await source.keyOf('two')).not.toBe('unknown');
  writeFileSync(file, '{}');
  expect(() => source.reload()).toThrow(
    `key set ${file}: the key set cannot be used: it has no list of keys`,
  );
  expect(await source.keyOf('two')).not.toBe('unknown');
  expect(() => new KeySetFile(join(dir, 'none.json'))).toThrow('it cannot be read (ENOENT)');
});

test('the former kind of signature needs its key', async () => {
  const jwks = join(dir, 'set.json');
  const pem = join(dir, 'legacy.pem');
  writeFileSync(jwks, keySet(one));
  writeFileSync(pem, two.publicKey.export({ type: 'spki', format: 'pem' }));
  const source = new KeySetFile(jwks);
  expect(notificationKeys(source).verifyLegacy).toBeUndefined();
  const { verifyLegacy } = notificationKeys(source, pem);
  const signed = (key = two) => Buffer.from(legacySignatureOf('body', key.privateKey), 'base64');
  expect(await verifyLegacy?.(Buffer.from('body'), signed())).toBe(true);
  expect(await verifyLegacy?.(Buffer.from('bodY'), signed())).toBe(false);
  expect(await verifyLegacy?.(Buffer.from('body'), signed(one))).toBe(false);
  expect(await verifyLegacy?.(Buffer.from('body'), Buffer.from('short'))).toBe(false);
});
