/** The commit script's arguments from a proposal, and a reply of the port from its answer. */
import type { Charge, UndecidedReason } from '../../core/decision.js';
import { CountersignError } from '../../core/errors.js';
import type { CoolingOff, NewOnly } from '../../core/moments.js';
import type { CommitReply, CounterEntry, CounterUse, Proposal } from '../../core/ports.js';
import type { Holding } from '../../core/release.js';
import { decisionOf } from '../decision-record.js';
import { askOf, chargedOf, chargeOf, factsOf } from '../journal-body.js';
import {
  CLOCK_TOLERANCE_MS,
  coolingOffSentence,
  countedCharges,
  freezeSentence,
  ledgerSentence,
} from '../proposal.js';
import type { CounterKeys, Keys } from './keys.js';
import type { Reply, SCRIPTS } from './scripts.js';

export interface Operands {
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

/** In the order commit.lua takes them; everything that becomes part of a record is ready JSON. */
export function commitOperands(keys: Keys, proposal: Proposal): Operands {
  const { ask, versions, opinion, charges, facts } = proposal;
  const counters = charges.map((charge) => counterOperands(keys.counter(charge), charge));
  return {
    keys: [
      keys.meta,
      keys.journal,
      keys.pending,
      keys.asks,
      keys.conflicts,
      keys.transactions,
      keys.bindings,
      keys.facts,
      keys.moments,
      ...counters.flatMap((counter) => counter.keys),
    ],
    args: [
      String(proposal.nowMs),
      String(CLOCK_TOLERANCE_MS),
      versions.ledger,
      String(versions.epoch),
      String(versions.policy),
      String(versions.freezes),
      ask.askKey,
      ask.fingerprint,
      JSON.stringify(askOf(ask)),
      ask.binding?.requestKey ?? '',
      ask.binding?.txId ?? '',
      ask.moneyKey ?? '',
      ask.coreFingerprint ?? '-',
      ask.amount ?? '-',
      proposal.journal,
      JSON.stringify(proposal.policyVersion),
      proposal.frozen ? '1' : '0',
      opinion.effect,
      opinion.reason,
      JSON.stringify(opinion.sentence),
      memberJson('rule', opinion.rule),
      JSON.stringify(ledgerSentence('CONFLICT_BINDING')),
      JSON.stringify(ledgerSentence('CONFLICT_CONTENT')),
      JSON.stringify(ledgerSentence('CONFLICT_TRANSACTION')),
      JSON.stringify(ledgerSentence('CONFLICT_AMOUNT')),
      JSON.stringify(ledgerSentence('REJECTED_BEFORE')),
      JSON.stringify(ledgerSentence('RELEASED_BEFORE')),
      String(charges.length),
      ...charges.flatMap((charge, index) => chargeArguments(charge, counters[index]?.args ?? [])),
      facts.length === 0 ? '' : memberJson('facts', factsOf(facts)),
      String(facts.length),
      ...facts.flatMap((fact) => [fact.key, fact.value, fact.reason, JSON.stringify(fact.sentence)]),
      ...coolingOffArguments(proposal.coolingOff),
      String(proposal.moments.length),
      ...proposal.moments.flatMap(({ keeps, key }) => [keeps, key, JSON.stringify(key)]),
    ],
  };
}

/** A counter as arguments.lua takes it. */
export function counterOperands(
  { held, times, members }: CounterKeys,
  { window, need }: Pick<Charge, 'window' | 'need'>,
): Operands {
  const span = window.kind === 'rolling' ? [window.kind, String(window.lengthMs)] : [window.kind];
  if (need.kind === 'distinct') {
    const names = [...new Set(need.members)];
    return { keys: [members], args: [...span, need.kind, String(names.length), ...names] };
  }
  return {
    keys: window.kind === 'rolling' ? [held, times] : [held],
    args: [...span, need.kind, need.amount],
  };
}

/** An entry as the function `fill` of counters.lua takes it. */
export function entryOperands(keys: Keys, entry: CounterEntry): Operands {
  const counter = counterOperands(keys.counter({ ...entry, mode: 'enforce' }), entry);
  return { keys: counter.keys, args: [...counter.args, entry.moneyKey, String(entry.atMs)] };
}

/** The counter that a transaction holds something in; what it needs there is not looked at. */
export function holdingOperands(keys: Keys, holding: Pick<Holding, 'counter' | 'mode' | 'window'>): Operands {
  const need = { kind: 'amount', amount: '0' } as const;
  return counterOperands(keys.counter(holding), { window: holding.window, need });
}

/** A list: how many, then each. */
export function listOperands(list: readonly Operands[]): Operands {
  return {
    keys: list.flatMap((each) => each.keys),
    args: [String(list.length), ...list.flatMap((each) => each.args)],
  };
}

function chargeArguments(charge: Charge, counter: readonly string[]): readonly string[] {
  const { window } = charge;
  const span = window.kind === 'calendar' ? [String(window.startMs), String(window.endMs)] : ['', ''];
  return [
    ...span,
    ...counter,
    charge.mode,
    charge.max,
    charge.near,
    charge.whenFull,
    JSON.stringify(charge.sentence),
    memberJson('limit', charge.limit),
    // The script adds what was charged, and the closing brace; the need too, where it finds out what that is.
    JSON.stringify(charge.newOnly === undefined ? chargeOf(charge) : chargedOf(charge)).slice(0, -1),
    ...partArguments(charge.newOnly),
  ];
}

function partArguments(newOnly: NewOnly | undefined): readonly string[] {
  if (newOnly === undefined) return [''];
  const { forMs, combine, parts } = newOnly;
  return [
    ...[String(forMs), combine, String(parts.length)],
    ...parts.flatMap(({ moment, need }) => [moment, need]),
  ];
}

function coolingOffArguments(coolingOff: CoolingOff | undefined): readonly string[] {
  if (coolingOff === undefined) return [''];
  const { keys, periodMs, whenEarly, sentence } = coolingOff;
  return [whenEarly, String(periodMs), JSON.stringify(sentence), String(keys.length), ...keys];
}

function memberJson(name: string, value: unknown): string {
  return value === undefined ? '' : `,${JSON.stringify(name)}:${JSON.stringify(value)}`;
}

/** What the commit script answered. */
export interface Committed {
  readonly reply: CommitReply;
  /** What witnesses must have before the reply may be relied upon; empty text when nothing is missing there. */
  readonly event: string;
}

/** Undefined: expired entries are left, call again. */
export function committed(
  answer: Reply<Exclude<(typeof SCRIPTS.commit.codes)[number], 'FENCED'>>,
  proposal: Proposal,
): Committed | undefined {
  const { code, fields } = answer;
  if (code === 'TRIM_AGAIN') return undefined;
  if (code === 'EXPIRING') throw expiring();
  const records = code === 'DECIDED' || code === 'CONFLICT';
  return { reply: replyOf(code, fields, proposal), event: (records ? fields[3] : undefined) ?? '' };
}

function replyOf(
  code: Exclude<(typeof SCRIPTS.commit.codes)[number], 'FENCED' | 'TRIM_AGAIN' | 'EXPIRING'>,
  fields: readonly string[],
  proposal: Proposal,
): CommitReply {
  const [now = '', second = '', third = '', , ...use] = fields;
  const ledgerNowMs = Number(now);
  switch (code) {
    case 'DECIDED': {
      const decision = decisionOf(third);
      return {
        kind: 'decided',
        ledgerNowMs,
        repeated: second === '1',
        decision,
        use: useOf(use, countedCharges(proposal, decision)),
      };
    }
    case 'CONFLICT':
      return { kind: 'conflict', ledgerNowMs, repeated: second === '1', decision: decisionOf(third) };
    case 'RETRY':
      return { kind: 'retry', ledgerNowMs, ...retryOf(second, Number(third), proposal) };
    case 'STALE':
      return { kind: 'stale', ledgerNowMs };
    case 'WINDOW_MOVED':
      return { kind: 'window-moved', ledgerNowMs };
    case 'CLOCK_SKEW':
      throw new CountersignError(
        'CLOCK_SKEW',
        `the ledger's clock and this replica's differ by ${Math.abs(ledgerNowMs - proposal.nowMs)} ms`,
      );
  }
}

/** Passes by itself: the janitor is about to forget it, and then the question is a new one. */
export function expiring(): CountersignError {
  return new CountersignError(
    'LEDGER_UNAVAILABLE',
    'what the ledger knows of it is older than the retention, and is being forgotten: ask again',
  );
}

function retryOf(
  reason: string,
  charge: number,
  proposal: Proposal,
): { readonly reason: UndecidedReason; readonly sentence: string } {
  const { opinion, charges } = proposal;
  const full = charges[charge - 1];
  if (full !== undefined) return { reason: 'LIMIT_FULL_RETRY', sentence: full.sentence };
  if (reason === 'COOLING_OFF_RETRIES') return { reason, sentence: coolingOffSentence(proposal) };
  if (reason !== 'FREEZE_RETRIES' && opinion.effect === 'retry') {
    return { reason: opinion.reason, sentence: opinion.sentence };
  }
  return { reason: 'FREEZE_RETRIES', sentence: freezeSentence(proposal) };
}

function useOf(fields: readonly string[], charges: readonly Charge[]): readonly CounterUse[] {
  if (fields.length === 0) return [];
  return charges.flatMap(({ limit, counter, mode, window, max }, index) => {
    const [used = '', near, exceeded] = fields.slice(3 * index, 3 * index + 3);
    if (used === '') return [];
    return [{ limit, counter, mode, window, max, used, near: near === '1', exceeded: exceeded === '1' }];
  });
}
