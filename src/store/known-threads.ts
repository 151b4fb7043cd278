/**
 * What a worker keeps of the threads it has read lately, so that the next turn reads only what is new. Nothing here says
 * whether a thread is still the same: history.lua does, each time (docs/decisions/0014-known-threads.md).
 */
import { sumsOf, type KnownItems } from './history-page.ts';

/** Short threads are read whole, as fast as it takes to ask. */
const MIN_ITEMS = 16;
/** A document that is parsed takes about twice its size, and an item this much besides. */
const PARSED_SHARE = 2;
const ITEM_BYTES = 800;
/** No thread may take all the room of the others. */
const THREAD_SHARE = 1 / 4;

interface KeptThread {
  readonly known: KnownItems;
  readonly bytes: number;
}

/** The threads that were used last, as many as fit. */
export class KnownThreads {
  readonly #limitBytes: number;
  /** By key of the thread; the one that was used last is last. */
  readonly #threads = new Map<string, KeptThread>();
  #bytes = 0;

  /** @param limitBytes of memory, about */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  find(thread: string): KnownItems | null {
    const kept = this.#threads.get(thread);
    if (kept === undefined) return null;
    this.#threads.delete(thread);
    this.#threads.set(thread, kept);
    return kept.known;
  }

  forget(thread: string): void {
    this.#bytes -= this.#threads.get(thread)?.bytes ?? 0;
    this.#threads.delete(thread);
  }

  /** Keeps the newest items of a thread, in place of what is kept of it. */
  keep(thread: string, known: KnownItems): void {
    this.forget(thread);
    const kept = fitting(known, this.#limitBytes * THREAD_SHARE);
    if (kept.items.length < MIN_ITEMS) return;
    const bytes = memoryOf(kept.items.length, kept.sums.bytes);
    this.#threads.set(thread, { known: kept, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#threads.keys()) {
      if (this.#bytes <= this.#limitBytes) break;
      this.forget(oldest);
    }
  }
}

const memoryOf = (items: number, bytes: number): number => items * ITEM_BYTES + bytes * PARSED_SHARE;

/** The newest of what is known, as many items as the limit has memory for. */
function fitting(known: KnownItems, limitBytes: number): KnownItems {
  if (memoryOf(known.items.length, known.sums.bytes) <= limitBytes) return known;
  let [count, bytes] = [0, 0];
  for (const item of known.items) {
    if (memoryOf(count + 1, bytes + item.bytes) > limitBytes) break;
    bytes += item.bytes;
    count += 1;
  }
  const items = known.items.slice(0, count);
  return { ...known, items, sums: sumsOf(items) };
}
