/** Hears the run that answers a turn: what it says, and what has to happen when it stops, or when its caller hangs up. */
import { LogGone } from '../store/follow.ts';
import type { RunRef } from '../store/keys.ts';
import type { RequiredCall } from '../runs/thread.ts';
import type { Caller } from './caller.ts';
import { cancelRun } from './changes.ts';
import type { Means } from './means.ts';
import { askForPhoto, PHOTO_WAIT_MS } from './photo.ts';
import { ServerTiming } from './server-timing.ts';
import type { ChatTurn } from './turn.ts';
import { TurnReader, type TurnEvent } from './turn-events.ts';

/** The run of a turn, and where in its log the turn begins. */
export interface Found {
  readonly ref: RunRef;
  readonly after: number;
}

/** What of a turn still counts when its run has begun. */
export type Listener = Pick<ChatTurn, 'thread' | 'answersCalls' | 'photoCaller' | 'onDisconnect'>;

/**
 * What the run says, until it ends or the caller has to act.
 *
 *   L1  a caller that hangs up leaves no run behind, unless it said so, or somebody else listens
 *   L2  a run without a thread does not wait for its caller: the caller brings everything along next time; nor does one
 *       whose caller cannot answer
 *
 * @param timing hears what happens meanwhile
 */
export async function* listen(
  means: Means,
  caller: Caller,
  listener: Listener,
  { ref, after }: Found,
  timing = new ServerTiming(),
): AsyncGenerator<TurnEvent, void> {
  let isOver = false;
  const reader = new TurnReader(after);
  try {
    for await (const entries of means.hub.follow(ref, caller.gone)) {
      for (const { seq, event } of entries) if (seq > after) timing.hear(event);
      for (const event of reader.read(entries)) {
        // A run that failed to tell its answer to us may still be going on.
        isOver = event.type === 'end';
        if (event.type === 'calls') {
          await rest(means, caller, listener, ref, event.calls);
          isOver = true;
        }
        yield event;
      }
      if (reader.isOver) return;
    }
  } catch (error) {
    if (!(error instanceof LogGone)) throw error;
    yield { type: 'failed', error: { code: 'server_error', message: GONE[error.why] } };
  } finally {
    // L1
    if (!isOver && listener.onDisconnect === 'cancel' && (await means.listeners.leave(ref)))
      await cancelRun(means, ref);
  }
}

const GONE: Readonly<Record<LogGone['why'], string>> = {
  damaged: 'What is stored of the answer is damaged, and it was given up. Ask again.',
  deleted: 'The conversation was deleted before its answer was complete.',
  expired: 'The answer was given some time ago and is no longer kept. Ask again.',
};

/** The caller has to act: a thread's run waits for it, and so does one that asked for a photo; L2. */
async function rest(
  means: Means,
  { project }: Caller,
  { photoCaller, thread, answersCalls }: Listener,
  ref: RunRef,
  calls: readonly RequiredCall[],
): Promise<void> {
  await means.listeners.dismiss(ref);
  if (photoCaller !== null && askForPhoto(calls))
    await means.photos.wait(project, photoCaller, ref, PHOTO_WAIT_MS);
  else if (thread === null || !answersCalls) await cancelRun(means, ref);
}
