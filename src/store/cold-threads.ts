/**
 * Cold threads: those that lie in a row beside Redis, because nobody has used them for long. In Redis is a mark, which names the
 * row, and decides: a thread is where its mark says. Whoever comes to a thread and finds the mark has it brought back here, and
 * asks again; freezer.ts takes threads out (docs/decisions/0016-cold-threads.md).
 *
 * What was found in Redis belongs to a thread that is there. So only those ask for the mark who found nothing.
 */
import { ApiError, retryAfter } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ColdRows } from '../runs/cold-row.ts';
import { keyOf, unpacked } from './frozen.ts';
import type { RedisKeys, RunRef, ThreadRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';
import type { ThreadIndex } from './thread-index.ts';

/** Fields of the thread's hash; no id has a colon. */
export const COLD_FIELD = ':cold';
export const THAWED_FIELD = ':thawed';
/** A thread that is frozen again and again while somebody asks for it is given up after so many times. */
const MAX_TRIES = 10;
/** How scripts say that a thread is cold (cold-thread.lua). */
const IS_COLD = /^COLD (\S+)$/;

export interface ColdThreadsOptions {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly threadIndex: ThreadIndex;
  readonly rows: ColdRows;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
  readonly log: Logger;
}

/** What a process has done; counters begin at 0 with it. */
export interface ColdCounts {
  frozen: number;
  thawed: number;
  /** Time spent bringing threads back, in milliseconds. */
  thawMs: number;
}

/** A run of a cold thread, as it is stored; `label` as in {@link Row}. */
export interface ColdRun {
  readonly doc: string;
  readonly label: string | null;
}

export class ColdThreads {
  readonly counts: ColdCounts = { frozen: 0, thawed: 0, thawMs: 0 };
  readonly #options: ColdThreadsOptions;
  /** By row: whoever asks for the same thread waits for the same return. */
  readonly #returning = new Map<string, Promise<void>>();

  constructor(options: ColdThreadsOptions) {
    this.#options = options;
  }

  /** What a script answers that refuses for a cold thread. */
  async reach<T>(ref: ThreadRef, ask: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await ask();
      } catch (error) {
        const mark = error instanceof Error ? IS_COLD.exec(error.message)?.[1] : undefined;
        if (mark === undefined || tries === MAX_TRIES) throw error;
        await this.bringBack(ref, mark);
      }
    }
  }

  /** What plain commands find in a thread; null where they find nothing, although the thread is in Redis. */
  async find<T>(ref: ThreadRef, look: () => Promise<T | null>): Promise<T | null> {
    const miss = this.miss(ref);
    for (let tries = 1; ; tries += 1) {
      const found = await look();
      if (found !== null || tries === MAX_TRIES || !(await miss())) return found;
    }
  }

  /**
   * For whoever finds nothing in a thread. @returns what brings the thread back, and says whether there is a reason to look again:
   *   the thread was cold, or has come back since the last look.
   */
  miss(ref: ThreadRef): () => Promise<boolean> {
    let lastReturn: string | null = null;
    return async () => {
      const { redis, keys } = this.#options;
      const [mark, thawed] = await redis.hmget(keys.thread(ref), COLD_FIELD, THAWED_FIELD);
      if (mark) {
        await this.bringBack(ref, mark);
        return true;
      }
      if (!thawed || thawed === lastReturn) return false;
      lastReturn = thawed;
      return true;
    };
  }

  /**
   * Bytes of the document of a thread, without bringing it back; 0 where the thread is not cold.
   */
  async sizeOf(ref: ThreadRef): Promise<number> {
    const { redis, keys } = this.#options;
    return bytesIn(await redis.hget(keys.thread(ref), COLD_FIELD));
  }

  /** The document of a thread, without bringing it back; null where the thread is not cold. */
  async document(ref: ThreadRef): Promise<string | null> {
    const { redis, keys } = this.#options;
    const mark = await redis.hget(keys.thread(ref), COLD_FIELD);
    if (mark === null) return null;
    const card = await this.#asked(ref, (rows) => rows.card(versionIn(mark)));
    return card !== null && isOf(card, ref) ? card.document : null;
  }

  /**
   * The document of a run and the metadata a client gave it since, without bringing its thread back; null where the thread is
   * not cold, or has no such run. Unpacks the whole thread.
   */
  async run(ref: RunRef): Promise<ColdRun | null> {
    const { redis, keys } = this.#options;
    const mark = await redis.hget(keys.thread(ref), COLD_FIELD);
    if (mark === null) return null;
    const row = await this.#asked(ref, (rows) => rows.fetch(versionIn(mark)));
    if (row === null || !isOf(row, ref)) return null;
    const frozen = await unpacked(row.body, ref);
    const valueOf = (values: readonly string[] | undefined, field: string): string | null => {
      const at = values?.findIndex((value, index) => index % 2 === 0 && value === field) ?? -1;
      return at < 0 ? null : (values?.[at + 1] ?? null);
    };
    const run = frozen.find(({ name, runId }) => name === 'run' && runId === ref.runId);
    const labels = frozen.find(({ name }) => name === 'labels');
    const doc = valueOf(run?.values, 'doc');
    return doc === null ? null : { doc, label: valueOf(labels?.values, ref.runId) };
  }

  /**
   * Brings a thread back that was found to be cold by this mark. Afterwards it is in Redis, or was changed by others.
   * @throws {ApiError} 503 when its row cannot be read at the moment; 500 when the row is missing.
   */
  async bringBack(ref: ThreadRef, mark: string): Promise<void> {
    const known = this.#returning.get(mark);
    if (known !== undefined) return known;
    const returning = this.#bringBack(ref, mark).finally(() => this.#returning.delete(mark));
    this.#returning.set(mark, returning);
    return returning;
  }

  /** Forgets the rows of a thread that was deleted. @param noted what was noted in it of rows: marks and returns */
  async dropRows(ref: ThreadRef, noted: readonly string[]): Promise<void> {
    const versions = noted.filter((text) => text !== '').map(versionIn);
    if (versions.length === 0) return;
    this.#options.threadIndex.notColdLater(ref);
    try {
      await this.#options.rows.drop(versions);
    } catch (err) {
      // The thread is gone. What is left of it, the sweeper finds.
      this.#options.log.warn(
        { err, thread_id: ref.threadId },
        'could not remove the row of a deleted thread yet',
      );
    }
  }

  async #bringBack(ref: ThreadRef, mark: string): Promise<void> {
    const { redis, keys, threadIndex, nowMs, log } = this.#options;
    const { counts } = this;
    const startedMs = performance.now();
    const version = versionIn(mark);
    const row = await this.#asked(ref, (rows) => rows.fetch(version));
    if (row === null || !isOf(row, ref)) {
      // It may have come back, or be deleted, long before the row was asked for.
      if ((await redis.hget(keys.thread(ref), COLD_FIELD)) !== mark) return;
      log.error({ thread_id: ref.threadId, row: version }, 'the row of a cold thread is missing');
      throw threadLost(ref.threadId);
    }
    const frozen = await unpacked(row.body, ref);
    await threadIndex.comesBack(ref);
    const names = [keys.thread(ref)];
    const args: (string | number)[] = [mark, `${version}:${nowMs()}`];
    // The document last: should anything fail, the thread stays cold.
    for (const key of frozen.toSorted((a, b) => Number(a.name === 'thread') - Number(b.name === 'thread'))) {
      if (key.expiresMs !== undefined && key.expiresMs <= nowMs()) continue;
      names.push(keyOf(keys, ref, key));
      args.push(key.kind, key.expiresMs ?? '', key.values.length);
      for (const value of key.values) args.push(value);
    }
    if ((await redis.thaw(names.length, ...names, ...args)) === 1) {
      counts.thawed += 1;
      counts.thawMs += performance.now() - startedMs;
      threadIndex.notColdLater(ref);
    } else if ((await redis.exists(keys.thread(ref))) === 0) threadIndex.forgetLater(ref);
  }

  async #asked<T>({ threadId }: ThreadRef, ask: (rows: ColdRows) => Promise<T>): Promise<T> {
    try {
      return await ask(this.#options.rows);
    } catch (err) {
      this.#options.log.error({ err, thread_id: threadId }, 'cannot read where cold threads lie');
      throw threadElsewhere(threadId);
    }
  }
}

/** What names a row in Redis, with how many bytes the document of its thread has. */
export function markOf(version: string, documentBytes: number): string {
  return `${version}:${documentBytes}`;
}

/** The row that a mark names, or the note of a return. */
export const versionIn = (mark: string): string => mark.slice(0, mark.indexOf(':'));

const bytesIn = (mark: string | null): number =>
  mark === null ? 0 : Number(mark.slice(mark.indexOf(':') + 1));

function isOf(row: ThreadRef, { project, threadId }: ThreadRef): boolean {
  return row.project === project && row.threadId === threadId;
}

/** The row of a cold thread is not where it should be. Nothing is made up in its place: it may be found again. */
function threadLost(threadId: string): ApiError {
  const message = `The thread ${threadId} was moved out of Redis, and the database it was moved to has no row of it. The operator finds the row's name in the log, and may have to restore a backup of the database, or to correct LIBRARY_URL.`;
  // Trying again does not help.
  return new ApiError(500, message, {
    type: 'server_error',
    code: 'thread_lost',
    headers: { 'x-should-retry': 'false' },
  });
}

/** The database of cold threads does not answer. */
function threadElsewhere(threadId: string): ApiError {
  const message = `The thread ${threadId} was moved out of Redis, and the database it was moved to cannot be read at the moment. Try again in a few seconds.`;
  return new ApiError(503, message, {
    type: 'server_error',
    code: 'thread_unavailable',
    headers: retryAfter(1_000),
  });
}
