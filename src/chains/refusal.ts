/** A refusal is a value: each check returns one, or what it found. */
import type { VerificationReason } from '../core/decision.js';

export interface Refusal {
  readonly kind: 'refused';
  readonly reason: VerificationReason;
  /** Names what is wrong; safe to show. */
  readonly detail: string;
}

export function refuse(reason: VerificationReason, detail: string): Refusal {
  return { kind: 'refused', reason, detail };
}

export function isRefusal<T>(value: T | Refusal): value is Refusal {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'refused';
}
