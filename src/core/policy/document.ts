/** A policy document as text → the checked document, or one error that lists everything wrong with it. */
import type { z } from 'zod';
import { checkValue, openDocument, readDocument } from '../document.js';
import { assert } from '../errors.js';
import { discrepanciesOf, type Pieces } from './consistency.js';
import {
  type Limit,
  limitSchema,
  listSchema,
  type Match,
  matchSchema,
  type PolicyDocument,
  policySchema,
  type Rule,
  ruleSchema,
} from './schema.js';

/**
 * Throws POLICY_INVALID; its message names every problem as `<source>:<line>: <path>: <what is wrong>`, in the order of
 * the document.
 * @param source what the document is called in messages, usually the file's name
 */
export function parsePolicy(text: string, source: string): PolicyDocument {
  const document = openDocument(text, { source, code: 'POLICY_INVALID' });
  const checked = checkValue(document.value, policySchema);
  const problems =
    'value' in checked
      ? discrepanciesOf(checked.value)
      : [...checked.problems, ...discrepanciesOf(piecesOf(document.value))];
  document.report([...problems].sort((a, b) => document.lineOf(a.path) - document.lineOf(b.path)));
  assert('value' in checked, 'a document with problems was reported');
  return checked.value;
}

/** The scope of a freeze: JSON text of a `match` block. Named lists belong to a document and cannot be used. */
export function parseScope(text: string, source: string): Match {
  const { value: match, document } = readDocument(text, matchSchema, { source, code: 'POLICY_INVALID' });
  const rule: Rule = { name: 'freeze', mode: 'enforce', match, limits: [], effect: 'approve' };
  const found = discrepanciesOf({ lists: {}, limits: {}, rules: [rule] });
  // What is said about the match of the only rule is said about the scope.
  document.report(found.map(({ path, message }) => ({ path: path.slice(3), message })));
  return match;
}

/** Whatever of a faulty document is sound by itself, so that its other faults are named in the same breath. */
function piecesOf(value: unknown): Pieces {
  const root = recordOf(value);
  return {
    lists: mapped(root.lists, (list) => sound(listSchema.safeParse(list))),
    limits: mapped(root.limits, (limit) => sound<Limit>(limitSchema.safeParse(limit))),
    rules: Array.isArray(root.rules)
      ? root.rules.slice(0, 1000).map((rule) => sound<Rule>(ruleSchema.safeParse(rule)))
      : [],
  };
}

function sound<Value>(parsed: z.ZodSafeParseResult<Value>): Value | undefined {
  return parsed.success ? parsed.data : undefined;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function mapped<Value>(value: unknown, parse: (entry: unknown) => Value): Readonly<Record<string, Value>> {
  return Object.fromEntries(Object.entries(recordOf(value)).map(([key, entry]) => [key, parse(entry)]));
}
