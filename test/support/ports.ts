/** Fakes at the ports of the decision, each with a character that a test chooses. */
import { createHash } from 'node:crypto';
import type { DecisionObserver } from '../../src/core/decide.js';
import type { Decision, UndecidedReason } from '../../src/core/decision.js';
import { CountersignError, type ErrorCode } from '../../src/core/errors.js';
import {
  type Chains,
  type CommitReply,
  DEADLINE_PASSED,
  type Deadline,
  type Decoded,
  type Freeze,
  type LedgerState,
  type Proposal,
} from '../../src/core/ports.js';
import { testChains } from './chains.js';
import { ALICE, NOON } from './policy.js';

/** What the ledger does with one call: works, keeps silent, fails, or answers this. */
export type Mood = 'works' | 'silent' | { readonly fails: unknown } | { readonly answers: CommitReply };

export const failing = (code: ErrorCode): Mood => ({
  fails: new CountersignError(code, `the ledger: ${code}`),
});
export const UNAVAILABLE = failing('LEDGER_UNAVAILABLE');
export const STALE: Mood = { answers: { kind: 'stale', ledgerNowMs: NOON } };

/** A ledger that records what it is told, when its moods let it; the last mood stays. */
export class MoodyLedger {
  readonly proposals: Proposal[] = [];
  /** What it recorded; nothing else may become an answer. */
  readonly recorded: Decision[] = [];
  reads = 0;
  freezes: readonly Freeze[] = [];

  constructor(
    /** Undefined: no policy is active. */
    public document: string | undefined,
    private readonly moods: { readonly commit?: readonly Mood[]; readonly state?: readonly Mood[] } = {},
  ) {}

  async state(): Promise<LedgerState> {
    const mood = moodOf(this.moods.state, this.reads);
    this.reads += 1;
    if (mood === 'silent') return forEver();
    if (mood !== 'works' && 'fails' in mood) throw mood.fails;
    const versions = { ledger: 'ledger-1', epoch: 0, policy: this.reads, freezes: 0 };
    const { document, freezes } = this;
    return {
      identity: 'ledger-1',
      nowMs: NOON,
      sequence: this.reads,
      durable: 0,
      policy: document === undefined ? undefined : activePolicy(document),
      freezes,
      versions,
    };
  }

  async commit(proposal: Proposal): Promise<CommitReply> {
    const mood = moodOf(this.moods.commit, this.proposals.length);
    this.proposals.push(proposal);
    if (mood === 'silent') return forEver();
    if (mood !== 'works') {
      if ('fails' in mood) throw mood.fails;
      return mood.answers;
    }
    const { opinion, policyVersion } = proposal;
    const { effect, reason, sentence } = opinion;
    if (effect === 'retry') return { kind: 'retry', reason, sentence, ledgerNowMs: NOON };
    const decision: Decision = { effect, reason, sentence, sequence: 7, decidedAtMs: NOON, policyVersion };
    this.recorded.push(decision);
    return { kind: 'decided', decision, repeated: false, use: [], ledgerNowMs: NOON };
  }
}

function activePolicy(document: string): NonNullable<LedgerState['policy']> {
  const version = createHash('sha256').update(document).digest('hex');
  return { version, sequence: 2, document, instances: { eth: 'eth.1' }, statement: 'a.signed.statement' };
}

function moodOf(moods: readonly Mood[] = [], call: number): Mood {
  return moods[call] ?? moods.at(-1) ?? 'works';
}

function forEver(): Promise<never> {
  return new Promise(() => undefined);
}

/** 0.01 ether to Alice, for at most the fee that `question()` claims. */
export const PAYS_ALICE: Decoded = {
  kind: 'effects',
  effects: {
    chain: 'eip155:1',
    movements: [{ asset: 'ETH', to: ALICE, amount: 10n ** 16n }],
    calls: [],
    maxFee: 600_000_000_000_000n,
    summary: {},
    facts: [],
  },
};

/** The chains of the other tests, with a decoder that concludes what it is told to. */
export function chainsThat(decode: (signal: AbortSignal) => Promise<Decoded>): Chains {
  return {
    asset: testChains.asset,
    message: testChains.message,
    decoder(family) {
      const decoder = testChains.decoder(family);
      return decoder && { ...decoder, decode: (_request, _asset, _settings, signal) => decode(signal) };
    },
  };
}

/** Remembers what it was told. */
export class Witness implements DecisionObserver {
  readonly faults: UndecidedReason[] = [];
  charges = 0;

  limitsCharged(): void {
    this.charges += 1;
  }

  faulted(reason: UndecidedReason): void {
    this.faults.push(reason);
  }

  during<T>(_step: string, work: () => T): T {
    return work();
  }
}

/** A deadline by a clock of its own: pauses cost no time, and work that waits for nothing costs all that is left. */
export function virtualDeadline(ms: number): Deadline & { readonly pauses: readonly number[] } {
  let left = ms;
  const pauses: number[] = [];
  const controller = new AbortController();
  const spend = (spent: number): void => {
    left -= Math.min(spent, left);
    if (left === 0) controller.abort();
  };
  return {
    pauses,
    signal: controller.signal,
    remainingMs: () => left,
    async pause(wanted) {
      pauses.push(wanted);
      spend(wanted);
    },
    async within(work) {
      work.catch(() => undefined);
      const idle = new Promise<typeof DEADLINE_PASSED>((resolve) => {
        setImmediate(() => setImmediate(resolve, DEADLINE_PASSED));
      });
      const first = await Promise.race([work, idle]);
      if (first === DEADLINE_PASSED) spend(left);
      return first;
    },
  };
}
