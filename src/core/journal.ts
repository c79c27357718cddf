/** What the journal keeps of a request beside its decision: enough to audit it, and to fill a new limit from it. */

import { unreachable } from './errors.js';
import type { Evaluation } from './policy/evaluate.js';
import type { Nonce, Request } from './request.js';
import type { Examination } from './verify.js';

/** JSON text without secrets, keys, raw bytes or free text of the initiator beyond ids. */
export function journalText(request: Request, examination: Examination, evaluation: Evaluation): string {
  return JSON.stringify({
    request: {
      protocol: request.protocol,
      kind: request.kind,
      stage: request.stage,
      cosigner: request.cosigner,
      signer: request.signer,
      requestId: request.requestId,
      anonymous: request.anonymous,
      ...subjectOf(request),
      vendorRules: request.kind === 'transaction' ? request.vendorRules : undefined,
    },
    facts: evaluation.facts,
    verified: examination.kind,
    effects: examination.kind === 'agrees' ? examination.effects.summary : undefined,
    shadow: evaluation.verdict.shadow?.opinion,
  });
}

/** Of the event that gives a nonce to a request. */
export function nonceJournalText(request: Request, { digits }: Nonce): string {
  const { protocol, cosigner, requestId } = request;
  return JSON.stringify({ request: { protocol, kind: 'nonce', cosigner, requestId }, nonce: digits });
}

/** The ids that people look a request up by, beside its own; for journal and log. */
export function subjectOf(request: Request): Readonly<Record<string, string | undefined>> {
  switch (request.kind) {
    case 'transaction':
      return { txId: request.txId, externalTxId: request.intent.externalTxId };
    case 'config-change':
      return { type: request.type };
    case 'keygen':
    case 'reshare':
      return { vault: request.vault.id };
    case 'sign':
      return { vault: request.source.id, contentType: request.contentType };
    default:
      return unreachable(request);
  }
}

/** What the log is made of: everything that a decision reads. */
export const EVENT_TYPES = [
  'ledger',
  'policy',
  'fill',
  'decision',
  'conflict',
  'freeze',
  'unfreeze',
  'release',
  'report',
  'activation',
  'checkpoint',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

export interface JournalEvent {
  readonly sequence: number;
  readonly atMs: number;
  readonly type: EventType;
  /** Parsed JSON; amounts are text. */
  readonly body: Readonly<Record<string, unknown>>;
}
