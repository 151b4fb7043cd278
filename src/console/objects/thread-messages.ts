/** The messages of a thread: the newest first, and earlier ones as they are asked for. */
import { isAbort, wordsOf, type App } from '../app.ts';
import type { List, Message } from '../wire.ts';

const PAGE = 50;

export class ThreadMessages {
  /** In the order in which they were said. */
  messages: readonly Message[] = [];
  hasEarlier = false;
  isLoading = false;
  problem: string | null = null;
  readonly #app: App;
  readonly #path: string;
  readonly #aborter = new AbortController();

  constructor(app: App, threadId: string) {
    this.#app = app;
    this.#path = `/threads/${encodeURIComponent(threadId)}/messages`;
    void this.reload();
  }

  async reload(): Promise<void> {
    await this.#read(undefined);
  }

  async earlier(): Promise<void> {
    await this.#read(this.messages[0]?.id);
  }

  put(message: Message): void {
    const isThere = this.messages.some(({ id }) => id === message.id);
    this.messages = isThere
      ? this.messages.map((old) => (old.id === message.id ? message : old))
      : [...this.messages, message];
    this.#app.redraw();
  }

  forget(messageId: string): void {
    this.messages = this.messages.filter(({ id }) => id !== messageId);
    this.#app.redraw();
  }

  close(): void {
    this.#aborter.abort();
  }

  async #read(before: string | undefined): Promise<void> {
    if (this.isLoading) return;
    this.isLoading = true;
    this.#app.redraw();
    try {
      const query = { limit: PAGE, order: 'desc', after: before };
      const page: List<Message> = await this.#app.api.get(this.#path, query, this.#aborter.signal);
      const found = page.data.toReversed();
      this.messages = before === undefined ? found : [...found, ...this.messages];
      this.hasEarlier = page.has_more;
      this.problem = null;
    } catch (error) {
      if (isAbort(error)) return;
      this.problem = wordsOf(error);
    }
    this.isLoading = false;
    this.#app.redraw();
  }
}
