/** How an ask that waits is written on the board, and read again. */
import { z } from 'zod';
import { UNDECIDED, type UndecidedReason } from '../core/decision.js';
import { CountersignError } from '../core/errors.js';
import type { Deliveries, WaitingAbout } from '../core/waiting.js';

const text = z.string().max(1_024);
const reasons = Object.keys(UNDECIDED) as [UndecidedReason, ...UndecidedReason[]];

const about = z.object({
  cosigner: text,
  signer: text.optional(),
  kind: z.enum(['transaction', 'config-change', 'keygen', 'reshare', 'sign']),
  stage: z.enum(['approval', 'signing']),
  requestId: text,
  txId: text.optional(),
  externalTxId: text.optional(),
  reason: z.enum(reasons),
  sentence: text,
});

const MAX_SENTENCE = 500;

export function aboutText(known: WaitingAbout): string {
  return JSON.stringify({ ...known, sentence: known.sentence.slice(0, MAX_SENTENCE) });
}

/** Undefined for what another version wrote: a list that lacks a line is better than none. */
export function aboutOf(json: string): WaitingAbout | undefined {
  try {
    return about.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}

export function deliveriesText({ firstMs, lastMs, count }: Deliveries): string {
  return `${firstMs} ${lastMs} ${count}`;
}

export function deliveriesRead(words: string): Deliveries {
  const [firstMs = 0, lastMs = 0, count = 0] = words.split(' ').map(Number);
  return { firstMs, lastMs, count };
}

export function closed(): CountersignError {
  return new CountersignError(
    'LEDGER_FENCED',
    'the list of what waits is not written while nothing may be decided',
  );
}
