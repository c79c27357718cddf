/**
 * Who may call, as far as a connection tells: where it comes from, and the certificate it shows. Where requests are not
 * signed nothing else does; where they are, it is looked at first, because it costs nothing.
 */
import { BlockList, isIP } from 'node:net';
import type { InboundMessage } from '../core/ports.js';

export interface ConnectionSettings {
  /** CIDR; absent: from anywhere. */
  readonly networks?: readonly string[];
  /** SHA-256 in lower-case hex; absent: none is asked for. */
  readonly clientCertificates?: readonly string[];
}

/** Says why a message comes from a stranger; undefined when it need not. */
export type CallerCheck = (
  message: Pick<InboundMessage, 'address' | 'certificateSha256'>,
) => string | undefined;

export function connectionCheck({ networks, clientCertificates }: ConnectionSettings): CallerCheck {
  const allowed = networks === undefined ? undefined : blockListOf(networks);
  return (message) => {
    if (allowed !== undefined && !isAllowed(allowed, message.address))
      return 'the request comes from a network that is not listed';
    if (clientCertificates === undefined) return undefined;
    const shown = message.certificateSha256();
    return shown === undefined || !clientCertificates.includes(shown)
      ? 'the connection shows no listed client certificate'
      : undefined;
  };
}

function blockListOf(networks: readonly string[]): BlockList {
  const allowed = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    allowed.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family);
  }
  return allowed;
}

function isAllowed(allowed: BlockList, address: string): boolean {
  // An IPv4 caller of an IPv6 socket.
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  const family = isIP(plain);
  return family !== 0 && allowed.check(plain, family === 6 ? 'ipv6' : 'ipv4');
}
