/** The three-valued logic of rules against its definition, and each condition by example. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Condition, Conditions, Occasion } from '../../../../src/core/policy/conditions.js';
import { evaluate, type Question } from '../../../../src/core/policy/evaluate.js';
import type { CallFacts, DestinationFacts } from '../../../../src/core/policy/facts.js';
import { approvalHolds, freezeCovers, otherHolds } from '../../../../src/core/policy/match.js';
import type { Truth } from '../../../../src/core/policy/truth.js';
import {
  ALICE,
  BOB,
  type Change,
  call,
  configChange,
  destination,
  movement,
  question,
  rulesOf,
} from '../../../support/policy.js';

/** A matrix of truths: one row for each condition, one column for each destination or leaf. */
type Table = readonly (readonly Truth[])[];

function conditionsOf(request: readonly Truth[], destinations: Table, calls: Table): Conditions {
  const constant = (truth: Truth): Condition<Occasion> => ({
    path: 'x',
    wanted: '',
    seen: () => '',
    test: () => truth,
  });
  const row = <Subject extends DestinationFacts | CallFacts>(
    truths: readonly Truth[],
  ): Condition<Subject> => ({
    path: 'x',
    wanted: '',
    seen: () => '',
    // The subject's address is its column.
    test: (subject) => truths[Number(subject.address)] ?? 'unknown',
  });
  return {
    request: request.map(constant),
    destination: destinations.map((truths) => row<DestinationFacts>(truths)),
    call: calls.map((truths) => row<CallFacts>(truths)),
    device: [],
    added: [],
  };
}

function occasionOf(destinations: number | null, calls: number | null): Occasion {
  const { facts } = evaluate(rulesOf('rules: [{ name: a, effect: reject }]'), question());
  const { transaction } = facts;
  if (transaction === null) throw new Error('a transaction');
  const [first] = transaction.destinations ?? [];
  if (first === undefined) throw new Error('a destination');
  const columns = (count: number) => Array.from({ length: count }, (_, index) => String(index));
  return {
    instantMs: 0,
    facts: {
      ...facts,
      transaction: {
        ...transaction,
        destinations:
          destinations === null ? null : columns(destinations).map((address) => ({ ...first, address })),
        calls:
          calls === null
            ? null
            : columns(calls).map((address) => ({ address, selector: '', signature: null, args: null })),
      },
    },
  };
}

const truth = fc.constantFrom<Truth>('true', 'false', 'unknown');
const columns = fc.option(fc.integer({ min: 0, max: 3 }), { nil: null });
const scene = fc.record({
  request: fc.array(truth, { maxLength: 2 }),
  destinations: columns,
  calls: columns,
  onDestinations: fc.array(fc.array(truth, { minLength: 3, maxLength: 3 }), { maxLength: 2 }),
  onCalls: fc.array(fc.array(truth, { minLength: 3, maxLength: 3 }), { maxLength: 2 }),
});

/** All conditions × subjects that matter, by the definition; a side that is not carried is one unknown subject. */
function cells(table: Table, count: number | null): Table {
  if (table.length === 0) return [];
  return count === null
    ? [table.map(() => 'unknown')]
    : Array.from({ length: count }, (_, column) => table.map((row) => row[column] ?? 'unknown'));
}

test('a rule that approves holds only if everything is true for every destination and leaf', () => {
  fc.assert(
    fc.property(scene, ({ request, destinations, calls, onDestinations, onCalls }) => {
      const sides = [cells(onDestinations, destinations), cells(onCalls, calls)];
      const present =
        (onDestinations.length === 0 || (destinations ?? 1) > 0) &&
        (onCalls.length === 0 || (calls ?? 1) > 0);
      const expected = present && [...request, ...sides.flat(2)].every((value) => value === 'true');
      const failure = approvalHolds(
        conditionsOf(request, onDestinations, onCalls),
        occasionOf(destinations, calls),
      );
      expect(failure === undefined).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

test('any other rule holds if for one destination and leaf none of its conditions is false', () => {
  fc.assert(
    fc.property(scene, ({ request, destinations, calls, onDestinations, onCalls }) => {
      const clean = (table: Table, count: number | null) =>
        table.length === 0 ||
        cells(table, count).some((subject) => subject.every((value) => value !== 'false'));
      const expected =
        request.every((value) => value !== 'false') &&
        clean(onDestinations, destinations) &&
        clean(onCalls, calls);
      const conditions = conditionsOf(request, onDestinations, onCalls);
      const occasion = occasionOf(destinations, calls);
      expect(otherHolds(conditions, occasion) === undefined).toBe(expected);
      // A freeze covers at least what a rule of the same conditions would catch.
      if (expected) expect(freezeCovers(conditions, occasion)).not.toBe('false');
    }),
    { numRuns: 2000 },
  );
});

function holds(match: string, asked: Question, effect: 'approve' | 'reject' = 'approve'): boolean {
  const rules = rulesOf(
    `
lists: { friends: ['${ALICE}', bc1qfriend], tokens: ['USD*', BTC] }
rules:
  - name: tested
    match: ${match}
    verify: ${effect === 'approve' ? 'off' : undefined}
    effect: ${effect}`.replace('    verify: undefined\n', ''),
  );
  return evaluate(rules, asked).verdict.opinion.rule === 'tested';
}

const CALLS: Change = { intent: { operation: 'CONTRACT_CALL' }, effects: { calls: [call()] } };
const TWO = {
  intent: {
    destinations: [
      destination(),
      destination({ type: 'ONE_TIME', id: '', address: BOB, addressType: 'ONE_TIME' }),
    ],
  },
  effects: { movements: [movement(), movement({ to: BOB })] },
};

describe('what an approving rule accepts', () => {
  test.each<[string, Change, boolean]>([
    ['{ kind: transaction }', {}, true],
    ['{ kind: [config-change, sign] }', {}, false],
    ['{ stage: approval }', {}, false],
    ['{ cosigner: cosigner-a, signer: [signer-1] }', {}, true],
    ['{ signer: signer-1 }', { request: { signer: undefined } }, false],
    ['{ operation: TRANSFER }', {}, true],
    ['{ operation: transfer }', {}, false],
    ['{ operation: SOMETHING_NEW }', { intent: { operation: 'SOMETHING_NEW' } }, true],
    ['{ asset: [BTC, ETH] }', {}, true],
    ['{ asset: "E*" }', {}, true],
    [
      '{ asset: { list: tokens } }',
      { intent: { asset: 'USDC' }, effects: { movements: [movement({ asset: 'USDC' })] } },
      true,
    ],
    ['{ asset: [{ list: tokens }, ETH] }', {}, true],
    ['{ chain: "eip155:*" }', {}, true],
    ['{ chain: "eip155:137" }', {}, false],
    ['{ source: { type: VAULT, id: ["0", "7"] } }', {}, true],
    ['{ source: { id: "7" } }', {}, false],
    ['{ source: { address: x } }', {}, false],
    ['{ destination: { address: { list: friends } } }', {}, true],
    [`{ destination: { address: '${ALICE.toUpperCase().replace('0X', '0x')}' } }`, {}, true],
    [`{ destination: { address: '${BOB}' } }`, {}, false],
    ['{ destination: { addressType: WHITELISTED } }', TWO, false],
    ['{ destination: { addressType: [WHITELISTED, ONE_TIME] } }', TWO, true],
    ['{ destination: { type: VAULT } }', { intent: { destinations: [] } }, false],
    ["{ amount: { min: '0.01', max: '0.01' } }", {}, true],
    ["{ amount: { max: '0.009999999999999999' } }", {}, false],
    ["{ amount: { min: '0.0100000000000000001' } }", {}, false],
    ["{ amount: { max: '0.01' } }", TWO, false],
    ["{ amount: { max: '0.02' } }", TWO, true],
    ["{ usd: { max: '18.74' } }", {}, true],
    ["{ usd: { max: '18.739999999999999999' } }", {}, false],
    ["{ usd: { max: '37.48' } }", TWO, true],
    ["{ fee: { max: '0.0006' } }", {}, true],
    ["{ fee: { max: '0.000599999999999999' } }", {}, false],
    ["{ fee: { max: '1' } }", { effects: { maxFee: undefined } }, false],
    [`{ contract: [{ address: '${BOB}' }] }`, CALLS, true],
    [`{ contract: [{ address: '${ALICE}' }, { selector: '0xA9059CBB' }] }`, CALLS, true],
    ["{ contract: [{ signature: 'transfer(address, uint256)' }] }", CALLS, true],
    ["{ contract: [{ signature: 'approve(address,uint256)' }] }", CALLS, false],
    [
      "{ contract: [{ signature: 'unheard(of)' }] }",
      { ...CALLS, effects: { calls: [call({ signature: 'unheard(of)' })] } },
      true,
    ],
    [`{ contract: [{ args: [{ list: friends }, { max: '25' }] }] }`, CALLS, true],
    [`{ contract: [{ args: [null, { max: '24' }] }] }`, CALLS, false],
    ['{ contract: [{ args: [null, null, null] }] }', CALLS, false],
    [
      `{ contract: [{ address: '${BOB}' }] }`,
      { effects: { calls: [call(), call({ address: ALICE })] } },
      false,
    ],
    [`{ contract: [{ address: '${BOB}' }] }`, {}, false],
    [`{ contract: [{ address: '${BOB}' }] }`, { examination: 'absent' }, false],
    ['{ type: UNMANAGED_WALLET }', {}, false],
  ])('%s', (match, change, expected) => expect(holds(match, question(change))).toBe(expected));

  test('addresses are compared by what they pay, not by their spelling', () => {
    const asked = question({
      intent: { asset: 'BTC', destinations: [destination({ address: 'BC1QFRIEND', amount: '1' })] },
      effects: { movements: [movement({ asset: 'BTC', to: 'script:bc1qfriend', amount: 1n })] },
    });
    expect(holds('{ destination: { address: { list: friends } } }', asked)).toBe(true);
  });

  test('configuration changes by type and what they say', () => {
    expect(
      holds('{ kind: config-change, type: UNMANAGED_WALLET, extraInfo: { asset: [ETH] } }', configChange()),
    ).toBe(true);
    expect(holds('{ type: UNMANAGED_WALLET, extraInfo: { asset: BTC } }', configChange())).toBe(false);
    expect(holds('{ type: UNMANAGED_WALLET, extraInfo: { tag: BTC } }', configChange())).toBe(false);
  });

  test.each([
    ['mon 09:00-17:00', "{ days: [mon], from: '09:00', to: '17:00' }", '2026-01-05T09:00:00Z', true],
    ['its end is excluded', "{ days: [mon], from: '09:00', to: '17:00' }", '2026-01-05T17:00:00Z', false],
    ['another day', "{ days: [mon], from: '09:00', to: '17:00' }", '2026-01-06T12:00:00Z', false],
    [
      'over midnight, the evening',
      "{ days: [fri], from: '22:00', to: '06:00' }",
      '2026-01-09T23:00:00Z',
      true,
    ],
    [
      'over midnight, the morning after',
      "{ days: [fri], from: '22:00', to: '06:00' }",
      '2026-01-10T05:59:59Z',
      true,
    ],
    [
      'over midnight, the morning before',
      "{ days: [fri], from: '22:00', to: '06:00' }",
      '2026-01-09T05:00:00Z',
      false,
    ],
    ['summer time', "{ from: '08:00', to: '09:00', timezone: Europe/Zurich }", '2026-07-01T06:30:00Z', true],
    ['winter time', "{ from: '08:00', to: '09:00', timezone: Europe/Zurich }", '2026-01-05T06:30:00Z', false],
    ['whole days', '{ days: [mon] }', '2026-01-05T23:59:59Z', true],
  ])('schedule, %s', (_, schedule, instant, expected) => {
    expect(holds(`{ schedule: ${schedule} }`, question({ instantMs: Date.parse(instant) }))).toBe(expected);
  });
});

const NAMELESS = destination({ id: '' });
const ONE_TIME = { type: 'ONE_TIME', id: '' };
const UNTYPED = { type: 'UNKNOWN', id: '1' };

describe('what another rule catches', () => {
  test.each<[string, Change, boolean]>([
    ['{ destination: { addressType: ONE_TIME } }', TWO, true],
    ['{ destination: { type: VAULT, addressType: ONE_TIME } }', TWO, false],
    ["{ usd: { min: '1000' } }", {}, false],
    ["{ usd: { min: '1000' } }", { intent: { destinations: [destination({ usd: '0' })] } }, true],
    ['{ signer: stranger }', { request: { signer: undefined } }, true],
    [`{ stage: signing, contract: [{ address: '${ALICE}' }] }`, {}, false],
    [`{ stage: signing, contract: [{ address: '${ALICE}' }] }`, { examination: 'absent' }, true],
    [
      `{ stage: signing, contract: [{ address: '${ALICE}' }] }`,
      { effects: { calls: [call(), call({ address: ALICE })] } },
      true,
    ],
    [
      `{ stage: signing, destination: { address: '${BOB}' } }`,
      { effects: { movements: [movement(), movement({ to: BOB })] } },
      true,
    ],
    ['{ operation: RAW }', {}, false],
    // A type or an id that is not carried is unknown; a one-time address is known to have no id.
    ["{ destination: { type: VAULT, id: '66' } }", {}, false],
    ["{ destination: { type: VAULT, id: '66' } }", { intent: { destinations: [NAMELESS] } }, true],
    ["{ destination: { id: '66' } }", { intent: { destinations: [destination(ONE_TIME)] } }, false],
    ['{ destination: { type: EXCHANGE } }', { intent: { destinations: [destination(UNTYPED)] } }, true],
    ["{ source: { id: '66' } }", { intent: { source: { type: 'VAULT', id: '' } } }, true],
    ['{ source: { type: EXCHANGE } }', { intent: { source: { type: 'UNKNOWN', id: '0' } } }, true],
  ])('%s', (match, change, expected) => expect(holds(match, question(change), 'reject')).toBe(expected));
});
