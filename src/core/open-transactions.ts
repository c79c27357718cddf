/**
 * Transactions that were approved for signing and of which nobody has said yet how they ended, from the events of the
 * journal alone: whoever reads the same events knows the same ones.
 *
 * Only approvals at the signing stage count: at the approval stage nothing is signed yet, and another vote may be against.
 */
import { z } from 'zod';
import type { JournalEvent } from './journal.js';
import type { Fate } from './report.js';

export interface OpenTransaction {
  readonly protocol: string;
  /** The vendor's id of it. */
  readonly txId: string;
  /** What it is counted by; of a batch what each approved member is counted by. */
  readonly moneyKeys: ReadonlySet<string>;
  /** When its first approval was, Unix milliseconds by the ledger's clock. */
  readonly approvedAtMs: number;
  /** The event of that approval. */
  readonly sequence: number;
}

/** More than are open at once unless nobody is told how transactions end; about 30 MB. */
const MOST_OPEN = 50_000;

/** After these nothing more is expected of a transaction. */
const FINAL: ReadonlySet<Fate> = new Set(['completed', 'failed', 'never-signed']);

export function isFinal(fate: Fate): boolean {
  return FINAL.has(fate);
}

const approvalSchema = z.object({
  ask: z.object({ moneyKey: z.string(), txId: z.string() }),
  decision: z.object({ effect: z.literal('approve') }),
  journal: z.object({
    request: z.object({ protocol: z.string(), kind: z.literal('transaction'), stage: z.literal('signing') }),
  }),
});
const reportSchema = z.object({
  protocol: z.string(),
  txId: z.string(),
  known: z.object({ fate: z.string() }),
});
const releaseSchema = z.object({ moneyKey: z.string() });

export class OpenTransactions {
  /** By protocol and transaction; the one that was approved first comes first. */
  readonly #open = new Map<string, OpenTransaction & { readonly moneyKeys: Set<string> }>();
  readonly #nameByMoneyKey = new Map<string, string>();
  #forgotten = 0;

  constructor(private readonly most = MOST_OPEN) {}

  get size(): number {
    return this.#open.size;
  }

  /** Approvals that are not followed because too many others were open. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Oldest first. */
  all(): Iterable<OpenTransaction> {
    return this.#open.values();
  }

  get oldest(): OpenTransaction | undefined {
    const [first] = this.#open.values();
    return first;
  }

  /** Those approved at or before this instant, oldest first. */
  approvedBefore(atMs: number): readonly OpenTransaction[] {
    const found: OpenTransaction[] = [];
    for (const transaction of this.#open.values()) {
      // The ledger's clock does not step back, so approvals are in the order of time.
      if (transaction.approvedAtMs > atMs) break;
      found.push(transaction);
    }
    return found;
  }

  /** Events are taken in the order of the log; each once. */
  take(event: JournalEvent): void {
    if (event.type === 'decision') this.#approved(event);
    if (event.type === 'report') this.#reported(event);
    if (event.type === 'release') this.#released(event);
  }

  /** It ended, as the ledger knows from elsewhere than a later event. */
  ended({ protocol, txId }: Pick<OpenTransaction, 'protocol' | 'txId'>): void {
    const name = nameOf(protocol, txId);
    for (const moneyKey of this.#open.get(name)?.moneyKeys ?? []) this.#nameByMoneyKey.delete(moneyKey);
    this.#open.delete(name);
  }

  #approved({ sequence, atMs, body }: JournalEvent): void {
    const read = approvalSchema.safeParse(body);
    if (!read.success) return;
    const { ask, journal } = read.data;
    const { protocol } = journal.request;
    const name = nameOf(protocol, ask.txId);
    const known = this.#open.get(name);
    if (known === undefined && this.#open.size >= this.most) {
      this.#forgotten += 1;
      return;
    }
    if (known === undefined) {
      const moneyKeys = new Set([ask.moneyKey]);
      this.#open.set(name, { protocol, txId: ask.txId, moneyKeys, approvedAtMs: atMs, sequence });
    } else known.moneyKeys.add(ask.moneyKey);
    this.#nameByMoneyKey.set(ask.moneyKey, name);
  }

  /** Vendors report on the transaction; with it all members of a batch end. */
  #reported({ body }: JournalEvent): void {
    const read = reportSchema.safeParse(body);
    if (read.success && isFinal(read.data.known.fate as Fate)) this.ended(read.data);
  }

  #released({ body }: JournalEvent): void {
    const read = releaseSchema.safeParse(body);
    const name = read.success ? this.#nameByMoneyKey.get(read.data.moneyKey) : undefined;
    const transaction = name === undefined ? undefined : this.#open.get(name);
    if (!read.success || transaction === undefined) return;
    this.#nameByMoneyKey.delete(read.data.moneyKey);
    transaction.moneyKeys.delete(read.data.moneyKey);
    if (transaction.moneyKeys.size === 0) this.ended(transaction);
  }
}

function nameOf(protocol: string, txId: string): string {
  return `${protocol} ${txId}`;
}
