/** A checked document, made ready to be asked thousands of times a second. */
import { createHash } from 'node:crypto';
import type { Chains, Freeze } from '../ports.js';
import { compileExpression } from './cel.js';
import { changeTypeOf } from './change-types.js';
import { type CompiledLimit, compileLimit } from './charges.js';
import { type Condition, type Conditions, compileConditions, type Occasion } from './conditions.js';
import { parsePolicy, parseScope } from './document.js';
import { namesThresholdAndDevices, type PolicyDocument, type Rule } from './schema.js';
import { truthOf } from './truth.js';
import type { VerificationSettings } from './verification.js';

export interface CompiledPolicy {
  /** SHA-256 of the document's bytes, hex. */
  readonly version: string;
  readonly document: PolicyDocument;
  readonly verification: VerificationSettings;
  /** In order; rules that are off are among them. */
  readonly rules: readonly CompiledRule[];
  readonly limits: ReadonlyMap<string, CompiledLimit>;
  readonly chains: Chains;
}

export interface CompiledRule {
  readonly rule: Rule;
  readonly conditions: Conditions;
  /** What an approval by this rule is charged to: the limits it names, and those that count everything. */
  readonly limits: readonly CompiledLimit[];
}

export interface CompiledFreeze {
  readonly freeze: Freeze;
  readonly conditions: Conditions;
}

/** Parses, validates and compiles; throws POLICY_INVALID naming path and line. */
export function compilePolicy(text: string, source: string, chains: Chains): CompiledPolicy {
  const document = parsePolicy(text, source);
  const limits = new Map(
    Object.entries(document.limits).map(([name, limit]) => [name, compileLimit(name, limit)]),
  );
  const countsAll = [...limits.values()].filter(({ limit }) => limit.counts === 'all');
  return {
    version: createHash('sha256').update(text).digest('hex'),
    document,
    verification: document.verification,
    rules: document.rules.map((rule) => {
      const named = rule.limits.flatMap((name) => limits.get(name) ?? []);
      const expression =
        rule.when === undefined ? undefined : { ...compileExpression(rule.when), text: rule.when };
      const conditions = compileConditions(rule.match, expression, { lists: document.lists, chains });
      return {
        rule,
        conditions: { ...conditions, request: [...conditions.request, ...unthoughtOf(rule)] },
        limits: rule.effect === 'approve' ? [...new Set([...named, ...countsAll])] : [],
      };
    }),
    limits,
    chains,
  };
}

/** Of a rule that approves whatever there is, nobody has thought which devices may hold the keys. */
const NO_VAULT: Condition<Occasion> = {
  path: 'vault',
  wanted: 'a rule that names vault.threshold.min and vault.device',
  test: ({ facts }) => truthOf(facts.vault === null),
  seen: ({ facts }) => facts.kind,
};

/** Nor what a change does that the vendor has not documented. */
const NO_UNKNOWN_CHANGE: Condition<Occasion> = {
  path: 'type',
  wanted: 'a rule that names the type',
  test: ({ facts }) => truthOf(facts.change === null || changeTypeOf(facts.change.type) !== undefined),
  seen: ({ facts }) => facts.change?.type ?? 'unknown',
};

/** What a rule does not hold for, because it approves and does not speak of it. */
function unthoughtOf({ effect, match }: Rule): readonly Condition<Occasion>[] {
  if (effect !== 'approve') return [];
  return [
    ...(namesThresholdAndDevices(match) ? [] : [NO_VAULT]),
    ...(match.type === undefined ? [NO_UNKNOWN_CHANGE] : []),
  ];
}

/** Throws POLICY_INVALID when the freeze's scope is no `match` block. */
export function compileFreeze(freeze: Freeze, chains: Chains): CompiledFreeze {
  const scope = parseScope(freeze.scope, `freeze ${freeze.id}`);
  return { freeze, conditions: compileConditions(scope, undefined, { lists: {}, chains }) };
}
