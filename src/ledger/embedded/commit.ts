/**
 * The one atomic step of the embedded ledger: decide once, check and charge every limit, record, append to the
 * journal. It says the same as commit.lua, in the same order; the contract and model tests hold them together.
 */
import type { Charge, Decision, FinalEffect } from '../../core/decision.js';
import { CountersignError } from '../../core/errors.js';
import type { MomentEntry } from '../../core/moments.js';
import type { CommitReply, CounterUse, Proposal } from '../../core/ports.js';
import { decisionOf } from '../decision-record.js';
import { askOf, chargeOf, factsOf, momentsOf } from '../journal-body.js';
import {
  CLOCK_TOLERANCE_MS,
  coolingOffSentence,
  countedCharges,
  freezeSentence,
  type LedgerReason,
  ledgerSentence,
} from '../proposal.js';
import type { Measure } from './counters.js';
import { withEvent } from './release.js';
import type { EmbeddedStore, Head } from './store.js';

/** One step: the store, its head at this instant, and what is proposed. */
interface Step {
  readonly store: EmbeddedStore;
  readonly head: Head;
  readonly proposal: Proposal;
}

/** What is known of a transaction, whichever asks were about it. */
interface Transaction {
  readonly core: string | undefined;
  readonly approved: boolean;
  readonly rejected: boolean;
  readonly amount: string | undefined;
  /** The event that released its charges. */
  readonly released: number | undefined;
  /** The checkpoint that carries what events before it said. */
  readonly carried: number | undefined;
  /** The numbers of the other events that are about it. */
  readonly events: string;
}

type Opinion = Pick<Decision, 'reason' | 'sentence'> & { readonly effect: FinalEffect } & {
  readonly rule?: string;
  readonly limit?: string;
};

export function commit(store: EmbeddedStore, head: Head, proposal: Proposal): CommitReply {
  const step = { store, head, proposal };
  const { ask, versions, opinion } = proposal;
  const ledgerNowMs = head.nowMs;
  const { ledger, policy, freezes } = versions;
  if (ledger !== head.identity || policy !== head.policy || freezes !== head.freezes)
    return { kind: 'stale', ledgerNowMs };
  const skewMs = Math.abs(ledgerNowMs - proposal.nowMs);
  if (skewMs > CLOCK_TOLERANCE_MS) {
    throw new CountersignError('CLOCK_SKEW', `the ledger's clock and this replica's differ by ${skewMs} ms`);
  }

  // The same variant gets the same answer again, whatever it contradicts by now.
  const contradicted = store.rows.one(
    'SELECT decision FROM conflicts WHERE workspace = ? AND ask = ? AND fingerprint = ?',
    ask.askKey,
    ask.fingerprint,
  );
  if (contradicted !== undefined) {
    const decision = decisionOf(String(contradicted.decision));
    return { kind: 'conflict', ledgerNowMs, decision, repeated: true };
  }

  if (ask.binding !== undefined) {
    const bound = store.rows.one(
      'SELECT tx FROM bindings WHERE workspace = ? AND request = ?',
      ask.binding.requestKey,
    );
    if (bound !== undefined && bound.tx !== ask.binding.txId) return conflict(step, 'CONFLICT_BINDING');
  }

  const known = transactionOf(step);
  const standing = store.rows.one('SELECT * FROM asks WHERE workspace = ? AND ask = ?', ask.askKey);
  if (standing !== undefined) {
    if (standing.fingerprint !== ask.fingerprint) return conflict(step, 'CONFLICT_CONTENT');
    // The approval stands in the log, and nobody may act on it any more.
    if (standing.effect === 'approve' && known?.released !== undefined)
      return conflict(step, 'RELEASED_BEFORE');
    if (standing.effect === 'approve' && proposal.frozen) {
      return { kind: 'retry', ledgerNowMs, reason: 'FREEZE_RETRIES', sentence: freezeSentence(proposal) };
    }
    const decision = decisionOf(String(standing.decision));
    return { kind: 'decided', ledgerNowMs, decision, repeated: true, use: [] };
  }

  if (known !== undefined) {
    if (known.core !== ask.coreFingerprint) return conflict(step, 'CONFLICT_TRANSACTION');
    if (!known.rejected && known.released === undefined && isAbove(ask.amount, known.amount))
      return conflict(step, 'CONFLICT_AMOUNT');
  }

  if (known?.released !== undefined) return judge(step, ownOpinion('RELEASED_BEFORE'), known);
  if (known?.rejected === true && ask.coreFingerprint !== undefined)
    return judge(step, ownOpinion('REJECTED_BEFORE'), known);
  if (opinion.effect === 'retry') {
    return { kind: 'retry', ledgerNowMs, reason: opinion.reason, sentence: opinion.sentence };
  }
  return judge(step, opinion, known);
}

/**
 * A decision is recorded, unless a window has moved or a full limit says to ask again. Limits in shadow are counted by
 * whatever it is; the others, and facts, by an approval only. What was released is counted no more.
 */
function judge(step: Step, opinion: Opinion, known: Transaction | undefined): CommitReply {
  const { store, head, proposal } = step;
  const ledgerNowMs = head.nowMs;
  const counting = known?.released !== undefined ? [] : countedCharges(proposal, opinion);
  const isMoved = ({ window }: Charge) =>
    window.kind === 'calendar' && (ledgerNowMs < window.startMs || ledgerNowMs >= window.endMs);
  if (counting.some(isMoved)) return { kind: 'window-moved', ledgerNowMs };
  const charges = counting.flatMap((charge) => chargeOfNew(step, charge) ?? []);

  let verdict = opinion.effect === 'approve' ? (contradiction(step, opinion) ?? opinion) : opinion;
  if (verdict.effect === 'approve' && isTooEarly(step)) {
    const sentence = coolingOffSentence(proposal);
    if (proposal.coolingOff?.whenEarly === 'retry')
      return { kind: 'retry', ledgerNowMs, reason: 'COOLING_OFF_RETRIES', sentence };
    verdict = rejection(verdict, 'COOLING_OFF', sentence);
  }

  for (const charge of charges) if (store.counters.trim(charge, ledgerNowMs)) store.keepClock(head);
  // Without a transaction the ask itself is what is counted.
  const holder = proposal.ask.moneyKey ?? proposal.ask.askKey;
  const measured = charges.map((charge) => measureOf(charge, store.counters.measure(charge, holder)));
  const full = measured.find(({ charge, fits }) => charge.mode === 'enforce' && !fits);
  if (verdict.effect === 'approve' && full !== undefined) {
    const { sentence, limit, whenFull, max } = full.charge;
    if (whenFull === 'retry' && full.need <= BigInt(max)) {
      return { kind: 'retry', ledgerNowMs, reason: 'LIMIT_FULL_RETRY', sentence };
    }
    verdict = { ...rejection(verdict, 'LIMIT_EXCEEDED', sentence), limit };
  }

  const counted = measured.filter(({ charge }) => verdict.effect === 'approve' || charge.mode === 'shadow');
  const shadowFits = counted.every(({ charge, fits }) => charge.mode === 'enforce' || fits);
  const charged = counted.filter(({ charge }) => charge.mode === 'enforce' || shadowFits);
  const exceeded = counted.filter(({ fits }) => !fits);
  const isRemembered = verdict.effect === 'approve' && proposal.facts.length > 0;
  const begun = verdict.effect === 'approve' ? sincesOf(step) : [];
  const reply = decide(step, verdict, known, {
    charged: charged.map(journalOf),
    ...(exceeded.length === 0 ? {} : { exceeded: exceeded.map(journalOf) }),
    ...(isRemembered ? { facts: factsOf(proposal.facts) } : {}),
    ...(begun.length > 0 ? { moments: momentsOf(begun) } : {}),
  });
  for (const { charge } of charged) store.counters.charge(charge, holder, ledgerNowMs);
  if (verdict.effect === 'approve')
    for (const { key, value } of proposal.facts)
      store.rows.write('INSERT OR REPLACE INTO facts VALUES (?, ?, ?)', key, value);
  for (const moment of begun) store.moments.keep(moment, reply.decision.sequence);
  return { ...reply, use: counted.map((measure) => useOf(measure, charged.includes(measure))) };
}

/** The refusal by the first fact that contradicts what the ledger remembers, or another fact of this proposal. */
function contradiction({ store, proposal }: Step, opinion: Opinion): Opinion | undefined {
  const seen = new Map<string, string>();
  for (const { key, value, reason, sentence } of proposal.facts) {
    const row = store.rows.one('SELECT value FROM facts WHERE workspace = ? AND fact = ?', key);
    const before = seen.get(key) ?? row?.value ?? value;
    if (before !== value) return rejection(opinion, reason, sentence);
    seen.set(key, value);
  }
  return undefined;
}

function isTooEarly({ store, head, proposal }: Step): boolean {
  const { keys = [], periodMs = 0 } = proposal.coolingOff ?? {};
  return keys.some((key) => store.moments.isYoung(key, periodMs, head.nowMs));
}

/** Some begin with each approval anew, others with the first one that is remembered. */
function sincesOf({ store, head, proposal }: Step): readonly MomentEntry[] {
  return proposal.moments.map(({ key, keeps }) => ({
    key,
    sinceMs: (keeps === 'first' ? store.moments.since(key) : undefined) ?? head.nowMs,
  }));
}

/** The charge that applies; undefined when it is for new destinations and none of these is. */
function chargeOfNew({ store, head }: Step, charge: Charge): Charge | undefined {
  if (charge.newOnly === undefined) return charge;
  const need = store.moments.needOfNew(charge.newOnly, charge.need, head.nowMs);
  return need && { ...charge, need };
}

function rejection({ rule }: Opinion, reason: Opinion['reason'], sentence: string): Opinion {
  return { effect: 'reject', reason, sentence, ...(rule === undefined ? {} : { rule }) };
}

interface Measured extends Measure {
  readonly charge: Charge;
  readonly fits: boolean;
}

function measureOf(charge: Charge, measure: Measure): Measured {
  return { ...measure, charge, fits: measure.after <= BigInt(charge.max) };
}

function journalOf({ charge, added, after }: Measured): Readonly<Record<string, unknown>> {
  return { ...chargeOf(charge), added: String(added), total: String(after) };
}

function useOf({ charge, added, after, fits }: Measured, isCharged: boolean): CounterUse {
  const { limit, counter, mode, window, max, near } = charge;
  const used = isCharged ? after : after - added;
  return {
    limit,
    counter,
    mode,
    window,
    max,
    used: String(used),
    near: used >= BigInt(near),
    exceeded: !fits,
  };
}

/** The ask and the transaction stay untouched by it. */
function conflict(step: Step, reason: LedgerReason): CommitReply {
  const { store, head, proposal } = step;
  const { askKey, fingerprint } = proposal.ask;
  const ledgerNowMs = head.nowMs;
  const decision = record(step, 'conflict', ownOpinion(reason), {});
  store.rows.write(
    'INSERT INTO conflicts VALUES (?, ?, ?, ?)',
    askKey,
    fingerprint,
    JSON.stringify(decision),
  );
  return { kind: 'conflict', ledgerNowMs, decision, repeated: false };
}

/** Makes an opinion the decision that stands. */
function decide(
  step: Step,
  opinion: Opinion,
  known: Transaction | undefined,
  more: Readonly<Record<string, unknown>>,
): CommitReply & { readonly kind: 'decided' } {
  const { store, head, proposal } = step;
  const { ask } = proposal;
  const decision = record(step, 'decision', opinion, more);
  const text = JSON.stringify(decision);
  store.rows.write(
    'INSERT INTO asks VALUES (?, ?, ?, ?, ?)',
    ask.askKey,
    ask.fingerprint,
    decision.effect,
    text,
  );
  if (ask.binding !== undefined) {
    const { requestKey, txId } = ask.binding;
    store.rows.write(
      'INSERT OR REPLACE INTO bindings VALUES (?, ?, ?, ?)',
      requestKey,
      txId,
      decision.sequence,
    );
  }
  if (ask.moneyKey !== undefined) {
    const approved = decision.effect === 'approve';
    store.rows.write(
      'INSERT OR REPLACE INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      ask.moneyKey,
      ask.coreFingerprint ?? null,
      Number(approved || known?.approved === true),
      Number(decision.effect === 'reject' || known?.rejected === true),
      known?.amount ?? (approved ? (ask.amount ?? null) : null),
      known?.released ?? null,
      known?.carried ?? null,
      withEvent(known?.events ?? '', decision.sequence),
    );
  }
  return { kind: 'decided', ledgerNowMs: head.nowMs, decision, repeated: false, use: [] };
}

function record(
  { store, head, proposal }: Step,
  type: 'decision' | 'conflict',
  { effect, reason, sentence, rule, limit }: Opinion,
  more: Readonly<Record<string, unknown>>,
): Decision {
  const decision: Decision = {
    effect,
    reason,
    sentence,
    ...(rule === undefined ? {} : { rule }),
    ...(limit === undefined ? {} : { limit }),
    sequence: head.sequence + 1,
    decidedAtMs: head.nowMs,
    policyVersion: proposal.policyVersion,
  };
  const body = JSON.stringify({ ask: askOf(proposal.ask), decision, ...more });
  store.append(head, type, `${body.slice(0, -1)},"journal":${proposal.journal}}`);
  store.keepClock(head);
  return decision;
}

function ownOpinion(reason: LedgerReason): Opinion {
  return { effect: 'reject', reason, sentence: ledgerSentence(reason) };
}

function transactionOf({ store, proposal }: Step): Transaction | undefined {
  const { moneyKey } = proposal.ask;
  if (moneyKey === undefined) return undefined;
  const row = store.rows.one('SELECT * FROM transactions WHERE workspace = ? AND money = ?', moneyKey);
  if (row === undefined) return undefined;
  return {
    core: textOf(row.core),
    approved: row.approved === 1,
    rejected: row.rejected === 1,
    amount: textOf(row.amount),
    released: typeof row.released === 'number' ? row.released : undefined,
    carried: typeof row.carried === 'number' ? row.carried : undefined,
    events: String(row.events),
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isAbove(amount: string | undefined, approved: string | undefined): boolean {
  return amount !== undefined && approved !== undefined && BigInt(amount) > BigInt(approved);
}
