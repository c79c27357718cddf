/**
 * A replica of Countersign, as far as witnesses go: what session.ts, keeper.ts and redis-ledger.ts do with the replies of
 * scripts, in the same order. Recovering and counting the witnesses that kept an event is the product's own code.
 */
import { CountersignError } from '../../src/core/errors.js';
import type { mergeFate, SettlingReport } from '../../src/core/report.js';
import type { settle } from '../../src/core/settle.js';
import type { Ballot } from '../../src/ledger/witness/ports.js';
import type { appendToMajority } from '../../src/ledger/witness/quorum.js';
import type { RecoveryCause, recover } from '../../src/ledger/witness/recovery.js';
import type {
  remainsOf,
  Salvaged,
  SalvagePorts,
  SalvagePrimary,
  salvage,
} from '../../src/ledger/witness/salvage.js';
import type { trimWitnesses } from '../../src/ledger/witness/trimming.js';
import type { Chance } from './chance.js';
import { type Question, textOf } from './events.js';
import { trim } from './janitor.js';
import type { Scripts } from './janitor-model.js';
import { Route } from './network.js';
import { activate } from './operator.js';
import { primaryPort, witnessPort } from './ports.js';
import { type Answer, changeText, type Promises } from './promises.js';
import type { Caller, Change, Recorded, Refusal, StateReply } from './replies.js';
import { hear } from './reporting.js';
import type { Removed } from './rules.js';
import type { Server, Servers } from './servers.js';
import type { Trail } from './trail.js';
import type { WitnessModel } from './witness-model.js';

/** The product's code, or a mutant of it. */
export interface Product {
  readonly recover: typeof recover;
  readonly remainsOf: typeof remainsOf;
  readonly salvage: typeof salvage;
  readonly appendToMajority: typeof appendToMajority;
  readonly trimWitnesses: typeof trimWitnesses;
  readonly mergeFate: typeof mergeFate;
  readonly settle: typeof settle;
}

export interface Surroundings {
  readonly product: Product;
  readonly removed: Removed;
  readonly servers: Servers;
  readonly witnesses: readonly WitnessModel[];
  readonly promises: Promises;
  readonly chance: Chance;
  /** Its identity. */
  readonly ledger: string;
  /** Absent where nobody exports. */
  readonly trail: Trail | undefined;
  /** For so many steps what was decided is kept. */
  readonly retention: number;
  /** The true time, in steps. */
  readonly now: () => number;
  /** When most witnesses were blank last: a step; -1 when they never were. */
  readonly lostAt: () => number;
  /** A request has been sent there. */
  readonly sent: (route: Route, what: string) => void;
  /** Something happened that no fault explains. */
  readonly fail: (error: unknown) => void;
}

type State = Extract<StateReply, { readonly code: 'STATE' }>;
export type Accepted<Reply extends { readonly code: string }> = Exclude<Reply, Refusal> & {
  readonly epoch: number;
  /** When the server said so. */
  readonly saidAt: number;
};

/** After so many attempts the co-signer is told to ask again. */
const ATTEMPTS = 3;

export class Replica {
  isStalled = false;
  isDead = false;
  /** Its Sentinels have not heard of the fail-over. */
  isLeftBehind = false;
  /** By how many steps its clock is wrong. */
  clockError = 0;
  /** Things it is at. */
  tasks = 0;
  readonly #witnessRoutes: readonly { readonly witness: WitnessModel; readonly route: Route }[];
  readonly #serverRoutes: ReadonlyMap<Server, Route>;
  #server: Server;
  #epoch = 0;
  #known = { identity: '', sequence: 0 };
  #recovering: Promise<boolean> | undefined;
  #salvages = 0;
  #lookedElsewhere: number | undefined;

  readonly name: string;
  readonly #world: Surroundings;

  constructor(name: string, world: Surroundings) {
    this.name = name;
    this.#world = world;
    this.#witnessRoutes = world.witnesses.map((witness) => ({ witness, route: new Route(this, witness) }));
    this.#serverRoutes = new Map(world.servers.all.map((server) => [server, new Route(this, server)]));
    this.#server = world.servers.elected;
  }

  get routes(): readonly Route[] {
    return [...this.#serverRoutes.values(), ...this.#witnessRoutes.map(({ route }) => route)];
  }

  get isRecovering(): boolean {
    return this.#recovering !== undefined || this.isSalvaging;
  }

  get isSalvaging(): boolean {
    return this.#salvages > 0;
  }

  /** The process ends; what it has sent may still arrive. */
  die(isLosingRequests: boolean): void {
    this.isDead = true;
    for (const route of this.routes) route.abandon(isLosingRequests);
  }

  /** Asks the Sentinels for the server that decides. */
  renew(): void {
    const { servers } = this.#world;
    const next = this.isLeftBehind && servers.leftBehind !== undefined ? servers.leftBehind : servers.elected;
    if (next === this.#server) return;
    this.#routeTo(this.#server).break(false);
    this.#server = next;
  }

  /** Runs one of the methods below; that it fails is what co-signers are told "ask again" for. */
  async does(work: () => Promise<void>): Promise<void> {
    this.tasks += 1;
    const begun = this.#world.now();
    try {
      await work();
    } catch (error) {
      if (!this.#isUndecided(error, begun)) this.#world.fail(error);
    } finally {
      this.tasks -= 1;
    }
  }

  async ask(question: Question): Promise<void> {
    const { promises } = this.#world;
    promises.asked(question);
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const { versions, isFrozen } = await this.#state();
      const reply = await this.call(`commit ${textOf(question)}`, (scripts, caller) =>
        scripts.commit(caller, versions, { ...question, isFrozen }),
      );
      if (reply.code === 'STALE') continue;
      if (reply.code !== 'DECIDED' && reply.code !== 'CONFLICT') return;
      const { verdict, sequence, event, epoch, saidAt } = reply;
      if (event !== undefined) await this.confirm(epoch, event);
      this.saw(epoch, sequence);
      const kind: Answer['kind'] = reply.code === 'CONFLICT' ? 'conflict' : 'decision';
      promises.answered(question, { ...verdict, kind, sequence, saidAt });
      return;
    }
  }

  async change(type: Change['type'], id: string): Promise<void> {
    const { promises, now } = this.#world;
    const begun = now();
    const { sequence: expected } = await this.#state();
    const change: Change = type === 'policy' ? { type, version: id, expected } : { type, id };
    const reply = await this.call(`${type} ${id}`, (scripts, caller) => {
      const done = scripts.change(caller, change);
      if (type === 'unfreeze' && done.code === 'DONE') promises.lifted(done.sequence);
      return done;
    });
    if (reply.code !== 'DONE') return;
    if (reply.event !== undefined) await this.confirm(reply.epoch, reply.event);
    this.saw(reply.epoch, reply.sequence);
    const what = changeText(type === 'policy' ? { type, version: id } : { type, id });
    // A freeze that stands already is as old as it is.
    promises.acknowledged(reply.sequence, {
      what,
      since: reply.isRepeated ? 0 : begun,
      saidAt: reply.saidAt,
    });
  }

  /** What a vendor reported. */
  async hear(report: SettlingReport): Promise<void> {
    await hear(this, this.#world, report);
  }

  /** Forgets what is old enough, as the janitor does. */
  async trim(): Promise<void> {
    await trim(this, this.#world);
  }

  /** Takes what the checkpoint covers from the witnesses. */
  async drop(ballot: Ballot, covered: { readonly checkpoint: number; readonly to: number }): Promise<void> {
    await this.#world.product.trimWitnesses(this.#witnesses(), ballot, covered);
  }

  /** Takes to the audit trail what is certain. */
  async export(): Promise<void> {
    const { journal } = await this.call('exportable', (scripts, caller) => scripts.exportable(caller));
    this.#world.trail?.take(journal);
  }

  /** What an operator's process does that is started here. */
  async salvage(isClockWrong: boolean): Promise<Salvaged | undefined> {
    this.#salvages += 1;
    this.renew();
    try {
      return await activate(this.#world, this.#ports(), isClockWrong);
    } finally {
      this.#salvages -= 1;
    }
  }

  /** Events whose recorder died before a majority had them. */
  async confirmPending(): Promise<void> {
    const { events, epoch } = await this.call('pending', (scripts, caller) => scripts.pending(caller));
    await Promise.all(events.map((event) => this.confirm(epoch, event)));
  }

  /** As an operator has it done, to give a blank witness its vote back. */
  async recover(): Promise<boolean> {
    const { epoch } = await this.#primary().survey();
    return this.#recover({ epoch, evenIfOpen: true });
  }

  async #state(): Promise<State & { readonly epoch: number }> {
    const state = await this.call('state', (scripts, caller) => scripts.state(caller));
    const { versions, sequence, epoch } = state;
    if (epoch === this.#epoch && versions.ledger !== this.#known.identity) {
      this.#known = { identity: versions.ledger, sequence: 0 };
    }
    await Promise.all(state.unconfirmed.map((event) => this.confirm(epoch, event)));
    this.saw(epoch, sequence);
    return state;
  }

  /** Resolves once a majority of the witnesses has the event. */
  async confirm(epoch: number, { ledger, sequence, event }: Recorded): Promise<void> {
    const ballot = { ledger, epoch };
    const witnesses = this.#witnesses();
    const result = await this.#world.product.appendToMajority(witnesses, ballot, { sequence, event });
    if (result === 'kept') {
      // Nobody waits for it.
      void this.does(async () => {
        if (this.#epoch === epoch) {
          await this.call(`confirm ${sequence}`, (scripts, caller) => scripts.confirm(caller, [sequence]));
        }
      });
      return;
    }
    if (this.#looksElsewhere(epoch)) this.renew();
    else {
      void this.does(async () => {
        await this.#startRecovery({ epoch, evenIfOpen: true });
      });
    }
    throw recovering();
  }

  /** The primary may be another server by now; it is looked for once in each epoch. */
  #looksElsewhere(epoch: number): boolean {
    if (this.#lookedElsewhere === epoch) return false;
    this.#lookedElsewhere = epoch;
    return true;
  }

  /** Speaks with the server until it accepts the epoch and stands behind its fence, or it is not worth waiting for. */
  async call<Reply extends { readonly code: string }>(
    what: string,
    script: (scripts: Scripts, caller: Caller) => Reply,
  ): Promise<Accepted<Reply>> {
    for (let attempt = 1; ; attempt += 1) {
      const { servers, now } = this.#world;
      const [server, epoch] = [this.#server, this.#epoch];
      const { identity, sequence: seen } = this.#known;
      const { reply, saidAt } = await this.#send(this.#routeTo(server), what, () => ({
        saidAt: now(),
        reply: servers.run(server, (scripts) =>
          script(scripts, { epoch, identity, seen, now: now() + this.clockError }),
        ),
      }));
      if (!isRefusal(reply)) return { ...reply, epoch, saidAt } as Accepted<Reply>;
      if (reply.code === 'EPOCH' && reply.epoch >= this.#epoch) this.#follow(reply.epoch);
      else await this.#mend(reply, attempt);
    }
  }

  async #mend(refusal: Refusal, attempt: number): Promise<void> {
    const isReplica = refusal.code === 'FENCED' && refusal.why === 'role';
    if (isReplica || (refusal.code === 'EPOCH' && this.#looksElsewhere(this.#epoch))) {
      this.renew();
      throw recovering();
    }
    const isRecovered = await this.#startRecovery({ epoch: this.#epoch, evenIfOpen: false });
    if (!isRecovered || attempt >= ATTEMPTS) throw recovering();
  }

  #follow(epoch: number): void {
    this.#epoch = epoch;
    this.#known = { ...this.#known, sequence: 0 };
  }

  /** What it has been shown of the ledger. */
  saw(epoch: number, sequence: number): void {
    if (epoch !== this.#epoch) return;
    this.#known = { ...this.#known, sequence: Math.max(sequence, this.#known.sequence) };
  }

  /** One at a time; whoever needs one while it runs asks again afterwards. */
  #startRecovery(cause: RecoveryCause): Promise<boolean> {
    const begun = this.#world.now();
    this.#recovering ??= this.#recover(cause)
      .catch((error: unknown) => {
        if (!this.#isUndecided(error, begun)) throw error;
        return false;
      })
      .finally(() => {
        this.#recovering = undefined;
      });
    return this.#recovering;
  }

  async #recover(cause: RecoveryCause): Promise<boolean> {
    const result = await this.#world.product.recover(this.#ports(), cause);
    return result.kind === 'recovered';
  }

  /** A fault may be answered with these; that a ledger is gone only when most witnesses were blank meanwhile. */
  #isUndecided(error: unknown, begun: number): boolean {
    if (!(error instanceof CountersignError)) return false;
    if (error.code === 'LEDGER_MISSING') return this.#world.lostAt() >= begun;
    return error.code === 'LEDGER_UNAVAILABLE' || error.code === 'LEDGER_RECOVERING';
  }

  #ports(): SalvagePorts {
    return { primary: this.#primary(), witnesses: this.#witnesses(), progress: () => undefined };
  }

  #primary(): SalvagePrimary {
    const { servers } = this.#world;
    return primaryPort((what, script) => {
      const server = this.#server;
      return this.#send(this.#routeTo(server), what, () => servers.run(server, script));
    });
  }

  #witnesses() {
    return this.#witnessRoutes.map(({ route, witness }) =>
      witnessPort(witness, (what, run) => this.#send(route, what, run)),
    );
  }

  #send<T>(route: Route, what: string, run: () => T): Promise<T> {
    const reply = route.call(what, run);
    this.#world.sent(route, what);
    return reply;
  }

  #routeTo(server: Server): Route {
    const route = this.#serverRoutes.get(server);
    if (route === undefined) throw new Error(`no route to ${server.name}`);
    return route;
  }
}

function isRefusal(reply: { readonly code: string }): reply is Refusal {
  return reply.code === 'EPOCH' || reply.code === 'MISSING' || reply.code === 'FENCED';
}

function recovering(): CountersignError {
  return new CountersignError('LEDGER_RECOVERING', 'the ledger is being recovered');
}
