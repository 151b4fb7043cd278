/**
 * Which workers have started a turn of a run, and how many of them it has really lost. A run that loses one worker
 * after another is given up; a run whose workers only stood still for a while is not. Pure: other code finds out which
 * workers are alive.
 *
 *   A1  `starts` names the worker of each start since the client last answered, the last one last
 *   A2  older processes start runs without naming themselves. Such a start is '' or missing: that worker cannot be
 *       looked up, and counts as lost
 */
import type { RunState } from './run.ts';

type Started = Pick<RunState, 'attempts' | 'starts'>;

/** The turn is started once more, by `worker`, which older versions left out. */
export function started(before: Started, worker: string | undefined): Started {
  const { attempts, starts = [] } = before;
  if (worker === undefined) return { ...(before.starts && { starts }), attempts: attempts + 1 };
  const known = Array.from({ length: attempts }, (_, index) => starts[index] ?? '');
  return { attempts: attempts + 1, starts: [...known, worker] };
}

/** The last start does not count: its worker gave the run back in good order. */
export function unstarted({ attempts, starts }: Started): Started {
  const before = Math.max(0, attempts - 1);
  return { attempts: before, ...(starts && { starts: starts.slice(0, before) }) };
}

/** A new turn: the client has answered. */
export function unattempted({ starts }: Started): Started {
  return { attempts: 0, ...(starts && { starts: [] }) };
}

/** The worker that is executing the run; null where it is unknown (A2). */
export function holderOf({ attempts, starts = [] }: Started): string | null {
  return (starts.length === attempts && starts.at(-1)) || null;
}

/** The workers that can be looked up, each once. */
export function startersOf({ starts = [] }: Started): readonly string[] {
  return [...new Set(starts)].filter((worker) => worker !== '');
}

/** How many workers the turn has lost: those that are not among the `living`, each once, because a process dies but once. */
export function lossesOf(state: Started, living: ReadonlySet<string>): number {
  const { attempts, starts = [] } = state;
  const unnamed = attempts - starts.filter((worker) => worker !== '').length;
  return unnamed + startersOf(state).filter((worker) => !living.has(worker)).length;
}
