/**
 * Every error code of the product. A code is stable: alerts, runbooks and scripts may rely on it.
 *
 * A *failure* is thrown as a {@link CountersignError}; a *refusal* is a value (see decision.ts) and never thrown.
 * The exit code is what a command of the CLI ends with when the error reaches its edge.
 */
export const ERROR_CODES = {
  // The person at the keyboard can fix these.
  USAGE: { exit: 2, meaning: 'the command line is wrong' },
  CONFIG_INVALID: { exit: 2, meaning: 'the configuration document is wrong' },
  POLICY_INVALID: { exit: 2, meaning: 'the policy document is wrong' },
  POLICY_TEST_FAILED: { exit: 1, meaning: 'a policy test case did not come out as written' },
  KEY_INVALID: { exit: 2, meaning: 'a key file is missing, malformed, too weak, shared or published' },
  FILE_UNREADABLE: { exit: 2, meaning: 'a file cannot be read' },
  ENVIRONMENT: { exit: 3, meaning: 'this machine lacks something the command needs' },
  CHECK_FAILED: { exit: 1, meaning: 'the command ran and what it checked is not as it should be' },

  // A co-signer (or a stranger) sent something we do not act on. Nothing is written to the ledger.
  UNAUTHENTICATED: { exit: 1, meaning: 'no configured co-signer key verifies the request' },
  REQUEST_MALFORMED: { exit: 1, meaning: 'an authenticated request cannot be understood' },
  BODY_TOO_LARGE: { exit: 1, meaning: 'the request body exceeds the limit' },
  PATH_UNKNOWN: { exit: 1, meaning: 'no co-signer is configured for this path' },

  // The shared memory. All of these make a request undecided, never refused.
  LEDGER_UNAVAILABLE: { exit: 4, meaning: 'the ledger cannot be reached, or did not answer in time' },
  LEDGER_MISSING: { exit: 4, meaning: 'the store holds no ledger; `countersign ledger init` makes one' },
  LEDGER_EXISTS: { exit: 1, meaning: 'the store already holds a ledger' },
  LEDGER_FENCED: {
    exit: 4,
    meaning: 'the store may have lost decisions; `countersign ledger activate` states that it may go on',
  },
  LEDGER_RECOVERING: {
    exit: 4,
    meaning: 'the ledger is being recovered from its witnesses after a restart or fail-over; ask again',
  },
  LEDGER_CORRUPT: { exit: 4, meaning: 'the ledger holds something this version cannot read' },
  CLOCK_SKEW: { exit: 4, meaning: "this replica's clock and the ledger's differ by more than the tolerance" },
  POLICY_MISSING: { exit: 4, meaning: 'no policy is active; `countersign policy activate` makes one so' },
  POLICY_UNTRUSTED: { exit: 4, meaning: 'the active policy is not signed by a configured operator' },
  STATEMENT_INVALID: { exit: 1, meaning: 'a signed statement does not verify, or says something else' },
  LIMIT_HISTORY_SHORT: { exit: 1, meaning: 'the journal is too short to fill a new limit' },
  RELEASE_REFUSED: { exit: 1, meaning: 'the charges of a transaction cannot be released' },
  CONCURRENT_CHANGE: {
    exit: 1,
    meaning: 'the ledger changed while the command was preparing its own change',
  },

  // Who of many replicas does what needs doing once. No decision depends on it.
  LOCKS_UNAVAILABLE: { exit: 4, meaning: 'most of the lock nodes do not answer' },
  LOCK_LOST: { exit: 1, meaning: 'a lock was lost while the work under it ran' },

  // The vendor's own interface. No decision depends on it.
  API_FAILED: { exit: 4, meaning: "the vendor's REST API did not answer, or not with what was asked for" },

  INTERNAL: { exit: 70, meaning: 'a defect in Countersign' },
} as const satisfies Record<string, { exit: number; meaning: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** A failure with a stable code and, where another error led to it, that error as `cause`. */
export class CountersignError extends Error {
  override readonly name = 'CountersignError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The code of anything thrown: what has none is a fault of ours. */
export function errorCodeOf(error: unknown): ErrorCode {
  return error instanceof CountersignError ? error.code : 'INTERNAL';
}

/** For what cannot happen unless the program is wrong. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new CountersignError('INTERNAL', `assertion failed: ${message}`);
}

/** The end of a switch over a closed union: the compiler proves that it is never reached. */
export function unreachable(value: never): never {
  throw new CountersignError('INTERNAL', `unexpected ${JSON.stringify(value)}`);
}

/** The message of anything thrown; errors thrown by libraries are not always Errors. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
