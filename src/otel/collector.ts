/**
 * The spans of this process, sent to the collector that the variables of OpenTelemetry name: those of requests, those that BullMQ
 * makes of the queue's jobs, and those of runs. Loaded only where there is a collector.
 */
import { hostname } from 'node:os';
import {
  context,
  diag,
  DiagLogLevel,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import { BullMQOtel, BullMQOTelSpan } from 'bullmq-otel';
import { throttled, type Logger } from '../log.ts';
import type { SpanExport } from '../runs/trace/export.ts';
import type { Span, SpanKind as RunSpanKind } from '../runs/trace/span.ts';
import type { CollectorSettings, TracedProcess } from './open.ts';

/** A process that stops waits so long for its last spans to be taken. */
const LAST_SPANS_MS = 2_000;

/** Variables by which operators name what sends spans. */
const NAMED_BY = [resourceAttributesEnvDetector, serviceNameEnvDetector];

/** Of what BullMQ does, these belong to a job; the rest is its housekeeping. */
const OF_JOBS = /^(?:add|process) /;

const KINDS: Readonly<Partial<Record<RunSpanKind, SpanKind>>> = { model: SpanKind.CLIENT };

/** A request that is being answered. */
export interface RequestSpan {
  /** The header by which others name it as their parent. */
  readonly traceparent: string;
  /** @param route the pattern of its path; null where it has none */
  end(route: string | null, status: number): void;
}

export class Collector implements SpanExport {
  /** What BullMQ tells of its jobs. */
  readonly telemetry: ReturnType<typeof ofJobsOnly>;
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #ids = new GivenIds();

  constructor(settings: CollectorSettings, of: TracedProcess, log: Logger) {
    const tell = throttled((message: string) =>
      log.warn({ why: message.slice(0, 300) }, 'traces: trouble with the collector'),
    );
    const quiet = (): void => {};
    diag.setLogger(
      { error: tell, warn: tell, info: quiet, debug: quiet, verbose: quiet },
      { logLevel: DiagLogLevel.WARN },
    );
    context.setGlobalContextManager(new AsyncLocalStorageContextManager());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    const own = resourceFromAttributes({
      'service.name': `longrun-${of.kind}`,
      'service.instance.id': of.instance,
      'host.name': hostname(),
      'process.pid': process.pid,
    });
    this.#provider = new TracerProvider({
      resource: defaultResource()
        .merge(own)
        .merge(detectResources({ detectors: NAMED_BY })),
      sampler: samplerOf(settings),
      idGenerator: this.#ids,
      // Its address, headers and limits are read from the environment, by the names that OpenTelemetry gives them.
      spanProcessors: [
        new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), scheduledDelayMillis: settings.delayMs }),
      ],
    });
    trace.setGlobalTracerProvider(this.#provider);
    this.#tracer = this.#provider.getTracer('longrun');
    this.telemetry = ofJobsOnly(new BullMQOtel({ tracerName: 'bullmq' }));
  }

  active(): string | null {
    const span = trace.getSpanContext(context.active());
    return span !== undefined && isSpanContextValid(span) ? headerOf(span) : null;
  }

  /** Does work as part of the span that the header names; without one, as part of none. */
  within<T>(traceparent: string | undefined, work: () => T): T {
    return context.with(contextOf(traceparent), work);
  }

  /** Begins the span of a request. @param traceparent as its client sent it */
  request(method: string, path: string, traceparent: string | undefined): RequestSpan {
    const attributes = { 'http.request.method': method, 'url.path': path };
    const span = this.#tracer.startSpan(
      method,
      { kind: SpanKind.SERVER, attributes },
      contextOf(traceparent),
    );
    return {
      traceparent: headerOf(span.spanContext()),
      end: (route, status) => {
        if (route !== null) span.updateName(`${method} ${route}`).setAttribute('http.route', route);
        span.setAttribute('http.response.status_code', status);
        if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        span.end();
      },
    };
  }

  ended(
    { id, name, kind, start_ms, end_ms, attributes, error }: Span,
    parent: string,
    more: Attributes = {},
  ): void {
    const options = {
      kind: KINDS[kind] ?? SpanKind.INTERNAL,
      startTime: new Date(start_ms),
      attributes: { ...copyOf(attributes), ...more },
    };
    this.#ids.next = id;
    const span = this.#tracer.startSpan(name, options, contextOf(parent));
    this.#ids.next = null;
    if (error !== null) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
    span.end(new Date(end_ms ?? start_ms));
  }

  /** Sends what has ended, as far as that is taken in time. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_SPANS_MS);
    });
    // What went wrong is told in the log already.
    await Promise.race([this.#provider.shutdown().catch(() => {}), late]);
    clearTimeout(timer);
  }
}

/** Random ids, but for a span that has one already: the trace as JSON shows the same. */
class GivenIds extends RandomIdGenerator {
  next: string | null = null;

  override generateSpanId(): string {
    return this.next ?? super.generateSpanId();
  }
}

function samplerOf({ sampler, ratio }: CollectorSettings): Sampler {
  const [, parent = '', root = ''] = /^(parentbased_)?(.+)$/.exec(sampler) ?? [];
  const roots: Readonly<Record<string, () => Sampler>> = {
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  };
  const own = roots[root]?.() ?? new AlwaysOnSampler();
  return parent === '' ? own : new ParentBasedSampler({ root: own });
}

/** BullMQ's spans of jobs whose run is traced, and no others: each look for jobs would be a trace of its own. */
function ofJobsOnly({ tracer, contextManager }: BullMQOtel) {
  const nothing = new BullMQOTelSpan(trace.wrapSpanContext(INVALID_SPAN_CONTEXT));
  return {
    tracer: {
      startSpan: (name: string, options?: object, within: Context = context.active()) => {
        const parent = trace.getSpanContext(within);
        const isWanted = OF_JOBS.test(name) && parent !== undefined && isSpanContextValid(parent);
        return isWanted ? tracer.startSpan(name, options, within) : nothing;
      },
    },
    contextManager: {
      with: contextManager.with.bind(contextManager),
      active: () => contextManager.active(),
      root: () => ROOT_CONTEXT,
      getMetadata: (within: Context) => contextManager.getMetadata(within),
      // What runs now may belong to another job.
      fromMetadata: (_active: Context, metadata: string) =>
        contextManager.fromMetadata(ROOT_CONTEXT, metadata),
    },
  };
}

const headerOf = ({ traceId, spanId, traceFlags }: SpanContext): string =>
  `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;

const contextOf = (traceparent: string | undefined): Context =>
  traceparent === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { traceparent });

const copyOf = (attributes: Span['attributes']): Attributes =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, typeof value === 'object' ? [...value] : value]),
  );
