/** The beginning of an answer: waiting for it before headers are sent, and filling the silence of a slow one. */
import type { Say } from '../../turns/turn-events.ts';

/** What a chat client hears: the service's own tools are none of its business, and no beginning of an answer. */
export type Audible = Exclude<Say, { readonly type: 'tool.start' | 'tool.end' }>;

/**
 * The says without those nobody hears.
 * @param thoughts whether those of the model are among them: who speaks what it gets must not speak them, and thinking is
 *   silence to be filled
 */
export async function* audible(says: AsyncIterable<Say>, thoughts: boolean): AsyncGenerator<Audible, void> {
  for await (const say of says) {
    switch (say.type) {
      case 'tool.start':
      case 'tool.end':
        break;
      case 'thought':
      case 'thought.dropped':
        if (thoughts) yield say;
        break;
      case 'text':
      case 'dropped':
      case 'calls':
      case 'end':
      case 'failed':
        yield say;
        break;
    }
  }
}

/** Reads ahead by one, so that somebody may look at what comes next, for a limited time, without taking it. */
export class Ahead<T> implements AsyncIterable<T> {
  private readonly source: AsyncIterator<T>;
  private coming: Promise<IteratorResult<T>> | null = null;

  constructor(source: AsyncIterable<T>) {
    this.source = source[Symbol.asyncIterator]();
  }

  /** What comes next: `null` when it is not there within `ms`, `done` at the end. */
  async peek(ms: number): Promise<IteratorResult<T> | null> {
    this.coming ??= this.source.next();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, ms, null);
    });
    try {
      return await Promise.race([this.coming, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Leaves the source, for whoever looked and then does not read on. */
  async close(): Promise<void> {
    await this.source.return?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    try {
      for (;;) {
        const next = await (this.coming ?? this.source.next());
        this.coming = null;
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await this.close();
    }
  }
}

/** What is said when nothing else was by then; voice engines hang up after about four silent seconds. */
export interface Filler {
  readonly afterMs: number;
  readonly text: string;
}

/** The says, with the filler before them when they are late. Whoever is gone gets none. */
export async function* filled(ahead: Ahead<Audible>, filler: Filler): AsyncGenerator<Audible, void> {
  try {
    if ((await ahead.peek(filler.afterMs)) === null) yield { type: 'text', text: filler.text };
    yield* ahead;
  } finally {
    await ahead.close();
  }
}
