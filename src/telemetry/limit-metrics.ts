/** What Prometheus sees of limits: how full the fullest counter of each is now, what came near, what was refused. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { CounterUse, Ledger } from '../core/ports.js';

export class LimitMetrics {
  readonly #used: Gauge<'workspace' | 'limit' | 'mode'>;
  readonly #near: Counter<'workspace' | 'limit' | 'mode'>;
  readonly #refusals: Counter<'workspace' | 'limit'>;
  readonly #shadowExceeded: Counter<'workspace' | 'limit'>;
  /** By workspace, then by limit and mode: the fullest counter that this replica has charged. */
  readonly #fullest = new Map<string, Map<string, CounterUse>>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.#used = new Gauge({
      name: 'countersign_limit_used_ratio',
      help: 'How full the fullest counter of a limit is now, of those that this replica has charged: 1 is full.',
      labelNames: ['workspace', 'limit', 'mode'],
      registers,
    });
    this.#near = new Counter({
      name: 'countersign_limit_near_total',
      help: 'Charges that left a counter at or above the limit’s nearLimit fraction.',
      labelNames: ['workspace', 'limit', 'mode'],
      registers,
    });
    this.#refusals = new Counter({
      name: 'countersign_limit_refusals_total',
      help: 'Requests rejected because this limit had no room.',
      labelNames: ['workspace', 'limit'],
      registers,
    });
    this.#shadowExceeded = new Counter({
      name: 'countersign_shadow_limit_exceeded_total',
      help: 'Charges of rules in shadow mode that their limit would have refused, had the rule been enforced.',
      labelNames: ['workspace', 'limit'],
      registers,
    });
  }

  /** A policy became active: its limits begin at zero, so that the first refusal is an increase; others are gone. */
  adopted(workspace: string, limits: readonly string[]): void {
    for (const limit of limits) {
      this.#near.inc({ workspace, limit, mode: 'enforce' }, 0);
      this.#refusals.inc({ workspace, limit }, 0);
    }
    const known = this.#fullestOf(workspace);
    for (const [name, { limit, mode }] of known) {
      // A limit may have been reshaped, and then counts in another counter.
      known.delete(name);
      this.#used.remove({ workspace, limit, mode });
    }
  }

  charged(workspace: string, use: readonly CounterUse[]): void {
    const known = this.#fullestOf(workspace);
    for (const counter of use) {
      const { limit, mode, near, exceeded } = counter;
      if (near) this.#near.inc({ workspace, limit, mode });
      if (exceeded) this.#shadowExceeded.inc({ workspace, limit });
      const name = JSON.stringify([limit, mode]);
      const before = known.get(name);
      if (before === undefined || before.counter === counter.counter || ratio(counter) >= ratio(before)) {
        known.set(name, counter);
        this.#used.set({ workspace, limit, mode }, ratio(counter));
      }
    }
  }

  refused(workspace: string, limit: string): void {
    this.#refusals.inc({ workspace, limit });
  }

  /** Windows pass without anybody charging: asks the ledger how full the counters are now. */
  async refresh(workspace: string, ledger: Pick<Ledger, 'usage'>): Promise<void> {
    const known = this.#fullestOf(workspace);
    const asked = [...known];
    if (asked.length === 0) return;
    const used = await ledger.usage(asked.map(([, counter]) => counter));
    asked.forEach(([name, counter], index) => {
      // Charged meanwhile: what that said is newer.
      if (known.get(name) !== counter) return;
      const { limit, mode, window } = counter;
      const isOver = window.kind === 'calendar' && window.endMs <= Date.now();
      const now = { ...counter, used: isOver ? '0' : (used[index] ?? '0') };
      known.set(name, now);
      this.#used.set({ workspace, limit, mode }, ratio(now));
    });
  }

  #fullestOf(workspace: string): Map<string, CounterUse> {
    const known = this.#fullest.get(workspace) ?? new Map<string, CounterUse>();
    this.#fullest.set(workspace, known);
    return known;
  }
}

/** For people and alerts only: four decimals of an exact quotient. */
function ratio({ used, max }: Pick<CounterUse, 'used' | 'max'>): number {
  return BigInt(max) === 0n ? 1 : Number((BigInt(used) * 10_000n) / BigInt(max)) / 10_000;
}
