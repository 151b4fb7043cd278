/**
 * Who has started a turn of a run, and how often a worker was really lost over it. A run that outlives one worker after the
 * other is given up one day; one whose workers only stood still for a while is not. Pure: who lives is asked elsewhere.
 *
 *   A1  `starts` names the worker of each start since the client last answered, the last one last
 *   A2  processes of an older version start runs without naming themselves: those starts are '' or missing, so whoever
 *       executes such a run is nobody one could ask, and counts as lost
 */
import type { RunState } from './run.ts';

type Started = Pick<RunState, 'attempts' | 'starts'>;

/** The turn is started once more, by `worker`; older versions do not say by whom. */
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

/** The worker that has a run which is being executed; null where it cannot be told (A2). */
export function holderOf({ attempts, starts = [] }: Started): string | null {
  return (starts.length === attempts && starts.at(-1)) || null;
}

/** Who can be asked whether it lives, each once. */
export function startersOf({ starts = [] }: Started): readonly string[] {
  return [...new Set(starts)].filter((worker) => worker !== '');
}

/** How many workers the turn has lost: those that are not among the `living`, each once, because a process dies but once. */
export function lossesOf(state: Started, living: ReadonlySet<string>): number {
  const { attempts, starts = [] } = state;
  const unnamed = attempts - starts.filter((worker) => worker !== '').length;
  return unnamed + startersOf(state).filter((worker) => !living.has(worker)).length;
}
