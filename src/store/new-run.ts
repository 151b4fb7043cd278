/** A run that is to be created, and what became of that. */
import type { RunOrigin } from '../runs/event.ts';
import type { StoredItem } from '../runs/items.ts';
import type { ChatMessage } from '../runs/model.ts';
import type { Message, Run, Thread } from '../runs/thread.ts';
import { encodePart } from './compact.ts';
import { BASE_FIELD } from './keys.ts';
import type { StoredRun } from './runs.ts';

export interface NewRun {
  readonly run: Run;
  readonly origin: RunOrigin;
  /** Messages and items that join the thread together with the run, in order. */
  readonly messages: readonly (Message | StoredItem)[];
  /** The thread, when it is created together with the run; null when it must exist. */
  readonly thread: Thread | null;
  /** What a new thread goes on from; missing for one that begins by itself. */
  readonly base?: ThreadBase;
  /**
   * Where the thread's counter of places has to stand, so that nothing has joined it since it was read; missing: anywhere.
   */
  readonly expectedOrder?: string;
  /** What a run without a thread is about; only with an origin that says `ephemeral`. */
  readonly input: readonly ChatMessage[];
}

/** A place in another thread of the project: what stands before it is the beginning of the thread that has this. */
export interface ThreadBase {
  readonly thread_id: string;
  readonly before: number;
}

export type Created =
  /** `confirmed` unless the store should have, and could not, see it copied to a replica. */
  | { readonly type: 'created'; readonly stored: StoredRun; readonly confirmed: boolean }
  /** Another run holds the thread. */
  | { readonly type: 'locked'; readonly runId: string }
  | { readonly type: 'no thread' }
  /** Something has joined the thread since its `expectedOrder` was read. */
  | { readonly type: 'gone on' };

/** What the creation of a run writes besides it, in the words of commit.lua. */
export function creationWrites({ run, messages, thread, base, input }: NewRun): readonly string[] {
  const writes: string[] = [];
  if (thread !== null) writes.push('thread', thread.id, JSON.stringify(thread));
  if (base !== undefined) writes.push('base', BASE_FIELD, JSON.stringify(base));
  writes.push(...joinWrites(messages));
  if (input.length > 0) writes.push('input', run.id, JSON.stringify(input));
  return writes;
}

/** What writes messages and items that join a thread, in order. */
export function joinWrites(parts: readonly (Message | StoredItem)[]): readonly string[] {
  return parts.flatMap((part) => {
    const kind = part.object === 'thread.message' ? 'message.new' : 'item.new';
    return [kind, part.id, encodePart(part)];
  });
}
