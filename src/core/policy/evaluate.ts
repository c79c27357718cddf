/**
 * The policy's opinion of one request. Pure: the same rules, request, examination and instant give the same
 * verdict. Replica, `policy test` and `policy explain` all call this function.
 */
import {
  type Charge,
  MAX_CHARGES,
  type Opinion,
  REASONS,
  type ReasonCode,
  type Verdict,
} from '../decision.js';
import { CountersignError, unreachable } from '../errors.js';
import type { Request } from '../request.js';
import type { Examination } from '../verify.js';
import { vaultRefusal } from './change-facts.js';
import { chargesOf, needsOf } from './charges.js';
import type { CompiledFreeze, CompiledPolicy, CompiledRule } from './compile.js';
import type { Occasion } from './conditions.js';
import { type Facts, factsOf } from './facts.js';
import { approvalHolds, type Failure, freezeCovers, otherHolds } from './match.js';
import { coolingOffOf, momentsOf } from './remembered.js';
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
  readonly facts: Facts;
}

/** What became of one rule; in order, up to the one that decided. */
export interface RuleTrace {
  readonly rule: string;
  readonly mode: 'enforce' | 'shadow' | 'off';
  readonly effect: string;
  readonly held: boolean;
  /** Absent when the rule held, or is off. */
  readonly failure?: Failure;
}

/** @param trace collects what became of every rule that was tried, for people */
export function evaluate(rules: Rules, question: Question, trace?: RuleTrace[]): Evaluation {
  const { policy, freezes } = rules;
  const facts = factsOf(question.request, question.examination, policy.chains);
  const occasion: Occasion = { facts, instantMs: question.instantMs };
  const frozen = freezeOpinion(freezes, occasion);
  if (frozen !== undefined) return { verdict: { opinion: frozen, charges: [] }, frozen: true, facts };
  return { verdict: verdictOf({ rules, question, occasion }, trace), frozen: false, facts };
}

/** Names under which the ledger may know destinations of one transaction: one atomic step must stay short. */
const MAX_WAITING = 1024;

interface Context {
  readonly rules: Rules;
  readonly question: Question;
  readonly occasion: Occasion;
}

function verdictOf(context: Context, trace: RuleTrace[] | undefined): Verdict {
  let shadow: Verdict['shadow'];
  for (const compiled of context.rules.policy.rules) {
    const { rule, conditions } = compiled;
    const { name, mode, effect } = rule;
    if (mode === 'off') {
      trace?.push({ rule: name, mode, effect, held: false });
      continue;
    }
    // Of the rules in shadow the first that holds is told; the others only to whoever asks for a trace.
    if (mode === 'shadow' && shadow !== undefined && trace === undefined) continue;
    const holds = effect === 'approve' ? approvalHolds : otherHolds;
    const failure = holds(conditions, context.occasion);
    trace?.push({ rule: name, mode, effect, held: failure === undefined, ...(failure && { failure }) });
    if (failure !== undefined) continue;
    if (mode === 'shadow') {
      const { opinion, charges } = opinionOf(compiled, 'shadow', context);
      shadow ??= { opinion, charges };
      continue;
    }
    return withShadow(opinionOf(compiled, 'enforce', context), shadow);
  }
  return {
    opinion: {
      effect: 'reject',
      reason: 'NO_RULE_MATCHED',
      sentence: 'No rule of the policy covers this request.',
    },
    charges: [],
    ...(shadow && { shadow }),
  };
}

/** Shadow is the first to go when there are too many charges: it must not change an answer. */
function withShadow(judgement: Judgement, shadow: Verdict['shadow']): Verdict {
  if (shadow === undefined) return judgement;
  const fits = judgement.charges.length + shadow.charges.length <= MAX_CHARGES;
  return { ...judgement, shadow: fits ? shadow : { ...shadow, charges: [] } };
}

type Judgement = Omit<Verdict, 'shadow'>;

function opinionOf(compiled: CompiledRule, mode: Charge['mode'], context: Context): Judgement {
  const { name: rule, effect } = compiled.rule;
  switch (effect) {
    case 'approve':
      return approvalOf(compiled, mode, context);
    case 'reject':
      return without({ rule, effect, reason: 'RULE_REJECTS', sentence: `Refused by rule ${rule}.` });
    case 'retry':
      return without({
        rule,
        effect,
        reason: 'RULE_RETRIES',
        sentence: `Rule ${rule} says to ask again later.`,
      });
    case 'ignore':
      return without({
        rule,
        effect,
        reason: 'RULE_IGNORES',
        sentence: `Rule ${rule} leaves this request to other approvers.`,
      });
    default:
      return unreachable(effect);
  }
}

function without(opinion: Opinion): Judgement {
  return { opinion, charges: [] };
}

/** An approving rule holds: the bytes must agree too, and every limit must be known to be chargeable. */
function approvalOf(compiled: CompiledRule, mode: Charge['mode'], context: Context): Judgement {
  const { name: rule } = compiled.rule;
  const refusal =
    verificationOpinion(compiled, context.question) ??
    boundlessOpinion(rule, context.question, context.occasion.facts);
  if (refusal !== undefined) return without(refusal);
  const { policy, instances } = context.rules;
  const charges: Charge[] = [];
  for (const limit of context.occasion.facts.transaction !== null || compiled.rule.limits.length > 0
    ? compiled.limits
    : []) {
    const needed = needsOf(limit.limit, context.occasion.facts);
    if ('unknown' in needed)
      return without({
        rule,
        effect: 'reject',
        reason: 'AMOUNT_UNKNOWN',
        sentence: `Limit ${limit.name} must be charged, and ${needed.unknown}.`,
      });
    const prefix = Object.hasOwn(instances, limit.name) ? instances[limit.name] : undefined;
    if (prefix === undefined)
      throw new CountersignError('INTERNAL', `limit ${limit.name} has no instance in the ledger`);
    const { instantMs } = context.question;
    const decimalsOf = (asset: string) => decimalsIn(policy, context.occasion.facts, asset);
    charges.push(...chargesOf(limit, needed.needs, { prefix, mode, instantMs, decimalsOf }));
  }
  const { facts } = context.occasion;
  const coolingOff = coolingOffOf(facts, policy.document, policy.chains);
  if (charges.length > MAX_CHARGES || (coolingOff?.keys.length ?? 0) > MAX_WAITING)
    return without({
      rule,
      effect: 'reject',
      reason: 'CHARGES_TOO_MANY',
      sentence: `The limits of rule ${rule} would be charged for too many destinations at once.`,
    });
  return {
    opinion: { rule, effect: 'approve', reason: 'APPROVED', sentence: `Approved by rule ${rule}.` },
    charges,
    moments: momentsOf(facts, policy.document, policy.chains),
    ...(coolingOff && { coolingOff }),
  };
}

function decimalsIn(policy: CompiledPolicy, { transaction }: Facts, asset: string): number {
  const decimals =
    policy.chains.asset(asset)?.decimals ??
    (transaction?.fee?.asset === asset ? transaction.fee.decimals : undefined);
  if (decimals === undefined)
    throw new CountersignError('INTERNAL', 'an asset that moves is not in the registry');
  return decimals;
}

/** What no rule can approve. */
function boundlessOpinion(rule: string, { request }: Question, facts: Facts): Opinion | undefined {
  const reason = boundlessReason(request, facts);
  if (reason === undefined) return undefined;
  return { rule, effect: 'reject', reason, sentence: `Not approved: ${REASONS[reason]}.` };
}

/** What has no known end, what pays more destinations than anybody looks at, and a vault that is not shared. */
function boundlessReason(request: Request, { transaction, vault }: Facts): ReasonCode | undefined {
  if (request.unsigned !== undefined && request.unsigned.expiresAtMs === undefined) return 'EXPIRY_UNKNOWN';
  if (request.kind === 'transaction' && transaction?.destinations === null)
    return request.intent.destinations.length === 0 ? undefined : 'DESTINATIONS_TOO_MANY';
  return vault === null ? undefined : vaultRefusal(vault);
}

/** Why an approval may not follow from the bytes; undefined when it may. */
function verificationOpinion({ rule }: CompiledRule, question: Question): Opinion | undefined {
  const { request, examination } = question;
  if (request.kind !== 'transaction' && request.kind !== 'sign') return undefined;
  // Where no later question brings bytes, to do without them is for the rule to say.
  const isLast = request.stage === 'signing' || request.unsigned !== undefined;
  const demand = rule.verify ?? (isLast ? 'required' : 'if-present');
  switch (examination.kind) {
    case 'agrees':
    case 'skipped':
      return undefined;
    case 'refused': {
      // Nothing about an unknown asset is known, its decimals included: no setting accepts that.
      const { reason, detail } = examination;
      if (demand === 'off' && reason !== 'ASSET_UNKNOWN') return undefined;
      const why = detail === '' ? REASONS[reason] : detail;
      return {
        rule: rule.name,
        effect: 'reject',
        reason,
        sentence: sentenceOf(`The bytes were not accepted: ${why}`),
      };
    }
    case 'absent':
      if (demand !== 'required') return undefined;
      return {
        rule: rule.name,
        effect: 'reject',
        reason: 'RAWTX_MISSING',
        sentence: sentenceOf(
          `Rule ${rule.name} needs the raw transaction; where the vendor never sends it (EU cloud, Virtual Signers), verify: if-present in the rule accepts that`,
        ),
      };
    case 'unavailable':
      if (demand === 'off') return undefined;
      return {
        rule: rule.name,
        effect: 'retry',
        reason: 'EVIDENCE_UNAVAILABLE',
        sentence: 'A source needed to verify the bytes cannot be reached; ask again.',
      };
    case 'not-applicable':
      throw new CountersignError('INTERNAL', 'a transaction was not examined');
    default:
      return unreachable(examination);
  }
}

/** What the freezes say together; undefined when none covers the request. */
function freezeOpinion(freezes: readonly CompiledFreeze[], occasion: Occasion): Opinion | undefined {
  const covering = freezes.flatMap(({ freeze, conditions }) => {
    if (freeze.expiresAtMs !== undefined && occasion.instantMs >= freeze.expiresAtMs) return [];
    const covers = freezeCovers(conditions, occasion);
    return covers === 'false' ? [] : [{ freeze, covers }];
  });
  if (covering.length === 0) return undefined;
  // A rejection is final: one that only asks for patience prevails, and nothing unknown is a reason to refuse for good.
  return covering.every(({ freeze, covers }) => freeze.answers === 'reject' && covers === 'true')
    ? { effect: 'reject', reason: 'FROZEN', sentence: 'A freeze covers this request.' }
    : {
        effect: 'retry',
        reason: 'FREEZE_RETRIES',
        sentence: 'A freeze covers this request; ask again later.',
      };
}

const MAX_SENTENCE = 200;

/** One line that is safe to show: details may quote what a stranger wrote. */
function sentenceOf(text: string): string {
  const line = text.replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu, ' ').trim();
  return line.length < MAX_SENTENCE
    ? `${line.replace(/\.$/, '')}.`
    : `${[...line].slice(0, MAX_SENTENCE - 2).join('')}…`;
}
