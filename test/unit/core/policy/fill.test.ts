import { describe, expect, test } from '@jest/globals';
import { compilePolicy } from '../../../../src/core/policy/compile.js';
import { evaluate } from '../../../../src/core/policy/evaluate.js';
import { entriesFor, historyNeeded, planInstances } from '../../../../src/core/policy/fill.js';
import type { JournalEvent } from '../../../../src/core/ports.js';
import { testChains } from '../../../support/chains.js';
import { BOB, type Change, destination, NOON, question, rulesOf } from '../../../support/policy.js';

const HOUR = 3_600_000;

function document(
  limits: string,
  rules = '[{ name: pay, match: { kind: transaction }, effect: approve }]',
): string {
  return `version: 1\nlimits: { ${limits} }\nrules: ${rules}\n`;
}

function compiled(limits: string, rules?: string) {
  return compilePolicy(document(limits, rules), 'next.yaml', testChains);
}

const N = "n: { sum: usd, max: '1', window: { rolling: 1h }, per: [source, asset] }";

describe('which counters a limit keeps', () => {
  test('a first document gets new ones for every limit', () => {
    expect(planInstances(undefined, compiled(N), '17')).toEqual({ instances: { n: 'n.17' }, fresh: ['n'] });
  });

  test.each([
    ['the same', N, true],
    ['another maximum', N.replace("'1'", "'2'"), true],
    ['another way to say an hour', N.replace('1h', '60m'), true],
    ['another order of per', N.replace('[source, asset]', '[asset, source]'), true],
    ['counts all', N.replace('max', 'counts: all, max'), true],
    ['asks again when full', N.replace('max', 'whenFull: retry, max'), true],
    ['another sum', N.replace('usd', 'count'), false],
    ['another window', N.replace('1h', '2h'), false],
    ['a calendar window', N.replace('rolling: 1h', 'calendar: hour'), false],
    ['another per', N.replace('[source, asset]', '[source]'), false],
    ['another name', N.replace('n:', 'm:'), false],
    ['of new destinations only', N.replace('max', 'newDestinations: 7d, max'), false],
  ])('%s', (_, limits, kept) => {
    const { instances, fresh } = planInstances(
      { document: document(N), instances: { n: 'n.3' } },
      compiled(limits),
      '17',
    );
    expect(Object.values(instances)).toEqual([kept ? 'n.3' : expect.stringMatching(/^[nm]\.17$/)]);
    expect(fresh).toHaveLength(kept ? 0 : 1);
  });

  test('the zone of a calendar window is UTC unless it says so', () => {
    const day = (zone: string) => `d: { sum: usd, max: '1', window: { calendar: day${zone} } }`;
    const previous = { document: document(day('')), instances: { d: 'd.3' } };
    expect(planInstances(previous, compiled(day(', timezone: UTC')), '17').fresh).toEqual([]);
    expect(planInstances(previous, compiled(day(', timezone: Europe/Zurich')), '17').fresh).toEqual(['d']);
  });
});

test('how far back the journal must reach', () => {
  const policy = compiled(`
    a: { sum: usd, max: '1', window: { rolling: 2h } },
    b: { sum: usd, max: '1', window: { calendar: day } },
    c: { sum: usd, max: '1', window: lifetime }`);
  expect(historyNeeded(policy, [], NOON)).toBeUndefined();
  expect(historyNeeded(policy, ['a'], NOON)).toBe(NOON - 2 * HOUR);
  expect(historyNeeded(policy, ['a', 'b'], NOON)).toBe(NOON - 12 * HOUR);
  expect(historyNeeded(policy, ['a', 'c'], NOON)).toBe('beginning');
});

interface Past extends Change {
  readonly moneyKey?: string;
  readonly effect?: string;
  readonly rule?: string;
  readonly minutesAgo: number;
}

/** As the ledger writes it: the facts come back through JSON. */
function event(
  { moneyKey = 't1', effect = 'approve', rule = 'pay', minutesAgo, ...change }: Past,
  sequence: number,
): JournalEvent {
  const { facts } = evaluate(rulesOf('rules: [{ name: pay, effect: approve }]'), question(change));
  const body = { ask: { moneyKey }, decision: { effect, rule }, journal: { facts } };
  return {
    sequence,
    atMs: NOON - minutesAgo * 60_000,
    type: 'decision',
    body: JSON.parse(JSON.stringify(body)),
  };
}

function filled(limits: string, past: readonly Past[], rules?: string) {
  const policy = compiled(limits, rules);
  const plan = planInstances(undefined, policy, '9');
  return entriesFor({ policy, plan, nowMs: NOON, paid: new Map() }, past.map(event));
}

const ALL = "n: { sum: usd, max: '1', window: { rolling: 1h }, counts: all }";

describe('what the journal fills', () => {
  const entry = (moneyKey: string, minutesAgo: number, amount: string) => ({
    counter: 'n.9|',
    window: { kind: 'rolling', lengthMs: HOUR },
    moneyKey,
    atMs: NOON - minutesAgo * 60_000,
    need: { kind: 'amount', amount },
  });
  const usd = (text: string): Change => ({ intent: { destinations: [destination({ usd: text })] } });

  test('approved transactions inside the window', () => {
    const { entries, gaps } = filled(ALL, [
      { moneyKey: 'old', minutesAgo: 61 },
      { moneyKey: 'edge', minutesAgo: 60, ...usd('5') },
      { moneyKey: 'refused', minutesAgo: 5, effect: 'reject' },
      { moneyKey: 'new', minutesAgo: 5, ...usd('7') },
    ]);
    expect(entries).toEqual([
      entry('edge', 60, '5000000000000000000'),
      entry('new', 5, '7000000000000000000'),
    ]);
    expect(gaps).toEqual([]);
  });

  test('a transaction of several events once, with its largest need and latest time', () => {
    const { entries } = filled(ALL, [
      { minutesAgo: 30, ...usd('9') },
      { minutesAgo: 10, ...usd('8') },
    ]);
    expect(entries).toEqual([entry('t1', 10, '9000000000000000000')]);
  });

  test('members of all its events', () => {
    const { entries } = filled(
      "n: { sum: distinct, of: destination, max: '1', window: { rolling: 1h }, counts: all }",
      [{ minutesAgo: 30 }, { minutesAgo: 10, intent: { destinations: [destination({ id: '2' })] } }],
    );
    expect(entries).toMatchObject([{ need: { kind: 'distinct', members: ['VAULT/1', 'VAULT/2'] } }]);
  });

  test('matched counts the rules that name the limit in the new document', () => {
    const rules =
      '[{ name: pay, match: { asset: ETH }, limits: [n], effect: approve }, { name: other, match: { asset: BTC }, effect: approve }]';
    const { entries } = filled(
      ALL.replace('all', 'matched'),
      [
        { moneyKey: 'a', minutesAgo: 1 },
        { moneyKey: 'b', minutesAgo: 1, rule: 'other' },
        { moneyKey: 'c', minutesAgo: 1, rule: 'gone' },
      ],
      rules,
    );
    expect(entries.map(({ moneyKey }) => moneyKey)).toEqual(['a']);
  });

  test('each value of per has its counter', () => {
    const { entries } = filled(ALL.replace('counts', 'per: [destination], counts'), [
      {
        minutesAgo: 1,
        intent: { destinations: [destination({ type: 'ONE_TIME', id: '', address: BOB })] },
        examination: 'skipped',
      },
    ]);
    expect(entries.map(({ counter }) => counter)).toEqual([`n.9|destination=@/${BOB}`]);
  });

  const OF_NEW = ALL.replace('counts', 'newDestinations: 20m, counts');
  const paying = (id: string, more: Change = {}) => ({
    ...more,
    intent: { destinations: [destination({ id, usd: '1' })] },
  });

  test('a limit of new destinations counts while each was new, and says when it was paid first', () => {
    const { entries, moments } = filled(OF_NEW, [
      { moneyKey: 'long-ago', minutesAgo: 300, ...paying('known') },
      { moneyKey: 'first', minutesAgo: 50, ...paying('young') },
      { moneyKey: 'refused', minutesAgo: 50, effect: 'reject', ...paying('never') },
      { moneyKey: 'to-the-known', minutesAgo: 40, ...paying('known') },
      { moneyKey: 'soon-after', minutesAgo: 31, ...paying('young') },
      { moneyKey: 'later', minutesAgo: 30, ...paying('young') },
    ]);
    expect(entries).toEqual([
      entry('first', 50, '1000000000000000000'),
      entry('soon-after', 31, '1000000000000000000'),
    ]);
    expect(moments).toEqual([
      { key: 'paid:VAULT/known', sinceMs: NOON - 300 * 60_000 },
      { key: 'paid:VAULT/young', sinceMs: NOON - 50 * 60_000 },
    ]);
  });

  test('what the ledger remembered before the journal began counts', () => {
    const policy = compiled(OF_NEW);
    const plan = planInstances(undefined, policy, '9');
    const paid = new Map<string, number>();
    const noted = event({ minutesAgo: 10, ...paying('known') }, 7);
    const body = { ...noted.body, moments: { 'paid:VAULT/known': NOON - 9 * HOUR } };
    const { entries, moments } = entriesFor({ policy, plan, nowMs: NOON, paid }, [{ ...noted, body }]);
    expect(entries).toEqual([]);
    expect(moments).toEqual([{ key: 'paid:VAULT/known', sinceMs: NOON - 9 * HOUR }]);
    const next = entriesFor({ policy, plan, nowMs: NOON, paid }, [
      event({ moneyKey: 't2', minutesAgo: 5, ...paying('known') }, 8),
    ]);
    expect(next).toEqual({ entries: [], moments: [], gaps: [] });
  });

  test('what the journal does not say is a gap, not a zero', () => {
    const { entries, gaps } = filled(ALL, [{ minutesAgo: 1, ...usd('0') }]);
    expect(entries).toEqual([]);
    expect(gaps).toEqual([{ limit: 'n', sequence: 0, unknown: 'the USD value is not known' }]);
  });

  test('limits that keep their counters are not filled', () => {
    const policy = compiled(ALL);
    const plan = { instances: { n: 'n.3' }, fresh: [] };
    expect(
      entriesFor({ policy, plan, nowMs: NOON, paid: new Map() }, [event({ minutesAgo: 1 }, 0)]).entries,
    ).toEqual([]);
  });
});
