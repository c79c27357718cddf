/** Placeholder of the evaluate function's shape until the policy part lands. */
import type { Verdict } from '../decision.js';
import type { Request } from '../request.js';
import type { Examination } from '../verify.js';
import type { Rules } from './rulebook.js';

export interface Question {
  readonly request: Request;
  readonly examination: Examination;
  /** Unix milliseconds. */
  readonly instantMs: number;
}

export interface Evaluation {
  readonly verdict: Verdict;
  /** A freeze covers the request: the verdict is the freeze's, and a standing approval is not repeated. */
  readonly frozen: boolean;
  /** What conditions and limits saw; serialisable, kept in the journal. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export function evaluate(_rules: Rules, _question: Question): Evaluation {
  throw new Error('not yet');
}
