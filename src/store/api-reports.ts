/** What the API processes of a deployment say of themselves every few seconds, so that each of them can tell of all. */
import { decode } from './json.ts';
import type { Presence } from './presence.ts';

/** Three reports missed. */
const ABSENT_AFTER_MS = 30_000;

/** What an API process says of itself; counters begin at 0 with it. */
export interface ApiFigures {
  /** When it began, and when it said this, in unix milliseconds. */
  readonly sinceMs: number;
  readonly saidMs: number;
  readonly streams: number;
  readonly sockets: number;
  readonly memoryBytes: number;
  readonly loopDelayMs: number;
  /** Answered requests, by status. */
  readonly requests: Readonly<Record<string, number>>;
  /** How long clients waited for first words: the sum, and counts of buckets. */
  readonly firstWord: readonly number[];
}

/** An API process's figures, under its name. */
export interface ApiReport extends ApiFigures {
  readonly name: string;
}

export class ApiReports {
  readonly #presence: Presence;
  readonly #name: string;

  /** @param name never used by another process */
  constructor(presence: Presence, name: string) {
    this.#presence = presence;
    this.#name = name;
  }

  /** Says the figures of this process. */
  async say(figures: ApiFigures): Promise<void> {
    const { redis, keys } = this.#presence;
    await redis
      .multi()
      .hset(keys.watch.apis, this.#name, JSON.stringify(figures))
      .pexpire(keys.watch.apis, ABSENT_AFTER_MS)
      .exec();
  }

  /** What the others that are alive last said; what those that have gone left is removed. */
  async others(): Promise<readonly ApiReport[]> {
    const { redis, keys, nowMs } = this.#presence;
    const said = Object.entries(await redis.hgetall(keys.watch.apis)).flatMap(([name, text]) => {
      const figures = decode<ApiFigures>(text);
      return figures === null || name === this.#name ? [] : [{ ...figures, name }];
    });
    const gone = said.filter(({ saidMs }) => nowMs() - saidMs > ABSENT_AFTER_MS).map(({ name }) => name);
    if (gone.length > 0) await redis.hdel(keys.watch.apis, ...gone);
    return said.filter(({ name }) => !gone.includes(name));
  }

  /** Says that this process is gone. */
  async leave(): Promise<void> {
    const { redis, keys } = this.#presence;
    await redis.hdel(keys.watch.apis, this.#name).catch(() => undefined);
  }
}
