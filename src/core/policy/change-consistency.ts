/** What a document must not say about configuration changes, and what it had better not. */
import { nearestOf, type Problem } from '../document.js';
import { isAddressKey } from './change-conditions.js';
import { CHANGE_TYPES, changeFieldsOf, changeTypeOf, isDangerous } from './change-types.js';
import type { Match, PolicyDocument, Rule, Values } from './schema.js';
import { resolveValues } from './values.js';

type Path = Problem['path'];

/** Members of `extraInfo` that are compared as they stand, or with patterns, and where. */
export function comparedChanges(
  { extraInfo = {} }: Match,
  how: 'exact' | 'pattern',
): readonly (readonly [Values, Path])[] {
  return Object.entries(extraInfo)
    .filter(([key]) => isAddressKey(key) === (how === 'exact'))
    .map(([key, values]) => [values, ['extraInfo', key]] as const);
}

export function changeDiscrepancies(match: Match, path: Path): readonly Problem[] {
  const { kind, type, extraInfo } = match;
  const found: Problem[] = [];
  for (const [key, value] of Object.entries({ type, extraInfo }))
    if (value !== undefined && kind !== undefined && ![kind].flat().includes('config-change'))
      found.push({ path: [...path, key], message: `only kind: config-change has ${key}` });
  // What stands in a list is not looked at: that is how to name a type that only looks misspelled.
  const types = (type === undefined ? [] : [type].flat()).filter((each) => typeof each === 'string');
  for (const name of types) {
    const meant = misspelled(name);
    if (meant !== undefined)
      found.push({ path: [...path, 'type'], message: `unknown type ${name}; did you mean ${meant}?` });
  }
  const keys = Object.keys(extraInfo ?? {});
  if (keys.length > 0 && type === undefined)
    found.push({
      path: [...path, 'extraInfo'],
      message: 'what a change carries depends on its type: say type too',
    });
  for (const key of keys)
    for (const name of types) {
      const message = fieldProblem(key, name);
      if (message !== undefined) found.push({ path: [...path, 'extraInfo', key], message });
    }
  return found;
}

/** The documented type that another spelling of it stands for. */
function misspelled(name: string): string | undefined {
  if (changeTypeOf(name) !== undefined) return undefined;
  const near = nearestOf(name, Object.keys(CHANGE_TYPES));
  const letters = (text: string) => text.toUpperCase().replace(/[^A-Z0-9]/g, '');
  if (near === undefined) return undefined;
  const [one, other] = [letters(name), letters(near)];
  const sorted = (text: string) => [...text].sort().join('');
  return one === other || sorted(one) === sorted(other) || isOneLetterOff(one, other) ? near : undefined;
}

function isOneLetterOff(one: string, other: string): boolean {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  if (long.length - short.length > 1) return false;
  const at = [...long].findIndex((letter, index) => short[index] !== letter);
  return short.slice(long.length === short.length ? at + 1 : at) === long.slice(at + 1);
}

/** Why a rule cannot look at this member of this type; undefined when it can. */
function fieldProblem(key: string, type: string): string | undefined {
  const fields = changeFieldsOf(type);
  if (fields === undefined)
    return changeTypeOf(type) === undefined
      ? `${type} is no documented type: it can be matched by its name only`
      : `what ${type} carries is not documented: it can be matched by its name only`;
  const [member = '', ...rest] = key.split('.');
  const kind = Object.hasOwn(fields, member) ? fields[member] : undefined;
  const visible = Object.keys(fields).filter((name) => fields[name] !== 'secret');
  switch (kind) {
    case undefined: {
      const near = nearestOf(member, visible);
      const hint = near === undefined ? `; it has ${visible.join(', ')}` : `; did you mean ${near}?`;
      return `${type} has no ${member}${hint}`;
    }
    case 'secret':
      return `${member} is a secret: no rule sees it`;
    case 'json':
      return rest.length > 0
        ? undefined
        : `${member} is JSON: name a member of it, e.g. ${member}.crypto.scheme`;
    case 'addresses':
      return undefined;
    default:
      return rest.length === 0 ? undefined : `${member} is text and has no ${rest.join('.')}`;
  }
}

const OF_NO_CHANGE = [
  ...(['operation', 'asset', 'chain', 'source', 'destination', 'amount', 'usd', 'fee', 'contract'] as const),
  'vault',
] as const satisfies readonly (keyof Match)[];

export function changeWarnings(rule: Rule, path: Path, { lists }: PolicyDocument): readonly Problem[] {
  const { match, mode, effect, name } = rule;
  const { kind, type } = match;
  const isForChanges = kind === undefined || [kind].flat().includes('config-change');
  if (!isForChanges || OF_NO_CHANGE.some((key) => match[key] !== undefined)) return [];
  const where = [...path, 'match', 'type'];
  if (type === undefined) {
    if (mode === 'off' || effect !== 'approve') return [];
    return [
      {
        path: [...path, 'match'],
        message: `ANY CHANGE: rule ${name} approves configuration changes of every documented type, of policy, users, quorum and devices too: say type, or kind: transaction`,
      },
    ];
  }
  const named = resolveValues(type, lists);
  const undocumented = named.filter((each) => changeTypeOf(each) === undefined);
  const dangerous = named.filter((each) => isDangerous(each) && changeTypeOf(each) !== undefined);
  return [
    ...(mode !== 'off' && effect === 'approve' && dangerous.length > 0
      ? [
          {
            path: where,
            message: `CHANGE OF CONTROL: rule ${name} approves ${dangerous.join(', ')}; leave that to people (effect: ignore)`,
          },
        ]
      : []),
    ...undocumented.map((each) => ({
      path: where,
      message: `${each} is no documented type${hintOf(each)}`,
    })),
  ];
}

function hintOf(type: string): string {
  const near = nearestOf(type, Object.keys(CHANGE_TYPES));
  return near === undefined ? '' : `; did you mean ${near}?`;
}
