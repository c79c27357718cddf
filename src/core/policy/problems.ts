/** Everything wrong with a document, each with its place. */
import type { z } from 'zod';
import { CountersignError } from '../errors.js';
import { type Path, type Problem, pathText, type YamlDocument } from './yaml.js';

const MAX_PROBLEMS = 100;

/** One error for all problems: `<source>:<line>: <path>: <what is wrong>`, in the order of the document. */
export function invalid(problems: readonly Problem[], source: string): CountersignError {
  const sorted = [...problems].sort((a, b) => a.line - b.line);
  const shown = sorted
    .slice(0, MAX_PROBLEMS)
    .map(({ line, path, what }) => `${source}:${line}: ${path}: ${what}`);
  const more = sorted.length - shown.length;
  return new CountersignError(
    'POLICY_INVALID',
    [...shown, ...(more > 0 ? [`… and ${more} more`] : [])].join('\n'),
  );
}

type Issue = z.core.$ZodIssue;

/** What a schema found wrong, as sentences with places. */
export function problemsOf(issues: readonly Issue[], document: YamlDocument, above: Path = []): Problem[] {
  return issues.flatMap((issue) => {
    const path = [...above, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
    const at = (where: Path, what: string): Problem => ({
      line: document.lineOf(where),
      path: pathText(where),
      what,
    });
    if (issue.code === 'unrecognized_keys') {
      // strict-object.ts gives each key its line; a schema with zod's own message does not.
      const messages = issue.message.split('\n').filter((message) => message.startsWith('unknown key'));
      return issue.keys.map((key, index) => at([...path, key], messages[index] ?? 'unknown key'));
    }
    if (issue.code === 'invalid_union') {
      const nearest = nearestBranch(issue.errors);
      return nearest === undefined ? [at(path, issue.message)] : problemsOf(nearest, document, path);
    }
    if (issue.code === 'invalid_key') return [at(path, issue.issues[0]?.message ?? issue.message)];
    return [at(path, issue.message)];
  });
}

/** The one alternative that the value was meant to be: the only one of which more than its kind was tested. */
function nearestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const near = branches.filter((issues) =>
    issues.every(
      ({ code, path }) =>
        path.length > 0 || !['invalid_type', 'invalid_value', 'invalid_union'].includes(code),
    ),
  );
  return near.length === 1 ? near[0] : undefined;
}
