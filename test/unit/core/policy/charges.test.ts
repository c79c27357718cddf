import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { evaluate } from '../../../../src/core/policy/evaluate.js';
import {
  ALICE,
  BOB,
  type Change,
  call,
  destination,
  movement,
  NOON,
  question,
  rulesOf,
} from '../../../support/policy.js';

function chargesOf(limit: string, change: Change = {}) {
  const document = `
limits: { n: { max: '10', window: { rolling: 1h }, ${limit} } }
rules: [{ name: pay, match: { kind: transaction }, limits: [n], effect: approve }]`;
  const { opinion, charges } = evaluate(rulesOf(document), question(change)).verdict;
  expect(opinion).toMatchObject({ effect: 'approve' });
  return charges.map(({ counter, need }) => [counter, need.kind === 'amount' ? need.amount : need.members]);
}

const ONE_TIME = destination({ type: 'ONE_TIME', id: '', address: BOB, amount: '0.03', usd: '60' });
const TWO: Change = {
  intent: { destinations: [destination(), ONE_TIME] },
  effects: { movements: [movement(), movement({ to: BOB, amount: 3n * 10n ** 16n })] },
};
const TOKEN_CALL: Change = {
  intent: {
    operation: 'CONTRACT_CALL',
    destinations: [destination({ address: BOB, id: 'usdc', type: 'UNMANAGED', amount: '0', usd: '0' })],
  },
  effects: { movements: [movement({ asset: 'USDC', amount: 25n })], calls: [call()] },
};

test.each<[string, Change, unknown]>([
  ['sum: native', {}, [['n.1|asset=ETH', '10000000000000000']]],
  ['sum: native, per: [asset]', {}, [['n.1|asset=ETH', '10000000000000000']]],
  ['sum: native', TWO, [['n.1|asset=ETH', '40000000000000000']]],
  ['sum: native, per: [source]', {}, [['n.1|asset=ETH|source=VAULT/0', '10000000000000000']]],
  [
    'sum: native, per: [destination]',
    TWO,
    [
      ['n.1|asset=ETH|destination=VAULT/1', '10000000000000000'],
      [`n.1|asset=ETH|destination=@/${BOB}`, '30000000000000000'],
    ],
  ],
  ['sum: native', TOKEN_CALL, [['n.1|asset=USDC', '25']]],
  ['sum: native, per: [destination]', TOKEN_CALL, [[`n.1|asset=USDC|destination=@/${ALICE}`, '25']]],
  [
    'sum: native',
    { intent: { destinations: [destination(), destination({ id: '2' })] }, examination: 'skipped' },
    [['n.1|asset=ETH', '20000000000000000']],
  ],
  [
    'sum: native',
    {
      intent: { asset: 'USDC_ALIAS', amount: '2.5', destinations: [destination({ amount: '2.5' })] },
      examination: 'skipped',
    },
    [['n.1|asset=USDC', '2500000']],
  ],
  ['sum: usd', {}, [['n.1|', '18740000000000000000']]],
  ['sum: usd', TWO, [['n.1|', '78740000000000000000']]],
  [
    'sum: usd, per: [destination]',
    TWO,
    [
      ['n.1|destination=VAULT/1', '18740000000000000000'],
      [`n.1|destination=@/${BOB}`, '60000000000000000000'],
    ],
  ],
  ['sum: fee', {}, [['n.1|asset=ETH', '600000000000000']]],
  ['sum: fee', { examination: 'skipped' }, [['n.1|asset=ETH', '600000000000000']]],
  ['sum: count', TWO, [['n.1|', '1']]],
  [
    'sum: count, per: [signer, cosigner, operation]',
    {},
    [['n.1|signer=signer-1|cosigner=cosigner-a|operation=TRANSFER', '1']],
  ],
  [
    'sum: count, per: [destination]',
    { intent: { destinations: [destination(), destination()] }, examination: 'skipped' },
    [['n.1|destination=VAULT/1', '1']],
  ],
  [
    'sum: count, per: [asset]',
    TOKEN_CALL,
    [
      ['n.1|asset=ETH', '1'],
      ['n.1|asset=USDC', '1'],
    ],
  ],
  ['sum: distinct, of: destination', TWO, [['n.1|', ['VAULT/1', `@/${BOB}`]]]],
])('%s', (limit, change, expected) => expect(chargesOf(limit, change)).toEqual(expected));

describe('what a charge says', () => {
  const chargeOf = (limit: string, change: Change = {}) => {
    const document = `
limits: { cap: { ${limit} } }
rules: [{ name: pay, match: { kind: transaction }, limits: [cap], effect: approve }]`;
    return evaluate(rulesOf(document), question(change)).verdict.charges[0];
  };

  test('everything the ledger needs', () => {
    expect(
      chargeOf("sum: native, max: '150.000000000000000001', window: { rolling: 24h }, whenFull: retry"),
    ).toEqual({
      limit: 'cap',
      counter: 'cap.1|asset=ETH',
      mode: 'enforce',
      whenFull: 'retry',
      window: { kind: 'rolling', lengthMs: 86_400_000 },
      need: { kind: 'amount', amount: '10000000000000000' },
      max: '150000000000000000001',
      near: '120000000000000000001',
      sentence: 'Limit cap has no room for this transaction.',
    });
  });

  test('a calendar window is sent as the span that holds the instant', () => {
    expect(
      chargeOf("sum: count, max: '1', window: { calendar: day, timezone: Europe/Zurich }")?.window,
    ).toEqual({
      kind: 'calendar',
      startMs: Date.parse('2026-01-04T23:00:00Z'),
      endMs: Date.parse('2026-01-05T23:00:00Z'),
    });
    expect(NOON).toBe(Date.parse('2026-01-05T12:00:00Z'));
  });

  test('a maximum finer than the asset is rounded down, its warning up', () => {
    const change: Change = {
      intent: { asset: 'USDC', destinations: [destination({ amount: '0' })] },
      effects: { movements: [movement({ asset: 'USDC', amount: 1n })] },
    };
    expect(chargeOf("sum: native, max: '0.0000019', window: lifetime, nearLimit: 0.3", change)).toMatchObject(
      { max: '1', near: '1' },
    );
    expect(chargeOf("sum: native, max: '1', window: lifetime, nearLimit: 0.1", change)).toMatchObject({
      max: '1000000',
      near: '100000',
    });
  });
});

test('limits of all transactions are charged by every rule that approves, once', () => {
  const document = `
limits:
  all: { sum: count, max: '9', window: lifetime, counts: all }
  mine: { sum: usd, max: '99', window: lifetime }
rules: [{ name: pay, match: { kind: transaction }, limits: [LIMITS], effect: approve }]`;
  const names = (limits: string) =>
    evaluate(rulesOf(document.replace('LIMITS', limits)), question()).verdict.charges.map(
      ({ limit }) => limit,
    );
  expect(names('')).toEqual(['all']);
  expect(names('mine')).toEqual(['mine', 'all']);
  expect(names('all, mine')).toEqual(['all', 'mine']);
});

test('different values never share a counter', () => {
  const rules = rulesOf(`
limits: { n: { sum: count, max: '9', window: lifetime, per: [source, signer] } }
rules: [{ name: pay, match: { kind: transaction }, limits: [n], effect: approve }]`);
  const counterOf = ([type, id, signer]: readonly [string, string, string]) =>
    evaluate(rules, question({ request: { signer }, intent: { source: { type, id } } })).verdict.charges[0]
      ?.counter;
  const awkward = fc.string({
    unit: fc.constantFrom('a', '|', '=', '/', '~', '@', '%', ' ', 'é'),
    minLength: 1,
    maxLength: 4,
  });
  const values = fc.tuple(awkward, awkward, awkward);
  fc.assert(
    fc.property(values, values, (a, b) => {
      expect(counterOf(a) === counterOf(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    }),
    { numRuns: 3000 },
  );
});

test('counters are short printable keys, however odd the values', () => {
  const rules = rulesOf(`
limits: { n: { sum: count, max: '9', window: lifetime, per: [signer] } }
rules: [{ name: pay, match: { kind: transaction }, limits: [n], effect: approve }]`);
  for (const signer of ['x'.repeat(100_000), '\ud800', '{tag}', 'a b\n'])
    expect(evaluate(rules, question({ request: { signer } })).verdict.charges[0]?.counter).toMatch(
      /^n\.1\|signer=~[0-9a-f]{64}$/,
    );
});

describe('a limit of new destinations', () => {
  const partsOf = (limit: string, change: Change = {}) => {
    const document = `
limits: { n: { max: '10', window: { rolling: 1h }, newDestinations: 7d, ${limit} } }
rules: [{ name: pay, match: { kind: transaction }, limits: [n], effect: approve }]`;
    const { opinion, charges } = evaluate(rulesOf(document), question(change)).verdict;
    if (opinion.effect !== 'approve') return opinion.sentence;
    return charges.map(({ newOnly }) => {
      expect(newOnly?.forMs).toBe(7 * 86_400_000);
      return [newOnly?.combine, ...(newOnly?.parts ?? []).map(({ moment, need }) => `${moment} ${need}`)];
    });
  };
  const bob = `paid:@/${BOB}`;

  test.each<[string, Change, unknown]>([
    ['sum: native', TWO, [['sum', 'paid:VAULT/1 10000000000000000', `${bob} 30000000000000000`]]],
    ['sum: usd', TWO, [['sum', 'paid:VAULT/1 18740000000000000000', `${bob} 60000000000000000000`]]],
    ['sum: count', TWO, [['largest', 'paid:VAULT/1 1', `${bob} 1`]]],
    ['sum: fee', TWO, [['largest', 'paid:VAULT/1 600000000000000', `${bob} 600000000000000`]]],
    ['sum: distinct, of: destination', TWO, [['sum', 'paid:VAULT/1 VAULT/1', `${bob} @/${BOB}`]]],
    [
      'sum: count, per: [destination]',
      TWO,
      [
        ['largest', 'paid:VAULT/1 1'],
        ['largest', `${bob} 1`],
      ],
    ],
    [
      'sum: count',
      { intent: { destinations: [destination({ type: 'ONE_TIME', id: '' })] }, examination: 'skipped' },
      [['largest', `paid:@/${ALICE} 1`]],
    ],
  ])('%s: %#', (limit, change, expected) => expect(partsOf(limit, change)).toEqual(expected));

  test.each(['sum: count', 'sum: usd', 'sum: distinct, of: destination'])(
    'of a destination that is not known, %s does not approve',
    (limit) => {
      const nobody = { type: 'ONE_TIME', id: '', address: '' };
      const change = { intent: { destinations: [destination(nobody)] }, examination: 'skipped' } as const;
      expect(partsOf(limit, change)).toMatch(/Limit n must be charged, and .* not known/);
    },
  );

  test('two outputs to one destination are one part', () => {
    const twice = { intent: { destinations: [destination({ usd: '1' }), destination({ usd: '2' })] } };
    expect(partsOf('sum: usd', twice)).toEqual([['sum', 'paid:VAULT/1 3000000000000000000']]);
  });
});
