/** How the sweeper behaves towards an API that is slow, down, in a rage, or lies: over real HTTP, on a clock of its own. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { OpenTransactions } from '../../../../src/core/open-transactions.js';
import type { Report, Settlement } from '../../../../src/core/report.js';
import { fireblocksApi } from '../../../../src/protocols/fireblocks/api.js';
import { Sweep, type SweepAnswer } from '../../../../src/replica/vendor/sweeping.js';
import { rsaPair } from '../../../support/cosigner.js';
import { type FakeFireblocksApi, startFakeFireblocksApi } from '../../../support/fake-fireblocks-api.js';
import { vendorTransaction } from '../../../support/vendor-deployment.js';

const MINUTE = 60_000;
const own = rsaPair();
let server: FakeFireblocksApi;

beforeAll(async () => {
  server = await startFakeFireblocksApi([{ apiKey: 'key', publicKey: own.publicKey, isViewer: true }]);
});
beforeEach(() => server.transactions.clear());
afterEach(() => {
  server.mend();
  server.calls.length = 0;
});
afterAll(() => server.close());

/** Approved at these minutes. A call has long enough for a busy machine, unless it is one that is never answered. */
function sweeping(approvedAt: Readonly<Record<string, number>>, timeoutMs = 20_000) {
  const open = new OpenTransactions();
  for (const [txId, minute] of Object.entries(approvedAt))
    open.take({
      sequence: minute + 1,
      atMs: minute * MINUTE,
      type: 'decision',
      body: {
        ask: { moneyKey: `fireblocks:${txId}`, txId },
        decision: { effect: 'approve' },
        journal: { request: { protocol: 'fireblocks', kind: 'transaction', stage: 'signing' } },
      },
    });
  let nowMs = 0;
  const said: string[] = [];
  const reports: Report[] = [];
  const rests: number[] = [];
  const sweep = new Sweep({
    api: fireblocksApi({
      origin: server.url,
      apiKey: 'key',
      privateKey: own.privateKey,
      timeoutMs,
      requestsPerMinute: 60_000,
    }),
    async settle({ report }): Promise<Settlement> {
      reports.push(report);
      if (report.status === 'BLOCKED') throw new Error('the ledger is away');
      return { fate: report.fate, changed: report.fate !== 'pending', given: [] };
    },
    clock: { now: () => nowMs },
    afterMs: 60 * MINUTE,
    everyMs: 5 * MINUTE,
    observer: {
      asked: ({ txId }, { result }: SweepAnswer) => void said.push(`${txId} ${result}`),
      failed: (problem, _, restMs) => {
        said.push(problem);
        rests.push(restMs);
      },
    },
  });
  return {
    open,
    reports,
    rests,
    /** What is said in one turn at this minute. */
    async at(minute: number): Promise<readonly string[]> {
      nowMs = minute * MINUTE;
      said.length = 0;
      await sweep.turn(open, new AbortController().signal);
      return [...said];
    },
  };
}

test('only those that are overdue, oldest first, and no sooner than configured', async () => {
  for (const id of ['old', 'older', 'new']) server.transactions.set(id, vendorTransaction(id, 'COMPLETED'));
  const { at, reports } = sweeping({ older: 0, old: 10, new: 30 });
  expect(await at(59)).toEqual([]);
  // The next look is five minutes after the last.
  expect(await at(61)).toEqual([]);
  expect(await at(75)).toEqual(['older completed', 'old completed']);
  expect(reports).toMatchObject([
    { txId: 'older', fate: 'completed', source: 'api', moneyKey: 'fireblocks:older' },
    { txId: 'old' },
  ]);
  expect(server.refused).toEqual([]);
});

test('one that is not over is asked about ever more seldom', async () => {
  server.transactions.set('slow', vendorTransaction('slow', 'PENDING_SIGNATURE'));
  const { at } = sweeping({ slow: 0 });
  const asked: number[] = [];
  for (let minute = 60; minute < 60 + 24 * 60; minute += 1)
    if ((await at(minute)).length > 0) asked.push(minute - 60);
  expect(asked.slice(0, 7)).toEqual([0, 5, 15, 35, 75, 155, 315]);
  // Six hours at most.
  expect(asked.slice(7)).toEqual([635, 995, 1355]);
});

test('while the API is away everybody waits, ever longer, and at most an hour', async () => {
  server.fault('/v1/transactions', { status: 503 }, true);
  const { at, rests } = sweeping({ a: 0, b: 1 });
  let minute = 61;
  for (let time = 0; time < 6; time += 1) {
    expect(await at(minute)).toEqual(['unavailable']);
    expect(await at(minute + 4)).toEqual([]);
    minute += (rests.at(-1) ?? 0) / MINUTE;
  }
  expect(rests.map((ms) => ms / MINUTE)).toEqual([5, 10, 20, 40, 60, 60]);
  server.mend();
  server.transactions.set('a', vendorTransaction('a', 'COMPLETED'));
  server.transactions.set('b', vendorTransaction('b', 'COMPLETED'));
  expect([...(await at(minute + 600))].sort()).toEqual(['a completed', 'b completed']);
});

test('it waits as long as it is told to', async () => {
  server.fault('/v1/transactions', { status: 429, headers: { 'retry-after': '600' } });
  const { at, rests } = sweeping({ a: 0 });
  expect(await at(60)).toEqual(['limited']);
  expect(rests).toEqual([600_000]);
});

test('one that is never answered keeps nobody waiting', async () => {
  server.fault('/v1/transactions/hangs', 'hang', true);
  server.transactions.set('fine', vendorTransaction('fine', 'COMPLETED'));
  const { at } = sweeping({ hangs: 0, fine: 1 }, 5_000);
  expect(await at(61)).toEqual(['unavailable']);
  expect(await at(66)).toContain('fine completed');
});

test.each([
  ['missing', undefined],
  ['foreign', vendorTransaction('other', 'CANCELLED')],
  ['foreign', vendorTransaction('asked', 'COMPLETED', { source: { type: 'UNKNOWN' } })],
  ['unreadable', vendorTransaction('asked', 'CANCELLED', { lastUpdated: 'yesterday' })],
  ['unreadable', { id: 'asked' }],
  ['unreadable', [vendorTransaction('asked', 'CANCELLED')]],
])('%s: nothing is settled', async (result, transaction) => {
  if (transaction !== undefined) server.transactions.set('asked', transaction);
  const { at, reports } = sweeping({ asked: 0 });
  expect(await at(60)).toEqual([`asked ${result}`]);
  expect(reports).toEqual([]);
});

test('an answer that could not be recorded is asked for again', async () => {
  server.transactions.set('a', vendorTransaction('a', 'BLOCKED'));
  const { at } = sweeping({ a: 0 });
  await expect(at(60)).rejects.toThrow('the ledger is away');
  server.transactions.set('a', vendorTransaction('a', 'COMPLETED'));
  expect(await at(66)).toEqual(['a completed']);
});

test('many are asked about in several turns, so that the journal is read in between', async () => {
  const ids = Array.from({ length: 120 }, (_, index) => `t${index}`);
  for (const id of ids) server.transactions.set(id, vendorTransaction(id, 'COMPLETED'));
  const { at, open } = sweeping(Object.fromEntries(ids.map((id) => [id, 0])));
  const turns: number[] = [];
  for (let turn = 0; turn < 4; turn += 1) {
    const said = await at(60);
    turns.push(said.length);
    for (const line of said) open.ended({ protocol: 'fireblocks', txId: line.split(' ')[0] ?? '' });
  }
  expect(turns).toEqual([50, 50, 20, 0]);
});
