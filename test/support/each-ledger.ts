/** Runs a part of the contract on every store: the same sentences must hold for each. */
import { afterAll, afterEach, beforeAll, beforeEach, describe } from '@jest/globals';
import type { Charge } from '../../src/core/decision.js';
import { errorCodeOf } from '../../src/core/errors.js';
import type { CommitReply, Ledger, Versions } from '../../src/core/ports.js';
import {
  type Bench,
  bench,
  embeddedStore,
  PATIENT,
  patiently,
  redisStore,
  type Store,
  witnessedStore,
} from './ledger-bench.js';
import { type ProposalParts, proposal } from './proposals.js';

const STORES: readonly (readonly [string, Ledger['kind'], () => Promise<Store>])[] = [
  ['redis', 'redis', () => redisStore({}, PATIENT)],
  ['witnessed redis', 'redis', () => witnessedStore(PATIENT)],
  ['embedded', 'embedded', embeddedStore],
];

/** What each test is given: a ledger of its own, fresh and with an active policy. */
export interface Given {
  readonly kind: Ledger['kind'];
  readonly store: Store;
  readonly ledger: Ledger;
  readonly versions: Versions;
  /** Another replica of the same ledger. */
  another(): Ledger;
  commit(txId: string, parts?: Partial<ProposalParts>): Promise<CommitReply>;
  /** What is used of these counters now. */
  used(...charges: readonly Charge[]): Promise<readonly string[]>;
}

export function onEachLedger(title: string, suite: (given: Given) => void): void {
  describe.each(STORES)(`the %s ledger, ${title}`, (_name, kind, start) => {
    let store: Store;
    let current: Bench;

    beforeAll(async () => {
      store = await start();
    });
    afterAll(() => store.stop());
    beforeEach(async () => {
      current = await bench(store);
    });
    afterEach(() => current.close());

    suite({
      kind,
      get store() {
        return store;
      },
      get ledger() {
        return current.ledger;
      },
      get versions() {
        return current.versions;
      },
      another: () => current.another(),
      commit: (txId, parts = {}) =>
        atLast(() => current.ledger.commit(proposal(txId, { versions: current.versions, ...parts }))),
      used: (...charges) => current.ledger.usage(charges),
    });
  });
}

/** On a machine that is busy a proposal may wait until the clock that it was made by is too old: nothing is recorded then. */
export async function atLast(ask: () => Promise<CommitReply>): Promise<CommitReply> {
  for (let attempt = 1; ; attempt += 1) {
    const reply = await ask().catch((error: unknown) => {
      if (errorCodeOf(error) !== 'CLOCK_SKEW' || attempt > 20) throw error;
    });
    if (reply !== undefined) return reply;
  }
}

/** A reply in a few words: `approve APPROVED again`, `conflict CONFLICT_AMOUNT`, `retry LIMIT_FULL_RETRY`, `stale`. */
export async function outcome(reply: Promise<CommitReply>): Promise<string> {
  const answer = await reply;
  switch (answer.kind) {
    case 'decided': {
      const { effect, reason } = answer.decision;
      return `${effect} ${reason}${answer.repeated ? ' again' : ''}`;
    }
    case 'conflict':
      return `conflict ${answer.decision.reason}${answer.repeated ? ' again' : ''}`;
    case 'retry':
      return `retry ${answer.reason}`;
    default:
      return answer.kind;
  }
}

/** Asks by the versions that a ledger has when it is asked. */
export function asksOf(current: () => Ledger) {
  const commit = async (
    txId: string,
    parts: Partial<ProposalParts> = {},
    ledger = current(),
  ): Promise<CommitReply> => {
    const { versions } = await ledger.state();
    return ledger.commit(proposal(txId, { versions, ...parts }));
  };
  const decided = (...ask: Parameters<typeof commit>) => outcome(commit(...ask));
  /** As {@link patiently} does. */
  const asking = (...ask: Parameters<typeof commit>) => patiently(() => decided(...ask));
  return { commit, decided, asking };
}
