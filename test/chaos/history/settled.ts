/** What the ledger holds of notifications: each that said something new, and what was given back because of them. */
import { z } from 'zod';
import type { JournalEvent } from '../../../src/core/ports.js';

export interface Settled {
  readonly reports: readonly Reported[];
  readonly releases: readonly Released[];
}

/** An event of the log about a transaction, after which this is known of it. */
export interface Reported {
  readonly sequence: number;
  readonly txId: string;
  readonly known: { readonly fate: string; readonly signed: boolean; readonly status: string };
}

export interface Released {
  readonly sequence: number;
  /** By the ledger's clock. */
  readonly atMs: number;
  readonly txId: string;
  /** By the name of the limit, in base units or transactions. */
  readonly given: ReadonlyMap<string, bigint>;
}

const baseUnits = z.string().transform(BigInt);
const reportSchema = z.object({
  txId: z.string(),
  known: z.object({ fate: z.string(), signed: z.boolean(), status: z.string() }),
});
const releaseSchema = z.object({
  moneyKey: z.string().startsWith('fireblocks:'),
  given: z.array(z.object({ limit: z.string(), amount: baseUnits })),
});

export function settledIn(events: readonly JournalEvent[]): Settled {
  return {
    reports: events
      .filter(({ type }) => type === 'report')
      .map(({ sequence, body }) => ({ sequence, ...reportSchema.parse(body) })),
    releases: events
      .filter(({ type }) => type === 'release')
      .map(({ sequence, atMs, body }): Released => {
        const { moneyKey, given } = releaseSchema.parse(body);
        const txId = moneyKey.slice('fireblocks:'.length);
        return { sequence, atMs, txId, given: new Map(given.map(({ limit, amount }) => [limit, amount])) };
      }),
  };
}
