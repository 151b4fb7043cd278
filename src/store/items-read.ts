/** The items of a thread as its pages come in. */
import type { ReadSoFar } from './history-choice.ts';
import type { HistoryItem } from './history-item.ts';
import type { ThreadBase } from './new-run.ts';
import { sumsOf, type Cursor, type HistoryPage, type KnownItems, type Sums } from './history-page.ts';

/** So many known items are enough where a run wants the last few messages only. */
const FEW = 32;
/** More items may be kept than may be looked at, so that they need not be counted each time. */
const MOST_KEPT = 1.2;

/**
 * So far are the places of threads that others go on from below their own, so that their items are older than all of the
 * thread's. Imported messages have places down to half of that.
 */
export const BASE_SHIFT = 2 ** 48;

/** What has been read of a thread so far, newest first, and of the threads that it goes on from. */
export class ItemsRead implements ReadSoFar {
  readonly began: number;
  /** How many messages of the thread had been deleted. */
  readonly #gone: number;
  readonly #most: number;
  /** What is known and was not come to yet. */
  #ahead: KnownItems | null;
  #items: readonly HistoryItem[] = [];
  #sums: Sums = { messages: 0, bytes: 0 };
  /** Items that were known begin here, once the pages have come to them; so many are among the items by now. */
  #knownFrom = Infinity;
  #knownTaken = 0;
  /** Not all that is new could be looked at. */
  #hasGap = false;
  #met: (KnownItems & Pick<HistoryPage, 'olderMessages' | 'olderSteps'>) | null = null;
  #first: HistoryItem | null;
  /** Nothing older is in the thread that was read last. */
  #isThreadOver = false;
  /** The items of that begin here. */
  #threadFrom = 0;
  /** What that goes on from. */
  #base: ThreadBase | null;
  #largePlace: number | null = null;
  olderQuestion: HistoryItem | null = null;

  /**
   * @param known what the newest page was asked with
   * @param most how many messages, and how many steps of calls, may be looked at
   */
  constructor(newest: HistoryPage, known: KnownItems | null, most: number) {
    this.began = newest.began;
    this.#gone = newest.gone;
    this.#most = most;
    this.#ahead = known;
    this.#base = newest.base;
    this.#first = newest.first === 'known' ? (known?.first ?? null) : newest.first;
    this.add(newest);
  }

  /** Adds the page that goes on where the items end. */
  add({ items, end, isKnown, nextPlace, olderMessages, olderSteps, base }: HistoryPage): void {
    this.#push(items, sumsOf(items));
    this.#isThreadOver = end === 'all';
    this.#base = base;
    this.#largePlace = end === 'size' ? nextPlace : null;
    const known = isKnown ? this.#ahead : null;
    this.#ahead = end === 'known' ? null : known;
    if (known === null || end !== 'known') return;
    this.#knownFrom = this.#items.length;
    this.#met = { ...known, olderMessages, olderSteps };
    this.#hasGap = this.messagesLeft === 0 || this.stepsLeft === 0;
  }

  /** Adds some of the known items that go on where the items end, then all. @returns false where there are none */
  addKnown(): boolean {
    const met = this.#met;
    if (met === null || this.#knownTaken === met.items.length) return false;
    const more = met.items.slice(this.#knownTaken, this.#knownTaken === 0 ? FEW : undefined);
    this.#knownTaken += more.length;
    this.#push(more, sumsOf(more));
    this.#isThreadOver =
      this.#knownTaken === met.items.length &&
      (met.olderMessages === 0 || this.messagesLeft === 0) &&
      (met.olderSteps === 0 || this.stepsLeft === 0);
    return true;
  }

  /** Nothing older is wanted. */
  close(): void {
    this.#isThreadOver = true;
    this.#base = null;
    this.#largePlace = null;
  }

  /** Goes on with what the thread goes on from, which then has to be added; null while there is more of the thread itself. */
  takeBase(): ThreadBase | null {
    const base = this.#isThreadOver ? this.#base : null;
    if (base === null) return null;
    this.#isThreadOver = false;
    this.#threadFrom = this.#items.length;
    return base;
  }

  #push(items: readonly HistoryItem[], { messages, bytes }: Sums): void {
    const first = this.#first;
    // The same message twice would be counted twice.
    this.#first = items.find(({ place, id }) => place === first?.place && id === first.id) ?? first;
    this.#items = [...this.#items, ...items];
    this.#sums = { messages: this.#sums.messages + messages, bytes: this.#sums.bytes + bytes };
    if (this.messagesLeft >= 0 && this.stepsLeft >= 0) return;
    this.#items = newest(this.#items, this.#most);
    this.#sums = sumsOf(this.#items);
  }

  get items(): readonly HistoryItem[] {
    return this.#items;
  }

  get first(): HistoryItem | null {
    return this.#first;
  }

  get bytes(): number {
    return this.#sums.bytes;
  }

  get isAll(): boolean {
    return this.#isThreadOver && this.#base === null;
  }

  /** The place of the next item, where that is known to be larger than what was left of the bytes. */
  get largePlace(): number | null {
    return this.#largePlace;
  }

  get ahead(): KnownItems | null {
    return this.#ahead;
  }

  get messagesLeft(): number {
    return this.#most - this.#sums.messages;
  }

  get stepsLeft(): number {
    return this.#most - (this.#items.length - this.#sums.messages);
  }

  /** Where the thread that was read last goes on; null before its first item. */
  get cursor(): Cursor | null {
    return cursorAfter(this.#items.slice(this.#threadFrom));
  }

  /**
   * What can be kept for the next turn: items without a gap that can only be deleted any more. They are older than the run, and
   * than whatever is still open. Where only messages or only steps were looked at in the end, there are gaps between them.
   */
  get kept(): Pick<KnownItems, 'items' | 'sums' | 'first'> {
    const all = this.#items;
    const ofBase = all.findIndex(({ place }) => place < -BASE_SHIFT / 2);
    let end = ofBase === -1 ? all.length : ofBase;
    if (this.messagesLeft === 0) end = Math.min(end, all.findLastIndex(({ isMessage }) => isMessage) + 1);
    if (this.stepsLeft === 0) end = Math.min(end, all.findLastIndex(({ isMessage }) => !isMessage) + 1);
    let from = 0;
    for (let at = 0; at < end; at++) {
      if (at === this.#knownFrom) at += this.#knownTaken;
      const item = all[at];
      if (item === undefined || at >= end) break;
      if (this.#mayComeBack(item)) end = at;
      else if (this.#isOpen(item)) from = at + 1;
    }
    const items = this.#isWithinKnown ? this.#withKnown(from) : all.slice(from, end);
    const first = this.#first;
    const isFirstKept = first !== null && !this.#mayComeBack(first) && !this.#isOpen(first);
    return { items, sums: sumsOf(items), first: isFirstKept ? first : null };
  }

  /** Whether no item is older than those that were known. */
  get #isWithinKnown(): boolean {
    return this.#met !== null && !this.#hasGap && this.#items.length <= this.#knownFrom + this.#knownTaken;
  }

  #withKnown(from: number): readonly HistoryItem[] {
    const items = [...this.#items.slice(from, this.#knownFrom), ...(this.#met?.items ?? [])];
    return items.length > this.#most * MOST_KEPT ? items.slice(0, this.#most) : items;
  }

  #isOpen(item: HistoryItem): boolean {
    return item.place > this.began || !item.isClosed;
  }

  /** Imported messages have places below 0. One that was deleted may be imported again, and say something else. */
  #mayComeBack({ place }: HistoryItem): boolean {
    return this.#gone > 0 && place <= 0;
  }
}

/** The newest messages and steps, as many as may be looked at of each. */
function newest(items: readonly HistoryItem[], most: number): readonly HistoryItem[] {
  let [messages, steps] = [0, 0];
  return items.filter(({ isMessage }) => {
    if (isMessage) messages += 1;
    else steps += 1;
    return isMessage ? messages <= most : steps <= most;
  });
}

/** Where a page goes on behind these items; null before the first. */
export function cursorAfter(items: readonly HistoryItem[]): Cursor | null {
  const last = items.at(-1);
  if (last === undefined) return null;
  const same = items.slice(items.findLastIndex(({ place }) => place !== last.place) + 1);
  const skipMessages = same.filter(({ isMessage }) => isMessage).length;
  return { before: last.place, skipMessages, skipSteps: same.length - skipMessages };
}
