/** Finds the run of a path in the Assistants API, and streams it. */
import { notFound } from '../../errors.ts';
import type { Metadata, Thread } from '../../runs/thread.ts';
import type { RunRef } from '../../store/keys.ts';
import type { ReadRun, StoredRun } from '../../store/runs.ts';
import { runBytes } from '../../turns/budgets.ts';
import { timed } from '../../turns/server-timing.ts';
import type { Answer } from '../http/endpoint.ts';
import type { Call } from '../http/call.ts';
import type { OpenStream } from '../http/idempotency.ts';
import type { Services } from '../http/services.ts';
import { assistantsStream } from './frames.ts';
import { viewOf } from './include.ts';

/**
 * The run of the path, ended first if its time is over.
 * @throws {ApiError} 404 when the thread, or the run in it, does not exist.
 */
export async function findRun({ runs, objects }: Services, call: Call): Promise<ReadRun> {
  const ref: RunRef = { project: call.project, threadId: call.id('thread_id'), runId: call.id('run_id') };
  const found = await runs.current(ref);
  if (found !== null) return found;
  throw (await objects.threads.get(ref)) === null
    ? notFound('thread', ref.threadId)
    : notFound('run', ref.runId);
}

/** The Assistants stream of a run, beginning after the event with sequence number `after`. The caller has admitted it. */
export function runStream(
  services: Services,
  call: Call,
  stored: StoredRun,
  after: number,
  thread: Thread | null,
): Answer {
  const { ref, state } = stored;
  call.admitBeside(runBytes(state.run));
  endInTime(services, call, ref, state.run.expires_at);
  const labels = (): Promise<Metadata | null> => services.objects.labels.get(ref, ref.runId);
  return {
    type: 'events',
    frames: assistantsStream(timed(services.hub.follow(ref, call.gone), stored, services.figures.firstWord), {
      after,
      thread,
      labels,
      message: async (id) => services.objects.messages.get(ref, id),
      view: viewOf(call),
    }),
    headers: pollHeaders(services),
    resume: { ref, after, withThread: thread !== null },
  };
}

/** Opens the stream of an existing run again, for a repetition of the request that created the run. */
export function reopen(services: Services): OpenStream {
  return async (ref, after, withThread, call) => {
    const [found, thread] = await Promise.all([services.runs.get(ref), services.objects.threads.get(ref)]);
    if (found === null) throw notFound('run', ref.runId);
    services.admission.admitStream(call.gone);
    return runStream(services, call, found.stored, after, withThread ? thread : null);
  };
}

/** Timers may fire a millisecond early, when the run's time is not over yet. */
const TIMER_SLACK_MS = 10;

/** Ends a run that no worker takes or sweeps; otherwise its stream would never end. */
export function endInTime(
  { runs, nowMs }: Services,
  call: Call,
  ref: RunRef,
  expiresAt: number | null,
): void {
  if (expiresAt === null) return;
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const leftMs = expiresAt * 1000 - nowMs();
    timer = setTimeout(
      () => {
        // The clock was corrected meanwhile.
        if (nowMs() < expiresAt * 1000) return wait();
        runs
          .current(ref)
          .catch((err: unknown) => call.log.warn({ err, run_id: ref.runId }, 'could not end the run'));
      },
      Math.max(0, leftMs) + TIMER_SLACK_MS,
    );
  };
  wait();
  call.gone.addEventListener('abort', () => clearTimeout(timer));
}

/** Without it, SDKs poll every 1 to 5 seconds. An integer: a client's `int()` refuses anything else. */
export function pollHeaders({ settings }: Services): Readonly<Record<string, string>> {
  return { 'openai-poll-after-ms': String(settings.pollAfterMs) };
}
