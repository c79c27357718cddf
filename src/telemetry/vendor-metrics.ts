/** What Prometheus sees of the vendor's side: what it says of transactions when asked, whom it asks, by which rules. */
import { Counter, Gauge, type Registry } from 'prom-client';

/** What a replica that follows the journal knows of transactions that were approved and have not ended. */
export interface OpenFigures {
  readonly open: number;
  readonly unfinished: number;
  /** Unix milliseconds. */
  readonly oldestMs: number | undefined;
  readonly forgotten: number;
}

/** What the REST API is called for. */
export type CallPurpose = 'sweep' | 'doctor';

export class VendorMetrics {
  readonly #open: Gauge<'workspace'>;
  readonly #oldest: Gauge<'workspace'>;
  readonly #unfinished: Gauge<'workspace'>;
  readonly #forgotten: Gauge<'workspace'>;
  readonly #calls: Counter<'workspace' | 'purpose' | 'result'>;
  readonly #swept: Counter<'workspace' | 'result'>;
  readonly #handlers: Gauge<'workspace' | 'result'>;
  readonly #checked: Gauge<'workspace'>;
  readonly #policyChanged: Counter<'workspace'>;
  readonly #policyChangedAt: Gauge<'workspace'>;
  /** By workspace; only those that this replica follows. */
  readonly #oldestMs = new Map<string, number | undefined>();

  constructor(registry: Registry) {
    const registers = [registry];
    const labelNames = ['workspace'] as const;
    const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames, registers });
    this.#open = gauge(
      'countersign_open_transactions',
      'Transactions that were approved for signing and of which nobody has said how they ended. Only the replica that follows the journal has it, and only where webhooks or api.sweep tell.',
    );
    this.#oldest = new Gauge({
      name: 'countersign_open_transaction_oldest_seconds',
      help: 'How long ago the oldest of them was approved; 0 when there is none.',
      labelNames,
      registers,
      collect: () => {
        for (const [workspace, oldestMs] of this.#oldestMs)
          this.#oldest.set({ workspace }, oldestMs === undefined ? 0 : (Date.now() - oldestMs) / 1_000);
      },
    });
    this.#unfinished = gauge(
      'countersign_unfinished_transactions',
      'Those among them that were approved longer ago than unfinishedAfter.',
    );
    this.#forgotten = gauge(
      'countersign_open_transactions_forgotten',
      'Approvals that are not among them because more are open than a replica follows.',
    );
    this.#calls = new Counter({
      name: 'countersign_api_calls_total',
      help: "Calls of the vendor's REST API by how they ended. key: 401; permission: 403; missing: 404; refused: other 4xx; limited: 429, or left alone after it; unavailable: 5xx, or no answer in time; answer: not what was asked for.",
      labelNames: ['workspace', 'purpose', 'result'],
      registers,
    });
    this.#swept = new Counter({
      name: 'countersign_sweep_answers_total',
      help: 'Overdue transactions that the REST API was asked about, by what it said of their end; missing: unknown there; foreign: the answer was about another transaction; unreadable, refused: no answer that means anything.',
      labelNames: ['workspace', 'result'],
      registers,
    });
    this.#handlers = new Gauge({
      name: 'countersign_handler_check',
      help: 'API users of the vendor by what the last check found; missing: nobody is asked, everything is signed; other-url, other-key: somebody else is; unknown-user: paired with our co-signer, and not configured; unknown-signer: configured, and not paired; unchecked: the vendor shows too little.',
      labelNames: ['workspace', 'result'],
      registers,
    });
    this.#checked = gauge(
      'countersign_handler_check_timestamp_seconds',
      'When this replica last checked the handlers of all API users; only the one that checks has it.',
    );
    this.#policyChanged = new Counter({
      name: 'countersign_workspace_policy_changed_total',
      help: "Changes of the workspace's own policy at the vendor's that this replica saw in requests.",
      labelNames,
      registers,
    });
    this.#policyChangedAt = gauge(
      'countersign_workspace_policy_changed_timestamp_seconds',
      "When this replica last saw a request under a policy of the vendor's that it had not seen before.",
    );
  }

  followed(workspace: string, { open, unfinished, oldestMs, forgotten }: OpenFigures): void {
    this.#open.set({ workspace }, open);
    this.#unfinished.set({ workspace }, unfinished);
    this.#forgotten.set({ workspace }, forgotten);
    this.#oldestMs.set(workspace, oldestMs);
  }

  /** Another replica follows by now. */
  left(workspace: string): void {
    this.#oldestMs.delete(workspace);
    for (const gauge of [this.#open, this.#unfinished, this.#forgotten, this.#oldest])
      gauge.remove({ workspace });
  }

  /** Series that begin at zero, so that the first occurrence is an increase. */
  expectCalls(workspace: string, purpose: CallPurpose, results: readonly string[]): void {
    for (const result of results) this.#calls.inc({ workspace, purpose, result }, 0);
  }

  called(workspace: string, purpose: CallPurpose, result: string): void {
    this.#calls.inc({ workspace, purpose, result });
  }

  expectSweeps(workspace: string, results: readonly string[]): void {
    for (const result of results) this.#swept.inc({ workspace, result }, 0);
  }

  swept(workspace: string, result: string): void {
    this.#swept.inc({ workspace, result });
  }

  handlersChecked(workspace: string, counts: Readonly<Record<string, number>>): void {
    for (const [result, count] of Object.entries(counts)) this.#handlers.set({ workspace, result }, count);
    this.#checked.setToCurrentTime({ workspace });
  }

  /** Another replica checks by now. */
  handlersLeft(workspace: string, results: readonly string[]): void {
    for (const result of results) this.#handlers.remove({ workspace, result });
    this.#checked.remove({ workspace });
  }

  expectPolicies(workspace: string): void {
    this.#policyChanged.inc({ workspace }, 0);
  }

  policyChanged(workspace: string): void {
    this.#policyChanged.inc({ workspace });
    this.#policyChangedAt.setToCurrentTime({ workspace });
  }
}
