/**
 * A witness, as witness.lua and the scripts beside it are. test/contract/witness-model.contract.test.ts drives this
 * and a real one with the same calls and compares every reply and everything that is kept.
 */
import { CountersignError } from '../../src/core/errors.js';
import type { Ballot, LogPage, StagedPage, WitnessSurvey } from '../../src/ledger/witness/ports.js';
import type { TrimmingWitness } from '../../src/ledger/witness/trimming.js';
import { entryFrom } from './events.js';
import type { Node } from './network.js';
import type { Removed } from './rules.js';

interface Kept {
  readonly tag: number;
  readonly event: string;
}

interface Disk {
  name: string | undefined;
  ledger: string | undefined;
  promised: number;
  base: number;
  appended: number;
  staging: number;
  trimmed: number;
  log: Map<number, Kept>;
  staged: Map<number, Kept>;
}

type Covered = Parameters<TrimmingWitness['trim']>[1];

/** Why a step is refused. */
type Refusal = 'BLANK' | 'PROMISED';

export class WitnessModel implements Node {
  isDown = false;
  isStalled = false;
  disk = emptyDisk();

  readonly name: string;
  readonly #removed: Removed;

  constructor(name: string, removed: Removed) {
    this.name = name;
    this.#removed = removed;
  }

  loseDisk(): void {
    this.disk = emptyDisk();
  }

  /** Another one that holds the same. */
  copy(removed: Removed): WitnessModel {
    const copy = new WitnessModel(this.name, removed);
    const { log, staged, ...meta } = this.disk;
    copy.disk = { ...meta, log: new Map(log), staged: new Map(staged) };
    return copy;
  }

  get isBlank(): boolean {
    return this.disk.ledger === undefined;
  }

  /** @param name for its disk, if it has none */
  survey(name: string): WitnessSurvey {
    const { ledger, promised, base, log } = this.disk;
    this.disk.name ??= name;
    const disk = this.disk.name;
    if (ledger === undefined) return { kind: 'blank', disk };
    return { kind: 'member', disk, ledger, promised, base, events: log.size };
  }

  append(ballot: Ballot, sequence: number, event: string): 'kept' | 'promised' | 'blank' {
    const { disk } = this;
    const refusal = this.#refuseEvent(ballot);
    if (refusal !== undefined) return refusal === 'BLANK' ? 'blank' : 'promised';
    if (ballot.epoch > disk.appended) {
      Object.assign(disk, { promised: Math.max(ballot.epoch, disk.promised), appended: ballot.epoch });
    }
    disk.log.set(sequence, { tag: ballot.epoch, event });
    return 'kept';
  }

  seal(ballot: Ballot): boolean {
    const { disk } = this;
    if (this.isBlank && this.#removed.has('blank-has-no-vote')) {
      disk.promised = ballot.epoch;
      return true;
    }
    if (this.#refuseEvent(ballot) !== undefined) return false;
    if (ballot.epoch === disk.promised && !this.#removed.has('epochs-are-unique')) return false;
    if (!this.#removed.has('seal')) disk.promised = ballot.epoch;
    return true;
  }

  /** In one page or several, as the cursor says: HSCAN too makes its own choice. */
  read(ballot: Ballot, cursor: string | undefined): LogPage | undefined {
    if (this.isBlank && !this.#removed.has('blank-has-no-vote')) return undefined;
    if (!this.#removed.has('read-after-seal') && this.#refuseStep(ballot) !== undefined) return undefined;
    const events = [...this.disk.log].map(([sequence, kept]) => ({ sequence, ...kept }));
    const start = Number(cursor ?? '0');
    const end = start + PAGE_EVENTS;
    return { events: events.slice(start, end), ...(end < events.length ? { next: String(end) } : {}) };
  }

  stage(ballot: Ballot, { disk: surveyed, isFirst, events, held }: StagedPage): boolean {
    const { disk } = this;
    if (this.#refusesInstallation(surveyed, ballot)) return false;
    if (isFirst) {
      if (disk.staging > ballot.epoch) return false;
      disk.staged.clear();
      disk.staging = ballot.epoch;
    } else if (disk.staging !== ballot.epoch) return false;
    for (const { sequence, event } of events) {
      const own = disk.log.get(sequence)?.event;
      // As a script that stops: what was put aside before stays, and the reply is an error.
      if (held.has(sequence) && own === undefined) throw new CountersignError('LEDGER_CORRUPT', 'not held');
      disk.staged.set(sequence, { tag: ballot.epoch, event: held.has(sequence) ? (own ?? '') : event });
    }
    return true;
  }

  install(ballot: Ballot, { disk: surveyed, count }: { disk: string; count: number }): boolean {
    const { disk } = this;
    if (this.#refusesInstallation(surveyed, ballot)) return false;
    if (count === 0) Object.assign(disk, { log: new Map(), staged: new Map() });
    else {
      if (disk.staging !== ballot.epoch || disk.staged.size !== count) return false;
      disk.log = disk.staged;
      disk.staged = new Map();
    }
    Object.assign(disk, { staging: 0, ledger: ballot.ledger, promised: ballot.epoch, base: ballot.epoch });
    return true;
  }

  trim(ballot: Ballot, { checkpoint, to, most }: Covered): number | undefined {
    const { disk } = this;
    if (this.#refuseEvent(ballot) !== undefined) return undefined;
    if (!this.#holds(checkpoint, to) && !this.#removed.has('trim-needs-checkpoint')) return undefined;
    const last = Math.min(to, disk.trimmed + most);
    for (let sequence = disk.trimmed + 1; sequence <= last; sequence += 1) disk.log.delete(sequence);
    disk.trimmed = Math.max(last, disk.trimmed);
    return disk.trimmed;
  }

  #holds(checkpoint: number, to: number): boolean {
    const event = this.disk.log.get(checkpoint)?.event;
    if (event === undefined) return false;
    const { body } = entryFrom({ sequence: checkpoint, event });
    return body.type === 'checkpoint' && body.to === to;
  }

  #refuseEvent({ ledger, epoch }: Ballot): Refusal | undefined {
    if (this.isBlank) return 'BLANK';
    this.#sameLedger(ledger);
    return epoch < this.disk.promised && !this.#removed.has('promise') ? 'PROMISED' : undefined;
  }

  #refuseStep({ ledger, epoch }: Ballot): Refusal | undefined {
    if (this.isBlank) return undefined;
    this.#sameLedger(ledger);
    return epoch !== this.disk.promised && !this.#removed.has('seal') ? 'PROMISED' : undefined;
  }

  #refusesInstallation(surveyed: string, ballot: Ballot): boolean {
    const { name, base, appended } = this.disk;
    if (name !== surveyed && !this.#removed.has('same-witness')) return true;
    if (this.#refuseStep(ballot) !== undefined) return true;
    return [base, appended].includes(ballot.epoch) && !this.#removed.has('no-install-once-begun');
  }

  #sameLedger(ledger: string): void {
    if (this.disk.ledger === ledger) return;
    throw new CountersignError('LEDGER_CORRUPT', `a witness keeps ledger ${this.disk.ledger}`);
  }
}

/** Few, so that logs of a schedule have several pages. */
const PAGE_EVENTS = 8;

function emptyDisk(): Disk {
  return {
    name: undefined,
    ledger: undefined,
    promised: 0,
    base: 0,
    appended: 0,
    staging: 0,
    trimmed: 0,
    log: new Map(),
    staged: new Map(),
  };
}
