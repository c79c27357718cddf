/** The conditions of one `match` block, compiled: each knows what it wants, and can say what it saw. */
import { USD_DECIMALS } from '../amount.js';
import type { Chains } from '../ports.js';
import { type CompiledExpression, decimalText } from './cel.js';
import { addedConditions, changeConditions } from './change-conditions.js';
import type { ChangeAddress, DeviceFacts } from './change-facts.js';
import { contractTest } from './contract.js';
import type { CallFacts, DestinationFacts, Facts, TransactionFacts } from './facts.js';
import { scheduleTest } from './schedule.js';
import type { Match, PartyMatch, Values, VaultMatch } from './schema.js';
import { type Truth, truthOf } from './truth.js';
import {
  addressTest,
  type Lists,
  patternTest,
  type Range,
  rangeTest,
  resolveValues,
  type TextTest,
  textTest,
  valuesText,
} from './values.js';

/** What a request-wide condition looks at. */
export interface Occasion {
  readonly facts: Facts;
  readonly instantMs: number;
}

export interface Condition<Subject> {
  /** Where it stands in the document, e.g. `destination.addressType`. */
  readonly path: string;
  readonly wanted: string;
  test(subject: Subject, facts: Facts): Truth;
  seen(subject: Subject, facts: Facts): string;
}

export interface Conditions {
  readonly request: readonly Condition<Occasion>[];
  readonly destination: readonly Condition<DestinationFacts>[];
  readonly call: readonly Condition<CallFacts>[];
  readonly device: readonly Condition<DeviceFacts>[];
  readonly added: readonly Condition<ChangeAddress>[];
}

export interface Surroundings {
  readonly lists: Lists;
  readonly chains: Chains;
}

export function compileConditions(
  match: Match,
  expression: (CompiledExpression & { readonly text: string }) | undefined,
  surroundings: Surroundings,
): Conditions {
  const request: Condition<Occasion>[] = [];
  const add = (condition: Condition<Occasion> | undefined) => {
    if (condition !== undefined) request.push(condition);
  };
  const text = (
    path: string,
    values: Values | undefined,
    read: (facts: Facts) => string | null,
    makeTest: (allowed: readonly string[]) => TextTest = textTest,
  ) => {
    if (values !== undefined) add(textCondition({ path, values, read, makeTest }, surroundings));
  };
  text('kind', match.kind, ({ kind }) => kind);
  text('stage', match.stage, ({ stage }) => stage);
  text('cosigner', match.cosigner, ({ cosigner }) => cosigner);
  text('signer', match.signer, ({ signer }) => signer);
  text('operation', match.operation, ({ transaction }) => transaction?.operation || null);
  text('asset', match.asset, ({ transaction }) => transaction?.asset || null, patternTest);
  text('chain', match.chain, ({ transaction }) => transaction?.chain ?? null, patternTest);
  for (const condition of changeConditions(match, surroundings)) add(condition);
  for (const condition of vaultConditions(match.vault, surroundings)) add(condition);
  for (const condition of sourceConditions(match.source, surroundings)) add(condition);
  add(rangeCondition('amount', match.amount, (t) => ({ units: t.amount, decimals: t.decimals })));
  add(rangeCondition('usd', match.usd, (t) => ({ units: t.usd, decimals: USD_DECIMALS })));
  add(
    rangeCondition('fee', match.fee, ({ fee }) => ({
      units: fee?.amount ?? null,
      decimals: fee?.decimals ?? null,
    })),
  );
  if (match.schedule !== undefined) add(scheduleCondition(match.schedule));
  if (expression?.ok === true) add(expressionCondition(expression.text, expression.test));
  return {
    request,
    destination: destinationConditions(match.destination, surroundings),
    call: match.contract === undefined ? [] : [contractCondition(match.contract, surroundings)],
    device: match.vault?.device === undefined ? [] : [deviceCondition(match.vault.device, surroundings)],
    added: addedConditions(match, surroundings),
  };
}

interface TextCondition {
  readonly path: string;
  readonly values: Values;
  readonly read: (facts: Facts) => string | null;
  readonly makeTest: (allowed: readonly string[]) => TextTest;
}

function textCondition(
  { path, values, read, makeTest }: TextCondition,
  { lists }: Surroundings,
): Condition<Occasion> {
  const test = makeTest(resolveValues(values, lists));
  return {
    path,
    wanted: valuesText(values),
    test: ({ facts }) => test(read(facts)),
    seen: ({ facts }) => read(facts) ?? 'unknown',
  };
}

function sourceConditions(
  source: PartyMatch | undefined,
  { lists }: Surroundings,
): readonly Condition<Occasion>[] {
  const conditions: Condition<Occasion>[] = [];
  const read = {
    type: (facts: Facts) => facts.transaction?.source.type ?? null,
    id: (facts: Facts) => facts.transaction?.source.id ?? null,
    // No wire format names the address that pays: these two are unknown.
    address: () => null,
    addressType: () => null,
  };
  for (const member of ['type', 'id', 'address', 'addressType'] as const) {
    const values = source?.[member];
    if (values === undefined) continue;
    const test = textTest(resolveValues(values, lists));
    conditions.push({
      path: `source.${member}`,
      wanted: valuesText(values),
      test: ({ facts }) => test(read[member](facts)),
      seen: ({ facts }) => read[member](facts) ?? 'unknown',
    });
  }
  return conditions;
}

function destinationConditions(
  destination: PartyMatch | undefined,
  { lists, chains }: Surroundings,
): readonly Condition<DestinationFacts>[] {
  const conditions: Condition<DestinationFacts>[] = [];
  for (const member of ['type', 'id', 'addressType', 'address'] as const) {
    const values = destination?.[member];
    if (values === undefined) continue;
    const allowed = resolveValues(values, lists);
    const text = textTest(allowed);
    const address = addressTest(allowed, chains);
    conditions.push({
      path: `destination.${member}`,
      wanted: valuesText(values),
      test: (subject, facts) =>
        member === 'address'
          ? address(subject.address, facts.transaction?.asset ?? '')
          : text(subject[member]),
      seen: (subject) => subject[member] ?? 'unknown',
    });
  }
  return conditions;
}

/** A request that is for no vault is known to be for none that a rule means. */
function vaultConditions(
  vault: VaultMatch | undefined,
  { lists }: Surroundings,
): readonly Condition<Occasion>[] {
  const conditions: Condition<Occasion>[] = [];
  for (const member of ['id', 'name'] as const) {
    const values = vault?.[member];
    if (values === undefined) continue;
    const test = textTest(resolveValues(values, lists));
    conditions.push({
      path: `vault.${member}`,
      wanted: valuesText(values),
      test: ({ facts }) => (facts.vault === null ? 'false' : test(facts.vault[member])),
      seen: ({ facts }) => facts.vault?.[member] ?? 'unknown',
    });
  }
  if (vault?.threshold !== undefined) {
    const test = rangeTest(vault.threshold);
    conditions.push({
      path: 'vault.threshold',
      wanted: rangeText(vault.threshold),
      test: ({ facts }) => (facts.vault === null ? 'false' : test(facts.vault.threshold, 0)),
      seen: ({ facts }) => facts.vault?.threshold ?? 'unknown',
    });
  }
  return conditions;
}

/** A device is known by the vendor's id or by its UUID; wires differ in which they carry. */
function deviceCondition(values: Values, { lists }: Surroundings): Condition<DeviceFacts> {
  const allowed = new Set(resolveValues(values, lists));
  return {
    path: 'vault.device',
    wanted: valuesText(values),
    test: ({ id, uuid }) =>
      id === null && uuid === null
        ? 'unknown'
        : truthOf((id !== null && allowed.has(id)) || (uuid !== null && allowed.has(uuid))),
    seen: ({ id, uuid }) => id ?? uuid ?? 'unknown',
  };
}

function rangeText({ min, max }: Range): string {
  return [min === undefined ? [] : [`at least ${min}`], max === undefined ? [] : [`at most ${max}`]]
    .flat()
    .join(' and ');
}

function rangeCondition(
  path: string,
  range: Range | undefined,
  read: (transaction: TransactionFacts) => { units: string | null; decimals: number | null },
): Condition<Occasion> | undefined {
  if (range === undefined) return undefined;
  const test = rangeTest(range);
  return {
    path,
    wanted: rangeText(range),
    test: ({ facts: { transaction } }) => {
      if (transaction === null) return 'unknown';
      const { units, decimals } = read(transaction);
      return test(units, decimals);
    },
    seen: ({ facts: { transaction } }) => {
      if (transaction === null) return 'unknown';
      const { units, decimals } = read(transaction);
      return decimalText(units, decimals);
    },
  };
}

function scheduleCondition(schedule: NonNullable<Match['schedule']>): Condition<Occasion> {
  const test = scheduleTest(schedule);
  return {
    path: 'schedule',
    wanted: `${schedule.days?.join(', ') ?? 'every day'} ${schedule.from} to ${schedule.to} ${schedule.timezone}`,
    test: ({ instantMs }) => test(instantMs),
    seen: ({ instantMs }) => new Date(instantMs).toISOString(),
  };
}

function expressionCondition(text: string, test: (facts: Facts) => Truth): Condition<Occasion> {
  return { path: 'when', wanted: text, test: ({ facts }) => test(facts), seen: ({ facts }) => test(facts) };
}

function contractCondition(
  contracts: NonNullable<Match['contract']>,
  surroundings: Surroundings,
): Condition<CallFacts> {
  const test = contractTest(contracts, surroundings);
  return {
    path: 'contract',
    wanted: contracts
      .map((each) =>
        [
          each.address === undefined ? 'any address' : valuesText(each.address),
          each.selector ?? each.signature ?? 'any function',
        ].join(' '),
      )
      .join(', or '),
    test: (call, facts) => test(call, facts.transaction?.asset ?? ''),
    seen: (call) => `${call.address} ${call.signature ?? call.selector}`,
  };
}
