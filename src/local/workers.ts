/** How many workers `npm start` runs where no setting says it, and what it tells each of their processes. */
import { randomBytes } from 'node:crypto';
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

const NAME_BYTES = 6;
/** Those before have been dead for minutes: whatever they had has gone on without being told. */
const ENDED_KEPT = 8;

/**
 * The processes of one worker, each in the place of one that has ended. A process is told which those are, so that it takes
 * over what they had at once; they are told until one of their successors is up, because one may die before it has done so.
 */
export class Succession {
  /** The last process, and those before it that nobody has taken over from. */
  #names: readonly string[] = [];

  /** Environment variables for the next process; all before have ended. Read by `readSuccession` of config.ts. */
  next(): Readonly<Record<string, string>> {
    const ended = this.#names.slice(-ENDED_KEPT);
    const name = randomBytes(NAME_BYTES).toString('hex');
    this.#names = [...ended, name];
    return { LONGRUN_WORKER: name, LONGRUN_WORKERS_ENDED: ended.join(' ') };
  }

  /** The last process is up, and has taken over. */
  isUp(): void {
    this.#names = this.#names.slice(-1);
  }
}
