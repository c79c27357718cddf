/** Messages for protocols, without a server. */
import type { InboundMessage, Received } from '../../src/core/ports.js';

export function inbound(message: Partial<InboundMessage>): InboundMessage {
  return {
    route: '',
    body: Buffer.alloc(0),
    headers: {},
    address: '127.0.0.1',
    certificateSha256: () => undefined,
    ...message,
  };
}

/** The request, or why there is none. */
export function requestIn(received: Received) {
  if (received.kind === 'request') return received.request;
  throw new Error(received.kind === 'refused' ? received.problem : 'a batch');
}
