/** The beginning of an answer: waits for it before headers are sent, and fills the silence of a slow one. */
import type { TurnEvent } from './turn-events.ts';

/** What is said when nothing else was said by then; voice engines hang up after about four silent seconds. */
export interface Filler {
  readonly afterMs: number;
  readonly text: string;
}

/** Reads ahead by one event, so that an endpoint can wait a limited time for the next event without consuming it. */
export class Lookahead<T extends TurnEvent = TurnEvent> {
  readonly #source: AsyncIterator<TurnEvent>;
  readonly #isHeard: (event: TurnEvent) => event is T;
  #coming: Promise<IteratorResult<T>> | null = null;

  /** @param isHeard other events are skipped, and `peek` does not stop at them: they are no beginning of an answer */
  constructor(source: AsyncIterable<TurnEvent>, isHeard: (event: TurnEvent) => event is T) {
    this.#source = source[Symbol.asyncIterator]();
    this.#isHeard = isHeard;
  }

  /** What comes next: `null` when it is not there within `ms`, `done` at the end. */
  async peek(ms: number): Promise<IteratorResult<T> | null> {
    this.#coming ??= this.#next();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, ms, null);
    });
    try {
      return await Promise.race([this.#coming, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes the source; for an endpoint that peeked and does not read on. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /**
   * Every event that is heard; the filler comes first when the first of them is late. A client that is gone gets no filler.
   */
  async *read(filler: Filler | null = null): AsyncGenerator<T | FillerEvent, void> {
    try {
      if (filler !== null && (await this.peek(filler.afterMs)) === null)
        yield { type: 'text', text: filler.text, isFiller: true };
      for (;;) {
        const next = await (this.#coming ?? this.#next());
        this.#coming = null;
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await this.close();
    }
  }

  async #next(): Promise<IteratorResult<T>> {
    for (;;) {
      const next = await this.#source.next();
      if (next.done === true) return next;
      if (this.#isHeard(next.value)) return { done: false, value: next.value };
    }
  }
}

type FillerEvent = Extract<TurnEvent, { readonly type: 'text' }>;
