/** Keys that vendors print in their documentation are refused, whichever half is given. Needs COUNTERSIGN_VECTORS. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { readPrivateKeyFile, readPublicKeyFile } from '../../src/keys/key-file.js';

const folder = process.env.COUNTERSIGN_VECTORS;
const directory = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
afterAll(() => rmSync(directory, { recursive: true }));

function vector(vendor: string, name: string): string {
  return readFileSync(join(folder ?? '', vendor, name), 'utf8');
}

function cobo(name: string): KeyObject {
  const [, der = ''] = String(JSON.parse(vector('cobo', 'published_test_keys.json'))[name]).split(':');
  return createPrivateKey({ key: Buffer.from(der, 'base64'), format: 'der', type: 'pkcs1' });
}

/** RFC 8410: the seed behind the fixed beginning of its PKCS#8 form. */
function iofinnet(): KeyObject {
  const seed = vector('iofinnet', 'published-sample-key.seed.hex.txt').trim();
  const key = Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex');
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
}

(folder === undefined ? describe.skip : describe)('published keys', () => {
  test.each([
    ['the Cobo callback server template', () => cobo('testServerPriKey')],
    ['the Cobo callback server template', () => cobo('testCheckerPriKey')],
    ['the io.finnet samples', iofinnet],
  ])('%s', (place, keyOf) => {
    const key = keyOf();
    const file = join(directory, 'key.pem');
    const message = `key file ${file}: its private half is published in ${place}, so anybody can sign with it; generate another`;
    writeFileSync(file, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    expect(refusal(() => readPrivateKeyFile(file, ['RS256', 'EdDSA']))).toBe(message);
    writeFileSync(file, createPublicKey(key).export({ type: 'spki', format: 'pem' }));
    expect(refusal(() => readPublicKeyFile(file, ['RS256', 'EdDSA']))).toBe(message);
  });

  test('the Fireblocks documentation', () => {
    const file = join(folder ?? '', 'fireblocks', 'published-doc-key.public.pem');
    expect(refusal(() => readPublicKeyFile(file, ['RS256']))).toContain('the Fireblocks documentation');
  });
});
