/** What must never be seen. */
export interface Violation {
  readonly check: Check;
  /** One sentence that names the ask, the counter or the event. */
  readonly text: string;
  /** Milliseconds since the run began, where it can be told. */
  readonly atMs?: number;
}

export const CHECKS = {
  answers:
    'every final answer to one question is the same, whoever asks, and of two contents under one id at most one is approved',
  totals: 'no limit is exceeded at any instant, counted exactly from the answers',
  charged:
    'every transaction is charged once to each of its limits, one for new destinations counts those alone, and every total in the ledger is exact',
  order: 'what was answered before something else was asked has the lower sequence number',
  numbers: 'no sequence number stands for two decisions',
  ledger: 'every answer that was given is in the ledger, with the same content',
  reports: 'every notification is acknowledged, and what was acknowledged is in the ledger, once',
  releases:
    'charges are given back once, for transactions that ended unsigned, and never after a report that one may be signed',
  deadline: 'every call is answered within 30 s',
  decided: 'every request is finally decided',
  forged: 'what nobody we know has signed is refused and leaves no trace',
  end: 'after a loss that nothing can make good, nothing is decided',
  bed: 'every fault that was planned bit, and nothing failed that was not planned',
} as const;

export type Check = keyof typeof CHECKS;
