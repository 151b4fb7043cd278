/**
 * Which of a thread's items are read for a prompt: those that the prompt may need, and no more. What a run itself said and
 * did, and the question, the newest message of a user before it, are part of every prompt. Of the rest, whatever is older
 * than the first item that does not fit is left out, but for the thread's first message, which says what it is about. Pure.
 */
import type { HistoryItem } from './history-item.ts';

/** How much of a thread is read for one prompt. */
export interface HistoryBudget {
  /** Of the documents, as they are stored. */
  readonly maxBytes: number;
  /** What the prompt is cut to: what is beyond it would be thrown away when the prompt is built. */
  readonly maxTokens: number;
  /**
   * Of those that are not the run's own: the prompt has no more. Null for any number. The oldest of them is the prompt's
   * beginning, which is cut last, so all of them are read.
   */
  readonly lastMessages: number | null;
}

/** What there is to choose from. */
export interface ReadSoFar {
  /** Newest first, without a gap. */
  readonly items: readonly HistoryItem[];
  /** Those with a later place are the run's own. */
  readonly began: number;
  /** The thread's first message, wherever it stands; null where there is none. */
  readonly first: HistoryItem | null;
  /** The question, where it is older than all items. */
  readonly olderQuestion: HistoryItem | null;
  /** Nothing older is there, or fits. */
  readonly isAll: boolean;
}

export interface HistoryChoice {
  /** Newest first. */
  readonly items: readonly HistoryItem[];
  readonly bytes: number;
  readonly tokens: number;
  /** How many of the wanted messages are missing. */
  readonly messagesLeft: number;
  /** The question has been read. */
  readonly hasQuestion: boolean;
  /** Older items have to be read before it is known what to choose. */
  readonly needsMore: boolean;
  /** What cannot be left out is above the bytes. */
  readonly isTooLarge: boolean;
}

/** The first message says what the thread is about, but not at any price. */
export const FIRST_SHARE = 1 / 4;

/** Chooses among what has been read so far. */
export function choose(read: ReadSoFar, budget: HistoryBudget): HistoryChoice {
  const { items, began, first, olderQuestion, isAll } = read;
  const { maxBytes } = budget;
  const question = items.find((each) => each.place <= began && each.isOfUser) ?? olderQuestion;
  const basket = new Basket(budget);
  if (question !== null) basket.demand(question);
  const wantsFirst = first !== null && first.id !== question?.id && first.bytes <= maxBytes * FIRST_SHARE;
  const start = wantsFirst && basket.fits(first) ? first : null;
  if (start !== null) basket.take(start);
  const count = basket.fill(items, began, [question, start]);
  const chosen = items.slice(0, count);
  if (question !== null && !chosen.includes(question)) chosen.push(question);
  if (start !== null && !chosen.includes(start)) chosen.push(start);
  const { bytes, tokens, messagesLeft, isTooLarge } = basket;
  const isFull = count < items.length || basket.isFull;
  return {
    items: chosen,
    bytes,
    tokens,
    messagesLeft,
    hasQuestion: question !== null,
    needsMore: !isAll && messagesLeft > 0 && !(isFull && question !== null),
    isTooLarge,
  };
}

class Basket {
  readonly #budget: HistoryBudget;
  bytes = 0;
  tokens = 0;
  messagesLeft: number;
  isTooLarge = false;

  constructor(budget: HistoryBudget) {
    this.#budget = budget;
    this.messagesLeft = budget.lastMessages ?? Infinity;
  }

  fits({ bytes }: HistoryItem): boolean {
    return this.bytes + bytes <= this.#budget.maxBytes;
  }

  /** Nothing that is older would be in the prompt. */
  get isFull(): boolean {
    const { maxBytes, maxTokens, lastMessages } = this.#budget;
    return this.bytes >= maxBytes || (lastMessages === null && this.tokens >= maxTokens);
  }

  take(item: HistoryItem): void {
    this.bytes += item.bytes;
    this.tokens += item.tokens;
  }

  /** Takes what cannot be left out. */
  demand(item: HistoryItem): void {
    this.isTooLarge ||= !this.fits(item);
    this.take(item);
  }

  /** Takes the newest items, until one does not fit or enough is there. @returns how many are in */
  fill(items: readonly HistoryItem[], began: number, taken: readonly (HistoryItem | null)[]): number {
    const [question, start] = taken;
    const { lastMessages } = this.#budget;
    let count = 0;
    for (const item of items) {
      const isOwn = item.place > began;
      if (item !== question && item !== start) {
        if (isOwn) this.demand(item);
        else if (this.isFull || !this.fits(item)) break;
        else this.take(item);
      }
      if (lastMessages !== null && !isOwn && isCounted(item)) this.messagesLeft -= 1;
      count += 1;
      if (this.messagesLeft <= 0) break;
    }
    return count;
  }
}

/** Whether `last_messages` counts it. An imported message that claims to be of a user and of a run may vanish from the prompt. */
function isCounted({ isMessage, item, tokens }: HistoryItem): boolean {
  if (!isMessage || item?.object !== 'thread.message' || tokens === 0) return false;
  return item.role === 'assistant' || item.run_id === null;
}
