/** Ledgers without witnesses on servers that fail over: what tests of Sentinels and of a Cluster have in common. */
import type { CommitReply, Ledger } from '../../src/core/ports.js';
import type { RedisConnection } from '../../src/ledger/redis/connection.js';
import { createRedisLedger } from '../../src/ledger/redis/redis-ledger.js';
import { type Bench, bench } from './ledger-bench.js';
import { charge, proposal } from './proposals.js';

export const FENCED = { code: 'LEDGER_FENCED' };
export const UNAVAILABLE = { code: 'LEDGER_UNAVAILABLE' };

/** What a test began and has to end. */
export class Begun {
  readonly #ends: (() => unknown)[] = [];

  add(end: () => unknown): void {
    this.#ends.push(end);
  }

  /** The last comes first. */
  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }

  /** Of a workspace that may exist. */
  open(workspace: string, connection: RedisConnection): Ledger {
    const ledger = createRedisLedger({ workspace, connection });
    this.add(() => ledger.close());
    return ledger;
  }

  /** A new one with an active policy. */
  async ledgerOn(connection: RedisConnection): Promise<Bench> {
    return bench({ open: (workspace) => this.open(workspace, connection), stop: async () => {} });
  }
}

export const committing =
  ({ versions, ledger }: Pick<Bench, 'versions' | 'ledger'>) =>
  (txId: string): Promise<CommitReply> =>
    ledger.commit(proposal(txId, { versions, charges: [charge('c')] }));

/** What an operator's signed word comes to. */
export async function activateAgain(ledger: Ledger): Promise<void> {
  const { identity } = await ledger.state();
  const { history = '', seen = 0 } = (await ledger.fence?.state()) ?? {};
  await ledger.fence?.activate({ identity, history, sequence: seen + 1, statement: 's' });
}

export function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error);
}
