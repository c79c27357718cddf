/** A decision, or "ask again", in Fireblocks' words. Source: Fireblocks, "Response object", callback reference. */
import type { Outcome } from '../../core/decision.js';
import { unreachable } from '../../core/errors.js';
import type { Request } from '../../core/request.js';

/** The reason lands in the workspace's audit log. */
const MAX_REASON_LENGTH = 200;

/**
 * The claims of the answer, and no others: the same for every delivery of one decision. Only a rejection gives a
 * reason; the reason of a RETRY may change with every delivery, and an answer that means "not yet" should not.
 */
export function answerClaims(request: Request, outcome: Outcome): Readonly<Record<string, string>> {
  const action = actionOf(request, outcome);
  const { requestId } = request;
  if (action !== 'REJECT' || outcome.kind !== 'decided') return { action, requestId };
  const rejectionReason = plainText(outcome.decision.sentence);
  return rejectionReason === '' ? { action, requestId } : { action, requestId, rejectionReason };
}

function actionOf(request: Request, outcome: Outcome): 'APPROVE' | 'REJECT' | 'RETRY' | 'IGNORE' {
  if (outcome.kind === 'undecided') return 'RETRY';
  const { effect } = outcome.decision;
  switch (effect) {
    case 'approve':
      return 'APPROVE';
    case 'reject':
      return 'REJECT';
    case 'ignore':
      // IGNORE is never valid when a signature is asked for; to have decided so is a fault of ours, and a fault is
      // never spelled as a rejection.
      return request.stage === 'approval' ? 'IGNORE' : 'RETRY';
    default:
      return unreachable(effect);
  }
}

/** One line of well-formed text, cut between characters. */
function plainText(sentence: string): string {
  const line = sentence
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  return [...line].slice(0, MAX_REASON_LENGTH).join('');
}
