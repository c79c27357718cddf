/**
 * The path of one request, top to bottom. Start reading here.
 *
 * A request that reaches this file is authenticated and parsed. It is decided by one atomic step of the ledger;
 * everything before that step is an opinion, computed without trusting any earlier read:
 *
 *   examine   what the raw bytes do, and whether that is what the request says     (verify.ts, chains/)
 *   evaluate  what the active policy thinks of it: a verdict with charges          (policy/evaluate.ts)
 *   commit    nobody decided before, nothing is frozen, every limit has room:      (ledger/)
 *             charge all, record, append to the journal; or repeat what stands
 *
 * Only this file orders the steps, and only this file turns a failure into *undecided*. No failure, default or
 * timeout becomes an approval, and none becomes a rejection: a rejection is permanent, so it is always a decision.
 */
import type { Opinion, Outcome, UndecidedReason } from './decision.js';
import { UNDECIDED, undecided } from './decision.js';
import { CountersignError, type ErrorCode, errorCodeOf, unreachable } from './errors.js';
import { approvalFact, batchFacts, identify, identifyContent, identifyNonce } from './fingerprint.js';
import { journalText, nonceJournalText } from './journal.js';
import { evaluate } from './policy/evaluate.js';
import type { Rulebook } from './policy/rulebook.js';
import {
  type AskIdentity,
  type Chains,
  type Clock,
  type CommitReply,
  type CounterUse,
  DEADLINE_PASSED,
  type Deadline,
  type Ledger,
  type Proposal,
} from './ports.js';
import type { Request } from './request.js';
import { examine } from './verify.js';

/**
 * Pause before the ledger is asked again after it could not be reached. It grows with every attempt: each costs a whole
 * evaluation, and all that wait at once must leave the machine to whoever recovers the ledger.
 */
const LEDGER_RETRY_MS = { first: 100, growth: 1.5, longest: 1_000 };

/** Failures that pass by themselves, often before the deadline. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['LEDGER_UNAVAILABLE', 'LEDGER_RECOVERING']);

/** A policy that changes more often than this while one request is decided is a fault, not an update. */
const MAX_EVALUATIONS = 20;

export interface DecisionPorts {
  readonly chains: Chains;
  readonly ledger: Ledger;
  readonly rulebook: Rulebook;
  readonly clock: Clock;
  /** Told about what no answer shows: how full the limits are, faults on the way, and how long each step takes. */
  readonly observer: DecisionObserver;
}

export interface DecisionObserver {
  limitsCharged(use: readonly CounterUse[]): void;
  faulted(reason: UndecidedReason, cause: unknown): void;
  /** Does the work of one step, and nothing else but taking its time. Witnesses are waited for within a commit. */
  during<T>(step: 'examine' | 'evaluate' | 'commit' | 'witness', work: () => T): T;
}

/** Decides one request. Never rejects. */
export async function decide(request: Request, ports: DecisionPorts, deadline: Deadline): Promise<Outcome> {
  if (request.doubt !== undefined) return undecided(request.doubt);
  try {
    if (hasExpired(request, ports.clock)) return undecided('EXPIRED');
    const outcome = await decideBefore(deadline, request, ports);
    return hasExpired(request, ports.clock) ? undecided('EXPIRED') : outcome;
  } catch (error) {
    const reason = undecidedReasonOf(error);
    ports.observer.faulted(reason, error);
    return undecided(reason);
  }
}

/** By the replica's clock, which a commit has compared with the ledger's. What stands of an expired operation stands unsaid. */
function hasExpired({ unsigned }: Request, clock: Clock): boolean {
  return unsigned?.expiresAtMs !== undefined && clock.now() >= unsigned.expiresAtMs;
}

async function decideBefore(deadline: Deadline, request: Request, ports: DecisionPorts): Promise<Outcome> {
  const ask = identify(request);
  let instantMs: number | undefined;
  let evaluations = 0;
  let pauseMs = LEDGER_RETRY_MS.first;
  /** Why it is undecided, should the deadline pass now: what the last attempt to reach the ledger failed by, if it did. */
  let reason: UndecidedReason = 'DEADLINE';
  while (deadline.remainingMs() > 0 && evaluations < MAX_EVALUATIONS) {
    const reply = await deadline.within(propose(request, ask, ports, deadline, instantMs).catch(asReply));
    if (reply === DEADLINE_PASSED) break;
    if (reply instanceof CountersignError) {
      // The store may be failing over, and an interrupted commit may or may not have been recorded: asking again
      // is safe, because the commit itself finds out.
      reason = undecidedReasonOf(reply);
      ports.observer.faulted(reason, reply);
      await deadline.pause(pauseMs);
      pauseMs = Math.min(pauseMs * LEDGER_RETRY_MS.growth, LEDGER_RETRY_MS.longest);
      continue;
    }
    reason = 'DEADLINE';
    switch (reply.kind) {
      case 'decided':
        ports.observer.limitsCharged(reply.use);
        return {
          kind: 'decided',
          decision: reply.decision,
          repeated: reply.repeated,
          conflict: reply.decision.reason === 'CONFLICT_CONTENT',
        };
      case 'conflict':
        return { kind: 'decided', decision: reply.decision, repeated: reply.repeated, conflict: true };
      case 'retry':
        return { kind: 'undecided', reason: reply.reason, sentence: reply.sentence };
      case 'stale':
        evaluations += 1;
        break;
      case 'window-moved':
        instantMs = reply.ledgerNowMs;
        evaluations += 1;
        break;
      default:
        unreachable(reply);
    }
  }
  return undecided(reason);
}

/** One opinion, and one attempt to make it the decision. */
async function propose(
  request: Request,
  ask: AskIdentity,
  { chains, ledger, rulebook, clock, observer }: DecisionPorts,
  deadline: Deadline,
  instantMs: number | undefined,
): Promise<CommitReply> {
  const rules = await rulebook.current();
  const nowMs = clock.now();
  const examination = await observer.during('examine', () =>
    examine(request, chains, rules.policy.verification, deadline.signal),
  );
  const evaluation = observer.during('evaluate', () =>
    evaluate(rules, { request, examination, instantMs: instantMs ?? nowMs }),
  );
  const { verdict } = evaluation;
  const seen = { versions: rules.versions, policyVersion: rules.policy.version, nowMs };
  const effects = examination.kind === 'agrees' ? examination.effects.facts : [];
  const approval = request.unsigned === undefined ? batchFacts(request) : [approvalFact(request)];
  const proposal: Proposal = {
    ...seen,
    ask,
    opinion: verdict.opinion,
    frozen: evaluation.frozen,
    charges: [...verdict.charges, ...(verdict.shadow?.charges ?? [])],
    facts: verdict.opinion.effect === 'approve' ? [...approval, ...effects] : [],
    moments: verdict.moments ?? [],
    ...(verdict.coolingOff && { coolingOff: verdict.coolingOff }),
    journal: journalText(request, examination, evaluation),
  };
  const bound = await observer.during('commit', async () => {
    const reply =
      request.anonymous === true
        ? await commitAnonymous(proposal, identifyContent(request, ask), { ledger, observer })
        : await ledger.commit(proposal, observer);
    return bindNonce(request, ask, { reply, ledger, seen, observer });
  });
  if (bound.kind === 'stale') rulebook.forget(rules);
  return bound;
}

/**
 * Anybody may have written the request, under ids that others ask about too. What is approved stands under these ids, as if
 * a co-signer that signs had asked: never two contents under one id, and never charged twice. What is refused stands for
 * its content alone, or a stranger could burn an id by a bad content for it.
 *
 * So there are two places in which the content may be decided: each is looked at before the other is written to, and once
 * more afterwards, because another replica may have been of another opinion meanwhile. The older decision stands.
 */
async function commitAnonymous(
  proposal: Proposal,
  content: AskIdentity,
  { ledger, observer }: Pick<DecisionPorts, 'ledger' | 'observer'>,
): Promise<CommitReply> {
  const look = (ask: AskIdentity) =>
    ledger.commit({ ...proposal, ask, opinion: LOOKING, charges: [], facts: [] }, observer);
  const refuses = proposal.opinion.effect === 'reject' || proposal.opinion.effect === 'ignore';
  const [here, there] = refuses ? [content, proposal.ask] : [proposal.ask, content];
  const known = await look(there);
  if ('decision' in known) return olderOf(known, await look(here));
  if (!foundNothing(known)) return known;
  const reply = await ledger.commit({ ...proposal, ask: here }, observer);
  return reply.kind === 'decided' && !reply.repeated ? olderOf(reply, await look(there)) : reply;
}

/** Records nothing, and is told of what stands. */
const LOOKING: Opinion = {
  effect: 'retry',
  reason: 'RULE_RETRIES',
  sentence: 'Nothing stands.',
};

function foundNothing(reply: CommitReply): boolean {
  return reply.kind === 'retry' && reply.reason === LOOKING.reason;
}

/** Of two replies about one content: the one whose decision was recorded first, or the first when the other has none. */
function olderOf(one: CommitReply, other: CommitReply): CommitReply {
  if (!('decision' in other)) return one;
  return 'decision' in one && one.decision.sequence < other.decision.sequence ? one : other;
}

/**
 * A signed answer says nothing but a nonce, so a nonce is given to one content only, and that before the approval leaves:
 * by deciding it once, like everything else. A refusal only looks whether the nonce is given already, or strangers could
 * use nonces up.
 */
async function bindNonce(
  request: Request,
  ask: AskIdentity,
  { reply, ledger, seen, observer }: Binding,
): Promise<CommitReply> {
  const nonce = request.unsigned?.nonce;
  if (nonce === undefined || reply.kind !== 'decided') return reply;
  const nonceProposal: Proposal = {
    ...seen,
    ask: identifyNonce(request, nonce, ask),
    opinion: reply.decision.effect === 'approve' ? NONCE_GIVEN : NONCE_LEFT,
    frozen: false,
    charges: [],
    facts: [],
    moments: [],
    journal: nonceJournalText(request, nonce),
  };
  const bound = await ledger.commit(nonceProposal, observer);
  const isFree = bound.kind === 'retry' && reply.decision.effect !== 'approve';
  return bound.kind === 'decided' || isFree ? reply : bound;
}

const NONCE_GIVEN: Opinion = {
  effect: 'approve',
  reason: 'APPROVED',
  sentence: 'The nonce is given to this request.',
};
/** Records nothing, and is told of a nonce that was given to other content. */
const NONCE_LEFT: Opinion = {
  effect: 'retry',
  reason: 'RULE_RETRIES',
  sentence: 'The nonce is not given to this request.',
};

interface Binding {
  readonly reply: CommitReply;
  readonly ledger: Ledger;
  readonly observer: DecisionObserver;
  readonly seen: Pick<Proposal, 'versions' | 'policyVersion' | 'nowMs'>;
}

function asReply(error: unknown): CountersignError {
  if (error instanceof CountersignError && PASSING.has(error.code)) return error;
  throw error;
}

/** Failures that have a name of their own among the undecided reasons keep it; the rest is a fault of ours. */
function undecidedReasonOf(error: unknown): UndecidedReason {
  const code = errorCodeOf(error);
  return code in UNDECIDED ? (code as ErrorCode & UndecidedReason) : 'INTERNAL';
}
