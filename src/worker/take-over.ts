/**
 * A worker in the place of one that has died. Whoever started both has seen the first one end, so nobody need wait until its
 * lease and the locks of its jobs have lapsed: the new worker ends and returns them when it starts. What goes wrong here is
 * done later, as for a worker of whose end nobody knows.
 */
import { holderOf } from '../runs/attempts.ts';
import type { Clock } from '../runs/ids.ts';
import { isCancelling, isExecuting, isOverdue } from '../runs/run.ts';
import type { Logger } from '../log.ts';
import type { RunRef } from '../store/keys.ts';
import type { Lease } from '../store/lease.ts';
import type { JobQueue } from '../store/queue.ts';
import type { RunJob } from '../store/run-jobs.ts';
import type { RunStore } from '../store/runs.ts';

export interface TakeOverOptions {
  readonly queue: JobQueue<RunJob>;
  readonly runs: RunStore;
  readonly lease: Lease;
  readonly now: Clock;
  readonly log: Logger;
}

/**
 * Has the runs go on at once that the workers `dead` had, here or at another worker. Their attempts count as lost, as ever.
 * May be done again, and beside others.
 */
export async function takeOver(options: TakeOverOptions, dead: readonly string[]): Promise<void> {
  if (dead.length === 0) return;
  const { queue, lease, log } = options;
  try {
    // First: while their leases stand, they would not count as lost.
    await lease.endOf(dead);
    const jobs = await queue.reclaim(dead, async (job) => release(options, job, dead));
    log.info({ jobs, dead }, 'took over from workers that have ended');
  } catch (err) {
    log.warn({ err, dead }, 'could not take over from workers that have ended; what they had goes on later');
  }
}

/** Queues a run again that one of the dead was executing, so that no worker that takes its job need ask whether that one lives. */
async function release(
  { runs, now, log }: TakeOverOptions,
  ref: RunRef,
  dead: readonly string[],
): Promise<void> {
  try {
    const state = (await runs.get(ref))?.stored.state;
    if (state === undefined || !dead.includes(holderOf(state) ?? '')) return;
    const { run } = state;
    // Whoever takes the job of a run that is over ends it.
    if (isExecuting(run) && !isCancelling(run) && !isOverdue(run, now())) await runs.giveBack(ref, 'lost');
  } catch (err) {
    log.warn({ err, run_id: ref.runId, thread_id: ref.threadId }, 'could not release a run');
  }
}
