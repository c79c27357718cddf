/** What Prometheus sees of configuration changes. */
import { Counter, type Registry } from 'prom-client';
import { CHANGE_TYPES, changeLabel, isDangerous } from '../core/policy/change-types.js';
import type { Request } from '../core/request.js';

/** Of requests that the vendor documents no type for; see changeLabel. */
const OTHER = 'other';
const EFFECTS = ['approve', 'reject', 'retry', 'ignore'] as const;

export class ChangeMetrics {
  readonly #changes: Counter;

  constructor(registry: Registry) {
    this.#changes = new Counter({
      name: 'countersign_config_changes_total',
      help: 'Configuration changes that were asked about, by type (other: the vendor documents no such type) and by what was answered.',
      labelNames: ['workspace', 'type', 'effect'],
      registers: [registry],
    });
  }

  /** Those that raise an alert begin at zero. */
  expect(workspace: string): void {
    for (const type of [...Object.keys(CHANGE_TYPES).filter(isDangerous), OTHER])
      for (const effect of EFFECTS) this.#changes.inc({ workspace, type, effect }, 0);
  }

  answered(request: Request, effect: (typeof EFFECTS)[number]): void {
    if (request.kind !== 'config-change') return;
    this.#changes.inc({ workspace: request.workspace, type: changeLabel(request.type), effect });
  }
}
