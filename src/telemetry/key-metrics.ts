/** What Prometheus sees of the time that keys have. */
import { Gauge, type Registry } from 'prom-client';

export interface KeyLife {
  readonly workspace: string;
  readonly cosigner: string;
  readonly use: 'answer' | 'cosigner';
  /** Unix milliseconds. */
  readonly validUntil: (nowMs: number) => number;
}

export class KeyMetrics {
  #lives: readonly KeyLife[] = [];

  constructor(registry: Registry, now: () => number = Date.now) {
    const gauge = new Gauge({
      name: 'countersign_key_valid_until_timestamp_seconds',
      help: 'Until when, from now on without a gap, a key of this use is valid by its notBefore and notAfter; +Inf: one has no end; in the past: none is valid now. Of answer keys the first to end counts, after which answerKey signs.',
      labelNames: ['workspace', 'cosigner', 'use'],
      registers: [registry],
      collect: () => {
        gauge.reset();
        for (const { workspace, cosigner, use, validUntil } of this.#lives)
          gauge.set({ workspace, cosigner, use }, validUntil(now()) / 1_000);
      },
    });
  }

  expect(lives: readonly KeyLife[]): void {
    this.#lives = lives;
  }
}
