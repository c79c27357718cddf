import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { loadAnswerKeys } from '../../../src/keys/answer-keys.js';
import { loadCosignerKeys } from '../../../src/keys/cosigner-keys.js';
import { isOpenToOthers, readPrivateKeyFile, readPublicKeyFile } from '../../../src/keys/key-file.js';
import { loadOperatorPrivateKey, loadOperators } from '../../../src/keys/statements.js';
import { DOCUMENTED_PUBLIC_KEY } from '../../support/documented-example.js';
import { errorOf } from '../../support/errors.js';

const directory = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
afterAll(() => rmSync(directory, { recursive: true }));

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
const large = generateKeyPairSync('rsa', { modulusLength: 3072 });
const exponent3 = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const ed25519 = generateKeyPairSync('ed25519');
const x25519 = generateKeyPairSync('x25519');

function spki(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

function pkcs8(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

let count = 0;
function file(content: string | Uint8Array, mode = 0o600): string {
  count += 1;
  const path = join(directory, `${count}.pem`);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** What the person who named the file would read; the path replaced by FILE. */
function problem(path: string, load: (path: string) => unknown): { code: string; message: string } {
  const { code, message } = errorOf(() => load(path));
  return { code, message: message.replaceAll(path, 'FILE') };
}

const asCosigner = (path: string) =>
  loadCosignerKeys([{ name: 'a', workspace: 'w', publicKeyFiles: [{ file: path }] }]);
const asRs256Answer = (path: string) =>
  loadAnswerKeys([{ cosigner: 'a', answerKey: { file: path, algorithm: 'RS256' } }]);
const asEs256Answer = (path: string) =>
  loadAnswerKeys([{ cosigner: 'a', answerKey: { file: path, algorithm: 'ES256' } }]);
const asOperator = (path: string) => loadOperators([{ name: 'alice', publicKeyFile: path }]);

const PUBLIC_EXPECTED = 'a public key in SPKI PEM form ("BEGIN PUBLIC KEY") is expected';
const PRIVATE_EXPECTED = 'a private key in PEM form ("BEGIN PRIVATE KEY", PKCS#8) is expected';

describe('a co-signer key that is not usable', () => {
  const certificate = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
  const damaged = spki(rsa.publicKey).replace(/M/g, 'N');
  test.each<readonly [string, string | Uint8Array, string]>([
    ['empty', '', `it is empty, and ${PUBLIC_EXPECTED}`],
    ['blank', ' \n', `it is empty, and ${PUBLIC_EXPECTED}`],
    ['text', 'hello', `it holds no key in PEM form, and ${PUBLIC_EXPECTED}`],
    [
      'DER',
      rsa.publicKey.export({ type: 'spki', format: 'der' }),
      `it holds no key in PEM form, and ${PUBLIC_EXPECTED}`,
    ],
    ['private', pkcs8(rsa.privateKey), `it holds a PRIVATE key, and ${PUBLIC_EXPECTED}`],
    [
      'certificate',
      certificate,
      `it holds a certificate (openssl x509 -pubkey -noout prints the key inside), and ${PUBLIC_EXPECTED}`,
    ],
    [
      'PKCS#1',
      rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }),
      `it holds a public key in PKCS#1 form (openssl rsa -RSAPublicKey_in -pubout converts it), and ${PUBLIC_EXPECTED}`,
    ],
    [
      'both halves',
      pkcs8(rsa.privateKey) + spki(rsa.publicKey),
      `it holds several PEM blocks, and ${PUBLIC_EXPECTED}`,
    ],
    [
      'another label',
      '-----BEGIN OPENSSH PRIVATE KEY-----\nAA==\n-----END OPENSSH PRIVATE KEY-----',
      `it holds no key in PEM form, and ${PUBLIC_EXPECTED}`,
    ],
    ['damaged', damaged, 'its PEM content is damaged, or of a kind that is not supported'],
    ['short', spki(small.publicKey), 'its key is RSA 1024 bit, and RSA of at least 2048 bit is expected'],
    ['exponent 3', spki(exponent3.publicKey), 'its public exponent is 3, and 65537 is expected'],
    ['P-256', spki(p256.publicKey), 'its key is P-256, and RSA of at least 2048 bit is expected'],
    ['P-384', spki(p384.publicKey), 'its key is secp384r1, and RSA of at least 2048 bit is expected'],
    ['Ed25519', spki(ed25519.publicKey), 'its key is Ed25519, and RSA of at least 2048 bit is expected'],
    ['RSA-PSS', spki(pss.publicKey), 'its key is rsa-pss, and RSA of at least 2048 bit is expected'],
    ['large', 'x'.repeat(70_000), 'it is larger than 65536 bytes: no key is'],
  ])('%s', (_, content, message) => {
    expect(problem(file(content), asCosigner)).toEqual({
      code: 'KEY_INVALID',
      message: `key file FILE: ${message}`,
    });
  });

  test('a longer RSA key is fine', () => {
    expect(asCosigner(file(spki(large.publicKey)))).toBeDefined();
  });

  test('a co-signer without keys', () => {
    expect(() => loadCosignerKeys([{ name: 'a', workspace: 'w', publicKeyFiles: [] }])).toThrow(
      'co-signer "a" has no public key',
    );
  });
});

describe('a file that is not readable', () => {
  test.each([
    ['missing', () => join(directory, 'missing.pem'), 'there is no such file'],
    ['a directory', () => directory, 'it is not a file'],
    ['below a file', () => join(file('x'), 'key.pem'), 'it cannot be read (ENOTDIR)'],
  ])('%s', (_, path, message) => {
    expect(problem(path(), asCosigner)).toEqual({
      code: 'FILE_UNREADABLE',
      message: `key file FILE: ${message}`,
    });
  });
});

describe('an answer key that is not usable', () => {
  const encrypted = rsa.privateKey
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' })
    .toString();
  test.each<readonly [string, string, (path: string) => unknown, string]>([
    ['public', spki(rsa.publicKey), asRs256Answer, `it holds a public key, and ${PRIVATE_EXPECTED}`],
    [
      'encrypted',
      encrypted,
      asRs256Answer,
      `it holds a private key under a passphrase, and ${PRIVATE_EXPECTED}`,
    ],
    [
      'too short',
      pkcs8(small.privateKey),
      asRs256Answer,
      'its key is RSA 1024 bit, and RSA of at least 2048 bit is expected',
    ],
    [
      'too long',
      pkcs8(large.privateKey),
      asRs256Answer,
      'its key is RSA 3072 bit, and co-signers accept exactly 2048',
    ],
    [
      'P-256 for RS256',
      pkcs8(p256.privateKey),
      asRs256Answer,
      'its key is P-256, and RSA of at least 2048 bit is expected',
    ],
    ['RSA for ES256', pkcs8(rsa.privateKey), asEs256Answer, 'its key is RSA 2048 bit, and P-256 is expected'],
    ['Ed25519', pkcs8(ed25519.privateKey), asEs256Answer, 'its key is Ed25519, and P-256 is expected'],
  ])('%s', (_, content, load, message) => {
    expect(problem(file(content), load)).toEqual({
      code: 'KEY_INVALID',
      message: `key file FILE: ${message}`,
    });
  });

  test.each<readonly [string, string | Buffer, (path: string) => unknown]>([
    ['PKCS#8', pkcs8(rsa.privateKey), asRs256Answer],
    ['PKCS#1', rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }), asRs256Answer],
    ['SEC1', p256.privateKey.export({ type: 'sec1', format: 'pem' }), asEs256Answer],
    [
      'SEC1 with its curve before it',
      `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${p256.privateKey.export({ type: 'sec1', format: 'pem' })}`,
      asEs256Answer,
    ],
  ])('as %s it is usable', (_, content, load) => {
    expect(load(file(content))).toMatchObject({ warnings: [] });
  });

  test.each([
    [0o600, 1000, 1000, false],
    [0o640, 1000, 1000, true],
    [0o440, 0, 65532, false],
    [0o440, 0, 0, true],
    [0o460, 0, 65532, true],
    [0o444, 0, 65532, true],
    [0o440, 1000, 65532, true],
  ])('a file of mode %o and owner %i, read by %i: open to others %s', (mode, owner, reader, open) => {
    expect(isOpenToOthers({ mode, owner }, reader)).toBe(open);
  });

  test('others can read it: said once, and used all the same', () => {
    const path = file(pkcs8(rsa.privateKey), 0o640);
    const answerKey = { file: path, algorithm: 'RS256' } as const;
    const { warnings } = loadAnswerKeys([
      { cosigner: 'a', answerKey },
      { cosigner: 'b', answerKey },
    ]);
    expect(warnings).toEqual([`key file ${path}: others can read it (mode 0640); chmod 600 ${path}`]);
  });

  test('two for one signer', () => {
    const key = { file: file(pkcs8(rsa.privateKey)), algorithm: 'RS256' } as const;
    expect(() =>
      loadAnswerKeys([{ cosigner: 'a', answerKey: key, answerKeys: [{ signers: ['s', 's'], key }] }]),
    ).toThrow('co-signer "a" has two answer keys for the signer "s"');
  });
});

describe('operators', () => {
  test.each([
    ['RSA', rsa],
    ['P-256', p256],
    ['Ed25519', ed25519],
  ])('may hold a key of kind %s', (_, pair) => {
    expect(asOperator(file(spki(pair.publicKey)))).toMatchObject([{ name: 'alice' }]);
    expect(loadOperatorPrivateKey(file(pkcs8(pair.privateKey))).type).toBe('private');
  });

  test.each([
    ['X25519', x25519.publicKey, 'its key is x25519'],
    ['P-384', p384.publicKey, 'its key is secp384r1'],
  ])('may not hold one of kind %s', (_, key, message) => {
    expect(problem(file(spki(key)), asOperator).message).toBe(
      `key file FILE: ${message}, and Ed25519 or P-256 or RSA of at least 2048 bit is expected`,
    );
  });

  test('may not share a key', () => {
    const path = file(spki(ed25519.publicKey));
    const operators = ['alice', 'bob'].map((name) => ({ name, publicKeyFile: path }));
    expect(errorOf(() => loadOperators(operators))).toMatchObject({
      code: 'KEY_INVALID',
      message: `key file ${path}: operators "alice" and "bob" share it; two people need two keys`,
    });
  });
});

describe('keys whose private half is published', () => {
  const published = DOCUMENTED_PUBLIC_KEY;
  const message =
    'key file FILE: its private half is published in the Fireblocks documentation, so anybody can sign with it; generate another';

  test.each([
    ['co-signer', asCosigner],
    ['operator', asOperator],
  ])('are refused for a %s', (_, load) => {
    expect(problem(file(published), load)).toEqual({ code: 'KEY_INVALID', message });
  });
});

test('no message repeats what the file holds', () => {
  const secret = pkcs8(rsa.privateKey).replace(/[A-Z]{3}/g, 'QQQ');
  for (const read of [readPrivateKeyFile, readPublicKeyFile]) {
    const { message } = problem(file(secret), (path) => read(path, ['RS256']));
    expect(message).not.toMatch(/QQQ|MII/);
  }
});
