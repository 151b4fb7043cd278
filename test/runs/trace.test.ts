/** Traces made of what was noted: the cases that a service on one machine seldom shows. */
import { expect, test } from 'vitest';
import { apply, applyAll, type RunState } from '../../src/runs/run.ts';
import type { RunEvent } from '../../src/runs/event.ts';
import { MOST_NOTES, type TraceNote } from '../../src/runs/trace/notes.ts';
import { traceOf, type RunTrace } from '../../src/runs/trace/trace.ts';
import { eventsFor } from './histories.ts';

const { run, origin } = apply(null, eventsFor(null)['run.queued']).state;
const queued = { type: 'run.queued', at: run.created_at, run, origin } as const;
const AT = run.created_at;
const BASE_MS = AT * 1_000;

function stateAfter(...events: readonly RunEvent[]): RunState {
  return applyAll(apply(null, queued).state, events);
}

const STARTED: RunEvent = { type: 'run.started', at: AT, worker: 'host/a' };
const CANCELLED: readonly RunEvent[] = [
  { type: 'run.cancelling', at: AT + 9 },
  { type: 'run.cancelled', at: AT + 9 },
];

const shown = ({ spans }: RunTrace): readonly unknown[] =>
  spans.map(({ kind, start_ms, end_ms, error }) => [
    kind,
    start_ms - BASE_MS,
    end_ms === null ? null : end_ms - BASE_MS,
    ...(error === null ? [] : [error]),
  ]);

const begun = (seq: number, at: number, queuedAt = at): TraceNote => ({
  begun: seq,
  at,
  queued: queuedAt,
  worker: 'host/a',
});

test('a run that waits is open, and so is its waiting', () => {
  expect(shown(traceOf(stateAfter(), [], []))).toEqual([
    ['run', 0, null],
    ['queue', 0, null],
  ]);
});

test('a run that a worker gave back waits again', () => {
  const notes: readonly TraceNote[] = [
    begun(2, 30, 10),
    { over: 2, at: 500, outcome: 'released' },
    begun(4, 800, 10),
  ];
  expect(shown(traceOf(stateAfter(STARTED), notes, []))).toEqual([
    ['run', 10, null],
    ['queue', 10, 30],
    ['attempt', 30, 500],
    ['queue', 500, 800],
    ['attempt', 800, null],
  ]);
});

test('what a lost worker was doing ends where the next one begins, or with the run', () => {
  const model: TraceNote = { in: 2, n: 1, at: 40, model: 'm', upstream: 'main' };
  const lost = [begun(2, 30, 10), model];
  expect(shown(traceOf(stateAfter(STARTED), [...lost, begun(5, 9_000, 10)], []))).toEqual([
    ['run', 10, null],
    ['queue', 10, 30],
    ['attempt', 30, 9_000, 'lost'],
    ['model', 40, 9_000, 'lost'],
    ['attempt', 9_000, null],
  ]);
  expect(shown(traceOf(stateAfter(STARTED, ...CANCELLED), lost, []))).toEqual([
    ['run', 10, 9_000],
    ['queue', 10, 30],
    ['attempt', 30, 9_000],
    ['model', 40, 9_000],
  ]);
});

test('a note that comes twice counts once, and one with an end for more than one without', () => {
  const open: TraceNote = { in: 2, n: 1, at: 40, model: 'm', upstream: 'main' };
  const notes = [begun(2, 30), begun(2, 30), open, { ...open, until: 90, error: 'timeout' }, open];
  expect(
    shown(traceOf(stateAfter(STARTED), notes, [])).filter((span) => String(span).startsWith('model')),
  ).toEqual([['model', 40, 90, 'timeout']]);
});

test('a run whose request had to wait begins with the request', () => {
  const trace = traceOf(stateAfter(STARTED), [begun(2, 7_030, 7_010)], []);
  expect(shown(trace)).toEqual([
    ['run', 0, null],
    ['queue', 0, 7_030],
    ['attempt', 7_030, null],
  ]);
});

test('as many notes as are kept may not be all', () => {
  const tool: TraceNote = { in: 2, n: 1, at: 40, tool: 't', kind: 'function', call: 'call_1', until: 50 };
  const notes = [begun(2, 30), ...Array.from({ length: MOST_NOTES - 1 }, (_, n) => ({ ...tool, n }))];
  expect(traceOf(stateAfter(STARTED), notes, []).truncated).toBe(true);
  expect(traceOf(stateAfter(STARTED), notes.slice(1), []).truncated).toBe(false);
});

test('the trace is the client’s, where the request came with one', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const { state } = apply(null, { ...queued, origin: { ...origin, traceparent } });
  expect(traceOf(state, [], []).trace_id).toBe('0af7651916cd43dd8448eb211c80319c');
  expect(traceOf(stateAfter(), [], []).trace_id).toMatch(/^[\da-f]{32}$/);
  expect(traceOf(stateAfter(), [], []).trace_id).toBe(traceOf(stateAfter(STARTED), [], []).trace_id);
});
