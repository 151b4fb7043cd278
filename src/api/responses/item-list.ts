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

/** One page of items that are all there. @param items oldest first */
export function itemPage(call: Call, items: readonly OutputItem[]): Answer {
  const { limit, order, after } = call.query(listQuery);
  const ordered = order === 'asc' ? items : items.toReversed();
  const from = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && from === 0) throw unknownCursor('after', after);
  return envelope(ordered.slice(from, from + limit), from + limit < ordered.length);
}

/** The items that joined the thread with a response: those directly before its run. Oldest first. */
export async function inputItems(
  { objects }: Services,
  { ref, state }: StoredRun,
): Promise<readonly OutputItem[]> {
  const inputs = state.origin.response?.inputs ?? 0;
  const place = await objects.line.placeOf(ref);
  if (place === null || inputs === 0) return [];
  const placed = await objects.line.items(ref, {
    after: place - inputs - 1,
    before: place,
    order: 'asc',
    limit: inputs,
  });
  return placed.flatMap(lineItems);
}

/** One page of what is in a conversation. @throws {ApiError} 400 for a cursor that names no item of it. */
export async function conversationPage({ objects }: Services, call: Call, ref: ThreadRef): Promise<Answer> {
  const { limit, order, after } = call.query(listQuery);
  const start = after === undefined ? null : await placeOf(objects.line, ref, after);
  if (after !== undefined && start === null) throw unknownCursor('after', after);
  const items: OutputItem[] = start === null ? [] : rest(start, after ?? '', order);
  let edge = start?.place ?? (order === 'asc' ? -Infinity : Infinity);
  let hasMore = true;
  while (items.length <= limit && hasMore) {
    const range = order === 'asc' ? { after: edge, before: Infinity } : { after: -Infinity, before: edge };
    const placed = await objects.line.items(ref, { ...range, order, limit: limit + 1 });
    for (const each of placed) items.push(...inOrder(lineItems(each), order));
    edge = placed.at(-1)?.place ?? edge;
    hasMore = placed.length > limit;
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
