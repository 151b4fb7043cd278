/** Pages of a thread's history, as history.lua reads them. */
import type { ColdThreads } from './cold-threads.ts';
import { listOf } from './collection.ts';
import type { Damage } from './damage.ts';
import { HistoryItem } from './history-item.ts';
import { decode } from './json.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import type { ThreadBase } from './new-run.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Items that a process has of a thread, without a gap, and what shows that the thread still has the same. */
export interface KnownItems {
  /** The run they were read for. All of them are older than it, and nothing will change them. */
  readonly anchor: { readonly runId: string; readonly place: number };
  /** Newest first, and at least one. */
  readonly items: readonly HistoryItem[];
  readonly sums: Sums;
  /** The thread's first message, wherever it stands; null where it was not read, or may change. */
  readonly first: HistoryItem | null;
}

/** How many of some items are messages, and how many bytes they are together. */
export interface Sums {
  readonly messages: number;
  readonly bytes: number;
}

export function sumsOf(items: readonly HistoryItem[]): Sums {
  let [messages, bytes] = [0, 0];
  for (const item of items) {
    if (item.isMessage) messages += 1;
    bytes += item.bytes;
  }
  return { messages, bytes };
}

/** Where a page goes on. */
export interface Cursor {
  readonly before: number;
  /** How many messages of that place were read already, for imported ones may share theirs; and how many steps. */
  readonly skipMessages: number;
  readonly skipSteps: number;
}

/** Which page is wanted. */
export interface PageAsk {
  /** Null for the newest one. */
  readonly from: Cursor | null;
  /** How many messages, and steps of calls, may be looked at. */
  readonly mostMessages: number;
  readonly mostSteps: number;
  readonly mostItems: number;
  /** The page ends with the item that reaches them. */
  readonly enoughBytes: number;
  /** It has no item beyond them. */
  readonly mostBytes: number;
  /** Nothing is read where the messages of a request without a thread are larger. */
  readonly inputBytes: number;
  /** A first message that is larger comes without its document. */
  readonly firstBytes: number;
  readonly known: KnownItems | null;
}

/** A page, newest first. */
export interface HistoryPage {
  /**
   * Why it ends. `all`: nothing is older, or may be looked at. `known`: what follows is known. `full`: there may be more.
   * `size`: the next item, which stands at `nextPlace`, does not fit. `input`: the input is too large, and nothing was read.
   */
  readonly end: 'all' | 'known' | 'full' | 'size' | 'input';
  readonly nextPlace: number;
  readonly items: readonly HistoryItem[];
  /** Whether what was known still holds. */
  readonly isKnown: boolean;
  /** The place of the run: what is newer is its own. */
  readonly began: number;
  /** Messages and steps of the thread that are older than what is known. */
  readonly olderMessages: number;
  readonly olderSteps: number;
  /** How many messages of the thread were deleted. */
  readonly gone: number;
  /** The messages of a request without a thread, as JSON; '' where there are none, and on later pages. */
  readonly input: string;
  /** The thread's first message, with the newest page; null where there is none. */
  readonly first: HistoryItem | 'known' | null;
  /** What the thread goes on from; null for one that begins by itself. */
  readonly base: ThreadBase | null;
}

const KEY_NAMES = [
  'messagesIndex',
  'messages',
  'messagesGone',
  'toolSteps',
  'steps',
  'runs',
  'thread',
] as const;
const END: Readonly<Record<string, HistoryPage['end']>> = {
  all: 'all',
  known: 'known',
  size: 'size',
  input: 'input',
};

/** Where pages are read, and what hears of damaged items. */
export interface PageSource {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly damage: Damage;
  readonly cold: ColdThreads;
}

/**
 * Reads one page, in one request that leaves in this tick.
 * @param shift is taken from all places, so that the items of a thread stand before those of another that goes on from it
 */
export async function readPage(
  { redis, keys, damage, cold }: PageSource,
  ref: RunRef,
  ask: PageAsk,
  shift = 0,
): Promise<HistoryPage> {
  const { threadId } = ref;
  const own = keys.ownKeys(ref);
  const names = [...KEY_NAMES.map((name) => own[name]), keys.input(ref)];
  const { from, mostMessages, mostSteps, mostItems, enoughBytes, mostBytes, inputBytes, firstBytes } = ask;
  const limits = [mostMessages, mostSteps, mostItems, enoughBytes, mostBytes, inputBytes, firstBytes].map(
    (limit) => Math.min(limit, Number.MAX_SAFE_INTEGER),
  );
  const start = [from === null ? '' : from.before + shift, from?.skipMessages ?? 0, from?.skipSteps ?? 0];
  const args = [ref.runId, ...start, ...limits, ...knownArgs(ask.known)];
  const reply = listOf(await cold.reach(ref, async () => redis.history(names.length, ...names, ...args)));
  const [end, nextPlace, isKnown, olderMessages, olderSteps, began, gone, input, first, ...rows] = reply;
  const [messageRows, messages, stepRows, steps, base] = rows;
  const placeOf = (text: unknown): number => Number(text) - shift;
  const itemsOf = (found: unknown, docs: unknown, isMessage: boolean): readonly HistoryItem[] => {
    const [list, texts] = [listOf(found), listOf(docs)];
    return Array.from({ length: list.length / 2 }, (_, at) => {
      const where = { threadId, id: textOf(list[2 * at]), place: placeOf(list[2 * at + 1]), isMessage };
      const documents = isMessage
        ? { item: textOf(texts[at]), thoughts: '', asides: '' }
        : {
            item: textOf(texts[3 * at]),
            thoughts: textOf(texts[3 * at + 1]),
            asides: textOf(texts[3 * at + 2]),
          };
      return new HistoryItem(where, documents, damage);
    });
  };
  const items = merged(itemsOf(messageRows, messages, true), itemsOf(stepRows, steps, false));
  const [firstId, firstPlace, firstSize, firstDoc] = listOf(first);
  const firstOf = (): HistoryPage['first'] => {
    if (typeof firstId !== 'string') return null;
    if (firstPlace === undefined) return items.find(({ id }) => id === firstId) ?? 'known';
    const where = { threadId, id: firstId, place: placeOf(firstPlace), isMessage: true };
    const documents = { item: textOf(firstDoc), thoughts: '', asides: '' };
    return new HistoryItem(where, documents, damage, Number(firstSize));
  };
  return {
    end: END[String(end)] ?? 'full',
    nextPlace: placeOf(nextPlace),
    items,
    isKnown: isKnown === '1',
    began: began === '' ? Infinity : Number(began),
    olderMessages: Number(olderMessages),
    olderSteps: Number(olderSteps),
    gone: Number(gone),
    input: textOf(input),
    first: firstOf(),
    base: decode<ThreadBase | null>(textOf(base) || null),
  };
}

function knownArgs(known: KnownItems | null): readonly (string | number)[] {
  const [newest, oldest] = [known?.items[0], known?.items.at(-1)];
  if (known === null || newest === undefined || oldest === undefined) return ['', '', '', '', '', '', ''];
  const { anchor, items, sums, first } = known;
  const counts = [sums.messages, items.length - sums.messages];
  return [anchor.runId, anchor.place, newest.place, oldest.place, ...counts, first?.id ?? ''];
}

/** '' for what is not there. */
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Both newest first, together. */
function merged(messages: readonly HistoryItem[], steps: readonly HistoryItem[]): readonly HistoryItem[] {
  if (steps.length === 0) return messages;
  return [...steps, ...messages].toSorted((a, b) => b.place - a.place);
}
