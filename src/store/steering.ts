/**
 * Messages and items that steer a run: they wait in its hash (steer.lua) while an answer is under way. The next commit after
 * which none is takes them into the thread, whoever makes it, and says so in the log. So none is left behind: the commit that
 * would have completed the run lets it go on, and one that ends it in another way takes them in before its end. Pure.
 */
import type { RunEvent } from '../runs/event.ts';
import { randomText } from '../runs/ids.ts';
import type { StoredItem } from '../runs/items.ts';
import type { Message } from '../runs/thread.ts';
import { encodePart } from './compact.ts';
import { decodePart } from './json.ts';
import { joinWrites } from './new-run.ts';
import type { RunRef } from './keys.ts';

/** How many may wait for one run. */
export const MOST_WAITING = 16;
/** 62^12 values: two versions of one run never meet. */
const VERSION_LENGTH = 12;
/** Older processes do not look at what waits. A worker's commit makes the version, so that tells what its process knows. */
const STEERABLE = '+';

/** What joins a thread. */
export type Joining = Message | StoredItem;

/** What waits for a run. */
export interface WaitingItems {
  readonly items: readonly Joining[];
  readonly bytes: number;
}

export const NONE_WAITING: WaitingItems = { items: [], bytes: 0 };

export const newVersion = (): string => randomText(VERSION_LENGTH) + STEERABLE;

/** Whether whoever made this version of a run takes in what waits. */
export const isSteerable = (version: string): boolean => version.endsWith(STEERABLE);

export function waitingIn(text: string, { threadId, runId }: RunRef): WaitingItems {
  const items = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => decodePart<Joining>(line, `what steers run ${runId}`, threadId));
  return { items, bytes: Buffer.byteLength(text) };
}

/** The arguments of steer.lua behind its limit. */
export function steerArgs(items: readonly Joining[]): readonly (string | number)[] {
  const ids = items.map(({ id }) => id);
  const lines = items.map((item) => `${encodePart(item)}\n`).join('');
  return [ids.join(' '), ids.at(-1) ?? '', items.length, lines];
}

/** Whether no answer is under way after these events, so that what waits must be taken in. */
export function takesIn(events: readonly RunEvent[]): boolean {
  const last = events.at(-1);
  if (last === undefined || last.type === 'step.completed') return true;
  return last.type.startsWith('run.') && last.type !== 'run.queued' && last.type !== 'run.cancelling';
}

/** Events with what waits, and what is written besides. */
export interface Steered {
  readonly events: readonly RunEvent[];
  readonly writes: readonly string[];
}

/**
 * Takes in what waits, before the run goes over to its next status; behind calls that its client is to answer.
 * @param goesOn whether a run that would complete asks the model again
 */
export function steered(
  events: readonly RunEvent[],
  { items }: WaitingItems,
  goesOn: boolean,
  at: number,
): Steered {
  if (items.length === 0) return { events, writes: [] };
  const joined: RunEvent = { type: 'run.steered', at, messages: items.map(({ id }) => id) };
  const last = events.at(-1);
  const isEnd = last !== undefined && last.type !== 'step.completed' && last.type !== 'run.blocked';
  const before = isEnd ? events.slice(0, -1) : events;
  // Calls that are left to the client have to be answered first.
  const isAnswered = last?.type === 'run.completed' && before.at(-1)?.type !== 'step.left';
  const after = isEnd && !(goesOn && isAnswered) ? [last] : [];
  return { events: [...before, joined, ...after], writes: joinWrites(items) };
}
