/** The beginning of an answer: waits for it before headers are sent, and fills the silence of a slow one. */
import type { Passing } from '../store/passing.ts';
import type { TurnEvent } from './turn-events.ts';

/** What is said when nothing else was said by then; voice engines hang up after about four silent seconds. */
export interface Filler {
  readonly afterMs: number;
  readonly text: string;
}

/** Reads ahead by one batch, so that an endpoint can wait a limited time for what comes next without consuming it. */
export class Lookahead<T extends TurnEvent = TurnEvent> {
  readonly #source: AsyncIterator<readonly TurnEvent[]>;
  readonly #passFrom: Passing<readonly TurnEvent[]>['pass'];
  readonly #isHeard: (event: TurnEvent) => event is T;
  #take: ((batch: readonly T[]) => void) | null = null;
  /** Whether the filler was said, or is not to be said any more: what were passed before would not keep it away. */
  #isPastFiller = false;
  #coming: Promise<IteratorResult<readonly T[]>> | null = null;

  /** @param isHeard other events are skipped, and `peek` does not stop at them: they are no beginning of an answer */
  constructor(source: Passing<readonly TurnEvent[]>, isHeard: (event: TurnEvent) => event is T) {
    this.#source = source[Symbol.asyncIterator]();
    this.#passFrom = source.pass;
    this.#isHeard = isHeard;
  }

  /** What comes next, at least one event: `null` when it is not there within `ms`, `done` at the end. */
  async peek(ms: number): Promise<IteratorResult<readonly T[]> | null> {
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
  read(filler: Filler | null = null): AsyncGenerator<Heard<T>, void> & Passing<Heard<T>> {
    const pass: Passing<Heard<T>>['pass'] = (take) => {
      this.#take = take;
      if (this.#isPastFiller) this.#passOn();
    };
    return Object.assign(this.#read(filler), { pass });
  }

  #passOn(): void {
    const take = this.#take;
    this.#passFrom?.(
      take &&
        ((told) => {
          const heard = told.filter(this.#isHeard);
          if (heard.length > 0) take(heard);
        }),
    );
  }

  async *#read(filler: Filler | null): AsyncGenerator<Heard<T>, void> {
    try {
      if (filler !== null && (await this.peek(filler.afterMs)) === null)
        yield [{ type: 'text', text: filler.text, isFiller: true }];
      this.#isPastFiller = true;
      this.#passOn();
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

  async #next(): Promise<IteratorResult<readonly T[]>> {
    for (;;) {
      const next = await this.#source.next();
      if (next.done === true) return next;
      const heard = next.value.filter(this.#isHeard);
      if (heard.length > 0) return { done: false, value: heard };
    }
  }
}

type Heard<T> = readonly (T | FillerEvent)[];
type FillerEvent = Extract<TurnEvent, { readonly type: 'text' }>;
