/**
 * Who may ask. The vendor's requests carry no signature that is published, so the network is what tells a Virtual Signer
 * from a stranger: where it comes from, the certificate it shows, and a path that nobody can guess. Should requests be
 * signed one day, their keys are configured, and then a signature is demanded.
 */
import { createHash } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { InboundMessage } from '../../core/ports.js';

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

export function callerCheck({ networks, clientCertificates, verify }: CallerSettings): CallerCheck {
  const allowed = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    allowed.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family);
  }
  return (message) => {
    if (!isAllowed(allowed, message.address)) return 'the request comes from a network that is not listed';
    if (clientCertificates !== undefined) {
      const shown = message.certificateSha256();
      if (shown === undefined || !clientCertificates.includes(shown))
        return 'the connection shows no listed client certificate';
    }
    return verify === undefined ? undefined : signatureProblem(message, verify);
  };
}

function isAllowed(allowed: BlockList, address: string): boolean {
  // An IPv4 caller of an IPv6 socket.
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  const family = isIP(plain);
  return family !== 0 && allowed.check(plain, family === 6 ? 'ipv6' : 'ipv4');
}

const PARAMETER = /(\w+)="([^"]*)"/g;

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
