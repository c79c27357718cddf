/** New key pairs in PEM files. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { CountersignError } from '../core/errors.js';
import { codeOf } from './key-file.js';
import { spkiSha256 } from './published-keys.js';

export const KEY_TYPES = ['rsa', 'p256', 'ed25519'] as const;
export type KeyType = (typeof KEY_TYPES)[number];

export interface GeneratedKey {
  readonly type: KeyType;
  /** PKCS#8 PEM, mode 0600. */
  readonly privateKeyFile: string;
  /** SPKI PEM, mode 0644. */
  readonly publicKeyFile: string;
  readonly spkiSha256: string;
}

/**
 * Writes `file` and, beside it, its public half: `keys/answer.pem` → `keys/answer.pub.pem`. Throws FILE_UNREADABLE when
 * either exists: an overwritten key cannot be brought back.
 */
export function generateKeyFiles(type: KeyType, file: string): GeneratedKey {
  const { privateKey, publicKey } = keyPair(type);
  const publicKeyFile = publicFileOf(file);
  create(publicKeyFile, publicKey.export({ type: 'spki', format: 'pem' }), 0o644);
  try {
    create(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600);
  } catch (error) {
    rmSync(publicKeyFile);
    throw error;
  }
  return { type, privateKeyFile: file, publicKeyFile, spkiSha256: spkiSha256(publicKey) };
}

/** Where the public half of a private key lies. */
export function publicFileOf(file: string): string {
  return `${file.replace(/\.pem$/, '')}.pub.pem`;
}

function keyPair(type: KeyType): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  switch (type) {
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' });
    case 'ed25519':
      return generateKeyPairSync('ed25519');
  }
}

function create(file: string, content: string | Buffer, mode: number): void {
  try {
    writeFileSync(file, content, { mode, flag: 'wx' });
  } catch (cause) {
    const exists = codeOf(cause) === 'EEXIST';
    const problem = exists ? 'it exists already, and a key is never overwritten' : 'it cannot be written';
    throw new CountersignError('FILE_UNREADABLE', `key file ${file}: ${problem}`, { cause });
  }
}
