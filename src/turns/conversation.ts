/**
 * From a chat turn to the run that answers it: finds the agent and the thread, settles with a run that is already there,
 * and starts or resumes one. Dialects know turns and says; only this file knows runs.
 *
 *   C1  a thread has one run at a time; the same turn asked again listens to the run it already has
 *   C2  only what is new of a conversation joins its thread
 *   C3  a caller that hangs up leaves no run behind, unless it said so, or somebody else listens
 *   C4  a run without a thread does not wait for its caller: the caller brings everything along next time; nor does one
 *       whose caller cannot answer
 */
import { ApiError, notFound } from '../errors.ts';
import { pictureOutput } from '../runs/pictures.ts';
import {
  apply,
  isBlocked,
  isCancelling,
  isTerminal,
  pendingCalls,
  type Applied,
  type RunState,
} from '../runs/run.ts';
import type { RunEvent } from '../runs/event.ts';
import type { Assistant, Message, RequiredCall } from '../runs/thread.ts';
import { LogGone, type LogEntry } from '../store/follow.ts';
import type { RunRef } from '../store/keys.ts';
import type { StoredRun } from '../store/runs.ts';
import { checkConversation, checkMessages, checkOutputs } from './budgets.ts';
import type { Call } from '../api/http/endpoint.ts';
import { answerCalls, cancelRun } from './changes.ts';
import type { Services } from './means.ts';
import { admitWrite } from './trial-writes.ts';
import { chatRun, findAgentOf, type RunIds } from './agent.ts';
import { Overhead } from './server-timing.ts';
import { askForPhoto, PHOTO_WAIT_MS, withPictures, withShownPictures } from './photo.ts';
import { firstSending, type Found } from './repeat.ts';
import { says, type Say } from './turn-events.ts';
import { newMessages, threadOf } from './thread.ts';
import { pictureIn, textIn, type ChatTurn } from './turn.ts';

/** Runs that come and go in the same thread while we try to get in. */
const MAX_TRIES = 20;

/** Answers a turn: what its run says, until it ends or the caller has to act. `overhead` hears what happens meanwhile. */
export async function converse(
  services: Services,
  call: Call,
  turn: ChatTurn,
  overhead = new Overhead(),
): Promise<AsyncIterable<Say>> {
  const found = await firstSending(
    services,
    call,
    turn,
    async () => (await photographed(services, call, turn)) ?? find(services, call, turn),
  );
  // A run may live for minutes; what its caller sent, photos perhaps, is stored by now.
  call.release();
  const { thread, answersCalls, photoCaller, onDisconnect } = turn;
  return heard(services, call, { thread, answersCalls, photoCaller, onDisconnect }, found, overhead);
}

/** What of a turn still counts when its run has begun. */
type Caller = Pick<ChatTurn, 'thread' | 'answersCalls' | 'photoCaller' | 'onDisconnect'>;

/**
 * A photo that a run of this caller waits for resumes that run, with the question it was about. Anything else that comes
 * instead is another question, and nobody waits for the photo any more. Runs in a thread are settled with there.
 */
async function photographed(services: Services, call: Call, turn: ChatTurn): Promise<Found | null> {
  if (turn.photoCaller === null || turn.thread !== null) return null;
  const ref = await services.photos.take(call.project, turn.photoCaller);
  if (ref === null) return null;
  const said = turn.messages.filter(({ role }) => role !== 'system');
  const [only = null] = said.length === 1 ? said : [];
  const picture = pictureIn(only);
  const found =
    picture === null
      ? null
      : await resume(services, ref, (pending) => photoOutputs(pending, picture, textIn(only)));
  if (found === null) await cancelRun(services, ref);
  return found;
}

async function find(services: Services, call: Call, turn: ChatTurn): Promise<Found> {
  const agent = await findAgentOf(services, call.project, turn);
  // First of all names, and one for all tries, so that a repetition with the same key comes upon this very run.
  const runId = call.newId('run');
  if (turn.thread === null)
    return start(services, call, turn, agent, { runId, threadId: call.newId('thread'), messages: [] });
  const ref = await threadOf(services, call, turn.thread);
  for (let tries = 0; tries < MAX_TRIES && !call.gone.aborted; tries++) {
    const { runId: holder } = await services.objects.activeRun(ref);
    if (holder !== null) {
      const found = await settle(services, call, turn, { ...ref, runId: holder });
      if (found !== null) return found;
      continue;
    }
    const messages = await newMessages(services, call, ref, turn);
    const news = { runId, threadId: ref.threadId, messages };
    const started = await start(services, call, turn, agent, news).catch((error: unknown) => {
      // Somebody was faster: settle with them.
      if (error instanceof Locked) return null;
      throw error;
    });
    if (started !== null) return started;
  }
  throw busy(ref.threadId);
}

/** Another run was created in the thread a moment ago. */
class Locked extends Error {}

async function start(
  services: Services,
  call: Call,
  turn: ChatTurn,
  agent: Assistant | null,
  { messages, ...ids }: RunIds & { readonly messages: readonly Message[] },
): Promise<Found> {
  const said = turn.messages.filter((message) => message.role !== 'system');
  const input = turn.thread === null ? withShownPictures(said, services.plugins) : [];
  checkConversation(input, services.settings.promptLimitBytes);
  checkMessages(messages, () => 'messages', services.settings.messageLimitBytes);
  services.pressure.admitRun();
  const made = chatRun(services, call, turn, agent, ids);
  const makes = turn.thread === null ? `chat:${ids.threadId}/${ids.runId}` : '';
  await admitWrite(services, call, { makes, more: made.run });
  const created = await services.runs.create(call.project, { ...made, thread: null, messages, input });
  if (created.type === 'locked') throw new Locked();
  if (created.type === 'no thread') throw notFound('thread', ids.threadId);
  const { stored, confirmed } = created;
  return {
    ref: stored.ref,
    after: 0,
    confirmed,
    isEarlier: stored.state.origin.request_id !== call.requestId,
  };
}

/** C1. @returns the run to listen to; null when the thread should be looked at again. */
async function settle(services: Services, call: Call, turn: ChatTurn, ref: RunRef): Promise<Found | null> {
  const { stored } = (await services.runs.current(ref)) ?? {};
  if (stored === undefined || isTerminal(stored.state.run)) return null;
  if (isCancelling(stored.state.run)) {
    // Nobody hears the end of its answer: the turn's first caller has hung up, or another turn has interrupted it.
    await ended(services, call, ref);
    return null;
  }
  if (outputsIn(turn, pendingCalls(stored.state.run)) !== null)
    return resume(services, ref, (pending) => {
      const outputs = outputsIn(turn, pending);
      return outputs && withPictures(outputs, pending, services.plugins);
    });
  if (stored.state.origin.turn_key === turn.turnKey) {
    if (await services.audience.join(ref)) return { ref, after: await beginning(services, call, stored) };
    await ended(services, call, ref);
    return null;
  }
  switch (turn.multitask) {
    case 'reject':
      throw busy(ref.threadId);
    case 'enqueue':
      // One that waits for its caller would be waited for in vain: the caller is here, with something else.
      if (isBlocked(stored.state.run)) await cancelRun(services, ref);
      else await ended(services, call, ref);
      return null;
    case 'interrupt':
      await cancelRun(services, ref);
      await ended(services, call, ref);
      return null;
  }
}

/** The answers a turn brings for the calls its thread's run waits for: tool messages, or a photo. */
function outputsIn(
  turn: ChatTurn,
  pending: readonly RequiredCall[],
): Readonly<Record<string, string>> | null {
  if (pending.length === 0) return null;
  const last = turn.messages.at(-1) ?? null;
  const picture = pictureIn(last);
  if (picture !== null) return photoOutputs(pending, picture, textIn(last));
  const answers = turn.messages.filter((message) => message.role === 'tool');
  // From entries, because a call may be named `__proto__`, which cannot be assigned.
  const outputs = Object.fromEntries(answers.map((answer) => [answer.tool_call_id, answer.content]));
  return pending.every(({ id }) => Object.hasOwn(outputs, id)) ? outputs : null;
}

/** The photo answers every photo call; null unless that is all that is waited for. */
function photoOutputs(
  pending: readonly RequiredCall[],
  url: string,
  text: string,
): Readonly<Record<string, string>> | null {
  if (!askForPhoto(pending)) return null;
  return Object.fromEntries(pending.map(({ id }) => [id, pictureOutput(url, text)]));
}

/** @returns null when the run does not wait (any more), or for something else. */
async function resume(
  { runs, now, settings }: Services,
  ref: RunRef,
  outputsFor: (pending: readonly RequiredCall[]) => Readonly<Record<string, string>> | null,
): Promise<Found | null> {
  const decide = ({ state }: StoredRun): readonly RunEvent[] | null => {
    const outputs = outputsFor(pendingCalls(state.run));
    if (outputs === null) return null;
    checkOutputs(Object.values(outputs), 'messages', settings.messageLimitBytes);
    return answerCalls(state, outputs, now());
  };
  const changed = await runs.change(ref, decide);
  return changed === null || changed.after === changed.stored.seq ? null : { ref, after: changed.after };
}

/** The seq behind which the current turn of a run begins: the answer to its last calls, or the run's own beginning. */
async function beginning({ hub }: Services, call: Call, { ref, state }: StoredRun): Promise<number> {
  let answers = state.turn - 1;
  if (answers === 0) return 0;
  try {
    for await (const entries of hub.follow(ref, call.gone)) {
      for (const { seq, event } of entries) {
        if (event.type === 'run.resumed') answers--;
        if (answers === 0) return seq;
      }
    }
  } catch (error) {
    // Whoever listens to it then is told what became of it.
    if (!(error instanceof LogGone)) throw error;
  }
  return 0;
}

/** Waits until the run has ended, or waits for its caller. */
async function ended({ hub }: Services, call: Call, ref: RunRef): Promise<void> {
  let state: RunState | null = null;
  try {
    for await (const entries of hub.follow(ref, call.gone)) {
      for (const { event } of entries) {
        const applied: Applied = apply(state, event);
        state = applied.state;
      }
      // Not at every event: a run of the past that waited for its caller was answered.
      if (state !== null && (isTerminal(state.run) || isBlocked(state.run))) return;
    }
  } catch (error) {
    if (!(error instanceof LogGone)) throw error;
  }
}

/** The run's says, and what has to happen when they stop. */
async function* heard(
  services: Services,
  call: Call,
  caller: Caller,
  { ref, after }: Found,
  overhead: Overhead,
): AsyncGenerator<Say, void> {
  let isOver = false;
  const log = overheard(services.hub.follow(ref, call.gone), after, overhead);
  try {
    for await (const say of says(log, after)) {
      // A run that failed to tell its answer to us may still be going on.
      isOver = say.type === 'end';
      if (say.type === 'calls') {
        await rest(services, call, caller, ref, say.calls);
        isOver = true;
      }
      yield say;
    }
  } catch (error) {
    if (!(error instanceof LogGone)) throw error;
    yield { type: 'failed', error: { code: 'server_error', message: GONE[error.why] } };
  } finally {
    // C3
    if (!isOver && caller.onDisconnect === 'cancel' && (await services.audience.leave(ref)))
      await cancelRun(services, ref);
  }
}

const GONE: Readonly<Record<LogGone['why'], string>> = {
  damaged: 'What is stored of the answer is damaged, and it was given up. Ask again.',
  deleted: 'The conversation was deleted before its answer was complete.',
  expired: 'The answer was given some time ago and is no longer kept. Ask again.',
};

async function* overheard(
  log: AsyncIterable<readonly LogEntry[]>,
  after: number,
  overhead: Overhead,
): AsyncGenerator<readonly LogEntry[], void> {
  for await (const entries of log) {
    for (const { seq, event } of entries) if (seq > after) overhead.hear(event);
    yield entries;
  }
}

/** The caller has to act: a thread's run waits for it, and so does one that asked for a photo; C4. */
async function rest(
  services: Services,
  call: Call,
  caller: Caller,
  ref: RunRef,
  calls: readonly RequiredCall[],
): Promise<void> {
  await services.audience.dismiss(ref);
  if (caller.photoCaller !== null && askForPhoto(calls)) {
    await services.photos.wait(call.project, caller.photoCaller, ref, PHOTO_WAIT_MS);
  } else if (caller.thread === null || !caller.answersCalls) {
    await cancelRun(services, ref);
  }
}

function busy(threadId: string): ApiError {
  const text = `The conversation ${threadId} is still being answered. Wait for the answer, or send metadata.multitask 'interrupt' or 'enqueue'.`;
  return new ApiError(400, text, { code: 'thread_busy' });
}
