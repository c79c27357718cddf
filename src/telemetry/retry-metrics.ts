/**
 * Asks that were answered "ask again" and are not decided yet, and how long the oldest has waited: the vendor gives up
 * after a while, and then the transaction has failed.
 *
 * A replica sees a part of the asks only. One that it told to come again may be decided by another replica, so those
 * that have not come back are looked up in the ledger; and those that nobody asks about any more are given up. The ages
 * are from the first ask that this replica saw: the highest age of all replicas is the one that counts.
 */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { UndecidedReason } from '../core/decision.js';

/** Fireblocks asks 20 times, 3 minutes apart, 60 minutes in all (its support can change that). */
const VENDOR_TOTAL_MS = 60 * 60_000;
/** Nobody asks about it any more: five of the vendor's intervals, since other replicas get some of the asks. */
const SILENCE_MS = 15 * 60_000;
/** Asked about more recently than this it cannot have been decided elsewhere since. */
const FRESH_MS = 30_000;
const MOST_ENTRIES = 10_000;
const MOST_LOOKUPS = 200;

/** What the policy asks for is not a fault. */
const BY_POLICY: ReadonlySet<UndecidedReason> = new Set([
  'RULE_RETRIES',
  'LIMIT_FULL_RETRY',
  'FREEZE_RETRIES',
]);

export const CAUSES = ['fault', 'policy'] as const;

export interface Asker {
  readonly workspace: string;
  readonly cosigner: string;
}

interface Waiting {
  readonly asker: Asker;
  readonly askKey: string;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly cause: (typeof CAUSES)[number];
}

/** Whether the ledger holds a decision of this ask; rejects when it cannot be asked. */
export type IsDecided = (askKey: string) => Promise<boolean>;

export class RetryMetrics {
  readonly #givenUp: Counter<'workspace' | 'cosigner'>;
  readonly #forgotten: Counter;
  readonly #askers: Asker[] = [];
  /** The one that was asked about longest ago comes first. */
  readonly #waiting = new Map<string, Waiting>();

  constructor(
    registry: Registry,
    /** Monotonic, milliseconds. */
    private readonly now: () => number = () => performance.now(),
  ) {
    const registers = [registry];
    const labelNames = ['workspace', 'cosigner', 'cause'] as const;
    const outstanding = new Gauge({
      name: 'countersign_retries_outstanding',
      help: 'Asks that this replica answered "ask again" and that are not decided yet; policy: because a rule, a full limit or a freeze says so.',
      labelNames,
      registers,
      collect: () => this.#each((labels, waiting) => outstanding.set(labels, waiting.length)),
    });
    const oldest = new Gauge({
      name: 'countersign_retry_oldest_seconds',
      help: 'Since when this replica knows the oldest ask that is not decided yet; 0 when there is none.',
      labelNames,
      registers,
      collect: () => this.#each((labels, waiting) => oldest.set(labels, this.#ageOf(waiting))),
    });
    this.#givenUp = new Counter({
      name: 'countersign_retries_given_up_total',
      help: 'Asks that were never decided and that nobody asks about any more.',
      labelNames: ['workspace', 'cosigner'],
      registers,
    });
    this.#forgotten = new Counter({
      name: 'countersign_retries_forgotten_total',
      help: `Asks dropped from the two figures above because more than ${MOST_ENTRIES} were outstanding.`,
      registers,
    });
  }

  /** From now on there are figures of this co-signer. */
  expect(asker: Asker): void {
    this.#askers.push(asker);
    this.#givenUp.inc({ ...asker }, 0);
  }

  askedAgain({ workspace, cosigner }: Asker, askKey: string, reason: UndecidedReason): void {
    // Nobody waits for the answer to it.
    if (reason === 'NOT_VOTING') return;
    const name = nameOf(workspace, askKey);
    const nowMs = this.now();
    const before = this.#waiting.get(name);
    this.#waiting.delete(name);
    const [longestSilent] = this.#waiting.keys();
    if (this.#waiting.size >= MOST_ENTRIES && longestSilent !== undefined) {
      this.#waiting.delete(longestSilent);
      this.#forgotten.inc();
    }
    this.#waiting.set(name, {
      asker: { workspace, cosigner },
      askKey,
      firstMs: before?.firstMs ?? nowMs,
      lastMs: nowMs,
      cause: BY_POLICY.has(reason) ? 'policy' : 'fault',
    });
  }

  decided(workspace: string, askKey: string): void {
    if (this.#waiting.size > 0) this.#waiting.delete(nameOf(workspace, askKey));
  }

  /** Drops what another replica has decided, and what nobody asks about any more. */
  async refresh(workspace: string, isDecided: IsDecided): Promise<void> {
    const silent = [...this.#waiting.values()]
      .filter(({ asker, lastMs }) => asker.workspace === workspace && this.now() - lastMs >= FRESH_MS)
      .slice(0, MOST_LOOKUPS);
    await Promise.all(
      silent.map(async (waiting) => {
        const isOver = await isDecided(waiting.askKey).catch(() => false);
        const name = nameOf(workspace, waiting.askKey);
        // Asked about meanwhile: what that said is newer.
        if (this.#waiting.get(name) !== waiting) return;
        const isGivenUp =
          this.now() - waiting.firstMs >= VENDOR_TOTAL_MS && this.now() - waiting.lastMs >= SILENCE_MS;
        if (!isOver && !isGivenUp) return;
        this.#waiting.delete(name);
        if (!isOver) this.#givenUp.inc({ ...waiting.asker });
      }),
    );
  }

  #each(
    tell: (labels: Asker & { readonly cause: Waiting['cause'] }, waiting: readonly Waiting[]) => void,
  ): void {
    const groups = Map.groupBy(this.#waiting.values(), ({ asker, cause }) =>
      nameOf(asker.workspace, asker.cosigner, cause),
    );
    for (const { workspace, cosigner } of this.#askers)
      for (const cause of CAUSES)
        tell({ workspace, cosigner, cause }, groups.get(nameOf(workspace, cosigner, cause)) ?? []);
  }

  #ageOf(waiting: readonly Waiting[]): number {
    return waiting.reduce((oldest, { firstMs }) => Math.max(oldest, this.now() - firstMs), 0) / 1_000;
  }
}

function nameOf(...parts: readonly string[]): string {
  return parts.join(' ');
}
