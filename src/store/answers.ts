/** First answers to requests that change something, kept for a minute or a day, so that a repetition gets the same. */
import { decode } from './json.ts';
import type { Keys, RunRef } from './keys.ts';
import type { State } from './redis.ts';

/** What is remembered of an answer: the JSON it was, or the stream of a run and where in the log that began. */
export type FirstAnswer =
  | { readonly type: 'json'; readonly text: string; readonly headers: Readonly<Record<string, string>> }
  | { readonly type: 'stream'; readonly ref: RunRef; readonly after: number; readonly withThread: boolean };

/** The request is being worked on right now, by whoever came first. */
const PENDING = 'pending';
/** A claim outlives the longest request; should its process die, the key is free again after this. */
const CLAIM_MS = 60_000;

export class Answers {
  private readonly redis: State;
  private readonly keys: Keys;

  constructor(redis: State, keys: Keys) {
    this.redis = redis;
    this.keys = keys;
  }

  /** @returns the answer kept under `digest`; `pending` while there is none yet but somebody works on it; else null. */
  async find(project: string, digest: string): Promise<FirstAnswer | 'pending' | null> {
    const kept = await this.redis.get(this.keys.answer(project, digest));
    if (kept === null || kept === PENDING) return kept;
    return decode<FirstAnswer>(kept);
  }

  /** Takes `digest` for a request that is about to be worked on. @returns whether nobody else had it. */
  async claim(project: string, digest: string): Promise<boolean> {
    return (await this.redis.set(this.keys.answer(project, digest), PENDING, 'PX', CLAIM_MS, 'NX')) === 'OK';
  }

  async keep(project: string, digest: string, answer: FirstAnswer, keptMs: number): Promise<void> {
    await this.redis.set(this.keys.answer(project, digest), JSON.stringify(answer), 'PX', keptMs);
  }

  /** Gives a claim up, because the request was refused and changed nothing. */
  async release(project: string, digest: string): Promise<void> {
    await this.redis.del(this.keys.answer(project, digest));
  }
}
