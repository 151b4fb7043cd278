/**
 * Where a response stands: the thread it is made in, and what has been said there before. A response that continues the last
 * one of a chain joins its thread; one that continues an earlier response, or one of a conversation, begins a thread of its
 * own that goes on from there, so nothing is copied.
 */
import { ApiError, echo } from '../../errors.ts';
import { isOpenCall } from '../../runs/calls/kinds.ts';
import { saidBy, type ItemWords } from '../../runs/items.ts';
import { callsOf } from '../../runs/parts.ts';
import { isTerminal } from '../../runs/run.ts';
import type { Thread, ThreadItem, ToolResources } from '../../runs/thread.ts';
import type { RunRef, ThreadRef } from '../../store/keys.ts';
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
  /** The thread begins with the response, so nothing is in it yet; what it goes on from is in its base. */
  readonly isNew: boolean;
  readonly base?: ThreadBase;
  readonly expectedOrder?: string;
  readonly previous: string | null;
  readonly inConversation: boolean;
  /** What the hosted tools of a conversation work with. */
  readonly resources?: ToolResources;
  /** The labels of the MCP servers whose tools the previous response knew. */
  readonly servers?: readonly string[];
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
  readonly names: PlaceNames;
}

/** What a response is called, and its thread where it begins one. */
export interface PlaceNames {
  readonly run: string;
  readonly thread: string;
}

/**
 * Names for a request, drawn once and before all else: sent again it finds what it made, however often its place was looked for.
 */
export function placeNames({ newId }: Caller): PlaceNames {
  return { run: newId('run'), thread: newId('thread') };
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
  { previous, conversation, isKept, unkept = NONE_UNKEPT, names }: AskedPlace,
  mayJoin: boolean,
): Promise<ResponsePlace> {
  if (conversation !== null) {
    if (previous !== null) throw bothContinued();
    const ref = await conversationOf(means, caller.project, conversation);
    const [there] = await Promise.all([means.objects.threads.get(ref), withdrawFailed(means, ref)]);
    const runId = runIdIn(ref.threadId, names.run);
    const resources = there === null ? {} : { resources: there.tool_resources };
    return {
      threadId: ref.threadId,
      runId,
      thread: null,
      isNew: false,
      previous: null,
      inConversation: true,
      ...resources,
    };
  }
  if (previous === null) return newPlace(means, names, isKept, {});
  const found = await previousOf(means, caller.project, previous, unkept);
  if (found === null) throw previousNotFound(previous);
  if (!isTerminal(found.state.run)) throw previousNotOver(previous);
  const { ref, state } = found;
  const servers = (state.origin.remotes ?? []).map(({ label }) => label);
  const isChain = state.origin.response !== undefined && !state.origin.response.in_conversation;
  if (isKept && state.origin.ephemeral)
    return { ...newPlace(means, names, true, { previous: ref.runId }), servers, repeats: ref };
  if (mayJoin && isChain && isKept !== state.origin.ephemeral) {
    const head = await means.objects.line.head(ref);
    const runId = runIdIn(ref.threadId, names.run);
    const isLast = head.runId === ref.runId && head.holder === null;
    const joined = {
      threadId: ref.threadId,
      runId,
      thread: null,
      isNew: false,
      previous: ref.runId,
      inConversation: false,
      servers,
    };
    // A request that was sent before finds what it made then.
    if (head.runId === runId || (await isMade(means, caller, { ...ref, runId }))) return joined;
    if (isLast) return { ...joined, expectedOrder: head.order };
  }
  const base = await means.objects.line.after(ref);
  return { ...newPlace(means, names, isKept, { base, previous: ref.runId }), servers };
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
  const names = placeNames(caller);
  if (conversation === null)
    return placeOf(means, caller, { previous, conversation, isKept: false, names }, false);
  if (previous !== null) throw bothContinued();
  const ref = await conversationOf(means, caller.project, conversation);
  const { order } = await means.objects.line.head(ref);
  return newPlace(means, names, false, { base: { thread_id: ref.threadId, before: Number(order) + 1 } });
}

async function isMade({ runs }: Means, { idempotencyKey }: Caller, ref: RunRef): Promise<boolean> {
  return idempotencyKey !== null && (await runs.get(ref)) !== null;
}

function newPlace(
  { now }: Means,
  { run, thread: threadId }: PlaceNames,
  isKept: boolean,
  { base, previous = null }: { readonly base?: ThreadBase; readonly previous?: string | null },
): ResponsePlace {
  const thread: Thread = {
    id: threadId,
    object: 'thread',
    created_at: now(),
    metadata: {},
    tool_resources: {},
  };
  return {
    threadId,
    runId: runIdIn(threadId, run),
    thread: isKept ? thread : null,
    isNew: true,
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
export async function callsBefore(means: Means, project: string, place: ResponsePlace): Promise<CallsBefore> {
  const known = new Set<string>();
  const open = new Set<string>();
  const answered = new Set<string>();
  const from = lineBefore(project, place);
  for await (const items of pagesBefore(means, from, { limit: LOOKED_BACK, onlyCalls: true })) {
    for (const item of items) {
      const said = item.object === 'thread.item' ? saidBy(item) : null;
      if (said?.type === 'output') answered.add(said.callId);
      for (const { id, isOpen } of callsIn(item, said)) {
        known.add(id);
        if (isOpen) open.add(id);
      }
    }
  }
  return { open: [...open.difference(answered)].toReversed(), known };
}

/** Threads that one after the other go on from each other; more are not looked at. */
const MAX_BASES = 64;

/** The threads in which something stands before a response. */
export async function threadsBehind(
  { objects }: Means,
  project: string,
  { threadId, base, repeats }: ResponsePlace,
): Promise<ReadonlySet<string>> {
  const behind = new Set([threadId]);
  if (repeats !== undefined) behind.add(repeats.threadId);
  let next = base ?? (await objects.line.base({ project, threadId }));
  for (let looks = 0; next !== null && looks < MAX_BASES; looks += 1) {
    behind.add(next.thread_id);
    next = await objects.line.base({ project, threadId: next.thread_id });
  }
  return behind;
}

/** What stands before a response, newest first, in pages. */
export function itemsBefore(
  means: Means,
  project: string,
  place: ResponsePlace,
  limit: number,
): AsyncGenerator<readonly ThreadItem[], void> {
  return pagesBefore(means, lineBefore(project, place), { limit });
}

function lineBefore(project: string, { threadId, isNew, base }: ResponsePlace): EarlierLine | null {
  if (base !== undefined) return { ref: { project, threadId: base.thread_id }, before: base.before };
  return isNew ? null : { ref: { project, threadId }, before: Infinity };
}

function callsIn(
  item: ThreadItem,
  said: ItemWords,
): readonly { readonly id: string; readonly isOpen: boolean }[] {
  if (said?.type === 'call') return [{ id: said.call.id, isOpen: true }];
  if (item.object !== 'thread.run.step' || item.status !== 'completed') return [];
  // Nobody has to decide about a call: then it is not made.
  return callsOf(item).map((call) => ({ id: call.id, isOpen: isOpenCall(call) && call.type !== 'approval' }));
}

/** Everything before a place of a thread, and of those that it goes on from. */
interface EarlierLine {
  readonly ref: ThreadRef;
  readonly before: number;
}

/** At most so many items before a place, newest first, and no more bytes than one prompt may have. */
async function* pagesBefore(
  { objects, settings }: Means,
  from: EarlierLine | null,
  { limit, onlyCalls = false }: { readonly limit: number; readonly onlyCalls?: boolean },
): AsyncGenerator<readonly ThreadItem[], void> {
  let [left, leftBytes] = [limit, settings.promptLimitBytes];
  for (let next = from; next !== null && left > 0 && leftBytes > 0;) {
    const { ref, before }: EarlierLine = next;
    const query = { after: -Infinity, before, order: 'desc', limit: left, onlyCalls } as const;
    const page = await objects.line.items(ref, query);
    yield page.items.map(({ item }) => item);
    left -= page.items.length;
    leftBytes -= page.bytes;
    next = page.hasMore && page.edge !== null ? { ref, before: page.edge } : await baseOf(objects, ref);
  }
}

async function baseOf(objects: Means['objects'], ref: ThreadRef): Promise<EarlierLine | null> {
  const base = await objects.line.base(ref);
  return base && { ref: { project: ref.project, threadId: base.thread_id }, before: base.before };
}

/** What was said up to the end of a response, as items that can be said again. Oldest first, and of the newest only so many. */
export async function saidUntil(means: Means, ref: RunRef, limit: number): Promise<readonly OutputItem[]> {
  const { before } = await means.objects.line.after(ref);
  const said: OutputItem[] = [];
  for await (const items of pagesBefore(means, { ref, before }, { limit })) {
    for (const item of items) said.push(...lineItems({ item, place: 0, thoughts: [] }).toReversed());
  }
  return said.toReversed();
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
