/** One `countersign up` per folder: two would share keys and configuration, and run two servers on one append-only file. One mirror, too. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CountersignError } from '../core/errors.js';

/**
 * Holds the folder until this process ends, however it ends: Node has no file locks of its own, SQLite's are the
 * system's. Throws ENVIRONMENT when another process holds it. The folder exists.
 */
export function lockDirectory(dir: string, command: 'up' | 'mirror' = 'up'): () => void {
  const file = join(dir, `${command}.lock`);
  const lock = new DatabaseSync(file, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    throw new CountersignError(
      'ENVIRONMENT',
      `another countersign ${command} runs in ${dir}: stop it first, or choose another --dir`,
      { cause },
    );
  }
  return () => lock.close();
}
