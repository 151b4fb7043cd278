/**
 * What many runs have in common: the instructions and tools of their assistant. An ended run names them by their digest, and
 * they are stored once for each project. A run that is yet to end has them with it, because an older worker may execute it.
 *
 * The threads whose runs need a content are noted with it, before the run names it. Nothing is done when a thread is deleted:
 * a sweep looks now and then which of the noted threads are there, and a content that no thread needs goes
 * (docs/decisions/0015-instructions-and-tools-are-stored-once.md).
 */
import { hash } from 'node:crypto';
import type { Logger } from '../log.ts';
import type { RunState } from '../runs/run.ts';
import { contentNamedBy, encodeRun, type RunContent } from './compact.ts';
import { decode } from './json.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Smaller ones stay with their run: what names them takes some 200 bytes. */
const MIN_BYTES = 1_024;
/** 132 bits: nobody finds two contents of one digest, and projects share none. */
const DIGEST_LENGTH = 22;
/** The field of the content among the threads that need it; no id has a colon. */
const CONTENT_FIELD = ':content';
/** The end of a run's id, which tells whether a thread was noted anew. */
const MARK_LENGTH = 8;
/** Contents read lately; they never change. */
const MAX_KNOWN_BYTES = 4 * 1024 * 1024;
const LOOK_EVERY_MS = 60 * 60 * 1000;
/** What one sweep looks at: so many contents, and about so many threads of each. */
const BATCH = 20;
const THREADS_BATCH = 200;

export class Contents {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #nowMs: () => number;
  readonly #log: Logger;
  readonly #known = new Map<
    string,
    { readonly bytes: number; readonly content: Promise<RunContent | null> }
  >();
  #knownBytes = 0;
  /** Where the look through the threads of a content goes on. */
  readonly #cursors = new Map<string, string>();

  /** @param nowMs unix milliseconds, the same for every process */
  constructor(redis: ScriptedRedis, keys: RedisKeys, nowMs: () => number, log: Logger) {
    this.#redis = redis;
    this.#keys = keys;
    this.#nowMs = nowMs;
    this.#log = log;
  }

  /** What is stored of a run that has ended. Its content is kept first; where that fails, it stays with the run. */
  async documentOf({ project, threadId, runId }: RunRef, state: RunState): Promise<string> {
    const { instructions, tools } = state.run;
    const text = JSON.stringify({ instructions, tools } satisfies RunContent);
    const bytes = Buffer.byteLength(text);
    if (bytes < MIN_BYTES || state.origin.ephemeral) return encodeRun(state);
    const id = hash('sha256', text, 'base64url').slice(0, DIGEST_LENGTH);
    const fields = { [CONTENT_FIELD]: text, [threadId]: runId.slice(-MARK_LENGTH) };
    try {
      await Promise.all([
        this.#redis.zadd(this.#keys.contents, 'NX', this.#nowMs() + LOOK_EVERY_MS, `${project}/${id}`),
        this.#redis.hset(this.#keys.content(project, id), fields),
      ]);
      return encodeRun(state, { id, bytes });
    } catch (err) {
      this.#log.debug({ err, run_id: runId }, 'could not keep what runs share; it is stored with the run');
      return encodeRun(state);
    }
  }

  /** The content that a stored run names; null where it names none, or one that cannot be read. */
  async of({ project }: Pick<RunRef, 'project'>, doc: string): Promise<RunContent | null> {
    const named = contentNamedBy(doc);
    if (named === null) return null;
    const key = this.#keys.content(project, named.id);
    const content = this.#known.get(key)?.content ?? this.#read(key);
    this.#know(key, named.bytes, content);
    let found: RunContent | null = null;
    try {
      found = await content;
    } finally {
      // It may be there the next time: Redis answers again, or the next run has kept it.
      if (found === null && this.#known.get(key)?.content === content) this.#forget(key);
    }
    return found;
  }

  /** Looks after contents that are due: forgets the threads that are gone, and then what nobody needs. */
  async sweep(nowMs = this.#nowMs()): Promise<void> {
    const due = await this.#redis.zrangebyscore(this.#keys.contents, '-inf', nowMs, 'LIMIT', 0, BATCH);
    await Promise.all(due.map(async (member) => this.#lookAfter(member, nowMs)));
  }

  async #lookAfter(member: string, nowMs: number): Promise<void> {
    const [redis, keys] = [this.#redis, this.#keys];
    const cut = member.lastIndexOf('/');
    const project = member.slice(0, cut);
    const key = keys.content(project, member.slice(cut + 1));
    const from = this.#cursors.get(member) ?? '0';
    const [next, fields] = await redis.hscan(key, from, 'MATCH', '[^:]*', 'COUNT', THREADS_BATCH);
    const noted = Array.from({ length: fields.length / 2 }, (_, index) =>
      fields.slice(2 * index, 2 * index + 2),
    );
    const there = await Promise.all(
      noted.map(async ([threadId = '']) => redis.exists(keys.thread({ project, threadId }))),
    );
    const gone = noted.filter((_, index) => there[index] === 0);
    if ((await redis.unneed(1, key, CONTENT_FIELD, ...gone.flat())) === 1) {
      await redis.zrem(keys.contents, member);
      // A run may have kept it again in between, and found it in the index still.
      if ((await redis.exists(key)) === 1)
        await redis.zadd(keys.contents, 'NX', nowMs + LOOK_EVERY_MS, member);
    } else if (next === '0') await redis.zadd(keys.contents, 'XX', nowMs + LOOK_EVERY_MS, member);
    if (next === '0') this.#cursors.delete(member);
    else this.#cursors.set(member, next);
  }

  async #read(key: string): Promise<RunContent | null> {
    const text = await this.#redis.hget(key, CONTENT_FIELD);
    try {
      const content = decode<Partial<RunContent> | null>(text);
      const { instructions, tools } = content ?? {};
      return typeof instructions === 'string' && Array.isArray(tools) ? { instructions, tools } : null;
    } catch {
      return null; // The run that names it tells.
    }
  }

  #know(key: string, bytes: number, content: Promise<RunContent | null>): void {
    this.#forget(key);
    this.#known.set(key, { bytes, content });
    this.#knownBytes += bytes;
    for (const oldest of this.#known.keys()) {
      if (this.#knownBytes <= MAX_KNOWN_BYTES) break;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    this.#knownBytes -= this.#known.get(key)?.bytes ?? 0;
    this.#known.delete(key);
  }
}
