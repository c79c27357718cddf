/** The journal of a cluster, read through the ledger's own port, beside everything else that reads it. */
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

export interface JournalDecision {
  readonly requestId: string;
  readonly effect: string;
  /** What the decision added to each enforced limit, in base units. */
  readonly added: ReadonlyMap<string, bigint>;
}

/** The decisions among these events. Throws when one has not the shape the stores document. */
export function decisionsOf(events: readonly JournalEvent[]): readonly JournalDecision[] {
  return events.filter(({ type }) => type === 'decision').map(({ body }) => decisionOf(body));
}

function decisionOf(body: JournalEvent['body']): JournalDecision {
  const {
    decision,
    journal,
    charged = [],
  } = body as {
    readonly decision: { readonly effect: string };
    readonly journal: { readonly request: { readonly requestId: string } };
    readonly charged?: readonly { readonly limit: string; readonly mode: string; readonly added: string }[];
  };
  const enforced = charged.filter(({ mode }) => mode === 'enforce');
  return {
    requestId: journal.request.requestId,
    effect: decision.effect,
    added: new Map(enforced.map(({ limit, added }) => [limit, BigInt(added)])),
  };
}
