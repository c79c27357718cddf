/** The journal of a cluster, read through the ledger's own port, beside everything else that reads it. */
import type { JournalEvent, Ledger } from '../../src/core/ports.js';

const PAGE = 1_000;

/** All events of the ledger that this configuration names, oldest first. */
export async function readJournal(configFile: string): Promise<readonly JournalEvent[]> {
  const { withLedger } = await ledgerModule();
  return withLedger({ config: configFile }, async (ledger) => {
    const all: JournalEvent[] = [];
    for (;;) {
      const page = await ledger.events(all.at(-1)?.sequence ?? 0, PAGE);
      if (page.length === 0) return all;
      all.push(...page);
    }
  });
}

interface LedgerModule {
  withLedger<T>(options: { readonly config: string }, use: (ledger: Ledger) => Promise<T>): Promise<T>;
}

/** The factory of ledgers plugs in here: a static import of `withLedger` once the commands are in this tree. */
async function ledgerModule(): Promise<LedgerModule> {
  const path: string = '../../src/cli/ledger.js';
  return (await import(path)) as LedgerModule;
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
    charges = [],
  } = body as {
    readonly decision: { readonly effect: string };
    readonly journal: { readonly request: { readonly requestId: string } };
    readonly charges?: readonly { readonly limit: string; readonly mode: string; readonly added: string }[];
  };
  const enforced = charges.filter(({ mode }) => mode === 'enforce');
  return {
    requestId: journal.request.requestId,
    effect: decision.effect,
    added: new Map(enforced.map(({ limit, added }) => [limit, BigInt(added)])),
  };
}
