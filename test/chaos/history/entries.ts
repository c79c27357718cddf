/** What the ledger says at the end of a run, in the words of the checker. */
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { z } from 'zod';
import type { JournalEvent } from '../../../src/core/ports.js';
import { readJournal } from '../../support/journal.js';
import { NO_VOTE_FOR_OTHER_CONTENT, VOTED_AGAINST } from '../cosigner/record.js';
import type { AskFacts } from '../workload/errands.js';
import type { Final } from './history.js';

/** One event of the log that answers a question. */
export interface Entry {
  /** Of {@link questionKey}. */
  readonly key: AskFacts['key'];
  readonly wei: bigint;
  readonly requestId: string;
  readonly stage: AskFacts['stage'];
  readonly sequence: number;
  /** By the ledger's clock, when it was decided. */
  readonly atMs: number;
  readonly action: Final['action'];
  readonly reason: string | undefined;
  /** What each limit, by its name, was charged, as the ledger says; the control says nothing of it. */
  readonly charged?: ReadonlyMap<string, Charged>;
}

/** In base units, or transactions. */
export interface Charged {
  readonly added: bigint;
  /** Of the counter, with what was added. */
  readonly total: bigint;
}

const baseUnits = z.string().transform(BigInt);

const bodySchema = z.object({
  decision: z.object({
    effect: z.enum(['approve', 'reject', 'ignore']),
    reason: z.string(),
    sentence: z.string(),
    sequence: z.int(),
    decidedAtMs: z.number(),
  }),
  journal: z.object({
    request: z.object({
      protocol: z.enum(['fireblocks', 'iofinnet']),
      requestId: z.string(),
      stage: z.enum(['approval', 'signing']),
      signer: z.string().optional(),
    }),
    facts: z.object({ transaction: z.object({ amount: z.string() }) }),
  }),
  charged: z.array(z.object({ limit: z.string(), added: baseUnits, total: baseUnits })).default([]),
});

/** That a nonce was given to a request is no answer to anybody. */
const nonceSchema = z.object({ journal: z.object({ request: z.object({ kind: z.literal('nonce') }) }) });

const ACTIONS = { approve: 'APPROVE', reject: 'REJECT', ignore: 'IGNORE' } as const;

/** Through the product's own port. Throws when an event says another number of itself than the log does. */
export async function entriesOfLedger(configFile: string): Promise<readonly Entry[]> {
  return entriesIn(await readJournal(configFile));
}

export function entriesIn(events: readonly JournalEvent[]): readonly Entry[] {
  return events
    .filter(({ type, body }) => ASKED.has(type) && !nonceSchema.safeParse(body).success)
    .map(({ sequence, body }): Entry => {
      const { decision, journal, charged } = bodySchema.parse(body);
      const { effect, decidedAtMs: atMs } = decision;
      if (decision.sequence !== sequence)
        throw new Error(`event ${sequence} calls itself ${decision.sequence}`);
      const { protocol, requestId, stage, signer = '' } = journal.request;
      return {
        key: keyOf({ protocol, requestId, stage, signer, reason: decision.reason }),
        stage,
        wei: BigInt(journal.facts.transaction.amount),
        requestId,
        sequence,
        atMs,
        action: ACTIONS[effect],
        reason: effect === 'reject' ? reasonOf(protocol, decision) : undefined,
        charged: new Map(charged.map(({ limit, ...counted }) => [limit, counted])),
      };
    });
}

const ASKED: ReadonlySet<string> = new Set(['decision', 'conflict']);

/** A vote says nothing but what it is. */
function reasonOf(
  protocol: 'fireblocks' | 'iofinnet',
  { reason, sentence }: { readonly reason: string; readonly sentence: string },
): string {
  if (protocol === 'fireblocks') return sentence;
  return reason === 'CONFLICT_CONTENT' ? NO_VOTE_FOR_OTHER_CONTENT : VOTED_AGAINST;
}

const naiveSchema = z.object({
  requestId: z.string(),
  stage: z.enum(['approval', 'signing']),
  signer: z.string(),
  wei: z.string().transform(BigInt),
});

/** The journal of the control: the order in which its stream was written is all the numbering it has. */
export async function entriesOfControl(port: number): Promise<readonly Entry[]> {
  const redis = new Redis(port, '127.0.0.1');
  const stream = await redis.xrange('naive:journal', '-', '+');
  redis.disconnect();
  return stream.map(([, fields], index): Entry => {
    const field = (name: string) => fields[fields.indexOf(name) + 1] ?? '';
    const { requestId, stage, signer, wei } = naiveSchema.parse(JSON.parse(field('ask')));
    const action = field('action') === 'APPROVE' ? 'APPROVE' : 'REJECT';
    const key = keyOf({ protocol: 'fireblocks', requestId, stage, signer, reason: '' });
    return {
      key,
      wei,
      requestId,
      stage,
      sequence: index + 1,
      atMs: Number(field('atMs')),
      action,
      reason: undefined,
    };
  });
}

/** What a replica wrote to its log when it gave an answer. */
export interface Logged {
  readonly requestId: string;
  readonly stage: string;
  readonly answer: string;
  readonly sequence: number;
}

const loggedSchema = z.object({
  requestId: z.string(),
  stage: z.string(),
  answer: z.string(),
  sequence: z.int(),
});

export function loggedIn(files: readonly string[]): readonly Logged[] {
  return files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line) => {
        // The last line of a replica that was killed may be half of one.
        if (!line.startsWith('{') || !line.endsWith('}') || !line.includes('"sequence"')) return [];
        const parsed = loggedSchema.safeParse(JSON.parse(line));
        return parsed.success ? [parsed.data] : [];
      }),
  );
}

interface Asked {
  readonly protocol: AskFacts['protocol'];
  readonly requestId: string;
  readonly stage: AskFacts['stage'];
  readonly signer: string;
  readonly reason: string;
}

/** The refusal of what was approved and then given back answers another question than the approval did. */
function keyOf({ protocol, requestId, stage, signer, reason }: Asked): string {
  if (reason === 'RELEASED_BEFORE') return `${requestId}/released`;
  if (protocol === 'iofinnet') return `${requestId}/vote`;
  return stage === 'approval' ? `${requestId}/approval/${signer}` : `${requestId}/signing`;
}
