/** Lists on the wire: one page at a time, addressed by cursors. */
import type { z } from 'zod';
import { unknownCursor } from '../../errors.ts';
import type { ListPage, PageQuery } from '../../store/collection.ts';
import type { Call } from './call.ts';
import { json, type Answer } from './endpoint.ts';
import { listQuery } from './shapes.ts';

/** What a list may be asked: that of files takes other numbers, and goes one way only. */
type ListQuery = Pick<PageQuery, 'limit' | 'order'> & {
  readonly after?: string | undefined;
  readonly before?: string | undefined;
};

/** Reads `limit`, `order`, `after` and `before`, asks for that page, and answers with the list envelope. */
export async function page<T extends { readonly id: string }>(
  call: Call,
  read: (query: PageQuery) => Promise<ListPage<T>>,
  schema: z.ZodType<ListQuery> = listQuery,
): Promise<Answer> {
  const { limit, order, after = null, before = null } = call.query(schema);
  const found = await read({ limit, order, after, before, admit: (bytes) => call.admit(bytes) });
  if (found.type === 'unknown cursor') {
    throw unknownCursor(found.cursor === after ? 'after' : 'before', found.cursor);
  }
  const { items, hasMore, readTo } = found;
  const ends = { first_id: items[0]?.id ?? null, last_id: items.at(-1)?.id ?? null };
  // Where a page had to end early, its cursor may be an item that is not on it.
  if (readTo !== undefined) ends[before !== null && after === null ? 'first_id' : 'last_id'] = readTo;
  return json({ object: 'list', data: items, ...ends, has_more: hasMore });
}
