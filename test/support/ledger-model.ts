/**
 * What a ledger does, said as simply as it can be: maps, BigInt, and every entry looked at every time. It shares no
 * code with the stores, and takes the time from their replies.
 */
import type { Charge, Decision } from '../../src/core/decision.js';
import type { CommitReply, CounterUse, Proposal, Versions } from '../../src/core/ports.js';
import type { Reported, SettlingReport } from '../../src/core/report.js';
import { FateModel } from './fate-model.js';

interface Entry {
  readonly at: number;
  readonly amount: bigint;
}

interface KnownTransaction {
  readonly core: string | undefined;
  readonly approved: boolean;
  readonly rejected: boolean;
  readonly approvedAmount: string | undefined;
  readonly released?: number | undefined;
  /** The last event that is about it. */
  readonly last: number;
}

/** What a test compares: everything but the wording of the ledger's own sentences. */
export type Expected =
  | {
      readonly kind: 'decided' | 'conflict';
      readonly repeated: boolean;
      readonly decision: Omit<Decision, 'sentence'>;
      readonly use?: readonly CounterUse[];
    }
  | { readonly kind: 'retry'; readonly reason: string }
  | { readonly kind: 'stale' | 'window-moved' };

/** Who holds what forgotten transactions held; no holder's key is empty. */
const NOBODY = '';

type Words = Pick<Decision, 'effect' | 'reason' | 'rule' | 'limit'>;

export class LedgerModel {
  sequence = 1;
  versions: Versions;
  readonly #asks = new Map<
    string,
    { readonly fingerprint: string; readonly decision: Omit<Decision, 'sentence'> }
  >();
  readonly #conflicts = new Map<string, Omit<Decision, 'sentence'>>();
  readonly #transactions = new Map<string, KnownTransaction>();
  readonly #bindings = new Map<string, { readonly txId: string; readonly last: number }>();
  readonly #fates = new FateModel();
  readonly #facts = new Map<string, string>();
  readonly #moments = new Map<string, { readonly since: number; readonly last: number }>();
  readonly #counters = new Map<string, Map<string, Entry>>();
  readonly #counted = new Map<string, Charge['need']['kind']>();

  constructor(identity: string) {
    this.versions = { ledger: identity, epoch: 0, policy: 0, freezes: 0 };
  }

  policyActivated(): number {
    this.sequence += 1;
    this.versions = { ...this.versions, policy: this.sequence };
    return this.sequence;
  }

  freezesChanged(): number {
    this.sequence += 1;
    this.versions = { ...this.versions, freezes: this.sequence };
    return this.sequence;
  }

  /** Undefined: nothing is known of it. */
  released(moneyKey: string): { readonly sequence: number; readonly repeated: boolean } | undefined {
    const known = this.#transactions.get(moneyKey);
    if (known === undefined) return undefined;
    if (known.released !== undefined) return { sequence: known.released, repeated: true };
    if (this.#fates.known(moneyKey)?.signed === true) return undefined;
    this.sequence += 1;
    this.#transactions.set(moneyKey, { ...known, released: this.sequence, last: this.sequence });
    for (const entries of this.#counters.values()) entries.delete(moneyKey);
    return { sequence: this.sequence, repeated: false };
  }

  reported(report: SettlingReport): Reported {
    const { moneyKey } = report;
    const { changed, sequence } = this.#fates.hears(report, this.sequence + 1);
    if (changed) this.sequence += 1;
    const known = this.#fates.known(moneyKey);
    if (known === undefined) throw new Error('a report that nobody heard');
    const transaction = this.#transactions.get(moneyKey);
    const approval = {
      approved: transaction?.approved === true,
      rejected: transaction?.rejected === true,
      released: transaction?.released !== undefined,
      batch: false,
    };
    return { known, sequence, changed, approval };
  }

  /** Events up to this one are forgotten. What forgotten transactions held in lifetime counters nobody holds from then on. */
  forgotten(to: number): number {
    this.sequence += 1;
    const standing = (last: number | undefined) => last === undefined || last > to;
    const isHolder = (holder: string) =>
      standing(this.#transactions.get(holder)?.last) && standing(this.#asks.get(holder)?.decision.sequence);
    for (const [name, entries] of this.#counters) {
      if (this.#counted.get(name) === 'distinct') continue;
      for (const [holder, { amount }] of entries) {
        if (holder === NOBODY || isHolder(holder)) continue;
        entries.delete(holder);
        if (!name.endsWith('"lifetime"]')) continue;
        entries.set(NOBODY, { at: 0, amount: amount + (entries.get(NOBODY)?.amount ?? 0n) });
      }
    }
    for (const [key, { last }] of this.#transactions) if (!standing(last)) this.#transactions.delete(key);
    for (const [key, { last }] of this.#bindings) if (!standing(last)) this.#bindings.delete(key);
    for (const [key, { decision }] of this.#asks) if (!standing(decision.sequence)) this.#asks.delete(key);
    for (const [key, { last }] of this.#moments) if (!standing(last)) this.#moments.delete(key);
    for (const [key, { sequence }] of this.#conflicts) if (!standing(sequence)) this.#conflicts.delete(key);
    this.#fates.forgotten(to);
    return this.sequence;
  }

  used(charge: Charge, now: number): bigint {
    return total(this.#entriesInside(charge, now));
  }

  commit(proposal: Proposal, now: number): Expected {
    const { ask, opinion } = proposal;
    if (proposal.versions.ledger !== this.versions.ledger) return { kind: 'stale' };
    if (proposal.versions.policy !== this.versions.policy) return { kind: 'stale' };
    if (proposal.versions.freezes !== this.versions.freezes) return { kind: 'stale' };

    const contradicted = this.#conflicts.get(variantOf(ask));
    if (contradicted !== undefined) return { kind: 'conflict', repeated: true, decision: contradicted };

    const bound = ask.binding && this.#bindings.get(ask.binding.requestKey);
    if (bound !== undefined && bound.txId !== ask.binding?.txId)
      return this.#conflict(proposal, now, 'CONFLICT_BINDING');

    const standing = this.#asks.get(ask.askKey);
    if (standing !== undefined && standing.fingerprint !== ask.fingerprint) {
      return this.#conflict(proposal, now, 'CONFLICT_CONTENT');
    }
    const transaction = ask.moneyKey === undefined ? undefined : this.#transactions.get(ask.moneyKey);
    if (standing !== undefined) {
      if (transaction?.released !== undefined && standing.decision.effect === 'approve')
        return this.#conflict(proposal, now, 'RELEASED_BEFORE');
      if (proposal.frozen && standing.decision.effect === 'approve')
        return { kind: 'retry', reason: 'FREEZE_RETRIES' };
      return { kind: 'decided', repeated: true, decision: standing.decision, use: [] };
    }

    if (transaction !== undefined) {
      if (transaction.core !== ask.coreFingerprint)
        return this.#conflict(proposal, now, 'CONFLICT_TRANSACTION');
      if (transaction.released !== undefined) {
        const words = { effect: 'reject', reason: 'RELEASED_BEFORE' } as const;
        return this.#judge({ ...proposal, charges: [] }, now, words);
      }
      if (transaction.rejected && ask.coreFingerprint !== undefined)
        return this.#judge(proposal, now, { effect: 'reject', reason: 'REJECTED_BEFORE' });
      const approved = transaction.rejected ? undefined : transaction.approvedAmount;
      if (approved !== undefined && ask.amount !== undefined && BigInt(ask.amount) > BigInt(approved)) {
        return this.#conflict(proposal, now, 'CONFLICT_AMOUNT');
      }
    }

    if (opinion.effect === 'retry') return { kind: 'retry', reason: opinion.reason };
    const rule = opinion.rule === undefined ? {} : { rule: opinion.rule };
    const words = { effect: opinion.effect, reason: opinion.reason, ...rule } as const;
    return this.#judge(proposal, now, words);
  }

  /** Limits in shadow are counted by every decision, the others by approvals. */
  #judge(made: Proposal, now: number, words: Words): Expected {
    const { facts, ask, coolingOff } = made;
    const charges = this.#applicable(made.charges, now);
    const proposal = { ...made, charges };
    const { rule } = words;
    const holder = ask.moneyKey ?? ask.askKey;
    const isFull = (charge: Charge) => total(this.#charged(charge, holder, now)) > BigInt(charge.max);
    const reject = (more: Pick<Words, 'reason' | 'limit'>) =>
      this.#record(proposal, now, { effect: 'reject', ...(rule === undefined ? {} : { rule }), ...more });

    for (const { window, mode } of made.charges) {
      if (words.effect !== 'approve' && mode === 'enforce') continue;
      if (window.kind === 'calendar' && !(window.startMs <= now && now < window.endMs))
        return { kind: 'window-moved' };
    }
    if (words.effect !== 'approve') return this.#record(proposal, now, words);
    for (const [index, { key, value, reason }] of facts.entries()) {
      const earlier = facts.slice(0, index).find((fact) => fact.key === key)?.value;
      const remembered = this.#facts.get(key) ?? earlier;
      if (remembered !== undefined && remembered !== value) return reject({ reason });
    }
    const early = coolingOff?.keys.some((key) => this.#isYoung(key, coolingOff.periodMs, now)) === true;
    if (early && coolingOff?.whenEarly === 'retry') return { kind: 'retry', reason: 'COOLING_OFF_RETRIES' };
    if (early) return reject({ reason: 'COOLING_OFF' });
    for (const charge of charges) {
      if (charge.mode === 'shadow' || !isFull(charge)) continue;
      const alone =
        charge.need.kind === 'amount'
          ? BigInt(charge.need.amount)
          : BigInt(new Set(charge.need.members).size);
      if (charge.whenFull === 'retry' && alone <= BigInt(charge.max))
        return { kind: 'retry', reason: 'LIMIT_FULL_RETRY' };
      return reject({ reason: 'LIMIT_EXCEEDED', limit: charge.limit });
    }
    for (const { key, value } of facts) this.#facts.set(key, value);
    const expected = this.#record(proposal, now, words);
    for (const { key, keeps } of made.moments) {
      const since = keeps === 'first' ? (this.#moments.get(key)?.since ?? now) : now;
      this.#moments.set(key, { since, last: this.sequence });
    }
    return expected;
  }

  #isYoung(key: string, periodMs: number, now: number): boolean {
    const moment = this.#moments.get(key);
    return moment !== undefined && now < moment.since + periodMs;
  }

  /** Of charges for new destinations what those need that are new; nothing of one that needs nothing. */
  #applicable(charges: readonly Charge[], now: number): readonly Charge[] {
    return charges.flatMap((charge) => {
      if (charge.newOnly === undefined) return [charge];
      const { parts, forMs, combine } = charge.newOnly;
      const needs = parts
        .filter(({ moment }) => !this.#moments.has(moment) || this.#isYoung(moment, forMs, now))
        .map(({ need }) => need);
      if (charge.need.kind === 'distinct')
        return needs.length === 0 ? [] : [{ ...charge, need: { kind: 'distinct', members: needs } }];
      const amounts = needs.map(BigInt);
      let amount = 0n;
      for (const each of amounts) amount = combine === 'sum' ? amount + each : each > amount ? each : amount;
      return amount === 0n ? [] : [{ ...charge, need: { kind: 'amount', amount: String(amount) } }];
    });
  }

  #record(proposal: Proposal, now: number, words: Words): Expected {
    const holder = proposal.ask.moneyKey ?? proposal.ask.askKey;
    const counted = proposal.charges.filter(({ mode }) => mode === 'shadow' || words.effect === 'approve');
    const exceeds = (charge: Charge) => total(this.#charged(charge, holder, now)) > BigInt(charge.max);
    const exceeded = new Set(counted.filter(exceeds));
    for (const charge of counted) {
      if (charge.mode === 'shadow' && exceeded.size > 0) continue;
      this.#counters.set(nameOf(charge), this.#charged(charge, holder, now));
      this.#counted.set(nameOf(charge), charge.need.kind);
    }
    const use = counted.map((charge): CounterUse => {
      const { limit, counter, mode, window, max } = charge;
      const used = this.used(charge, now);
      const near = used >= BigInt(charge.near);
      return { limit, counter, mode, window, max, used: String(used), near, exceeded: exceeded.has(charge) };
    });
    return { ...this.#decide(proposal, now, words), use };
  }

  #decide(
    { ask, policyVersion }: Proposal,
    now: number,
    words: Words,
  ): Expected & { readonly kind: 'decided' | 'conflict' } {
    this.sequence += 1;
    const decision = { ...words, sequence: this.sequence, decidedAtMs: now, policyVersion };
    this.#asks.set(ask.askKey, { fingerprint: ask.fingerprint, decision });
    if (ask.binding !== undefined) {
      const { requestKey, txId } = ask.binding;
      this.#bindings.set(requestKey, { txId, last: this.sequence });
    }
    if (ask.moneyKey !== undefined) {
      const known = this.#transactions.get(ask.moneyKey);
      this.#transactions.set(ask.moneyKey, {
        core: ask.coreFingerprint,
        approved: known?.approved === true || words.effect === 'approve',
        rejected: known?.rejected === true || words.effect === 'reject',
        approvedAmount: known?.approvedAmount ?? (words.effect === 'approve' ? ask.amount : undefined),
        released: known?.released,
        last: this.sequence,
      });
    }
    return { kind: 'decided', repeated: false, decision, use: [] };
  }

  #conflict({ ask, policyVersion }: Proposal, now: number, reason: Decision['reason']): Expected {
    this.sequence += 1;
    const decision = {
      effect: 'reject',
      reason,
      sequence: this.sequence,
      decidedAtMs: now,
      policyVersion,
    } as const;
    this.#conflicts.set(variantOf(ask), decision);
    return { kind: 'conflict', repeated: false, decision };
  }

  #entriesInside(charge: Charge, now: number): Map<string, Entry> {
    const { window } = charge;
    const entries = [...(this.#counters.get(nameOf(charge)) ?? [])];
    if (window.kind !== 'rolling') return new Map(entries);
    return new Map(entries.filter(([, { at }]) => now - at <= window.lengthMs));
  }

  /** The counter's entries if the charge were made now. */
  #charged(charge: Charge, moneyKey: string, now: number): Map<string, Entry> {
    const entries = this.#entriesInside(charge, now);
    if (charge.need.kind === 'distinct') {
      for (const member of charge.need.members) entries.set(member, { at: now, amount: 1n });
      return entries;
    }
    const need = BigInt(charge.need.amount);
    const held = entries.get(moneyKey)?.amount ?? 0n;
    if (need > 0n || held > 0n) entries.set(moneyKey, { at: now, amount: need > held ? need : held });
    return entries;
  }
}

function nameOf({ counter, mode, window }: Charge): string {
  return JSON.stringify([counter, mode, window.kind === 'calendar' ? window.startMs : window.kind]);
}

function total(entries: Map<string, Entry>): bigint {
  return [...entries.values()].reduce((sum, { amount }) => sum + amount, 0n);
}

/** A store's reply in the model's terms. */
export function comparable(reply: CommitReply): Expected {
  switch (reply.kind) {
    case 'decided':
    case 'conflict': {
      const { sentence: _, ...decision } = reply.decision;
      const { kind, repeated } = reply;
      return { kind, repeated, decision, ...(reply.kind === 'decided' ? { use: reply.use } : {}) };
    }
    case 'retry':
      return { kind: 'retry', reason: reply.reason };
    default:
      return { kind: reply.kind };
  }
}

function variantOf({ askKey, fingerprint }: Proposal['ask']): string {
  return JSON.stringify([askKey, fingerprint]);
}
