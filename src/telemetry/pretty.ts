/** Log lines for a person at a terminal: the same facts as in the JSON, one line each. */

const DIM = '\u001b[2m';
const PLAIN = '\u001b[0m';
const COLOURS: Readonly<Record<string, string>> = {
  debug: DIM,
  info: '\u001b[32m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};

/** Said at the beginning of the line. */
const HEAD = new Set(['level', 'time', 'msg', 'replica', 'stack']);

/** A line that is not JSON stays as it is. */
export function pretty(json: string): string {
  const line = parse(json);
  if (line === undefined) return json;
  const { level, time, msg, replica, stack } = line;
  const facts = Object.entries(line)
    .filter(([key]) => !HEAD.has(key))
    .map(([key, value]) => `${DIM}${key}=${PLAIN}${textOf(value)}`);
  const name = String(level ?? '');
  return [
    `${DIM}${String(time ?? '').slice(11, 23)}${PLAIN}`,
    `${COLOURS[name] ?? ''}${name.padEnd(5)}${PLAIN}`,
    ...(replica === undefined ? [] : [textOf(replica)]),
    `${textOf(msg)}${facts.length === 0 ? '' : `  ${facts.join(' ')}`}`,
  ]
    .join(' ')
    .concat(typeof stack === 'string' ? `\n${stack.replace(CONTROL, '')}` : '', '\n');
}

/** What comes from outside must not move the cursor. Line ends of a stack may stay. */
const CONTROL = /(?!\n)\p{Cc}/gu;

function textOf(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value) ?? '';
  // JSON escapes control characters, but not those above ASCII.
  return /^[\w./:@+-]+( [\w./:@+-]+)*$/.test(value)
    ? value
    : JSON.stringify(value).replace(CONTROL, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}

function parse(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
