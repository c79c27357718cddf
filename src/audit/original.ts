/**
 * What a co-signer asked and what it was answered, word for word, sealed for somebody who is not here. One line each:
 *
 *   {"at":"2026-03-04T03:12:45.123Z","workspace":"main","cosigner":"a","requestId":"…","sequence":7,"jwe":"…"}
 *
 * What can be read are the identifiers that the log shows too. The JWE (compact, RFC 7516; RSA-OAEP-256 and A256GCM)
 * holds them again, with both messages, so that any JWE library opens a line by itself, and nobody moves one under
 * another name.
 */
import {
  constants,
  createCipheriv,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { compactDecrypt, decodeProtectedHeader, errors } from 'jose';
import { z } from 'zod';
import type { InboundMessage, OutboundMessage } from '../core/ports.js';
import { keyId } from './line.js';

/** One question and its answer. */
export interface Original {
  readonly atMs: number;
  readonly protocol: string;
  readonly workspace: string;
  readonly cosigner: string;
  readonly requestId: string;
  /** Of the decision in the journal; undefined: undecided. */
  readonly sequence: number | undefined;
  readonly request: Omit<InboundMessage, 'certificateSha256'> & {
    readonly certificateSha256: string | undefined;
  };
  readonly answer: OutboundMessage;
}

const identifiers = {
  at: z.iso.datetime(),
  workspace: z.string(),
  cosigner: z.string(),
  requestId: z.string(),
  sequence: z.int().positive().optional(),
};

const headers = z.record(z.string(), z.string());

const lineSchema = z.strictObject({ ...identifiers, jwe: z.string() });

const sealedSchema = z.strictObject({
  ...identifiers,
  protocol: z.string(),
  request: z.strictObject({
    /** The path after the co-signer's own, which may be a secret. */
    route: z.string(),
    address: z.string(),
    certificateSha256: z.string().optional(),
    /** All of them: a signature may cover any. */
    headers,
    body: z.string(),
  }),
  answer: z.strictObject({
    status: z.int(),
    contentType: z.string(),
    headers: headers.optional(),
    body: z.string(),
  }),
});

/** As it was sealed. */
export type OpenedOriginal = Readonly<z.infer<typeof sealedSchema>>;

/** The public half of a key whose private half is elsewhere: RSA. */
export interface Recipient {
  readonly publicKey: KeyObject;
  /** See {@link keyId}. */
  readonly id: string;
}

/**
 * Seals a few lines with one key, which is made here, wrapped for the recipient and then forgotten: a replica cannot
 * read what it wrote. One for each line would cost a replica three times as much.
 */
export function newSeal({ publicKey, id }: Recipient): (original: Original) => string {
  const key = randomBytes(32);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const wrapped = publicEncrypt({ key: publicKey, padding, oaepHash: 'sha256' }, key).toString('base64url');
  const header = base64url(JSON.stringify({ alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: id }));
  return (original) => {
    const shown = shownOf(original);
    // A key seals few lines, so an initialisation vector drawn at random comes once (NIST SP 800-38D, 8.2.2).
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(header));
    const content = Buffer.concat([cipher.update(sealedText(shown, original), 'utf8'), cipher.final()]);
    const jwe = [header, wrapped, base64url(iv), base64url(content), base64url(cipher.getAuthTag())].join(
      '.',
    );
    return `${JSON.stringify({ ...shown, jwe })}\n`;
  };
}

function shownOf({ atMs, workspace, cosigner, requestId, sequence }: Original) {
  return { at: new Date(atMs).toISOString(), workspace, cosigner, requestId, sequence };
}

function sealedText(shown: ReturnType<typeof shownOf>, { protocol, request, answer }: Original): string {
  const { route, address, certificateSha256 } = request;
  return JSON.stringify({
    ...shown,
    protocol,
    request: {
      route,
      address,
      certificateSha256,
      headers: request.headers,
      // No protocol takes a body for a request that is not UTF-8, so the text is the bytes.
      body: Buffer.from(request.body).toString('utf8'),
    },
    answer: { ...answer, body: Buffer.from(answer.body).toString('utf8') },
  });
}

function base64url(content: string | Uint8Array): string {
  return Buffer.from(content).toString('base64url');
}

export interface ShownOriginal {
  readonly at: string;
  readonly requestId: string;
  /** Opens it; text: what is wrong with the line. */
  open(privateKey: KeyObject): Promise<OpenedOriginal | string>;
}

/** What a line without its line feed shows; text: what is wrong with it. */
export function readOriginal(line: Buffer): ShownOriginal | string {
  const { data } = lineSchema.safeParse(jsonOf(line.toString('utf8')));
  if (data === undefined) return 'it is not spelled as an original is';
  const { jwe, ...shown } = data;
  return { ...shown, open: (privateKey) => open(jwe, shown, privateKey) };
}

async function open(jwe: string, shown: object, privateKey: KeyObject): Promise<OpenedOriginal | string> {
  const sealedFor = recipientOf(jwe);
  if (sealedFor === undefined) return 'what is sealed in it is damaged';
  if (sealedFor !== keyId(createPublicKey(privateKey)))
    return `it is sealed for another key (SPKI SHA-256 ${sealedFor})`;
  const content = await decrypted(jwe, privateKey);
  const { data } = sealedSchema.safeParse(content === undefined ? undefined : jsonOf(content));
  if (data === undefined) return 'what is sealed in it was changed or damaged';
  const { protocol: _protocol, request: _request, answer: _answer, ...sealed } = data;
  const isSame = JSON.stringify(sealed) === JSON.stringify(shown);
  return isSame ? data : `it is not what was sealed: that is ${JSON.stringify(sealed)}`;
}

function recipientOf(jwe: string): string | undefined {
  try {
    return decodeProtectedHeader(jwe).kid;
  } catch {
    return undefined;
  }
}

async function decrypted(jwe: string, privateKey: KeyObject): Promise<string | undefined> {
  try {
    const { plaintext } = await compactDecrypt(jwe, privateKey, {
      keyManagementAlgorithms: ['RSA-OAEP-256'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    return Buffer.from(plaintext).toString('utf8');
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
