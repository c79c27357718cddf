/**
 * A decision in the vendor's words, as bytes: digest and signature are over exactly these, so nothing may touch them
 * afterwards. Source: the vendor's published answer (draft-cavage form: `keyId`, `hs2019`, `headers`).
 */
import { createHash } from 'node:crypto';
import type { Outcome } from '../../core/decision.js';
import { unreachable } from '../../core/errors.js';
import type { OutboundMessage } from '../../core/ports.js';

export type Vote = 'approved' | 'rejected' | 'abstain';

const CONTENT_TYPE = 'application/json';
const KEY_ID = 'eddsa-key';

/** Undefined: no vote, because nothing was decided, or because the id or nonce is known by other content. */
export function voteOf(outcome: Outcome): Vote | undefined {
  if (outcome.kind === 'undecided' || outcome.conflict) return undefined;
  const { effect } = outcome.decision;
  switch (effect) {
    case 'approve':
      return 'approved';
    case 'reject':
      return 'rejected';
    case 'ignore':
      return 'abstain';
    default:
      return unreachable(effect);
  }
}

/** `digits` goes in as it came: as a number it might lose some. */
export async function signedVote(
  vote: Vote,
  digits: string,
  sign: (text: string) => Promise<Uint8Array>,
): Promise<OutboundMessage> {
  const body = Buffer.from(`{"status": "${vote}", "nonce": ${digits}}`);
  const digest = `SHA-512=${createHash('sha512').update(body).digest('base64')}`;
  const signature = await sign(`content-type: ${CONTENT_TYPE}\ndigest: ${digest}`);
  const encoded = Buffer.from(signature).toString('base64');
  return {
    status: 200,
    contentType: CONTENT_TYPE,
    headers: {
      digest,
      signature: `keyId="${KEY_ID}",algorithm="hs2019",headers="content-type digest",signature="${encoded}"`,
    },
    body,
  };
}

/** Nothing that could be taken for a vote: not a 2xx, not signed, no JSON. */
export function noVote(outcome: Outcome): OutboundMessage {
  const conflict = outcome.kind === 'decided' && outcome.conflict;
  return {
    status: conflict ? 409 : 503,
    contentType: 'text/plain; charset=utf-8',
    body: conflict ? 'conflict\n' : 'no vote; ask again\n',
  };
}
