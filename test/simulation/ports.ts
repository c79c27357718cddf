/** The models behind the product's ports: how a call travels is the caller's choice. Calls have names for the trace. */
import type { LogEvent, RecoveryWitness } from '../../src/ledger/witness/ports.js';
import type { AppendingWitness } from '../../src/ledger/witness/quorum.js';
import type { SalvagePrimary } from '../../src/ledger/witness/salvage.js';
import type { TrimmingWitness } from '../../src/ledger/witness/trimming.js';
import type { Scripts } from './janitor-model.js';
import { PAGE_EVENTS } from './server-model.js';
import type { WitnessModel } from './witness-model.js';

export type Travel = <T>(what: string, run: () => T) => Promise<T>;

export type Run = <T>(what: string, script: (scripts: Scripts) => T) => Promise<T>;

/** @param run runs a script on the server that is meant at that moment */
export function primaryPort(run: Run): SalvagePrimary {
  return {
    survey: () => run('survey', (scripts) => scripts.survey()),
    claim: (epoch, history) => run(`claim ${epoch}`, (scripts) => scripts.claim(epoch, history)),
    load: (epoch, history, events) =>
      run(`load ${events.length} in ${epoch}`, (scripts) => scripts.load(epoch, history, events)),
    settle: (ballot, history, summary) =>
      run(`settle ${ballot.epoch}`, (scripts) => scripts.settle(ballot, history, summary)),
    async journal(epoch) {
      const events: LogEvent[] = [];
      for (;;) {
        const after = events.at(-1)?.sequence ?? 0;
        const page = await run(`events after ${after}`, (scripts) => scripts.events(epoch, after));
        events.push(...page.events);
        if (page.events.length < PAGE_EVENTS) return { events, seen: page.seen };
      }
    },
    now: () => run('time', (scripts) => scripts.now),
  };
}

type Port = RecoveryWitness & AppendingWitness & TrimmingWitness;

export function witnessPort(witness: WitnessModel, travel: Travel): Port {
  return {
    survey: () => travel('survey', () => witness.survey(newName())),
    append: (ballot, sequence, event) =>
      travel(`append ${sequence} in ${ballot.epoch}`, () => witness.append(ballot, sequence, event)),
    seal: (ballot) => travel(`seal ${ballot.epoch}`, () => witness.seal(ballot)),
    read: (ballot, cursor) => travel(`read in ${ballot.epoch}`, () => witness.read(ballot, cursor)),
    stage: (ballot, page) =>
      travel(`stage ${page.events.length} in ${ballot.epoch}`, () => witness.stage(ballot, page)),
    install: (ballot, installed) =>
      travel(`install ${installed.count} in ${ballot.epoch}`, () => witness.install(ballot, installed)),
    trim: (ballot, covered) =>
      travel(`trim ${covered.to} in ${ballot.epoch}`, () => witness.trim(ballot, covered)),
  };
}

let names = 0;

/** Never the same twice. */
function newName(): string {
  names += 1;
  return `disk-${names}`;
}
