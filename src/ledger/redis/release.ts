/** What is known of a transaction, and taking back what it holds. */
import { MAX_CHARGES } from '../../core/decision.js';
import { CountersignError } from '../../core/errors.js';
import type { Holding, KnownTransaction, Release, Released } from '../../core/release.js';
import { countersOf, givenBy, releaseOf, type StoredEvent } from '../journal-body.js';
import { checkKnown, checkRelease, maybeSigned } from '../proposal.js';
import { holdingOperands } from './commit.js';
import { type Guard, unconfirmedOf } from './fence.js';
import { SCRIPTS } from './scripts.js';
import type { Session } from './session.js';

/** Decisions about the transaction that come while its release is prepared. */
const ATTEMPTS = 10;

/** A transaction as the store has it; see transactions.lua. */
interface Known {
  readonly record: string;
  readonly approved: boolean;
  readonly rejected: boolean;
  readonly released: string;
  /** Events that are about it are not named any more. */
  readonly isCut: boolean;
  readonly events: readonly StoredEvent[];
}

export async function transaction(
  session: Session,
  guard: Guard,
  moneyKey: string,
): Promise<KnownTransaction | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const known = await read(session, guard, moneyKey);
    if (known === undefined) return undefined;
    const { approved, rejected } = known;
    if (known.released !== '-') return { approved, rejected, released: Number(known.released), holdings: [] };
    const looked = await giveBack(session, { known, moneyKey, body: undefined });
    if (looked !== undefined) return { approved, rejected, holdings: looked.given };
  }
  throw busy(moneyKey);
}

export async function release(session: Session, guard: Guard, request: Release): Promise<Released> {
  checkRelease(request);
  const { moneyKey } = request;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const known = await read(session, guard, moneyKey);
    checkKnown(moneyKey, known);
    if (known.released !== '-') {
      const event = known.events.find(({ sequence }) => sequence === Number(known.released));
      const given = event === undefined ? [] : givenBy(event);
      return { sequence: Number(known.released), repeated: true, given };
    }
    const body = JSON.stringify(releaseOf(request));
    const done = await giveBack(session, { known, moneyKey, body });
    if (done === undefined) continue;
    const { epoch, sequence, event, given } = done;
    if (event !== '') await guard.confirm([{ epoch, sequence, event }]);
    session.saw({ epoch, sequence });
    return { sequence, repeated: false, given };
  }
  throw busy(moneyKey);
}

/**
 * Reading asks no fence, and a server that was promoted may know nothing of what a recovery brings back: so what it says that
 * is not known is believed only when the fence stands open in the same epoch.
 */
async function read(session: Session, guard: Guard, moneyKey: string): Promise<Known | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const { epoch } = session;
    const known = await recordOf(session, guard, moneyKey);
    if (known !== undefined) return known;
    await giveBack(session, { known: NOTHING_KNOWN, moneyKey, body: undefined });
    if (session.epoch === epoch) return undefined;
  }
  throw busy(moneyKey);
}

async function recordOf(session: Session, guard: Guard, moneyKey: string): Promise<Known | undefined> {
  const { code, fields, epoch } = await session.read(SCRIPTS.transaction, (keys) => ({
    keys: [keys.meta, keys.journal, keys.pending, keys.transactions],
    args: [moneyKey],
  }));
  if (code === 'NONE') return undefined;
  const [record = '', unconfirmed = '', ...rest] = fields;
  const [, approved, rejected, , released = '-', , numbers = ''] = record.split(' ');
  // Nobody is told that charges were released while that could still be forgotten.
  if (unconfirmed !== '') await guard.confirm(unconfirmedOf(epoch, [released, unconfirmed]));
  const events: StoredEvent[] = [];
  for (let index = 0; index < rest.length; index += 4) {
    const [sequence, , type = '', body = ''] = rest.slice(index, index + 4);
    events.push({ sequence: Number(sequence), type, body });
  }
  return {
    record,
    approved: approved !== '-',
    rejected: rejected !== '-',
    released,
    isCut: numbers.startsWith('+'),
    events,
  };
}

const NOTHING_KNOWN = { record: '', events: [] };

interface GivingBack {
  readonly known: Pick<Known, 'record' | 'events'>;
  readonly moneyKey: string;
  /** Undefined: only look. */
  readonly body: string | undefined;
}

interface GivenBack {
  readonly epoch: number;
  readonly sequence: number;
  readonly event: string;
  readonly given: readonly Holding[];
}

/** Undefined: something was decided about the transaction meanwhile. */
async function giveBack(
  session: Session,
  { known, moneyKey, body }: GivingBack,
): Promise<GivenBack | undefined> {
  const counters = countersOf(moneyKey, known.events);
  if (counters.length > MAX_CHARGES) {
    throw new CountersignError(
      'RELEASE_REFUSED',
      `${moneyKey} was charged to ${counters.length} counters: more than one step can give back`,
    );
  }
  const { code, fields, epoch } = await session.write(SCRIPTS.release, (keys) => {
    const operands = counters.map((counter) => holdingOperands(keys, counter));
    return {
      keys: [
        keys.meta,
        keys.journal,
        keys.pending,
        keys.transactions,
        keys.fates,
        ...operands.flatMap((each) => each.keys),
      ],
      args: [
        body === undefined ? '1' : '0',
        moneyKey,
        known.record,
        body === undefined ? '' : `${body.slice(0, -1)},"given":[`,
        String(counters.length),
        ...counters.flatMap((counter, index) => [
          ...(operands[index]?.args ?? []),
          JSON.stringify(counter).slice(0, -1),
        ]),
      ],
    };
  });
  if (code === 'CHANGED') return undefined;
  if (code === 'SIGNED') throw maybeSigned(moneyKey);
  const [sequence, event = '', ...amounts] = fields;
  const given = counters.map((counter, index) => ({ ...counter, amount: amounts[index] ?? '' }));
  return { epoch, sequence: Number(sequence), event, given };
}

function busy(moneyKey: string): CountersignError {
  return new CountersignError(
    'CONCURRENT_CHANGE',
    `decisions about ${moneyKey} came faster than it could be looked at`,
  );
}
