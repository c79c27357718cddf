/** What Prometheus sees of how co-signers and this replica know each other. */
import { Gauge, type Registry } from 'prom-client';
import type { Asker } from './retry-metrics.js';

export class ChannelMetrics {
  readonly #unauthenticated: Gauge<'workspace' | 'cosigner'>;

  constructor(registry: Registry) {
    this.#unauthenticated = new Gauge({
      name: 'countersign_cosigner_unauthenticated',
      help: '1 for a co-signer whose messages prove nothing about who asks (mode: json): its network, or a client certificate, is all there is.',
      labelNames: ['workspace', 'cosigner'],
      registers: [registry],
    });
  }

  expect({ workspace, cosigner }: Asker, authenticates: boolean): void {
    this.#unauthenticated.set({ workspace, cosigner }, authenticates ? 0 : 1);
  }
}
