/**
 * Reading an operator's YAML document against a schema: every problem at once, each with its line and path, and
 * with a suggestion where a key is misspelled. Used for the configuration and the policy document alike.
 */
import { isMap, isScalar, LineCounter, type ParsedNode, parseDocument, type YAMLError } from 'yaml';
import type { z } from 'zod';
import { CountersignError, type ErrorCode, messageOf } from './errors.js';

export interface Problem {
  /** The way to the value from the top, e.g. `['rules', 2, 'match']`. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

export interface DocumentKind {
  /** What a message calls the document, usually its file name. */
  readonly source: string;
  readonly code: ErrorCode;
}

/** Documents above this are refused before they are parsed. */
const MAX_BYTES = 1_048_576;
/** So that a document with many mistakes stays readable. */
const MAX_PROBLEMS = 50;

/** A parsed document that can still say where in its text a value stands. */
export interface OpenDocument {
  readonly value: unknown;
  /** The line of a value, or of the nearest thing around it that is there; from 1. */
  lineOf(path: readonly PropertyKey[]): number;
  /** Throws one error that lists all problems; does nothing when there are none. */
  report(problems: readonly Problem[]): void;
}

/** Text → value. YAML errors, duplicate keys, aliases that expand without end and oversized text are refused. */
export function openDocument(text: string, { source, code }: DocumentKind): OpenDocument {
  if (Buffer.byteLength(text) > MAX_BYTES) {
    throw new CountersignError(code, `${source}: larger than ${MAX_BYTES / 1_048_576} MiB`);
  }
  const lines = new LineCounter();
  const document = parsed(text, lines, { source, code });
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const broken: readonly YAMLError[] = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    // The parser recurses, and reports an exhausted stack once for each level.
    if (broken.some(({ message }) => message.startsWith('Maximum call stack')))
      throw new CountersignError(code, `${source}: nested too deep`);
    const shown = broken.map((error) => `${source}:${lineAt(error.pos[0])}: ${firstLine(error.message)}`);
    throw new CountersignError(code, [...new Set(shown)].slice(0, MAX_PROBLEMS).join('\n'));
  }
  const lineOf = (path: readonly PropertyKey[]): number =>
    lineAt(nodeAt(document.contents, path)?.range?.[0] ?? 0);
  return {
    value: toValue(() => document.toJS({ maxAliasCount: 100 }), { source, code }),
    lineOf,
    report(problems) {
      if (problems.length === 0) return;
      const shown = problems
        .slice(0, MAX_PROBLEMS)
        .map(
          ({ path, message }) =>
            `${source}:${lineOf(path)}: ${path.length === 0 ? '' : `${pathText(path)}: `}${message}`,
        );
      const rest = problems.length - shown.length;
      if (rest > 0) shown.push(`… and ${rest} more`);
      throw new CountersignError(code, shown.join('\n'));
    },
  };
}

function parsed(text: string, lineCounter: LineCounter, { source, code }: DocumentKind) {
  try {
    return parseDocument(text, { lineCounter, uniqueKeys: true, strict: true, version: '1.2' });
  } catch (cause) {
    const why = cause instanceof RangeError ? 'nested too deep' : firstLine(messageOf(cause));
    throw new CountersignError(code, `${source}: ${why}`, { cause });
  }
}

/** Text → value of the schema's type, or one error that lists every problem. */
export function readDocument<S extends z.ZodType>(
  text: string,
  schema: S,
  kind: DocumentKind,
): { readonly value: z.output<S>; readonly document: OpenDocument } {
  const document = openDocument(text, kind);
  const checked = checkValue(document.value, schema);
  if ('problems' in checked) document.report(checked.problems);
  return { value: ('value' in checked ? checked.value : undefined) as z.output<S>, document };
}

/** Like {@link readDocument} without throwing, for documents of which more can be said than the schema does. */
export function checkValue<S extends z.ZodType>(
  value: unknown,
  schema: S,
): { readonly value: z.output<S> } | { readonly problems: readonly Problem[] } {
  const checked = schema.safeParse(value, { error: knownKeysAsMessage });
  return checked.success ? { value: checked.data } : { problems: problemsOf(checked.error.issues, value) };
}

/** `rules[2].match.asset` */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}

function problemsOf(issues: readonly z.core.$ZodIssue[], value: unknown): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map((key) => ({
          path: [...issue.path, key],
          message: `unknown key${siblingHint(key, issue)}`,
        }));
      case 'invalid_union': {
        // The branch that got furthest is the one that was meant.
        const branches = issue.errors.filter((branch) => branch.length > 0);
        const nearest = branches.sort((a, b) => depth(b) - depth(a))[0];
        if (nearest === undefined || depth(nearest) === 0)
          return [{ path: issue.path, message: issue.message }];
        return problemsOf(
          nearest.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })),
          value,
        );
      }
      case 'invalid_type':
        return [
          {
            path: issue.path,
            message: issue.input === undefined && isMissing(value, issue.path) ? 'is missing' : issue.message,
          },
        ];
      case 'invalid_key':
        return [{ path: issue.path, message: issue.issues[0]?.message ?? issue.message }];
      default:
        return [{ path: issue.path, message: issue.message }];
    }
  });
}

function depth(branch: readonly z.core.$ZodIssue[]): number {
  return Math.max(...branch.map((issue) => issue.path.length + (issue.code === 'unrecognized_keys' ? 1 : 0)));
}

function isMissing(value: unknown, path: readonly PropertyKey[]): boolean {
  let at: unknown = value;
  for (const part of path) {
    if (typeof at !== 'object' || at === null) return true;
    at = (at as Record<PropertyKey, unknown>)[part];
  }
  return at === undefined;
}

/** Zod names the unknown keys but not the known ones; only here can the schema still be asked for them. */
const knownKeysAsMessage: z.core.$ZodErrorMap = (issue) => {
  if (issue.code !== 'unrecognized_keys') return undefined;
  const definition = issue.inst?._zod.def;
  return definition !== undefined && 'shape' in definition
    ? Object.keys(definition.shape as object).join(' ')
    : '';
};

function siblingHint(key: string, issue: z.core.$ZodIssueUnrecognizedKeys): string {
  const known = issue.message.split(' ').filter((name) => name !== '');
  const near = nearestOf(key, known);
  if (near !== undefined) return `; did you mean ${near}?`;
  return known.length > 0 ? `; known keys are ${known.join(', ')}` : '';
}

/** Text longer than this is nobody's typing error. */
const MAX_WORD = 64;

/** The known word that a misspelled one was probably meant to be. */
export function nearestOf(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_WORD) return undefined;
  const near = known
    .filter((name) => name.length <= MAX_WORD)
    .map((name) => ({ name, distance: editDistance(word.toLowerCase(), name.toLowerCase()) }))
    .sort((one, other) => one.distance - other.distance)[0];
  // Of one or two letters every other short word would be near.
  const allowed = near === undefined || word.length < 3 ? 0 : Math.max(1, Math.floor(near.name.length / 3));
  return near !== undefined && near.distance <= allowed ? near.name : undefined;
}

/** Levenshtein distance of two short texts. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, substitution));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}

/** The node of a path, or its nearest ancestor; for an unknown key, the key itself. */
function nodeAt(root: ParsedNode | null, path: readonly PropertyKey[]): ParsedNode | undefined {
  let node: ParsedNode | undefined = root ?? undefined;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (pair === undefined) return node;
      const value = pair.value as ParsedNode | null;
      node = isMap(value) || value === null ? (pair.key as ParsedNode) : value;
      if (isMap(value) && part !== path.at(-1)) node = value;
    } else if (node !== undefined && 'items' in node && typeof part === 'number') {
      node = (node.items[part] as ParsedNode | undefined) ?? node;
    } else return node;
  }
  return node;
}

function toValue(read: () => unknown, { source, code }: DocumentKind): unknown {
  try {
    return read();
  } catch (cause) {
    throw new CountersignError(code, `${source}: ${firstLine(String((cause as Error).message))}`, { cause });
  }
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? text).replace(/ at line \d+, column \d+:?$/, '');
}
