/** YAML of operators, with the line of everything in it. */
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { messageOf } from '../errors.js';

/** Something wrong at one place of a document. */
export interface Problem {
  readonly line: number;
  readonly path: string;
  readonly what: string;
}

export type Path = readonly (string | number)[];

export interface YamlDocument {
  readonly value: unknown;
  /** Line of the value at a path, or of the nearest thing around it that is there. From 1. */
  lineOf(path: Path): number;
}

/** How often one anchor may be used, everything counted: what stops documents that explode. */
const MAX_ALIASES = 100;
const MAX_PROBLEMS = 50;

/** Never throws: a document that is no YAML is a list of problems. */
export function readYaml(
  text: string,
  maxBytes: number,
): { readonly document: YamlDocument } | { readonly problems: readonly Problem[] } {
  const whole = (what: string) => ({ problems: [{ line: 1, path: 'document', what }] });
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) return whole(`is ${bytes} bytes long; at most ${maxBytes} are read`);
  const lines = new LineCounter();
  try {
    const parsed = parseDocument(text, {
      lineCounter: lines,
      uniqueKeys: true,
      version: '1.2',
      schema: 'core',
    });
    const errors = [...parsed.errors, ...parsed.warnings];
    if (errors.length > 0)
      return {
        problems: errors.slice(0, MAX_PROBLEMS).map((error) => ({
          line: lines.linePos(error.pos[0]).line,
          path: 'document',
          what: sentence(error.message),
        })),
      };
    const value: unknown = parsed.toJS({ maxAliasCount: MAX_ALIASES });
    return { document: { value, lineOf: (path) => lineOf(parsed, lines, path) } };
  } catch (error) {
    if (error instanceof RangeError) return whole('is nested too deep');
    return whole(sentence(messageOf(error)));
  }
}

function lineOf(document: Document, lines: LineCounter, path: Path): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const offset = offsetOf(document, path.slice(0, length));
    if (offset !== undefined) return lines.linePos(offset).line;
  }
  return 1;
}

function offsetOf(document: Document, path: Path): number | undefined {
  if (path.length > 0) {
    const parent = document.getIn(path.slice(0, -1), true);
    const last = path.at(-1);
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(last))
      : undefined;
    if (isScalar(pair?.key)) return pair.key.range?.[0];
  }
  const node = document.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}

/** The first line of the library's message, without the excerpt and the position it adds. */
function sentence(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '');
}

/** `rules[3].match.asset`. */
export function pathText(path: Path): string {
  if (path.length === 0) return 'document';
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  );
}
