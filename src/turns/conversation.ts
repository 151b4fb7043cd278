/**
 * From a chat turn to the run that answers it: finds the agent and the thread, settles with a run that is already there,
 * and begins or resumes one. Protocols know turns and their events; only this room knows runs.
 *
 *   C1  a thread has one run at a time; the same turn asked again listens to the run it already has
 *   C2  only what is new of a conversation joins its thread
 */
import { ApiError, isOnTrial } from '../errors.ts';
import { calledFunction } from '../runs/calls/kinds.ts';
import type { RunEvent } from '../runs/event.ts';
import type { NewId } from '../runs/ids.ts';
import { pictureOutput } from '../runs/pictures.ts';
import { isBlocked, isCancelling, isTerminal, pendingCalls } from '../runs/run.ts';
import type { Assistant, Message, RequiredCall } from '../runs/thread.ts';
import { LogGone } from '../store/follow.ts';
import type { FirstAnswer } from '../store/idempotency-records.ts';
import type { RunRef, ThreadRef } from '../store/keys.ts';
import type { Passing } from '../store/passing.ts';
import type { StoredRun } from '../store/runs.ts';
import { chatRun, findAgentOf } from './agent.ts';
import { begin, newRun, type RunIds } from './begin.ts';
import { checkConversation, checkMessages, checkOutputs } from './budgets.ts';
import type { Caller } from './caller.ts';
import { answerCalls, cancelRun } from './changes.ts';
import { listen, type Found } from './listen.ts';
import type { Means } from './means.ts';
import { namesOf, once, type Keeping } from './repeat.ts';
import type { ServerTiming } from './server-timing.ts';
import { ended, makeRoom } from './settle.ts';
import { askForPhoto, withPictures, withShownPictures } from './photo.ts';
import { steer } from './steer.ts';
import { newMessages, steeringMessages, threadOf } from './thread.ts';
import { admitWrite } from './trial-writes.ts';
import { isNamed, pictureIn, textIn, type ChatTurn } from './turn.ts';
import type { TurnEvent } from './turn-events.ts';

/** How often this tries to create a run in a thread where other runs come and go. */
const MAX_TRIES = 20;
/** Stop waiting also when the run waits for its caller: that is this caller. */
const UNTIL_BLOCKED = true;
/** Not longer than the log of an ended run is kept, because the answer is read from it. */
const KEY: Keeping = { keptMs: 600_000, maxBytes: Infinity };

/**
 * Answers a turn with what its run says, in batches as it comes, until the run ends or the caller has to act. `timing` is
 * told of every event.
 */
export async function converse(
  means: Means,
  caller: Caller,
  turn: ChatTurn,
  timing?: ServerTiming,
): Promise<Passing<readonly TurnEvent[]>> {
  const found = await new Conversation(means, caller, turn).find();
  // The request, perhaps with photos, is stored by now, and its run may live for minutes.
  caller.release();
  const { thread, answersCalls, photoCaller, onDisconnect } = turn;
  return listen(means, caller, { thread, answersCalls, photoCaller, onDisconnect }, found, timing);
}

/** Another run was created in the thread a moment ago. */
class Locked extends Error {}

/** Finds or begins the run for one turn of a caller. */
class Conversation {
  readonly #means: Means;
  readonly #caller: Caller;
  readonly #turn: ChatTurn;

  constructor(means: Means, caller: Caller, turn: ChatTurn) {
    this.#means = means;
    this.#caller = caller;
    this.#turn = turn;
  }

  /** The run that answers the turn: the run of its first sending, or else a waiting run, or a new one. */
  async find(): Promise<Found> {
    const turn = this.#turn;
    const repeatable = {
      work: async () => this.#work(),
      toKeep: ({ ref, after }: Found) => ({ type: 'stream', ref, after, withThread: false }) as const,
      again: async (first: FirstAnswer) =>
        first.type === 'stream' && (await this.#canBeHeard(first.ref)) ? first : null,
      underKey: KEY,
      isKnown: this.#isKnown,
      // A client that got its answer does not ask for it again: the same body means a new turn then.
      keepsSent: false,
      madeUp: turn.madeUp,
      // Only the place of the run is kept, not what it says.
      keptBytes: 0,
    };
    try {
      return await once<Found>(this.#means, this.#caller, repeatable);
    } catch (error) {
      // The chat that would prove the key must get through, if necessary without a record of it.
      if (this.#caller.idempotencyKey === null || turn.thread !== null || !isOnTrial(error)) throw error;
      return this.#work();
    }
  }

  /** Whether the turn says whose it is, so that its caller can ask for it again. */
  get #isKnown(): boolean {
    return this.#turn.thread !== null || this.#turn.caller !== null;
  }

  async #work(): Promise<Found> {
    const found = await this.#foundOrBegun();
    if (!found.isEarlier || (await this.#canBeHeard(found.ref))) return found;
    // That run has no answer to give, so the turn is done again, under names derived from the run's id.
    this.#caller.newId = namesOf(found.ref.runId);
    return this.#foundOrBegun();
  }

  async #foundOrBegun(): Promise<Found & { readonly isEarlier?: boolean }> {
    return (await this.#photographed()) ?? this.#inThread();
  }

  /**
   * Whether the run has or will have an answer, which a failed run, or one whose caller hung up, does not. If so, this
   * request joins its listeners.
   */
  async #canBeHeard(ref: RunRef): Promise<boolean> {
    const run = (await this.#means.runs.get(ref))?.stored.state.run;
    if (run === undefined || isCancelling(run)) return false;
    return run.cancelled_at === null && run.failed_at === null && this.#means.listeners.join(ref);
  }

  /**
   * A photo that a run of this caller waits for resumes that run, which knows the question. Anything else is a new
   * question, and the caller will not send the photo any more. Runs in a thread are handled by #settle.
   */
  async #photographed(): Promise<Found | null> {
    const { photoCaller, thread, messages } = this.#turn;
    if (photoCaller === null || thread !== null) return null;
    const ref = await this.#means.photos.take(this.#caller.project, photoCaller);
    if (ref === null) return null;
    const said = messages.filter(({ role }) => role !== 'system');
    const [only = null] = said.length === 1 ? said : [];
    const picture = pictureIn(only);
    const found =
      picture === null
        ? null
        : await this.#resume(ref, (pending) => photoOutputs(pending, picture, textIn(only)));
    if (found === null) await cancelRun(this.#means, ref);
    return found;
  }

  async #inThread(): Promise<Found & { readonly isEarlier?: boolean }> {
    const means = this.#means;
    const caller = this.#caller;
    const turn = this.#turn;
    const agent = await findAgentOf(means, caller.project, turn);
    // The first id that is made, and the same for all tries, so that a repetition with the same key finds this run.
    const runId = caller.newId('run');
    if (turn.thread === null) return this.#begin(agent, { runId, threadId: caller.newId('thread') }, []);
    const ref = await threadOf(means, caller, turn.thread);
    const steered = await this.#steeredBefore(ref, runId);
    if (steered !== null) return steered;
    for (let tries = 0; tries < MAX_TRIES && !caller.gone.aborted; tries++) {
      const { runId: holder } = await means.objects.threads.activeRun(ref);
      if (holder !== null) {
        const found = await this.#settle({ ...ref, runId: holder }, runId);
        if (found !== null) return found;
        continue;
      }
      const messages = await newMessages(means, caller, ref, turn);
      const ids = { runId, threadId: ref.threadId };
      const begun = await this.#begin(agent, ids, messages).catch((error: unknown) => {
        // Another request was faster: look at its run.
        if (error instanceof Locked) return null;
        throw error;
      });
      if (begun !== null) return begun;
    }
    throw busy(ref.threadId);
  }

  async #begin(
    agent: Assistant | null,
    ids: RunIds,
    messages: readonly Message[],
  ): Promise<Found & { readonly isEarlier: boolean }> {
    const means = this.#means;
    const caller = this.#caller;
    const turn = this.#turn;
    const said = turn.messages.filter((message) => message.role !== 'system' || isNamed(message));
    const input = turn.thread === null ? withShownPictures(said, means.plugins) : [];
    checkConversation(input, means.settings.promptLimitBytes);
    checkMessages(messages, () => 'messages', means.settings.messageLimitBytes);
    const needsFiles = turn.thread !== null && agent?.tools.some(({ type }) => type !== 'function') === true;
    const ref = { project: caller.project, threadId: ids.threadId };
    const resources = needsFiles ? ((await means.objects.threads.get(ref))?.tool_resources ?? null) : null;
    const made = newRun(means, caller, ids, chatRun(means, turn, agent, resources));
    return begin(
      means,
      caller,
      { ...made, thread: null, messages, input },
      {
        whenBusy: async () => {
          throw new Locked();
        },
        answer: ({ ref, state }) => ({
          ref,
          after: 0,
          // Begun by an earlier sending of this request, whose process died before it could answer.
          isEarlier: state.origin.request_id !== caller.requestId,
        }),
        comesBack: this.#isKnown || caller.idempotencyKey !== null,
      },
    );
  }

  /**
   * C1.
   * @param ownRunId of the run that the turn gets if it gets one
   * @returns the run to listen to; null when the thread has to be looked at again.
   */
  async #settle(ref: RunRef, ownRunId: string): Promise<Found | null> {
    const means = this.#means;
    const turn = this.#turn;
    const { stored } = (await means.runs.current(ref)) ?? {};
    if (stored === undefined || isTerminal(stored.state.run)) return null;
    const isOurs = stored.state.origin.turn_key === turn.turnKey;
    if (!isCancelling(stored.state.run)) {
      if (outputsIn(turn, pendingCalls(stored.state.run)) !== null)
        return this.#resume(ref, (pending) => {
          const outputs = outputsIn(turn, pending);
          return outputs && withPictures(outputs, pending, means.plugins);
        });
      if (isOurs && (await means.listeners.join(ref))) return { ref, after: await this.#beginning(stored) };
    }
    // A run that is being cancelled, or whose first caller has hung up, has no listener, so this request waits for its end.
    const isUnheard = isOurs || isCancelling(stored.state.run);
    if (isUnheard && turn.multitask !== 'rollback') await ended(means, this.#caller, ref, UNTIL_BLOCKED);
    else if (turn.multitask === 'steer') return this.#steer(ref, ownRunId);
    // A blocked run waits for this caller, who sent something else.
    else if (turn.multitask === 'enqueue' && isBlocked(stored.state.run)) await cancelRun(means, ref);
    else if (turn.multitask === 'enqueue') await ended(means, this.#caller, ref, UNTIL_BLOCKED);
    else await makeRoom(means, this.#caller, ref, turn.multitask, () => busy(ref.threadId));
    return null;
  }

  /** Has the run take in what the turn says, and listens to it from there on. */
  async #steer(ref: RunRef, ownRunId: string): Promise<Found | null> {
    const [means, caller] = [this.#means, this.#caller];
    const { listeners, settings } = means;
    const messages = await steeringMessages(means, this.#steerNames(ref, ownRunId), ref, this.#turn);
    checkMessages(messages, () => 'messages', settings.messageLimitBytes);
    await admitWrite(means, caller, {});
    let found: Found | null = null;
    if (messages.length > 0 && (await listeners.join(ref))) {
      const how = { fromThere: true, answer: (_: StoredRun, after: number): Found => ({ ref, after }) };
      try {
        found = await steer(means, caller, ref, messages, how);
      } finally {
        if (found === null) await listeners.leave(ref);
      }
    }
    if (found === null) await ended(means, caller, ref);
    return found;
  }

  /** What an earlier sending with the same key has steered. */
  async #steeredBefore(ref: ThreadRef, ownRunId: string): Promise<Found | null> {
    const { multitask } = this.#turn;
    if (multitask !== 'steer' || this.#caller.idempotencyKey === null) return null;
    const names = this.#steerNames(ref, ownRunId);
    const holder = await this.#means.runs.steeredBy(ref, names('msg'));
    return holder && this.#steer(holder, ownRunId);
  }

  /** Names of what steers a run: the same for the same turn, which may be sent again. */
  #steerNames({ runId }: Partial<RunRef>, ownRunId: string): NewId {
    const { idempotencyKey } = this.#caller;
    return namesOf(`steer ${idempotencyKey === null ? `${runId} ${this.#turn.turnKey}` : ownRunId}`);
  }

  /** @returns null when the run does not wait, or no longer waits, or waits for something else. */
  async #resume(
    ref: RunRef,
    outputsFor: (pending: readonly RequiredCall[]) => Readonly<Record<string, string>> | null,
  ): Promise<Found | null> {
    const { runs, now, settings } = this.#means;
    const decide = ({ state }: StoredRun): readonly RunEvent[] | null => {
      const outputs = outputsFor(pendingCalls(state.run));
      if (outputs === null) return null;
      checkOutputs(Object.values(outputs), 'messages', settings.messageLimitBytes);
      return answerCalls(state, outputs, now());
    };
    const changed = await runs.change(ref, decide);
    return changed === null || changed.after === changed.stored.seq ? null : { ref, after: changed.after };
  }

  /** The seq after which the current turn of a run begins: the answer to its last calls, or the beginning of the run. */
  async #beginning({ ref, state }: StoredRun): Promise<number> {
    let answers = state.turn - 1;
    if (answers === 0) return 0;
    try {
      for await (const entries of this.#means.hub.follow(ref, this.#caller.gone)) {
        for (const { seq, event } of entries) {
          if (event.type === 'run.resumed') answers--;
          if (answers === 0) return seq;
        }
      }
    } catch (error) {
      // `listen` then says what became of it.
      if (!(error instanceof LogGone)) throw error;
    }
    return 0;
  }
}

/** The answers that a turn brings for the pending calls of its thread's run: tool messages, or a photo. */
function outputsIn(
  turn: ChatTurn,
  pending: readonly RequiredCall[],
): Readonly<Record<string, string>> | null {
  if (pending.length === 0) return null;
  const last = turn.messages.at(-1) ?? null;
  const picture = pictureIn(last);
  if (picture !== null) return photoOutputs(pending, picture, textIn(last));
  const answers = turn.messages.filter((message) => message.role === 'tool');
  // Built from entries, because a call may be named `__proto__`, which cannot be assigned.
  const outputs = Object.fromEntries([
    ...namedAnswers(turn, pending),
    ...answers.map((answer) => [answer.tool_call_id, answer.content] as const),
  ]);
  return pending.every(({ id }) => Object.hasOwn(outputs, id)) ? outputs : null;
}

/** The answers that name only the function of a call, by the ids of the calls. */
function namedAnswers(
  { namedAnswers: answers = {} }: ChatTurn,
  pending: readonly RequiredCall[],
): readonly (readonly [string, string])[] {
  return pending.flatMap((call) => {
    const { name } = calledFunction(call);
    const answer = Object.hasOwn(answers, name) ? answers[name] : undefined;
    return answer === undefined ? [] : [[call.id, answer] as const];
  });
}

/** The photo answers every photo call; null if the run waits for anything else. */
function photoOutputs(
  pending: readonly RequiredCall[],
  url: string,
  text: string,
): Readonly<Record<string, string>> | null {
  if (!askForPhoto(pending)) return null;
  return Object.fromEntries(pending.map(({ id }) => [id, pictureOutput(url, text)]));
}

function busy(threadId: string): ApiError {
  const text = `The conversation ${threadId} is still being answered. Wait for the answer, or send metadata.multitask 'interrupt', 'enqueue', 'steer' or 'rollback'.`;
  return new ApiError(400, text, { code: 'thread_busy' });
}
