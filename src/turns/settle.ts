/** A thread has one run at a time. Decides what becomes of the run that holds it when another is asked for. */
import type { ApiError } from '../errors.ts';
import { apply, isBlocked, isTerminal, type Applied, type RunState } from '../runs/run.ts';
import { LogGone } from '../store/follow.ts';
import type { RunRef } from '../store/keys.ts';
import type { Caller } from './caller.ts';
import { cancelRun } from './changes.ts';
import type { Means } from './means.ts';

/**
 * `reject` refuses the new run, as the hosted API did; `enqueue` lets it wait until the old run ends; `interrupt`
 * cancels the old run and keeps what it has said; `rollback` cancels it and deletes what it has said and the messages
 * that came with it; `steer` has the old run take in what the new one brings, and only begins one where that has ended
 * (steer.ts).
 */
export const MULTITASK = ['reject', 'enqueue', 'interrupt', 'rollback', 'steer'] as const;

/** One of {@link MULTITASK}. */
export type Multitask = (typeof MULTITASK)[number];

/** How many messages of one run are taken back at most. */
const MAX_TAKEN_BACK = 100;

/**
 * Lets a new run into a thread that another run holds: ends that run if its time is over, else does what `how` says.
 * @param busy makes the refusal when the thread is left to its run
 */
export function whenBusy(
  means: Means,
  caller: Caller,
  how: Multitask,
  busy: (holder: RunRef) => ApiError,
): (holder: RunRef) => Promise<void> {
  let looked = false;
  return async (holder) => {
    if (looked) return makeRoom(means, caller, holder, how, () => busy(holder));
    looked = true;
    await means.runs.attend(holder);
  };
}

/**
 * Makes room in a thread: afterwards its run has ended, unless the waiting client has gone.
 * @param busy makes the refusal when the thread is left to its run
 * @throws {ApiError} what `busy` makes, when the run is to be left alone; 503 or 400 where too much waits already.
 */
export async function makeRoom(
  means: Means,
  caller: Caller,
  holder: RunRef,
  how: Multitask,
  busy: () => ApiError,
): Promise<void> {
  if (how === 'reject') throw busy();
  await waiting(means, caller, holder, async () => {
    // Read while the run is alive, because its log, which names the messages that came with it, expires.
    const came = how === 'rollback' ? await joinedWith(means, caller, holder) : [];
    if (how === 'interrupt' || how === 'rollback') await cancelRun(means, holder);
    const joined = await hearEnd(means, caller, holder);
    if (how === 'rollback') await takeBack(means, holder, [...came, ...joined]);
  });
}

/**
 * Waits until the run has ended.
 * @param orBlocked return also when it waits for its client
 * @throws {ApiError} 503 or 400 where too much waits already.
 */
export async function ended(
  means: Pick<Means, 'hub' | 'admission'>,
  caller: Caller,
  ref: RunRef,
  orBlocked = false,
): Promise<void> {
  await waiting(means, caller, ref, async () => hearEnd(means, caller, ref, orBlocked));
}

/** Counts the request among those that wait. A request that is refused changes nothing: no run is cancelled for it. */
export async function waiting<T>(
  { admission }: Pick<Means, 'admission'>,
  caller: Caller,
  ref: RunRef,
  wait: () => Promise<T>,
): Promise<T> {
  caller.waits();
  const over = admission.admitWaiting(ref);
  try {
    return await wait();
  } finally {
    over();
  }
}

/** Waits until the run has ended. @returns the ids of what joined the thread while it was executed */
async function hearEnd(
  { hub }: Pick<Means, 'hub'>,
  { gone }: Pick<Caller, 'gone'>,
  ref: RunRef,
  orBlocked = false,
): Promise<readonly string[]> {
  let state: RunState | null = null;
  const joined: string[] = [];
  try {
    for await (const entries of hub.follow(ref, gone)) {
      for (const { event } of entries) {
        const applied: Applied = apply(state, event);
        state = applied.state;
        if (event.type === 'run.steered') joined.push(...event.messages);
      }
      // Not after every event: where the log shows the run waiting for its client, the answer may be in the same batch.
      if (state !== null && (isTerminal(state.run) || (orBlocked && isBlocked(state.run)))) break;
    }
  } catch (error) {
    if (!(error instanceof LogGone)) throw error;
  }
  return joined;
}

/** The ids of the messages that joined the thread together with a run. */
async function joinedWith(
  { hub }: Pick<Means, 'hub'>,
  { gone }: Pick<Caller, 'gone'>,
  ref: RunRef,
): Promise<readonly string[]> {
  try {
    for await (const [first] of hub.follow(ref, gone))
      return first?.event.type === 'run.queued' ? (first.event.messages ?? []) : [];
  } catch (error) {
    if (!(error instanceof LogGone)) throw error;
  }
  return [];
}

/** Deletes what a run has said, and the messages that came with it. */
async function takeBack({ objects }: Means, ref: RunRef, came: readonly string[]): Promise<void> {
  const query = { limit: MAX_TAKEN_BACK, order: 'desc', after: null, before: null } as const;
  const page = await objects.messages.list(ref, ref.runId, query);
  const said = page.type === 'page' ? page.items : [];
  const brought = await Promise.all(came.map(async (id) => objects.messages.get(ref, id)));
  const messages = [...said, ...brought.filter((message) => message !== null)];
  await Promise.all(messages.map(async (message) => objects.messages.delete(ref, message)));
}
