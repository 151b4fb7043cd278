/**
 * What to do about documents that cannot be read. A list leaves them out, and the log says so once. A run may still be whole in
 * the memory of its worker, which writes it anew at its next step. When that has not happened for a while, the run is given up:
 * its thread is freed, its readers are told, and its document stays, so that it can be looked into.
 */
import type { Logger } from '../log.ts';
import { randomText } from '../runs/ids.ts';
import type { RunState } from '../runs/run.ts';
import type { RunContent } from './compact.ts';
import { decodeRun, Unreadable } from './json.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Longer than a step of most runs. A client that is in a hurry can delete the thread. */
const GIVEN_UP_AFTER_MS = 30_000;
const TOKEN_LENGTH = 12;
/** Up to so many documents are logged, once each. More would say nothing new. */
const MAX_TOLD = 1_000;

export class Damage {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #log: Logger;
  readonly #told = new Set<string>();

  constructor(redis: ScriptedRedis, keys: RedisKeys, log: Logger) {
    this.#redis = redis;
    this.#keys = keys;
    this.#log = log;
  }

  /** What `read` gives, or null where that cannot be read. What else it throws is thrown. */
  skip<T>(read: () => T): T | null {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      if (!this.#told.has(error.what) && this.#told.size < MAX_TOLD) {
        this.#told.add(error.what);
        this.#log.error({ what: error.what }, 'passing over what cannot be read');
      }
      return null;
    }
  }

  /**
   * The state of a run out of its document, with the content that it names.
   * @throws {Unreadable} for one that is damaged, after everything was done about it that can be done now; {NewerFormat}.
   */
  async run(ref: RunRef, doc: string, content: RunContent | null): Promise<RunState> {
    try {
      return decodeRun(doc, ref, content);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      throw new Unreadable(error.what, await this.#attend(ref));
    }
  }

  /** @returns whether the run is given up. */
  async #attend(ref: RunRef): Promise<boolean> {
    const [redis, keys, log] = [this.#redis, this.#keys, this.#log];
    const names = [keys.run(ref), keys.active(ref)];
    const args = [ref.runId, GIVEN_UP_AFTER_MS, randomText(TOKEN_LENGTH), keys.changes, keys.events(ref)];
    const verdict = String(await redis.abandon(names.length, ...names, ...args));
    const fields = { run_id: ref.runId, thread_id: ref.threadId };
    if (verdict === 'noticed') log.error(fields, 'a run cannot be read; it is given up if it stays so');
    if (verdict === 'given up') log.error(fields, 'gave up a run that cannot be read; its thread is free');
    return verdict === 'given up' || verdict === 'over';
  }
}
