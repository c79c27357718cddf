/**
 * Asks that were answered "ask again" and are not decided yet, and what is left of the time that the vendor gives them:
 * then the transaction has failed. Figures are of all replicas together, as far as the board of the workspace can be
 * read (core/waiting.ts); otherwise of the asks that this replica was sent, and then they are never too alarming.
 */
import { randomUUID } from 'node:crypto';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Outcome } from '../core/decision.js';
import { subjectOf } from '../core/journal.js';
import type { Request } from '../core/request.js';
import {
  budgetOf,
  CAUSES,
  type Cause,
  causeOf,
  deliveriesOf,
  type RetrySchedule,
  type WaitingAsk,
} from '../core/waiting.js';
import { Waitlist } from './waitlist.js';

export interface Asker {
  readonly workspace: string;
  readonly cosigner: string;
}

type Labels = Asker & { readonly cause: Cause };

export class RetryMetrics {
  /** Names this process on the board. */
  readonly replica = randomUUID().slice(0, 8);
  readonly #givenUp: Counter<'workspace' | 'cosigner'>;
  readonly #forgotten: Counter;
  readonly #boardFailed: Counter<'workspace'>;
  readonly #schedules = new Map<string, { readonly asker: Asker; readonly schedule: RetrySchedule }>();
  readonly #lists = new Map<string, Waitlist>();

  constructor(
    registry: Registry,
    /** Unix milliseconds. */
    private readonly now: () => number = Date.now,
  ) {
    const registers = [registry];
    const labelNames = ['workspace', 'cosigner', 'cause'] as const;
    const outstanding = new Gauge({
      name: 'countersign_retries_outstanding',
      help: 'Asks that were answered "ask again" and that are not decided yet; policy: because a rule, a full limit or a freeze says so.',
      labelNames,
      registers,
      collect: () => this.#each((labels, waiting) => outstanding.set(labels, waiting.length)),
    });
    const oldest = new Gauge({
      name: 'countersign_retry_oldest_seconds',
      help: 'Since when the oldest ask that is not decided yet has been asked; 0 when there is none.',
      labelNames,
      registers,
      collect: () => this.#each((labels, waiting) => oldest.set(labels, this.#ageOf(waiting))),
    });
    const left = new Gauge({
      name: 'countersign_retry_budget_ratio',
      help: 'What is left of the time that the vendor gives the ask that is nearest to its end: 1 at its beginning and when nothing waits, 0 or less when the vendor has probably given up.',
      labelNames,
      registers,
      collect: () => this.#each((labels, waiting) => left.set(labels, this.#leastOf(labels, waiting).ratio)),
    });
    const seconds = new Gauge({
      name: 'countersign_retry_budget_seconds',
      help: 'When the vendor probably gives up on the ask that is nearest to its end, from now; absent when nothing waits.',
      labelNames,
      registers,
      collect: () => {
        seconds.reset();
        this.#each((labels, waiting) => {
          if (waiting.length > 0) seconds.set(labels, this.#leastOf(labels, waiting).seconds);
        });
      },
    });
    this.#givenUp = new Counter({
      name: 'countersign_retries_given_up_total',
      help: 'Asks that were never decided and that nobody asks about any more; each is counted by one replica.',
      labelNames: ['workspace', 'cosigner'],
      registers,
    });
    this.#forgotten = new Counter({
      name: 'countersign_retries_forgotten_total',
      help: 'Asks dropped from the figures above because this replica was sent more than 10000.',
      registers,
    });
    this.#boardFailed = new Counter({
      name: 'countersign_retry_board_failures_total',
      help: 'Times that the list of what waits could not be shared with the other replicas.',
      labelNames: ['workspace'],
      registers,
    });
  }

  /** From now on there are figures of this co-signer. */
  expect(asker: Asker, schedule: RetrySchedule): void {
    this.#schedules.set(nameOf(asker), { asker, schedule });
    this.#givenUp.inc({ ...asker }, 0);
    this.#boardFailed.inc({ workspace: asker.workspace }, 0);
    if (!this.#lists.has(asker.workspace)) this.#lists.set(asker.workspace, new Waitlist(this.replica));
  }

  askedAgain(request: Request, askKey: string, { reason, sentence }: Outcome & { kind: 'undecided' }): void {
    // Nobody waits for the answer to it.
    if (reason === 'NOT_VOTING') return;
    const { workspace, cosigner, signer, kind, stage, requestId } = request;
    // Whoever does not know "ask again" was given no answer, and does not wait for one.
    if (!this.#schedules.has(nameOf({ workspace, cosigner }))) return;
    const { txId, externalTxId } = subjectOf(request);
    const about = { cosigner, signer, kind, stage, requestId, txId, externalTxId, reason, sentence };
    if (this.#lists.get(workspace)?.asked(askKey, about, this.now()) === true) this.#forgotten.inc();
  }

  decided(workspace: string, askKey: string): void {
    this.#lists.get(workspace)?.decided(askKey);
  }

  /** What waits in a workspace; undefined where no co-signer asks again. */
  listOf(workspace: string): Waitlist | undefined {
    return this.#lists.get(workspace);
  }

  /** Undefined for a co-signer that this configuration does not know. */
  scheduleOf(asker: Asker): RetrySchedule | undefined {
    return this.#schedules.get(nameOf(asker))?.schedule;
  }

  gaveUp(asker: Asker): void {
    if (this.#schedules.has(nameOf(asker))) this.#givenUp.inc({ ...asker });
  }

  boardFailed(workspace: string): void {
    this.#boardFailed.inc({ workspace });
  }

  #each(tell: (labels: Labels, waiting: readonly WaitingAsk[]) => void): void {
    for (const [workspace, list] of this.#lists) {
      const groups = Map.groupBy(list.asks(), ({ about }) => `${about.cosigner} ${causeOf(about)}`);
      for (const { asker } of this.#schedules.values()) {
        if (asker.workspace !== workspace) continue;
        for (const cause of CAUSES) tell({ ...asker, cause }, groups.get(`${asker.cosigner} ${cause}`) ?? []);
      }
    }
  }

  #ageOf(waiting: readonly WaitingAsk[]): number {
    const firstMs = Math.min(...waiting.map((ask) => deliveriesOf(ask).firstMs));
    return waiting.length === 0 ? 0 : (this.now() - firstMs) / 1_000;
  }

  #leastOf(
    asker: Asker,
    waiting: readonly WaitingAsk[],
  ): { readonly ratio: number; readonly seconds: number } {
    const schedule = this.scheduleOf(asker);
    if (schedule === undefined || waiting.length === 0) return { ratio: 1, seconds: 0 };
    const nowMs = this.now();
    const budgets = waiting.map((ask) => budgetOf(deliveriesOf(ask), schedule));
    return {
      ratio: Math.min(1, ...budgets.map(({ left }) => left(nowMs))),
      seconds: Math.min(...budgets.map(({ givesUpAtMs }) => givesUpAtMs - nowMs)) / 1_000,
    };
  }
}

function nameOf({ workspace, cosigner }: Asker): string {
  return `${workspace} ${cosigner}`;
}
