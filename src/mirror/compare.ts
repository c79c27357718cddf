/** How two answers to one request differ, from the side of who is about to change from one to the other. */
import type { Outcome } from '../core/decision.js';
import type { Action, ReadAnswer } from './handler-answer.js';

/** In the order of a report: what is most dangerous to overlook comes first. */
export const CLASSES = ['laxer', 'stricter', 'undecided', 'other', 'nonsense', 'refused', 'same'] as const;
export type Class = (typeof CLASSES)[number];

export const CLASS_MEANING: Readonly<Record<Class, string>> = {
  laxer: 'we approve what the handler does not',
  stricter: 'the handler approves, or waits, and we refuse',
  undecided: 'the handler decides and we would say "ask again"',
  other: 'neither approves, but one rejects and the other abstains',
  nonsense: 'no co-signer would accept the handler’s answer',
  refused: 'we would not take the message for a request of a co-signer',
  same: 'both say the same',
};

/** What we would have answered. */
export function actionOf(outcome: Outcome): Action {
  if (outcome.kind === 'undecided') return 'RETRY';
  switch (outcome.decision.effect) {
    case 'approve':
      return 'APPROVE';
    case 'reject':
      return 'REJECT';
    case 'ignore':
      return 'IGNORE';
  }
}

export function classOf(ours: Action, theirs: ReadAnswer): Class {
  if (!theirs.ok) return 'nonsense';
  const { action } = theirs;
  if (ours === action) return 'same';
  if (ours === 'APPROVE') return 'laxer';
  if (ours === 'RETRY') return 'undecided';
  return action === 'APPROVE' || action === 'RETRY' ? 'stricter' : 'other';
}
