/** What the journal keeps of a request beside its decision: enough to audit it, and to fill a new limit from it. */
import type { Evaluation } from './policy/evaluate.js';
import type { Request } from './request.js';
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
      ...(request.kind === 'transaction'
        ? { txId: request.txId, externalTxId: request.intent.externalTxId }
        : { type: request.type }),
    },
    facts: evaluation.facts,
    verified: examination.kind,
    effects: examination.kind === 'agrees' ? examination.effects.summary : undefined,
    shadow: evaluation.verdict.shadow?.opinion,
  });
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
