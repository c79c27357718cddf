/**
 * One schedule: replicas, servers and witnesses, and a seed that decides what happens next. In the end everything is
 * mended, the ledger is recovered a last time, and what was answered must be in it.
 */
import type { RecoveryResult } from '../../src/ledger/witness/recovery.js';
import type { Salvaged } from '../../src/ledger/witness/salvage.js';
import { audit } from './audit.js';
import { Broken } from './broken.js';
import { Chance } from './chance.js';
import type { Question } from './events.js';
import { areMostBlank, type Breakable, detour, type FaultName, happen } from './faults.js';
import { LedgerState } from './ledger-state.js';
import type { Route } from './network.js';
import { type Course, courseOf } from './profiles.js';
import { Promises } from './promises.js';
import { type Product, Replica, type Surroundings } from './replica.js';
import type { Removed } from './rules.js';
import { Servers } from './servers.js';
import { Trail } from './trail.js';
import { WitnessModel } from './witness-model.js';

export interface Outcome {
  readonly steps: number;
  readonly recoveries: number;
  readonly answers: number;
  readonly broken?: Broken;
  /** What happened, a line each. */
  readonly trace: readonly string[];
  /** The steps in which somebody began something, or something went wrong. */
  readonly happenings: readonly number[];
}

export interface ScheduleSettings {
  readonly seed: number;
  readonly product: Product;
  readonly removed: Removed;
  /** Steps in which nobody begins anything and nothing goes wrong, whatever the seed says. */
  readonly without?: ReadonlySet<number>;
}

/** Things one replica is at, at most. */
const TASKS = 4;

/** So often it is looked what a recovery would find; and after every new answer, every installation, and what arrives late. */
const AUDIT_STEPS = 50;

/** A recovery that takes longer loses its lock. */
const LOCK_STEPS = 150;

/** After the last fault nothing may take longer. */
const CALM_STEPS = 20_000;

const LEDGER = 'ledger';

const LAST_FAULTS: readonly FaultName[] = [
  'the primary comes back empty',
  'everything is flushed',
  'a fail-over',
  'the primary restarts',
];

export class Schedule implements Breakable, Surroundings {
  readonly chance: Chance;
  readonly promises: Promises;
  readonly servers: Servers;
  readonly witnesses: readonly WitnessModel[];
  readonly replicas: Replica[];
  readonly product: Product;
  readonly ledger = LEDGER;
  readonly trail: Trail | undefined;
  readonly retention: number;
  readonly now = () => this.#step;
  readonly lostAt = () => this.#lostAt;
  readonly #product: Product;
  #recoveries = 0;
  #step = 0;
  #troubles: { readonly ends: number; readonly undo: () => void }[] = [];
  #failure: unknown;
  readonly #course: Course;
  readonly #asked = new Set<Question>();
  #lockedUntil = 0;
  #lostAt = -1;
  #isMended = false;
  #isAuditDue = false;
  /** What had been said when it was last looked. */
  #audited = 0;
  readonly #trace: string[] = [];
  readonly #happenings: number[] = [];
  readonly #without: ReadonlySet<number>;

  readonly removed: Removed;

  constructor({ seed, product, removed, without = new Set() }: ScheduleSettings) {
    this.removed = removed;
    this.#without = without;
    this.chance = new Chance(seed);
    const { chance } = this;
    this.#product = product;
    this.product = {
      ...product,
      recover: (...args) => this.#alone(() => this.#product.recover(...args)),
      salvage: (...args) => this.#alone(() => this.#product.salvage(...args)),
    };
    this.servers = new Servers(removed, this.now);
    this.#course = courseOf(seed, chance);
    const { witnesses, replicas, apartRate, isBlank, retention, isExported } = this.#course;
    this.trail = isExported ? new Trail() : undefined;
    this.retention = retention;
    this.promises = new Promises(retention, (text) => this.#note(text));
    this.witnesses = numbered(witnesses, 'witness', (name) => new WitnessModel(name, removed));
    this.#begin();
    this.replicas = numbered(replicas, 'replica', (name) => new Replica(name, this));
    for (const replica of this.replicas) if (chance.happens(apartRate)) this.#keepAway(replica);
    if (isBlank) chance.pick(this.witnesses)?.loseDisk();
  }

  async run(): Promise<Outcome> {
    try {
      while (this.#step < this.#course.steps) await this.#next();
      await this.#mend();
    } catch (error) {
      this.#failure ??= error;
    }
    const { promises } = this;
    const counts = {
      steps: this.#step,
      recoveries: this.#recoveries,
      answers: promises.answers,
      trace: this.#trace,
      happenings: this.#happenings,
    };
    if (this.#failure === undefined) return counts;
    const broken =
      this.#failure instanceof Broken ? this.#failure : new Broken('no defect', String(this.#failure));
    return { ...counts, broken };
  }

  readonly fail = (error: unknown): void => {
    this.#failure ??= error;
  };

  readonly replace = (replica: Replica): void => {
    const fresh = new Replica(replica.name, this);
    replica.routes.forEach((route, index) => {
      const successor = fresh.routes[index];
      if (successor !== undefined) successor.isCut = route.isCut;
    });
    this.replicas[this.replicas.indexOf(replica)] = fresh;
  };

  readonly sent = (route: Route, what: string): void => {
    const [call = ''] = what.split(' ');
    const { heldUp, holdRate } = this.#course;
    if (this.#isMended || !heldUp.has(call) || !this.chance.happens(holdRate)) return;
    this.#happening(() => {
      this.#note(`fault: ${route.from.name} -> ${route.node.name}: ${what} is held up`);
      detour(this, route, this.#course);
    });
  };

  readonly later = (steps: number, undo: () => void): void => {
    this.#troubles.push({ ends: this.#step + steps, undo });
  };

  /** For this replica one of the witnesses is never there. */
  #keepAway(replica: Replica): void {
    const witness = this.chance.pick(this.witnesses);
    for (const route of replica.routes) if (route.node === witness) route.isCut = true;
  }

  /** As `ledger init` leaves it. */
  #begin(): void {
    const recorded = this.servers.run(this.servers.elected, (scripts) => scripts.init(LEDGER, 1));
    for (const witness of this.witnesses) {
      const { disk } = witness.survey(`first disk of ${witness.name}`);
      witness.install({ ledger: LEDGER, epoch: 1 }, { disk, count: 0 });
      witness.append({ ledger: LEDGER, epoch: 1 }, recorded.sequence, recorded.event);
    }
  }

  /** With the lock, a replica that finds another one at it leaves it to that one; the lock ends by itself. */
  async #alone<T extends RecoveryResult | Salvaged>(
    work: () => Promise<T>,
  ): Promise<T | { readonly kind: 'overtaken' }> {
    if (this.#course.isLocking && !this.#isMended && this.#step < this.#lockedUntil)
      return { kind: 'overtaken' };
    this.#lockedUntil = this.#step + LOCK_STEPS;
    const result = await work();
    if (result.kind === 'recovered') {
      this.#lockedUntil = 0;
      this.#recoveries += 1;
      this.#note(`recovered: epoch ${result.epoch}, ${result.events} events`);
    }
    return result;
  }

  async #next(): Promise<void> {
    const { chance } = this;
    const roll = chance.next();
    const isRecovering = this.replicas.some((replica) => replica.isRecovering);
    const faultRate = isRecovering ? this.#course.recoveryFaultRate : this.#course.faultRate;
    if (roll < faultRate) this.#happening(() => this.#fault(chance.pick(this.#course.faults)));
    else if (roll < faultRate + 0.08 || !this.#deliver()) this.#happening(() => this.#initiative());
    const replica = chance.happens(0.15) ? chance.pick(this.servers.replicas) : undefined;
    if (replica !== undefined) this.servers.replicate(replica, chance.between(1, 4));
    await this.#settle();
  }

  #note(text: string): void {
    this.#trace.push(`${this.#step} ${text}`);
  }

  #happening(happen: () => void): void {
    if (this.#without.has(this.#step)) return;
    this.#happenings.push(this.#step);
    happen();
  }

  #fault(name: FaultName | undefined): void {
    if (name === undefined) return;
    this.#note(`fault: ${name}`);
    happen(name, this);
  }

  async #settle(): Promise<void> {
    this.#step += 1;
    this.chance.begin(this.#step);
    this.promises.now = this.#step;
    const over = this.#troubles.filter(({ ends }) => ends <= this.#step);
    if (over.length > 0) {
      this.#troubles = this.#troubles.filter((trouble) => !over.includes(trouble));
      for (const { undo } of over) undo();
    }
    this.#look();
    // Whoever got a reply goes on until it waits again.
    await new Promise(setImmediate);
    if (this.#failure !== undefined) throw this.#failure;
    const isMoreSaid = this.promises.said > this.#audited;
    if (this.#step % AUDIT_STEPS === 0 || this.#isAuditDue || isMoreSaid) await this.#audit();
  }

  get #isLost(): boolean {
    return areMostBlank(this.witnesses);
  }

  #look(): void {
    if (this.#isLost) this.#lostAt = this.#step;
  }

  /** Of what most witnesses have lost nothing comes back by itself. */
  async #audit(): Promise<void> {
    if (this.#isLost) return;
    this.#isAuditDue = false;
    this.#audited = this.promises.said;
    await audit({ ...this, product: this.#product }, (journal) => this.promises.checkLog(journal));
  }

  #deliver(): boolean {
    const deliverable = this.replicas.flatMap((replica) =>
      replica.routes.flatMap((route) => route.deliverable()),
    );
    const delivery = this.chance.pick(deliverable);
    if (delivery !== undefined) this.#note(delivery.text());
    delivery?.run();
    if (delivery?.isLate || delivery?.isInstallation) this.#isAuditDue = true;
    return delivery !== undefined;
  }

  /** Somebody begins something. */
  #initiative(): void {
    const { chance } = this;
    const replica = chance.pick(this.replicas.filter(({ tasks, isStalled }) => tasks < TASKS && !isStalled));
    if (replica === undefined) return;
    const roll = chance.next();
    const isBlank = this.witnesses.some((witness) => witness.isBlank);
    const { retention, reports } = this.#course;
    const report = reports.length > 0 && chance.happens(0.15) ? chance.pick(reports) : undefined;
    const salvageRate = this.#isLost ? 0.4 : this.#course.needlessSalvageRate;
    const others = this.replicas.filter(({ isSalvaging }) => isSalvaging).length;
    if (others < 2 && chance.happens(salvageRate))
      void replica.does(() => replica.salvage(false).then(() => undefined));
    else if (this.trail !== undefined && chance.happens(0.1)) void replica.does(() => replica.export());
    else if (retention < Number.POSITIVE_INFINITY && chance.happens(0.15))
      void replica.does(() => replica.trim());
    else if (report !== undefined) void replica.does(() => replica.hear(report));
    else if (roll < 0.8 - (isBlank ? 0.2 : 0))
      this.#ask(replica, chance.below(Math.ceil(this.#step / 40) + 2));
    else if (isBlank && roll < 0.8) void replica.does(() => replica.recover().then(() => undefined));
    else if (roll < 0.86) void replica.does(() => replica.confirmPending());
    else if (roll < 0.9) void replica.does(() => replica.change('policy', `version-${chance.below(3)}`));
    else if (roll < 0.93) void replica.does(() => replica.change('freeze', 'freeze-1'));
    else if (roll < 0.98) void replica.does(() => replica.change('unfreeze', 'freeze-1'));
    else void replica.does(() => replica.recover().then(() => undefined));
  }

  #ask(replica: Replica, index: number): void {
    const { questions } = this.#course;
    const question = questions[index % questions.length];
    if (question === undefined) return;
    this.#asked.add(question);
    void replica.does(() => replica.ask(question));
  }

  /** Nothing goes wrong any more, but that one witness may be away and the server forgets once more. */
  async #mend(): Promise<void> {
    const { chance, servers, witnesses } = this;
    this.#isMended = true;
    for (const { undo } of this.#troubles) undo();
    this.#troubles = [];
    servers.rejoin();
    await this.#calm();
    for (const replica of this.replicas) replica.die(true);
    if (this.#isLost && !(await this.#salvage())) return;
    const last = new Replica('last', this);
    this.replicas.splice(0, this.replicas.length, last);
    const away = witnesses.some(({ isBlank }) => isBlank) ? undefined : chance.pick(witnesses);
    if (away !== undefined) away.isDown = chance.happens(0.8);
    this.#fault(chance.pick(LAST_FAULTS));
    last.renew();
    await this.#lastRecovery(last);
    this.promises.checkLog(this.#journal());
    await this.#askAll(last);
    this.promises.checkLog(this.#journal());
  }

  /** False when nobody knows anything any more: then a new ledger begins. */
  async #salvage(): Promise<boolean> {
    const operator = new Replica('operator', this);
    this.replicas.splice(0, this.replicas.length, operator);
    let result: Salvaged | undefined;
    const isClockWrong = this.chance.happens(0.5);
    await this.#finish(operator, async () => {
      result = await operator.salvage(isClockWrong);
    });
    if (result?.kind === 'recovered') return true;
    const { identity } = this.servers.elected.dataset.meta;
    const isNothingLeft =
      identity === undefined &&
      this.witnesses.every(({ isBlank }) => isBlank) &&
      this.trail?.exported(LEDGER) === undefined;
    if (result === undefined && isNothingLeft) return false;
    throw new Broken('it comes back', 'nothing is wrong any more, and what is left cannot be salvaged');
  }

  async #lastRecovery(last: Replica): Promise<void> {
    let isRecovered = false;
    await this.#finish(last, async () => {
      isRecovered = await last.recover();
    });
    if (!isRecovered)
      throw new Broken('it comes back', 'nothing is wrong any more, and it cannot be recovered');
  }

  /** Every question has an answer now: the one that was given, where one was. */
  async #askAll(last: Replica): Promise<void> {
    // What is being forgotten is forgotten, so that it can be decided anew.
    await this.#finish(last, () => last.trim());
    const { trimmed } = this.servers.elected.dataset.meta;
    for (const id of new LedgerState(this.#journal(), trimmed).freezes.keys())
      await this.#finish(last, () => last.change('unfreeze', id));
    for (const question of this.#asked) {
      await this.#finish(last, () => last.ask(question));
      if (!this.promises.isAnswered(question)) {
        throw new Broken(
          'it comes back',
          `${question.ask} is not answered although nothing is wrong any more`,
        );
      }
    }
  }

  async #finish(replica: Replica, work: () => Promise<void>): Promise<void> {
    void replica.does(work);
    await this.#calm();
  }

  /** Until nobody waits for anything. */
  async #calm(): Promise<void> {
    await this.#settle();
    for (let step = 0; step < CALM_STEPS; step += 1) {
      if (!this.#deliver()) return;
      await this.#settle();
    }
    throw new Broken('it comes back', 'nothing is wrong any more, and replicas are still at it');
  }

  #journal() {
    const { meta, keys } = this.servers.elected.dataset;
    return keys.get(meta.epoch)?.journal ?? [];
  }
}

function numbered<T>(count: number, kind: string, make: (name: string) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(`${kind}-${index + 1}`));
}
