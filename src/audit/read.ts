/** The events of audit files, for whoever makes something else of them. */
import { CountersignError } from '../core/errors.js';
import { linesOf } from './file.js';
import { type ExportedEvent, eventOf } from './line.js';
import { type Further, rangesOf, type Verified, verifyFiles } from './verify.js';
import type { CheckpointKeys } from './walk.js';

/**
 * Verifies the files, and then yields the events of their one chain, each once, in order: files may overlap. Throws
 * CHECK_FAILED that names the first broken line, or when the files are of several ledgers.
 */
export async function* eventsOf(
  paths: readonly string[],
  keys: CheckpointKeys,
): AsyncGenerator<ExportedEvent> {
  await verifiedChain(paths, keys);
  let last = 0;
  for (const { path } of await rangesOf(paths, keys))
    for await (const lines of linesOf(path))
      for (const { bytes } of lines) {
        const event = eventOf(bytes);
        if (event === undefined || event.sequence <= last) continue;
        last = event.sequence;
        yield event;
      }
}

/** Throws CHECK_FAILED that names the first broken line, or when the files are of several ledgers. */
export async function verifiedChain(
  paths: readonly string[],
  keys: CheckpointKeys,
  further: Further = {},
): Promise<Verified> {
  const verification = await verifyFiles(paths, keys, further);
  if (!verification.ok) {
    const { file, line, problem } = verification;
    throw new CountersignError('CHECK_FAILED', `${file}:${line}: ${problem}`);
  }
  const [chain, ...others] = verification.chains;
  if (chain !== undefined && others.length === 0) return chain;
  throw new CountersignError('CHECK_FAILED', 'the files are of several ledgers: name those of one');
}
