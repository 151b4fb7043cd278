/** First answers to requests that change something, kept for a minute or a day, so that a repetition gets the same. */
import { randomText } from '../runs/ids.ts';
import { decode } from './json.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** What is remembered of an answer: the JSON it was, or the stream of a run and where in the log that began. */
export type FirstAnswer =
  | { readonly type: 'json'; readonly text: string; readonly headers: Readonly<Record<string, string>> }
  | { readonly type: 'stream'; readonly ref: RunRef; readonly after: number; readonly withThread: boolean };

/** A request that is being worked on, or was when its process died, or whose answer is too big to be kept. */
interface StoredClaim {
  readonly type: 'claim';
  /** Random, the same for every sending: what the request makes is named after it ({@link namesFrom}). */
  readonly nonce: string;
  /** Until then (unix ms) repetitions wait for the first sending. */
  readonly untilMs: number;
}

/** Which body came with the key, by its digest. Records of older processes do not say. */
type Kept = (FirstAnswer | StoredClaim) & { readonly body?: string };

/** A request with a key of its client's, by digests. */
export interface KeyedRequest {
  readonly project: string;
  /** Names the record: the key, and where the request was sent. */
  readonly name: string;
  /** Names the key alone. */
  readonly key: string;
  readonly url: string;
  readonly body: string;
}

/** What a key was found to stand for. */
export type Claimed =
  /** Nothing yet: this sending is to be worked on, and what it makes to be named after the nonce. */
  | { readonly type: 'claimed'; readonly nonce: string }
  | { readonly type: 'answered'; readonly first: FirstAnswer }
  /** Another sending is being worked on. */
  | { readonly type: 'pending' }
  /** A request to another address, or with another body. */
  | { readonly type: 'other request' };

/**
 * Whoever works on longer says so ({@link IdempotencyRecords.goesOn}); should its process have died, a second sending makes the
 * same objects.
 */
const BUSY_MS = 10_000;
/** So that a claim outlives a Redis that hesitates. */
export const SAY_EVERY_MS = BUSY_MS / 2;
/** SDKs have given up long before. */
const CLAIM_KEPT_MS = 60_000;
/** Not shorter than any answer is kept. */
const URL_KEPT_MS = 24 * 60 * 60 * 1000;
const NONCE_LENGTH = 24;

export class IdempotencyRecords {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #nowMs: () => number;

  /** @param nowMs unix milliseconds, the same for every process */
  constructor(redis: ScriptedRedis, keys: RedisKeys, nowMs: () => number) {
    this.#redis = redis;
    this.#keys = keys;
    this.#nowMs = nowMs;
  }

  /** Takes the key for a request that is about to be worked on, or says what it stands for already. */
  async claim(request: KeyedRequest): Promise<Claimed> {
    const nonce = randomText(NONCE_LENGTH);
    const [isNew, firstUrl] = await Promise.all([
      this.#write(request, nonce, BUSY_MS, CLAIM_KEPT_MS, 'NX'),
      this.#redis.set(this.#urlOf(request), request.url, 'PX', URL_KEPT_MS, 'NX', 'GET'),
    ]);
    if (firstUrl !== null && firstUrl !== request.url) {
      if (isNew) await this.#redis.del(this.#nameOf(request));
      return { type: 'other request' };
    }
    if (isNew) return { type: 'claimed', nonce };
    const kept = decode<Kept | null>(await this.#redis.get(this.#nameOf(request)));
    // It was given up between the two commands: the next sending finds it free.
    if (kept === null) return { type: 'pending' };
    if (kept.body !== undefined && kept.body !== request.body) return { type: 'other request' };
    if (kept.type !== 'claim') return { type: 'answered', first: kept };
    if (this.#nowMs() < kept.untilMs) return { type: 'pending' };
    await this.#write(request, kept.nonce, BUSY_MS, CLAIM_KEPT_MS, 'XX');
    return { type: 'claimed', nonce: kept.nonce };
  }

  /** The answer that every further sending with the key gets. */
  async settle(request: KeyedRequest, first: FirstAnswer, keptMs: number): Promise<void> {
    const kept: Kept = { ...first, body: request.body };
    await this.#redis.set(this.#nameOf(request), JSON.stringify(kept), 'PX', keptMs);
  }

  /** Says that the request is still being worked on: one that waits for another run may take minutes. */
  async goesOn(request: KeyedRequest, nonce: string): Promise<void> {
    await this.#write(request, nonce, BUSY_MS, CLAIM_KEPT_MS, 'XX');
  }

  /**
   * Releases the claim so that a retry may proceed under the same nonce: this sending broke off, and may have taken effect or
   * not; or it was done, and its answer is too big to be kept.
   */
  async leave(request: KeyedRequest, nonce: string, keptMs = CLAIM_KEPT_MS): Promise<void> {
    await this.#write(request, nonce, 0, keptMs, 'XX');
  }

  /** Gives the key up, because the request was refused and changed nothing. */
  async release(request: KeyedRequest): Promise<void> {
    await Promise.all([this.#redis.del(this.#nameOf(request)), this.#redis.del(this.#urlOf(request))]);
  }

  /** Keeps an answer that got lost, for the next sending of the same request ({@link take}). */
  async keep(project: string, digest: string, answer: FirstAnswer, keptMs: number): Promise<void> {
    await this.#redis.set(
      this.#keys.passing(project, 'answer', digest),
      JSON.stringify(answer),
      'PX',
      keptMs,
    );
  }

  /** The answer kept under `digest`, or null. It is handed out once: of two who ask at the same time, one gets it. */
  async take(project: string, digest: string): Promise<FirstAnswer | null> {
    return decode<FirstAnswer | null>(
      await this.#redis.getdel(this.#keys.passing(project, 'answer', digest)),
    );
  }

  #nameOf({ project, name }: KeyedRequest): string {
    return this.#keys.passing(project, 'answer', name);
  }

  #urlOf({ project, key }: KeyedRequest): string {
    return this.#keys.passing(project, 'answer', key);
  }

  /** @returns whether it was written. */
  async #write(
    request: KeyedRequest,
    nonce: string,
    busyMs: number,
    keptMs: number,
    when: 'NX' | 'XX',
  ): Promise<boolean> {
    const claim: Kept = { type: 'claim', nonce, untilMs: this.#nowMs() + busyMs, body: request.body };
    const args = [this.#nameOf(request), JSON.stringify(claim), 'PX', keptMs] as const;
    const written = when === 'NX' ? this.#redis.set(...args, 'NX') : this.#redis.set(...args, 'XX');
    return (await written) === 'OK';
  }
}
