/** Events of the journal as load.lua takes them: what each did to the keys of the ledger when it was recorded. */
import { z } from 'zod';
import { decisionOf } from '../decision-record.js';
import {
  bodyOf,
  conflictBody,
  decisionBody,
  fillBody,
  neededBy,
  releaseBody,
  type StoredEvent,
} from '../journal-body.js';
import type { LogEvent } from '../witness/ports.js';
import { counterOperands, entryOperands, holdingOperands, listOperands, type Operands } from './commit.js';
import type { Keys } from './keys.js';

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

const namedBody = z.object({ id: z.string() });

const NOTHING: Operands = { keys: [], args: [] };

function effectOperands(keys: Keys, event: StoredEvent): Operands {
  switch (event.type) {
    case 'decision':
      return decisionOperands(keys, bodyOf(decisionBody, event));
    case 'conflict': {
      const { ask, decision } = bodyOf(conflictBody, event);
      return { keys: [], args: [`${ask.fingerprint} ${ask.askKey}`, JSON.stringify(decision)] };
    }
    case 'fill':
      return listOperands(
        bodyOf(fillBody, event).entries.map((entry) =>
          entryOperands(keys, { ...entry, need: neededBy(entry) }),
        ),
      );
    case 'release': {
      const { moneyKey, given } = bodyOf(releaseBody, event);
      const counters = listOperands(given.map((holding) => holdingOperands(keys, holding)));
      return { keys: counters.keys, args: [moneyKey, ...counters.args] };
    }
    case 'freeze':
    case 'unfreeze':
      return { keys: [], args: [bodyOf(namedBody, event).id] };
    default:
      return NOTHING;
  }
}

function decisionOperands(
  keys: Keys,
  { ask, decision, charged, facts = {} }: z.infer<typeof decisionBody>,
): Operands {
  const record = JSON.stringify(decision);
  const counters = listOperands(
    charged.map((charge) =>
      counterOperands(keys.counter(charge), { window: charge.window, need: neededBy(charge) }),
    ),
  );
  const remembered = Object.entries(facts);
  return {
    keys: counters.keys,
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
      ...counters.args,
      String(remembered.length),
      ...remembered.flat(),
    ],
  };
}
