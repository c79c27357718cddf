/**
 * The same protocol in plain JSON, for co-signers that were given a certificate and no key (the vendor's options 2 and 3).
 * No message proves who asks, and nothing in an answer proves that it is ours: that is left to TLS. The network, or a proxy's
 * client certificate, is all that tells a co-signer from a stranger; requests are marked `anonymous`, and the core sees
 * to it that what a stranger asks burns nothing by being refused.
 */
import type { Protocol, Received } from '../../core/ports.js';
import { type ConnectionSettings, connectionCheck } from '../caller.js';
import { answerClaims } from './answer.js';
import { Claims, MalformedClaims } from './claims.js';
import { FIREBLOCKS, type FireblocksCosigner, readQuestion } from './fireblocks.js';
import { readRoute } from './routes.js';
import { trimmed } from './token.js';

export interface JsonModeOptions extends FireblocksCosigner {
  /** At least one of the two. */
  readonly connection: ConnectionSettings;
}

/** The only co-signer of its path: nothing would tell two apart. */
export function fireblocksJsonProtocol({ connection, ...cosigner }: JsonModeOptions): Protocol {
  const strangeness = connectionCheck(connection);
  return {
    name: FIREBLOCKS,
    async receive(message): Promise<Received> {
      const stranger = strangeness(message);
      if (stranger !== undefined)
        return { kind: 'refused', status: 401, code: 'UNAUTHENTICATED', reason: 'CALLER', problem: stranger };
      const question = readRoute(message.route, 'json');
      if (typeof question !== 'string') return question;
      try {
        const claims = Claims.parse(trimmed(message.body));
        const asker = { cosigner, signer: claims.id('signerId'), certain: true };
        return { kind: 'request', request: { ...readQuestion(question, claims, asker), anonymous: true } };
      } catch (error) {
        if (!(error instanceof MalformedClaims)) throw error;
        return { kind: 'refused', status: 400, code: 'REQUEST_MALFORMED', problem: error.message };
      }
    },
    async answer(request, outcome) {
      const body = JSON.stringify(answerClaims(request, outcome));
      return { status: 200, contentType: 'application/json', body };
    },
  };
}
