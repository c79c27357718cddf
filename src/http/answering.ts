/** From bytes on the wire to bytes on the wire: receive, decide, answer. */
import type { Logger } from 'pino';
import type { Original } from '../audit/original.js';
import { type DecisionPorts, decide } from '../core/decide.js';
import { type Outcome, undecided } from '../core/decision.js';
import { assert, errorCodeOf, messageOf, unreachable } from '../core/errors.js';
import { askKeyOf } from '../core/fingerprint.js';
import { subjectOf } from '../core/journal.js';
import type { InboundMessage, OutboundMessage, Protocol, Received } from '../core/ports.js';
import type { Request } from '../core/request.js';
import type { AnsweredRequest, Metrics } from '../telemetry/metrics.js';
import { type Tracer, Trail } from '../telemetry/trail.js';
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

/** Where a replica tells what it does, besides its metrics. */
export interface Outlets {
  readonly logger: Logger;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer | undefined;
}

export interface AnsweringParts extends Outlets {
  readonly endpoints: readonly Endpoint[];
  /** Ports of the decision, by workspace. */
  readonly workspaces: ReadonlyMap<string, DecisionPorts>;
  /** By workspace and co-signer. */
  readonly timing: (request: Request) => CosignerTiming;
  readonly metrics: Metrics;
  /** Takes what was asked and answered, word for word. Never waits, and never throws. Absent: nothing is kept. */
  readonly keep?: (original: Original) => void;
  /** Told of every authentic request. Never waits, and never throws. */
  readonly noted?: (request: Request) => void;
}

export interface Inbound extends Omit<InboundMessage, 'route'> {
  readonly path: string;
}

/** One message on its way. */
interface Way {
  readonly startedAt: number;
  readonly trail: Trail;
  /** Told of each request in it, and of the answer as it is sent. */
  readonly keep: (request: Request, outcome: Outcome, sent: OutboundMessage) => void;
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
  /** Replaced as a whole when keys change; a message that is on its way keeps the one that it came to. */
  endpoints: readonly Endpoint[];
  #inFlight = 0;

  constructor(private readonly parts: AnsweringParts) {
    this.endpoints = parts.endpoints;
  }

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
    } catch (error) {
      metrics.crashed();
      throw error;
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

  async #answer(inbound: Inbound, startedAt: number): Promise<OutboundMessage | undefined> {
    const endpoint = this.#endpointOf(inbound.path);
    if (endpoint === undefined) return this.#pathUnknown(inbound.path);
    const trail = Trail.of(inbound.headers.traceparent, this.parts.tracer);
    const { path, ...rest } = inbound;
    const message = { ...rest, route: path.slice(endpoint.path.length) };
    try {
      return await this.#answerAt(endpoint, message, { startedAt, trail, keep: this.#keeperOf(message) });
    } catch (error) {
      trail.end({ code: errorCodeOf(error) });
      throw error;
    }
  }

  async #answerAt(
    endpoint: Endpoint,
    message: InboundMessage,
    way: Way,
  ): Promise<OutboundMessage | undefined> {
    const { startedAt, trail } = way;
    const received = await trail.during('receive', () => endpoint.protocol.receive(message));
    switch (received.kind) {
      case 'refused':
        trail.end({ code: received.code });
        return this.#refused(endpoint, received, trail);
      case 'batch':
        return this.#answerBatch(endpoint, received, way);
      case 'request': {
        const { request, key } = received;
        if (key !== undefined) this.parts.metrics.keys.verified(request, key);
        const outcome = await this.#decide(request, startedAt, trail);
        const answered = outcome.kind === 'decided' || this.parts.timing(request).retrySupported;
        const answer = answered
          ? await trail.during('answer', () => endpoint.protocol.answer(request, outcome))
          : undefined;
        this.#tell({ request, outcome, path: endpoint.shownAs, answered, seconds: since(startedAt) }, trail);
        if (answer === undefined) return undefined;
        const sent = traced(answer, trail);
        way.keep(request, outcome, sent);
        return sent;
      }
      default:
        return unreachable(received);
    }
  }

  async #answerBatch(
    endpoint: Endpoint,
    { requests, problems, answer }: Received & { kind: 'batch' },
    { startedAt, trail, keep }: Way,
  ): Promise<OutboundMessage> {
    for (const problem of problems) this.#noted(endpoint, { code: 'REQUEST_MALFORMED', problem }, trail);
    const decided = await Promise.all(
      requests.map(async (request) => {
        const own = trail.below(this.parts.tracer);
        return { request, outcome: await this.#decide(request, startedAt, own), own };
      }),
    );
    const answers = trail.during('answer', () => answer(decided.map(({ outcome }) => outcome)));
    const seconds = since(startedAt);
    for (const { request, outcome, own } of decided)
      this.#tell({ request, outcome, path: endpoint.shownAs, answered: true, seconds }, own);
    this.#end(trail, { requests: requests.length });
    const sent = traced(answers, trail);
    for (const { request, outcome } of decided) keep(request, outcome, sent);
    return sent;
  }

  #keeperOf(message: InboundMessage): Way['keep'] {
    const { keep } = this.parts;
    if (keep === undefined) return () => undefined;
    // Looked up now: a connection that closes meanwhile has forgotten it.
    const asked = { ...message, certificateSha256: message.certificateSha256() };
    return ({ protocol, workspace, cosigner, requestId }, outcome, answer) => {
      const sequence = outcome.kind === 'decided' ? outcome.decision.sequence : undefined;
      const about = { protocol, workspace, cosigner, requestId, sequence };
      keep({ atMs: Date.now(), ...about, request: asked, answer });
    };
  }

  async #decide(request: Request, startedAt: number, trail: Trail): Promise<Outcome> {
    const ports = portsOf(this.parts.workspaces.get(request.workspace), request, trail);
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
    return this.endpoints.find((endpoint) => `${path}/`.startsWith(`${endpoint.path}/`));
  }

  #pathUnknown(path: string): OutboundMessage {
    this.parts.metrics.refusals.pathUnknown();
    this.parts.logger.warn({ path: withoutSecrets(path) }, 'no co-signer is configured for this path');
    return plain(404);
  }

  #refused(
    endpoint: Endpoint | undefined,
    refused: Received & { kind: 'refused' },
    trail?: Trail,
  ): OutboundMessage {
    this.#noted(endpoint, refused, trail);
    return plain(refused.status);
  }

  #noted(
    endpoint: Endpoint | undefined,
    refused: Pick<Received & { kind: 'refused' }, 'code' | 'reason' | 'problem'>,
    trail?: Trail,
  ): void {
    const path = endpoint?.shownAs ?? '';
    const { code, problem } = refused;
    if (code === 'PATH_UNKNOWN') this.parts.metrics.refusals.pathUnknown();
    else this.parts.metrics.refusals.refused(path, refused);
    this.parts.logger.warn({ path, code, problem, traceId: trail?.traceId }, 'message refused');
  }

  /** What was answered, to all who keep count. */
  #tell(answered: Omit<AnsweredRequest, 'askKey'>, trail: Trail): void {
    const { request, outcome } = answered;
    this.parts.noted?.(request);
    this.parts.metrics.answered({ ...answered, askKey: askKeyOf(request) });
    const effect = outcome.kind === 'decided' ? outcome.decision.effect : 'retry';
    const { workspace, cosigner, kind, stage, requestId } = request;
    const reason = outcome.kind === 'decided' ? outcome.decision.reason : outcome.reason;
    this.#end(trail, { workspace, cosigner, kind, stage, requestId, answer: effect, reason });
    this.#log(answered, trail);
  }

  #end(trail: Trail, attributes: Readonly<Record<string, string | number>>): void {
    for (const [step, ms] of trail.elapsedMs) this.parts.metrics.stepTaken(step, ms / 1_000);
    trail.end(attributes);
  }

  #log({ request, outcome, seconds }: Omit<AnsweredRequest, 'askKey'>, trail: Trail): void {
    const { workspace, cosigner, signer, requestId, kind, stage } = request;
    const line = {
      workspace,
      cosigner,
      signer,
      requestId,
      kind,
      stage,
      ...subjectOf(request),
      ms: rounded(seconds * 1_000),
      steps: Object.fromEntries([...trail.elapsedMs].map(([step, ms]) => [step, rounded(ms)])),
      traceId: trail.traceId,
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

/** The ports of one decision: what takes time in it belongs to its own trail. */
function portsOf(ports: DecisionPorts | undefined, { workspace }: Request, trail: Trail): DecisionPorts {
  assert(ports !== undefined, `workspace ${workspace} has no ledger`);
  const { limitsCharged, faulted } = ports.observer;
  return {
    ...ports,
    observer: { limitsCharged, faulted, during: (step, work) => trail.during(step, work) },
  };
}

/** The answer names where its trace is found; nothing of a trace is told to strangers. */
function traced(answer: OutboundMessage, { traceResponse }: Trail): OutboundMessage {
  if (traceResponse === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, traceresponse: traceResponse } };
}

/** As long as the secret segment of a path has to be, and no words such as `config_change_sign_request`. */
const SECRET = /(?<=^|\/)(?![a-z]+(?:[_-][a-z]+)*(?:\/|$))[^/]{22,}/g;

/** A path may be that of a Virtual Signer but for its method, its case or what stands before it. */
function withoutSecrets(path: string): string {
  return path.replace(SECRET, '…').slice(0, 200);
}

function since(startedAt: number): number {
  return (performance.now() - startedAt) / 1_000;
}

/** Milliseconds with three decimals. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** Observes the faults of one workspace's decisions. */
export function observerOf(workspace: string, metrics: Metrics, logger: Logger): DecisionPorts['observer'] {
  return {
    during: (_, work) => work(),
    limitsCharged: (use) => metrics.limits.charged(workspace, use),
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
