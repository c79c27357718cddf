/**
 * The guard of a ledger that witnesses keep: an event may be relied upon when a majority of them holds it, and whenever the
 * server may have forgotten something, the ledger is recovered from them.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { CountersignError, type ErrorCode, messageOf } from '../../core/errors.js';
import type {
  LedgerProblem,
  Recovery,
  RecoveryObserver,
  Remains,
  SalvageOrder,
  Witnesses,
  WitnessState,
} from '../../core/fence.js';
import type { SingleFlight } from '../../core/single-flight.js';
import { appendToMajority } from '../witness/quorum.js';
import { type RecoveryCause, type RecoveryResult, recover } from '../witness/recovery.js';
import { remainsOf, type SalvagePorts, type SalvagePrimary, salvage } from '../witness/salvage.js';
import { trimWitnesses } from '../witness/trimming.js';
import { connectWitness, type Witness } from '../witness/witness.js';
import { Confirmed } from './confirmed.js';
import type { Connection, NodeConnection } from './connection.js';
import { type Covered, fenced, type Guard, type Unconfirmed, unconfirmedOf } from './fence.js';
import { recoveryPrimary } from './primary.js';
import { SCRIPTS } from './scripts.js';
import { writeProblems } from './server-check.js';
import type { Refusal, Session } from './session.js';
import { Turns } from './turns.js';
import { witnessProblems, witnessState } from './witness-problems.js';

export interface KeeperSettings {
  readonly workspace: string;
  readonly connection: Connection;
  readonly session: Session;
  readonly witnesses: readonly NodeConnection[];
  readonly observer: RecoveryObserver | undefined;
  readonly alone: SingleFlight | undefined;
}

/** A ledger that witnesses keep begins here: a new witness has promised nothing, and that is epoch 0. */
const FIRST_EPOCH = 1;

/**
 * Replicas find out again and again that they cannot recover: in between it is the operator's turn. A lock that is lost
 * with the disks lets them overtake, so that it begins anew, and by then may find that it is not for an operator any more.
 */
const SALVAGE_TURN_MS = 30_000;

/** A server that forgets faster than a recovery can follow is not worth waiting for. */
const ATTEMPTS = 3;

/** What no further recovery mends by itself. */
const LASTING: ReadonlySet<ErrorCode> = new Set(['LEDGER_MISSING', 'LEDGER_CORRUPT', 'LEDGER_FENCED']);

/** Events looked for in one call. */
const PENDING_EVENTS = 500;

export function createKeeper(settings: KeeperSettings): Guard & Witnesses {
  return new Keeper(settings);
}

class Keeper implements Guard, Witnesses {
  readonly #settings: KeeperSettings;
  readonly #witnesses: readonly Witness[];
  #recovering: Promise<Recovery | undefined> | undefined;
  /** What the last recovery failed of, in which epoch, while none has succeeded since. */
  #failure: { readonly error: CountersignError; readonly epoch: number } | undefined;
  readonly #turns = new Turns();
  readonly #confirmed: Confirmed;
  #lookedElsewhere: number | undefined;
  #closed = false;

  constructor(settings: KeeperSettings) {
    this.#settings = settings;
    this.#confirmed = new Confirmed(settings.session);
    this.#witnesses = settings.witnesses.map((witness) => connectWitness(settings.workspace, witness));
  }

  /** First the witnesses, all of them: a server alone would be taken for one that forgot. Repeating it completes it. */
  async init(): Promise<{ readonly identity: string }> {
    // Witnesses that lost a ledger which the server still holds must not be given another one.
    if ((await this.#primary().survey()).ledger !== undefined) throw exists();
    const surveys = await Promise.all(this.#witnesses.map((witness) => witness.survey()));
    const members = surveys.flatMap((survey) => (survey.kind === 'member' ? [survey] : []));
    if (members.some(({ events }) => events > 0)) {
      throw new CountersignError(
        'LEDGER_EXISTS',
        'the witnesses keep a ledger already; replicas recover it by themselves',
      );
    }
    const identity = members[0]?.ledger ?? randomUUID();
    const ballot = { ledger: identity, epoch: FIRST_EPOCH };
    for (const [index, witness] of this.#witnesses.entries()) {
      const survey = surveys[index];
      if (survey?.kind === 'blank') await witness.install(ballot, { disk: survey.disk, count: 0 });
    }
    this.#settings.session.begin(FIRST_EPOCH);
    const { code, fields, epoch } = await this.#settings.session.read(
      SCRIPTS.init,
      ({ meta, journal, pending }) => ({
        keys: [meta, journal, pending],
        args: [identity, JSON.stringify({ identity }), '0'],
      }),
    );
    if (code === 'FENCED') throw fenced({ fields });
    if (code === 'EXISTS') throw exists();
    this.#settings.session.saw({ identity, epoch, sequence: 0 });
    await this.confirm([{ epoch, sequence: 1, event: fields[0] ?? '' }]);
    return { identity };
  }

  readonly mend = async (refusal: Refusal, attempt: number): Promise<void> => {
    const why = refusal.kind === 'fenced' ? refusal.fields[0] : refusal.kind;
    if (refusal.kind === 'fenced' && why === 'info') throw fenced(refusal);
    const { epoch } = this.#settings.session;
    if (why === 'role' || (why === 'left-behind' && this.#looksElsewhere(epoch))) {
      this.#settings.connection.renew();
      throw this.#undecided();
    }
    const recovery = await this.#start({ epoch, evenIfOpen: false });
    if (recovery === undefined || attempt >= ATTEMPTS) throw this.#undecided();
  };

  async meet(): Promise<void> {
    if (!this.#settings.session.isNew) await this.#confirmPending();
  }

  async confirm(events: readonly Unconfirmed[]): Promise<void> {
    await Promise.all(events.map((event) => this.#confirmOne(event)));
  }

  async #confirmOne({ epoch, sequence, event }: Unconfirmed): Promise<void> {
    const { observer } = this.#settings;
    const blank = event.indexOf(' ');
    const ballot = { ledger: event.slice(0, blank), epoch };
    const startedAt = performance.now();
    const result = await appendToMajority(this.#witnesses, ballot, {
      sequence,
      event: event.slice(blank + 1),
    });
    if (result === 'kept') {
      observer?.witnessed(performance.now() - startedAt);
      this.#confirmed.add(epoch, sequence);
      return;
    }
    // The witnesses have promised a newer epoch: of another server, or of a recovery that died, and then one is for us.
    if (this.#looksElsewhere(epoch)) this.#settings.connection.renew();
    else void this.#start({ epoch, evenIfOpen: true });
    throw this.#undecided();
  }

  /**
   * Whether the primary may be another server than the one that we are connected to: then that is looked for once in each
   * epoch, before a recovery makes this one the primary.
   */
  #looksElsewhere(epoch: number): boolean {
    if (!this.#settings.connection.movable || this.#lookedElsewhere === epoch) return false;
    this.#lookedElsewhere = epoch;
    return true;
  }

  /** Events whose recorder died before a majority had them: somebody has to finish, or nothing after them is durable. */
  async #confirmPending(): Promise<void> {
    const { session } = this.#settings;
    const { fields, epoch } = await session.read(SCRIPTS.pending, ({ meta, journal, pending }) => ({
      keys: [meta, journal, pending],
      args: [String(PENDING_EVENTS)],
    }));
    await this.confirm(unconfirmedOf(epoch, fields));
  }

  drop({ ledger, epoch, ...covered }: Covered): Promise<void> {
    return trimWitnesses(this.#witnesses, { ledger, epoch }, covered);
  }

  async problems(): Promise<readonly LedgerProblem[]> {
    const [states, faults, failure, refusal] = await Promise.all([
      this.states(),
      Promise.allSettled(this.#witnesses.map((witness) => witness.faults())),
      this.#lastingFailure(),
      this.#confirmPending().then(() => [], writeProblems),
    ]);
    const problems = [...refusal, ...witnessProblems(states, faults)];
    if (this.#recovering === undefined && failure === undefined) return problems;
    const text = `The ledger is being recovered from its witnesses: ${failure?.message ?? 'it is under way'}.`;
    return [{ code: 'RECOVERING', text, blocks: true }, ...problems];
  }

  /** Nobody tells us that another one has recovered since: a replica that nobody asks anything finds out here. */
  async #lastingFailure(): Promise<CountersignError | undefined> {
    const failed = this.#failure;
    if (failed === undefined) return undefined;
    const server = await this.#primary()
      .survey()
      .catch(() => undefined);
    if (server?.isOpen && server.epoch > failed.epoch && this.#failure === failed) this.#failure = undefined;
    return this.#failure?.error;
  }

  async states(): Promise<readonly WitnessState[]> {
    const surveys = await Promise.allSettled(this.#witnesses.map((witness) => witness.survey()));
    return surveys.map(witnessState);
  }

  async recover(): Promise<Recovery> {
    const { epoch } = await this.#primary().survey();
    const result = await this.#recover({ epoch, evenIfOpen: true });
    if (result !== undefined) return result;
    throw new CountersignError(
      'CONCURRENT_CHANGE',
      'a replica is recovering the ledger at this moment: look again',
    );
  }

  remains(sources: Omit<SalvageOrder, 'attest'>): Promise<Remains> {
    return remainsOf(this.#salvagePorts(), sources);
  }

  async salvage(order: SalvageOrder): Promise<Recovery> {
    // Recoveries are counted from one, so no ledger was ever in an epoch as high as this.
    const leastEpoch = Math.floor(Date.now() / 1000);
    const endsAt = performance.now() + SALVAGE_TURN_MS;
    const recovery = await this.#observed(async () => {
      for (;;) {
        const result = await this.#alone(() => salvage(this.#salvagePorts(), order, leastEpoch));
        if ((result !== 'busy' && result.kind === 'recovered') || performance.now() > endsAt) return result;
        // Short each time: replicas that disturb it go out of its way with longer ones.
        await pause(this.#turns.pauseMs(leastEpoch));
      }
    });
    if (recovery !== undefined) return recovery;
    throw new CountersignError(
      'CONCURRENT_CHANGE',
      'somebody else is at it, or Redis has restarted meanwhile: look again',
    );
  }

  /** One recovery of this process at a time; whoever needs one while it runs asks again afterwards. */
  #start(cause: RecoveryCause): Promise<Recovery | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    this.#recovering ??= this.#attempt(cause).finally(() => {
      this.#recovering = undefined;
    });
    return this.#recovering;
  }

  async #attempt(cause: RecoveryCause): Promise<Recovery | undefined> {
    try {
      const recovery = await this.#recover(cause);
      this.#failure = undefined;
      if (recovery !== undefined) return recovery;
    } catch (error) {
      const failure = error instanceof CountersignError ? error : unexpected(error);
      this.#failure = { error: failure, epoch: cause.epoch };
      if (LASTING.has(failure.code)) return undefined;
    }
    await pause(this.#turns.pauseMs(cause.epoch), undefined, { ref: false });
    return undefined;
  }

  #recover(cause: RecoveryCause): Promise<Recovery | undefined> {
    return this.#observed(() =>
      this.#alone(async () => {
        this.#settings.observer?.started(cause.epoch);
        const result = await recover(this.#salvagePorts(), cause);
        if (result.kind === 'overtaken') this.#turns.overtaken(cause.epoch);
        return result;
      }),
    );
  }

  #alone<T>(work: () => Promise<T>): Promise<T | 'busy'> {
    const { workspace, alone } = this.#settings;
    return alone === undefined ? work() : alone.run(`recovery:${workspace}`, work);
  }

  /** Undefined when somebody else recovers, or has. */
  async #observed(work: () => Promise<RecoveryResult | 'busy'>): Promise<Recovery | undefined> {
    const { observer } = this.#settings;
    const startedAt = performance.now();
    const milliseconds = () => performance.now() - startedAt;
    try {
      const result = await work();
      if (result === 'busy') return undefined;
      if (result.kind === 'overtaken') {
        observer?.ended('overtaken', { milliseconds: milliseconds(), events: 0 });
        return undefined;
      }
      const recovery = { epoch: result.epoch, events: result.events, milliseconds: milliseconds() };
      observer?.ended('recovered', recovery);
      return recovery;
    } catch (error) {
      observer?.ended('failed', { milliseconds: milliseconds(), events: 0, problem: messageOf(error) });
      throw error;
    }
  }

  #salvagePorts(): SalvagePorts {
    const { observer } = this.#settings;
    return {
      primary: this.#primary(),
      witnesses: this.#witnesses,
      progress: (step, done, total) => observer?.progress(step, done, total),
    };
  }

  #primary(): SalvagePrimary {
    const { workspace, connection } = this.#settings;
    return recoveryPrimary({ workspace, connection, witnessed: true, synced: '0' });
  }

  #undecided(): CountersignError {
    const failure = this.#failure?.error;
    if (failure !== undefined && LASTING.has(failure.code)) return failure;
    return new CountersignError(
      'LEDGER_RECOVERING',
      failure?.message ?? 'the ledger is being recovered from its witnesses after a restart or fail-over',
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#recovering?.catch(() => undefined);
    await Promise.all(this.#witnesses.map((witness) => witness.close()));
  }
}

function exists(): CountersignError {
  return new CountersignError('LEDGER_EXISTS', 'the store already holds a ledger');
}

function unexpected(cause: unknown): CountersignError {
  return new CountersignError('INTERNAL', `a recovery stopped on a defect: ${messageOf(cause)}`, { cause });
}
