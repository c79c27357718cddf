import { describe, expect, test } from '@jest/globals';
import { isObject, parseJson } from '../../../../src/core/json.js';
import { readReport } from '../../../../src/protocols/fireblocks/report.js';

const MADE = Date.UTC(2026, 10, 21, 8);

function transaction(overrides: object = {}) {
  return {
    id: '9c794cee-7e27-46c9-9e9a-ed68295ff06b',
    status: 'COMPLETED',
    source: { type: 'VAULT_ACCOUNT', id: '0', name: 'hot' },
    createdAt: MADE,
    lastUpdated: MADE + 60_000,
    ...overrides,
  };
}

/** Through the strict reader, as it comes from the wire. */
function read(overrides: object, notification?: string) {
  const parsed = parseJson(JSON.stringify(transaction(overrides)));
  if (!parsed.ok || !isObject(parsed.value)) throw new Error('not an object');
  return readReport(parsed.value, 'webhook', notification);
}

function fateOf(overrides: object) {
  const result = read(overrides);
  return result.kind === 'report' ? result.report.fate : result.kind;
}

test.each([
  ['CANCELLED', {}, 'cancelled'],
  ['REJECTED', {}, 'rejected'],
  ['BLOCKED', { subStatus: 'BLOCKED_BY_POLICY' }, 'blocked'],
  ['FAILED', { subStatus: 'AUTHORIZATION_FAILED' }, 'failed'],
  ['COMPLETED', {}, undefined],
])('the end of %s %j is called %p where charges are given back', (status, more, reason) => {
  const result = read({ status, ...more });
  expect(result.kind === 'report' ? result.report.reason : result.kind).toBe(reason);
});

test('a report says what became of a transaction, and leaves out what was not said', () => {
  expect(read({ txHash: '0xabc', subStatus: 'confirmed', signedBy: ['u-1'] }, 'n-1')).toEqual({
    kind: 'report',
    statusKnown: true,
    signedBy: ['u-1'],
    report: {
      moneyKey: 'fireblocks:9c794cee-7e27-46c9-9e9a-ed68295ff06b',
      protocol: 'fireblocks',
      txId: '9c794cee-7e27-46c9-9e9a-ed68295ff06b',
      fate: 'completed',
      status: 'COMPLETED',
      subStatus: 'CONFIRMED',
      txHash: '0xabc',
      createdAtMs: MADE,
      updatedAtMs: MADE + 60_000,
      source: 'webhook',
      notification: 'n-1',
    },
  });
  const bare = read({ txHash: '', subStatus: null, signedBy: 'nobody' });
  expect(bare).toMatchObject({ signedBy: [] });
  expect(Object.keys(bare.kind === 'report' ? bare.report : {})).not.toContain('txHash');
});

const HASH = { txHash: '0xabc' };
const EXCHANGE = { source: { type: 'EXCHANGE_ACCOUNT', id: 'e-1' } };

describe('the fate of a transaction from a vault', () => {
  test.each([
    ['SUBMITTED', {}, 'pending'],
    ['PENDING_AML_SCREENING', {}, 'pending'],
    ['PENDING_ENRICHMENT', {}, 'pending'],
    ['PENDING_AUTHORIZATION', {}, 'pending'],
    ['QUEUED', {}, 'pending'],
    ['PENDING_SIGNATURE', {}, 'pending'],
    ['PENDING_SIGNATURE', HASH, 'signed'],
    ['CANCELLING', {}, 'pending'],
    ['CANCELLING', HASH, 'signed'],
    ['PENDING_3RD_PARTY', {}, 'signed'],
    ['PENDING_3RD_PARTY_MANUAL_APPROVAL', {}, 'signed'],
    ['BROADCASTING', {}, 'signed'],
    ['CONFIRMING', HASH, 'signed'],
    ['CONFIRMED', {}, 'signed'],
    ['PARTIALLY_COMPLETED', {}, 'signed'],
    ['COMPLETED', {}, 'completed'],
    ['COMPLETED', { subStatus: 'COMPLETED_BUT_3RD_PARTY_FAILED' }, 'completed'],
    ['COMPLETED', { subStatus: 'COMPLETED_BUT_3RD_PARTY_REJECTED' }, 'completed'],
    ['CANCELLED', {}, 'never-signed'],
    ['CANCELLED', { subStatus: 'CANCELLED_BY_USER' }, 'never-signed'],
    ['CANCELLED', { subStatus: '3RD_PARTY_CANCELLED' }, 'failed'],
    ['CANCELLED', HASH, 'failed'],
    ['CANCELLED', { signedMessages: [{ content: 'aa' }] }, 'failed'],
    ['CANCELLED', { signedBy: ['u-1'] }, 'failed'],
    ['REJECTED', {}, 'never-signed'],
    ['REJECTED', { subStatus: '3RD_PARTY_REJECTED' }, 'failed'],
    ['REJECTED', HASH, 'failed'],
    ['BLOCKED', { subStatus: 'BLOCKED_BY_POLICY' }, 'never-signed'],
    ['BLOCKED', HASH, 'failed'],
    ['FAILED', {}, 'failed'],
    ['FAILED', { subStatus: 'AUTHORIZATION_FAILED' }, 'never-signed'],
    ['FAILED', { subStatus: 'AUTHORIZER_NOT_FOUND' }, 'never-signed'],
    ['FAILED', { subStatus: 'AUTHORIZATION_FAILED', ...HASH }, 'failed'],
    ['FAILED', { subStatus: 'DROPPED_BY_BLOCKCHAIN', ...HASH }, 'failed'],
    ['FAILED', { subStatus: 'SMART_CONTRACT_EXECUTION_FAILED', ...HASH }, 'failed'],
    ['FAILED', { subStatus: 'INSUFFICIENT_FUNDS' }, 'failed'],
    ['FAILED', { subStatus: 'SIGNING_ERROR' }, 'failed'],
    ['FAILED', { subStatus: 'A_NEW_ONE' }, 'failed'],
    ['TIMEOUT', {}, 'failed'],
    ['A_NEW_STATUS', {}, 'pending'],
    ['A_NEW_STATUS', HASH, 'signed'],
    ['completed', {}, 'completed'],
  ])('%s %j is %s', (status, overrides, fate) => {
    expect(fateOf({ status, ...overrides })).toBe(fate);
  });
});

describe('the fate of a withdrawal from an account at a third party', () => {
  test.each([
    ['PENDING_3RD_PARTY', {}, 'signed'],
    ['COMPLETED', {}, 'completed'],
    // It may have been told to pay before it was called off.
    ['CANCELLED', { subStatus: 'CANCELLED_BY_USER' }, 'failed'],
    ['CANCELLED', { subStatus: 'REJECTED_BY_USER' }, 'never-signed'],
    ['BLOCKED', { subStatus: 'BLOCKED_BY_POLICY' }, 'never-signed'],
    ['REJECTED', {}, 'failed'],
    ['FAILED', { subStatus: 'AUTHORIZATION_FAILED' }, 'never-signed'],
    ['FAILED', { subStatus: '3RD_PARTY_FAILED' }, 'failed'],
  ])('%s %j is %s', (status, overrides, fate) => {
    expect(fateOf({ status, ...EXCHANGE, ...overrides })).toBe(fate);
    expect(fateOf({ status, source: { type: 'FIAT_ACCOUNT', id: 'f' }, ...overrides })).toBe(fate);
  });
});

test.each([
  'UNKNOWN',
  'EXTERNAL_WALLET',
  'INTERNAL_WALLET',
  'ONE_TIME_ADDRESS',
  'NETWORK_CONNECTION',
  'GAS_STATION',
  'END_USER_WALLET',
  'A_NEW_TYPE',
])('what comes from %s is not paid by us', (type) => {
  expect(fateOf({ source: { type, id: '' }, ...HASH })).toBe('ignored');
});

test('a status that is not known is said to be so', () => {
  expect(read({ status: 'A_NEW_STATUS' })).toMatchObject({ statusKnown: false });
  expect(read({ status: 'CANCELLING' })).toMatchObject({ statusKnown: true });
});

test('fields nobody asked for are no problem', () => {
  expect(fateOf({ amountInfo: { amountUSD: null }, networkRecords: [{}], newField: [{}] })).toBe('completed');
});

describe('what is ours and malformed is named', () => {
  test.each([
    [{ id: undefined }, 'id: expected text of 1 to 256 characters'],
    [{ id: '' }, 'id: expected text of 1 to 256 characters'],
    [{ id: 'x'.repeat(257) }, 'id: expected at most 256 characters'],
    [{ id: 7 }, 'id: expected text'],
    [{ status: undefined }, 'status: expected a word'],
    [{ status: ['COMPLETED'] }, 'status: expected text'],
    [{ status: 'X'.repeat(129) }, 'status: expected at most 128 characters'],
    [{ subStatus: 4 }, 'subStatus: expected text'],
    [{ source: undefined }, 'source: expected an object'],
    [{ source: 'VAULT_ACCOUNT' }, 'source: expected an object'],
    [{ source: {} }, 'source.type: expected a word'],
    [{ source: { type: 1 } }, 'source.type: expected text'],
    [{ txHash: 17 }, 'txHash: expected text'],
    [{ txHash: 'a'.repeat(257) }, 'txHash: expected at most 256 characters'],
    [{ createdAt: undefined }, 'createdAt: expected Unix milliseconds'],
    // Seconds: an alarm about it would be held back, as about something older than the retention.
    [{ createdAt: MADE / 1000 }, 'createdAt: expected Unix milliseconds'],
    [{ createdAt: `${MADE}` }, 'createdAt: expected Unix milliseconds'],
    [{ lastUpdated: -1 }, 'lastUpdated: expected Unix milliseconds'],
    [{ lastUpdated: 1.5e300 }, 'lastUpdated: expected Unix milliseconds'],
  ])('%j', (overrides, problem) => {
    expect(read(overrides)).toEqual({ kind: 'malformed', problem });
  });
});
