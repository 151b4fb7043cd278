/**
 * Notes what this worker does with its runs, for their traces: attempts, requests to model servers, calls. Costs a run a few
 * objects, and Redis a write or two that nobody waits for. Where traces are collected, spans go there as they end.
 */
import {
  shortName,
  type BegunNote,
  type ModelNote,
  type ToolNote,
  type ToolSpanKind,
  type TraceNote,
} from '../runs/trace/notes.ts';
import type { AskedModel, ModelTraces, RequestTrace, SpanExport } from '../runs/trace/export.ts';
import { attemptSpan, modelSpan, spanId, toolSpan } from '../runs/trace/span.ts';
import { siblingOf } from '../runs/trace/traceparent.ts';
import type { RunRef } from '../store/keys.ts';
import type { CommittedTransition } from '../store/report.ts';
import type { StoredRun } from '../store/runs.ts';

export interface RunTracesOptions {
  /** Names this worker. */
  readonly worker: string;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
  /** Null where no traces are kept. */
  readonly notes: { add(ref: RunRef, note: () => TraceNote): void; send(runId: string): void } | null;
  /** Null where none are collected. */
  readonly collector: SpanExport | null;
}

/** The events after which a worker is through with a run, or the run with it. */
const OUTCOMES: Readonly<Partial<Record<CommittedTransition['type'], string>>> = {
  'run.blocked': 'blocked',
  'run.released': 'released',
  'run.cancelled': 'cancelled',
  'run.completed': 'completed',
  'run.incomplete': 'incomplete',
  'run.failed': 'failed',
  'run.expired': 'expired',
};

export class RunTraces implements ModelTraces {
  readonly #options: RunTracesOptions;
  /** A process executes a run once at a time. */
  readonly #attempts = new Map<string, AttemptTrace>();

  constructor(options: RunTracesOptions) {
    this.#options = options;
  }

  /**
   * This worker has started the run.
   * @param addedMs when its job was added; null where that is not known
   */
  begin(started: StoredRun, addedMs: number | null): void {
    const { notes, collector } = this.#options;
    if (notes === null && collector === null) return;
    this.#attempts.set(started.ref.runId, new AttemptTrace(this.#options, started, addedMs));
  }

  /** This worker is through with the run, however that came. */
  end(runId: string): void {
    this.#attempts.get(runId)?.end();
    this.#attempts.delete(runId);
  }

  /** Hears of what this process has committed. */
  heard({ run_id, type }: CommittedTransition): void {
    const outcome = OUTCOMES[type];
    const attempt = outcome === undefined ? undefined : this.#attempts.get(run_id);
    if (attempt !== undefined) attempt.outcome = outcome;
  }

  request(runId: string, asked: AskedModel): RequestTrace | null {
    return this.#attempts.get(runId)?.request(asked) ?? null;
  }

  /** @returns what hears of the end of the call */
  call(runId: string | null, kind: ToolSpanKind, tool: string, call: string | null): CallTrace | null {
    return this.#attempts.get(runId ?? '')?.call(kind, tool, call ?? '') ?? null;
  }
}

/** Hears how a call of a tool ends. */
export interface CallTrace {
  answered(value: unknown): void;
  /** @param error in a word or two */
  failed(error: string): void;
  /** Nobody wants to know any more; changes nothing where it has ended. */
  cancelled(): void;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

class AttemptTrace {
  outcome: string | undefined;
  readonly #options: RunTracesOptions;
  readonly #started: StoredRun;
  readonly #begun: BegunNote;
  /** What its spans are collected under; null where they are not. */
  readonly #parent: string | null;
  #spans = 0;

  constructor(options: RunTracesOptions, started: StoredRun, addedMs: number | null) {
    this.#options = options;
    this.#started = started;
    this.#begun = {
      begun: started.seq,
      at: this.#now(),
      ...(addedMs !== null && { queued: this.#since(addedMs) }),
      worker: options.worker,
    };
    this.#parent =
      options.collector?.active() ?? (options.collector && (started.state.origin.traceparent ?? null));
    options.notes?.add(started.ref, () => this.#begun);
  }

  end(): void {
    const { notes, collector } = this.#options;
    const { ref, state } = this.#started;
    const over = {
      over: this.#begun.begun,
      at: this.#now(),
      ...(this.outcome !== undefined && { outcome: this.outcome }),
    };
    notes?.add(ref, () => over);
    notes?.send(ref.runId);
    if (this.#parent !== null) collector?.ended(attemptSpan(state.run, this.#begun, over), this.#parent);
  }

  request({ model, upstream, named, isAgain }: AskedModel): RequestTrace {
    const note: Writable<ModelNote> = {
      model: shortName(model),
      upstream: upstream.name,
      ...(named !== model && { as: shortName(named) }),
      ...(isAgain && { again: true }),
      ...this.#inside(),
    };
    const over = this.#add(note, () => {
      this.#collect(() => modelSpan(this.#started.state.run, note), addressIn(upstream.baseUrl));
    });
    const end = this.#ending(note, over);
    return {
      begun: () => {
        note.first = this.#now();
      },
      finished: (reason, usage) => {
        note.finish = reason;
        if (usage === null) return;
        const { prompt_tokens, completion_tokens, prompt_token_details, completion_tokens_details } = usage;
        note.tokens = [
          prompt_tokens,
          completion_tokens,
          prompt_token_details.cached_tokens,
          completion_tokens_details.reasoning_tokens,
        ];
      },
      answered: () => end({}),
      failed: (error) => end({ error }),
      cancelled: () => end({ cut: true }),
    };
  }

  call(kind: ToolSpanKind, tool: string, call: string): CallTrace {
    const note: Writable<ToolNote> = {
      tool: shortName(tool),
      kind,
      call: shortName(call),
      ...this.#inside(),
    };
    const over = this.#add(note, () => this.#collect(() => toolSpan(this.#started.state.run, note)));
    const end = this.#ending(note, over);
    return {
      answered: (value) => end(isFailedAnswer(value) ? { error: 'failed' } : {}),
      failed: (error) => end({ error }),
      cancelled: () => end({ cut: true }),
    };
  }

  /** Notes a span that begins, and once more when it ends, unless that comes before it was sent. */
  #add(note: ModelNote | ToolNote, collect: () => void): () => void {
    const { notes } = this.#options;
    const { ref } = this.#started;
    let isSent = false;
    notes?.add(ref, () => {
      isSent = true;
      return note;
    });
    return () => {
      if (isSent) notes?.add(ref, () => note);
      collect();
    };
  }

  /** Ends a span, once. */
  #ending(note: ModelNote | ToolNote, over: () => void): (how: Pick<ToolNote, 'error' | 'cut'>) => void {
    return (how) => {
      if (note.until !== undefined) return;
      Object.assign(note, { until: this.#now(), ...how });
      over();
    };
  }

  #collect(span: () => ReturnType<typeof modelSpan>, more = {}): void {
    if (this.#parent === null) return;
    const attempt = spanId(this.#started.ref.runId, this.#begun.begun);
    this.#options.collector?.ended(span(), siblingOf(this.#parent, attempt), more);
  }

  #inside(): Pick<ModelNote, 'in' | 'n' | 'at'> {
    this.#spans += 1;
    return { in: this.#begun.begun, n: this.#spans, at: this.#now() };
  }

  #now(): number {
    return this.#since(this.#options.nowMs());
  }

  #since(ms: number): number {
    return ms - this.#started.state.run.created_at * 1_000;
  }
}

/** Tools answer with JSON, failures included. */
const isFailedAnswer = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.keys(value).length === 1 &&
  typeof Reflect.get(value, 'error') === 'string';

function addressIn(baseUrl: string): { 'server.address'?: string; 'server.port'?: number } {
  if (!URL.canParse(baseUrl)) return {};
  const { hostname, port, protocol } = new URL(baseUrl);
  const usual = protocol === 'https:' ? 443 : 80;
  return { 'server.address': hostname, 'server.port': port === '' ? usual : Number(port) };
}
