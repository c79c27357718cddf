/**
 * Is this an answer a co-signer would obey? Written from the vendor's page on the response object and RFC 7515/7518,
 * not from the server's code. Stricter than the vendor: it refuses every claim that has no business there.
 */
import { constants, type KeyObject, verify } from 'node:crypto';
import type { Stage } from './target.js';

export type Action = 'APPROVE' | 'REJECT' | 'RETRY' | 'IGNORE';

export interface Answer {
  readonly action: Action;
  readonly reason: string | undefined;
}

export interface Expectation {
  readonly requestId: string;
  readonly stage: Stage;
  readonly keys: readonly KeyObject[];
}

export type Checked =
  | { readonly ok: true; readonly answer: Answer }
  /** One sentence, to be printed beside the request id. */
  | { readonly ok: false; readonly problem: string };

const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/;
const CLAIMS = new Set(['action', 'requestId', 'rejectionReason']);

/** At signing an IGNORE is no answer: the vendor knows no such thing there. */
const VOCABULARY: Readonly<Record<Stage, readonly Action[]>> = {
  signing: ['APPROVE', 'REJECT', 'RETRY'],
  approval: ['APPROVE', 'REJECT', 'RETRY', 'IGNORE'],
};

export function checkAnswer(status: number, body: string, expected: Expectation): Checked {
  if (status !== 200) return problem(`the status is ${status}, not 200`);
  const parts = COMPACT.exec(body);
  if (parts === null) return problem('the body is not exactly one compact JWT');
  const [, header = '', payload = '', signature = ''] = parts;
  if (![header, payload, signature].every(isCanonical)) return problem('the JWT is not canonical base64url');
  const algorithm = algorithmOf(header);
  if (algorithm === undefined) return problem('the JWT header is not RS256 or ES256 with typ JWT');
  const signed = Buffer.from(`${header}.${payload}`);
  const verifies = expected.keys.some((key) => verifiesWith(key, { algorithm, signed, signature }));
  if (!verifies) return problem('the signature does not verify with the answer key');
  return checkClaims(parseObject(Buffer.from(payload, 'base64url').toString('utf8')), expected);
}

/** The answer to a plain question: the bare object, and TLS is all that says whose it is. */
export function checkPlainAnswer(
  { status, contentType, body }: { status: number; contentType: string | undefined; body: string },
  expected: Omit<Expectation, 'keys'>,
): Checked {
  if (status !== 200) return problem(`the status is ${status}, not 200`);
  if (contentType !== 'application/json') return problem('the content type is not application/json');
  return checkClaims(parseObject(body), expected);
}

function checkClaims(
  claims: Readonly<Record<string, unknown>> | undefined,
  expected: Omit<Expectation, 'keys'>,
): Checked {
  if (claims === undefined) return problem('the claims are no JSON object');
  const stranger = Object.keys(claims).find((name) => !CLAIMS.has(name));
  if (stranger !== undefined) return problem(`there is a claim ${JSON.stringify(stranger.slice(0, 40))}`);
  if (claims.requestId !== expected.requestId) return problem('requestId is not the one that was asked');
  const action = VOCABULARY[expected.stage].find((word) => word === claims.action);
  if (action === undefined) {
    return problem(
      `action ${JSON.stringify(claims.action)?.slice(0, 40)} means nothing at the ${expected.stage} stage`,
    );
  }
  const reason = claims.rejectionReason;
  if (reason !== undefined && (typeof reason !== 'string' || reason === '')) {
    return problem('rejectionReason is not a sentence');
  }
  if (action === 'REJECT' && reason === undefined) return problem('a REJECT comes without a rejectionReason');
  return { ok: true, answer: { action, reason } };
}

interface Signed {
  readonly algorithm: 'RS256' | 'ES256';
  readonly signed: Buffer;
  readonly signature: string;
}

/** The key decides which algorithm is right for it; a header cannot talk it into another. */
function verifiesWith(key: KeyObject, { algorithm, signed, signature }: Signed): boolean {
  const bytes = Buffer.from(signature, 'base64url');
  if (key.asymmetricKeyType === 'rsa') {
    if (algorithm !== 'RS256') return false;
    return verify('sha256', signed, { key, padding: constants.RSA_PKCS1_PADDING }, bytes);
  }
  if (key.asymmetricKeyType !== 'ec' || algorithm !== 'ES256') return false;
  // RFC 7518, 3.4: R and S side by side, 32 octets each.
  return bytes.length === 64 && verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, bytes);
}

function algorithmOf(header: string): Signed['algorithm'] | undefined {
  const fields = parseObject(Buffer.from(header, 'base64url').toString('utf8'));
  if (
    fields?.typ !== 'JWT' ||
    Object.keys(fields).some((name) => name !== 'alg' && name !== 'typ' && name !== 'kid')
  ) {
    return undefined;
  }
  return fields.alg === 'RS256' || fields.alg === 'ES256' ? fields.alg : undefined;
}

/** Undefined unless the text is one JSON object in which no member is written twice. */
function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const members = Object.entries(value);
    // Our own answers are flat and written by JSON.stringify: a second member of one name makes the text longer.
    return JSON.stringify(Object.fromEntries(members)).length >= text.length
      ? Object.fromEntries(members)
      : undefined;
  } catch {
    return undefined;
  }
}

function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part;
}

function problem(text: string): Checked {
  return { ok: false, problem: text };
}
