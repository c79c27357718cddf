/**
 * What a co-signer pins: the public key in our certificate and not the certificate, so that a renewal with the same key
 * changes nothing for it.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CountersignError } from '../core/errors.js';
import { codeOf, invalid } from './key-file.js';

/** A key that may be pinned, and where it was found. */
export interface Pinned {
  readonly file: string;
  readonly key: KeyObject;
  /** Present when the file holds a certificate: the first in it, which is the one that is shown. */
  readonly certificate?: X509Certificate;
}

/** `sha256//` and the base64 of SHA-256 over SubjectPublicKeyInfo (DER), as curl's `--pinnedpubkey` takes it; source: RFC 7469. */
export function pinOf(key: KeyObject): string {
  const spki = (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' });
  return `sha256//${createHash('sha256').update(spki).digest('base64')}`;
}

/** The key of a certificate, or of a key file of either half. Throws FILE_UNREADABLE or KEY_INVALID. */
export function readPinned(file: string): Pinned {
  const pem = textOf(file);
  const [, label = ''] = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(pem) ?? [];
  try {
    if (label === 'CERTIFICATE') {
      const certificate = new X509Certificate(pem);
      return { file, key: certificate.publicKey, certificate };
    }
    if (label === 'PUBLIC KEY') return { file, key: createPublicKey(pem) };
    if (/PRIVATE KEY$|^EC PARAMETERS$/.test(label)) return { file, key: createPrivateKey(pem) };
  } catch (cause) {
    throw invalid(file, 'its PEM content is damaged, or of a kind that is not supported', cause);
  }
  throw invalid(file, 'it holds neither a certificate nor a key in PEM form');
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (cause) {
    throw new CountersignError('FILE_UNREADABLE', `cannot read ${file}: ${codeOf(cause)}`, { cause });
  }
}
