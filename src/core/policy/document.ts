/** A policy document as text → the checked document, or one error that lists everything wrong with it. */
import type { z } from 'zod';
import { type Discrepancy, discrepanciesOf, type Pieces } from './consistency.js';
import { invalid, problemsOf } from './problems.js';
import {
  type Limit,
  limitSchema,
  listSchema,
  MAX_DOCUMENT_BYTES,
  type Match,
  matchSchema,
  type PolicyDocument,
  policySchema,
  type Rule,
  ruleSchema,
} from './schema.js';
import { pathText, readYaml } from './yaml.js';

/**
 * Throws POLICY_INVALID; its message names every problem as `<source>:<line>: <path>: <what is wrong>`.
 * @param source what the document is called in messages, usually the file's name
 */
export function parsePolicy(text: string, source: string): PolicyDocument {
  const read = readYaml(text, MAX_DOCUMENT_BYTES);
  if ('problems' in read) throw invalid(read.problems, source);
  const { document } = read;
  const parsed = policySchema.safeParse(document.value);
  const problems = parsed.success ? [] : problemsOf(parsed.error.issues, document);
  for (const { path, what } of discrepanciesOf(parsed.success ? parsed.data : piecesOf(document.value)))
    problems.push({ line: document.lineOf(path), path: pathText(path), what });
  if (!parsed.success || problems.length > 0) throw invalid(problems, source);
  return parsed.data;
}

/** The scope of a freeze: JSON text of a `match` block. Named lists belong to a document and cannot be used. */
export function parseScope(text: string, source: string): Match {
  const read = readYaml(text, MAX_DOCUMENT_BYTES);
  if ('problems' in read) throw invalid(read.problems, source);
  const parsed = matchSchema.safeParse(read.document.value);
  if (!parsed.success) throw invalid(problemsOf(parsed.error.issues, read.document), source);
  const rule: Rule = {
    ...{ name: 'freeze', mode: 'enforce', match: parsed.data, limits: [], effect: 'approve' },
  };
  const found: readonly Discrepancy[] = discrepanciesOf({ lists: {}, limits: {}, rules: [rule] });
  if (found.length > 0)
    throw invalid(
      found.map(({ path, what }) => ({ line: 1, path: pathText(path.slice(3)), what })),
      source,
    );
  return parsed.data;
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
