/** What the fields of a document must not say together, and what they had better not. */
import { floorToBaseUnits, toBaseUnits } from '../amount.js';
import { nearestOf, type Problem } from '../document.js';
import { compileExpression } from './cel.js';
import { changeDiscrepancies, changeWarnings, comparedChanges } from './change-consistency.js';
import { unreachableBecause } from './reachability.js';
import { rememberingWarnings } from './remembered.js';
import { minutesOf } from './schedule.js';
import {
  type Limit,
  type Match,
  namesThresholdAndDevices,
  type PartyMatch,
  type PolicyDocument,
  type Rule,
  type Values,
} from './schema.js';
import { zoneOf } from './zone.js';

/** Parts of a document; one that is not sound by itself is undefined, and known by its name only. */
export interface Pieces {
  readonly lists: Readonly<Record<string, readonly string[] | undefined>>;
  readonly limits: Readonly<Record<string, Limit | undefined>>;
  readonly rules: readonly (Rule | undefined)[];
}

type Path = Problem['path'];

export function discrepanciesOf(pieces: Pieces): readonly Problem[] {
  const found: Problem[] = [];
  for (const [name, limit] of Object.entries(pieces.limits))
    if (limit !== undefined) found.push(...limitDiscrepancies(limit, ['limits', name]));
  const names = new Map<string, number>();
  pieces.rules.forEach((rule, index) => {
    if (rule === undefined) return;
    const path = ['rules', index];
    const earlier = names.get(rule.name);
    if (earlier !== undefined)
      found.push({
        path: [...path, 'name'],
        message: `rule ${rule.name} is already the name of rules[${earlier}]`,
      });
    names.set(rule.name, earlier ?? index);
    found.push(...ruleDiscrepancies(rule, path, pieces));
    const why = unreachableBecause(rule, pieces.rules.slice(0, index));
    if (why !== undefined) found.push({ path, message: why });
  });
  return found;
}

/** What works but is probably not meant. */
export function warningsOf(document: PolicyDocument): readonly Problem[] {
  const warnings: Problem[] = [];
  const named = new Set(document.rules.flatMap(({ limits }) => limits));
  for (const [name, limit] of Object.entries(document.limits))
    if (limit.counts === 'matched' && !named.has(name))
      warnings.push({ path: ['limits', name], message: 'no rule names this limit: it counts nothing' });
  const used = new Set<string>();
  for (const { match } of document.rules) for (const { list } of listUses(match)) used.add(list);
  for (const name of Object.keys(document.lists))
    if (!used.has(name)) warnings.push({ path: ['lists', name], message: 'no rule uses this list' });
  warnings.push(...rememberingWarnings(document));
  document.rules.forEach((rule, index) => {
    const path = ['rules', index];
    warnings.push(...changeWarnings(rule, path, document));
    if (rule.mode !== 'off' && rule.effect === 'approve' && rule.verify === 'off')
      warnings.push({
        path: [...path, 'verify'],
        message: `VERIFY OFF: rule ${rule.name} approves without looking at the bytes`,
      });
    if (rule.effect !== 'approve' && rule.match.kind === undefined && hasTransactionFacts(rule.match))
      warnings.push({
        path: [...path, 'match'],
        message: 'does not say kind: transaction, so it also holds for configuration changes',
      });
    if (
      rule.effect === 'approve' &&
      rule.verify === 'required' &&
      !onlySays(rule.match.stage, 'signing') &&
      !onlySays(rule.match.kind, ...NO_TRANSACTIONS)
    )
      warnings.push({
        path: [...path, 'verify'],
        message:
          'requires bytes, which only the signing stage carries: say stage: signing, or approvals are refused',
      });
    if (rule.effect === 'approve' && !onlySays(rule.match.stage, 'signing'))
      for (const name of rule.limits)
        if (document.limits[name]?.sum === 'fee')
          warnings.push({
            path: [...path, 'limits'],
            message: `limit ${name} sums fees, which only the signing stage carries: say stage: signing, or approvals are refused`,
          });
  });
  return warnings;
}

function limitDiscrepancies(limit: Limit, path: Path): Problem[] {
  const found: Problem[] = [];
  const { window } = limit;
  if (window !== 'lifetime') {
    const kinds = [window.rolling, window.calendar, window.lifetime].filter(
      (kind) => kind !== undefined,
    ).length;
    if (kinds !== 1)
      found.push({
        path: [...path, 'window'],
        message: 'must say exactly one of rolling, calendar and lifetime',
      });
    if (window.timezone !== undefined && window.calendar === undefined)
      found.push({
        path: [...path, 'window', 'timezone'],
        message: 'only a calendar window has a time zone',
      });
    if (window.timezone !== undefined)
      found.push(...zoneDiscrepancies(window.timezone, [...path, 'window', 'timezone']));
  }
  if (limit.sum === 'distinct' && limit.of === undefined)
    found.push({ path, message: 'sum: distinct must say of: destination' });
  if (limit.sum !== 'distinct' && limit.of !== undefined)
    found.push({ path: [...path, 'of'], message: 'only sum: distinct has of' });
  if (limit.sum === 'distinct' && limit.per.includes('destination'))
    found.push({ path: [...path, 'per'], message: 'there is only one destination for each destination' });
  if ((limit.sum === 'count' || limit.sum === 'distinct') && !toBaseUnits(limit.max, 0).ok)
    found.push({ path: [...path, 'max'], message: 'a count is a whole number' });
  if (new Set(limit.per).size !== limit.per.length)
    found.push({ path: [...path, 'per'], message: 'names a value twice' });
  return found;
}

function ruleDiscrepancies(rule: Rule, path: Path, pieces: Pieces): Problem[] {
  const { match } = rule;
  const found = matchDiscrepancies(match, [...path, 'match'], pieces);
  for (const [index, name] of rule.limits.entries())
    if (!Object.hasOwn(pieces.limits, name))
      found.push({
        path: [...path, 'limits', index],
        message: unknownName('limit', name, Object.keys(pieces.limits)),
      });
  if (new Set(rule.limits).size !== rule.limits.length)
    found.push({ path: [...path, 'limits'], message: 'names a limit twice' });
  if (rule.limits.length > 0 && rule.effect !== 'approve')
    found.push({
      path: [...path, 'limits'],
      message: 'only a rule that approves has limits: refusals charge nothing',
    });
  if (rule.limits.length > 0 && onlySays(match.kind, ...NO_TRANSACTIONS))
    found.push({
      path: [...path, 'limits'],
      message: 'limits count transactions, and this rule is for configuration changes or vaults',
    });
  if (
    rule.effect === 'approve' &&
    mentions(match.kind, 'keygen', 'reshare') &&
    !namesThresholdAndDevices(match)
  )
    found.push({
      path: [...path, 'match'],
      message: 'approves vaults, so it must say vault: { threshold: { min }, device }',
    });
  if (match.vault !== undefined && match.kind !== undefined && !mentions(match.kind, 'keygen', 'reshare'))
    found.push({ path: [...path, 'match', 'vault'], message: 'only kind: keygen and reshare have a vault' });
  if (rule.verify !== undefined && rule.effect !== 'approve')
    found.push({ path: [...path, 'verify'], message: 'only a rule that approves verifies' });
  if (
    rule.effect === 'ignore' &&
    !onlySays(match.stage, 'approval') &&
    !onlySays(match.kind, 'config-change', 'keygen', 'reshare', 'sign')
  )
    found.push({
      path: [...path, 'effect'],
      message: 'ignore is no answer at the signing stage: say stage: approval or kind: config-change',
    });
  found.push(...signingDiscrepancies(rule, path));
  return found;
}

/** A missing fact lets every rule hold that does not approve: at the approval stage these would catch everything. */
function signingDiscrepancies(rule: Rule, path: Path): Problem[] {
  const { match, when } = rule;
  const expression = when === undefined ? undefined : compileExpression(when);
  const found: Problem[] = [];
  if (expression?.ok === false) found.push({ path: [...path, 'when'], message: expression.problem });
  if (rule.effect === 'approve' || onlySays(match.stage, 'signing')) return found;
  const carried: readonly (readonly [unknown, Path])[] = [
    [match.fee, ['match', 'fee']],
    [match.contract, ['match', 'contract']],
    [match.destination?.address, ['match', 'destination', 'address']],
    [expression?.ok === true && expression.needsSigning ? true : undefined, ['when']],
  ];
  for (const [value, where] of carried)
    if (value !== undefined)
      found.push({
        path: [...path, ...where],
        message: `only the signing stage carries this fact, and a rule that does not approve holds where it is missing: say stage: signing`,
      });
  return found;
}

function matchDiscrepancies(match: Match, path: Path, { lists }: Pieces): Problem[] {
  const found: Problem[] = [...changeDiscrepancies(match, path)];
  for (const { list, path: where } of listUses(match))
    if (!Object.hasOwn(lists, list))
      found.push({ path: [...path, ...where], message: unknownName('list', list, Object.keys(lists)) });
  for (const [values, where] of exactValues(match))
    if (entriesOf(values).some((entry) => entry === '*'))
      found.push({
        path: [...path, ...where],
        message:
          'patterns are for asset, chain and texts of extraInfo; leave the condition out to accept everything',
      });
  const ranges = [
    [match.amount, ['amount']],
    [match.usd, ['usd']],
    [match.vault?.threshold, ['vault', 'threshold']],
  ] as const;
  for (const [range, key] of ranges) {
    if (range === undefined) continue;
    if (range.min === undefined && range.max === undefined)
      found.push({ path: [...path, ...key], message: 'must say min, max or both' });
    if (range.min !== undefined && range.max !== undefined && above(range.min, range.max))
      found.push({ path: [...path, ...key], message: `min ${range.min} is above max ${range.max}` });
  }
  match.contract?.forEach((contract, index) => {
    const where = [...path, 'contract', index];
    if (contract.selector !== undefined && contract.signature !== undefined)
      found.push({ path: where, message: 'says selector and signature; one is enough' });
    if (Object.keys(contract).length === 0)
      found.push({ path: where, message: 'must say address, selector, signature or args' });
  });
  if (match.schedule !== undefined) {
    const { from, to, timezone } = match.schedule;
    const where = [...path, 'schedule'];
    if (minutesOf(from) % 1440 === minutesOf(to) % 1440 && !(from === '00:00' && to === '24:00'))
      found.push({ path: where, message: `from ${from} to ${to} has no length` });
    found.push(...zoneDiscrepancies(timezone, [...where, 'timezone']));
  }
  return found;
}

function zoneDiscrepancies(timezone: string, path: Path): Problem[] {
  if (zoneOf(timezone) !== undefined) return [];
  const nearest = nearestOf(timezone, Intl.supportedValuesOf('timeZone'));
  return [
    {
      path,
      message: `unknown time zone ${timezone}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
    },
  ];
}

function above(a: string, b: string): boolean {
  const [left, right] = [floorToBaseUnits(a, 78), floorToBaseUnits(b, 78)];
  return left !== undefined && right !== undefined && left > right;
}

function unknownName(what: string, name: string, known: readonly string[]): string {
  const nearest = nearestOf(name, known);
  return `unknown ${what} ${name}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
}

/** Kinds of which nothing is counted. */
const NO_TRANSACTIONS = ['config-change', 'keygen', 'reshare'] as const;

/** Whether the condition admits these values and no other. */
function onlySays(condition: string | readonly string[] | undefined, ...values: readonly string[]): boolean {
  return condition !== undefined && [condition].flat().every((each) => values.includes(each));
}

function mentions(condition: string | readonly string[] | undefined, ...values: readonly string[]): boolean {
  return condition !== undefined && [condition].flat().some((each) => values.includes(each));
}

function hasTransactionFacts(match: Match): boolean {
  const {
    kind: _kind,
    stage: _stage,
    cosigner: _cosigner,
    signer: _signer,
    type,
    extraInfo,
    vault,
    schedule: _schedule,
    ...rest
  } = match;
  return type === undefined && extraInfo === undefined && vault === undefined && Object.keys(rest).length > 0;
}

function entriesOf(values: Values): readonly (string | { readonly list: string })[] {
  return Array.isArray(values) ? values : [values];
}

/** Conditions whose texts are compared as they stand. */
function exactValues(match: Match): readonly (readonly [Values, Path])[] {
  const { source, destination, cosigner, signer, operation, type } = match;
  return [
    ...Object.entries({ cosigner, signer, operation, type }).map(([key, values]) => [values, [key]] as const),
    ...partyValues(source, 'source'),
    ...partyValues(destination, 'destination'),
    ...(['id', 'name', 'device'] as const).map((key) => [match.vault?.[key], ['vault', key]] as const),
    ...comparedChanges(match, 'exact'),
  ].flatMap(([values, path]) => (values === undefined ? [] : [[values, path] as const]));
}

function partyValues(party: PartyMatch | undefined, key: string) {
  const { type, id, address, addressType } = party ?? {};
  return Object.entries({ type, id, address, addressType }).map(
    ([member, values]) => [values, [key, member]] as const,
  );
}

/** Every named list that a match uses, and where. */
function listUses(match: Match): readonly { readonly list: string; readonly path: Path }[] {
  const everywhere: (readonly [Values | undefined, Path])[] = [
    ...exactValues(match),
    [match.asset, ['asset']],
    [match.chain, ['chain']],
    ...comparedChanges(match, 'pattern'),
  ];
  match.contract?.forEach((contract, index) => {
    everywhere.push([contract.address, ['contract', index, 'address']]);
    contract.args?.forEach((argument, position) => {
      if (argument === null || typeof argument === 'string' || Array.isArray(argument) || 'list' in argument)
        everywhere.push([argument ?? undefined, ['contract', index, 'args', position]]);
    });
  });
  return everywhere.flatMap(([values, path]) =>
    values === undefined
      ? []
      : entriesOf(values).flatMap((entry) => (typeof entry === 'string' ? [] : [{ list: entry.list, path }])),
  );
}
