/**
 * The modelled server and witnesses of the simulation, and a ledger on real ones: both are asked, told, frozen, made to
 * forget and recovered in the same random order, and every answer and every total is compared.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mergeFate } from '../../src/core/report.js';
import { type Checkpoint, checkpointBody, fateText } from '../../src/ledger/journal-body.js';
import { recover } from '../../src/ledger/witness/recovery.js';
import { trimWitnesses } from '../../src/ledger/witness/trimming.js';
import { Chance } from '../simulation/chance.js';
import {
  COOLING_STEPS,
  entryFrom,
  LIMIT,
  MOST_DESTINATIONS,
  type Question,
  questions,
  reportsOf,
} from '../simulation/events.js';
import type { Scripts } from '../simulation/janitor-model.js';
import { LedgerState } from '../simulation/ledger-state.js';
import { primaryPort, witnessPort } from '../simulation/ports.js';
import type { Caller, Recorded } from '../simulation/replies.js';
import { ALL_RULES } from '../simulation/rules.js';
import { Servers } from '../simulation/servers.js';
import { WitnessModel } from '../simulation/witness-model.js';
import { eventually } from '../support/eventually.js';
import { age, orderOf } from '../support/forgetting.js';
import { FREEZE, RELEASE } from '../support/generations.js';
import {
  activate,
  type Bench,
  bench,
  PATIENT,
  type WitnessedStore,
  witnessedStore,
} from '../support/ledger-bench.js';
import { APPROVE, charge, LIFETIME, proposal, RETRY } from '../support/proposals.js';

const SEEDS = [1, 2, 3, 4, 5, 6];
const STEPS = 120;

/** What one of them said: in words that both can say. */
type Said = string;

/** The models, without anything between them. */
class Modelled {
  now = 0;
  readonly servers = new Servers(ALL_RULES, () => this.now);
  readonly witnesses = ['one', 'two', 'three'].map((name) => new WitnessModel(name, ALL_RULES));
  readonly #ports = this.witnesses.map((witness) => witnessPort(witness, async (_, run) => run()));
  readonly #ledger: string;
  #epoch = 1;

  constructor(ledger: string) {
    this.#ledger = ledger;
    const begun = this.#run((scripts) => scripts.init(ledger, 1));
    for (const witness of this.witnesses) {
      const { disk } = witness.survey(`disk of ${witness.name}`);
      witness.install({ ledger, epoch: 1 }, { disk, count: 0 });
    }
    this.#confirm(begun);
    this.activate();
  }

  ask(question: Question): Said {
    const reply = this.#ask((scripts, caller) => {
      const state = scripts.state(caller);
      if (state.code !== 'STATE') throw new Error(state.code);
      return scripts.commit(caller, state.versions, { ...question, isFrozen: state.isFrozen });
    });
    if (reply.code !== 'DECIDED' && reply.code !== 'CONFLICT') return reply.code.toLowerCase();
    const { verdict, sequence, repeated, event } = reply;
    this.#confirm(event);
    const word = reply.code === 'CONFLICT' ? 'conflict' : verdict.effect;
    return `${word} ${verdict.reason} ${sequence}${repeated ? ' again' : ''}`;
  }

  activate(): Said {
    const { sequence: expected } = this.servers.elected.dataset.meta;
    return this.#changed((scripts, caller) =>
      scripts.change(caller, { type: 'policy', version: 'f', expected }),
    );
  }

  freeze(): Said {
    return this.#changed((scripts, caller) => scripts.change(caller, { type: 'freeze', id: 'f' }));
  }

  unfreeze(): Said {
    return this.#changed((scripts, caller) => scripts.change(caller, { type: 'unfreeze', id: 'f' }));
  }

  report(said: Parameters<typeof mergeFate>[1]): Said {
    const found = this.#ask((scripts, caller) => scripts.fate(caller, said.moneyKey));
    if (found.code !== 'FOUND') throw new Error(found.code);
    const { fate, approval } = found;
    const known = mergeFate(fate?.known, said);
    const { approved, rejected, released } = approval;
    const words = `${fateText(known)} ${approved} ${rejected} ${released}`;
    if (fate !== undefined && fateText(known) === fateText(fate.known)) return `${fate.sequence} ${words}`;
    const reply = this.#ask((scripts, caller) =>
      scripts.report(caller, said.moneyKey, fate?.sequence ?? 0, known),
    );
    if (reply.code !== 'DONE') throw new Error(reply.code);
    this.#confirm(reply.event);
    return `${reply.sequence} ${words}`;
  }

  release(money: string): Said {
    const reply = this.#ask((scripts, caller) => scripts.release(caller, money));
    if (reply.code !== 'DONE') return 'RELEASE_REFUSED';
    this.#confirm(reply.event);
    return `${reply.sequence}${reply.repeated ? ' again' : ''}`;
  }

  async forget(to: number): Promise<Said> {
    const { covered: from } = this.servers.elected.dataset.meta;
    const reply = this.#ask((scripts, caller) => scripts.checkpoint(caller, { from, to, retention: -1 }));
    if (reply.code !== 'DONE') return reply.code;
    this.#confirm(reply.event);
    expect(this.#ask((scripts, caller) => scripts.forget(caller, to))).toEqual({ code: 'DONE' });
    const ballot = { ledger: this.#ledger, epoch: this.#epoch };
    await trimWitnesses(this.#ports, ballot, { checkpoint: reply.sequence, to });
    const { body } = entryFrom(reply.event);
    if (body.type !== 'checkpoint') throw new Error(body.type);
    return `${reply.sequence} ${statementsOf(body)}`;
  }

  async recover(): Promise<void> {
    this.servers.restart(this.servers.elected, Number.POSITIVE_INFINITY);
    const primary = primaryPort(async (_, script) => this.#run(script));
    const ports = { primary, witnesses: this.#ports, progress: () => undefined };
    const result = await recover(ports, { epoch: this.#epoch, evenIfOpen: true });
    if (result.kind !== 'recovered') throw new Error(result.kind);
    this.#epoch = result.epoch;
  }

  /** As the limits count it. */
  get used(): readonly string[] {
    const { meta, keys } = this.servers.elected.dataset;
    const state = new LedgerState(keys.get(meta.epoch)?.journal ?? [], meta.trimmed);
    let total = state.spent;
    for (const { held } of state.transactions.values()) total += held;
    return [String(total), String(state.destinations.size)];
  }

  /** The numbers of the events that are kept, here and by each witness. */
  get kept(): readonly (readonly number[])[] {
    const { meta, keys } = this.servers.elected.dataset;
    const journal = (keys.get(meta.epoch)?.journal ?? []).map(({ sequence }) => sequence);
    return [journal, ...this.witnesses.map(({ disk }) => [...disk.log.keys()].sort((a, b) => a - b))];
  }

  #changed(change: (scripts: Scripts, caller: Caller) => ReturnType<Scripts['change']>): Said {
    const reply = this.#ask(change);
    if (reply.code !== 'DONE') return 'CONCURRENT_CHANGE';
    this.#confirm(reply.event);
    return String(reply.sequence);
  }

  #ask<T>(script: (scripts: Scripts, caller: Caller) => T): T {
    const caller = { epoch: this.#epoch, identity: this.#ledger, seen: 0, now: this.now };
    return this.#run((scripts) => script(scripts, caller));
  }

  #run<T>(script: (scripts: Scripts) => T): T {
    return this.servers.run(this.servers.elected, script);
  }

  #confirm(recorded: Recorded | undefined): void {
    if (recorded === undefined) return;
    const { ledger, sequence, event } = recorded;
    for (const witness of this.witnesses) witness.append({ ledger, epoch: this.#epoch }, sequence, event);
    this.#ask((scripts, caller) => scripts.confirm(caller, [sequence]));
  }
}

/** What it says of transactions that go on. */
function statementsOf({ transactions }: Checkpoint): string {
  const stated = transactions.map(({ moneyKey, known }) => {
    const { approved, rejected, released } = known ?? {};
    return `${moneyKey} ${approved} ${rejected} ${released}`;
  });
  return stated.sort().join(', ');
}

const AMOUNTS = { max: String(LIMIT), window: LIFETIME };
const DESTINATIONS = { max: String(MOST_DESTINATIONS), window: LIFETIME };

describe('the modelled server and witnesses', () => {
  let store: WitnessedStore;
  const seen = new Set<string>();

  beforeAll(async () => {
    store = await witnessedStore(PATIENT);
  });
  afterAll(() => store.stop());

  test.each(SEEDS)(
    'answer, forget and recover as real ones do, with what is done to them by seed %i',
    async (seed) => {
      const real = await bench(store);
      const modelled = new Modelled(real.versions.ledger);
      const chance = new Chance(seed);
      const asked = questions(chance, 0.3);
      const reports = reportsOf(chance, asked);
      try {
        for (let number = 0; number < STEPS; number += 1) {
          const { name, said, expected } = await step({ real, modelled, chance, asked, reports });
          expect({ number, name, said }).toEqual({ number, name, said: expected });
          expect({ number, name, used: await usedOf(real) }).toEqual({ number, name, used: modelled.used });
          seen.add(name);
        }
        // Two witnesses are enough for an answer: the third one may have the last event a little later.
        await eventually(async () => {
          const journal = (await real.ledger.events(0, 1000)).map(({ sequence }) => sequence);
          expect([journal, ...(await logsOf(real))]).toEqual(modelled.kept);
        });
      } finally {
        await real.close();
      }
    },
  );

  test('were asked for everything', () => {
    expect([...seen].sort()).toEqual(['ask', 'forget', 'freeze', 'recover', 'release', 'report', 'unfreeze']);
  });

  interface Pair {
    readonly real: Bench;
    readonly modelled: Modelled;
    readonly chance: Chance;
    readonly asked: readonly Question[];
    readonly reports: ReturnType<typeof reportsOf>;
  }

  interface Both {
    readonly name: string;
    readonly said: Said;
    readonly expected: Said;
  }

  async function step({ real, modelled, chance, asked, reports }: Pair): Promise<Both> {
    const { ledger } = real;
    modelled.now = Date.now();
    const roll = chance.next();
    const question = chance.pick(asked);
    const report = chance.pick(reports);
    if (question === undefined || report === undefined) throw new Error('there are some of both');
    const sequenced = (done: Promise<{ readonly sequence: number; readonly repeated?: boolean }>) =>
      done.then(
        ({ sequence, repeated }) => `${sequence}${repeated === true ? ' again' : ''}`,
        (error: { readonly code: string }) => error.code,
      );
    if (roll < 0.55) {
      const { said, atMs } = await askedOf(real, question);
      // What it begins, or is early for, is told from when it was decided.
      modelled.now = atMs ?? modelled.now;
      return { name: 'ask', said, expected: modelled.ask(question) };
    }
    if (roll < 0.7) {
      const { known, sequence, approval } = await ledger.report(report);
      const { approved, rejected, released } = approval;
      const said = `${sequence} ${fateText(known)} ${approved} ${rejected} ${released}`;
      return { name: 'report', said, expected: modelled.report(report) };
    }
    if (roll < 0.75) {
      const said = await sequenced(ledger.release({ ...RELEASE, moneyKey: question.money }));
      return { name: 'release', said, expected: modelled.release(question.money) };
    }
    if (roll < 0.78) {
      const said = await sequenced(ledger.freeze({ ...FREEZE, id: 'f' }));
      return { name: 'freeze', said, expected: modelled.freeze() };
    }
    if (roll < 0.84) {
      const said = await sequenced(ledger.unfreeze('f', ['a.b.c']));
      return { name: 'unfreeze', said, expected: modelled.unfreeze() };
    }
    if (roll < 0.93) return forget({ real, modelled }, question);
    await store.server.command('FLUSHALL');
    await Promise.all([modelled.recover(), eventually(() => ledger.state())]);
    const said = String((await activate(ledger)).sequence);
    return { name: 'recover', said, expected: modelled.activate() };
  }

  /** About one transaction, perhaps, there is something later than what is forgotten. */
  async function forget({ real, modelled }: Pick<Pair, 'real' | 'modelled'>, later: Question): Promise<Both> {
    const { ledger } = real;
    const aged = await age();
    const { said: answer, atMs } = await askedOf(real, later);
    modelled.now = atMs ?? Date.now();
    expect(answer).toBe(modelled.ask(later));
    const trimmed = await eventually(async () => {
      const done = await ledger.upkeep.trim(orderOf({ nowMs: aged }));
      expect(done.kind).not.toBe('waits');
      return done;
    });
    modelled.now = Date.now();
    if (trimmed.kind !== 'trimmed') return { name: 'forget', said: trimmed.kind, expected: 'nothing' };
    const [recorded] = await ledger.events(trimmed.checkpoint - 1, 1);
    const said = `${trimmed.checkpoint} ${statementsOf(checkpointBody.parse(recorded?.body))}`;
    return { name: 'forget', said, expected: await modelled.forget(trimmed.to) };
  }

  async function askedOf({ ledger }: Bench, question: Question) {
    const { ask, content, money, amount, to, whitelists } = question;
    const { versions, freezes } = await ledger.state();
    const paid = [
      charge('amounts', { ...AMOUNTS, amount: String(amount) }),
      charge('destinations', { ...DESTINATIONS, members: [to] }),
    ];
    const frozen = freezes.length > 0;
    const reply = await ledger.commit(
      proposal(ask, {
        versions,
        ask: {
          askKey: ask,
          fingerprint: content,
          moneyKey: money,
          coreFingerprint: `core-of-${money}`,
          binding: undefined,
          amount: undefined,
        },
        opinion: frozen ? RETRY : APPROVE,
        frozen,
        charges: whitelists === undefined ? paid : [],
        moments: whitelists === undefined ? [] : [{ key: whitelists, keeps: 'newest' }],
        coolingOff: {
          keys: to === '' ? [] : [to],
          periodMs: COOLING_STEPS,
          whenEarly: 'reject',
          sentence: 'Too early.',
        },
      }),
    );
    if (reply.kind !== 'decided' && reply.kind !== 'conflict') return { said: reply.kind, atMs: undefined };
    const { effect, reason, sequence, decidedAtMs } = reply.decision;
    const word = reply.kind === 'conflict' ? 'conflict' : effect;
    const said = `${word} ${reason} ${sequence}${reply.repeated ? ' again' : ''}`;
    return { said, atMs: reply.repeated ? undefined : decidedAtMs };
  }

  function usedOf({ ledger }: Bench): Promise<readonly string[]> {
    return ledger.usage([
      charge('amounts', { ...AMOUNTS, amount: '0' }),
      charge('destinations', { ...DESTINATIONS, members: [] }),
    ]);
  }

  function logsOf({ workspace }: Bench): Promise<readonly (readonly number[])[]> {
    return Promise.all(
      store.witnesses.map(async (witness) => {
        const log = `countersign-witness:{${workspace}}:log`;
        return ((await witness.command('HKEYS', log)) as readonly string[]).map(Number).sort((a, b) => a - b);
      }),
    );
  }
});
