/** The shape of what the journal keeps, the same in both stores: enough to load every record again. */
import { z } from 'zod';
import type { Charge, LedgerFact } from '../core/decision.js';
import { CountersignError } from '../core/errors.js';
import type { MomentEntry } from '../core/moments.js';
import type { AskIdentity, CounterEntry } from '../core/ports.js';
import { type Holding, RELEASE_REASONS, type Release } from '../core/release.js';
import { type Approval, FATES, type KnownFate, type Report } from '../core/report.js';

const windowSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('rolling'), lengthMs: z.int() }),
  z.object({ kind: z.literal('calendar'), startMs: z.int(), endMs: z.int() }),
  z.object({ kind: z.literal('lifetime') }),
]);

/** `need` for an amount, `members` for a limit that counts different members. */
const countedSchema = z.object({
  counter: z.string(),
  window: windowSchema,
  need: z.string().optional(),
  members: z.array(z.string()).optional(),
});

const modeSchema = z.enum(['enforce', 'shadow']);

const askSchema = z.object({
  askKey: z.string(),
  fingerprint: z.string(),
  moneyKey: z.string().optional(),
  coreFingerprint: z.string().optional(),
  amount: z.string().optional(),
  requestKey: z.string().optional(),
  txId: z.string().optional(),
});

/** What has a beginning, and since when, Unix milliseconds: as it stands after the event. */
const momentsSchema = z.record(z.string(), z.int());

export const decisionBody = z.object({
  ask: askSchema,
  decision: z.record(z.string(), z.unknown()),
  charged: z.array(countedSchema.extend({ mode: modeSchema, limit: z.string() })),
  facts: z.record(z.string(), z.string()).optional(),
  moments: momentsSchema.optional(),
});
export const conflictBody = decisionBody.pick({ ask: true, decision: true });
export const fillBody = z.object({
  entries: z.array(countedSchema.extend({ moneyKey: z.string(), atMs: z.int() })),
  moments: momentsSchema.optional(),
});
export const releaseBody = z.object({
  moneyKey: z.string(),
  reason: z.enum(RELEASE_REASONS),
  note: z.string().optional(),
  authority: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('operator'), statement: z.string() }),
    z.object({ kind: z.literal('report'), sequence: z.int() }),
  ]),
  given: z.array(
    z.object({
      limit: z.string().optional(),
      counter: z.string(),
      mode: modeSchema,
      window: windowSchema,
      amount: z.string(),
    }),
  ),
});

const fateSchema = z.object({
  fate: z.enum(FATES).exclude(['pending']),
  signed: z.boolean(),
  status: z.string(),
  subStatus: z.string().optional(),
  updatedAtMs: z.number(),
  hash: z.object({ txHash: z.string(), atMs: z.number() }).optional(),
});
/** What one report said, and what all together say since. */
export const reportBody = z.object({ moneyKey: z.string(), known: fateSchema });

const counterSchema = z.object({ counter: z.string(), mode: modeSchema, window: windowSchema });
const markedSchema = z.tuple([z.string(), z.int()]);

/** What has to survive the events `from` < n ≤ `to`; see range.ts. */
export const checkpointBody = z.object({
  ledger: z.string(),
  from: z.int(),
  to: z.int(),
  /** When the newest of them was. */
  atMs: z.int(),
  /** The events that the policy and the freezes stand since. */
  versions: z.object({ policy: z.int(), freezes: z.int() }),
  /** The active policy, when its event is covered. */
  policy: z.object({ sequence: z.int(), record: z.record(z.string(), z.unknown()) }).optional(),
  /** All freezes that stand and whose events are covered. */
  freezes: z.array(z.object({ sequence: z.int(), freeze: z.record(z.string(), z.unknown()) })),
  /** What forgotten transactions held in lifetime counters: added to their totals. */
  totals: z.array(counterSchema.extend({ amount: z.string() })),
  /** Members of lifetime counters, and when each was approved last. */
  members: z.array(counterSchema.extend({ members: z.array(markedSchema) })),
  facts: z.array(z.tuple([z.string(), z.string()])),
  /** What is known of transactions that later events are about too, and exactly what they hold; of forgotten ones nothing. */
  transactions: z.array(
    z.object({
      moneyKey: z.string(),
      known: z
        .object({
          core: z.string().optional(),
          approved: z.boolean(),
          rejected: z.boolean(),
          amount: z.string().optional(),
          released: z.int().optional(),
          /** The events about it that are not covered. */
          events: z.string(),
        })
        .optional(),
      held: z.array(counterSchema.extend({ amount: z.string(), atMs: z.int() })),
    }),
  ),
});
export type Checkpoint = z.infer<typeof checkpointBody>;

export type JournalAsk = Readonly<Record<string, string | undefined>>;

export function askOf(ask: AskIdentity): JournalAsk {
  return {
    askKey: ask.askKey,
    fingerprint: ask.fingerprint,
    moneyKey: ask.moneyKey,
    coreFingerprint: ask.coreFingerprint,
    amount: ask.amount,
    requestKey: ask.binding?.requestKey,
    txId: ask.binding?.txId,
  };
}

/** A charge without what only its check needed; the store adds `added` and `total`. */
export function chargeOf(charge: Charge): Readonly<Record<string, unknown>> {
  return { ...chargedOf(charge), ...needOf(charge.need) };
}

/** Where it was charged, without the need, which the store finds out. */
export function chargedOf({ limit, counter, mode, window }: Charge): Readonly<Record<string, unknown>> {
  return { limit, counter, mode, window };
}

/** The body of an event that fills counters. */
export function fillOf(entries: readonly CounterEntry[]): Readonly<Record<string, unknown>> {
  return {
    entries: entries.map(({ counter, window, moneyKey, atMs, need }) => ({
      counter,
      window,
      moneyKey,
      atMs,
      ...needOf(need),
    })),
  };
}

/** The body of an event that releases charges, without what was given back. */
export function releaseOf({ moneyKey, reason, note, authority }: Release): Readonly<Record<string, unknown>> {
  return { moneyKey, reason, note, authority };
}

/** The body of an event that records a report. */
export function reportOf(
  { moneyKey, protocol, txId, source, notification, ...said }: Report,
  known: KnownFate,
  approval: Approval,
): Readonly<Record<string, unknown>> {
  const { fate, status, subStatus, txHash, createdAtMs, updatedAtMs } = said;
  return {
    moneyKey,
    protocol,
    txId,
    source,
    notification,
    said: { fate, status, subStatus, txHash, createdAtMs, updatedAtMs },
    approval,
    known: JSON.parse(fateText(known)),
  };
}

/** One text for one meaning; {@link fateOf} reads it. */
export function fateText({ fate, signed, status, subStatus, updatedAtMs, hash }: KnownFate): string {
  const { txHash, atMs } = hash ?? {};
  return JSON.stringify({
    fate,
    signed,
    status,
    subStatus,
    updatedAtMs,
    hash: hash === undefined ? undefined : { txHash, atMs },
  });
}

/** As report.lua keeps it. */
export function markedFate(known: KnownFate): string {
  return `${known.signed ? '1' : '0'} ${fateText(known)}`;
}

/** LEDGER_CORRUPT when it is no such text. */
export function fateOf(text: string): KnownFate {
  try {
    return knownFate(fateSchema.parse(JSON.parse(text)));
  } catch (cause) {
    throw new CountersignError('LEDGER_CORRUPT', 'the ledger holds a fate that cannot be read', { cause });
  }
}

export function knownFate({ subStatus, hash, ...rest }: z.infer<typeof fateSchema>): KnownFate {
  return {
    ...rest,
    ...(subStatus === undefined ? {} : { subStatus }),
    ...(hash === undefined ? {} : { hash }),
  };
}

function needOf(need: Charge['need']): Readonly<Record<string, unknown>> {
  return need.kind === 'amount' ? { need: need.amount } : { members: need.members };
}

/** The need of a charge or entry as the journal has it. */
export function neededBy({ need, members }: z.infer<typeof countedSchema>): Charge['need'] {
  return need === undefined ? { kind: 'distinct', members: members ?? [] } : { kind: 'amount', amount: need };
}

export function factsOf(facts: readonly LedgerFact[]): Readonly<Record<string, string>> {
  return Object.fromEntries(facts.map((fact) => [fact.key, fact.value]));
}

export function momentsOf(moments: readonly MomentEntry[]): Readonly<Record<string, number>> {
  return Object.fromEntries(moments.map(({ key, sinceMs }) => [key, sinceMs]));
}

/** An event as a store has it: the body is JSON text. */
export interface StoredEvent {
  readonly sequence: number;
  readonly type: string;
  readonly body: string;
}

/** The counters of amounts that a transaction was charged to by these events, each once. */
export function countersOf(
  moneyKey: string,
  events: readonly StoredEvent[],
): readonly Omit<Holding, 'amount'>[] {
  const counters = new Map<string, Omit<Holding, 'amount'>>();
  for (const event of events) {
    for (const counted of countedBy(moneyKey, event)) {
      const { window } = counted;
      const span = window.kind === 'calendar' ? window.startMs : window.kind;
      const name = JSON.stringify([counted.mode, span, counted.counter]);
      if (!counters.has(name)) counters.set(name, counted);
    }
  }
  return [...counters.values()];
}

function countedBy(moneyKey: string, event: StoredEvent): readonly Omit<Holding, 'amount'>[] {
  if (event.type === 'decision') {
    return bodyOf(decisionBody, event)
      .charged.filter(({ need }) => need !== undefined)
      .map(({ limit, counter, mode, window }) => ({ limit, counter, mode, window }));
  }
  if (event.type === 'fill') {
    return bodyOf(fillBody, event)
      .entries.filter((entry) => entry.moneyKey === moneyKey && entry.need !== undefined)
      .map(({ counter, window }) => ({ counter, mode: 'enforce', window }));
  }
  if (event.type === 'checkpoint') return carriedBy(moneyKey, bodyOf(checkpointBody, event));
  return [];
}

/** The counters of a transaction that a checkpoint carries. */
export function carriedBy(
  moneyKey: string,
  { transactions }: Checkpoint,
): readonly Omit<Holding, 'amount'>[] {
  const carried = transactions.filter((transaction) => transaction.moneyKey === moneyKey);
  return carried.flatMap(({ held }) => held.map(({ counter, mode, window }) => ({ counter, mode, window })));
}

/** LEDGER_CORRUPT when it is not what its type says. */
export function bodyOf<T>(schema: z.ZodType<T>, { sequence, body }: StoredEvent): T {
  try {
    return schema.parse(JSON.parse(body));
  } catch (cause) {
    throw new CountersignError(
      'LEDGER_CORRUPT',
      `the ledger holds an event ${sequence} that cannot be read`,
      {
        cause,
      },
    );
  }
}

/** What a release that took place gave back. */
export function givenBy(event: StoredEvent): readonly Holding[] {
  return bodyOf(releaseBody, event).given.map(({ limit, ...holding }) => ({
    ...(limit === undefined ? {} : { limit }),
    ...holding,
  }));
}
