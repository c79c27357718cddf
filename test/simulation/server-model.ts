/**
 * The scripts of the server that decides, as far as recoveries and witnesses are concerned. What a ledger holds is nothing
 * but its log, so the model keeps the log alone. Those that decide, release and forget are in ledger-model.ts;
 * test/contract/server-model.contract.test.ts asks both and a real ledger the same.
 */
import { CountersignError } from '../../src/core/errors.js';
import type { Ballot, LogEvent, LogSummary, PrimarySurvey } from '../../src/ledger/witness/ports.js';
import { type Body, type Entry, entryFrom, entryOf } from './events.js';
import { LedgerState } from './ledger-state.js';
import {
  type Caller,
  type Dataset,
  EMPTY,
  type Here,
  type Keys,
  type Meta,
  NO_KEYS,
  type Recorded,
  type Refusal,
} from './replies.js';
import type { Removed } from './rules.js';

/** Few, so that journals of a schedule have several pages. */
export const PAGE_EVENTS = 8;

/** The scripts of recoveries and witnesses, on what a server holds at this moment. */
export class ServerScripts {
  dataset: Dataset;
  protected readonly here: Here;
  protected readonly removed: Removed;

  constructor(dataset: Dataset, here: Here, removed: Removed) {
    this.dataset = dataset;
    this.here = here;
    this.removed = removed;
  }

  get now(): number {
    return this.here.now;
  }

  survey(): PrimarySurvey {
    const { identity, epoch, claim, fence, sequence } = this.dataset.meta;
    if (this.here.role !== 'master') {
      throw new CountersignError('LEDGER_UNAVAILABLE', `the Redis server's role is ${this.here.role}`);
    }
    const isOpen = fence === this.here.history || (this.removed.has('fence') && identity !== undefined);
    return {
      history: this.here.history,
      ...(identity && { ledger: identity }),
      epoch,
      claim,
      isOpen,
      sequence,
    };
  }

  claim(epoch: number, history: string): boolean {
    const { meta } = this.dataset;
    if (this.here.role !== 'master' || this.here.history !== history) return false;
    const isTaken = epoch <= meta.claim || epoch <= meta.epoch;
    if (isTaken && !(this.removed.has('epochs-are-unique') && epoch === meta.claim)) return false;
    this.set({ claim: epoch, claimed: history, fence: '' });
    return true;
  }

  load(epoch: number, history: string, events: readonly LogEvent[]): boolean {
    if (!this.#isClaimed(epoch, history)) return false;
    const journal = [...this.keys(epoch).journal];
    try {
      for (const entry of events.map(entryFrom)) {
        const [sequence, last] = [entry.sequence, journal.at(-1)?.sequence ?? 0];
        if (sequence <= last) {
          // XADD stops the script: it was loaded already.
          throw new CountersignError('LEDGER_UNAVAILABLE', `event ${sequence} after event ${last}`);
        }
        const { body } = entry;
        const isSecond =
          body.type === 'decision' &&
          journal.some((other) => other.body.type === 'decision' && other.body.ask === body.ask);
        journal.push(entry);
        if (isSecond) throw new CountersignError('LEDGER_CORRUPT', 'the log holds two decisions of an ask');
      }
    } finally {
      this.setKeys(epoch, { journal });
    }
    return true;
  }

  settle({ ledger, epoch }: Ballot, history: string, { sequence, events }: LogSummary): boolean {
    if (!this.#isClaimed(epoch, history)) return false;
    let [policy, freezes, checkpoint, covered] = [0, 0, 0, 0];
    for (const entry of events.map(entryFrom)) {
      const { body } = entry;
      if (body.type === 'policy') policy = entry.sequence;
      if (body.type === 'freeze' || body.type === 'unfreeze') freezes = entry.sequence;
      if (body.type === 'checkpoint') {
        policy = Math.max(policy, body.versions.policy);
        freezes = Math.max(freezes, body.versions.freezes);
        [checkpoint, covered] = [entry.sequence, body.to];
      }
    }
    if (this.removed.has('drop-local')) this.#keepLocal(epoch);
    const versions = { sequence, policy, freezes, checkpoint, covered, trimmed: covered };
    this.set({ identity: ledger, epoch, ...versions, fence: history, seen: 0 });
    return true;
  }

  /** A part of the journal of an epoch, and what replicas are known to have seen; the rest is left to what comes after. */
  events(epoch: number, after: number): { readonly events: readonly LogEvent[]; readonly seen: number } {
    const { meta } = this.dataset;
    if (meta.identity === undefined || meta.epoch !== epoch) {
      throw new CountersignError('LEDGER_UNAVAILABLE', `the Redis server is in epoch ${meta.epoch}`);
    }
    const rest = this.keys(epoch).journal.filter(({ sequence }) => sequence > after);
    return { events: rest.slice(0, PAGE_EVENTS), seen: meta.seen };
  }

  init(identity: string, epoch: number): Recorded {
    this.set({ ...EMPTY.meta, identity, epoch, fence: this.here.history });
    return this.append({ type: 'ledger' });
  }

  /** The oldest events that are not known to be on enough witnesses. */
  pending(caller: Caller): { readonly code: 'EVENTS'; readonly events: readonly Recorded[] } | Refusal {
    const refusal = this.open(caller);
    if (refusal !== undefined) return refusal;
    const { journal } = this.keys(this.dataset.meta.epoch);
    return { code: 'EVENTS', events: journal.flatMap((entry) => this.pendingOf(entry) ?? []) };
  }

  confirm(caller: Caller, sequences: readonly number[]): { readonly code: 'DONE' } | Refusal {
    const refusal = this.open(caller);
    if (refusal !== undefined) return refusal;
    const { epoch } = this.dataset.meta;
    const pending = new Set(this.keys(epoch).pending);
    for (const sequence of sequences) pending.delete(sequence);
    this.setKeys(epoch, { pending });
    return { code: 'DONE' };
  }

  protected open({ epoch }: Caller): Refusal | undefined {
    const { meta } = this.dataset;
    if (meta.identity === undefined) return { code: 'MISSING' };
    return meta.epoch === epoch ? undefined : { code: 'EPOCH', epoch: meta.epoch };
  }

  protected enter(caller: Caller): Refusal | undefined {
    const refusal = this.open(caller);
    if (refusal !== undefined) return refusal;
    if (this.here.role !== 'master') return { code: 'FENCED', why: 'role' };
    const { identity, sequence, seen } = this.dataset.meta;
    if (caller.identity === identity && caller.seen > sequence && caller.seen > seen) {
      this.set({ fence: '', seen: caller.seen });
    }
    const { meta } = this.dataset;
    if (this.removed.has('fence')) return undefined;
    if (meta.seen > sequence) return { code: 'FENCED', why: 'rolled-back' };
    return meta.fence === this.here.history ? undefined : { code: 'FENCED', why: 'history' };
  }

  #isClaimed(epoch: number, history: string): boolean {
    const { claim, claimed, epoch: settled } = this.dataset.meta;
    if (this.here.role !== 'master' || this.here.history !== history) return false;
    return this.removed.has('claim') || (claim === epoch && claimed === history && settled < epoch);
  }

  protected append(body: Body): Recorded {
    const { identity = '', epoch, sequence } = this.dataset.meta;
    const entry = entryOf(sequence + 1, this.here.now, body);
    const { journal, pending } = this.keys(epoch);
    this.set({ sequence: entry.sequence });
    this.setKeys(epoch, { journal: [...journal, entry], pending: new Set([...pending, entry.sequence]) });
    return { ledger: identity, sequence: entry.sequence, event: entry.event };
  }

  /** The journal of the ledger, and what it comes to. */
  protected look(): { readonly journal: readonly Entry[]; readonly state: LedgerState } {
    const { epoch, trimmed } = this.dataset.meta;
    const { journal } = this.keys(epoch);
    return { journal, state: new LedgerState(journal, trimmed) };
  }

  /** Of the event of this number; undefined when it is on enough witnesses, or gone. */
  protected unconfirmed(sequence: number): Recorded | undefined {
    const entry = this.keys(this.dataset.meta.epoch).journal.find((each) => each.sequence === sequence);
    return entry === undefined ? undefined : this.pendingOf(entry);
  }

  protected pendingOf({ sequence, event }: Entry): Recorded | undefined {
    const { identity = '', epoch } = this.dataset.meta;
    return this.keys(epoch).pending.has(sequence) ? { ledger: identity, sequence, event } : undefined;
  }

  /** For the mutant that keeps what only the old keys hold. */
  #keepLocal(epoch: number): void {
    const merged = new Map(
      this.keys(this.dataset.meta.epoch).journal.map((entry) => [entry.sequence, entry]),
    );
    for (const entry of this.keys(epoch).journal) merged.set(entry.sequence, entry);
    const journal = [...merged.values()].sort((one, other) => one.sequence - other.sequence);
    this.setKeys(epoch, { journal });
  }

  protected keys(epoch: number): Keys {
    return this.dataset.keys.get(epoch) ?? NO_KEYS;
  }

  protected set(changed: Partial<Meta>): void {
    this.dataset = { ...this.dataset, meta: { ...this.dataset.meta, ...changed } };
  }

  protected setKeys(epoch: number, changed: Partial<Keys>): void {
    const keys = new Map(this.dataset.keys).set(epoch, { ...this.keys(epoch), ...changed });
    this.dataset = { ...this.dataset, keys };
  }
}
