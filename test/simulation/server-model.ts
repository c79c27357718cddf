/**
 * The scripts of the server that decides, as far as recoveries and witnesses are concerned: one ledger, one limit that
 * holds for ever. What a ledger holds is nothing but its log, so the model keeps the log alone and looks everything up
 * in it. Nothing compares it with the Lua: whoever changes fence.lua, commit.lua, load.lua or settle.lua changes it too.
 */
import { CountersignError } from '../../src/core/errors.js';
import type { Ballot, LogEvent, LogSummary, PrimarySurvey } from '../../src/ledger/witness/ports.js';
import {
  type Body,
  CONFLICT,
  conflictOf,
  type Entry,
  entryFrom,
  entryOf,
  frozenBy,
  type Question,
  REJECTED_BEFORE,
  standing,
  type Verdict,
  verdictOf,
} from './events.js';
import {
  type Caller,
  type Change,
  type ChangeReply,
  type CommitReply,
  type Dataset,
  type Decided,
  EMPTY,
  type Here,
  type Keys,
  type Meta,
  NO_KEYS,
  type Recorded,
  type Refusal,
  type StateReply,
  type Versions,
} from './replies.js';
import type { Removed } from './rules.js';

/** The scripts, on what a server holds at this moment. */
export class Scripts {
  dataset: Dataset;
  readonly #here: Here;
  readonly #removed: Removed;

  constructor(dataset: Dataset, here: Here, removed: Removed) {
    this.dataset = dataset;
    this.#here = here;
    this.#removed = removed;
  }

  survey(): PrimarySurvey {
    const { identity, epoch, claim, fence, sequence } = this.dataset.meta;
    if (this.#here.role !== 'master') {
      throw new CountersignError('LEDGER_UNAVAILABLE', `the Redis server's role is ${this.#here.role}`);
    }
    const isOpen = fence === this.#here.history || (this.#removed.has('fence') && identity !== undefined);
    return {
      history: this.#here.history,
      ...(identity && { ledger: identity }),
      epoch,
      claim,
      isOpen,
      sequence,
    };
  }

  claim(epoch: number, history: string): boolean {
    const { meta } = this.dataset;
    if (this.#here.role !== 'master' || this.#here.history !== history) return false;
    const isTaken = epoch <= meta.claim || epoch <= meta.epoch;
    if (isTaken && !(this.#removed.has('epochs-are-unique') && epoch === meta.claim)) return false;
    this.#set({ claim: epoch, claimed: history, fence: '' });
    return true;
  }

  load(epoch: number, history: string, events: readonly LogEvent[]): boolean {
    if (!this.#isClaimed(epoch, history)) return false;
    const journal = [...this.#keys(epoch).journal];
    try {
      for (const entry of events.map(entryFrom)) {
        const [sequence, last] = [entry.sequence, journal.at(-1)?.sequence ?? 0];
        if (sequence <= last) {
          // XADD stops the script: it was loaded already.
          throw new CountersignError('LEDGER_UNAVAILABLE', `event ${sequence} after event ${last}`);
        }
        const isSecond = entry.body.type === 'decision' && standing(journal, entry.body.ask) !== undefined;
        journal.push(entry);
        if (isSecond) throw new CountersignError('LEDGER_CORRUPT', 'the log holds two decisions of an ask');
      }
    } finally {
      this.#setKeys(epoch, { journal });
    }
    return true;
  }

  settle({ ledger, epoch }: Ballot, history: string, { sequence, events }: LogSummary): boolean {
    if (!this.#isClaimed(epoch, history)) return false;
    let [policy, freezes] = [0, 0];
    for (const entry of events.map(entryFrom)) {
      if (entry.body.type === 'policy') policy = entry.sequence;
      if (entry.body.type === 'freeze' || entry.body.type === 'unfreeze') freezes = entry.sequence;
    }
    if (this.#removed.has('drop-local')) this.#keepLocal(epoch);
    this.#set({ identity: ledger, epoch, sequence, policy, freezes, fence: history, seen: 0 });
    return true;
  }

  init(identity: string, epoch: number): Recorded {
    this.#set({ ...EMPTY.meta, identity, epoch, fence: this.#here.history });
    return this.#append({ type: 'ledger' });
  }

  commit(
    caller: Caller,
    versions: Versions,
    question: Question & { readonly isFrozen: boolean },
  ): CommitReply {
    const refusal = this.#enter(caller);
    if (refusal !== undefined) return refusal;
    const { meta } = this.dataset;
    if (
      versions.ledger !== meta.identity ||
      versions.epoch !== meta.epoch ||
      versions.policy !== meta.policy ||
      versions.freezes !== meta.freezes
    ) {
      return { code: 'STALE' };
    }
    const { isFrozen, ...asked } = question;
    const { journal } = this.#keys(meta.epoch);
    const contradicted = conflictOf(journal, asked);
    if (contradicted !== undefined && !this.#removed.has('conflict-stands')) {
      return this.#repeated('CONFLICT', contradicted, CONFLICT);
    }
    const known = standing(journal, asked.ask);
    if (known !== undefined) {
      if (known.body.content !== asked.content) return this.#conflict(asked);
      if (known.body.effect === 'approve' && isFrozen) return { code: 'RETRY' };
      return this.#repeated('DECIDED', known, known.body);
    }
    const isRejected = journal.some(
      ({ body }) => body.type === 'decision' && body.money === asked.money && body.effect === 'reject',
    );
    if (isFrozen && !isRejected) return { code: 'RETRY' };
    const verdict = isRejected ? REJECTED_BEFORE : verdictOf(journal, asked);
    const event = this.#append({ type: 'decision', ...asked, ...verdict });
    return { code: 'DECIDED', repeated: false, verdict, sequence: event.sequence, event };
  }

  change(caller: Caller, change: Change): ChangeReply {
    const refusal = this.#enter(caller);
    if (refusal !== undefined) return refusal;
    const { epoch, sequence } = this.dataset.meta;
    if (change.type === 'policy') {
      if (change.expected !== sequence) return { code: 'CHANGED' };
      return this.#done('policy', this.#append({ type: 'policy', version: change.version }));
    }
    const known = frozenBy(this.#keys(epoch).journal).get(change.id);
    if (change.type === 'unfreeze') {
      return known === undefined ? { code: 'UNKNOWN' } : this.#done('freezes', this.#append(change));
    }
    if (known === undefined) return this.#done('freezes', this.#append(change));
    return { code: 'DONE', sequence: known.sequence, event: this.#pending(known) };
  }

  state(caller: Caller): StateReply {
    const refusal = this.#open(caller);
    if (refusal !== undefined) return refusal;
    const { identity = '', epoch, sequence, policy, freezes } = this.dataset.meta;
    const { journal } = this.#keys(epoch);
    const inForce = [policy, freezes, ...[...frozenBy(journal).values()].map((entry) => entry.sequence)];
    const unconfirmed = journal.flatMap((entry) => {
      const event = inForce.includes(entry.sequence) ? this.#pending(entry) : undefined;
      return event === undefined ? [] : [event];
    });
    return {
      code: 'STATE',
      versions: { ledger: identity, epoch, policy, freezes },
      sequence,
      isFrozen: frozenBy(journal).size > 0,
      unconfirmed: this.#removed.has('state-is-witnessed') ? [] : unconfirmed,
    };
  }

  /** The oldest events that are not known to be on enough witnesses. */
  pending(caller: Caller): { readonly code: 'EVENTS'; readonly events: readonly Recorded[] } | Refusal {
    const refusal = this.#open(caller);
    if (refusal !== undefined) return refusal;
    const { journal } = this.#keys(this.dataset.meta.epoch);
    return { code: 'EVENTS', events: journal.flatMap((entry) => this.#pending(entry) ?? []) };
  }

  confirm(caller: Caller, sequences: readonly number[]): { readonly code: 'DONE' } | Refusal {
    const refusal = this.#open(caller);
    if (refusal !== undefined) return refusal;
    const { epoch } = this.dataset.meta;
    const pending = new Set(this.#keys(epoch).pending);
    for (const sequence of sequences) pending.delete(sequence);
    this.#setKeys(epoch, { pending });
    return { code: 'DONE' };
  }

  #open({ epoch }: Caller): Refusal | undefined {
    const { meta } = this.dataset;
    if (meta.identity === undefined) return { code: 'MISSING' };
    return meta.epoch === epoch ? undefined : { code: 'EPOCH', epoch: meta.epoch };
  }

  #enter(caller: Caller): Refusal | undefined {
    const refusal = this.#open(caller);
    if (refusal !== undefined) return refusal;
    if (this.#here.role !== 'master') return { code: 'FENCED', why: 'role' };
    const { identity, sequence, seen } = this.dataset.meta;
    if (caller.identity === identity && caller.seen > sequence && caller.seen > seen) {
      this.#set({ fence: '', seen: caller.seen });
    }
    const { meta } = this.dataset;
    if (this.#removed.has('fence')) return undefined;
    if (meta.seen > sequence) return { code: 'FENCED', why: 'rolled-back' };
    return meta.fence === this.#here.history ? undefined : { code: 'FENCED', why: 'history' };
  }

  #isClaimed(epoch: number, history: string): boolean {
    const { claim, claimed, epoch: settled } = this.dataset.meta;
    if (this.#here.role !== 'master' || this.#here.history !== history) return false;
    return this.#removed.has('claim') || (claim === epoch && claimed === history && settled < epoch);
  }

  #conflict(asked: Question): Decided {
    const known = conflictOf(this.#keys(this.dataset.meta.epoch).journal, asked);
    if (known !== undefined) return this.#repeated('CONFLICT', known, CONFLICT);
    const recorded = this.#append({ type: 'conflict', ...asked, ...CONFLICT });
    const event = this.#removed.has('conflict-is-witnessed') ? undefined : recorded;
    return { code: 'CONFLICT', repeated: false, verdict: CONFLICT, sequence: recorded.sequence, event };
  }

  #repeated(code: Decided['code'], entry: Entry, { effect, reason }: Verdict): Decided {
    const isUnneeded =
      this.#removed.has('repeat-is-witnessed') ||
      (code === 'CONFLICT' && this.#removed.has('conflict-is-witnessed'));
    const event = isUnneeded ? undefined : this.#pending(entry);
    return { code, repeated: true, verdict: { effect, reason }, sequence: entry.sequence, event };
  }

  #done(version: 'policy' | 'freezes', event: Recorded): ChangeReply {
    this.#set({ [version]: event.sequence });
    return { code: 'DONE', sequence: event.sequence, event };
  }

  #append(body: Body): Recorded {
    const { identity = '', epoch, sequence } = this.dataset.meta;
    const entry = entryOf(sequence + 1, this.#here.now, body);
    const { journal, pending } = this.#keys(epoch);
    this.#set({ sequence: entry.sequence });
    this.#setKeys(epoch, { journal: [...journal, entry], pending: new Set([...pending, entry.sequence]) });
    return { ledger: identity, sequence: entry.sequence, event: entry.event };
  }

  #pending({ sequence, event }: Entry): Recorded | undefined {
    const { identity = '', epoch } = this.dataset.meta;
    return this.#keys(epoch).pending.has(sequence) ? { ledger: identity, sequence, event } : undefined;
  }

  /** For the mutant that keeps what only the old keys hold. */
  #keepLocal(epoch: number): void {
    const merged = new Map(
      this.#keys(this.dataset.meta.epoch).journal.map((entry) => [entry.sequence, entry]),
    );
    for (const entry of this.#keys(epoch).journal) merged.set(entry.sequence, entry);
    const journal = [...merged.values()].sort((one, other) => one.sequence - other.sequence);
    this.#setKeys(epoch, { journal });
  }

  #keys(epoch: number): Keys {
    return this.dataset.keys.get(epoch) ?? NO_KEYS;
  }

  #set(changed: Partial<Meta>): void {
    this.dataset = { ...this.dataset, meta: { ...this.dataset.meta, ...changed } };
  }

  #setKeys(epoch: number, changed: Partial<Keys>): void {
    const keys = new Map(this.dataset.keys).set(epoch, { ...this.#keys(epoch), ...changed });
    this.dataset = { ...this.dataset, keys };
  }
}
