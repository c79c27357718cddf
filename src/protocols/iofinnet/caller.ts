/**
 * Who may ask. The vendor's requests carry no signature that is published, so the network is what tells a Virtual Signer
 * from a stranger: where it comes from, the certificate it shows, and a path that nobody can guess. Should requests be
 * signed one day, their keys are configured, and then a signature is demanded.
 */
import { createHash } from 'node:crypto';
import type { InboundMessage } from '../../core/ports.js';
import { connectionCheck } from '../caller.js';

export interface CallerSettings {
  /** CIDR. */
  readonly networks: readonly string[];
  /** SHA-256 in lower-case hex; absent: none is asked for. */
  readonly clientCertificates?: readonly string[];
  /** Tries the keys that requests are signed with; absent: requests are not signed. */
  readonly verify?: (text: string, signature: Uint8Array) => boolean;
}

/** Says why a message is no Virtual Signer's; undefined when it may be one. */
export type CallerCheck = (message: InboundMessage) => string | undefined;

export function callerCheck({ verify, ...connection }: CallerSettings): CallerCheck {
  const strangeness = connectionCheck(connection);
  return (message) =>
    strangeness(message) ?? (verify === undefined ? undefined : signatureProblem(message, verify));
}

/** From the beginning of a word: or a header of one long word would be looked through once for each of its letters. */
const PARAMETER = /\b(\w+)="([^"]*)"/g;

/** The older form of HTTP signatures, in which answers are signed; source: draft-cavage-http-signatures-12. */
function signatureProblem(
  { headers, body }: InboundMessage,
  verify: NonNullable<CallerSettings['verify']>,
): string | undefined {
  const parameters = new Map(
    [...(headers.signature ?? '').matchAll(PARAMETER)].map(([, key, text]) => [key, text]),
  );
  const signature = parameters.get('signature');
  const covered = parameters.get('headers')?.split(' ') ?? [];
  if (signature === undefined || signature === '') return 'the request is not signed';
  if (!covered.includes('digest')) return 'the signature does not cover the digest of the body';
  if (headers.digest !== `SHA-512=${createHash('sha512').update(body).digest('base64')}`)
    return 'the Digest header is not that of the body';
  if (covered.some((name) => headers[name] === undefined))
    return 'the signature covers a header that is not there';
  const text = covered.map((name) => `${name}: ${headers[name]}`).join('\n');
  return verify(text, Buffer.from(signature, 'base64'))
    ? undefined
    : 'no configured key verifies the signature';
}
