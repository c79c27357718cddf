/** When the vendor's own rules are news, and when they are not. */
import { describe, expect, test } from '@jest/globals';
import type { JournalEvent } from '../../../../src/core/journal.js';
import type { VendorRules } from '../../../../src/core/request.js';
import { Drift } from '../../../../src/replica/vendor/drift.js';
import { eventually } from '../../../support/deployment.js';
import { signingRequest } from '../../../support/signing-requests.js';

interface Told {
  readonly snapshot?: string;
  readonly rule?: string;
}

function replica(journal: readonly (readonly [string, number])[] | 'away' = []) {
  const told: Told[] = [];
  let changes = 0;
  const counted = () => {
    changes += 1;
  };
  const events = (): readonly JournalEvent[] => {
    if (journal === 'away') throw new Error('the ledger is away');
    return journal.map(([snapshot, atMs], index) => ({
      sequence: index + 1,
      atMs,
      type: 'decision',
      body: { journal: { request: { vendorRules: { snapshot } } } },
    }));
  };
  const drift = new Drift({
    workspace: 'main',
    ledger: {
      state: async () => ({ sequence: events().length }) as never,
      events: async () => events(),
    },
    metrics: { expectPolicies: () => undefined, policyChanged: counted },
    logger: { warn: (line: unknown) => void told.push(line as Told) } as never,
  });
  return {
    told,
    async sees(...rules: readonly (string | VendorRules)[]) {
      for (const each of rules)
        drift.noted({
          ...signingRequest(),
          vendorRules: typeof each === 'string' ? { snapshot: each } : each,
        });
      // The journal is looked at first; then all were compared in order.
      await new Promise((resolve) => setTimeout(resolve, 20));
      return changes;
    },
  };
}

const YESTERDAY = Date.now() - 86_400_000;

describe('news', () => {
  test('another version than the first', async () => {
    const { sees, told } = replica();
    expect(await sees('1', '1', '2')).toBe(1);
    expect(told).toMatchObject([{ workspace: 'main', snapshot: '2', requestId: expect.any(String) }]);
  });

  test('once, though requests under both are on their way for long', async () => {
    const { sees } = replica();
    expect(await sees('1', '2', '1', '2', '1', '2', '1')).toBe(1);
    expect(await sees('3', '2', '3')).toBe(2);
  });

  test('a version that changed while no replica ran', async () => {
    expect(await replica([['1', YESTERDAY]]).sees('2')).toBe(1);
    expect(await replica([['1', YESTERDAY]]).sees('1')).toBe(0);
  });

  test('a version that other replicas brought to the journal since this one started', async () => {
    const { sees } = replica([
      ['1', YESTERDAY],
      ['2', Date.now() + 60_000],
    ]);
    expect(await sees('2')).toBe(1);
  });

  test('the text of one rule, where no version of all is shown', async () => {
    const { sees } = replica();
    const rule = (number: string, text: string) => ({ rule: number, ruleSha256: text });
    expect(await sees(rule('5', 'a'), rule('6', 'b'), rule('5', 'a'))).toBe(0);
    expect(await sees(rule('5', 'c'), rule('6', 'b'))).toBe(1);
  });
});

describe('no news', () => {
  test('the first, and requests that show nothing', async () => {
    const { sees, told } = replica();
    expect(await sees('1')).toBe(0);
    const other = replica();
    expect(await other.sees()).toBe(0);
    expect(told).toEqual([]);
  });

  test('a ledger that is away: what was before is not known, and that is said', async () => {
    const { sees, told } = replica('away');
    expect(await sees('1', '1')).toBe(0);
    expect(await eventually('nothing was said', () => told[0])).toMatchObject({
      problem: expect.stringContaining('away'),
    });
    expect(await sees('2')).toBe(1);
  });

  test('what is remembered is bounded: no stranger’s numbers fill the memory', async () => {
    const { sees } = replica();
    await sees(...Array.from({ length: 1_000 }, (_, index) => ({ rule: `${index}`, ruleSha256: 'a' })));
    await sees(...Array.from({ length: 1_000 }, (_, index) => `${index}`));
    // The newest are remembered, the oldest are news again.
    expect((await sees('999')) - (await sees('999'))).toBe(0);
  });
});
