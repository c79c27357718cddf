/**
 * How a co-signer knows its handler by the certificate: by an authority, or by the public key in it, whatever else the
 * certificate says (the vendor's "certificate pinning"). Written from RFC 7469 section 2.4, not from the server's code.
 */
import { createHash, createPublicKey } from 'node:crypto';
import { Agent } from 'node:https';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect } from 'node:tls';

export type Trust =
  /** As any program does, by the authorities of the machine. */
  | { readonly kind: 'public' }
  /** PEM of the only authority that counts. */
  | { readonly kind: 'root'; readonly ca: string }
  /** `sha256//` and base64. */
  | { readonly kind: 'pin'; readonly pin: string };

export const PIN = /^sha256\/\/[A-Za-z0-9+/]{43}=$/;

/** Connections that stay open and are used again. */
export function agentThat(trust: Trust): Agent {
  switch (trust.kind) {
    case 'public':
      return new Agent({ keepAlive: true });
    case 'root':
      return new Agent({ keepAlive: true, ca: trust.ca });
    case 'pin':
      return new PinningAgent(trust.pin);
  }
}

/** The pin of the key in a certificate, PEM. */
export function pinIn(certificate: string): string {
  return pinOf(createPublicKey(certificate).export({ type: 'spki', format: 'der' }));
}

function pinOf(spki: Buffer): string {
  return `sha256//${createHash('sha256').update(spki).digest('base64')}`;
}

class PinningAgent extends Agent {
  constructor(private readonly pin: string) {
    // A resumed session shows no certificate.
    super({ keepAlive: true, maxCachedSessions: 0 });
  }

  /** Nothing is sent before the key is known to be the pinned one. */
  override createConnection(
    options: ConnectionOptions,
    ready?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const socket = connect({ ...options, rejectUnauthorized: false });
    const fail = (error: Error): void => ready?.(error, socket);
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      socket.off('error', fail);
      const shown = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
      if (shown !== undefined && pinOf(shown) === this.pin) {
        ready?.(null, socket);
        return;
      }
      socket.destroy();
      ready?.(new Error('the public key of the server is not the pinned one'), socket);
    });
    return undefined;
  }
}
