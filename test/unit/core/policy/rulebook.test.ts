import { describe, expect, test } from '@jest/globals';
import { CountersignError } from '../../../../src/core/errors.js';
import { Rulebook, type RulebookHooks, type Rules } from '../../../../src/core/policy/rulebook.js';
import type { LedgerState } from '../../../../src/core/ports.js';
import { testChains } from '../../../support/chains.js';
import { rejectionOf } from '../../../support/errors.js';

const DOCUMENT = 'version: 1\nrules:\n  - { name: all, match: { kind: transaction }, effect: reject }\n';

function stateOf(sequence: number, change: Partial<LedgerState> = {}): LedgerState {
  return {
    identity: 'ledger-1',
    nowMs: 1_700_000_000_000,
    sequence,
    durable: sequence,
    freezes: [],
    versions: { ledger: 'ledger-1', epoch: 0, policy: sequence, freezes: 0 },
    policy: { version: 'v', sequence, document: DOCUMENT, instances: {}, statement: 's' },
    ...change,
  };
}

/** A ledger whose reads end when the test says so. */
class SlowLedger {
  readonly reads: {
    readonly resolve: (state: LedgerState) => void;
    readonly reject: (error: unknown) => void;
  }[] = [];

  state(): Promise<LedgerState> {
    return new Promise((resolve, reject) => this.reads.push({ resolve, reject }));
  }
}

function rulebookOn(ledger: SlowLedger, hooks: Partial<RulebookHooks> = {}): Rulebook {
  return new Rulebook(ledger, testChains, {
    authenticate: async () => undefined,
    accept: () => undefined,
    adopted: () => undefined,
    ...hooks,
  });
}

async function knownRules(ledger: SlowLedger, rulebook: Rulebook): Promise<Rules> {
  const reading = rulebook.current();
  ledger.reads.at(-1)?.resolve(stateOf(ledger.reads.length));
  return reading;
}

describe('one read of the ledger', () => {
  test('serves all requests that wait for it, and those that come later', async () => {
    const ledger = new SlowLedger();
    const rulebook = rulebookOn(ledger);
    const waiting = [rulebook.current(), rulebook.current(), rulebook.current()];
    ledger.reads[0]?.resolve(stateOf(1));
    const [first, ...others] = await Promise.all(waiting);
    expect(others.every((rules) => rules === first)).toBe(true);
    expect(await rulebook.current()).toBe(first);
    expect(ledger.reads).toHaveLength(1);
  });

  test('that fails serves nobody who comes later', async () => {
    const ledger = new SlowLedger();
    const rulebook = rulebookOn(ledger);
    const waiting = [rulebook.current(), rulebook.current()];
    ledger.reads[0]?.reject(new CountersignError('LEDGER_UNAVAILABLE', 'cut off'));
    for (const reading of waiting) expect((await rejectionOf(reading)).code).toBe('LEDGER_UNAVAILABLE');
    expect((await knownRules(ledger, rulebook)).versions.policy).toBe(2);
  });

  test('is told to those who want to know, once', async () => {
    const adopted: number[] = [];
    const ledger = new SlowLedger();
    const rulebook = rulebookOn(ledger, { adopted: ({ versions }) => adopted.push(versions.policy) });
    await knownRules(ledger, rulebook);
    await rulebook.current();
    expect(adopted).toEqual([1]);
  });
});

describe('rules that were found to be stale', () => {
  test('are read again', async () => {
    const ledger = new SlowLedger();
    const rulebook = rulebookOn(ledger);
    rulebook.forget(await knownRules(ledger, rulebook));
    expect((await knownRules(ledger, rulebook)).versions.policy).toBe(2);
  });

  test('by many requests at once are read again once', async () => {
    const ledger = new SlowLedger();
    const rulebook = rulebookOn(ledger);
    const stale = await knownRules(ledger, rulebook);
    rulebook.forget(stale);
    const fresh = rulebook.current();
    // Others hear that they were stale while that read is under way, and after it.
    rulebook.forget(stale);
    expect(rulebook.current()).toBe(fresh);
    ledger.reads[1]?.resolve(stateOf(2));
    await fresh;
    rulebook.forget(stale);
    expect(rulebook.current()).toBe(fresh);
    expect(ledger.reads).toHaveLength(2);
  });

  test('are read again even when the read that follows finds them unchanged', async () => {
    const ledger = new SlowLedger();
    const rulebook = rulebookOn(ledger);
    rulebook.forget(await knownRules(ledger, rulebook));
    rulebook.forget(await knownRules(ledger, rulebook));
    await knownRules(ledger, rulebook);
    expect(ledger.reads).toHaveLength(3);
  });
});

describe('rules are not served', () => {
  test('without an active policy', async () => {
    const ledger = new SlowLedger();
    const reading = rulebookOn(ledger).current();
    ledger.reads[0]?.resolve(stateOf(1, { policy: undefined }));
    expect((await rejectionOf(reading)).code).toBe('POLICY_MISSING');
  });

  test('when nobody trusted signed them, and are not even parsed then', async () => {
    const ledger = new SlowLedger();
    const rulebook = rulebookOn(ledger, {
      authenticate: async ({ document }, identity) => {
        throw new CountersignError('POLICY_UNTRUSTED', `${identity}: ${document}`);
      },
    });
    const reading = rulebook.current();
    const policy = { version: 'v', sequence: 1, document: 'no policy', instances: {}, statement: 's' };
    ledger.reads[0]?.resolve(stateOf(1, { policy }));
    expect(await rejectionOf(reading)).toMatchObject({
      code: 'POLICY_UNTRUSTED',
      message: 'ledger-1: no policy',
    });
  });

  test('when the replica cannot serve them, and nobody is told of them', async () => {
    const adopted: Rules[] = [];
    const ledger = new SlowLedger();
    const rulebook = rulebookOn(ledger, {
      accept() {
        throw new CountersignError('POLICY_INVALID', 'too long a window');
      },
      adopted: (rules) => adopted.push(rules),
    });
    const reading = rulebook.current();
    ledger.reads[0]?.resolve(stateOf(1));
    expect((await rejectionOf(reading)).code).toBe('POLICY_INVALID');
    expect(adopted).toEqual([]);
  });
});
