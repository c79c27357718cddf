/** What Prometheus sees of files that are taken while a replica runs. */
import { createHash } from 'node:crypto';
import { Counter, Gauge, type Registry } from 'prom-client';

/** Hexadecimal digits: enough to tell documents apart. */
const DIGEST_LENGTH = 12;

export class ReloadMetrics {
  readonly #reloads: Counter<'part' | 'result'>;
  readonly #failed: Gauge<'part'>;
  readonly #restart: Gauge;
  readonly #document: Gauge<'digest'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#reloads = new Counter({
      name: 'countersign_reloads_total',
      help: 'Changed files that this replica took while it ran (ok), and those that it refused (failed), by what they are for.',
      labelNames: ['part', 'result'],
      registers,
    });
    this.#failed = new Gauge({
      name: 'countersign_reload_failed',
      help: '1 while files are there that this replica refuses to take; what was in force before is still.',
      labelNames: ['part'],
      registers,
    });
    this.#restart = new Gauge({
      name: 'countersign_restart_needed',
      help: '1 while the configuration document differs from what this replica runs with in fields that only a restart takes.',
      registers,
    });
    this.#document = new Gauge({
      name: 'countersign_config_info',
      help: 'Always 1; the configuration document by the start of its SHA-256, as this replica last took it.',
      labelNames: ['digest'],
      registers,
    });
  }

  /** Series that begin at zero, so that the first failure is an increase. */
  expect(part: string): void {
    for (const result of ['ok', 'failed']) this.#reloads.inc({ part, result }, 0);
    this.#failed.set({ part }, 0);
  }

  taken(part: string): void {
    this.#reloads.inc({ part, result: 'ok' });
  }

  failed(part: string): void {
    this.#reloads.inc({ part, result: 'failed' });
    this.#failed.set({ part }, 1);
  }

  restartNeeded(isNeeded: boolean): void {
    this.#restart.set(isNeeded ? 1 : 0);
  }

  /** @param text the configuration document */
  document(text: string): void {
    const digest = createHash('sha256').update(text).digest('hex').slice(0, DIGEST_LENGTH);
    this.#document.reset();
    this.#document.set({ digest }, 1);
  }

  mended(part: string): void {
    this.#failed.set({ part }, 0);
  }
}
