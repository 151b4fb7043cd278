/**
 * What a prompt is made from, read from a thread's newest items back to where a budget is used up. The first page is asked
 * for before it is known how much is needed; most threads need no other. What the process knows of a thread is not read again.
 */
import type { KeptAsides } from '../runs/asides.ts';
import type { ChatMessage } from '../runs/model.ts';
import type { History } from '../runs/blocks.ts';
import type { KeptThought } from '../runs/thoughts.ts';
import type { ThreadItem } from '../runs/thread.ts';
import type { ColdThreads } from './cold-threads.ts';
import type { Damage } from './damage.ts';
import { choose, FIRST_SHARE, type HistoryChoice, type HistoryBudget } from './history-choice.ts';
import {
  readPage,
  type Cursor,
  type HistoryPage,
  type KnownItems,
  type PageAsk,
  type PageSource,
} from './history-page.ts';
import { BASE_SHIFT, cursorAfter, ItemsRead } from './items-read.ts';
import { decode } from './json.ts';
import { KnownThreads } from './known-threads.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import { withOldInput } from './old-photos.ts';
import type { ScriptedRedis } from './scripts.ts';

/** What was read, and how many bytes that was. */
export interface ReadHistory extends History {
  readonly bytes: number;
}

/** More messages of a thread than this never go into one prompt, nor more steps of calls; its beginning is kept as well. */
const MAX_PROMPT_ITEMS = 2_000;
/** The first page: a conversation of ordinary length, or the newest part of a long one. */
const FIRST_PAGE_ITEMS = 64;
const FIRST_PAGE_BYTES = 64 * 1024;
/** Further pages are as large as what seems to be missing, within these limits: Redis does nothing else meanwhile. */
const MIN_PAGE_BYTES = 32 * 1024;
const MAX_PAGE_BYTES = 512 * 1024;
const PAGE_ITEMS = 1_000;
/** A little more than what seems to be missing saves another page. */
const SPARE = 1.25;
/** Memory for what is known of threads. */
const KNOWN_BYTES = 16 * 1024 * 1024;

/** What no prompt of the run can leave out is above the budget: its own steps and messages, and the question. */
export class HistoryTooLarge extends Error {
  readonly maxBytes: number;

  constructor({ runId }: RunRef, maxBytes: number) {
    super(`the prompt of run ${runId} needs more than ${maxBytes} bytes`);
    this.name = 'HistoryTooLarge';
    this.maxBytes = maxBytes;
  }
}

/** How many bytes of documents may be read. */
export interface ReadLimits {
  /** What does not fit is left out of the prompt. */
  readonly maxBytes: number;
  /** A history that has more is not read, so that the caller may make room first. */
  readonly largeBytes: number;
}

/** What the prompt is cut to when it is built. */
export type PromptCut = Pick<HistoryBudget, 'maxTokens' | 'lastMessages'>;

interface HistorySource extends PageSource {
  readonly known: KnownThreads;
}

/** A thread, and where its reading begins: at its newest item, or at the place from which another one goes on. */
interface ThreadPart {
  readonly ref: RunRef;
  readonly shift: number;
  readonly from: Cursor | null;
}

/** Reads what prompts are made from. */
export class Histories {
  readonly #source: HistorySource;

  constructor(redis: ScriptedRedis, keys: RedisKeys, damage: Damage, cold: ColdThreads) {
    this.#source = { redis, keys, damage, cold, known: new KnownThreads(KNOWN_BYTES) };
  }

  /** Begins to read the history of a run: the request for its first page leaves in this tick. */
  open(ref: RunRef, limits: ReadLimits): HistoryReading {
    return new HistoryReading(this.#source, ref, limits);
  }
}

/** The history of one run while it is read. */
export class HistoryReading {
  readonly #source: HistorySource;
  readonly #ref: RunRef;
  readonly #limits: ReadLimits;
  readonly #thread: string;
  readonly #known: KnownItems | null;
  readonly #newest: Promise<HistoryPage>;
  /** The thread that is being read: the run's own, or one that it goes on from. */
  #part: ThreadPart;

  constructor(source: HistorySource, ref: RunRef, limits: ReadLimits) {
    this.#source = source;
    this.#ref = ref;
    this.#limits = limits;
    this.#thread = source.keys.thread(ref);
    this.#part = { ref, shift: 0, from: null };
    this.#known = source.known.find(this.#thread);
    this.#newest = this.#page({
      from: null,
      mostMessages: MAX_PROMPT_ITEMS,
      mostSteps: MAX_PROMPT_ITEMS,
      mostItems: FIRST_PAGE_ITEMS,
      enoughBytes: FIRST_PAGE_BYTES,
      mostBytes: Math.min(limits.maxBytes, limits.largeBytes),
      known: this.#known,
    });
    // It may turn out that nobody needs it.
    this.#newest.catch(() => {});
  }

  /**
   * The input of the run, and its thread's messages with the tool steps between them: all that its prompt may need. Items
   * that are damaged are left out. @returns null where that is large.
   * @throws {HistoryTooLarge} when what every prompt of the run has is above the limit.
   */
  async within(cut: PromptCut): Promise<ReadHistory | null> {
    const newest = await this.#newest;
    if (newest.end === 'input') return null;
    const { maxBytes, largeBytes } = this.#limits;
    const read = new ItemsRead(newest, this.#known, MAX_PROMPT_ITEMS);
    try {
      for (;;) {
        const choice = choose(read, { ...cut, maxBytes });
        if (choice.isTooLarge) throw new HistoryTooLarge(this.#ref, maxBytes);
        if (choice.bytes > largeBytes) return null;
        if (!choice.needsMore) return historyOf(newest.input, choice);
        if (read.addKnown()) continue;
        if (read.largePlace === null) read.add(await this.#older(read, missingBytes(choice, cut)));
        else if (largeBytes < maxBytes) return null;
        else await this.#passOver(read, read.largePlace, choice);
      }
    } finally {
      this.#remember(read);
    }
  }

  async #older(read: ItemsRead, enoughBytes: number): Promise<HistoryPage> {
    const { maxBytes, largeBytes } = this.#limits;
    this.#goOn(read);
    return this.#page({
      from: this.#from(read),
      mostMessages: read.messagesLeft,
      mostSteps: read.stepsLeft,
      mostItems: PAGE_ITEMS,
      enoughBytes,
      mostBytes: Math.min(maxBytes, largeBytes) - read.bytes,
      known: read.ahead,
    });
  }

  /** Where the thread is over, goes on with what it goes on from. */
  #goOn(read: ItemsRead): void {
    const base = read.takeBase();
    if (base === null) return;
    const ref = { project: this.#ref.project, threadId: base.thread_id, runId: '' };
    // A cursor begins at its place, and the base ends before its own.
    const from = { before: base.before - 1 - BASE_SHIFT, skipMessages: 0, skipSteps: 0 };
    this.#part = { ref, shift: BASE_SHIFT, from };
  }

  #from({ cursor }: ItemsRead): Cursor | null {
    return cursor ?? this.#part.from;
  }

  /** The next item does not fit, so nothing older is wanted but the question. */
  async #passOver(read: ItemsRead, place: number, { hasQuestion }: HistoryChoice): Promise<void> {
    const { maxBytes } = this.#limits;
    if (place > read.began) throw new HistoryTooLarge(this.#ref, maxBytes);
    let from = this.#from(read);
    let left = hasQuestion ? 0 : read.messagesLeft;
    while (left > 0) {
      const { items, end } = await this.#page({
        from,
        mostMessages: left,
        mostSteps: 0,
        mostItems: FIRST_PAGE_ITEMS,
        enoughBytes: FIRST_PAGE_BYTES,
        mostBytes: maxBytes,
        known: null,
      });
      read.olderQuestion = items.find(({ isOfUser }) => isOfUser) ?? null;
      if (read.olderQuestion !== null || end === 'all') break;
      if (end === 'size') throw new HistoryTooLarge(this.#ref, maxBytes);
      from = cursorAfter(items);
      left -= items.length;
    }
    read.close();
  }

  async #page(ask: Omit<PageAsk, 'inputBytes' | 'firstBytes'>): Promise<HistoryPage> {
    const { maxBytes, largeBytes } = this.#limits;
    const firstBytes = Math.min(maxBytes * FIRST_SHARE, largeBytes);
    const { ref, shift } = this.#part;
    return readPage(this.#source, ref, { ...ask, inputBytes: largeBytes, firstBytes }, shift);
  }

  /** For the next turn. */
  #remember({ began, kept }: ItemsRead): void {
    const { known } = this.#source;
    if (began === Infinity) known.forget(this.#thread);
    else known.keep(this.#thread, { anchor: { runId: this.#ref.runId, place: began }, ...kept });
  }
}

/** A guess from what was read so far. */
function missingBytes(
  { bytes, tokens, messagesLeft }: HistoryChoice,
  { maxTokens, lastMessages }: PromptCut,
): number {
  const done = lastMessages === null ? tokens / maxTokens : 1 - messagesLeft / lastMessages;
  const missing = done > 0 ? bytes * (1 / done - 1) * SPARE : Infinity;
  return Math.min(Math.max(missing, MIN_PAGE_BYTES), MAX_PAGE_BYTES);
}

function historyOf(input: string, choice: HistoryChoice): ReadHistory {
  const items: ThreadItem[] = [];
  const thoughts = new Map<string, readonly KeptThought[]>();
  const asides = new Map<string, KeptAsides>();
  for (const each of choice.items.toReversed()) {
    if (each.item === null) continue;
    items.push(each.item);
    if (each.thoughts !== null) thoughts.set(each.id, each.thoughts);
    if (each.asides !== null) asides.set(each.id, each.asides);
  }
  return {
    input: input === '' ? [] : withOldInput(decode<readonly ChatMessage[]>(input)),
    items,
    ...(thoughts.size > 0 && { thoughts }),
    ...(asides.size > 0 && { asides }),
    bytes: choice.bytes + input.length,
  };
}
