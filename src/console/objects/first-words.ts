/** What threads begin with: ids say nothing to people. Asked for while rows are drawn, so for those only that are to be seen. */
import { isAbort, wordsOf, type App } from '../app.ts';
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
  #waiting: string[] = [];
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
    if (!this.#waiting.includes(threadId)) {
      this.#waiting = [...this.#waiting.slice(1 - MOST_WAITING), threadId];
      if (this.#asking < AT_A_TIME) void this.#ask();
    }
    return '…';
  }

  close(): void {
    this.#aborter.abort();
  }

  async #ask(): Promise<void> {
    this.#asking += 1;
    const { signal } = this.#aborter;
    for (let id = this.#waiting.shift(); id !== undefined && !signal.aborted; id = this.#waiting.shift()) {
      try {
        this.#words.set(id, '…');
        const path = `/threads/${encodeURIComponent(id)}/messages`;
        const page: List<Message> = await this.#app.api.get(path, { limit: 1, order: 'asc' }, signal);
        this.#words.set(id, wordsIn(page.data[0]));
      } catch (error) {
        if (!isAbort(error)) this.#words.set(id, wordsOf(error));
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
