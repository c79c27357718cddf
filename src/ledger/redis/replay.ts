/** Events of the journal as load.lua takes them: what each did to the keys of the ledger when it was recorded. */
import { z } from 'zod';
import { decisionOf } from '../decision-record.js';
import {
  bodyOf,
  type Checkpoint,
  checkpointBody,
  conflictBody,
  decisionBody,
  fillBody,
  knownFate,
  markedFate,
  neededBy,
  releaseBody,
  reportBody,
  type StoredEvent,
} from '../journal-body.js';
import { partsOf } from '../witness/log.js';
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
      keys.moments,
      keys.policy,
      keys.freezes,
      keys.fates,
      ...loaded.flatMap((each) => each.keys),
    ],
    args: [String(events.length), ...loaded.flatMap((each) => each.args)],
  };
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
    case 'fill': {
      const { entries, moments } = bodyOf(fillBody, event);
      const filled = listOperands(
        entries.map((entry) => entryOperands(keys, { ...entry, need: neededBy(entry) })),
      );
      return { keys: filled.keys, args: [...filled.args, ...momentArguments(moments)] };
    }
    case 'release': {
      const { moneyKey, given } = bodyOf(releaseBody, event);
      const counters = listOperands(given.map((holding) => holdingOperands(keys, holding)));
      return { keys: counters.keys, args: [moneyKey, ...counters.args] };
    }
    case 'report': {
      const { moneyKey, known } = bodyOf(reportBody, event);
      return { keys: [], args: [moneyKey, markedFate(knownFate(known))] };
    }
    case 'checkpoint':
      return checkpointOperands(keys, event.sequence, bodyOf(checkpointBody, event));
    case 'freeze':
    case 'unfreeze':
      return { keys: [], args: [bodyOf(namedBody, event).id] };
    default:
      return NOTHING;
  }
}

function decisionOperands(
  keys: Keys,
  { ask, decision, charged, facts = {}, moments }: z.infer<typeof decisionBody>,
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
      ...momentArguments(moments),
    ],
  };
}

function momentArguments(moments: Readonly<Record<string, number>> = {}): readonly string[] {
  const entries = Object.entries(moments);
  return [String(entries.length), ...entries.flatMap(([key, sinceMs]) => [key, String(sinceMs)])];
}

function checkpointOperands(
  keys: Keys,
  sequence: number,
  { policy, freezes, totals, members, facts, transactions }: Checkpoint,
): Operands {
  const standing = freezes.map(({ sequence: since, freeze }) => [
    namedBody.parse(freeze).id,
    `${since} ${JSON.stringify(freeze)}`,
  ]);
  const sums = totals.map((total) => ({ keys: [keys.counter(total).held], args: [total.amount] }));
  const sets = members.map((each) => ({
    keys: [keys.counter(each).members],
    args: [String(each.members.length), ...each.members.flatMap(([name, atMs]) => [name, String(atMs)])],
  }));
  const carried = transactions.map(({ moneyKey, known, held }) => {
    const holdings = listOperands(
      held.map((holding) => {
        const counter = holdingOperands(keys, holding);
        return { ...counter, args: [...counter.args, holding.amount, String(holding.atMs)] };
      }),
    );
    const about = known === undefined ? '' : transactionText(known, sequence);
    return { keys: holdings.keys, args: [moneyKey, about, ...holdings.args] };
  });
  const parts = [
    listOperands(standing.map((args) => ({ keys: [], args }))),
    listOperands(sums),
    listOperands(sets),
    listOperands(facts.map((args) => ({ keys: [], args }))),
    listOperands(carried),
  ];
  return {
    keys: parts.flatMap((part) => part.keys),
    args: [policy === undefined ? '' : JSON.stringify(policy.record), ...parts.flatMap((part) => part.args)],
  };
}

/** The record of a transaction that a checkpoint carries; see transactions.lua. */
function transactionText(
  {
    core,
    approved,
    rejected,
    amount,
    released,
    events,
  }: NonNullable<Checkpoint['transactions'][number]['known']>,
  checkpoint: number,
): string {
  return [
    core ?? '-',
    approved ? 'approved' : '-',
    rejected ? 'rejected' : '-',
    amount ?? '-',
    released ?? '-',
    checkpoint,
    events,
  ].join(' ');
}
