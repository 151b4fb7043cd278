/**
 * The trace of a run as one tree of spans, made of the run itself and of what workers have noted of it. Where there are no
 * notes, because they have expired or the run is older than they are, what the run and its steps tell is all there is: whole
 * seconds. Pure.
 */
import { holderOf } from '../attempts.ts';
import { calledFunction } from '../calls/kinds.ts';
import { isBlocked, isExecuting, isQueued, isTerminal, type RunState } from '../run.ts';
import type { Run, RunStep, Usage } from '../thread.ts';
import {
  MOST_NOTES,
  type BegunNote,
  type ModelNote,
  type OverNote,
  type ToolNote,
  type TraceNote,
} from './notes.ts';
import {
  attemptSpan,
  modelSpan,
  ownTraceId,
  spanId,
  timeOf,
  toolSpan,
  type Attributes,
  type Span,
} from './span.ts';
import { traceIdIn } from './traceparent.ts';

export interface RunTrace {
  readonly object: 'thread.run.trace';
  readonly run_id: string;
  readonly thread_id: string;
  readonly trace_id: string;
  readonly status: Run['status'];
  /** Ordered by their beginning; the first is the run, and the root of all others. */
  readonly spans: readonly Span[];
  /** Of the run so far. */
  readonly usage: Usage;
  /** Whether there were more spans than are kept. */
  readonly truncated: boolean;
}

/** Why a span has an end that nobody noted. */
const LOST = 'lost';

/** An attempt, and all that was noted inside. */
interface Attempt {
  readonly begun: BegunNote;
  readonly over: OverNote | null;
  readonly inside: readonly Span[];
}

/** @param steps of the run, oldest first */
export function traceOf(state: RunState, notes: readonly TraceNote[], steps: readonly RunStep[]): RunTrace {
  const { run, origin } = state;
  const attempts = attemptsIn(run, notes);
  const begunMs = beginningOf(run, attempts[0]);
  const parts =
    attempts.length > 0 ? partsOf(state, attempts, steps, begunMs) : coarseParts(state, steps, begunMs);
  const root = rootOf(state, parts, begunMs);
  const { end_ms } = root;
  // The note of the end may be on its way.
  const error = root.error === null ? null : LOST;
  const closed = end_ms === null ? parts : parts.map((span) => closedAt(span, end_ms, error));
  return {
    object: 'thread.run.trace',
    run_id: run.id,
    thread_id: run.thread_id,
    trace_id: traceIdIn(origin.traceparent) ?? ownTraceId(run.id),
    status: run.status,
    spans: [root, ...closed.toSorted((one, other) => one.start_ms - other.start_ms)],
    usage: run.usage ?? state.spent,
    truncated: notes.length >= MOST_NOTES,
  };
}

function attemptsIn(run: Run, notes: readonly TraceNote[]): readonly Attempt[] {
  const begun = new Map<number, BegunNote>();
  const over = new Map<number, OverNote>();
  const inside = new Map<number, Map<number, ModelNote | ToolNote>>();
  for (const note of notes) {
    if ('begun' in note) begun.set(note.begun, note);
    else if ('over' in note) over.set(note.over, note);
    else {
      const spans = inside.get(note.in) ?? new Map<number, ModelNote | ToolNote>();
      inside.set(note.in, spans);
      // A note that was sent twice may come after the one that says more.
      if (spans.get(note.n)?.until === undefined) spans.set(note.n, note);
    }
  }
  return [...begun.values()]
    .toSorted((one, other) => one.begun - other.begun)
    .map((note) => ({
      begun: note,
      over: over.get(note.begun) ?? null,
      inside: [...(inside.get(note.begun)?.values() ?? [])].map((each) =>
        'model' in each ? modelSpan(run, each) : toolSpan(run, each),
      ),
    }));
}

/** When the run began, in milliseconds: its job is added with it, unless its request had to wait or its job was lost. */
function beginningOf(run: Run, first?: Attempt): number {
  const queued = first?.begun.queued;
  return timeOf(run, queued !== undefined && queued >= 0 && queued < 1_000 ? queued : 0);
}

/** Everything below the root. */
function partsOf(
  state: RunState,
  attempts: readonly Attempt[],
  steps: readonly RunStep[],
  begunMs: number,
): readonly Span[] {
  const { run } = state;
  const spans: Span[] = [];
  let freeMs = begunMs;
  let before: Attempt | null = null;
  for (const attempt of attempts) {
    const startMs = timeOf(run, attempt.begun.at);
    if (before !== null && before.over === null) {
      // Since when it was lost, nobody knows.
      spans.push(...lostSpans(run, before, startMs));
      freeMs = startMs;
    }
    if (before !== null && isLeftToClient(before)) {
      const { queued = attempt.begun.at } = attempt.begun;
      const resumedMs = Math.min(Math.max(timeOf(run, queued), freeMs), startMs);
      spans.push(waiting(run, 'client', before.begun.begun, freeMs, resumedMs));
      freeMs = resumedMs;
    }
    if (freeMs < startMs || before === null)
      spans.push(waiting(run, 'queue', attempt.begun.begun, Math.min(freeMs, startMs), startMs));
    if (attempt.over !== null) {
      spans.push(attemptSpan(run, attempt.begun, attempt.over), ...attempt.inside);
      freeMs = timeOf(run, attempt.over.at);
    }
    before = attempt;
  }
  if (before !== null) spans.push(...afterLast(state, before, steps, freeMs));
  return spans;
}

/** What there is after the last attempt that was noted, or of it where it has not ended. */
function afterLast(
  state: RunState,
  last: Attempt,
  steps: readonly RunStep[],
  freeMs: number,
): readonly Span[] {
  const { run } = state;
  const { begun } = last.begun;
  if (last.over === null) {
    if (!isQueued(run)) return [attemptSpan(run, last.begun, null), ...last.inside];
    const lostMs = Math.max(
      timeOf(run, last.begun.at),
      ...last.inside.map(({ start_ms, end_ms }) => end_ms ?? start_ms),
    );
    return [...lostSpans(run, last, lostMs), waiting(run, 'queue', 'next', lostMs, null)];
  }
  if (isLeftToClient(last)) {
    if (!isQueued(run) && !isExecuting(run)) return [waiting(run, 'client', begun, freeMs, null)];
    const answered = steps.findLast(({ type }) => type === 'tool_calls')?.completed_at ?? 0;
    const resumedMs = Math.max(freeMs, answered * 1_000);
    const wait = waiting(run, 'client', begun, freeMs, resumedMs);
    return isQueued(run)
      ? [wait, waiting(run, 'queue', 'next', resumedMs, null)]
      : [wait, ...unnoted(state, resumedMs)];
  }
  if (isQueued(run)) return [waiting(run, 'queue', 'next', freeMs, null)];
  return isExecuting(run) ? unnoted(state, freeMs) : [];
}

/** The attempt of a worker whose first note has not come yet. */
function unnoted(state: RunState, freeMs: number): readonly Span[] {
  const { run } = state;
  const startMs = Math.max(freeMs, (run.started_at ?? 0) * 1_000);
  const worker = holderOf(state) ?? '';
  return [attemptSpan(run, { begun: 0, at: startMs - run.created_at * 1_000, worker }, null)];
}

const isLeftToClient = ({ over }: Attempt): boolean => over?.outcome === 'blocked';

/** An attempt whose worker has not said how it ended. */
function lostSpans(run: Run, { begun, inside }: Attempt, untilMs: number): readonly Span[] {
  return [attemptSpan(run, begun, null), ...inside].map((span) => closedAt(span, untilMs, LOST));
}

function closedAt(span: Span, atMs: number, error: string | null): Span {
  if (span.end_ms !== null) return span;
  const end_ms = Math.max(span.start_ms, atMs);
  // Waiting needs nobody who notes its end.
  const isWaiting = span.kind === 'client' || span.kind === 'queue';
  return {
    ...span,
    end_ms,
    ...(isWaiting || error === null ? { status: 'ok' } : { status: 'error', error }),
  };
}

function waiting(
  { id }: Run,
  kind: 'queue' | 'client',
  which: number | string,
  start_ms: number,
  end_ms: number | null,
): Span {
  return {
    id: spanId(id, kind, which),
    parent_id: spanId(id),
    name: kind,
    kind,
    start_ms,
    end_ms,
    attributes: {},
    status: end_ms === null ? 'open' : 'ok',
    error: null,
  };
}

function rootOf(state: RunState, parts: readonly Span[], begunMs: number): Span {
  const { run, spent } = state;
  const start_ms = Math.min(begunMs, ...parts.map((span) => span.start_ms));
  const isOver = isTerminal(run);
  const knownMs = Math.max(start_ms, ...parts.map((span) => span.end_ms ?? span.start_ms));
  const error = isOver ? failureOf(run) : null;
  const { prompt_tokens, completion_tokens } = run.usage ?? spent;
  return {
    id: spanId(run.id),
    parent_id: null,
    name: 'run',
    kind: 'run',
    start_ms,
    end_ms: isOver ? Math.max(knownMs, (endedAt(run) ?? 0) * 1_000) : null,
    attributes: {
      'gen_ai.agent.id': run.assistant_id,
      'gen_ai.conversation.id': run.thread_id,
      'gen_ai.request.model': run.model,
      'gen_ai.usage.input_tokens': prompt_tokens,
      'gen_ai.usage.output_tokens': completion_tokens,
      'longrun.run.id': run.id,
      'longrun.status': run.status,
      ...(error !== null && { 'error.type': error }),
    },
    status: isOver ? okUnless(error) : 'open',
    error,
  };
}

const okUnless = (error: string | null): 'ok' | 'error' => (error === null ? 'ok' : 'error');

/** Why a run that has ended did not succeed; null also for one that was cancelled. */
function failureOf(run: Run): string | null {
  if (run.last_error !== null) return run.last_error.code;
  // Of the runs that have ended, only those that expired keep it.
  return run.expires_at === null ? null : 'expired';
}

/** When a run ended, in unix seconds; null where it does not say. */
function endedAt({ completed_at, cancelled_at, failed_at, expires_at }: Run): number | null {
  return completed_at ?? cancelled_at ?? failed_at ?? expires_at;
}

const COARSE: Attributes = { 'longrun.coarse': true };

/** What the run and its steps tell, to the second. */
function coarseParts(state: RunState, steps: readonly RunStep[], begunMs: number): readonly Span[] {
  const { run } = state;
  if (run.started_at === null) return [waiting(run, 'queue', 'first', begunMs, null)];
  const startMs = Math.max(begunMs, run.started_at * 1_000);
  const worker = holderOf(state) ?? '';
  const begun = { begun: 0, at: startMs - run.created_at * 1_000, worker };
  const isOn = isExecuting(run) || isBlocked(run);
  const over = isOn ? null : { at: begun.at };
  const inside = steps.flatMap((step) => coarseSpans(run, step));
  const attempt = attemptSpan(run, begun, over);
  const endMs = Math.max(startMs, (endedAt(run) ?? 0) * 1_000, ...inside.map(({ end_ms }) => end_ms ?? 0));
  const { 'longrun.worker': _worker, ...attributes } = attempt.attributes;
  return [
    waiting(run, 'queue', 'first', Math.min(begunMs, startMs), startMs),
    {
      ...attempt,
      ...(attempt.end_ms !== null && { end_ms: endMs }),
      attributes: { ...attributes, ...COARSE },
    },
    ...inside,
  ];
}

function coarseSpans(run: Run, step: RunStep): readonly Span[] {
  const { id, created_at, completed_at, cancelled_at, failed_at, expired_at, last_error, step_details } =
    step;
  const ended = completed_at ?? cancelled_at ?? failed_at ?? expired_at;
  const note = {
    in: 0,
    n: 0,
    at: (created_at - run.created_at) * 1_000,
    ...(ended !== null && { until: (ended - run.created_at) * 1_000 }),
    ...(last_error !== null && { error: last_error.code }),
  };
  const spans =
    step_details.type === 'message_creation'
      ? [modelSpan(run, { ...note, model: run.model, upstream: '' })]
      : step_details.tool_calls.map((call) =>
          toolSpan(run, { ...note, tool: calledFunction(call).name, call: call.id, kind: 'function' }),
        );
  return spans.map((span, index) => ({
    ...span,
    id: spanId(run.id, id, index),
    attributes: { ...withoutGuesses(span.attributes), ...COARSE },
  }));
}

/** A step does not say where the model was asked, nor who made its calls. */
function withoutGuesses(attributes: Attributes): Attributes {
  const { 'longrun.upstream': _upstream, 'longrun.tool.kind': _kind, ...known } = attributes;
  return known;
}
