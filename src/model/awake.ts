/**
 * Time in which this process ran. A clock that goes on while a process or its machine stands still finds answers late that
 * are there and only have to be read.
 */

/** A standstill counts as no more than one of them. */
const SLICES = 8;

/**
 * Calls `late` once, after `ms` milliseconds in which the process ran. Keeps no process alive.
 * @returns what takes it back
 */
export function whenAwakeFor(ms: number, late: () => void): () => void {
  let left = SLICES;
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) return;
    clearInterval(timer);
    late();
  }, ms / SLICES).unref();
  return () => clearInterval(timer);
}
