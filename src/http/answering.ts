/** From bytes on the wire to bytes on the wire: receive, decide, answer. */
import type { Logger } from 'pino';
import { type DecisionPorts, decide } from '../core/decide.js';
import { type Outcome, undecided } from '../core/decision.js';
import { assert, messageOf, unreachable } from '../core/errors.js';
import { subjectOf } from '../core/journal.js';
import type { InboundMessage, OutboundMessage, Protocol, Received } from '../core/ports.js';
import type { Request } from '../core/request.js';
import type { Metrics } from '../telemetry/metrics.js';
import { deadlineAfter } from './deadline.js';

/** One base path and the co-signers behind it. */
export interface Endpoint {
  readonly path: string;
  /** For log and metrics: a path may hold a secret. */
  readonly shownAs: string;
  readonly protocol: Protocol;
}

/** What the configuration says about how a co-signer wants to be answered. */
export interface CosignerTiming {
  readonly deadlineMs: number;
  /** False: it does not know "ask again", so it is kept waiting and at last gets no answer. */
  readonly retrySupported: boolean;
}

export interface AnsweringParts {
  readonly endpoints: readonly Endpoint[];
  /** Ports of the decision, by workspace. */
  readonly workspaces: ReadonlyMap<string, DecisionPorts>;
  /** By workspace and co-signer. */
  readonly timing: (request: Request) => CosignerTiming;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface Inbound extends Omit<InboundMessage, 'route'> {
  readonly path: string;
}

/** More would wait past their deadlines; those that are turned away cost a signature and are asked again. */
const MAX_IN_FLIGHT = 1_000;

/** How long a co-signer without "ask again" is kept waiting; it gives up at 30 s. */
const HOLD_MS = 25_000;
const HOLD_PAUSE_MS = 1_000;

/** What a stranger is told: always the same, whatever was wrong. */
const REFUSALS = {
  400: 'bad request\n',
  401: 'unauthorized\n',
  404: 'not found\n',
  413: 'too large\n',
} as const;

export class Answering {
  #inFlight = 0;

  constructor(private readonly parts: AnsweringParts) {}

  /** Requests that are being decided now. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Resolves to undefined when the connection is to be closed without an answer. Never rejects for bad input. */
  async answer(inbound: Inbound): Promise<OutboundMessage | undefined> {
    const { metrics } = this.parts;
    this.#inFlight += 1;
    metrics.started();
    try {
      return await this.#answer(inbound, performance.now());
    } finally {
      this.#inFlight -= 1;
      metrics.finished();
    }
  }

  /** An oversized body, or a method other than POST: what never reaches a protocol. */
  refuse(path: string, status: 404 | 413): OutboundMessage {
    if (status === 404) return this.#pathUnknown(path);
    return this.#refused(this.#endpointOf(path), {
      kind: 'refused',
      status,
      code: 'BODY_TOO_LARGE',
      problem: 'the body exceeds http.bodyLimit',
    });
  }

  async #answer({ path, ...inbound }: Inbound, startedAt: number): Promise<OutboundMessage | undefined> {
    const endpoint = this.#endpointOf(path);
    if (endpoint === undefined) return this.#pathUnknown(path);
    const received = await endpoint.protocol.receive({ ...inbound, route: path.slice(endpoint.path.length) });
    switch (received.kind) {
      case 'refused':
        return this.#refused(endpoint, received);
      case 'batch': {
        for (const problem of received.problems) this.#noted(endpoint, 'REQUEST_MALFORMED', problem);
        const outcomes = received.requests.map((request) => this.#decide(request, startedAt));
        const answer = received.answer(await Promise.all(outcomes));
        for (const [index, request] of received.requests.entries())
          this.#answered(request, await outcomes[index], startedAt);
        return answer;
      }
      case 'request': {
        const { request } = received;
        const outcome = await this.#decide(request, startedAt);
        const silent = outcome.kind === 'undecided' && !this.parts.timing(request).retrySupported;
        const answer = silent ? undefined : await endpoint.protocol.answer(request, outcome);
        this.#answered(request, outcome, startedAt);
        return answer;
      }
      default:
        return unreachable(received);
    }
  }

  #answered(request: Request, outcome: Outcome | undefined, startedAt: number): void {
    assert(outcome !== undefined, 'a request without an outcome');
    const seconds = (performance.now() - startedAt) / 1_000;
    this.parts.metrics.answered(request, outcome, seconds);
    this.#log(request, outcome, seconds);
  }

  async #decide(request: Request, startedAt: number): Promise<Outcome> {
    const ports = this.parts.workspaces.get(request.workspace);
    assert(ports !== undefined, `workspace ${request.workspace} has no ledger`);
    if (this.#inFlight > MAX_IN_FLIGHT) return undecided('OVERLOADED');
    const { deadlineMs, retrySupported } = this.parts.timing(request);
    const elapsedMs = performance.now() - startedAt;
    if (retrySupported) return decide(request, ports, deadlineAfter(deadlineMs - elapsedMs));

    const hold = deadlineAfter(HOLD_MS - elapsedMs);
    for (;;) {
      const outcome = await decide(request, ports, deadlineAfter(Math.min(deadlineMs, hold.remainingMs())));
      if (outcome.kind === 'decided' || hold.remainingMs() <= HOLD_PAUSE_MS) return outcome;
      await hold.pause(HOLD_PAUSE_MS);
    }
  }

  #endpointOf(path: string): Endpoint | undefined {
    return this.parts.endpoints.find((endpoint) => `${path}/`.startsWith(`${endpoint.path}/`));
  }

  #pathUnknown(path: string): OutboundMessage {
    this.parts.metrics.pathUnknown();
    this.parts.logger.warn({ path: path.slice(0, 200) }, 'no co-signer is configured for this path');
    return plain(404);
  }

  #refused(
    endpoint: Endpoint | undefined,
    { status, code, problem }: Received & { kind: 'refused' },
  ): OutboundMessage {
    if (status === 404) this.parts.metrics.pathUnknown();
    this.#noted(endpoint, code, problem);
    return plain(status);
  }

  #noted(endpoint: Endpoint | undefined, code: string, problem: string): void {
    this.parts.metrics.refused(endpoint?.shownAs ?? '', code);
    this.parts.logger.warn({ path: endpoint?.shownAs, code, problem }, 'message refused');
  }

  #log(request: Request, outcome: Outcome, seconds: number): void {
    const { workspace, cosigner, signer, requestId, kind, stage } = request;
    const line = {
      workspace,
      cosigner,
      signer,
      requestId,
      kind,
      stage,
      ...subjectOf(request),
      ms: Math.round(seconds * 1_000_000) / 1_000,
    };
    if (outcome.kind === 'undecided') {
      this.parts.logger.warn({ ...line, answer: 'retry', reason: outcome.reason }, 'undecided');
      return;
    }
    const { effect, rule, reason, sequence } = outcome.decision;
    const decided = { ...line, answer: effect, rule, reason, sequence, repeated: outcome.repeated };
    if (outcome.conflict) this.parts.logger.error(decided, 'conflict');
    else this.parts.logger.info(decided, 'decided');
  }
}

/** Observes the faults of one workspace's decisions. */
export function observerOf(workspace: string, metrics: Metrics, logger: Logger): DecisionPorts['observer'] {
  return {
    limitsCharged: (use) => metrics.limitsCharged(workspace, use),
    faulted(reason, cause) {
      metrics.faulted(workspace, reason);
      const internal = reason === 'INTERNAL' && cause instanceof Error ? { stack: cause.stack } : {};
      logger.error({ workspace, reason, cause: messageOf(cause), ...internal }, 'fault while deciding');
    },
  };
}

function plain(status: keyof typeof REFUSALS): OutboundMessage {
  return { status, contentType: 'text/plain; charset=utf-8', body: REFUSALS[status] };
}
