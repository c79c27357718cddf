/** What Prometheus sees of the ledger: every call, its problems, its recoveries and its witnesses. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { errorCodeOf } from '../core/errors.js';
import type { LedgerProblem } from '../core/fence.js';
import { RECOVERY_BUCKETS, STEP_BUCKETS } from './buckets.js';

export class LedgerMetrics {
  readonly #calls: Histogram<'workspace' | 'operation'>;
  readonly #errors: Counter<'workspace' | 'operation' | 'code'>;
  readonly #problem: Gauge<'workspace' | 'problem'>;
  readonly #recovering: Gauge<'workspace'>;
  readonly #recoveries: Counter<'workspace' | 'result'>;
  readonly #recoverySeconds: Histogram<'workspace'>;
  readonly #recoveryRecords: Gauge<'workspace'>;
  readonly #witnessUp: Gauge<'workspace' | 'witness'>;
  readonly #witnessBlank: Gauge<'workspace' | 'witness'>;
  readonly #witnessAppend: Histogram<'workspace'>;
  readonly #oldest: Gauge<'workspace'>;
  readonly #retention: Gauge<'workspace'>;
  readonly #forgotten: Counter<'workspace'>;
  readonly #problems = new Map<string, ReadonlySet<LedgerProblem['code']>>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.#calls = new Histogram({
      name: 'countersign_ledger_duration_seconds',
      help: 'One call of the ledger, by what was asked; failed ones too.',
      labelNames: ['workspace', 'operation'],
      buckets: STEP_BUCKETS,
      registers,
    });
    this.#errors = new Counter({
      name: 'countersign_ledger_errors_total',
      help: 'Calls of the ledger that failed, by error code.',
      labelNames: ['workspace', 'operation', 'code'],
      registers,
    });
    this.#problem = new Gauge({
      name: 'countersign_ledger_problem',
      help: '1 while the ledger has this problem, as this replica last saw it; FENCED: nothing is decided until an operator activates it.',
      labelNames: ['workspace', 'problem'],
      registers,
    });
    this.#recovering = new Gauge({
      name: 'countersign_recovering',
      help: '1 while this replica recovers the ledger from its witnesses.',
      labelNames: ['workspace'],
      registers,
    });
    this.#recoveries = new Counter({
      name: 'countersign_recoveries_total',
      help: 'Recoveries by how they ended; overtaken: another replica was faster.',
      labelNames: ['workspace', 'result'],
      registers,
    });
    this.#recoverySeconds = new Histogram({
      name: 'countersign_recovery_seconds',
      help: 'How long recoveries took that brought the ledger back.',
      labelNames: ['workspace'],
      buckets: RECOVERY_BUCKETS,
      registers,
    });
    this.#recoveryRecords = new Gauge({
      name: 'countersign_recovery_records',
      help: 'Records that the newest recovery read from the witnesses.',
      labelNames: ['workspace'],
      registers,
    });
    this.#witnessUp = new Gauge({
      name: 'countersign_witness_up',
      help: '1 while this replica reaches the witness and it has a vote; witness: its place in the configuration, from 1.',
      labelNames: ['workspace', 'witness'],
      registers,
    });
    this.#witnessBlank = new Gauge({
      name: 'countersign_witness_blank',
      help: '1 while the witness answers and holds nothing of this cluster.',
      labelNames: ['workspace', 'witness'],
      registers,
    });
    this.#witnessAppend = new Histogram({
      name: 'countersign_witness_append_seconds',
      help: 'From a decision to its record on a majority of witnesses.',
      labelNames: ['workspace'],
      buckets: STEP_BUCKETS,
      registers,
    });
    this.#oldest = new Gauge({
      name: 'countersign_ledger_oldest_event_timestamp_seconds',
      help: 'When the oldest event was recorded that the ledger still holds, Unix time.',
      labelNames: ['workspace'],
      registers,
    });
    this.#retention = new Gauge({
      name: 'countersign_ledger_retention_seconds',
      help: 'How long events are kept (ledger.retention).',
      labelNames: ['workspace'],
      registers,
    });
    this.#forgotten = new Counter({
      name: 'countersign_ledger_forgotten_events_total',
      help: 'Events older than the retention that this replica has removed.',
      labelNames: ['workspace'],
      registers,
    });
  }

  /** One call has ended, well or with this failure. */
  called(workspace: string, operation: string, seconds: number, failure?: unknown): void {
    this.#calls.observe({ workspace, operation }, seconds);
    if (failure !== undefined) this.#errors.inc({ workspace, operation, code: errorCodeOf(failure) });
  }

  checked(workspace: string, problems: readonly LedgerProblem[]): void {
    const codes = new Set(problems.map(({ code }) => code));
    for (const problem of this.#problems.get(workspace) ?? [])
      if (!codes.has(problem)) this.#problem.remove({ workspace, problem });
    for (const problem of codes) this.#problem.set({ workspace, problem }, 1);
    this.#problems.set(workspace, codes);
  }

  recovering(workspace: string, isRecovering: boolean): void {
    this.#recovering.set({ workspace }, isRecovering ? 1 : 0);
    // From now on the first failure is an increase.
    for (const result of ['recovered', 'overtaken', 'failed'] as const)
      this.#recoveries.inc({ workspace, result }, 0);
  }

  recoveryEnded(
    workspace: string,
    result: 'recovered' | 'overtaken' | 'failed',
    seconds: number,
    records: number,
  ): void {
    this.#recoveries.inc({ workspace, result });
    if (result !== 'recovered') return;
    this.#recoverySeconds.observe({ workspace }, seconds);
    this.#recoveryRecords.set({ workspace }, records);
  }

  /** @param witness its place in the configuration, from 1 */
  witnessState(workspace: string, witness: string, state: 'up' | 'unreachable' | 'blank'): void {
    this.#witnessUp.set({ workspace, witness }, state === 'up' ? 1 : 0);
    this.#witnessBlank.set({ workspace, witness }, state === 'blank' ? 1 : 0);
  }

  witnessAppend(workspace: string, seconds: number): void {
    this.#witnessAppend.observe({ workspace }, seconds);
  }

  /** @param oldestMs when the oldest event was recorded, Unix milliseconds; undefined: there is none */
  kept(workspace: string, oldestMs: number | undefined, retentionMs: number): void {
    this.#retention.set({ workspace }, retentionMs / 1_000);
    if (oldestMs === undefined) this.#oldest.remove({ workspace });
    else this.#oldest.set({ workspace }, oldestMs / 1_000);
  }

  forgot(workspace: string, events: number): void {
    this.#forgotten.inc({ workspace }, events);
  }
}
