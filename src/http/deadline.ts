/** The deadline of one request, by this process's monotonic clock. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DEADLINE_PASSED, type Deadline } from '../core/ports.js';

export function deadlineAfter(ms: number): Deadline {
  const endsAt = performance.now() + ms;
  const signal = AbortSignal.timeout(Math.max(0, Math.ceil(ms)));
  const remainingMs = (): number => endsAt - performance.now();
  return {
    signal,
    remainingMs,
    async pause(wanted) {
      await sleep(Math.max(0, Math.min(wanted, remainingMs())));
    },
    async within<T>(work: Promise<T>): Promise<T | typeof DEADLINE_PASSED> {
      let timer: NodeJS.Timeout | undefined;
      const passed = new Promise<typeof DEADLINE_PASSED>((resolve) => {
        timer = setTimeout(() => resolve(DEADLINE_PASSED), Math.max(0, remainingMs()));
      });
      // When the deadline wins, nobody waits for the work any more; its failure must not be "unhandled".
      work.catch(() => undefined);
      try {
        return await Promise.race([work, passed]);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
