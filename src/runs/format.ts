/**
 * The format in which runs are stored, so that processes of two versions can work on one Redis during an upgrade. A
 * run's document names its format unless that is the first. Events do not name it, because there is one per token.
 *
 *   F1  an event that changes no state needs no new format: readers that do not know its type pass over it
 *   F2  any other change of what is stored needs one: a process leaves a run alone when the run's format is newer than
 *       its own. Exceptions are fields that older processes may ignore and drop, and that this code can do without: who
 *       started a run, what a model thinks, what its server says aside, which answer a message came after (an older process
 *       takes that back with its worker); and usual values that are left out of what has ended, which older processes then miss
 *   F3  a run keeps the format it began in, and every process can execute runs of earlier formats
 *
 * Format 2 has custom tools, their calls, and choices among several tools. Format 3 is that of ended runs whose instructions
 * and tools are stored once for many; such a run was in an earlier format until it ended. Format 4 has the calls of file_search
 * and code_interpreter, and pictures before the words of an answer. Format 5 has runs whose thread has items, and runs that leave
 * their calls to be answered by items. Format 6 has calls that wait for an approval, and servers of tools that come with a request.
 */
import type { RunEvent } from './event.ts';
import { TRANSITIONS, type RunState } from './run.ts';

/** Of ended runs that share what they are about with others. */
export const SHARING_FORMAT = 3;
/** The newest format this code knows; runs without a mark have the first. */
const FORMAT = 6;

/** The run is for a newer version of this service: leave it as it is. */
export class NewerFormat extends Error {
  constructor(format: number) {
    super(`the run is stored in format ${format}, and this version knows formats up to ${FORMAT}`);
    this.name = 'NewerFormat';
  }
}

/** @throws {NewerFormat} for a run of a format that this code does not know. */
export function requireKnown({ v: format = 1 }: RunState): void {
  if (format > FORMAT) throw new NewerFormat(format);
}

/** Whether this code knows events of that type; others are skipped (F1). */
export function isKnown({ type }: RunEvent): boolean {
  return Object.hasOwn(TRANSITIONS, type);
}
