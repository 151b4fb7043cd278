/**
 * Names of the Responses API for things that have other names elsewhere: `resp_X` is `run_X`, `conv_X` is `thread_X`. Clients
 * send only the id of a response or an item, so those ids end in the id of their thread, in which both are found.
 */
import { isSafeId, type RunRef, type ThreadRef } from '../../store/keys.ts';

const OWN = /^run_([A-Za-z0-9]+)_(.+)$/;
/** An item: its own id, a number where several items are made of one step, and the id of its thread. */
const ITEM = /^([a-z]+)_([A-Za-z0-9]+)(?:-(\d{1,4}))?_(.+)$/;

/** The id of a new run whose response is asked for by that id alone. @param runId a fresh one */
export function runIdIn(threadId: string, runId: string): string {
  const id = `${runId}_${bare(threadId)}`;
  // Imported threads may have any id. A run of one with a very long id is found while it is among the recent ones.
  return isSafeId(id) ? id : runId;
}

export const responseId = (runId: string): string => `resp_${bare(runId)}`;
export const conversationId = (threadId: string): string => `conv_${bare(threadId)}`;

/** The thread of a conversation; null for what names none. */
export function threadIdOf(conversation: string): string | null {
  if (!/^(?:conv|thread)_/.test(conversation) || !isSafeId(conversation)) return null;
  return `thread_${bare(conversation)}`;
}

/** The run of a response, and its thread where the id tells it; null for what names none. */
export function runOf(project: string, response: string): RunRef | null {
  if (!/^(?:resp|run)_/.test(response) || !isSafeId(response)) return null;
  const runId = `run_${bare(response)}`;
  const [, , thread] = OWN.exec(runId) ?? [];
  return { project, threadId: thread === undefined ? '' : `thread_${thread}`, runId };
}

/** What an item's id says. */
export interface ItemName {
  /** What it begins with, such as `msg`. */
  readonly prefix: string;
  readonly own: string;
  /** Which of several; null where there is one. */
  readonly number: number | null;
  /** Null where the id does not tell its thread. */
  readonly threadId: string | null;
}

export function itemName(id: string): ItemName {
  const [, prefix = '', own = '', number, thread = ''] = ITEM.exec(id) ?? [];
  if (prefix !== '' && isSafeId(id))
    return {
      prefix,
      own,
      number: number === undefined ? null : Number(number),
      threadId: `thread_${thread}`,
    };
  const at = id.indexOf('_');
  return { prefix: id.slice(0, Math.max(0, at)), own: id.slice(at + 1), number: null, threadId: null };
}

/** The id of an item. @param id of the message, stored item, step or run that it is made of */
export function itemId(
  prefix: string,
  id: string,
  { threadId }: Pick<ThreadRef, 'threadId'>,
  number?: number,
): string {
  const [own = ''] = bare(id).split('_');
  return `${prefix}_${own}${number === undefined ? '' : `-${number}`}_${bare(threadId)}`;
}

const bare = (id: string): string => id.slice(id.indexOf('_') + 1);
