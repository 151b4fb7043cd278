/**
 * Puts exported objects into requests: vector stores before their files, these before what names them, and messages last, each thread's messages newest first,
 * as list pages have them. Messages of one second stay together: only their order in the request tells which came first.
 */
import type { ExportedPage } from './files.ts';

/** Kinds that come after those that they belong to. */
const LATER: readonly string[] = ['vector_store.file', 'thread.message'];
const MAX_OBJECTS = 200;
const MAX_CHARACTERS = 4 * 1024 * 1024;

/** An object and what its order depends on. */
interface Item {
  readonly value: unknown;
  /** Unix seconds. */
  readonly createdAt: number;
  /** Within one second, a higher rank came later. */
  readonly rank: number;
  /** Empty for an object outside any thread. */
  readonly threadId: string;
  readonly kind: string;
}

/** The bodies of the requests, in their order: lists of objects as JSON. */
export function* batchesOf(pages: readonly ExportedPage[]): Generator<string, void> {
  const items = rank(pages);
  const of = (...kinds: readonly string[]) => items.filter(({ kind }) => kinds.includes(kind));
  const others = items.filter(({ kind }) => !LATER.includes(kind) && kind !== 'vector_store');
  const threads = Map.groupBy(of('thread.message'), ({ threadId }) => threadId);
  const lists = [of('vector_store'), of('vector_store.file'), others, ...threads.values()];
  const inseparable = lists.flatMap((list) => seconds(list));
  let batch: string[] = [];
  let characters = 0;
  for (const group of inseparable) {
    const texts = group.map(({ value }) => JSON.stringify(value));
    const length = texts.reduce((sum, text) => sum + text.length, 0);
    if (
      batch.length > 0 &&
      (batch.length + texts.length > MAX_OBJECTS || characters + length > MAX_CHARACTERS)
    ) {
      yield `[${batch.join(',')}]`;
      batch = [];
      characters = 0;
    }
    batch.push(...texts);
    characters += length;
  }
  if (batch.length > 0) yield `[${batch.join(',')}]`;
}

/** Pages are newest first unless their times say otherwise, and so is a sequence of pages. */
function rank(pages: readonly ExportedPage[]): readonly Item[] {
  let position = 0;
  return pages.flatMap((page) => {
    const read = page.map((value) => ({
      value,
      createdAt: field(value, 'created_at', 0),
      threadId: field(value, 'thread_id', ''),
      kind: field(value, 'object', ''),
    }));
    const sign = isAscending(read) ? 1 : -1;
    return read.map((item): Item => ({ ...item, rank: sign * (position += 1) }));
  });
}

/** Compares neighbours of the same thread, because a page may hold several threads. */
function isAscending(page: readonly Omit<Item, 'rank'>[]): boolean {
  let votes = 0;
  for (const [index, item] of page.entries()) {
    const next = page[index + 1];
    if (next?.threadId === item.threadId) votes += Math.sign(next.createdAt - item.createdAt);
  }
  return votes > 0;
}

/** Newest first, with the items of one second grouped. */
function seconds(items: readonly Item[]): readonly (readonly Item[])[] {
  const newestFirst = items.toSorted((a, b) => b.createdAt - a.createdAt || b.rank - a.rank);
  return [...Map.groupBy(newestFirst, ({ createdAt, kind }) => `${kind}/${createdAt}`).values()];
}

function field<T extends string | number>(value: unknown, name: string, otherwise: T): T {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of the same primitive type as its substitute.
  return typeof found === typeof otherwise ? (found as T) : otherwise;
}
