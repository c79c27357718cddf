/**
 * Random histories on a pure model and on each store, every answer and every counter compared. The embedded store
 * runs on a clock of the test's own, which leaps and steps back; Redis on its own clock, with windows of tens of
 * milliseconds and real waits.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Charge, LedgerFact, WindowSpan } from '../../src/core/decision.js';
import type { CoolingOff, Moment, NewOnly } from '../../src/core/moments.js';
import type { CommitReply, Proposal } from '../../src/core/ports.js';
import type { Release, Released } from '../../src/core/release.js';
import type { Reported, SettlingReport } from '../../src/core/report.js';
import type { Trimmed, TrimOrder } from '../../src/core/upkeep.js';
import { EmbeddedStore } from '../../src/ledger/embedded/store.js';
import { atLast } from '../support/each-ledger.js';
import { bench, PATIENT, type RedisStore, redisStore } from '../support/ledger-bench.js';
import { comparable, LedgerModel } from '../support/ledger-model.js';
import { APPROVE, askAbout, charge, IGNORE, proposal, REJECT, RETRY } from '../support/proposals.js';

/** A failing history is shrunk no longer than this, so that it is shown and not timed out. */
const WITHIN = { interruptAfterTimeLimit: 40_000 } as const;

const ROLLING_MS = 40;
/** Long enough to hold a whole history; the other one is over. */
const SPANS: readonly WindowSpan[] = [
  { kind: 'calendar', startMs: 0, endMs: 9_999_999_999_999 },
  { kind: 'calendar', startMs: 0, endMs: 1 },
];

type Step =
  | {
      readonly kind: 'commit';
      readonly make: (parts: { versions: Proposal['versions']; nowMs: number }) => Proposal;
    }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'activate' }
  | { readonly kind: 'release'; readonly moneyKey: string }
  | { readonly kind: 'report'; readonly report: SettlingReport }
  | { readonly kind: 'forget' }
  | { readonly kind: 'freeze' };

/** A store under test: how it acts, and between which instants its clock may be. */
interface Subject {
  readonly identity: string;
  commit(made: Proposal): Promise<CommitReply>;
  usage(charges: readonly Charge[]): Promise<readonly string[]>;
  activate(): Promise<{ readonly sequence: number }>;
  freeze(id: string): Promise<{ readonly sequence: number }>;
  release(release: Release): Promise<Released>;
  report(report: SettlingReport): Promise<Reported>;
  forget(): Promise<Trimmed>;
  wait(ms: number): Promise<void>;
  now(): number;
}

/** Mostly small needs under roomy limits, so that transactions live long enough to be asked about again. */
const amounts = fc.oneof(
  { weight: 5, arbitrary: fc.nat(9).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('99999999999999', '100000000000000', '18446744073709551616') },
);
const maxima = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom('100000000000000000000', '40000000000000000000') },
  { weight: 2, arbitrary: fc.integer({ min: 5, max: 30 }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('0', '3', '100000000000007') },
);

/** Each counter always has the same window and kind of need, as each limit does. */
const COUNTERS: readonly ((
  amount: string,
  members: readonly string[],
) => Partial<Parameters<typeof charge>[1]>)[] = [
  (amount) => ({ amount, window: { kind: 'rolling', lengthMs: ROLLING_MS } }),
  (amount) => ({ amount, window: { kind: 'rolling', lengthMs: 3 * ROLLING_MS } }),
  (amount) => ({ amount, window: { kind: 'lifetime' } }),
  (amount) => ({ amount, window: SPANS[0] ?? { kind: 'lifetime' } }),
  (_, members) => ({ members, window: { kind: 'rolling', lengthMs: ROLLING_MS } }),
  (_, members) => ({ members, window: { kind: 'lifetime' } }),
];

/** Long and short against the waits between steps. */
const periods = fc.constantFrom(ROLLING_MS, ROLLING_MS - 1, 3 * ROLLING_MS);
const momentKeys = fc.constantFrom('m1', 'm2', 'm3');

const moments: fc.Arbitrary<readonly Moment[]> = fc
  .uniqueArray(momentKeys, { maxLength: 3 })
  .map((keys) => keys.map((key) => ({ key, keeps: key === 'm1' ? 'newest' : 'first' })));

const coolings: fc.Arbitrary<CoolingOff | undefined> = fc.oneof(
  { weight: 5, arbitrary: fc.constant(undefined) },
  {
    weight: 1,
    arbitrary: fc.record({
      keys: fc.uniqueArray(momentKeys, { maxLength: 2 }),
      periodMs: periods,
      whenEarly: fc.constantFrom('reject', 'retry'),
      sentence: fc.constant('Too early.'),
    }),
  },
);

/** The part of each destination in a need: amounts of two, or two of the members. */
function forNew(forMs: number, combine: NewOnly['combine'], { need }: Pick<Charge, 'need'>): NewOnly {
  const needs = need.kind === 'amount' ? [need.amount, '7'] : [...new Set(need.members)].slice(0, 2);
  return { forMs, combine, parts: needs.map((each, index) => ({ moment: `m${index + 2}`, need: each })) };
}

const charges: fc.Arbitrary<readonly Charge[]> = fc
  .uniqueArray(
    fc.record({
      counter: fc.nat(COUNTERS.length - 1),
      mode: fc.constantFrom('enforce', 'enforce', 'shadow'),
      amount: amounts,
      members: fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 }),
      max: maxima,
      near: maxima,
      whenFull: fc.constantFrom('reject', 'retry'),
      over: fc.integer({ min: 0, max: 19 }),
      forMs: fc.option(periods, { freq: 3, nil: undefined }),
      combine: fc.constantFrom('sum', 'largest'),
    }),
    { maxLength: 4, selector: ({ counter, mode }) => `${counter} ${mode}` },
  )
  .map((chosen) =>
    chosen.map(({ counter, mode, amount, members, max, near, whenFull, over, forMs, combine }) => {
      const shape = COUNTERS[counter]?.(amount, members) ?? {};
      const moved =
        over === 0 && shape.window?.kind === 'calendar' ? { window: SPANS[1] ?? shape.window } : {};
      const made = charge(`c${counter}`, { ...shape, ...moved, mode, max, near, whenFull });
      return forMs === undefined ? made : { ...made, newOnly: forNew(forMs, combine, made) };
    }),
  );

const facts: fc.Arbitrary<readonly LedgerFact[]> = fc.array(
  fc.record({
    key: fc.constantFrom('k1', 'k2'),
    value: fc.integer({ min: 0, max: 29 }).map((n) => (n === 0 ? 'w' : 'v')),
    reason: fc.constant('INPUT_AMOUNT_CHANGED' as const),
    sentence: fc.constant('It contradicts.'),
  }),
  { maxLength: 2 },
);

const commits: fc.Arbitrary<Step> = fc
  .record({
    tx: fc.nat(3),
    stage: fc.nat(9),
    variant: fc.integer({ min: 0, max: 9 }),
    core: fc.integer({ min: 0, max: 29 }),
    boundTo: fc.integer({ min: 0, max: 29 }),
    amount: fc.constantFrom('100', '100', '100', '100', '99', '101', undefined),
    isConfigChange: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    opinion: fc.constantFrom(...Array.from({ length: 30 }, () => APPROVE), REJECT, IGNORE, RETRY),
    frozen: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
    staleBy: fc.integer({ min: 0, max: 19 }).map((n) => (n === 0 ? 1 : 0)),
    charges,
    facts,
    moments,
    coolingOff: coolings,
  })
  .map(({ tx, stage, variant, core, boundTo, amount, isConfigChange, staleBy, coolingOff, ...rest }) => ({
    kind: 'commit',
    make: ({ versions, nowMs }) => {
      const txId = `t${tx}`;
      const money = isConfigChange
        ? { askKey: `change-${tx}`, moneyKey: undefined, binding: undefined, coreFingerprint: undefined }
        : {
            askKey: `stage-${stage}-${tx}`,
            // One of them is told of by people for whom nobody vouches.
            coreFingerprint: tx === 3 ? undefined : core === 0 ? 'other' : `core-${tx}`,
            binding: { requestKey: txId, txId: boundTo === 0 ? 'other' : txId },
          };
      return proposal(txId, {
        ask: askAbout(txId, { ...money, fingerprint: variant === 0 ? 'variant' : `content-${tx}`, amount }),
        versions: { ...versions, policy: versions.policy - staleBy },
        nowMs,
        ...(coolingOff && { coolingOff }),
        ...rest,
      });
    },
  }));

/** Among them the edges of the shorter window, to the millisecond. */
const waits = fc
  .oneof(fc.nat(ROLLING_MS), fc.constantFrom(ROLLING_MS - 1, ROLLING_MS, ROLLING_MS + 1, 3 * ROLLING_MS))
  .map((ms): Step => ({ kind: 'wait', ms }));

const releases = fc.nat(3).map((tx): Step => ({ kind: 'release', moneyKey: `test:t${tx}` }));

const reports = fc
  .record({
    tx: fc.nat(3),
    fate: fc.constantFrom('signed', 'completed', 'failed', 'never-signed', 'never-signed', 'never-signed'),
    status: fc.constantFrom('A', 'B'),
    subStatus: fc.constantFrom(undefined, 'X'),
    txHash: fc.constantFrom(undefined, undefined, undefined, '0x1', '0x2'),
    updatedAtMs: fc.nat(3),
  })
  .map(({ tx, subStatus, txHash, ...said }): Step => {
    const of = { protocol: 'test', txId: `t${tx}`, moneyKey: `test:t${tx}` };
    const optional = { ...(subStatus && { subStatus }), ...(txHash && { txHash }) };
    return { kind: 'report', report: { ...of, ...said, ...optional, createdAtMs: 0, source: 'webhook' } };
  });

const histories: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: commits },
    { weight: 6, arbitrary: waits },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'activate' }) },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'freeze' }) },
    { weight: 2, arbitrary: releases },
    { weight: 4, arbitrary: reports },
  ),
  { minLength: 5, maxLength: 50, size: 'max' },
);

/** The same, in which everything is forgotten as soon as it may be: without the window that lasts for ever. */
const forgetfulHistories: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 20,
      arbitrary: commits.map((step): Step => {
        if (step.kind !== 'commit') return step;
        const withoutCalendar = (made: Proposal) => ({
          ...made,
          charges: made.charges.filter(({ window }) => window.kind !== 'calendar'),
        });
        return { kind: 'commit', make: (parts) => withoutCalendar(step.make(parts)) };
      }),
    },
    { weight: 4, arbitrary: waits },
    { weight: 3, arbitrary: fc.constant<Step>({ kind: 'wait', ms: 3 * ROLLING_MS + 10 }) },
    { weight: 5, arbitrary: fc.constant<Step>({ kind: 'forget' }) },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'activate' }) },
    { weight: 2, arbitrary: releases },
    { weight: 4, arbitrary: reports },
  ),
  { minLength: 10, maxLength: 60, size: 'max' },
);

const RETENTION_MS = 20;

function orderAt(nowMs: number): TrimOrder {
  return { retentionMs: RETENTION_MS, nowMs, demandsExport: false };
}

async function play(history: readonly Step[], subject: Subject): Promise<void> {
  const model = new LedgerModel(subject.identity);
  model.policyActivated();
  const seen = new Map<string, Charge>();
  for (const [index, step] of history.entries()) {
    switch (step.kind) {
      case 'commit': {
        const made = step.make({ versions: model.versions, nowMs: subject.now() });
        const reply = await subject.commit(made);
        expect(comparable(reply)).toEqual(model.commit(made, reply.ledgerNowMs));
        for (const each of made.charges) seen.set(`${each.mode} ${each.counter} ${each.window.kind}`, each);
        break;
      }
      case 'wait':
        await subject.wait(step.ms);
        break;
      case 'activate':
        expect(await subject.activate()).toEqual({ sequence: model.policyActivated() });
        break;
      case 'release': {
        const expected = model.released(step.moneyKey);
        const done = subject.release({ ...RELEASE, moneyKey: step.moneyKey });
        if (expected === undefined) await expect(done).rejects.toMatchObject({ code: 'RELEASE_REFUSED' });
        else expect(await done).toMatchObject(expected);
        break;
      }
      case 'report':
        expect(await subject.report(step.report)).toEqual(model.reported(step.report));
        break;
      case 'forget': {
        const done = await subject.forget();
        if (done.kind === 'trimmed') expect(done.checkpoint).toBe(model.forgotten(done.to));
        break;
      }
      case 'freeze':
        expect(await subject.freeze(`f${index}`)).toEqual({ sequence: model.freezesChanged() });
        break;
    }
    await compareCounters(model, subject, [...seen.values()]);
  }
}

/** Between two readings of a running clock a counter may have lost an entry: each instant between is as good. */
async function compareCounters(
  model: LedgerModel,
  subject: Subject,
  charges: readonly Charge[],
): Promise<void> {
  const from = subject.now();
  const used = await subject.usage(charges);
  const to = subject.now();
  const instants = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const possible = instants.map((now) => charges.map((each) => String(model.used(each, now))));
  expect(possible).toContainEqual(used);
}

describe('random histories', () => {
  let directory: string;
  let redis: RedisStore;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'countersign-model-'));
    redis = await redisStore({}, PATIENT);
  });
  afterAll(async () => {
    await redis.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const KINDS = [
    ['', histories],
    [', old events being forgotten', forgetfulHistories],
  ] as const;

  test.each(KINDS)('come out on the embedded store as on the model%s', async (what, each) => {
    let workspaces = 0;
    const file = join(directory, `ledger${what}.db`);
    await fc.assert(
      fc.asyncProperty(each, fc.array(fc.integer({ min: -30, max: 30 })), async (history, drifts) => {
        workspaces += 1;
        const clock = { ms: 1_700_000_000_000, mark: 0, now: () => clock.ms };
        const store = new EmbeddedStore({ file, workspace: `w${workspaces}`, busyTimeoutMs: 1000 }, clock);
        try {
          await play(history, embeddedSubject(store, clock, drifts));
        } finally {
          store.close();
        }
      }),
      { numRuns: 200, ...WITHIN },
    );
  });

  test.each(KINDS)('come out on Redis as on the model%s', async (_what, each) => {
    await fc.assert(
      fc.asyncProperty(each, async (history) => {
        const { ledger, versions, close } = await bench(redis);
        try {
          await play(history, {
            identity: versions.ledger,
            commit: (made) => atLast(() => ledger.commit({ ...made, nowMs: Date.now() })),
            usage: (asked) => ledger.usage(asked),
            activate: async () => {
              const { sequence } = await ledger.state();
              return ledger.activate({ ...POLICY, expectedSequence: sequence });
            },
            freeze: (id) => ledger.freeze({ ...FREEZE, id }),
            release: (request) => ledger.release(request),
            report: (said) => ledger.report(said),
            forget: () => ledger.upkeep.trim(orderAt(Date.now())),
            wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
            now: () => Date.now(),
          });
        } finally {
          await close();
        }
      }),
      { numRuns: 40, ...WITHIN },
    );
  });
});

const POLICY = { version: 'f'.repeat(64), document: '', instances: {}, statement: '' };
const RELEASE = { reason: 'failed', authority: { kind: 'operator', statement: 's' } } as const;
const FREEZE = { scope: '{}', reason: 'r', author: 'a', answers: 'retry' } as const;

/** The store's clock drifts back and forth; what it promises never to step back behind is its last recorded instant. */
function embeddedSubject(
  store: EmbeddedStore,
  clock: { ms: number; mark: number },
  drifts: readonly number[],
): Subject {
  const run = <T>(step: (opened: EmbeddedStore) => T): T => {
    const [outcome] = store.transact([step]);
    if (outcome?.status !== 'fulfilled') throw outcome?.reason;
    return outcome.value;
  };
  let steps = 0;
  const now = () =>
    Math.max(clock.ms, Number(store.rows.one('SELECT clock FROM ledgers WHERE workspace = ?')?.clock));
  const { identity } = run((opened) => opened.init());
  run((opened) => opened.activate({ ...POLICY, expectedSequence: 1 }));
  return {
    identity,
    commit: async (made) => {
      const before = now();
      const reply = run((opened) => opened.commit(made));
      expect(reply.ledgerNowMs).toBe(before);
      steps += 1;
      clock.ms += drifts[steps % Math.max(drifts.length, 1)] ?? 0;
      return reply;
    },
    usage: async (asked) => run((opened) => opened.usage(asked)),
    activate: async () => {
      const { sequence } = run((opened) => opened.state());
      return run((opened) => opened.activate({ ...POLICY, expectedSequence: sequence }));
    },
    freeze: async (id) => run((opened) => opened.freeze({ ...FREEZE, id })),
    release: async (request) => run((opened) => opened.release(request)),
    report: async (said) => run((opened) => opened.report(said)),
    forget: async () => run((opened) => opened.trim(orderAt(now()))),
    wait: async (ms) => {
      clock.ms += ms;
    },
    now,
  };
}
