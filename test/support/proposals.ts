/** Proposals as core would make them, with only what a test is about spelled out. */
import type { Charge, LedgerFact, Opinion, WindowSpan } from '../../src/core/decision.js';
import type { CoolingOff, Moment, NewOnly } from '../../src/core/moments.js';
import type { AskIdentity, Proposal, Versions } from '../../src/core/ports.js';

export const APPROVE: Opinion = {
  effect: 'approve',
  reason: 'APPROVED',
  sentence: 'Approved by rule r.',
  rule: 'r',
};
export const REJECT: Opinion = {
  effect: 'reject',
  reason: 'RULE_REJECTS',
  sentence: 'Rejected by rule r.',
  rule: 'r',
};
export const IGNORE: Opinion = {
  effect: 'ignore',
  reason: 'RULE_IGNORES',
  sentence: 'Ignored by rule r.',
  rule: 'r',
};
export const RETRY: Opinion = {
  effect: 'retry',
  reason: 'RULE_RETRIES',
  sentence: 'Ask again, says rule r.',
  rule: 'r',
};

export interface ProposalParts {
  readonly versions: Versions;
  readonly ask?: Partial<AskIdentity>;
  readonly opinion?: Opinion;
  readonly frozen?: boolean;
  readonly charges?: readonly Charge[];
  readonly facts?: readonly LedgerFact[];
  readonly moments?: readonly Moment[];
  readonly coolingOff?: CoolingOff;
  readonly nowMs?: number;
}

/** The question of one stage about one transaction. */
export function askAbout(txId: string, parts: Partial<AskIdentity> = {}): AskIdentity {
  return {
    askKey: `test:transaction:signing:${txId}:`,
    moneyKey: `test:${txId}`,
    binding: { requestKey: `test:${txId}`, txId },
    fingerprint: `content-of-${txId}`,
    coreFingerprint: `core-of-${txId}`,
    amount: '100',
    ...parts,
  };
}

export function proposal(txId: string, parts: ProposalParts): Proposal {
  return {
    ask: askAbout(txId, parts.ask),
    versions: parts.versions,
    nowMs: parts.nowMs ?? Date.now(),
    policyVersion: 'f'.repeat(64),
    opinion: parts.opinion ?? APPROVE,
    frozen: parts.frozen ?? false,
    charges: parts.charges ?? [],
    facts: parts.facts ?? [],
    moments: parts.moments ?? [],
    ...(parts.coolingOff && { coolingOff: parts.coolingOff }),
    journal: JSON.stringify({ request: { requestId: txId }, note: 'ünï "quoted" \\ / \u2028' }),
  };
}

export const HOUR: WindowSpan = { kind: 'rolling', lengthMs: 3_600_000 };
export const LIFETIME: WindowSpan = { kind: 'lifetime' };

export interface ChargeParts {
  readonly amount?: string;
  readonly members?: readonly string[];
  readonly max?: string;
  readonly near?: string;
  readonly window?: WindowSpan;
  readonly mode?: Charge['mode'];
  readonly whenFull?: Charge['whenFull'];
  readonly newOnly?: NewOnly;
}

/** Counter and limit carry one name. */
export function charge(name: string, parts: ChargeParts = {}): Charge {
  const max = parts.max ?? '100';
  return {
    limit: name,
    counter: name,
    mode: parts.mode ?? 'enforce',
    window: parts.window ?? HOUR,
    need:
      parts.members === undefined
        ? { kind: 'amount', amount: parts.amount ?? '1' }
        : { kind: 'distinct', members: parts.members },
    max,
    near: parts.near ?? max,
    whenFull: parts.whenFull ?? 'reject',
    sentence: `The limit ${name} is full.`,
    ...(parts.newOnly && { newOnly: parts.newOnly }),
  };
}
