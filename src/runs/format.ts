/**
 * The format in which runs are stored, so that processes of two versions can work on one Redis while one takes the
 * other's place. A run's document says its format where that is not the first; events say nothing, tokens least of all.
 *
 *   F1  an event that changes no state needs no new format: readers that do not know its type pass over it
 *   F2  whatever else changes what is stored does: a process leaves runs alone whose format is newer than its own
 *       (what they may pass over and drop, and this code can do without, does not: who started a run, what a model thinks)
 *   F3  a run keeps the format it began in, and every process goes on with the formats before its own
 */
import type { RunEvent } from './event.ts';
import { TRANSITIONS, type RunState } from './run.ts';

/** The newest format this code knows; runs without a mark have the first. */
const FORMAT = 1;

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

/** Whether this code knows events of that type; others are passed over (F1). */
export function isKnown({ type }: RunEvent): boolean {
  return Object.hasOwn(TRANSITIONS, type);
}
