/** First answers to requests that change something, kept for a minute or a day, so that a repetition gets the same. */
import { randomText } from '../runs/ids.ts';
import { decode } from './json.ts';
import type { Keys, RunRef } from './keys.ts';
import type { State } from './redis.ts';

/** What is remembered of an answer: the JSON it was, or the stream of a run and where in the log that began. */
export type FirstAnswer =
  | { readonly type: 'json'; readonly text: string; readonly headers: Readonly<Record<string, string>> }
  | { readonly type: 'stream'; readonly ref: RunRef; readonly after: number; readonly withThread: boolean };

/** A request that is being worked on, or was when its process died. */
interface Claim {
  readonly type: 'claim';
  /** Random, the same for every sending: what the request makes is named after it ({@link namesFrom}). */
  readonly nonce: string;
  /** Until then (unix ms) whoever came first is waited for. */
  readonly untilMs: number;
}

/** Nearly every request is done sooner; should one not be, a second one in parallel makes the same objects. */
const BUSY_MS = 10_000;
/** SDKs have given up long before. */
const CLAIM_KEPT_MS = 60_000;
const NONCE_LENGTH = 24;

export class Answers {
  private readonly redis: State;
  private readonly keys: Keys;

  constructor(redis: State, keys: Keys) {
    this.redis = redis;
    this.keys = keys;
  }

  /** @returns the answer kept under `digest`; `pending` while there is none yet but somebody works on it; else null. */
  async find(project: string, digest: string): Promise<FirstAnswer | 'pending' | null> {
    const kept = await this.read(project, digest);
    return kept?.type === 'claim' ? 'pending' : kept;
  }

  /**
   * Takes `digest` for a request that is about to be worked on.
   * @returns the nonce of the request; null when somebody else works on it, or has answered it.
   */
  async claim(project: string, digest: string): Promise<string | null> {
    const nonce = randomText(NONCE_LENGTH);
    if (await this.write(project, digest, nonce, BUSY_MS, 'NX')) return nonce;
    const kept = await this.read(project, digest);
    if (kept?.type !== 'claim' || Date.now() < kept.untilMs) return null;
    await this.write(project, digest, kept.nonce, BUSY_MS, 'XX');
    return kept.nonce;
  }

  /** Lets the next sending go on: this one broke off, and may have taken effect or not. */
  async leave(project: string, digest: string, nonce: string): Promise<void> {
    await this.write(project, digest, nonce, 0, 'XX');
  }

  async keep(project: string, digest: string, answer: FirstAnswer, keptMs: number): Promise<void> {
    await this.redis.set(this.keys.answer(project, digest), JSON.stringify(answer), 'PX', keptMs);
  }

  /** Gives a claim up, because the request was refused and changed nothing. */
  async release(project: string, digest: string): Promise<void> {
    await this.redis.del(this.keys.answer(project, digest));
  }

  private async read(project: string, digest: string): Promise<FirstAnswer | Claim | null> {
    return decode<FirstAnswer | Claim>(await this.redis.get(this.keys.answer(project, digest)));
  }

  /** @returns whether it was written. */
  private async write(
    project: string,
    digest: string,
    nonce: string,
    busyMs: number,
    when: 'NX' | 'XX',
  ): Promise<boolean> {
    const claim: Claim = { type: 'claim', nonce, untilMs: Date.now() + busyMs };
    const args = [this.keys.answer(project, digest), JSON.stringify(claim), 'PX', CLAIM_KEPT_MS] as const;
    const written = when === 'NX' ? this.redis.set(...args, 'NX') : this.redis.set(...args, 'XX');
    return (await written) === 'OK';
  }
}
