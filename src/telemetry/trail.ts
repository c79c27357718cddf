/** The way of one request through its steps: how long each took, and what a trace shows of it. */
import { randomBytes } from 'node:crypto';

/** Receive: authenticate and parse. Answer: sign. The others are those of core/decide.ts; witness is a part of commit. */
export type Step = 'receive' | 'examine' | 'evaluate' | 'commit' | 'witness' | 'answer';

/** One request as a trace sees it. */
export interface RequestSpan {
  readonly context: TraceParent;
  /** Begins a step; the function ends it. */
  begin(step: Step): (failure?: unknown) => void;
  /** Ends the request. Only ids and codes: attributes leave the machine. */
  end(attributes: Readonly<Record<string, string | number | boolean>>): void;
}

/** Begins the span of a request, below the one that the caller names. */
export type Tracer = (parent: TraceParent | undefined) => RequestSpan;

/** A span as W3C Trace Context names it (https://www.w3.org/TR/trace-context/#traceparent-header). */
export interface TraceParent {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** One byte; its lowest bit: recorded. */
  readonly flags: number;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined for whatever is no traceparent: a header that is broken is as good as none. */
export function readTraceParent(header: string | undefined): TraceParent | undefined {
  if (header === undefined || header.length > 512) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', rest] = TRACEPARENT.exec(header) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

export class Trail {
  /** Names this request in logs and traces; the caller's, when it named one. */
  readonly traceId: string;
  readonly #span: RequestSpan | undefined;
  readonly #elapsedMs = new Map<Step, number>();

  constructor(parent: TraceParent | undefined, tracer: Tracer | undefined) {
    this.#span = tracer?.(parent);
    this.traceId = this.#span?.context.traceId ?? parent?.traceId ?? randomBytes(16).toString('hex');
  }

  /** The way of a message that came with this `traceparent`. */
  static of(traceParent: string | undefined, tracer: Tracer | undefined): Trail {
    return new Trail(readTraceParent(traceParent), tracer);
  }

  /** The way of one request of several that came in one message. */
  below(tracer: Tracer | undefined): Trail {
    return new Trail(this.#span?.context ?? { traceId: this.traceId, spanId: '', flags: 0 }, tracer);
  }

  /** The span of this request, for whoever called (https://w3c.github.io/trace-context/#traceresponse-header). */
  get traceResponse(): string | undefined {
    if (this.#span === undefined) return undefined;
    const { traceId, spanId, flags } = this.#span.context;
    return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`;
  }

  /** Takes the time of one step, which may return a promise. */
  during<T>(step: Step, work: () => T): T {
    const startedAt = performance.now();
    const endSpan = this.#span?.begin(step);
    const end = (failure?: unknown): void => {
      this.#elapsedMs.set(step, (this.#elapsedMs.get(step) ?? 0) + performance.now() - startedAt);
      endSpan?.(failure);
    };
    let result: T;
    try {
      result = work();
    } catch (error) {
      end(error);
      throw error;
    }
    if (result instanceof Promise) result.then(() => end(), end);
    else end();
    return result;
  }

  /** Milliseconds by step, of those that were taken. */
  get elapsedMs(): ReadonlyMap<Step, number> {
    return this.#elapsedMs;
  }

  end(attributes: Readonly<Record<string, string | number | boolean>>): void {
    this.#span?.end(attributes);
  }
}
