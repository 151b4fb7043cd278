/** Follows the run that answers a turn: yields what it says, and acts when it stops or when its caller hangs up. */
import { LogGone, type LoggedEvent } from '../store/follow.ts';
import type { RunRef } from '../store/keys.ts';
import type { Passing } from '../store/passing.ts';
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

/** The parts of a turn that still matter once its run has begun. */
export type Listener = Pick<ChatTurn, 'thread' | 'answersCalls' | 'photoCaller' | 'onDisconnect'>;

/**
 * Yields what the run says, in batches as it comes, until it ends or the caller has to act.
 *
 *   L1  a caller that hangs up leaves no run behind, unless it asked for that or another request listens to the run
 *   L2  a run without a thread does not wait for its caller, who sends the whole conversation again next time; nor does
 *       a run whose caller cannot answer calls
 *
 * @param timing is told of every event
 */
export function listen(
  means: Means,
  caller: Caller,
  listener: Listener,
  { ref, after }: Found,
  timing = new ServerTiming(),
): AsyncGenerator<readonly TurnEvent[], void> & Passing<readonly TurnEvent[]> {
  const log = means.hub.follow(ref, caller.gone);
  const reader = new TurnReader(after);
  const read: RunLog['read'] = (entries) => {
    for (const { seq, event } of entries) if (seq > after) timing.hear(event);
    return reader.read(entries);
  };
  const pass: Passing<readonly TurnEvent[]>['pass'] = (take) =>
    log.pass?.(
      take &&
        ((entries) => {
          const told = read(entries);
          if (told.length > 0) take(told);
        }),
    );
  return Object.assign(tell(means, caller, listener, { ref, log, reader, read }), { pass });
}

/** The log of a run, and who reads it. */
interface RunLog {
  readonly ref: RunRef;
  readonly log: AsyncIterable<readonly LoggedEvent[]>;
  readonly reader: TurnReader;
  readonly read: (entries: readonly LoggedEvent[]) => readonly TurnEvent[];
}

async function* tell(
  means: Means,
  caller: Caller,
  listener: Listener,
  { ref, log, reader, read }: RunLog,
): AsyncGenerator<readonly TurnEvent[], void> {
  let isOver = false;
  try {
    for await (const entries of log) {
      const told = read(entries);
      // After `failed` the run may still be going on, because perhaps only reading its log has failed.
      const last = told.at(-1);
      if (last?.type === 'calls') {
        // What was said before does not wait.
        if (told.length > 1) yield told.slice(0, -1);
        await rest(means, caller, listener, ref, last.calls);
        isOver = true;
        yield [last];
      } else {
        isOver = last?.type === 'end';
        if (told.length > 0) yield told;
      }
      if (reader.isOver) return;
    }
  } catch (error) {
    if (!(error instanceof LogGone)) throw error;
    yield [{ type: 'failed', error: { code: 'server_error', message: GONE[error.why] } }];
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

/**
 * The caller has to act. A run in a thread waits for it, and so does a run that asked for a photo; other runs do not (L2).
 */
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
