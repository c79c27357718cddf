import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type DecisionPorts, decide } from '../../../src/core/decide.js';
import { type Decision, type LedgerFact, UNDECIDED } from '../../../src/core/decision.js';
import { CountersignError } from '../../../src/core/errors.js';
import { Rulebook, type RulebookHooks } from '../../../src/core/policy/rulebook.js';
import type { CommitReply, Decoded, Freeze } from '../../../src/core/ports.js';
import type { Request, TransactionRequest } from '../../../src/core/request.js';
import { deadlineAfter } from '../../../src/http/deadline.js';
import { configChange, NOON, question } from '../../support/policy.js';
import {
  chainsThat,
  failing,
  type Mood,
  MoodyLedger,
  PAYS_ALICE,
  STALE,
  UNAVAILABLE,
  virtualDeadline,
  Witness,
} from '../../support/ports.js';

const POLICY = `version: 1
limits:
  eth: { sum: native, max: '1', window: { calendar: day } }
rules:
  - name: not-today
    match: { kind: transaction, asset: [BTC] }
    effect: retry
  - name: ether
    match: { kind: transaction, operation: [TRANSFER], asset: [ETH] }
    limits: [eth]
    effect: approve
  - name: by-people
    match: { kind: config-change }
    effect: ignore
`;
const REFUSES = POLICY.replace('limits: [eth]\n    effect: approve', 'effect: reject');

/** A transfer of ether to be signed, with bytes. */
const ETHER = withBytes();

function withBytes(change: Partial<TransactionRequest> = {}): Request {
  const rawTransactions = [{ keyDerivationPath: '[ 44, 60, 0, 0, 0 ]', bytes: '02ef', digest: 'aa' }];
  return question({ request: { rawTransactions, ...change } }).request;
}

interface Setting {
  readonly ledger?: MoodyLedger;
  readonly decoder?: (signal: AbortSignal) => Promise<Decoded>;
  readonly hooks?: Partial<RulebookHooks>;
  readonly nowMs?: number;
}

function settingOf({ ledger = new MoodyLedger(POLICY), decoder, hooks, nowMs = NOON }: Setting = {}) {
  const chains = chainsThat(decoder ?? (async () => PAYS_ALICE));
  const rulebook = new Rulebook(ledger, chains, {
    authenticate: async () => undefined,
    accept: () => undefined,
    adopted: () => undefined,
    ...hooks,
  });
  const observer = new Witness();
  // Only the two methods that deciding may call: any other would be a fault of its own.
  const ports = {
    chains,
    ledger,
    rulebook,
    clock: { now: () => nowMs },
    observer,
  } as unknown as DecisionPorts;
  return { ledger, observer, ports };
}

const inTime = () => virtualDeadline(20_000);
const ledgerIn = (...commit: readonly Mood[]) => new MoodyLedger(POLICY, { commit });

describe('what the policy says becomes the decision that the ledger recorded', () => {
  test('an approval, with its charge', async () => {
    const { ledger, observer, ports } = settingOf();
    const outcome = await decide(ETHER, ports, inTime());
    expect(outcome).toEqual({
      kind: 'decided',
      decision: ledger.recorded[0],
      repeated: false,
      conflict: false,
    });
    expect(ledger.recorded).toMatchObject([{ effect: 'approve', reason: 'APPROVED' }]);
    expect(ledger.proposals[0]?.charges).toMatchObject([
      { limit: 'eth', need: { amount: String(10n ** 16n) } },
    ]);
    expect(observer).toMatchObject({ charges: 1, faults: [] });
  });

  test('an approval, with what the bytes say that the ledger must not contradict; a rejection without', async () => {
    const fact: LedgerFact = {
      key: 'outpoint:x:0',
      value: '5000',
      sentence: 'Another amount before.',
      reason: 'INPUT_AMOUNT_CHANGED',
    };
    const decoder = async (): Promise<Decoded> =>
      PAYS_ALICE.kind === 'effects'
        ? { kind: 'effects', effects: { ...PAYS_ALICE.effects, facts: [fact] } }
        : PAYS_ALICE;
    const approving = settingOf({ decoder });
    await decide(ETHER, approving.ports, inTime());
    expect(approving.ledger.proposals[0]?.facts).toEqual([fact]);
    const refusing = settingOf({ decoder, ledger: new MoodyLedger(REFUSES) });
    await decide(ETHER, refusing.ports, inTime());
    expect(refusing.ledger.proposals[0]?.facts).toEqual([]);
  });

  test.each<[string, Request, Partial<Decision>]>([
    [
      'a request without bytes',
      withBytes({ rawTransactions: [] }),
      { effect: 'reject', reason: 'RAWTX_MISSING' },
    ],
    ['a configuration change', configChange().request, { effect: 'ignore', reason: 'RULE_IGNORES' }],
    [
      'what no rule covers',
      question({ intent: { operation: 'CONTRACT_CALL' } }).request,
      { effect: 'reject', reason: 'NO_RULE_MATCHED' },
    ],
  ])('%s', async (_, request, decision) => {
    const { ledger, ports } = settingOf();
    expect(await decide(request, ports, inTime())).toMatchObject({ kind: 'decided', decision });
    expect(ledger.proposals[0]?.charges).toEqual([]);
  });

  test('a rule that says to ask again later decides nothing', async () => {
    const { ledger, ports } = settingOf();
    const outcome = await decide(question({ intent: { asset: 'BTC' } }).request, ports, inTime());
    expect(outcome).toMatchObject({ kind: 'undecided', reason: 'RULE_RETRIES' });
    expect(ledger.recorded).toEqual([]);
  });

  test('a decision that stands already is repeated, whatever the policy says now', async () => {
    const decision: Decision = {
      effect: 'reject',
      reason: 'RULE_REJECTS',
      sentence: 'Refused by rule x.',
      sequence: 3,
      decidedAtMs: NOON - 1_000,
      policyVersion: 'older',
    };
    const { ports } = settingOf({
      ledger: ledgerIn({
        answers: { kind: 'decided', decision, repeated: true, use: [], ledgerNowMs: NOON },
      }),
    });
    expect(await decide(ETHER, ports, inTime())).toEqual({
      kind: 'decided',
      decision,
      repeated: true,
      conflict: false,
    });
  });

  test('other content under a known id is a conflict', async () => {
    const decision: Decision = {
      effect: 'reject',
      reason: 'CONFLICT_CONTENT',
      sentence: 'It came with other content.',
      sequence: 4,
      decidedAtMs: NOON,
      policyVersion: 'v',
    };
    const { ports } = settingOf({
      ledger: ledgerIn({ answers: { kind: 'conflict', decision, repeated: false, ledgerNowMs: NOON } }),
    });
    expect(await decide(ETHER, ports, inTime())).toEqual({
      kind: 'decided',
      decision,
      repeated: false,
      conflict: true,
    });
  });

  test('a full limit that asks for patience decides nothing', async () => {
    const sentence = 'Limit eth is full.';
    const { ports } = settingOf({
      ledger: ledgerIn({
        answers: { kind: 'retry', reason: 'LIMIT_FULL_RETRY', sentence, ledgerNowMs: NOON },
      }),
    });
    expect(await decide(ETHER, ports, inTime())).toEqual({
      kind: 'undecided',
      reason: 'LIMIT_FULL_RETRY',
      sentence,
    });
  });
});

describe('a freeze', () => {
  const freeze = (answers: Freeze['answers']): Freeze => ({
    id: 'f1',
    scope: '{}',
    reason: 'drill',
    author: 'alice',
    answers,
    sequence: 1,
  });

  test('that asks for patience decides nothing, and tells the ledger that it covers the request', async () => {
    const { ledger, ports } = settingOf();
    ledger.freezes = [freeze('retry')];
    expect(await decide(ETHER, ports, inTime())).toMatchObject({
      kind: 'undecided',
      reason: 'FREEZE_RETRIES',
    });
    expect(ledger.proposals).toMatchObject([{ frozen: true, charges: [] }]);
  });

  test('that rejects is a decision', async () => {
    const { ledger, ports } = settingOf();
    ledger.freezes = [freeze('reject')];
    expect(await decide(ETHER, ports, inTime())).toMatchObject({
      decision: { effect: 'reject', reason: 'FROZEN' },
    });
  });
});

describe('a ledger that cannot be reached', () => {
  test('is asked again until it answers', async () => {
    const { ledger, observer, ports } = settingOf({
      ledger: ledgerIn(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, 'works'),
    });
    const deadline = inTime();
    expect(await decide(ETHER, ports, deadline)).toMatchObject({ decision: { effect: 'approve' } });
    expect(ledger.proposals).toHaveLength(4);
    expect(new Set(ledger.proposals.map(({ ask }) => ask.askKey)).size).toBe(1);
    expect(observer.faults).toEqual(['LEDGER_UNAVAILABLE', 'LEDGER_UNAVAILABLE', 'LEDGER_UNAVAILABLE']);
    expect(deadline.pauses).toHaveLength(3);
  });

  test('is asked again when it was the policy that could not be read', async () => {
    const ledger = new MoodyLedger(POLICY, { state: [UNAVAILABLE, UNAVAILABLE, 'works'] });
    const { observer, ports } = settingOf({ ledger });
    expect(await decide(ETHER, ports, inTime())).toMatchObject({ decision: { effect: 'approve' } });
    expect(observer.faults).toHaveLength(2);
  });

  test('until the deadline leaves the request undecided, with pauses between the attempts', async () => {
    const { ledger, ports } = settingOf({ ledger: ledgerIn(UNAVAILABLE) });
    const deadline = virtualDeadline(1_000);
    expect(await decide(ETHER, ports, deadline)).toMatchObject({
      kind: 'undecided',
      reason: 'LEDGER_UNAVAILABLE',
    });
    expect(deadline.remainingMs()).toBe(0);
    expect(ledger.proposals.length).toBeGreaterThan(3);
    expect(ledger.proposals.length).toBeLessThan(100);
  });

  test('is left in peace more and more, but asked at least once a second', async () => {
    const { ports } = settingOf({ ledger: ledgerIn(UNAVAILABLE) });
    const deadline = inTime();
    await decide(ETHER, ports, deadline);
    const { pauses } = deadline;
    expect(pauses.every((pause, index) => pause >= (pauses[index - 1] ?? 0))).toBe(true);
    expect(pauses[0]).toBeLessThanOrEqual(100);
    expect(Math.max(...pauses)).toBe(1_000);
    expect(pauses.length).toBeLessThan(30);
  });

  test.each<[string, MoodyLedger]>([
    ['never answers a commit', ledgerIn('silent')],
    ['never answers what policy is active', new MoodyLedger(POLICY, { state: ['silent'] })],
  ])('and %s does not outlast the deadline', async (_, ledger) => {
    const { ports } = settingOf({ ledger });
    expect(await decide(ETHER, ports, deadlineAfter(150))).toMatchObject({ reason: 'DEADLINE' });
  });

  test.each<[string, Mood[], string]>([
    ['and then hangs, is why nothing was decided', [UNAVAILABLE, 'silent'], 'LEDGER_UNAVAILABLE'],
    ['and then answers, but too late to decide, is not', [UNAVAILABLE, STALE, 'silent'], 'DEADLINE'],
  ])('%s', async (_, moods, reason) => {
    const { ledger, ports } = settingOf({ ledger: ledgerIn(...moods) });
    expect(await decide(ETHER, ports, virtualDeadline(1_000))).toMatchObject({ kind: 'undecided', reason });
    expect(ledger.proposals).toHaveLength(moods.length);
  });

  test('is not asked at all when the deadline has passed already', async () => {
    const { ledger, ports } = settingOf();
    expect(await decide(ETHER, ports, deadlineAfter(-1))).toMatchObject({ reason: 'DEADLINE' });
    expect(ledger.reads + ledger.proposals.length).toBe(0);
  });

  test('and recovers after the deadline does not turn an answer that was given', async () => {
    let recover = (_: CommitReply): void => undefined;
    const late = new Promise<CommitReply>((resolve) => {
      recover = resolve;
    });
    const { ledger, observer, ports } = settingOf();
    ledger.commit = () => late;
    const outcome = await decide(ETHER, ports, virtualDeadline(100));
    recover({ kind: 'stale', ledgerNowMs: NOON });
    await late;
    expect(outcome).toMatchObject({ kind: 'undecided', reason: 'DEADLINE' });
    expect(observer.charges).toBe(0);
  });
});

describe('a failure that patience does not mend', () => {
  test.each<[string, Mood, string]>([
    ['an empty store', failing('LEDGER_MISSING'), 'LEDGER_MISSING'],
    ['a ledger of another format', failing('LEDGER_CORRUPT'), 'LEDGER_CORRUPT'],
    ['a store that may have forgotten', failing('LEDGER_FENCED'), 'LEDGER_FENCED'],
    ['clocks that differ', failing('CLOCK_SKEW'), 'CLOCK_SKEW'],
    ['a defect', failing('INTERNAL'), 'INTERNAL'],
    ['a failure that is no undecided reason', failing('KEY_INVALID'), 'INTERNAL'],
    ['an error of a library', { fails: new TypeError('x is not a function') }, 'INTERNAL'],
    ['something thrown that is no error', { fails: 'constructor' }, 'INTERNAL'],
  ])('%s is undecided under its own name, at once', async (_, mood, reason) => {
    const { ledger, observer, ports } = settingOf({ ledger: ledgerIn(mood) });
    const deadline = inTime();
    expect(await decide(ETHER, ports, deadline)).toMatchObject({ kind: 'undecided', reason });
    expect({ asked: ledger.proposals.length, pauses: deadline.pauses }).toEqual({ asked: 1, pauses: [] });
    expect(observer.faults).toEqual([reason]);
  });

  const untrusted = async (): Promise<void> => {
    throw new CountersignError('POLICY_UNTRUSTED', 'nobody signed it');
  };
  const unservable = (): void => {
    throw new CountersignError('POLICY_INVALID', 'a window is longer than the retention');
  };
  test.each<[string, Setting, string]>([
    ['no policy', { ledger: new MoodyLedger(undefined) }, 'POLICY_MISSING'],
    ['a policy that no operator signed', { hooks: { authenticate: untrusted } }, 'POLICY_UNTRUSTED'],
    ['a policy that this replica cannot serve', { hooks: { accept: unservable } }, 'POLICY_INVALID'],
    ['a policy that is none', { ledger: new MoodyLedger('rules: [') }, 'POLICY_INVALID'],
    ['an examination that throws', { decoder: () => Promise.reject(new Error('defect')) }, 'INTERNAL'],
  ])('%s: nothing is proposed to the ledger', async (_, setting, reason) => {
    const { ledger, observer, ports } = settingOf(setting);
    expect(await decide(ETHER, ports, inTime())).toMatchObject({ kind: 'undecided', reason });
    expect(ledger.proposals).toEqual([]);
    expect(observer.faults).toEqual([reason]);
  });

  test('evidence that cannot be reached is undecided', async () => {
    const { ledger, ports } = settingOf({
      decoder: async () => ({ kind: 'unavailable', detail: 'no node answers' }),
    });
    expect(await decide(ETHER, ports, inTime())).toMatchObject({
      kind: 'undecided',
      reason: 'EVIDENCE_UNAVAILABLE',
    });
    expect(ledger.recorded).toEqual([]);
  });

  test('evidence that never comes is given up at the deadline', async () => {
    let heard: AbortSignal | undefined;
    const { ledger, ports } = settingOf({
      decoder: (signal) => {
        heard = signal;
        return new Promise(() => undefined);
      },
    });
    expect(await decide(ETHER, ports, virtualDeadline(500))).toMatchObject({ reason: 'DEADLINE' });
    expect({ aborted: heard?.aborted, proposed: ledger.proposals.length }).toEqual({
      aborted: true,
      proposed: 0,
    });
  });

  test.each(['STAGE_UNCLEAR', 'SIGNER_NOT_LISTED'] as const)('%s: nobody is asked', async (doubt) => {
    const { ledger, ports } = settingOf();
    expect(await decide(withBytes({ doubt }), ports, inTime())).toMatchObject({
      kind: 'undecided',
      reason: doubt,
    });
    expect(ledger.reads + ledger.proposals.length).toBe(0);
  });
});

describe('an opinion that the ledger finds outdated', () => {
  test('is formed again, from the policy that is active by then', async () => {
    const { ledger, ports } = settingOf({ ledger: ledgerIn(STALE, 'works') });
    const commit = ledger.commit.bind(ledger);
    ledger.commit = (proposal) => {
      ledger.document = REFUSES;
      return commit(proposal);
    };
    expect(await decide(ETHER, ports, inTime())).toMatchObject({ decision: { reason: 'RULE_REJECTS' } });
    expect(ledger.reads).toBe(2);
    expect(ledger.proposals.map(({ versions }) => versions.policy)).toEqual([1, 2]);
  });

  test.each<[string, Mood]>([
    ['stale', STALE],
    ['of another window', { answers: { kind: 'window-moved', ledgerNowMs: NOON } }],
  ])('for ever %s ends after a bounded number of attempts', async (_, mood) => {
    const { ledger, ports } = settingOf({ ledger: ledgerIn(mood) });
    expect(await decide(ETHER, ports, inTime())).toMatchObject({ kind: 'undecided', reason: 'DEADLINE' });
    expect(ledger.proposals).toHaveLength(20);
    expect(ledger.recorded).toEqual([]);
  });

  test('because midnight passed is formed at the ledger’s instant, and the replica’s clock is still told as it is', async () => {
    const beforeMidnight = Date.parse('2026-01-05T23:59:59.900Z');
    const midnight = Date.parse('2026-01-06T00:00:00Z');
    const moved: Mood = { answers: { kind: 'window-moved', ledgerNowMs: midnight + 50 } };
    const { ledger, ports } = settingOf({ ledger: ledgerIn(moved, 'works'), nowMs: beforeMidnight });
    expect(await decide(ETHER, ports, inTime())).toMatchObject({ decision: { effect: 'approve' } });
    expect(ledger.proposals.map(({ charges }) => charges[0]?.window)).toEqual([
      { kind: 'calendar', startMs: midnight - 86_400_000, endMs: midnight },
      { kind: 'calendar', startMs: midnight, endMs: midnight + 86_400_000 },
    ]);
    expect(ledger.proposals.map(({ nowMs }) => nowMs)).toEqual([beforeMidnight, beforeMidnight]);
    expect(ledger.reads).toBe(1);
  });
});

test('whatever happens on the way: nothing is thrown, and only what the ledger recorded is an answer', async () => {
  const moods: readonly Mood[] = [
    ...(['works', 'silent', UNAVAILABLE, STALE, failing('LEDGER_MISSING'), failing('CLOCK_SKEW')] as const),
    { fails: new Error('a defect') },
    { answers: { kind: 'window-moved', ledgerNowMs: NOON + 1 } },
    { answers: { kind: 'retry', reason: 'LIMIT_FULL_RETRY', sentence: 'Full.', ledgerNowMs: NOON } },
  ];
  const history = fc.array(fc.constantFrom(...moods), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      history,
      history,
      fc.integer({ min: 0, max: 1_000 }),
      async (commit, state, budgetMs) => {
        const ledger = new MoodyLedger(POLICY, { commit, state });
        const { ports } = settingOf({ ledger });
        const outcome = await decide(ETHER, ports, virtualDeadline(budgetMs));
        if (outcome.kind === 'decided') {
          expect(outcome.decision).toBe(ledger.recorded[0]);
          expect(outcome.decision.effect).toBe('approve');
        } else {
          expect(Object.keys(UNDECIDED)).toContain(outcome.reason);
          expect(ledger.recorded).toEqual([]);
        }
      },
    ),
    { numRuns: 300 },
  );
});

describe('an approval whose answer says nothing but a nonce', () => {
  const voted = withBytes({
    stage: 'approval',
    unsigned: { nonce: { digits: '7', scope: 'key' }, expiresAtMs: NOON + 1 },
  });
  const here = { ledgerNowMs: NOON };
  const RETRY: Mood = { answers: { ...here, kind: 'retry', reason: 'FREEZE_RETRIES', sentence: 'Later.' } };

  test('is given when the nonce was given to it, in a step of its own', async () => {
    const { ledger, ports } = settingOf();
    expect(await decide(voted, ports, inTime())).toMatchObject({ decision: { effect: 'approve' } });
    expect(ledger.proposals.map(({ ask }) => ask.askKey.split(':').slice(1, 3))).toMatchObject([
      {},
      ['nonce', 'key'],
    ]);
    expect(ledger.proposals[1]).toMatchObject({ charges: [], facts: [], opinion: { effect: 'approve' } });
    expect(ledger.proposals[1]?.ask.fingerprint).toBe(ledger.proposals[0]?.ask.fingerprint);
  });

  test.each<[string, Mood]>([
    ['is to be asked about later', RETRY],
    ['cannot be written down', UNAVAILABLE],
    ['is never heard of', 'silent'],
  ])('is not given when the nonce %s', async (_, mood) => {
    const { ports } = settingOf({ ledger: ledgerIn('works', mood, 'works', mood, mood) });
    expect(await decide(voted, ports, virtualDeadline(150))).toMatchObject({ kind: 'undecided' });
  });

  test('is not asked for once it has expired', async () => {
    const { ledger, ports } = settingOf({ nowMs: NOON + 1 });
    expect(await decide(voted, ports, inTime())).toMatchObject({ kind: 'undecided', reason: 'EXPIRED' });
    expect(ledger.proposals).toEqual([]);
  });

  test('is not given when it has expired on the way', async () => {
    const { ledger, ports } = settingOf();
    const clock = { now: () => NOON + (ledger.recorded.length === 0 ? 0 : 1) };
    expect(await decide(voted, { ...ports, clock }, inTime())).toMatchObject({ reason: 'EXPIRED' });
    expect(ledger.recorded[0]).toMatchObject({ effect: 'approve' });
  });
});
