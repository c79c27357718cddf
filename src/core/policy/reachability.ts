/** Rules that can never decide, because an earlier one holds whenever they do. */
import type { Rule } from './schema.js';

/** Facts that every request carries: a condition on them is never unknown. */
const ALWAYS_KNOWN = new Set(['kind', 'stage', 'cosigner', 'schedule']);

/** A sentence that names the earlier rule; undefined when nothing is known to stand in the way. */
export function unreachableBecause(rule: Rule, earlier: readonly (Rule | undefined)[]): string | undefined {
  if (rule.mode === 'off') return undefined;
  const own = conditionsOf(rule);
  for (const other of earlier) {
    // A shadow rule decides nothing, but the first of two equal ones is the only one that is recorded.
    if (other === undefined || other.mode === 'off' || (other.mode === 'shadow' && rule.mode !== 'shadow'))
      continue;
    const others = conditionsOf(other);
    if (others.size === 0) return `can never be reached: rule ${other.name} catches everything`;
    if (![...others].every(([key, value]) => own.get(key) === value)) continue;
    if (others.size === own.size) return `can never be reached: rule ${other.name} has the same match`;
    // A rule that approves does not hold on an unknown fact, where a later one that does not approve may.
    const certain = [...others.keys()].every((key) => ALWAYS_KNOWN.has(key));
    if (other.effect !== 'approve' || rule.effect === 'approve' || certain)
      return `can never be reached: rule ${other.name} holds whenever it would`;
  }
  return undefined;
}

/** Every rule is compared with every other: their forms are made once. */
const FORMS = new WeakMap<Rule, ReadonlyMap<string, string>>();

function conditionsOf(rule: Rule): ReadonlyMap<string, string> {
  const known = FORMS.get(rule);
  if (known !== undefined) return known;
  const made = formOf(rule);
  FORMS.set(rule, made);
  return made;
}

/** One entry for each condition, in a form that is equal when the condition is. */
function formOf({ match, when }: Rule): ReadonlyMap<string, string> {
  const conditions = new Map<string, string>();
  for (const [key, value] of Object.entries(match))
    if (value !== undefined) conditions.set(key, canonical(value));
  if (when !== undefined) conditions.set('when', when.trim());
  return conditions;
}

/** Only the arguments of a call have an order that means something. */
function canonical(value: unknown, ordered = false): string {
  if (Array.isArray(value)) {
    const entries = value.map((entry) => canonical(entry));
    if (!ordered && entries.length === 1) return entries[0] ?? '';
    return `[${(ordered ? entries : entries.sort()).join(',')}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member, key === 'args')}`)
    .sort()
    .join(',')}}`;
}
