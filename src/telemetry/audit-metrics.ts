/** What Prometheus sees of evidence: of the journal's export, and of originals. */
import { Counter, Gauge, type Registry } from 'prom-client';

export class AuditMetrics {
  readonly #lines: Counter<'workspace'>;
  readonly #behind: Gauge<'workspace'>;
  readonly #lastSuccess: Gauge<'workspace'>;
  readonly #errors: Counter<'workspace'>;
  readonly #originalsWritten: Counter;
  readonly #originalsDropped: Counter;
  readonly #originalsErrors: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    const labelNames = ['workspace'] as const;
    this.#lines = new Counter({
      name: 'countersign_audit_lines_total',
      help: 'Events of the journal that this replica exported.',
      labelNames,
      registers,
    });
    this.#behind = new Gauge({
      name: 'countersign_audit_behind_events',
      help: 'How many events the ledger was ahead of the export, when this replica last exported.',
      labelNames,
      registers,
    });
    this.#lastSuccess = new Gauge({
      name: 'countersign_audit_last_success_timestamp_seconds',
      help: 'When this replica last exported, or found that there was nothing new; 0: never, as on all but the one that exports.',
      labelNames,
      registers,
    });
    this.#errors = new Counter({
      name: 'countersign_audit_errors_total',
      help: 'Attempts to export that failed, and files that are damaged.',
      labelNames,
      registers,
    });
    this.#originalsWritten = new Counter({
      name: 'countersign_originals_written_total',
      help: 'Answered requests whose messages this replica has written to its files of originals.',
      registers,
    });
    this.#originalsDropped = new Counter({
      name: 'countersign_originals_dropped_total',
      help: 'Answered requests whose messages were not kept, because the disk did not take them in time; they are gone.',
      registers,
    });
    this.#originalsErrors = new Counter({
      name: 'countersign_originals_errors_total',
      help: 'Attempts to write originals that failed and are made again; nothing is lost yet, and no answer is affected.',
      registers,
    });
  }

  /** From now on the journal of this workspace is to be exported, by this replica or another one. */
  expect(workspace: string): void {
    this.#lastSuccess.set({ workspace }, 0);
    this.#errors.inc({ workspace }, 0);
  }

  exported(workspace: string, { lines, behind }: { readonly lines: number; readonly behind: number }): void {
    this.#lines.inc({ workspace }, lines);
    this.#behind.set({ workspace }, behind);
    this.#lastSuccess.setToCurrentTime({ workspace });
  }

  failed(workspace: string): void {
    this.#errors.inc({ workspace });
  }

  originalsWritten(count: number): void {
    this.#originalsWritten.inc(count);
  }

  originalsDropped(count: number): void {
    this.#originalsDropped.inc(count);
  }

  originalsFailed(): void {
    this.#originalsErrors.inc();
  }
}
