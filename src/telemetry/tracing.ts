/**
 * Traces by OpenTelemetry, sent as OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp). Spans are begun by
 * hand: the instrumentation of HTTP costs ten times as much. Its SDK is not loaded unless an endpoint is set.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attributes, Span } from '@opentelemetry/api';
import { errorCodeOf } from '../core/errors.js';
import type { Logger } from './logging.js';
import type { RequestSpan, TraceParent, Tracer } from './trail.js';

export interface TracingSettings {
  /** Origin of the collector; `/v1/traces` is added. */
  readonly endpoint: string;
  readonly version: string;
  readonly replica: string | undefined;
  readonly logger: Logger;
}

export interface Tracing {
  readonly tracer: Tracer;
  /** Sends what is left, for a short time. */
  close(): Promise<void>;
}

/** A collector that is slow or gone costs spans, never answers: beyond this many they are dropped. */
const MOST_WAITING_SPANS = 8_192;
const EXPORT_TIMEOUT_MS = 5_000;
const EXPORT_INTERVAL_MS = 2_000;
/** What a collector has not taken by then is lost: a replica that stops waits for no one. */
const CLOSING_TIME_MS = 2_000;
const SILENCE_MS = 60_000;
const LONGEST_PROBLEM = 200;

export async function openTracing({ endpoint, version, replica, logger }: TracingSettings): Promise<Tracing> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const quiet = (): void => undefined;
  api.diag.setLogger(
    {
      verbose: quiet,
      debug: quiet,
      info: quiet,
      warn: quiet,
      error: seldom((problem) => logger.warn({ problem: brief(problem) }, 'traces are not delivered')),
    },
    { logLevel: api.DiagLogLevel.ERROR, suppressOverrideMessage: true },
  );
  const provider = new sdk.TracerProvider({
    // Whoever asks may say whether it is to be recorded; what nobody says anything about is.
    sampler: new sdk.ParentBasedSampler({ root: new sdk.AlwaysOnSampler() }),
    resource: resourceFromAttributes({
      'service.name': 'countersign',
      'service.version': version,
      ...(replica === undefined ? {} : { 'service.instance.id': replica }),
    }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new OTLPTraceExporter({
          url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
          timeoutMillis: EXPORT_TIMEOUT_MS,
        }),
        maxQueueSize: MOST_WAITING_SPANS,
        scheduledDelayMillis: EXPORT_INTERVAL_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      }),
    ],
  });
  const spans = provider.getTracer('countersign', version);
  const failed = { code: api.SpanStatusCode.ERROR } as const;
  const { ROOT_CONTEXT, SpanKind, trace } = api;

  function contextOf(parent: TraceParent | undefined) {
    if (parent === undefined) return ROOT_CONTEXT;
    const { traceId, spanId, flags } = parent;
    return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags & 1, isRemote: true });
  }

  function begin(parent: TraceParent | undefined): RequestSpan {
    const request = spans.startSpan('request', { kind: SpanKind.SERVER }, contextOf(parent));
    const inside = trace.setSpan(ROOT_CONTEXT, request);
    const { traceId, spanId, traceFlags } = request.spanContext();
    return {
      context: { traceId, spanId, flags: traceFlags },
      begin(step) {
        const span: Span = spans.startSpan(step, {}, inside);
        return (failure) => {
          // The message of an error may hold what must not leave the machine; its code does not.
          if (failure !== undefined) span.setStatus({ ...failed, message: errorCodeOf(failure) });
          span.end();
        };
      },
      end(attributes) {
        request.setAttributes(named(attributes));
        request.end();
      },
    };
  }

  return {
    tracer: begin,
    close: () =>
      Promise.race([provider.shutdown().catch(quiet), sleep(CLOSING_TIME_MS, undefined, { ref: false })]),
  };
}

/** The SDK tells an error as JSON text of all its fields, its stack first; what it says and its code are enough. */
function brief(problem: string): string {
  if (!problem.startsWith('{')) return problem.slice(0, LONGEST_PROBLEM);
  const { message = '', code = '' } = JSON.parse(problem) as Readonly<Record<string, unknown>>;
  return `${message} ${code}`.trim().slice(0, LONGEST_PROBLEM);
}

/** The same problem again and again is one line a minute. */
function seldom(tell: (problem: string) => void): (problem: string) => void {
  let silentUntil = 0;
  return (problem) => {
    if (performance.now() < silentUntil) return;
    silentUntil = performance.now() + SILENCE_MS;
    tell(problem);
  };
}

/** Attributes of ours stand under a name of ours, as the conventions ask. */
function named(attributes: Readonly<Record<string, string | number | boolean>>): Attributes {
  return Object.fromEntries(Object.entries(attributes).map(([key, value]) => [`countersign.${key}`, value]));
}
