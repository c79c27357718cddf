import { describe, expect, test } from '@jest/globals';
import { parseJson } from '../../../../src/core/json.js';
import { CHANGE_TYPES, isDangerous } from '../../../../src/core/policy/change-types.js';
import { evaluate } from '../../../../src/core/policy/evaluate.js';
import type { ConfigChangeRequest, Json } from '../../../../src/core/request.js';
import { testChains } from '../../../support/chains.js';
import { CHANGES, type ChangeCase } from '../../../support/config-changes.js';
import { ALICE, BOB, configChange, question, rulesOf } from '../../../support/policy.js';

function jsonOf(value: unknown): Json {
  const parsed = parseJson(JSON.stringify(value));
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

const asked = ({ type, extraInfo }: Pick<ChangeCase, 'type' | 'extraInfo'>) =>
  configChange({ type, extraInfo: jsonOf(extraInfo) as ConfigChangeRequest['extraInfo'] });

/** The effect of a document with one rule, and a last one that ignores. */
function effectOf(match: object, effect: string, change: ReturnType<typeof configChange>): string {
  const rules = [
    { name: 'a', match, effect },
    { name: 'else', match: { kind: 'config-change' }, effect: 'ignore' },
  ];
  return evaluate(rulesOf(`rules: ${JSON.stringify(rules)}`), change).verdict.opinion.effect;
}

test('the cases are the documented types, and one more', () => {
  expect(CHANGES.map(({ type }) => type)).toEqual([...Object.keys(CHANGE_TYPES), 'PROTECTED_TAG_APPROVAL']);
});

describe.each(CHANGES)('$type', (each) => {
  const change = asked(each);
  const facts = evaluate(rulesOf('rules: [{ name: a, effect: reject }]'), change).facts.change;
  const btc = testChains.decoder('bitcoin');

  test('is read as it is documented, and nothing else of it', () => {
    const canonical = each.addresses.map((added) =>
      added.address === 'bitcoin' ? { ...added, address: expect.stringContaining('bc1q') } : added,
    );
    expect(btc).toBeDefined();
    expect(facts).toEqual({
      type: each.type,
      extraInfo: each.facts,
      whole: each.whole,
      addresses: canonical,
    });
    for (const secret of each.secrets) expect(JSON.stringify(facts)).not.toContain(secret);
  });

  test('is dangerous when it is of control, or unknown', () => {
    expect(isDangerous(each.type)).toBe(each.risk === 'control' || each.risk === 'unknown');
  });

  test('is approved by its name', () => {
    expect(effectOf({ kind: 'config-change', type: each.type }, 'approve', change)).toBe('approve');
    expect(effectOf({ kind: 'config-change', type: 'SOMETHING_ELSE' }, 'approve', change)).toBe('ignore');
  });

  test('is approved by a rule that names no type only when the type is documented', () => {
    const expected = each.risk === 'unknown' ? 'NO_RULE_MATCHED' : 'APPROVED';
    for (const match of ['{ kind: config-change }', '{}']) {
      const rules = rulesOf(`rules: [{ name: a, match: ${match}, effect: approve }]`);
      expect(evaluate(rules, change).verdict.opinion.reason).toBe(expected);
    }
  });

  if (each.match === null) {
    test('cannot be matched by what it carries', () => {
      const match = { type: each.type, extraInfo: { email: 'x' } };
      expect(() => effectOf(match, 'approve', change)).toThrow('it can be matched by its name only');
    });
  } else {
    const { holds, fails } = each.match;
    test('is decided by what it carries', () => {
      const rule = (extraInfo: object) => ({ type: each.type, extraInfo });
      expect(effectOf(rule(holds), 'approve', change)).toBe('approve');
      expect(effectOf(rule(fails), 'approve', change)).toBe('ignore');
      expect(effectOf(rule({ ...holds, ...fails }), 'approve', change)).toBe('ignore');
      for (const [key, values] of Object.entries(holds))
        expect(effectOf(rule({ [key]: values }), 'approve', change)).toBe('approve');
    });
  }
});

describe('addresses', () => {
  const exchange = (addresses: unknown) =>
    asked({ type: 'EXCHANGE', extraInfo: { accountId: 'x', addresses } });
  const rule = (extraInfo: object) => ({ type: 'EXCHANGE', extraInfo });

  test('an approval needs every one of them, a refusal one', () => {
    const both = exchange({ ETH: ALICE, DAI: BOB });
    expect(effectOf(rule({ addresses: [ALICE] }), 'approve', both)).toBe('ignore');
    expect(effectOf(rule({ addresses: [ALICE, BOB] }), 'approve', both)).toBe('approve');
    expect(effectOf(rule({ addresses: [BOB] }), 'reject', both)).toBe('reject');
    expect(
      effectOf(rule({ addresses: ['0x0000000000000000000000000000000000000001'] }), 'reject', both),
    ).toBe('ignore');
  });

  test('of none an approval knows nothing', () => {
    for (const none of [exchange({}), asked({ type: 'EXCHANGE', extraInfo: { accountId: 'x' } })]) {
      expect(effectOf(rule({ addresses: [ALICE] }), 'approve', none)).toBe('ignore');
      expect(effectOf(rule({ 'addresses.ETH': ALICE }), 'approve', none)).toBe('ignore');
      expect(effectOf(rule({ 'addresses.ETH': ALICE }), 'reject', none)).toBe('ignore');
    }
  });

  test.each<readonly [string, unknown]>([
    ['no JSON', '{"ETH":'],
    ['a list', '["0x1"]'],
    ['a number', 5],
    ['too many', Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`A${index}`, ALICE]))],
    ['too long', { ETH: ALICE, BTC: 'x'.repeat(2000) }],
    ['an address that is none of its chain', { ETH: ALICE, BTC: '??' }],
    ['deeper than an address', { ETH: ALICE, BTC: { main: ALICE } }],
  ])('that are %s are not approved, and a refusal of one holds', (_, addresses) => {
    const change = exchange(addresses);
    expect(effectOf(rule({ addresses: [ALICE] }), 'approve', change)).toBe('ignore');
    expect(effectOf(rule({ addresses: [BOB] }), 'reject', change)).toBe('reject');
  });

  test('of a list that was cut, or cannot be read, no single one is approved either', () => {
    for (const addresses of ['{"ETH":', { ETH: ALICE, BTC: 'x'.repeat(2000) }]) {
      expect(effectOf(rule({ 'addresses.ETH': ALICE }), 'approve', exchange(addresses))).toBe('ignore');
      expect(effectOf(rule({ 'addresses.ETH': BOB }), 'reject', exchange(addresses))).toBe('reject');
    }
  });

  test('a member whose path two have is of neither', () => {
    const twice = asked({
      type: 'SET_NETWORK_ID_POLICY',
      extraInfo: { networkID: 'n', routingPolicy: '{"a.b":"1","a":{"b":"2"}}' },
    });
    for (const value of ['1', '2']) {
      const match = { type: 'SET_NETWORK_ID_POLICY', extraInfo: { 'routingPolicy.a.b': value } };
      expect(effectOf(match, 'approve', twice)).toBe('ignore');
    }
  });

  test('an address without its asset is compared with nothing', () => {
    const change = asked({ type: 'UNMANAGED_WALLET', extraInfo: { walletId: 'w', address: ALICE } });
    expect(effectOf({ type: 'UNMANAGED_WALLET', extraInfo: { address: ALICE } }, 'approve', change)).toBe(
      'ignore',
    );
  });
});

test('a rule about a change says nothing about transactions', () => {
  const rules = (effect: string) =>
    rulesOf(
      `rules: [{ name: a, match: { type: POLICY_CHANGE }, effect: ${effect} }, { name: b, effect: retry }]`,
    );
  for (const effect of ['reject', 'approve'])
    expect(evaluate(rules(effect), question()).verdict.opinion.rule).toBe('b');
});
