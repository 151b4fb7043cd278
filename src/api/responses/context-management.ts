/**
 * `context_management`: what a response goes on from is compacted before it begins, once it has more tokens than its request allows.
 * The summary joins the conversation as an item, which stands for all that is before it.
 */
import { leastTokens } from '../../runs/blocks.ts';
import type { StoredItem, WireItem } from '../../runs/items.ts';
import { estimateTokens } from '../../runs/tokens.ts';
import type { Assistant } from '../../runs/thread.ts';
import type { Caller } from '../../turns/caller.ts';
import type { Services } from '../http/services.ts';
import { itemsBefore, placeBeside, type ResponsePlace } from './place.ts';
import { conversationIn, type ResponseBody } from './request.ts';
import { beginSummary, summaryIn } from './summary.ts';
import { whole } from './whole.ts';

/** So many items are looked at: more have more tokens than any model takes. */
const MAX_LOOKED_AT = 10_000;

interface Context {
  readonly given: ResponseBody;
  readonly agent: Assistant | null;
  readonly place: ResponsePlace;
  /** What the request brings. */
  readonly items: readonly WireItem[];
  /** Calls before it whose outputs it brings: a summary would come between them. */
  readonly open: readonly string[];
}

/** What was compacted. */
export interface Compacted {
  readonly item: StoredItem;
  /** How many of the request's items it stands for, and all before the request. */
  readonly stands: number;
  /** Where the conversation stood then: what joins it meanwhile is not in the summary. Missing outside of one. */
  readonly expectedOrder?: string;
}

/** Compacts what a response goes on from; null where that is small enough, or cannot be done now. */
export async function compactedBefore(
  services: Services,
  caller: Caller,
  context: Context,
): Promise<Compacted | null> {
  const { place, items } = context;
  if (!(await isTooLong(services, caller, context))) return null;
  const isAlone = place.previous === null && !place.inConversation;
  const stands = isAlone ? lastQuestion(items) : 0;
  if (isAlone && (stands <= 0 || refersBack(items, stands))) return null;
  const head = place.inConversation
    ? await services.objects.line.head({ project: caller.project, threadId: place.threadId })
    : null;
  // The response has to wait, or is refused.
  if (head !== null && head.holder !== null) return null;
  const item = await summed(services, caller, context, stands);
  if (item === null) return null;
  return { item, stands, ...(head !== null && { expectedOrder: head.order }) };
}

/** Whether there is more to go on from than the request allows. */
async function isTooLong(
  services: Services,
  caller: Caller,
  { given, place, items, open }: Context,
): Promise<boolean> {
  const limit = limitIn(given);
  if (limit === null || services.seal === null || open.length > 0) return false;
  const own = items.reduce((sum, item) => sum + estimateTokens(JSON.stringify(item)), 0);
  if (own > limit) return true;
  const isAlone = place.previous === null && !place.inConversation;
  return !isAlone && (await hasMoreTokens(services, caller, place, limit - own));
}

/** The summary as an item; null where the model wrote none. */
async function summed(
  services: Services,
  caller: Caller,
  { given, agent, place, items }: Context,
  stands: number,
): Promise<StoredItem | null> {
  const { seal, now } = services;
  try {
    const { previous_response_id: previous = null } = given;
    const beside = await placeBeside(services, caller, { previous, conversation: conversationIn(given) });
    const asked = { given, agent, place: beside, items: items.slice(0, stands) };
    const { output } = await whole(services, caller, await beginSummary(services, caller, asked));
    const text = summaryIn(output);
    if (text === '' || seal === null) return null;
    return {
      id: caller.newId('item'),
      object: 'thread.item',
      created_at: now(),
      thread_id: place.threadId,
      run_id: null,
      status: 'completed',
      item: { type: 'compaction', encrypted_content: seal.closeText(text, caller.project) },
      text,
    };
  } catch (err) {
    caller.gone.throwIfAborted();
    // The response can be made without: if it does not fit, its caller is told.
    caller.log.warn({ err }, 'a conversation could not be compacted');
    return null;
  }
}

function limitIn({ context_management: entries }: ResponseBody): number | null {
  const entry = entries?.find(({ type }) => type === 'compaction');
  return entry?.compact_threshold ?? null;
}

/** Whether what stands before a response has more tokens. A summary among it stands for all that is before. */
async function hasMoreTokens(
  services: Services,
  { project }: Caller,
  place: ResponsePlace,
  limit: number,
): Promise<boolean> {
  let tokens = 0;
  for await (const page of itemsBefore(services, project, place, MAX_LOOKED_AT)) {
    for (const item of page) {
      tokens += leastTokens(item);
      if (tokens > limit) return true;
      if (item.object === 'thread.item' && item.item.type === 'compaction') return false;
    }
  }
  return false;
}

/** The place of the last question among the items; -1 where there is none. */
function lastQuestion(items: readonly WireItem[]): number {
  return items.findLastIndex(({ type, role }) => type === 'message' && role === 'user');
}

/** Whether an item behind the place answers a call before it. */
function refersBack(items: readonly WireItem[], place: number): boolean {
  const made = new Set(
    items.slice(place).map(({ type, call_id: id }) => (type.endsWith('_call') ? id : null)),
  );
  return items.slice(place).some(({ type, call_id: id }) => type.endsWith('_output') && !made.has(id));
}
