/** A janitor of the tests: retention in milliseconds, and a clock that may be set. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Ledger } from '../../src/core/ports.js';
import type { Trimmed, TrimOrder } from '../../src/core/upkeep.js';

export const RETENTION_MS = 40;

export function orderOf(parts: Partial<TrimOrder> = {}): TrimOrder {
  return { retentionMs: RETENTION_MS, nowMs: Date.now(), demandsExport: false, ...parts };
}

/** Waits until everything that the ledger holds now is old enough, and worth a checkpoint. Resolves to that instant. */
export async function age(): Promise<number> {
  await pause(1.2 * RETENTION_MS);
  return Date.now();
}

/** @param nowMs an instant of the last two seconds: what came after it is not old, however slow the machine is */
export async function forgetAll(ledger: Ledger, nowMs?: number): Promise<readonly Trimmed[]> {
  const steps: Trimmed[] = [];
  for (;;) {
    const step = await ledger.upkeep.trim(orderOf(nowMs === undefined ? {} : { nowMs }));
    if (step.kind !== 'trimmed') return [...steps, step];
    steps.push(step);
  }
}
