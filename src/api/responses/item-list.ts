/** Lists of items: what went into a response, and what is in a conversation. */
import { z } from 'zod';
import { unknownCursor } from '../../errors.ts';
import type { ThreadRef } from '../../store/keys.ts';
import type { Placed } from '../../store/line.ts';
import type { StoredRun } from '../../store/runs.ts';
import type { Call } from '../http/call.ts';
import { json, type Answer } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { itemName } from './ids.ts';
import { lineItems } from './line.ts';
import type { OutputItem } from './output.ts';

const listQuery = z.looseObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().optional(),
});

/** Places of a thread between which a list lies; neither is part of it. */
interface Bounds {
  readonly after: number;
  readonly before: number;
}

const EVERYTHING: Bounds = { after: -Infinity, before: Infinity };

/** One page of what joined the thread with a response: the items directly before its run. */
export async function inputPage(services: Services, call: Call, { ref, state }: StoredRun): Promise<Answer> {
  const inputs = state.origin.response?.inputs ?? 0;
  const place = await services.objects.line.placeOf(ref);
  if (place === null || inputs === 0) return envelope([], false);
  return linePage(services, call, ref, { after: place - inputs - 1, before: place });
}

/** One page of what is in a thread. @throws {ApiError} 400 for a cursor that names no item there. */
export async function linePage(
  { objects }: Services,
  call: Call,
  ref: ThreadRef,
  bounds = EVERYTHING,
): Promise<Answer> {
  const { limit, order, after } = call.query(listQuery);
  const start = after === undefined ? null : await placeOf(objects.line, ref, after);
  const isThere = start !== null && start.place > bounds.after && start.place < bounds.before;
  if (after !== undefined && !isThere) throw unknownCursor('after', after);
  const items: OutputItem[] = start === null ? [] : rest(start, after ?? '', order);
  let edge = start?.place ?? (order === 'asc' ? bounds.after : bounds.before);
  let bytes = 0;
  let hasMore = true;
  while (items.length <= limit && hasMore && bytes === 0) {
    const range = order === 'asc' ? { ...bounds, after: edge } : { ...bounds, before: edge };
    const admit = (more: number): void => call.admit(more);
    const page = await objects.line.items(ref, { ...range, order, limit: limit + 1, admit });
    for (const each of page.items) items.push(...inOrder(lineItems(each), order));
    edge = page.edge ?? edge;
    // A page that has something to show is enough, however short it is.
    bytes = items.length === 0 ? 0 : page.bytes;
    ({ hasMore } = page);
  }
  return envelope(items.slice(0, limit), items.length > limit || hasMore);
}

/** What comes after an item of the same step. */
function rest(start: Placed, id: string, order: 'asc' | 'desc'): OutputItem[] {
  const items = inOrder(lineItems(start), order);
  return items.slice(items.findIndex((item) => item.id === id) + 1);
}

function inOrder(items: readonly OutputItem[], order: 'asc' | 'desc'): OutputItem[] {
  return order === 'asc' ? [...items] : items.toReversed();
}

/** Where an item stands, by its id. */
async function placeOf(
  line: Services['objects']['line'],
  ref: ThreadRef,
  id: string,
): Promise<Placed | null> {
  const { prefix, own, number } = itemName(id);
  if (number !== null || prefix === 'rs') {
    const step = await line.find(ref, `step_${own}`);
    if (step !== null) return step;
  }
  const message = prefix === 'msg' ? await line.find(ref, `msg_${own}`) : null;
  return message ?? (await line.find(ref, `item_${own}`));
}

function envelope(data: readonly OutputItem[], hasMore: boolean): Answer {
  return json({
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: hasMore,
  });
}
