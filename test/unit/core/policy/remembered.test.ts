import { describe, expect, test } from '@jest/globals';
import { warningsOf } from '../../../../src/core/policy/consistency.js';
import { evaluate } from '../../../../src/core/policy/evaluate.js';
import {
  ALICE,
  BOB,
  configChange,
  destination,
  movement,
  question,
  rulesOf,
} from '../../../support/policy.js';

const RULES =
  'rules: [{ name: pay, match: { kind: transaction }, limits: [], effect: approve }, { name: add, match: { kind: config-change }, effect: approve }]';
const COOLING = `coolingOff: { period: 24h }\n${RULES}`;

const verdictOf = (document: string, asked: Parameters<typeof evaluate>[1]) =>
  evaluate(rulesOf(document), asked).verdict;

const whitelisting = (extraInfo: Readonly<Record<string, string>>, type = 'UNMANAGED_WALLET') =>
  configChange({ type, extraInfo: { walletId: 'w-1', asset: 'ETH', address: ALICE, ...extraInfo } });

/** A payment, and bytes that do it. */
const to = ({ address = ALICE, ...change }: Parameters<typeof destination>[0] = {}) => ({
  intent: { destinations: [destination({ type: 'UNMANAGED', id: 'w-1', address, ...change })] },
  effects: { movements: [movement({ to: address })] },
});

/** Without an address, and without bytes. */
const APPROVAL_STAGE = {
  examination: 'absent',
  request: { stage: 'approval' },
  intent: { destinations: [destination({ type: 'UNMANAGED', id: 'w-1', address: '' })] },
} as const;

describe('what a whitelisting is remembered by, a payment waits for', () => {
  const keys = (extraInfo: Readonly<Record<string, string>>, type?: string) =>
    (verdictOf(RULES, whitelisting(extraInfo, type)).moments ?? []).map(({ key, keeps }) => {
      expect(keeps).toBe('newest');
      return key;
    });
  const waitsFor = (moments: readonly string[], asked: Parameters<typeof question>[0]) => {
    const { coolingOff } = verdictOf(COOLING, question(asked));
    return moments.some((key) => coolingOff?.keys.includes(key) === true);
  };

  test.each<readonly [string, Readonly<Record<string, string>>, Parameters<typeof question>[0], boolean]>([
    ['the same wallet and asset', {}, to({}), true],
    ['the wallet alone, where the stage has no address', {}, APPROVAL_STAGE, true],
    ['the same address under another id', {}, to({ id: 'w-2' }), true],
    ['the same address as a one-time address', {}, to({ type: 'ONE_TIME', id: '' }), true],
    [
      'the address in another spelling',
      { address: ALICE.toUpperCase().replace('0X', '0x') },
      to({ id: 'w-2' }),
      true,
    ],
    ['another wallet and address', { walletId: 'w-9', address: BOB }, to({}), false],
    ['the same wallet, another asset', { asset: 'BTC', address: 'bc1qfriend' }, to({}), false],
    ['the same address for another asset', { asset: 'DAI', walletId: 'w-9' }, to({}), false],
    ['an address with a tag, under another id', { tag: '7' }, to({ id: 'w-2' }), false],
    ['an address with a tag, by its wallet', { tag: '7' }, to({}), true],
    ['a vault of the same id', {}, to({ type: 'VAULT', address: BOB }), false],
  ])('%s: %#', (_, extraInfo, asked, expected) => {
    const moments = keys(extraInfo);
    expect(moments.length).toBeGreaterThan(0);
    expect(waitsFor(moments, asked)).toBe(expected);
  });

  test.each([
    ['EXCHANGE', 'EXCHANGE', { accountId: 'a-1' }],
    ['FIAT_ACCOUNT', 'FIAT', { accountId: 'a-1' }],
    ['ADD_NETWORK_CONNECTION', 'NETWORK', { networkConnectionId: 'a-1' }],
  ])('an account that %s adds', (change, type, extraInfo) => {
    const moments = keys(extraInfo, change);
    expect(moments).toHaveLength(1);
    expect(waitsFor(moments, to({ type, id: 'a-1' }))).toBe(true);
    expect(waitsFor(moments, to({ type, id: 'a-2' }))).toBe(false);
    expect(waitsFor(moments, to({ type: 'UNMANAGED', id: 'a-1' }))).toBe(false);
  });

  test('the addresses of an exchange', () => {
    const moments = keys(
      { accountId: 'a-1', addresses: JSON.stringify({ ETH: BOB, DAI: ALICE }) },
      'EXCHANGE',
    );
    expect(waitsFor(moments, to({ address: BOB }))).toBe(true);
    expect(waitsFor(moments, to({ address: ALICE }))).toBe(false);
  });

  test('what a call moves to an address, in whatever asset', () => {
    const moments = keys({ asset: 'DAI', walletId: 'w-9', address: BOB });
    const calls = {
      intent: {
        operation: 'CONTRACT_CALL',
        destinations: [destination({ type: 'UNMANAGED', id: 'c', address: ALICE })],
      },
      effects: { movements: [movement({ asset: 'DAI', to: BOB, amount: 5n })] },
    };
    expect(waitsFor(moments, calls)).toBe(true);
  });

  test.each([
    ['ADD_USER', { walletId: 'w-1' }],
    ['SET_NETWORK_ID_POLICY', { networkID: 'n' }],
  ])('%s adds no destination', (type, extraInfo) => expect(keys(extraInfo, type)).toEqual([]));

  test('a whitelisting without its wallet or asset is remembered by what there is', () => {
    expect(keys({ walletId: '' })).toHaveLength(1);
    expect(keys({ asset: '' })).toEqual([]);
  });
});

describe('cooling-off', () => {
  test('is of transactions that a rule approves, with its period', () => {
    expect(verdictOf(COOLING, question()).coolingOff).toMatchObject({
      periodMs: 86_400_000,
      whenEarly: 'reject',
      sentence: 'A destination was whitelisted here less than 24h ago.',
    });
    expect(verdictOf(COOLING, configChange()).coolingOff).toBeUndefined();
    expect(verdictOf(RULES, question()).coolingOff).toBeUndefined();
    const refusing = COOLING.replace('effect: approve', 'effect: reject').replace('limits: [], ', '');
    expect(verdictOf(refusing, question())).toMatchObject({ opinion: { effect: 'reject' } });
    expect(verdictOf(refusing, question()).coolingOff).toBeUndefined();
    expect(verdictOf(refusing, question()).moments).toBeUndefined();
  });

  test('too many destinations to look at are refused', () => {
    const many = Array.from({ length: 256 }, (_, index) =>
      destination({ type: 'UNMANAGED', id: `w-${index}`, address: ALICE, amount: '1' }),
    );
    const moves = ['DAI', 'BTC', 'SOL'].map((asset) => movement({ asset, to: ALICE, amount: 1n }));
    const asked = question({ intent: { destinations: many }, effects: { movements: moves } });
    expect(verdictOf(COOLING, asked).opinion).toMatchObject({ effect: 'reject', reason: 'CHARGES_TOO_MANY' });
    expect(verdictOf(RULES, asked).opinion.effect).toBe('approve');
  });
});

test('destinations beyond those that are looked at escape no cooling-off', () => {
  const one = destination({ type: 'UNMANAGED', id: 'w-1', address: ALICE, amount: '1' });
  const paying = (count: number) =>
    verdictOf(COOLING, question({ ...APPROVAL_STAGE, intent: { destinations: Array(count).fill(one) } }));
  expect(paying(256).opinion.effect).toBe('approve');
  expect(paying(257).opinion).toMatchObject({ effect: 'reject', reason: 'DESTINATIONS_TOO_MANY' });
  expect(paying(0).opinion.effect).toBe('approve');
});

describe('the first payment of a destination', () => {
  const LIMIT = "limits: { n: { sum: usd, max: '1', window: lifetime, newDestinations: 7d } }\n";

  test('is remembered by every approval, as soon as a limit needs it', () => {
    const first = [{ key: 'paid:VAULT/1', keeps: 'first' }];
    expect(verdictOf(LIMIT + RULES, question()).moments).toEqual(first);
    expect(verdictOf(RULES, question()).moments).toEqual([]);
  });
});

test('the policy is warned of what cannot work', () => {
  const warnings = (document: string) =>
    warningsOf(rulesOf(document).policy.document).map(({ message }) => message);
  const limit =
    "limits: { n: { sum: usd, max: '0.00', window: lifetime, newDestinations: 7d, counts: all } }\n";
  expect(warnings(limit + COOLING)).toContain(
    'nothing may ever be paid to a new destination, so no destination can become known',
  );
  expect(warnings(limit.replace('0.00', '0.01') + COOLING).join()).not.toContain('ever be paid');
  const retrying = COOLING.replace('24h', '24h, whenEarly: retry');
  expect(warnings(retrying).join()).toContain('retry outlasts the co-signer');
  expect(warnings(retrying.replace('24h', '1h')).join()).not.toContain('outlasts');
});
