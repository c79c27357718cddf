/**
 * A part of an audit trail that can be handed out and verified by itself: the lines as they were exported, cut at
 * checkpoints, and the policies that were in force.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { CountersignError } from '../core/errors.js';
import { fileName, isFileName, linesOf } from './file.js';
import { eventOf, type Position, readLine } from './line.js';
import { rangesOf, type Verified, verifyFiles } from './verify.js';
import type { CheckpointKeys } from './walk.js';

/** An active policy, as its event holds it. */
export interface PolicyInForce {
  readonly sequence: number;
  readonly at: string;
  /** SHA-256 of the document's bytes: what decisions name as their policyVersion. */
  readonly version: string;
  readonly document: string;
  /** The operator's (compact JWS). */
  readonly statement: string;
}

export interface Stretch {
  readonly chain: Verified;
  /** First and last event of the time that was asked for; the files hold a few more around them. */
  readonly first: number;
  readonly last: number;
  readonly events: number;
  /** In force at the beginning, and activated since. */
  readonly policies: readonly PolicyInForce[];
}

const policyBody = z.object({ version: z.string(), document: z.string(), statement: z.string() });

/** Verifies the files, and finds what stands in them of [fromMs, toMs). Throws CHECK_FAILED. */
export async function findStretch(
  files: readonly string[],
  keys: CheckpointKeys,
  {
    fromMs,
    toMs,
    collected,
  }: { readonly fromMs: number; readonly toMs: number; readonly collected: boolean },
): Promise<Stretch> {
  const found = new Set<string>();
  let first: Position | undefined;
  let last: Position | undefined;
  let before: PolicyInForce | undefined;
  const since = new Map<number, PolicyInForce>();
  const verification = await verifyFiles(files, keys, {
    collected,
    watch({ event: { sequence, at, type }, position, bytes, chain: { ledger, workspace } }) {
      found.add(`${ledger} ${workspace}`);
      const atMs = Date.parse(at);
      if (atMs >= toMs) return undefined;
      if (type === 'policy') {
        const policy = { sequence, at, ...policyBody.parse(JSON.parse(eventOf(bytes)?.bodyText ?? '{}')) };
        if (atMs >= fromMs) since.set(sequence, policy);
        else if (before === undefined || before.sequence < sequence) before = policy;
      }
      if (atMs < fromMs) return undefined;
      if (first === undefined || sequence < first.sequence) first = position;
      if (last === undefined || sequence > last.sequence) last = position;
      return undefined;
    },
  });
  if (!verification.ok) {
    const { file, line, problem } = verification;
    throw failed(`what is broken proves nothing: ${file}:${line}: ${problem}`);
  }
  const [chain] = verification.chains;
  if (chain === undefined || found.size > 1)
    throw failed('the files are of several ledgers: name those of one');
  const ends = { first, last } as {
    readonly first: Position | undefined;
    readonly last: Position | undefined;
  };
  if (ends.first === undefined || ends.last === undefined)
    throw failed('no event of that time is in the files');
  return {
    chain,
    first: ends.first.sequence,
    last: ends.last.sequence,
    events: ends.last.count - ends.first.count + 1,
    policies: [...(before === undefined ? [] : [before]), ...since.values()],
  };
}

/** Copies the lines of the stretch, from checkpoint to checkpoint, into files of a folder. Returns their names. */
export async function copyStretch(
  { files, keys }: { readonly files: readonly string[]; readonly keys: CheckpointKeys },
  { first, last }: Pick<Stretch, 'first' | 'last'>,
  folder: string,
): Promise<readonly string[]> {
  const ranges = await rangesOf(files, keys);
  const names: string[] = [];
  let reached = first - 1;
  for (;;) {
    const next = ranges
      .filter(({ after, upTo }) => after <= reached && upTo > reached)
      .sort((one, other) => other.upTo - one.upTo)[0];
    if (next === undefined || reached >= last) return names;
    const { start, end } = await bytesOf(next.path, { after: reached, upTo: last });
    const name = nameIn(next.path, next.after);
    const target = createWriteStream(join(folder, name), { flags: 'wx', mode: 0o600 });
    await pipeline(createReadStream(next.path, { start, end: end - 1 }), target);
    names.push(name);
    reached = next.upTo;
  }
}

/** A file that was collected has another name than those of a folder, and perhaps the same as one beside it. */
function nameIn(path: string, after: number): string {
  const name = basename(path);
  return isFileName(name)
    ? name
    : fileName(after, createHash('sha256').update(path).digest('hex').slice(0, 8));
}

/** Where the last checkpoint begins that covers nothing after `after`, and where the first ends that covers `upTo`. */
async function bytesOf(
  file: string,
  { after, upTo }: { readonly after: number; readonly upTo: number },
): Promise<{ readonly start: number; readonly end: number }> {
  let start = 0;
  let end = 0;
  for await (const lines of linesOf(file))
    for (const { bytes, offset } of lines) {
      end = offset + bytes.length + 1;
      const read = readLine(bytes);
      if (read.kind !== 'checkpoint') continue;
      if (read.checkpoint.sequence <= after) start = offset;
      if (read.checkpoint.sequence >= upTo) return { start, end };
    }
  return { start, end };
}

function failed(message: string): CountersignError {
  return new CountersignError('CHECK_FAILED', message);
}
