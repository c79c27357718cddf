/** Records of a ledger as text, and their parsing: the store is an edge, and what it holds is checked. */
import { z } from 'zod';
import type { Decision, ReasonCode } from '../core/decision.js';
import { REASONS } from '../core/decision.js';
import { CountersignError } from '../core/errors.js';
import type { ExportMark } from '../core/export.js';
import { EVENT_TYPES } from '../core/journal.js';
import type { ActivePolicy, Freeze, JournalEvent } from '../core/ports.js';

const decisionSchema = z.object({
  effect: z.enum(['approve', 'reject', 'ignore']),
  reason: z.custom<ReasonCode>((value) => typeof value === 'string' && Object.hasOwn(REASONS, value)),
  sentence: z.string(),
  rule: z.string().optional(),
  limit: z.string().optional(),
  sequence: z.int(),
  decidedAtMs: z.int(),
  policyVersion: z.string(),
});

const freezeSchema = z.object({
  id: z.string(),
  scope: z.string(),
  reason: z.string(),
  author: z.string(),
  answers: z.enum(['retry', 'reject']),
  expiresAtMs: z.number().optional(),
});

const policySchema = z.object({
  version: z.string(),
  document: z.string(),
  instances: z.record(z.string(), z.string()),
  statement: z.string(),
});

const eventSchema = z.object({
  sequence: z.int(),
  atMs: z.int(),
  type: z.enum(EVENT_TYPES),
  body: z.record(z.string(), z.unknown()),
});

export function decisionOf(text: string): Decision {
  const { rule, limit, ...decision } = recordOf(decisionSchema, text, 'a decision');
  return { ...decision, ...(rule === undefined ? {} : { rule }), ...(limit === undefined ? {} : { limit }) };
}

export function freezeOf(text: string, sequence: number): Freeze {
  const { expiresAtMs, ...freeze } = recordOf(freezeSchema, text, 'a freeze');
  return { ...freeze, ...(expiresAtMs === undefined ? {} : { expiresAtMs }), sequence };
}

/** The text that {@link freezeOf} reads; equal for equal freezes, whatever the order of their members. */
export function freezeText(freeze: Omit<Freeze, 'sequence'>): string {
  const { id, scope, reason, author, answers, expiresAtMs } = freeze;
  return JSON.stringify({ id, scope, reason, author, answers, expiresAtMs });
}

export function policyOf(text: string, sequence: number): ActivePolicy {
  return { ...recordOf(policySchema, text, 'the active policy'), sequence };
}

export function policyText(policy: Omit<ActivePolicy, 'sequence'>): string {
  const { version, document, instances, statement } = policy;
  return JSON.stringify({ version, document, instances, statement });
}

export function eventOf(sequence: string, atMs: string, type: string, body: string): JournalEvent {
  const text = `{"sequence":${sequence},"atMs":${atMs},"type":${JSON.stringify(type)},"body":${body}}`;
  return recordOf(eventSchema, text, `event ${sequence}`);
}

/** `<sequence> <hash> <count>` */
export function markText({ sequence, hash, count }: ExportMark): string {
  return `${sequence} ${hash} ${count}`;
}

export function markOf(text: string): ExportMark {
  const [, sequence, hash, count] = /^(\d+) ([0-9a-f]{64}) (\d+)$/.exec(text) ?? [];
  if (hash === undefined)
    throw new CountersignError('LEDGER_CORRUPT', 'the ledger holds a mark of its export that cannot be read');
  return { sequence: Number(sequence), hash, count: Number(count) };
}

/** Text of a ledger as a schema wants it; LEDGER_CORRUPT when it is not. */
export function recordOf<T>(schema: z.ZodType<T>, text: string, what: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new CountersignError('LEDGER_CORRUPT', `the ledger holds ${what} that cannot be read`, { cause });
  }
}
