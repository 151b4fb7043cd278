/** What threads begin with: ids say nothing to people. Asked for while rows are drawn; the others only while somebody searches. */
import { isAbort, isAway, wordsOf, type App } from '../app.ts';
import { onReturn } from '../returning.ts';
import { say } from '../say.ts';
import type { List, Message } from '../wire.ts';

/** Requests at a time. */
const AT_A_TIME = 4;
/** When somebody scrolls far, those that were passed need not be asked for any more. */
const MOST_WAITING = 60;
const LENGTH = 160;

export class FirstWords {
  readonly #app: App;
  readonly #words = new Map<string, string>();
  readonly #asked = new Set<string>();
  /** Of rows that are to be seen. */
  #waiting: string[] = [];
  /** Of others, for a search. */
  #sought: string[] = [];
  #asking = 0;
  readonly #aborter = new AbortController();

  constructor(app: App) {
    this.#app = app;
  }

  /** The words, as far as they are known; empty where they are not. */
  known(threadId: string): string {
    return this.#words.get(threadId) ?? '';
  }

  /** The words of a thread that is being drawn; `…` until they have come. */
  of(threadId: string): string {
    const known = this.#words.get(threadId);
    if (known !== undefined) return known;
    if (!this.#asked.has(threadId) && !this.#waiting.includes(threadId)) {
      this.#waiting = [...this.#waiting.slice(1 - MOST_WAITING), threadId];
      this.#askMore();
    }
    return '…';
  }

  /** Asks for the words of all these threads, after those that are to be seen, and of no others. @returns how many have not come yet */
  seek(threadIds: readonly string[]): number {
    const missing = threadIds.filter((id) => !this.#words.has(id));
    this.#sought = missing.filter((id) => !this.#asked.has(id));
    this.#askMore();
    return missing.length;
  }

  close(): void {
    this.#aborter.abort();
  }

  #askMore(): void {
    const wanted = this.#waiting.length + this.#sought.length;
    const more = Math.min(wanted, AT_A_TIME - this.#asking);
    for (let begun = 0; begun < more; begun += 1) void this.#ask();
  }

  #next(): string | undefined {
    let id: string | undefined;
    do id = this.#waiting.shift() ?? this.#sought.shift();
    while (id !== undefined && this.#asked.has(id));
    return id;
  }

  async #ask(): Promise<void> {
    this.#asking += 1;
    const { signal } = this.#aborter;
    for (let id = this.#next(); id !== undefined && !signal.aborted; id = this.#next()) {
      this.#asked.add(id);
      try {
        const path = `/threads/${encodeURIComponent(id)}/messages`;
        const page: List<Message> = await this.#app.api.get(path, { limit: 1, order: 'asc' }, signal);
        this.#words.set(id, wordsIn(page.data[0]));
      } catch (error) {
        if (isAway(error)) {
          this.#asked.delete(id);
          this.#waiting.push(id);
          await new Promise<void>((back) => onReturn(back, signal));
        } else if (!isAbort(error)) this.#words.set(id, wordsOf(error));
      }
      this.#app.redraw();
    }
    this.#asking -= 1;
  }
}

function wordsIn(message: Message | undefined): string {
  if (message === undefined) return say('(no messages)', '（没有消息）');
  const texts = message.content.flatMap((part) => (part.type === 'text' ? [part.text.value] : []));
  const words = texts.join(' ').trim().replaceAll(/\s+/g, ' ');
  if (words === '') return say('(a picture)', '（图片）');
  return words.length > LENGTH ? `${words.slice(0, LENGTH)}…` : words;
}
