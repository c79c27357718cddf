/** Why a policy answers what it answers to one request: data for programs, text for people. */
import { fromBaseUnits, USD_DECIMALS } from '../amount.js';
import type { Charge, Opinion, Verdict } from '../decision.js';
import { newNeed } from '../moments.js';
import { decimalText } from './cel.js';
import { evaluate, type Question, type RuleTrace } from './evaluate.js';
import type { Facts } from './facts.js';
import type { Failure } from './match.js';
import type { Rules } from './rulebook.js';

/** One counter of one limit: amounts are decimal text in the limit's own unit. */
export interface LimitUse {
  readonly limit: string;
  readonly counter: string;
  readonly mode: Charge['mode'];
  readonly used: string;
  readonly need: string;
  readonly max: string;
  readonly unit: string;
  readonly fits: boolean;
  /** False: it is for new destinations, and none of these is new. */
  readonly applies: boolean;
}

export interface Explanation {
  /** The verdict with the limits counted: what a ledger holding these counters would say. */
  readonly outcome: Opinion & { readonly limit?: string };
  readonly frozen: boolean;
  readonly rules: readonly RuleTrace[];
  readonly limits: readonly LimitUse[];
  readonly shadow: Opinion | undefined;
  readonly facts: Facts;
}

/** What a ledger is supposed to hold. */
export interface SupposedLedger {
  /** How much of a counter is used, in base units as decimal text. */
  used(charge: Charge): string;
  /** Since when something is, Unix milliseconds; undefined: the ledger does not know. */
  since(moment: string, facts: Facts): number | undefined;
}

export function explain(rules: Rules, question: Question, ledger: SupposedLedger): Explanation {
  const trace: RuleTrace[] = [];
  const { verdict, frozen, facts } = evaluate(rules, question, trace);
  const charges = [...verdict.charges, ...(verdict.shadow?.charges ?? [])];
  const supposed = { ledger, facts, instantMs: question.instantMs };
  return {
    outcome: settle(verdict, supposed),
    frozen,
    rules: trace,
    limits: charges.map((charge) => useOf(charge, supposed, rules)),
    shadow: verdict.shadow?.opinion,
    facts,
  };
}

export interface Supposed {
  readonly ledger: SupposedLedger;
  readonly facts: Facts;
  readonly instantMs: number;
}

/** What the ledger would make of a verdict: a destination that must wait, then the first limit without room. */
export function settle(verdict: Verdict, supposed: Supposed): Explanation['outcome'] {
  const { opinion, charges, coolingOff } = verdict;
  const rule = opinion.rule === undefined ? {} : { rule: opinion.rule };
  if (coolingOff?.keys.some((key) => isYoung(supposed, key, coolingOff.periodMs)) === true) {
    const { sentence } = coolingOff;
    return coolingOff.whenEarly === 'retry'
      ? { ...rule, effect: 'retry', reason: 'COOLING_OFF_RETRIES', sentence }
      : { ...rule, effect: 'reject', reason: 'COOLING_OFF', sentence };
  }
  for (const charge of charges) {
    const need = needUnits(charge, supposed);
    if (need === undefined || BigInt(supposed.ledger.used(charge)) + need <= BigInt(charge.max)) continue;
    const { limit, sentence } = charge;
    return charge.whenFull === 'retry' && need <= BigInt(charge.max)
      ? { ...rule, limit, effect: 'retry', reason: 'LIMIT_FULL_RETRY', sentence }
      : { ...rule, limit, effect: 'reject', reason: 'LIMIT_EXCEEDED', sentence };
  }
  return opinion;
}

function isYoung({ ledger, facts, instantMs }: Supposed, moment: string, periodMs: number): boolean {
  const since = ledger.since(moment, facts);
  return since !== undefined && since + periodMs > instantMs;
}

/** Undefined: the charge does not apply. */
function needUnits({ need, newOnly }: Charge, supposed: Supposed): bigint | undefined {
  const isNew = (moment: string) =>
    supposed.ledger.since(moment, supposed.facts) === undefined ||
    isYoung(supposed, moment, newOnly?.forMs ?? 0);
  const own = newOnly === undefined ? need : newNeed(newOnly, need, isNew);
  if (own === undefined) return undefined;
  return own.kind === 'amount' ? BigInt(own.amount) : BigInt(own.members.length);
}

/** The unit a limit's `max` is written in, and how many decimals its counters have. */
export function unitOf(
  charge: Charge,
  { policy }: Pick<Rules, 'policy'>,
): { readonly unit: string; readonly decimals: number } {
  const sum = policy.limits.get(charge.limit)?.limit.sum;
  switch (sum) {
    case 'usd':
      return { unit: 'USD', decimals: USD_DECIMALS };
    case 'native':
    case 'fee': {
      const id = /\|asset=([^|]*)/.exec(charge.counter)?.[1] ?? '';
      return { unit: id, decimals: policy.chains.asset(id)?.decimals ?? 0 };
    }
    case 'distinct':
      return { unit: 'destinations', decimals: 0 };
    case 'count':
    case undefined:
      return { unit: 'transactions', decimals: 0 };
  }
}

function useOf(charge: Charge, supposed: Supposed, rules: Rules): LimitUse {
  const { unit, decimals } = unitOf(charge, rules);
  const used = BigInt(supposed.ledger.used(charge));
  const applied = needUnits(charge, supposed);
  const need = applied ?? 0n;
  return {
    limit: charge.limit,
    counter: charge.counter,
    mode: charge.mode,
    used: fromBaseUnits(used, decimals),
    need: fromBaseUnits(need, decimals),
    max: fromBaseUnits(BigInt(charge.max), decimals),
    unit,
    fits: applied === undefined || used + need <= BigInt(charge.max),
    applies: applied !== undefined,
  };
}

export function renderExplanation(explanation: Explanation): string {
  const { outcome, frozen, rules, limits, shadow, facts } = explanation;
  const lines = [factsText(facts), ''];
  if (frozen) lines.push('A freeze covers this request: no rule was tried.', '');
  const width = Math.max(0, ...rules.map(({ rule }) => rule.length));
  for (const each of rules) lines.push(ruleText(each, width));
  if (rules.length > 0) lines.push('');
  if (limits.length > 0) lines.push(...limitLines(limits), '');
  if (shadow !== undefined) lines.push(`In shadow: ${shadow.sentence}`, '');
  const { effect, reason, sentence } = outcome;
  lines.push(`${effect.toUpperCase()}  ${reason}  ${sentence}`);
  return lines.map(printable).join('\n');
}

function ruleText({ rule, mode, effect, held, failure }: RuleTrace, width: number): string {
  const name = rule.padEnd(width);
  const shown = mode === 'shadow' ? `${effect}, in shadow` : effect;
  if (mode === 'off') return `  - ${name}  off`;
  if (failure === undefined && held) return `  ✓ ${name}  holds: ${shown}`;
  return `  ✗ ${name}  ${failure === undefined ? '' : failureText(failure)}`;
}

function failureText({ condition, wanted, seen, truth }: Failure): string {
  return `${condition} ${truth === 'unknown' ? 'is unknown' : `is ${seen}`}; wanted ${wanted}`;
}

function limitLines(limits: readonly LimitUse[]): readonly string[] {
  const width = Math.max(...limits.map(({ limit }) => limit.length));
  return limits.map(
    ({ limit, mode, used, need, max, unit, fits, applies }) =>
      `  ${fits ? '✓' : '✗'} ${limit.padEnd(width)}  used ${used} + this ${need} / max ${max} ${unit}${mode === 'shadow' ? ' (shadow)' : ''}${applies ? '' : ' (no destination is new)'}`,
  );
}

function factsText({ kind, stage, transaction, change, vault }: Facts): string {
  if (vault !== null)
    return `${kind} of vault ${vault.id ?? 'unknown'}: threshold ${vault.threshold ?? 'unknown'}, ${vault.devices?.length ?? 'unknown'} devices`;
  if (transaction === null) {
    const carried = Object.entries(change?.extraInfo ?? {}).map(([name, text]) => `, ${name} ${text}`);
    return `${kind} (${stage}) ${change?.type ?? ''}${carried.join('')}`.trim();
  }
  const { operation, asset, amount, decimals, usd, source, destinations } = transaction;
  const to = (destinations ?? []).map(({ key, address }) =>
    [key ?? 'unknown', address ?? ''].join(' ').trim(),
  );
  return [
    `${operation} (${stage}) of ${decimalText(amount, decimals)} ${asset}`,
    `worth ${decimalText(usd, USD_DECIMALS)} USD`,
    `from ${source.type}/${source.id} to ${to.length === 0 ? 'unknown' : to.join(', ')}`,
  ].join(', ');
}

/** Requests are other people's text: nothing of it may steer a terminal. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '·');
}
