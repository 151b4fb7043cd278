/**
 * Where a response stands: the thread it is made in, and what has been said there before. A response that continues the last
 * one of a chain joins its thread; one that continues an earlier response, or one of a conversation, begins a thread of its
 * own that goes on from there, so nothing is copied.
 */
import { ApiError, echo } from '../../errors.ts';
import { isOpenCall } from '../../runs/calls/kinds.ts';
import { saidBy } from '../../runs/items.ts';
import { callsOf } from '../../runs/parts.ts';
import { isTerminal } from '../../runs/run.ts';
import type { Thread, ThreadItem, ToolResources } from '../../runs/thread.ts';
import type { RunRef, ThreadRef } from '../../store/keys.ts';
import type { Placed } from '../../store/line.ts';
import type { ThreadBase } from '../../store/new-run.ts';
import type { StoredRun } from '../../store/runs.ts';
import type { Caller } from '../../turns/caller.ts';
import type { Means } from '../../turns/means.ts';
import { runIdIn, runOf, threadIdOf } from './ids.ts';
import { withdrawFailed } from './withdraw.ts';
import { lineItems } from './line.ts';
import type { OutputItem } from './output.ts';

/** How far back calls are looked for whose outputs a request brings. */
const LOOKED_BACK = 200;

export interface ResponsePlace {
  readonly threadId: string;
  readonly runId: string;
  /** The thread, when it is made with the response; null when it is there, or is not kept. */
  readonly thread: Thread | null;
  readonly base?: ThreadBase;
  readonly expectedOrder?: string;
  readonly previous: string | null;
  readonly inConversation: boolean;
  /** What the hosted tools of a conversation work with. */
  readonly resources?: ToolResources;
  /** What is said again in a new thread, because it is not kept where it was said. */
  readonly repeats?: RunRef;
}

/** Responses that are not kept and can be continued all the same, by the ids of their runs. */
export type Unkept = ReadonlySet<string>;

const NONE_UNKEPT: Unkept = new Set();

export interface AskedPlace {
  readonly previous: string | null;
  readonly conversation: string | null;
  readonly isKept: boolean;
  readonly unkept?: Unkept;
}

/**
 * Finds the place of a response.
 * @param mayJoin whether it may join the thread of the response that it continues; false once that has gone on
 * @throws {ApiError} 400 for a previous response that is not there or not over, and for both kinds of continuation at once;
 *   404 for an unknown conversation.
 */
export async function placeOf(
  means: Means,
  caller: Caller,
  { previous, conversation, isKept, unkept = NONE_UNKEPT }: AskedPlace,
  mayJoin: boolean,
): Promise<ResponsePlace> {
  if (conversation !== null) {
    if (previous !== null) throw bothContinued();
    const ref = await conversationOf(means, caller.project, conversation);
    const [there] = await Promise.all([means.objects.threads.get(ref), withdrawFailed(means, ref)]);
    const runId = runIdIn(ref.threadId, caller.newId('run'));
    const resources = there === null ? {} : { resources: there.tool_resources };
    return {
      threadId: ref.threadId,
      runId,
      thread: null,
      previous: null,
      inConversation: true,
      ...resources,
    };
  }
  if (previous === null) return newPlace(means, caller, isKept, {});
  const found = await previousOf(means, caller.project, previous, unkept);
  if (found === null) throw previousNotFound(previous);
  if (!isTerminal(found.state.run)) throw previousNotOver(previous);
  const { ref, state } = found;
  const isChain = state.origin.response !== undefined && !state.origin.response.in_conversation;
  if (isKept && state.origin.ephemeral)
    return { ...newPlace(means, caller, true, { previous: ref.runId }), repeats: ref };
  if (mayJoin && isChain && isKept !== state.origin.ephemeral) {
    const head = await means.objects.line.head(ref);
    const runId = runIdIn(ref.threadId, caller.newId('run'));
    const isLast = head.runId === ref.runId && head.holder === null;
    const joined = {
      threadId: ref.threadId,
      runId,
      thread: null,
      previous: ref.runId,
      inConversation: false,
    };
    // A request that was sent before finds what it made then.
    if (head.runId === runId || (await isMade(means, caller, { ...ref, runId }))) return joined;
    if (isLast) return { ...joined, expectedOrder: head.order };
  }
  const base = await means.objects.line.after(ref);
  return newPlace(means, caller, isKept, { base, previous: ref.runId });
}

/**
 * A place beside everything: it goes on from a response or a conversation, and leaves both as they are.
 * @throws {ApiError} as {@link placeOf}.
 */
export async function placeBeside(
  means: Means,
  caller: Caller,
  { previous, conversation }: Pick<AskedPlace, 'previous' | 'conversation'>,
): Promise<ResponsePlace> {
  if (conversation === null) return placeOf(means, caller, { previous, conversation, isKept: false }, false);
  if (previous !== null) throw bothContinued();
  const ref = await conversationOf(means, caller.project, conversation);
  const { order } = await means.objects.line.head(ref);
  return newPlace(means, caller, false, { base: { thread_id: ref.threadId, before: Number(order) + 1 } });
}

async function isMade({ runs }: Means, { idempotencyKey }: Caller, ref: RunRef): Promise<boolean> {
  return idempotencyKey !== null && (await runs.get(ref)) !== null;
}

function newPlace(
  { now }: Means,
  { newId }: Caller,
  isKept: boolean,
  { base, previous = null }: { readonly base?: ThreadBase; readonly previous?: string | null },
): ResponsePlace {
  const threadId = newId('thread');
  const thread: Thread = {
    id: threadId,
    object: 'thread',
    created_at: now(),
    metadata: {},
    tool_resources: {},
  };
  return {
    threadId,
    runId: runIdIn(threadId, newId('run')),
    thread: isKept ? thread : null,
    ...(base !== undefined && { base }),
    previous,
    inConversation: false,
  };
}

/** The thread of a conversation. @throws {ApiError} 404 where there is none. */
export async function conversationOf({ objects }: Means, project: string, name: string): Promise<ThreadRef> {
  const threadId = threadIdOf(name);
  const ref = { project, threadId: threadId ?? '' };
  if (threadId === null || !(await objects.threads.exists(ref))) throw conversationNotFound(name);
  return ref;
}

/** A response that is kept, or that the caller may continue without that, by its id; null where there is none. */
async function previousOf(
  means: Means,
  project: string,
  id: string,
  unkept: Unkept,
): Promise<StoredRun | null> {
  const found = await foundBy(means, project, id);
  return found?.state.origin.ephemeral === true && !unkept.has(found.ref.runId) ? null : found;
}

/**
 * A response that can be asked for by its id; null where there is none. One of the background that is not kept is there as long
 * as its log, for its client to poll.
 */
export async function responseOf(means: Means, project: string, id: string): Promise<StoredRun | null> {
  const found = await foundBy(means, project, id);
  const { ephemeral, response } = found?.state.origin ?? {};
  return ephemeral === true && response?.background !== true ? null : found;
}

async function foundBy(means: Means, project: string, id: string): Promise<StoredRun | null> {
  const ref = await refOf(means, project, id);
  if (ref === null) return null;
  const [found, isForgotten] = await Promise.all([
    means.runs.current(ref),
    means.objects.line.isForgotten(ref),
  ]);
  return found === null || isForgotten ? null : found.stored;
}

async function refOf({ objects }: Means, project: string, id: string): Promise<RunRef | null> {
  const ref = runOf(project, id);
  if (ref === null || ref.threadId !== '') return ref;
  const threadId = await objects.recentRuns.threadOf(project, ref.runId);
  return threadId === null ? null : { ...ref, threadId };
}

/** The calls of what was said before. */
export interface CallsBefore {
  /** Those that were left open and have no output yet. */
  readonly open: readonly string[];
  readonly known: ReadonlySet<string>;
}

/** Looks for calls in what stands before a response. */
export async function callsBefore(
  means: Means,
  project: string,
  { threadId, thread, base }: ResponsePlace,
): Promise<CallsBefore> {
  let from: EarlierLine | null =
    thread === null && base === undefined ? { ref: { project, threadId }, before: Infinity } : null;
  if (base !== undefined) from = { ref: { project, threadId: base.thread_id }, before: base.before };
  const items = from === null ? [] : await lineBefore(means, from, LOOKED_BACK);
  return callsIn(items.map(({ item }) => item));
}

/** Everything before a place of a thread, and of those that it goes on from. */
interface EarlierLine {
  readonly ref: ThreadRef;
  readonly before: number;
}

/** At most so many items before a place, newest first. */
async function lineBefore({ objects }: Means, from: EarlierLine, limit: number): Promise<readonly Placed[]> {
  const items: Placed[] = [];
  let next: EarlierLine | null = from;
  while (next !== null && items.length < limit) {
    const { ref, before }: EarlierLine = next;
    const [found, further]: [readonly Placed[], ThreadBase | null] = await Promise.all([
      objects.line.items(ref, { after: -Infinity, order: 'desc', before, limit: limit - items.length }),
      objects.line.base(ref),
    ]);
    items.push(...found);
    next = further && { ref: { project: ref.project, threadId: further.thread_id }, before: further.before };
  }
  return items;
}

/** What was said up to the end of a response, as items that can be said again. Oldest first, and of the newest only so many. */
export async function saidUntil(means: Means, ref: RunRef, limit: number): Promise<readonly OutputItem[]> {
  const base = await means.objects.line.after(ref);
  const items = await lineBefore(means, { ref, before: base.before }, limit);
  return items.toReversed().flatMap(lineItems);
}

function callsIn(items: readonly ThreadItem[]): CallsBefore {
  const known = new Set<string>();
  const open = new Set<string>();
  const answered = new Set<string>();
  for (const item of items) {
    if (item.object === 'thread.run.step' && item.status === 'completed') {
      for (const call of callsOf(item)) {
        known.add(call.id);
        if (isOpenCall(call)) open.add(call.id);
      }
    }
    const said = item.object === 'thread.item' ? saidBy(item) : null;
    if (said?.type === 'output') answered.add(said.callId);
    if (said?.type !== 'call') continue;
    known.add(said.call.id);
    open.add(said.call.id);
  }
  return { open: [...open.difference(answered)].toReversed(), known };
}

function bothContinued(): ApiError {
  const text =
    "'previous_response_id' and 'conversation' exclude each other: a conversation knows what was said in it. Send one of them.";
  return new ApiError(400, text, { code: 'mutually_exclusive_parameters' });
}

function previousNotFound(id: string): ApiError {
  const text = `Previous response with id '${echo(id)}' not found.`;
  return new ApiError(400, text, { param: 'previous_response_id', code: 'previous_response_not_found' });
}

function previousNotOver(id: string): ApiError {
  const text = `Previous response with id '${echo(id)}' is not finished yet. Wait for its end, or cancel it.`;
  return new ApiError(400, text, { param: 'previous_response_id', code: 'previous_response_not_finished' });
}

function conversationNotFound(id: string): ApiError {
  return new ApiError(404, `Conversation with id '${echo(id)}' not found.`);
}

export function responseNotFound(id: string): ApiError {
  return new ApiError(404, `Response with id '${echo(id)}' not found.`);
}
