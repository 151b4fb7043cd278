/** How many workers `npm start` runs where no setting says it. */
import { availableParallelism } from 'node:os';

/** One API process keeps no more of them busy. */
const MOST = 4;

/**
 * One fewer than the cores, which the API and Redis need as well. On two cores, two workers take turns with them for
 * every token: a hundred streams then wait several times as long for their first word as with one.
 * @param cores of this machine, or what its container may use of them
 */
export function defaultWorkers(cores = availableParallelism()): number {
  return Math.min(Math.max(cores - 1, 1), MOST);
}
