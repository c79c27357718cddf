/**
 * From copies to comparisons. A request is authenticated, parsed and decided as a replica would, on a ledger that no
 * replica knows; then the handler's answer is held against the decision. Nothing here can answer: a protocol is asked
 * to receive and never to sign, and no key to sign answers with is ever loaded.
 */
import { type DecisionPorts, decide } from '../core/decide.js';
import type { Outcome } from '../core/decision.js';
import { CountersignError, messageOf } from '../core/errors.js';
import type { Protocol, Received } from '../core/ports.js';
import type { Request } from '../core/request.js';
import { deadlineAfter } from '../http/deadline.js';
import { actionOf, type Class, classOf } from './compare.js';
import type { Copy, HandlerAnswer } from './copy.js';
import { type Action, type HandlerKeys, MAX_ANSWER, type ReadAnswer } from './handler-answer.js';
import { type Subject, subjectOf } from './subject.js';

/** A base path and what is spoken there; it cannot answer. */
export interface Ear {
  readonly path: string;
  readonly protocol: Pick<Protocol, 'receive'>;
}

export interface Comparison {
  readonly class: Class;
  readonly at?: string | undefined;
  /** Absent: the message was refused. */
  readonly subject?: Subject;
  readonly ours?: { readonly action: Action; readonly outcome: Outcome };
  readonly theirs: ReadAnswer;
  /** Why the message was refused. */
  readonly problem?: string;
}

/** Told what became of copies. */
export interface Listener {
  /** Of each request, before its answer is looked at. */
  decided(ours: Action): void;
  compared(comparison: Comparison): void;
  /** A request whose answer never came, and an answer to a request that never came. */
  unanswered(subject: Subject): void;
  unasked(): void;
  /** Refused by us, and the handler gave no answer that a co-signer would take: neither serves strangers. */
  stranger(problem: string): void;
  /** A failure of ours: the copy was not compared. */
  faulted(problem: string): void;
}

export interface ExaminerParts {
  readonly ears: readonly Ear[];
  readonly workspaces: ReadonlyMap<string, DecisionPorts>;
  readonly handlerKeys: HandlerKeys;
  readonly deadlineMs: number;
  readonly listener: Listener;
  /** Monotonic, milliseconds. */
  readonly now?: () => number;
}

/** A co-signer waits 30 s: what comes later belongs to the next delivery. */
const PATIENCE_MS = 60_000;
/** Of each: with what is kept of one, a few megabytes. */
const MOST_OPEN = 2_000;
/** Roads that JWT messages take; on the others messages are plain JSON. */
const SIGNED_ROUTE = /\/v2\/[a-z_]+$/;

interface OpenRequest {
  /** As it stood: what is shown of it may be cut. */
  readonly requestId: string;
  readonly sinceMs: number;
  readonly at: string | undefined;
  readonly isSigned: boolean;
  readonly subject: Subject;
  readonly outcome: Outcome;
}

interface OpenAnswer {
  readonly requestId: string;
  readonly sinceMs: number;
  readonly answer: HandlerAnswer;
}

export class Examiner {
  readonly #parts: ExaminerParts;
  /** The oldest first. */
  #requests: OpenRequest[] = [];
  #answers: OpenAnswer[] = [];

  constructor(parts: ExaminerParts) {
    this.#parts = parts;
  }

  /** One after the other, in the order in which they passed: limits depend on it. Never rejects. */
  async take({ at, request, answer }: Copy): Promise<void> {
    const { listener } = this.#parts;
    try {
      if (request !== undefined) await this.#ask(at, request, answer);
      else if (answer !== undefined) await this.#match(answer);
    } catch (error) {
      listener.faulted(messageOf(error));
    }
    this.#expire(this.#now() - PATIENCE_MS, MOST_OPEN);
  }

  /** Nothing more will come. */
  end(): void {
    this.#expire(Number.POSITIVE_INFINITY, 0);
  }

  #now(): number {
    return (this.#parts.now ?? (() => performance.now()))();
  }

  async #ask(
    at: string | undefined,
    { path, body }: NonNullable<Copy['request']>,
    answer: HandlerAnswer | undefined,
  ): Promise<void> {
    const received = await this.#receive(path, body);
    if (received.kind !== 'request') return this.#refused(at, received, answer);
    const { request } = received;
    const outcome = await this.#decide(request);
    this.#parts.listener.decided(actionOf(outcome));
    const { requestId } = request;
    const open = { requestId, at, isSigned: SIGNED_ROUTE.test(path), subject: subjectOf(request), outcome };
    const found = answer ?? this.#answerTo(requestId);
    if (found !== undefined) await this.#compare(open, found);
    else this.#requests.push({ ...open, sinceMs: this.#now() });
  }

  async #receive(path: string, body: string): Promise<Received> {
    const ear = this.#parts.ears.find((each) => `${path}/`.startsWith(`${each.path}/`));
    if (ear === undefined) {
      const problem = 'no co-signer of the configuration has this path';
      return { kind: 'refused', status: 404, code: 'PATH_UNKNOWN', problem };
    }
    return ear.protocol.receive({
      route: path.slice(ear.path.length),
      body: Buffer.from(body),
      headers: {},
      address: '',
      certificateSha256: () => undefined,
    });
  }

  async #decide(request: Request): Promise<Outcome> {
    const { workspaces, deadlineMs } = this.#parts;
    const ports = workspaces.get(request.workspace);
    if (ports === undefined)
      throw new CountersignError('INTERNAL', `workspace ${request.workspace} has no ledger`);
    return decide(request, ports, deadlineAfter(deadlineMs));
  }

  async #refused(
    at: string | undefined,
    received: Exclude<Received, { kind: 'request' }>,
    answer: HandlerAnswer | undefined,
  ): Promise<void> {
    const { handlerKeys, listener } = this.#parts;
    const problem = received.kind === 'refused' ? received.problem : 'several requests in one message';
    const requestId = answer && (await handlerKeys.requestIdOf(answer));
    if (answer === undefined || requestId === undefined) {
      listener.stranger(problem);
      return;
    }
    const theirs = await handlerKeys.read(answer, { isSigned: true, requestId, stage: 'approval' });
    listener.compared({ class: 'refused', at, theirs, problem });
  }

  async #compare(
    { requestId, at, isSigned, subject, outcome }: Omit<OpenRequest, 'sinceMs'>,
    answer: HandlerAnswer,
  ): Promise<void> {
    const { handlerKeys, listener } = this.#parts;
    const theirs = await handlerKeys.read(answer, { isSigned, requestId, stage: subject.stage });
    const action = actionOf(outcome);
    listener.compared({ class: classOf(action, theirs), at, subject, ours: { action, outcome }, theirs });
  }

  /** An answer that was copied by itself: to the oldest delivery of its request that has none. */
  async #match(answer: HandlerAnswer): Promise<void> {
    const requestId = await this.#parts.handlerKeys.requestIdOf(answer);
    const open = this.#requests.find((each) => each.requestId === requestId);
    if (open !== undefined) {
      this.#requests = this.#requests.filter((each) => each !== open);
      await this.#compare(open, answer);
    } else if (requestId === undefined || answer.body.length > MAX_ANSWER) this.#parts.listener.unasked();
    else this.#answers.push({ requestId, answer, sinceMs: this.#now() });
  }

  #answerTo(requestId: string): HandlerAnswer | undefined {
    const found = this.#answers.find((each) => each.requestId === requestId);
    this.#answers = this.#answers.filter((each) => each !== found);
    return found?.answer;
  }

  #expire(beforeMs: number, most: number): void {
    const { listener } = this.#parts;
    const isOver = (open: { readonly sinceMs: number } | undefined, count: number) =>
      open !== undefined && (open.sinceMs < beforeMs || count > most);
    for (; isOver(this.#requests[0], this.#requests.length); this.#requests.shift())
      if (this.#requests[0] !== undefined) listener.unanswered(this.#requests[0].subject);
    for (; isOver(this.#answers[0], this.#answers.length); this.#answers.shift()) listener.unasked();
  }
}
