/** Events of the journal as load.lua takes them: what each did to the keys of the ledger when it was recorded. */
import { z } from 'zod';
import type { CounterEntry } from '../../core/ports.js';
import { decisionOf, recordOf } from '../decision-record.js';
import type { LogEvent } from '../witness/ports.js';
import { counterOperands, entryOperands, type Operands } from './commit.js';
import type { Keys } from './keys.js';

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

const askSchema = z.object({
  askKey: z.string(),
  fingerprint: z.string(),
  moneyKey: z.string().optional(),
  coreFingerprint: z.string().optional(),
  amount: z.string().optional(),
  requestKey: z.string().optional(),
  txId: z.string().optional(),
});

const decisionSchema = z.object({
  ask: askSchema,
  decision: z.record(z.string(), z.unknown()),
  charged: z.array(countedSchema.extend({ mode: z.enum(['enforce', 'shadow']) })),
  facts: z.record(z.string(), z.string()).optional(),
});
const conflictSchema = decisionSchema.pick({ ask: true, decision: true });
const fillSchema = z.object({
  entries: z.array(countedSchema.extend({ moneyKey: z.string(), atMs: z.int() })),
});
const namedSchema = z.object({ id: z.string() });

/** Keys of counters, and arguments, of a stretch of the log. LEDGER_CORRUPT when an event cannot be read. */
export function loadOperands(keys: Keys, events: readonly LogEvent[]): Operands {
  const loaded = events.map((event) => eventOperands(keys, event));
  return {
    keys: [
      keys.meta,
      keys.journal,
      keys.asks,
      keys.conflicts,
      keys.transactions,
      keys.bindings,
      keys.facts,
      keys.policy,
      keys.freezes,
      ...loaded.flatMap((each) => each.keys),
    ],
    args: [String(events.length), ...loaded.flatMap((each) => each.args)],
  };
}

/** Of an event as witnesses keep it. */
export function partsOf({ event }: LogEvent): {
  readonly type: string;
  readonly at: string;
  readonly body: string;
} {
  const first = event.indexOf(' ');
  const second = event.indexOf(' ', first + 1);
  return { type: event.slice(0, first), at: event.slice(first + 1, second), body: event.slice(second + 1) };
}

function eventOperands(keys: Keys, logged: LogEvent): Operands {
  const { type, at, body } = partsOf(logged);
  const { keys: counters, args } = effectOperands(keys, { type, body, sequence: logged.sequence });
  return { keys: counters, args: [String(logged.sequence), at, type, body, ...args] };
}

interface Effect {
  readonly type: string;
  readonly body: string;
  readonly sequence: number;
}

const NOTHING: Operands = { keys: [], args: [] };

function effectOperands(keys: Keys, { type, body, sequence }: Effect): Operands {
  const what = `event ${sequence}`;
  switch (type) {
    case 'decision':
      return decisionOperands(keys, recordOf(decisionSchema, body, what));
    case 'conflict': {
      const { ask, decision } = recordOf(conflictSchema, body, what);
      return { keys: [], args: [`${ask.fingerprint} ${ask.askKey}`, JSON.stringify(decision)] };
    }
    case 'fill': {
      const entries = recordOf(fillSchema, body, what).entries.map((entry) =>
        entryOperands(keys, { ...entry, need: needOf(entry) }),
      );
      return {
        keys: entries.flatMap((entry) => entry.keys),
        args: [String(entries.length), ...entries.flatMap((entry) => entry.args)],
      };
    }
    case 'freeze':
    case 'unfreeze':
      return { keys: [], args: [recordOf(namedSchema, body, what).id] };
    default:
      return NOTHING;
  }
}

function decisionOperands(
  keys: Keys,
  { ask, decision, charged, facts = {} }: z.infer<typeof decisionSchema>,
): Operands {
  const record = JSON.stringify(decision);
  const counters = charged.map((charge) =>
    counterOperands(keys.counter(charge), { window: charge.window, need: needOf(charge) }),
  );
  const remembered = Object.entries(facts);
  return {
    keys: counters.flatMap((counter) => counter.keys),
    args: [
      ask.askKey,
      ask.fingerprint,
      decisionOf(record).effect,
      record,
      ask.requestKey ?? '',
      ask.txId ?? '',
      ask.moneyKey ?? '',
      ask.coreFingerprint ?? '-',
      ask.amount ?? '-',
      String(counters.length),
      ...counters.flatMap((counter) => counter.args),
      String(remembered.length),
      ...remembered.flat(),
    ],
  };
}

function needOf({ need, members }: z.infer<typeof countedSchema>): CounterEntry['need'] {
  return need === undefined ? { kind: 'distinct', members: members ?? [] } : { kind: 'amount', amount: need };
}
