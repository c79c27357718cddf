/** The journal of a cluster, read through the ledger's own port, beside everything else that reads it. */
import { z } from 'zod';
import { withLedger } from '../../src/cli/ledger.js';
import type { JournalEvent } from '../../src/core/ports.js';

const PAGE = 1_000;

/** All events of the ledger that this configuration names, oldest first. */
export async function readJournal(configFile: string): Promise<readonly JournalEvent[]> {
  return withLedger({ config: configFile }, async (ledger) => {
    const all: JournalEvent[] = [];
    for (;;) {
      const page = await ledger.events(all.at(-1)?.sequence ?? 0, PAGE);
      if (page.length === 0) return all;
      all.push(...page);
    }
  });
}

const baseUnits = z.string().transform(BigInt);

const bodySchema = z.object({
  decision: z.object({ effect: z.enum(['approve', 'reject', 'ignore']) }),
  journal: z.object({ request: z.object({ requestId: z.string(), kind: z.string() }) }),
  /** What an approval added to its counters, and how full they were afterwards. */
  charged: z
    .array(z.object({ limit: z.string(), mode: z.string(), added: baseUnits, total: baseUnits }))
    .default([]),
});

export type JournalDecision = z.infer<typeof bodySchema>;

/** The decisions among these events. Throws when one has not the shape that both stores write. */
export function decisionsOf(events: readonly JournalEvent[]): readonly JournalDecision[] {
  return events.filter(({ type }) => type === 'decision').map(({ body }) => bodySchema.parse(body));
}
