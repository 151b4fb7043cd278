/** What one reader heard of a run: events by their place in the log, across as many connections as it took. */
import { setTimeout as delay } from 'node:timers/promises';
import type { EventStream, Frame } from '../support/wire.ts';
import type { Sdk } from './sdk.ts';

/** One event of the log as it was told: its place, and its frames. */
export interface Heard {
  readonly seq: number;
  readonly frames: readonly Frame[];
}

/** A stream without cursors: its frames, up to where it ended or broke off. */
export interface Told {
  readonly frames: readonly Frame[];
  readonly whole: boolean;
}

const PAUSE_MS = 100;

/** Follows runs over our own endpoint, from where it left off, whatever happens to connections and processes. */
export class Watcher {
  readonly heard: Heard[] = [];
  readonly #sdk: Sdk;
  readonly #path: string;

  constructor(sdk: Sdk, run: { readonly thread_id: string; readonly id: string }) {
    this.#sdk = sdk;
    this.#path = `/threads/${run.thread_id}/runs/${run.id}/events`;
  }

  /**
   * Watches until an event named so was heard, or the run has ended; its last frame.
   * @param cuts after how many events it hangs up of its own accord, time after time
   */
  async until(names: readonly string[], cuts: readonly number[] = []): Promise<Frame> {
    for (let connection = 0; ; connection += 1) {
      const after = this.heard.at(-1)?.seq ?? 0;
      const stream = await this.#sdk.stream('GET', `${this.#path}?after=${after}`);
      if (stream === null) continue;
      try {
        const last = await this.#listen(stream, names, cuts[connection] ?? Infinity);
        if (last !== null) return last;
      } finally {
        stream.close();
      }
      await delay(PAUSE_MS);
    }
  }

  async #listen(stream: EventStream, names: readonly string[], most: number): Promise<Frame | null> {
    let frames: Frame[] = [];
    for (let events = 0; events < most;) {
      // A connection that breaks is an end like any other: what was not heard whole is asked for again.
      const frame = await stream.next().catch(() => null);
      if (frame === null || frame.name === 'error') return null;
      if (frame.name === 'done') return this.heard.at(-1)?.frames.at(-1) ?? frame;
      frames.push(frame);
      if (frame.id === null) continue;
      this.heard.push({ seq: Number(frame.id), frames });
      frames = [];
      events += 1;
      if (names.includes(frame.name)) return frame;
    }
    return null;
  }
}

/** Reads a stream of the Assistants dialect to its end, whichever it is. */
export async function readAll(stream: EventStream): Promise<Told> {
  const frames: Frame[] = [];
  for (;;) {
    const frame = await stream.next().catch(() => null);
    if (frame === null || frame.name === 'error') return { frames, whole: false };
    if (frame.name === 'done') return { frames, whole: true };
    frames.push(frame);
  }
}
