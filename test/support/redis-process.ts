/** The Redis that `countersign up` runs for itself. */
import { readFileSync } from 'node:fs';
import { descendantsOf } from './processes.js';

/** Its process id. */
export function redisOf(up: number): number {
  const found = descendantsOf(up).find((pid) =>
    /redis-server|valkey-server/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')),
  );
  if (found === undefined) throw new Error(`process ${up} runs no Redis`);
  return found;
}
