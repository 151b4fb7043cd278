/** How long the parts of a run took, as finely as that is known. */
import { say } from '../say.ts';
import { duration } from '../views.ts';
import type { RunTrace, TraceSpan } from './trace.ts';

/** A time that is known to the second only: `4 s`, not `4.00 s`. */
export function wholeSeconds(ms: number): string {
  return ms < 1_000 ? '< 1 s' : duration(ms).replace(/\.\d+ s$/, ' s');
}

/** What a run waited for, in milliseconds. */
export interface Waits {
  readonly workerMs: number;
  readonly clientMs: number;
  /** When the first worker began, in unix seconds; null where none has. */
  readonly startedAt: number | null;
}

/** Null where the trace knows no more than the run itself. @param nowMs until when those wait that still do */
export function waitsOf({ spans }: RunTrace, isCoarse: boolean, nowMs: number): Waits | null {
  if (isCoarse) return null;
  const sum = (kind: TraceSpan['kind']): number =>
    spans
      .filter((span) => span.kind === kind)
      .reduce((total, { start_ms: start, end_ms: end }) => total + Math.max(0, (end ?? nowMs) - start), 0);
  const starts = spans.filter(({ kind }) => kind === 'attempt').map(({ start_ms: start }) => start);
  return {
    workerMs: sum('queue'),
    clientMs: sum('client'),
    startedAt: starts.length === 0 ? null : Math.min(...starts) / 1_000,
  };
}

/** The whole of a run, and how much of it its client took. */
export function lengthWords(length: string, waits: Waits | null): string {
  if (waits === null || waits.clientMs < 1) return length;
  const client = duration(waits.clientMs);
  return say(`${length}, of them ${client} for the client`, `${length}，其中等待客户端 ${client}`);
}

/** What became of a part that failed. */
export function failureWords(span: TraceSpan, spans: readonly TraceSpan[]): string {
  if (span.kind !== 'attempt' || span.error !== 'lost')
    return say(`failed: ${span.error ?? ''}`, `失败：${span.error ?? ''}`);
  const hasOther = spans.some(({ kind, start_ms: start }) => kind === 'attempt' && start > span.start_ms);
  return hasOther
    ? say('the worker died; another went on', '工作进程异常终止，已由另一个接手')
    : say('the worker died', '工作进程异常终止');
}
