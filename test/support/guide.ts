/** What docs/operations-redis.md tells people to type. */
import { readFileSync } from 'node:fs';

const GUIDE = 'docs/operations-redis.md';

/** The line that makes this user, with a password. */
export function aclLine(user: string, password: string): readonly [string, ...string[]] {
  const line = new RegExp(`^ACL SETUSER ${user} reset .*$`, 'm').exec(readFileSync(GUIDE, 'utf8'))?.[0];
  if (line === undefined) throw new Error(`${GUIDE} makes no user ${user}`);
  const [first = '', ...rest] = line.replace('PASSWORD', password).split(' ');
  return [first, ...rest];
}

/** The line that gives this user more. */
export function aclAddition(user: string): readonly [string, ...string[]] {
  const line = new RegExp(`^ACL SETUSER ${user} [+(].*$`, 'm').exec(readFileSync(GUIDE, 'utf8'))?.[0];
  // A selector, in parentheses, is one word.
  const words = (line ?? `no addition for ${user} in ${GUIDE}`).match(/\([^)]*\)|\S+/g);
  const [first = '', ...rest] = words ?? [];
  return [first, ...rest];
}
