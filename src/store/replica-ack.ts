/**
 * Waits until a replica has what was written to a run. It has a connection of its own, because Redis answers nothing else on
 * one that waits; a tiny write there, beside the run, stands behind everything that was written before.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisKeys, RunRef } from './keys.ts';
import { connect } from './redis.ts';

/** A replica in the same building answers within a millisecond; after a second the client had better be told. */
const PATIENCE_MS = 1_000;
/** Each waits for those before it: if so many do, no replica answers, and more would only hold each other up. */
const MAX_WAITING = 200;
/** The second try finds the node to which the slot of the run has moved. */
const TRIES = 2;

export class ReplicaAck {
  readonly #connection: ReturnType<typeof connect>;
  readonly #keys: RedisKeys;
  #waiting = 0;

  constructor(redisUrl: string, keys: RedisKeys) {
    this.#connection = connect(redisUrl, { use: 'confirm', whenAway: 'fail' });
    // Its losses are those of the other connections, which report them.
    this.#connection.on('error', () => {});
    this.#keys = keys;
  }

  /** Whether a replica has confirmed, within a second, everything that was written to the run before this call. */
  async confirm(ref: RunRef): Promise<boolean> {
    if (this.#waiting >= MAX_WAITING) return false;
    const answered = new AbortController();
    const late = delay(PATIENCE_MS, false, { signal: answered.signal }).catch(() => false);
    try {
      return await Promise.race([this.#ask(ref), late]);
    } finally {
      answered.abort();
    }
  }

  close(): void {
    this.#connection.disconnect();
  }

  async #ask(ref: RunRef): Promise<boolean> {
    const mark = this.#keys.mark(ref);
    this.#waiting += 1;
    try {
      for (let tries = 0; tries < TRIES; tries++) {
        const pipeline = this.#connection.pipeline().set(mark, '', 'PX', PATIENCE_MS).wait(1, PATIENCE_MS);
        const [written, confirmed] = (await pipeline.exec()) ?? [];
        if (written?.[0] === null) return Number(confirmed?.[1]) >= 1;
        // Alone, a command is sent on to where its key is now.
        await this.#connection.set(mark, '', 'PX', PATIENCE_MS);
      }
      return false;
    } catch {
      return false;
    } finally {
      this.#waiting -= 1;
    }
  }
}
