/** Certificates and keys that can, and cannot, be served. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ServerTls } from '../../../src/http/tls.js';
import { authority, certificate } from '../../support/certificates.js';

const folder = mkdtempSync(join(tmpdir(), 'countersign-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));

const root = authority(folder, 'root');
const good = certificate(folder, root, 'DNS:callback.example.com');
const other = certificate(folder, root, 'DNS:other.example.com');
const certificateFile = join(folder, 'served.pem');
const keyFile = join(folder, 'served.key');
const settings = { certificateFile, keyFile, minVersion: 'TLSv1.2', keepKey: true } as const;
const text = join(folder, 'text');
writeFileSync(text, 'text');

/** A certificate with this key; openssl takes days that are over. */
function selfSigned(key: string, days: number): void {
  const made = `openssl req -new -key ${key} -subj /CN=self | openssl x509 -req -signkey ${key} -days ${days} -out ${certificateFile}`;
  execFileSync('sh', ['-c', made], { stdio: 'ignore' });
}

beforeEach(() => {
  copyFileSync(good.certificate, certificateFile);
  copyFileSync(good.key, keyFile);
  chmodSync(keyFile, 0o600);
});

function problemOf(change: object = {}): string {
  try {
    new ServerTls('http.tls', { ...settings, ...change });
  } catch (error) {
    return (error as Error).message.replaceAll(`${folder}/`, '').replace(/ \(.*\)$/, ' (…)');
  }
  return 'no problem';
}

test('a pair is served, with nothing to say about it', () => {
  const tls = new ServerTls('http.tls', settings);
  expect(tls.warnings).toEqual([]);
  expect(tls.files()).toEqual([certificateFile, keyFile]);
  expect(tls.options()).not.toHaveProperty('requestCert');
});

test.each([
  [undefined, true],
  ['required', true],
  ['optional', false],
] as const)('client certificates %s', (clientCertificates, rejectUnauthorized) => {
  const tls = new ServerTls('http.tls', { ...settings, clientCaFile: root.certificate, clientCertificates });
  expect(tls.options()).toMatchObject({ requestCert: true, rejectUnauthorized });
  expect(tls.files()).toEqual([certificateFile, keyFile, root.certificate]);
});

describe('a replica does not start with', () => {
  test.each<[string, object, string]>([
    ['no certificate', { certificateFile: join(folder, 'none') }, 'cannot read none: ENOENT'],
    ['no key', { keyFile: join(folder, 'none') }, 'cannot read none: ENOENT'],
    ['text for a certificate', { certificateFile: text }, 'text holds no certificate in PEM form (…)'],
    ['text for a key', { keyFile: text }, 'text holds no private key in PEM form (…)'],
    ['text for an authority', { clientCaFile: text }, 'text holds no certificate in PEM form (…)'],
    [
      'the key of another',
      { keyFile: other.key },
      'the key in DNS-other-example-com.key is not that of the certificate in served.pem',
    ],
    [
      'its authority first',
      { certificateFile: root.certificate },
      'the key in served.key is not that of the certificate in root.pem',
    ],
  ])('%s', (_, change, problem) => {
    expect(problemOf(change)).toBe(problem);
  });
});

test('a certificate that has ended, and a key that others can read, are told of', () => {
  selfSigned(keyFile, -1);
  chmodSync(keyFile, 0o644);
  const [ended, open] = new ServerTls('http.tls', settings).warnings;
  expect(ended).toMatch(/^http\.tls: the certificate in .*served\.pem ended on \d{4}-/);
  expect(open).toBe(`http.tls: others can read the key file ${keyFile}; chmod 600 ${keyFile}`);
});

describe('renewal', () => {
  test('with the same key is taken', async () => {
    const tls = new ServerTls('http.tls', settings);
    selfSigned(keyFile, 9);
    await tls.reload();
    expect(tls.certificate.subject).toBe('CN=self');
    expect(String(tls.options().cert)).toContain('BEGIN CERTIFICATE');
  });

  test('with another key is not, unless nobody pins it', async () => {
    const keeping = new ServerTls('http.tls', settings);
    const changing = new ServerTls('http.tls', { ...settings, keepKey: false });
    const before = keeping.certificate.fingerprint256;
    copyFileSync(other.certificate, certificateFile);
    copyFileSync(other.key, keyFile);
    await expect(keeping.reload()).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringMatching(
        /has another key \(sha256\/\/\S{44}\) than the one in use \(sha256\/\/\S{44}\), and co-signers that pin it would refuse every connection/,
      ),
    });
    expect(keeping.certificate.fingerprint256).toBe(before);
    await changing.reload();
    expect(changing.certificate.fingerprint256).not.toBe(before);
  });

  test('with a certificate that has ended is not, whatever its key', async () => {
    const tls = new ServerTls('http.tls', settings);
    const before = tls.certificate.fingerprint256;
    selfSigned(keyFile, -1);
    await expect(tls.reload()).rejects.toThrow(/ended on/);
    expect(tls.certificate.fingerprint256).toBe(before);
  });
});
