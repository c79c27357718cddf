import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals';
import { keysCommand } from '../../../src/cli/keys.js';
import { DOCUMENTED_PUBLIC_KEY } from '../../support/documented-example.js';
import { rejectionOf } from '../../support/errors.js';

const directory = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
afterAll(() => rmSync(directory, { recursive: true }));

let printed = '';
const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
  printed += String(text);
  return true;
});
afterEach(() => {
  printed = '';
});
afterAll(() => write.mockRestore());

function run(...args: readonly string[]): Promise<unknown> {
  return keysCommand().parseAsync(['node', 'keys', ...args]);
}

describe.each([
  ['rsa', 'RSA 2048 bit'],
  ['p256', 'P-256'],
  ['ed25519', 'Ed25519'],
])('keys generate --type %s', (type, kind) => {
  const file = join(directory, `${type}.pem`);
  const publicFile = join(directory, `${type}.pub.pem`);

  test('writes both halves of one pair, and lets nobody else read the private one', async () => {
    await run('generate', '--type', type, '--out', file, '--json');
    expect(JSON.parse(printed)).toEqual({
      type,
      privateKeyFile: file,
      publicKeyFile: publicFile,
      spkiSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect([statSync(file).mode & 0o777, statSync(publicFile).mode & 0o777]).toEqual([0o600, 0o644]);
    expect(readFileSync(file, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    const publicKey = createPublicKey(createPrivateKey(readFileSync(file)));
    expect(publicKey.export({ type: 'spki', format: 'pem' })).toBe(readFileSync(publicFile, 'utf8'));
  });

  test('never overwrites', async () => {
    const before = readFileSync(publicFile, 'utf8');
    expect((await rejectionOf(run('generate', '--type', type, '--out', file))).message).toBe(
      `key file ${publicFile}: it exists already, and a key is never overwritten`,
    );
    rmSync(publicFile);
    expect((await rejectionOf(run('generate', '--type', type, '--out', file))).message).toBe(
      `key file ${file}: it exists already, and a key is never overwritten`,
    );
    expect(() => statSync(publicFile)).toThrow();
    writeFileSync(publicFile, before);
  });

  test('is shown alike by both halves', async () => {
    await run('show', file);
    await run('show', publicFile);
    const [, digest] = /SPKI SHA-256 ([0-9a-f]{64})/.exec(printed) ?? [];
    // What a Virtual Signer is told is the text of the file, without its last line feed.
    const told = Buffer.from(readFileSync(publicFile, 'utf8').trimEnd()).toString('hex');
    const last = type === 'ed25519' ? `\nApprovalHTTPPublicKeyHex (io.finnet) ${told}` : '';
    expect(printed).toBe(
      `${file}: ${kind}, private key\nSPKI SHA-256 ${digest}${last}\n${publicFile}: ${kind}, public key\nSPKI SHA-256 ${digest}${last}\n`,
    );
  });
});

test('a place that cannot be written', async () => {
  const file = join(directory, 'missing', 'a.pem');
  expect((await rejectionOf(run('generate', '--type', 'rsa', '--out', file))).message).toBe(
    `key file ${join(directory, 'missing', 'a.pub.pem')}: it cannot be written`,
  );
});

test('keys show says that a key is published', async () => {
  const file = join(directory, 'published.pub.pem');
  writeFileSync(file, DOCUMENTED_PUBLIC_KEY);
  await run('show', file, '--json');
  expect(JSON.parse(printed)).toEqual({
    file,
    half: 'public',
    type: 'RSA 2048 bit',
    spkiSha256: '5862232efd2378889f2403fd93946c47275b203531752d690db4a9cae9082895',
    published: 'the Fireblocks documentation',
  });
  await run('show', file);
  expect(printed).toContain(
    'PUBLISHED    its private half is in the Fireblocks documentation: never use this key',
  );
});

test('keys show of something else', async () => {
  const file = join(directory, 'text');
  writeFileSync(file, 'hello');
  expect(await rejectionOf(run('show', file))).toMatchObject({
    code: 'KEY_INVALID',
    message: `key file ${file}: it holds no key in PEM form, and a public or private key in PEM form is expected`,
  });
});
