/** A run that is to be created, and what became of that. */
import type { RunOrigin } from '../runs/event.ts';
import type { ChatMessage } from '../runs/model.ts';
import type { Message, Run, Thread } from '../runs/thread.ts';
import type { StoredRun } from './runs.ts';

export interface NewRun {
  readonly run: Run;
  readonly origin: RunOrigin;
  /** Messages that join the thread together with the run, in order. */
  readonly messages: readonly Message[];
  /** The thread, when it is created together with the run; null when it must exist. */
  readonly thread: Thread | null;
  /** What a run without a thread is about; only with an origin that says `ephemeral`. */
  readonly input: readonly ChatMessage[];
}

export type Created =
  /** `confirmed` unless the store should have, and could not, see it copied to a replica. */
  | { readonly type: 'created'; readonly stored: StoredRun; readonly confirmed: boolean }
  /** Another run holds the thread. */
  | { readonly type: 'locked'; readonly runId: string }
  | { readonly type: 'no thread' };
