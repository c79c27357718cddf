/**
 * Does every API user ask this handler, by the vendor's own word? One without a handler is not asked for: its co-signer
 * signs and approves whatever it is given (Fireblocks, "Create API Co-signer Callback Handler").
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import type { VendorCosigner, VendorHandler, VendorUser } from './pairing.js';

export const HANDLER_RESULTS = [
  'ok',
  'missing',
  'other-url',
  'other-key',
  'unknown-user',
  'unknown-signer',
  'unchecked',
] as const;
export type HandlerResult = (typeof HANDLER_RESULTS)[number];

/** What is configured here for one co-signer. */
export interface ExpectedCosigner {
  readonly name: string;
  /** Ids of its API users; undefined: any. */
  readonly signers: readonly string[] | undefined;
  /** Its callback URL ends with this. */
  readonly path: string;
  /** The whole of it, where it is configured. */
  readonly callbackUrl: string | undefined;
  /** SHA-256 of the public halves of the answer keys for this API user, SPKI, hex. */
  readonly answerKeys: (signer: string) => readonly string[];
}

export interface HandlerFinding {
  readonly result: HandlerResult;
  /** Of the vendor's co-signer: its name, or id. */
  readonly cosigner: string;
  /** The API user's id. */
  readonly user: string;
  readonly sentence: string;
}

export interface Paired {
  readonly cosigner: VendorCosigner;
  readonly users: readonly VendorUser[];
}

export interface HandlerCheck {
  readonly expected: readonly ExpectedCosigner[];
  /** SHA-256 of the public key of our TLS certificate, SPKI, hex; undefined: a proxy in front ends TLS. */
  readonly pin: string | undefined;
}

/** One finding for each API user of a co-signer that is not archived, and for each signer that the vendor does not know. */
export function checkHandlers(paired: readonly Paired[], check: HandlerCheck): readonly HandlerFinding[] {
  const live = paired.filter(({ cosigner }) => !cosigner.archived);
  const found = live.flatMap(({ cosigner, users }) => {
    const named = cosigner.name ?? cosigner.id;
    const isOurs = users.some(({ id }) => ownerOf(id, check.expected) !== undefined);
    return users.map((user) => ({ cosigner: named, user: user.id, ...judge(user, isOurs, check) }));
  });
  const known = new Set(live.flatMap(({ users }) => users.map(({ id }) => id)));
  const unknown = check.expected.flatMap(({ name, signers = [] }) =>
    signers
      .filter((id) => !known.has(id))
      .map((user) => ({
        result: 'unknown-signer' as const,
        cosigner: name,
        user,
        sentence: 'It is configured here, and paired with no co-signer of the workspace.',
      })),
  );
  return [...found, ...unknown];
}

type Judged = Pick<HandlerFinding, 'result' | 'sentence'>;

function judge({ id, handler }: VendorUser, isOurs: boolean, check: HandlerCheck): Judged {
  if (handler === undefined)
    return {
      result: 'missing',
      sentence:
        'It has NO CALLBACK HANDLER: everything it is asked to sign or approve is signed or approved.',
    };
  const owner = ownerOf(id, check.expected) ?? anyUserOf(handler, check.expected);
  if (owner !== undefined) return compare(id, handler, owner, check.pin);
  return isOurs
    ? {
        result: 'unknown-user',
        sentence: `It is paired with a co-signer of ours and configured nowhere here; it asks ${handler.url}.`,
      }
    : { result: 'unchecked', sentence: `It is not configured here; it asks ${handler.url}.` };
}

function ownerOf(user: string, expected: readonly ExpectedCosigner[]): ExpectedCosigner | undefined {
  return expected.find(({ signers }) => signers?.includes(user));
}

/** A co-signer without a list of signers takes any API user that asks at its path. */
function anyUserOf(
  { url }: VendorHandler,
  expected: readonly ExpectedCosigner[],
): ExpectedCosigner | undefined {
  return expected.find((cosigner) => cosigner.signers === undefined && !isElsewhere(url, cosigner));
}

function compare(
  user: string,
  handler: VendorHandler,
  expected: ExpectedCosigner,
  pin: string | undefined,
): Judged {
  if (isElsewhere(handler.url, expected)) {
    const where = expected.callbackUrl ?? `a URL that ends with ${expected.path}`;
    return { result: 'other-url', sentence: `It asks ${handler.url}, and should ask ${where}.` };
  }
  const keys = expected.answerKeys(user);
  const shown = handler.publicKey === undefined ? undefined : spkiSha256Of(handler.publicKey);
  if (shown !== undefined && !keys.includes(shown))
    return {
      result: 'other-key',
      sentence: `It trusts answers of the key ${shown}, which is none of ours for it.`,
    };
  const pinned = handler.certPublicKeyHash === undefined ? undefined : hashOf(handler.certPublicKeyHash);
  if (pinned !== undefined && pin !== undefined && pinned !== pin)
    return {
      result: 'other-key',
      sentence: `It trusts the TLS key ${pinned}, which is not that of http.tls.`,
    };
  if (shown !== undefined)
    return { result: 'ok', sentence: `It asks ${handler.url} and trusts our answer key.` };
  if (pinned !== undefined && pin !== undefined)
    return { result: 'ok', sentence: `It asks ${handler.url} and trusts our TLS key.` };
  return { result: 'unchecked', sentence: `It asks ${handler.url}; ${whyUnchecked(handler)}.` };
}

function whyUnchecked({ publicKey, certPublicKeyHash }: VendorHandler): string {
  if (publicKey !== undefined) return 'its key is shown in a form that cannot be read';
  if (certPublicKeyHash === undefined) return 'the vendor shows no key of it';
  return hashOf(certPublicKeyHash) === undefined
    ? 'its pin is shown in a form that cannot be read'
    : 'its pin cannot be compared, since TLS ends elsewhere than here';
}

/** Compared as URLs are: the host in any case, a slash at the end or none. */
function isElsewhere(url: string, { callbackUrl, path }: ExpectedCosigner): boolean {
  const found = placeOf(url);
  if (found === undefined) return true;
  if (callbackUrl !== undefined) return found !== placeOf(callbackUrl);
  return !`${found}/`.endsWith(`${path}/`);
}

function placeOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { origin, pathname, search } = new URL(url);
  return `${origin}${pathname.replace(/\/+$/, '')}${search}`;
}

/** PEM of a public key or certificate, or the base64 of its DER. */
function spkiSha256Of(text: string): string | undefined {
  const forms: readonly (() => KeyObject)[] = [
    () => createPublicKey(text),
    () => createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' }),
  ];
  for (const form of forms) {
    try {
      return createHash('sha256')
        .update(form().export({ type: 'spki', format: 'der' }))
        .digest('hex');
    } catch {
      // The next form, or none.
    }
  }
  return undefined;
}

/** SHA-256 in hex, from hex with or without colons, or base64 with or without `sha256//` before it. */
function hashOf(text: string): string | undefined {
  const bare = text.replace(/^sha256(\/\/|:)/i, '').replaceAll(':', '');
  if (/^[0-9a-f]{64}$/i.test(bare)) return bare.toLowerCase();
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(bare) ? Buffer.from(bare, 'base64').toString('hex') : undefined;
}
