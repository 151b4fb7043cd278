/**
 * A grace for clients that poll. One that has answered a run's calls, and polls slowly or never looks, would take new calls
 * that follow at once for the old ones, and answer those again. So for a moment after an answer a run that asks anew is
 * shown as queued, to whoever reads it; streams show everything in order, and the run itself knows nothing of it.
 *
 * A thread has one run that can wait at a time, so it has one grace, kept among its labels and read in the same round trip.
 */
import { isBlocked } from '../runs/run.ts';
import type { Metadata, Run } from '../runs/thread.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import { hang } from './labels.ts';
import type { ScriptedRedis } from './scripts.ts';

/** The run that is shown as queued, and until when (unix milliseconds). */
export interface PollGrace {
  readonly runId: string;
  readonly untilMs: number;
}

/** What is hung on a run besides what its log says. */
export interface Shown {
  /** The metadata a client gave it since it was created; null when none did. */
  readonly labels: Metadata | null;
  readonly grace: PollGrace | null;
}

/** Its field in the hash of labels; no id has a colon. */
export const GRACE_FIELD = ':grace';

/** Begins the grace of a run; call it before the change that it is for. It ends by itself. */
export async function beginGrace(
  redis: ScriptedRedis,
  keys: RedisKeys,
  ref: RunRef,
  untilMs: number,
): Promise<void> {
  await hang(redis, keys, ref, [GRACE_FIELD, `${untilMs} ${ref.runId}`]);
}

/** The grace as it is stored. */
export function readGrace(text: string | null): PollGrace | null {
  const [untilMs, runId] = text?.split(' ') ?? [];
  return untilMs === undefined || runId === undefined ? null : { runId, untilMs: Number(untilMs) };
}

/** Whether the run asks, and its client is not shown that yet. */
export function isInGrace(run: Run, grace: PollGrace | null, nowMs: number): boolean {
  return isBlocked(run) && grace?.runId === run.id && nowMs < grace.untilMs;
}

/** A run as clients that read it see it: what its log says, in the grace of its client, with the metadata given since. */
export function runView(run: Run, { labels, grace }: Shown, nowMs: number): Run {
  const shown: Run = isInGrace(run, grace, nowMs) ? { ...run, status: 'queued', required_action: null } : run;
  return labels === null ? shown : { ...shown, metadata: labels };
}
