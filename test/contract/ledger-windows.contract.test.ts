import { describe, expect, test } from '@jest/globals';
import type { Charge } from '../../src/core/decision.js';
import { onEachLedger, outcome } from '../support/each-ledger.js';
import { charge, HOUR, LIFETIME, RETRY } from '../support/proposals.js';

/** What a test saw, and the instant of the ledger until which it can be seen. */
interface Seen {
  readonly what: unknown;
  readonly untilMs: number;
}

onEachLedger('windows', (given) => {
  const { commit, used } = given;

  /** Tells a story anew, under another number, when a busy machine came too late to see what is to be seen. */
  const inTime = async (story: (n: number) => Promise<Seen>): Promise<unknown> => {
    for (let n = 1; ; n += 1) {
      const { what, untilMs } = await story(n);
      if ((await given.ledger.state()).nowMs <= untilMs) return what;
    }
  };

  describe('windows', () => {
    const SHORT = { kind: 'rolling', lengthMs: 450 } as const;
    const LONG = { kind: 'rolling', lengthMs: 1_500 } as const;

    test('an entry leaves a rolling window only when it is certainly older, then room is there again', async () => {
      const left = async (n: number): Promise<Seen> => {
        const charges = [charge(`c${n}`, { max: '1', window: SHORT, whenFull: 'retry' })];
        const first = await commit(`first-${n}`, { charges });
        for (;;) {
          const reply = await commit(`second-${n}`, { charges });
          const age = reply.ledgerNowMs - first.ledgerNowMs;
          expect([reply.kind, age > SHORT.lengthMs]).toEqual(
            age > SHORT.lengthMs ? ['decided', true] : ['retry', false],
          );
          if (reply.kind === 'decided')
            return { what: await used(...charges), untilMs: reply.ledgerNowMs + SHORT.lengthMs };
        }
      };
      expect(await inTime(left)).toEqual(['1']);
    });

    test('approved again just before it would leave, a transaction is in the window whole for another length', async () => {
      const twice = async (n: number): Promise<Seen> => {
        const charges = [charge(`c${n}`, { amount: '100', max: '100', window: LONG })];
        const approval = await commit(`t${n}`, { ask: { askKey: 'approval' }, charges });
        const leavesAt = approval.ledgerNowMs + LONG.lengthMs;
        await pauseUntil(leavesAt - 500);
        const signing = await commit(`t${n}`, { ask: { askKey: 'signing' }, charges });
        expect(signing).toMatchObject({ use: [{ used: '100' }] });
        await pauseUntil(leavesAt + 1);
        const inside = await used(...charges);
        const other = [charge(`c${n}`, { max: '100', window: LONG })];
        return {
          what: [inside, await outcome(commit(`u${n}`, { charges: other }))],
          untilMs: signing.ledgerNowMs <= leavesAt ? signing.ledgerNowMs + LONG.lengthMs : 0,
        };
      };
      expect(await inTime(twice)).toEqual([['100'], 'reject LIMIT_EXCEEDED']);
    });

    test('an entry holds the largest need, from its latest approval, and a repeat is no approval', async () => {
      const stages = async (n: number): Promise<Seen> => {
        const counter = charge(`c${n}`, { window: LONG });
        const stage = (txId: string, askKey: string, amount: string) =>
          commit(`${txId}-${n}`, { ask: { askKey }, charges: [charge(`c${n}`, { amount, window: LONG })] });
        const first = await stage('repeated', 'p', '3');
        await stage('smaller', 's1', '5');
        await stage('zero', 'z1', '7');
        const last = await stage('raised', 'r1', '5');
        await pauseUntil(last.ledgerNowMs + LONG.lengthMs / 2);
        await stage('repeated', 'p', '3');
        const second = await stage('smaller', 's2', '1');
        await stage('zero', 'z2', '0');
        await stage('raised', 'r2', '6');
        const both = await used(counter);
        if ((await given.ledger.state()).nowMs > first.ledgerNowMs + LONG.lengthMs)
          return { what: both, untilMs: 0 };
        await pauseUntil(last.ledgerNowMs + LONG.lengthMs + 1);
        return { what: [both, await used(counter)], untilMs: second.ledgerNowMs + LONG.lengthMs };
      };
      // The repeated one leaves by its first time.
      expect(await inTime(stages)).toEqual([['21'], ['18']]);
    });

    test('an expired entry is charged anew', async () => {
      const stage = (askKey: string, amount: string) =>
        commit('t', { ask: { askKey }, charges: [charge('c', { amount, window: SHORT })] });
      const first = await stage('first', '5');
      await pauseUntil(first.ledgerNowMs + SHORT.lengthMs + 1);
      expect(await stage('second', '3')).toMatchObject({ use: [{ used: '3' }] });
    });

    test('a long log of expired entries never refuses', async () => {
      const window = { kind: 'rolling', lengthMs: 1000 } as const;
      const old = Date.now() - 10_000;
      await given.ledger.fill(
        Array.from({ length: 1700 }, (_, index) => ({
          counter: 'c',
          window,
          moneyKey: `old-${index}`,
          atMs: old,
          need: { kind: 'amount', amount: '7' },
        })),
      );
      expect(await used(charge('c', { window }))).toEqual(['0']);
      expect(await commit('t', { charges: [charge('c', { max: '1', window })] })).toMatchObject({
        decision: { effect: 'approve' },
        use: [{ used: '1' }],
      });
    });

    test('a calendar window that does not contain the clock of the ledger is recomputed', async () => {
      const now = Date.now();
      const span = (startMs: number, endMs: number) => [
        charge('c', { window: { kind: 'calendar', startMs, endMs } }),
      ];
      expect(await outcome(commit('t', { charges: span(now - 60_000, now - 1) }))).toBe('window-moved');
      expect(await outcome(commit('t', { charges: span(now + 60_000, now + 120_000) }))).toBe('window-moved');
      const { ledgerNowMs } = await commit('t', { opinion: RETRY });
      expect(await outcome(commit('t', { charges: span(ledgerNowMs - 1000, ledgerNowMs) }))).toBe(
        'window-moved',
      );
      expect((await given.ledger.state()).sequence).toBe(2);
      expect(await outcome(commit('t', { charges: span(now - 60_000, now + 60_000) }))).toBe(
        'approve APPROVED',
      );
    });

    test('each calendar window has a counter of its own', async () => {
      const now = Date.now();
      const day = (startMs: number) =>
        charge('c', { max: '1', window: { kind: 'calendar', startMs, endMs: now + 60_000 } });
      await commit('t1', { charges: [day(now - 2000)] });
      expect(await outcome(commit('t2', { charges: [day(now - 1000)] }))).toBe('approve APPROVED');
      expect(await outcome(commit('t3', { charges: [day(now - 2000)] }))).toBe('reject LIMIT_EXCEEDED');
      expect(await used(day(now - 2000), day(now - 3000))).toEqual(['1', '0']);
    });

    test('a lifetime never ends', async () => {
      const charges = [charge('c', { amount: '60', window: LIFETIME })];
      await commit('t1', { charges });
      await commit('t1', { ask: { askKey: 'other-stage' }, charges });
      expect(await outcome(commit('t2', { charges }))).toBe('reject LIMIT_EXCEEDED');
      expect(await used(...charges)).toEqual(['60']);
    });

    test.each([
      ['rolling', HOUR],
      ['lifetime', LIFETIME],
      ['calendar', { kind: 'calendar', startMs: 0, endMs: 9_999_999_999_999 }],
    ] as const)('different members are counted once in a %s window', async (_, window) => {
      const seen = (txId: string, ...members: readonly string[]) =>
        commit(txId, { charges: [charge('d', { members, max: '3', window })] });
      expect(await seen('t1', 'a', 'b', 'a')).toMatchObject({ use: [{ used: '2' }] });
      expect(await seen('t2', 'b', 'a')).toMatchObject({ use: [{ used: '2' }] });
      expect(await seen('t3', 'c', 'd')).toMatchObject({ decision: { reason: 'LIMIT_EXCEEDED' } });
      expect(await seen('t4', 'c')).toMatchObject({ use: [{ used: '3' }] });
      expect(await used(charge('d', { members: [], window }))).toEqual(['3']);
    });

    test('a member is inside a rolling window from its latest approval', async () => {
      const seen = (n: number, txId: string, member: string) =>
        commit(`${txId}-${n}`, { charges: [charge(`d${n}`, { members: [member], window: SHORT })] });
      const story = async (n: number): Promise<Seen> => {
        await seen(n, 'first', 'a');
        const other = await seen(n, 'second', 'b');
        await pause(SHORT.lengthMs / 2);
        const latest = await seen(n, 'third', 'a');
        await pauseUntil(other.ledgerNowMs + SHORT.lengthMs + 1);
        const one = await used(charge(`d${n}`, { members: [], window: SHORT }));
        const two = await seen(n, 'fourth', 'c');
        return { what: [one, two], untilMs: latest.ledgerNowMs + SHORT.lengthMs };
      };
      expect(await inTime(story)).toEqual([
        ['1'],
        expect.objectContaining({ use: [expect.objectContaining({ used: '2' })] }),
      ]);
    });
  });

  describe('filling', () => {
    const entry = (moneyKey: string, atMs: number, amount: string, window: Charge['window'] = HOUR) =>
      ({ counter: 'c', window, moneyKey, atMs, need: { kind: 'amount', amount } }) as const;

    test.each([
      ['rolling', HOUR],
      ['lifetime', LIFETIME],
    ] as const)('a %s counter: the largest need counts, and repeating changes nothing', async (_, window) => {
      const now = Date.now();
      const entries = [
        entry('a', now - 3000, '5', window),
        entry('a', now - 2000, '9', window),
        entry('b', now, '1', window),
      ];
      for (let round = 0; round < 3; round += 1) {
        await given.ledger.fill(entries);
        expect(await used(charge('c', { window }))).toEqual(['10']);
      }
      expect(
        await commit('t', { ask: { moneyKey: 'a' }, charges: [charge('c', { amount: '10', window })] }),
      ).toMatchObject({ use: [{ used: '11' }] });
    });

    test('an entry that had left its window before the next one is replaced by it', async () => {
      const window = { kind: 'rolling', lengthMs: 600_000 } as const;
      const now = Date.now();
      const entries = [entry('a', now - 1_500_000, '8', window), entry('a', now, '5', window)];
      for (let round = 0; round < 2; round += 1) {
        await given.ledger.fill(entries);
        expect(await used(charge('c', { window }))).toEqual(['5']);
      }
    });

    test('two entries that one window holds make one: the larger need at the later time', async () => {
      const window = { kind: 'rolling', lengthMs: 600_000 } as const;
      const now = Date.now();
      // The earlier one would leave within the second.
      const entries = [entry('a', now - 599_200, '8', window), entry('a', now, '5', window)];
      await given.ledger.fill(entries);
      await given.ledger.fill([...entries].reverse());
      await pauseUntil(now + 900);
      expect(await used(charge('c', { window }))).toEqual(['8']);
    });

    test('members keep their latest time', async () => {
      const window = { kind: 'rolling', lengthMs: 600_000 } as const;
      const member = (atMs: number) =>
        ({ counter: 'd', window, moneyKey: 'm', atMs, need: { kind: 'distinct', members: ['x'] } }) as const;
      await given.ledger.fill([member(Date.now()), member(Date.now() - 1_200_000)]);
      expect(await used(charge('d', { members: [], window }))).toEqual(['1']);
    });
  });
});

/** A timer may be a millisecond early, and here that is too early. */
async function pauseUntil(instantMs: number): Promise<void> {
  while (Date.now() < instantMs) await pause(instantMs - Date.now());
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
