/** Keys in PEM files: read with errors that name the file, the problem and the remedy, and never the content. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { CountersignError } from '../core/errors.js';
import { publishedIn, spkiSha256 } from './published-keys.js';

/** The signature algorithms there are, by their names in JWS (RFC 7518, RFC 8037). */
export type Algorithm = 'RS256' | 'ES256' | 'EdDSA';

export interface KeyFile {
  /** The path it was read from, for messages. */
  readonly file: string;
  readonly key: KeyObject;
  readonly algorithm: Algorithm;
  /** SHA-256 of the public half as SubjectPublicKeyInfo, hex. */
  readonly spkiSha256: string;
  /** Sentences for the operator; the key can be used all the same. */
  readonly warnings: readonly string[];
}

/** No key is longer; a file that is was named by mistake. */
const MAX_FILE_BYTES = 64 * 1024;
const MIN_RSA_BITS = 2048;
/** Every generator uses this one; with an exponent of 1 a signature would be the message itself. */
const MIN_RSA_EXPONENT = 65_537n;

/** A PEM label (RFC 7468), and what the file holds if it begins with it. */
const LABELS: ReadonlyMap<string, string> = new Map([
  ['PUBLIC KEY', 'public'],
  ['RSA PUBLIC KEY', 'pkcs1-public'],
  ['PRIVATE KEY', 'private'],
  ['RSA PRIVATE KEY', 'private'],
  ['EC PRIVATE KEY', 'private'],
  ['ENCRYPTED PRIVATE KEY', 'encrypted'],
  ['CERTIFICATE', 'certificate'],
]);

/** A public key as SPKI PEM. Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. */
export function readPublicKeyFile(file: string, allowed: readonly Algorithm[]): KeyFile {
  const { pem } = readPem(file);
  if (labelOf(pem) !== 'public') throw invalid(file, `${whatItHolds(pem)}, and ${PUBLIC_EXPECTED}`);
  return usable(
    file,
    parse(file, () => createPublicKey({ key: pem, format: 'pem' })),
    allowed,
  );
}

/** A private key as PKCS#8, PKCS#1 or SEC1 PEM. Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. */
export function readPrivateKeyFile(file: string, allowed: readonly Algorithm[]): KeyFile {
  const { pem, mode, owner } = readPem(file);
  if (labelOf(pem) !== 'private') throw invalid(file, `${whatItHolds(pem)}, and ${PRIVATE_EXPECTED}`);
  const key = usable(
    file,
    parse(file, () => createPrivateKey({ key: pem, format: 'pem' })),
    allowed,
  );
  if (!isOpenToOthers({ mode, owner }, process.getuid?.() ?? 0)) return key;
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  return { ...key, warnings: [`key file ${file}: others can read it (mode ${octal}); chmod 600 ${file}`] };
}

/**
 * Whether more than `reader` may read a file with these rights. A file of root that a group may only read is how Kubernetes
 * hands a Secret to a process that is not root; PostgreSQL takes its keys the same way.
 */
export function isOpenToOthers(
  { mode, owner }: { readonly mode: number; readonly owner: number },
  reader: number,
): boolean {
  return (mode & (owner === 0 && reader !== 0 ? 0o037 : 0o077)) !== 0;
}

/** Either half, of any supported kind, published ones included: for showing what a file holds. */
export function inspectKeyFile(file: string): { readonly key: KeyObject; readonly published?: string } {
  const { pem } = readPem(file);
  const label = labelOf(pem);
  if (label !== 'public' && label !== 'private') {
    throw invalid(file, `${whatItHolds(pem)}, and a public or private key in PEM form is expected`);
  }
  const key = parse(file, () => (label === 'public' ? createPublicKey(pem) : createPrivateKey(pem)));
  const published = publishedIn(spkiSha256(key));
  return published === undefined ? { key } : { key, published };
}

/** What a key object can sign or verify with; undefined for kinds that are not supported. */
export function algorithmOf(key: KeyObject): Algorithm | undefined {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return 'RS256';
    case 'ec':
      return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'ES256' : undefined;
    case 'ed25519':
      return 'EdDSA';
    default:
      return undefined;
  }
}

/** `RSA 2048 bit`, `P-256`, `Ed25519`; the library's own name for everything else. */
export function kindOf(key: KeyObject): string {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (algorithmOf(key)) {
    case 'RS256':
      return `RSA ${modulusLength} bit`;
    case 'ES256':
      return 'P-256';
    case 'EdDSA':
      return 'Ed25519';
    default:
      return namedCurve ?? key.asymmetricKeyType ?? 'unknown';
  }
}

export function invalid(file: string, problem: string, cause?: unknown): CountersignError {
  return new CountersignError('KEY_INVALID', `key file ${file}: ${problem}`, { cause });
}

const PUBLIC_EXPECTED = 'a public key in SPKI PEM form ("BEGIN PUBLIC KEY") is expected';
const PRIVATE_EXPECTED = 'a private key in PEM form ("BEGIN PRIVATE KEY", PKCS#8) is expected';

const KINDS: Readonly<Record<Algorithm, string>> = {
  RS256: `RSA of at least ${MIN_RSA_BITS} bit`,
  ES256: 'P-256',
  EdDSA: 'Ed25519',
};

function usable(file: string, key: KeyObject, allowed: readonly Algorithm[]): KeyFile {
  const algorithm = algorithmOf(key);
  const expected = allowed.map((name) => KINDS[name]).join(' or ');
  if (algorithm === undefined || !allowed.includes(algorithm)) {
    throw invalid(file, `its key is ${kindOf(key)}, and ${expected} is expected`);
  }
  const { modulusLength = MIN_RSA_BITS, publicExponent = MIN_RSA_EXPONENT } = key.asymmetricKeyDetails ?? {};
  if (modulusLength < MIN_RSA_BITS) {
    throw invalid(file, `its key is ${kindOf(key)}, and ${expected} is expected`);
  }
  if (publicExponent < MIN_RSA_EXPONENT) {
    throw invalid(file, `its public exponent is ${publicExponent}, and ${MIN_RSA_EXPONENT} is expected`);
  }
  const spki = spkiSha256(key);
  const published = publishedIn(spki);
  if (published !== undefined) {
    throw invalid(
      file,
      `its private half is published in ${published}, so anybody can sign with it; generate another`,
    );
  }
  return { file, key, algorithm, spkiSha256: spki, warnings: [] };
}

function readPem(file: string): { readonly pem: string; readonly mode: number; readonly owner: number } {
  try {
    const stats = statSync(file);
    if (!stats.isFile()) throw new CountersignError('FILE_UNREADABLE', `key file ${file}: it is not a file`);
    if (stats.size > MAX_FILE_BYTES)
      throw invalid(file, `it is larger than ${MAX_FILE_BYTES} bytes: no key is`);
    return { pem: readFileSync(file, 'latin1'), mode: stats.mode, owner: stats.uid };
  } catch (cause) {
    if (cause instanceof CountersignError) throw cause;
    throw new CountersignError('FILE_UNREADABLE', `key file ${file}: ${whyUnreadable(cause)}`, { cause });
  }
}

/** The code of a failed system call, e.g. `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : undefined;
}

function whyUnreadable(error: unknown): string {
  const code = codeOf(error);
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  return `it cannot be read (${code ?? 'unknown error'})`;
}

/** OpenSSL's own message names offsets and routines; what a person needs is the remedy. */
function parse(file: string, read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch (cause) {
    throw invalid(file, 'its PEM content is damaged, or of a kind that is not supported', cause);
  }
}

/** The label of the only PEM block; undefined when there is none, several, or one of another kind. */
function labelOf(pem: string): string | undefined {
  const blocks = pem.match(/-----BEGIN [A-Z0-9 ]+-----/g) ?? [];
  // A SEC1 file of OpenSSL may begin with the curve in a block of its own.
  const keys = blocks.filter((block) => block !== '-----BEGIN EC PARAMETERS-----');
  if (keys.length > 1) return 'several';
  return LABELS.get(keys[0]?.slice('-----BEGIN '.length, -'-----'.length) ?? '');
}

function whatItHolds(pem: string): string {
  if (pem.trim() === '') return 'it is empty';
  switch (labelOf(pem)) {
    case 'public':
      return 'it holds a public key';
    case 'pkcs1-public':
      return 'it holds a public key in PKCS#1 form (openssl rsa -RSAPublicKey_in -pubout converts it)';
    case 'private':
      return 'it holds a PRIVATE key';
    case 'encrypted':
      return 'it holds a private key under a passphrase';
    case 'certificate':
      return 'it holds a certificate (openssl x509 -pubkey -noout prints the key inside)';
    case 'several':
      return 'it holds several PEM blocks';
    default:
      return 'it holds no key in PEM form';
  }
}
