/**
 * The sweeper finds forgotten runs: it ends those whose time is over, and adds a new job for those whose job was lost
 * (a crash between two writes, a failover). One worker at a time sweeps.
 */
import type { Logger } from '../log.ts';
import { NewerFormat } from '../runs/format.ts';
import { isBlocked, isOverdue, isTerminal } from '../runs/run.ts';
import type { Clock } from '../runs/ids.ts';
import { Unreadable } from '../store/json.ts';
import type { RunRef } from '../store/keys.ts';
import type { OpenRuns } from '../store/open-runs.ts';
import { isFull, isUnavailable } from '../store/away.ts';
import type { RunStore } from '../store/runs.ts';

const SWEEP_EVERY_MS = 2_000;
const LOOK_AGAIN_MS = 5_000;
const LEASE_MS = SWEEP_EVERY_MS - 100;
/** Runs that are looked at together, so that their commands leave together. */
const BATCH = 100;

export interface Sweeping {
  readonly runs: RunStore;
  readonly open: OpenRuns;
  readonly now: Clock;
  readonly nowMs: () => number;
  readonly log: Logger;
  /** Deletes what projects on trial have made, once their time is over. */
  readonly endTrials: () => Promise<unknown>;
  /** Deletes what runs had in common that are gone. */
  readonly endContents: () => Promise<unknown>;
  /** Deletes threads that have been unused for longer than they are kept. */
  readonly endThreads: () => Promise<unknown>;
  /** Begins to look after files and what was made of them; nothing waits for that. */
  readonly careForFiles: () => void;
  /** Begins to move threads out of Redis that were not used for long; nothing waits for that. */
  readonly careForCold: () => void;
  /** Looks after vector stores. */
  readonly careForShelves: () => Promise<unknown>;
  /** Names this process in the lease. */
  readonly holder: string;
}

/** Sweeps every few seconds. The returned function stops it, and waits for a sweep under way. */
export function startSweeper(sweeping: Sweeping): () => Promise<void> {
  let underWay: Promise<void> = Promise.resolve();
  let stopped = false;
  const schedule = (): NodeJS.Timeout =>
    setTimeout(() => {
      underWay = sweep(sweeping, () => stopped)
        .catch((err: unknown) => {
          // The connection reports trouble with Redis.
          const level = isUnavailable(err) ? 'debug' : 'error';
          sweeping.log[level]({ err }, 'sweep failed; the next one tries again');
        })
        .then(() => {
          if (!stopped) timer = schedule();
        });
    }, SWEEP_EVERY_MS);
  let timer = schedule();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await underWay;
  };
}

/** Looks at all runs that are due, or at as many as the lease gives time for; the next sweep goes on. */
async function sweep(sweeping: Sweeping, isStopped: () => boolean): Promise<void> {
  const { open, holder, log } = sweeping;
  const untilMs = performance.now() + LEASE_MS;
  try {
    if (!(await open.lease(holder, LEASE_MS))) return;
  } catch (err) {
    // A full Redis grants no lease. Deleting is what it needs most, and two workers that delete, or move threads out, do no harm.
    if (isFull(err)) {
      await sweeping.endThreads();
      sweeping.careForCold();
    }
    throw err;
  }
  let tooNew = 0;
  let more = false;
  do {
    const due = await open.due(BATCH);
    more = due.more;
    const looks = await Promise.all(due.runs.map((ref) => lookAfter(sweeping, ref)));
    tooNew += looks.filter((look) => look === 'too new').length;
  } while (more && performance.now() < untilMs && !isStopped());
  await sweeping.endTrials();
  await sweeping.endThreads();
  await sweeping.endContents();
  await sweeping.careForShelves();
  sweeping.careForFiles();
  sweeping.careForCold();
  if (tooNew > 0) log.warn({ runs: tooNew }, 'leaving runs to a newer worker');
}

async function lookAfter(sweeping: Sweeping, ref: RunRef): Promise<'done' | 'too new'> {
  let outcome: 'done' | 'too new' = 'done';
  const { open, nowMs, log } = sweeping;
  const next = await attend(sweeping, ref).catch((err: unknown) => {
    if (err instanceof NewerFormat) outcome = 'too new';
    // The reader that found the damage has logged it.
    else if (err instanceof Unreadable) return err.isGivenUp ? null : nowMs() + LOOK_AGAIN_MS;
    // One run that cannot be read must not stop the sweep of the others.
    else log.error({ err, run_id: ref.runId, thread_id: ref.threadId }, 'could not look after a run');
    return nowMs() + LOOK_AGAIN_MS;
  });
  if (next === null) await open.forget(ref);
  else await open.postpone(ref, next);
  return outcome;
}

/** Looks after one run. @returns when to look again (unix ms); null when it has ended. */
async function attend({ runs, now, nowMs, log }: Sweeping, ref: RunRef): Promise<number | null> {
  const found = await runs.get(ref);
  if (found === null) return null;
  const { stored } = found;
  const { run } = stored.state;
  if (isTerminal(run)) return null;
  if (isOverdue(run, now())) {
    log.info(
      { run_id: ref.runId, thread_id: ref.threadId, request_id: stored.state.origin.request_id },
      'run overdue',
    );
    const closed = await runs.close(ref, { type: 'expired' });
    return closed === null || isTerminal(closed.state.run) ? null : nowMs() + LOOK_AGAIN_MS;
  }
  if (isBlocked(run)) return (run.expires_at ?? now()) * 1000;
  // Queued, in progress or cancelling: the run should have a job. Where the job exists, this changes nothing.
  await runs.enqueue(stored);
  return Math.min(nowMs() + LOOK_AGAIN_MS, (run.expires_at ?? Infinity) * 1000);
}
