/** The beginning of an answer: waiting for it before headers are sent, and filling the silence of a slow one. */
import type { TurnEvent } from './turn-events.ts';

/** What is said when nothing else was by then; voice engines hang up after about four silent seconds. */
export interface Filler {
  readonly afterMs: number;
  readonly text: string;
}

/** Reads ahead by one, so that somebody may look at what comes next, for a limited time, without taking it. */
export class Lookahead<T extends TurnEvent = TurnEvent> {
  readonly #source: AsyncIterator<TurnEvent>;
  readonly #isHeard: (event: TurnEvent) => event is T;
  #coming: Promise<IteratorResult<T>> | null = null;

  /** @param isHeard what is passed over is not even waited for: it is no beginning of an answer */
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

  /** Leaves the source, for whoever looked and then does not read on. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** Everything that is heard, with the filler before it when it is late. Whoever is gone gets none. */
  async *read(filler: Filler | null = null): AsyncGenerator<T | FillerEvent, void> {
    try {
      if (filler !== null && (await this.peek(filler.afterMs)) === null)
        yield { type: 'text', text: filler.text };
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
