/** Where the time of a run went: spans, as `GET …/trace` tells them, laid out in time. */
import type { Run, RunStatus, Step, Usage } from '../wire.ts';
import { endOf } from './row.ts';

export interface RunTrace {
  readonly run_id: string;
  readonly trace_id: string;
  readonly status: RunStatus;
  readonly spans: readonly TraceSpan[];
  readonly usage: Usage | null;
  /** Whether there were more spans than are kept. */
  readonly truncated: boolean;
  /** Null while the run goes on, and where the server knows no prices. */
  readonly cost?: number | null;
  readonly currency?: string | null;
}

export interface TraceSpan {
  readonly id: string;
  /** Null for the run itself. */
  readonly parent_id: string | null;
  readonly name: string;
  readonly kind: 'run' | 'queue' | 'attempt' | 'model' | 'tool' | 'client';
  /** Unix milliseconds. */
  readonly start_ms: number;
  /** Null while it goes on. */
  readonly end_ms: number | null;
  readonly attributes: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  readonly status: 'ok' | 'error' | 'open';
  readonly error: string | null;
}

/** A span in its place. */
export interface PlacedSpan {
  readonly span: TraceSpan;
  /** How many spans it lies in. */
  readonly depth: number;
  /** After the beginning of the run, in milliseconds. */
  readonly afterMs: number;
  readonly durationMs: number;
  /** When its first word came, after its own beginning; null where none came or none is known. */
  readonly firstWordMs: number | null;
  readonly outputTokens: number | null;
}

export interface Timeline {
  readonly spans: readonly PlacedSpan[];
  readonly lengthMs: number;
  /** Whether times are known to the second only. */
  readonly isCoarse: boolean;
}

/** Spans below the ones that they lie in, in the order of their beginning. @param nowMs where spans end that go on */
export function timelineOf({ spans }: RunTrace, nowMs: number): Timeline {
  const known = new Set(spans.map(({ id }) => id));
  const children = Map.groupBy(spans, ({ parent_id }) =>
    parent_id !== null && known.has(parent_id) ? parent_id : '',
  );
  const startMs = Math.min(...spans.map((span) => span.start_ms));
  const endOfSpan = (span: TraceSpan): number => span.end_ms ?? Math.max(span.start_ms, nowMs);
  const place = (parent: string, depth: number): PlacedSpan[] =>
    (children.get(parent) ?? [])
      .toSorted((one, other) => one.start_ms - other.start_ms)
      .flatMap((span) => [placed(span, depth, startMs, endOfSpan(span)), ...place(span.id, depth + 1)]);
  return {
    spans: place('', 0),
    lengthMs: Math.max(1, ...spans.map(endOfSpan).map((end) => end - startMs)),
    isCoarse: spans.some(({ attributes }) => attributes['longrun.coarse'] === true),
  };
}

function placed(span: TraceSpan, depth: number, startMs: number, endMs: number): PlacedSpan {
  const first = span.attributes['longrun.first_token_ms'];
  const output = span.attributes['gen_ai.usage.output_tokens'];
  return {
    span,
    depth,
    afterMs: span.start_ms - startMs,
    durationMs: endMs - span.start_ms,
    firstWordMs: typeof first === 'number' ? Math.max(0, first - span.start_ms) : null,
    outputTokens: span.kind === 'model' && typeof output === 'number' ? output : null,
  };
}

/** Tokens per second from the first word to the last; null where that is not known. */
export function speedOf({ outputTokens, firstWordMs, durationMs, span }: PlacedSpan): number | null {
  if (outputTokens === null || firstWordMs === null || span.end_ms === null) return null;
  const seconds = (durationMs - firstWordMs) / 1_000;
  return seconds > 0.005 && outputTokens > 1 ? outputTokens / seconds : null;
}

/** Round numbers for a scale, at most seven of them. */
export function ticksOf(lengthMs: number): readonly number[] {
  const power = 10 ** Math.floor(Math.log10(lengthMs / 5));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => lengthMs / each <= 6) ?? lengthMs;
  return Array.from({ length: Math.floor(lengthMs / step) + 1 }, (_, index) => index * step);
}

/** What the run and its steps tell of the time, to the second: for runs of which no trace is to be had. */
export function coarseTrace(run: Run, steps: readonly Step[]): RunTrace {
  const ms = (seconds: number): number => seconds * 1_000;
  const end = endOf(run);
  const endMs = end === null ? null : ms(end);
  const span = (
    given: Pick<TraceSpan, 'id' | 'parent_id' | 'name' | 'kind' | 'start_ms' | 'end_ms'>,
  ): TraceSpan => ({
    ...given,
    attributes: { 'longrun.coarse': true },
    status: given.end_ms === null ? 'open' : 'ok',
    error: null,
  });
  const root = span({
    id: 'run',
    parent_id: null,
    name: 'run',
    kind: 'run',
    start_ms: ms(run.created_at),
    end_ms: endMs,
  });
  const started = run.started_at;
  const queueEnd = started === null ? endMs : ms(started);
  const queue = span({
    ...root,
    id: 'queue',
    parent_id: 'run',
    name: 'queue',
    kind: 'queue',
    end_ms: queueEnd,
  });
  const parts = steps.map((step, index) => {
    const next = steps[index + 1]?.created_at;
    return span({
      id: step.id,
      parent_id: 'run',
      name: step.type,
      kind: step.type === 'tool_calls' ? 'tool' : 'model',
      start_ms: ms(step.created_at),
      end_ms: next === undefined ? endMs : ms(next),
    });
  });
  return {
    run_id: run.id,
    trace_id: '',
    status: run.status,
    spans: [root, queue, ...parts],
    usage: run.usage,
    truncated: false,
  };
}
