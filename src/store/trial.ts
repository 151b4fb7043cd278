/**
 * Projects on trial: those whose key no model has answered yet, so that it may be made up. What they may keep is bounded,
 * for each and for all together, and deleted after a while. A project is proven by its first answered model call; what it
 * keeps is then its own business, for good.
 *
 * A chat without a thread counts as long as anything of it is there. That is looked for rather than told, because the process
 * that ends the chat may die before it says so. A small one needs no room, for it is what proves a key; but only one at a time.
 */
import type { RedisKeys, RunRef } from './keys.ts';
import type { Objects } from './objects.ts';
import type { ScriptedRedis } from './scripts.ts';

const MEGABYTE = 1024 * 1024;

export interface TrialLimits {
  /** From a project's first write until all of its writes are deleted. */
  readonly keptMs: number;
  readonly maxProjectBytes: number;
  readonly maxProjectWrites: number;
  readonly maxBytes: number;
  readonly maxWrites: number;
}

/**
 * Newcomers set up an assistant and a thread, with a photo in it perhaps, and run it within minutes; an hour is for those
 * who look something up in between. All together occupy a small part of the smallest Redis in use.
 */
const LIMITS: TrialLimits = {
  keptMs: 60 * 60 * 1000,
  maxProjectBytes: 8 * MEGABYTE,
  maxProjectWrites: 100,
  maxBytes: 128 * MEGABYTE,
  maxWrites: 10_000,
};
/** What Redis needs for a write besides its bytes: names, indexes, a run's first events. */
const OVERHEAD_BYTES = 2_048;
/**
 * A question and a few tools, with {@link OVERHEAD_BYTES} and what a run is stored as. As many as may wait for a worker
 * occupy no more than a small Redis has.
 */
const FIRST_CHAT_BYTES = 16 * 1024;
/** Longer than it takes to create a run that was admitted; what of a failed one is there for a minute is then soon given back. */
const LOOK_FOR_CHAT_MS = 30_000;
/** Chats that are looked for in one go. */
const CHATS_BATCH = 500;
/** Proven projects that a process knows by heart; of further ones it asks again. */
const MAX_KNOWN = 10_000;
/** Projects whose time is over that are looked at together. */
const BATCH = 50;

/** Something that is about to be stored. */
export interface TrialWrite {
  /** The same for every sending of one request. */
  readonly id: string;
  /**
   * What it makes, for the day it is deleted: the id of an object of its own, `answer:` and a digest, `chat:` and
   * `threadId/runId` for a chat without a thread; else empty.
   */
  readonly makes: string;
  readonly bytes: number;
}

export class Trial {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #limits: TrialLimits;
  readonly #nowMs: () => number;
  readonly #known = new Set<string>();

  /** @param nowMs unix milliseconds, the same for every process */
  constructor(redis: ScriptedRedis, keys: RedisKeys, nowMs: () => number, limits = LIMITS) {
    this.#redis = redis;
    this.#keys = keys;
    this.#nowMs = nowMs;
    this.#limits = limits;
  }

  /** Whether this process knows that the project is proven. */
  knows(project: string): boolean {
    return this.#known.has(project);
  }

  /** Whether something may be stored for the project; which room is lacking where not. */
  async admit(
    project: string,
    { id, makes, bytes }: TrialWrite,
    nowMs = this.#nowMs(),
  ): Promise<'admitted' | 'project full' | 'all full'> {
    if (this.#known.has(project)) return 'admitted';
    const { maxProjectBytes, maxProjectWrites, maxBytes, maxWrites } = this.#limits;
    const names = this.#namesOf(project);
    const answer = await this.#redis.trial(
      names.length,
      ...names,
      project,
      nowMs,
      nameOf(id, makes),
      bytes + OVERHEAD_BYTES,
      maxProjectBytes,
      maxProjectWrites,
      maxBytes,
      maxWrites,
      makes.startsWith(CHAT) ? nowMs + LOOK_FOR_CHAT_MS : '',
      FIRST_CHAT_BYTES,
      this.#limits.keptMs,
    );
    if (answer === -1) return 'project full';
    if (answer === -2) return 'all full';
    if (answer === 1) this.#know(project);
    if (answer === 3 && (await this.#isOlder(project))) await this.prove(project);
    return 'admitted';
  }

  /** Whether the project has assistants from before there were trials: others than it has noted, which comes first. */
  async #isOlder(project: string): Promise<boolean> {
    const { docs } = this.#keys.assistants(project);
    const count = await this.#redis.hlen(docs);
    if (count === 0 || count > this.#limits.maxProjectWrites) return count > 0;
    const ids = await this.#redis.hkeys(docs);
    const noted = new Set((await this.#redis.hkeys(this.#keys.trial(project))).map(madeBy));
    return ids.some((id) => !noted.has(id));
  }

  /** A model has answered a call with the project's key. */
  async prove(project: string): Promise<void> {
    if (this.#known.has(project)) return;
    this.#know(project);
    try {
      await this.#forget(project, '1', []);
    } catch (error) {
      this.#known.delete(project);
      throw error;
    }
  }

  /**
   * Gives back the room of chats that are gone, and deletes what projects have made whose time is over. @returns how many
   *   projects that were.
   */
  async end(objects: Objects, nowMs = this.#nowMs()): Promise<number> {
    await this.#giveBackChats(objects, nowMs);
    const until = nowMs - this.#limits.keptMs;
    const over = await this.#redis.zrange(
      this.#keys.trials,
      '-inf',
      String(until),
      'BYSCORE',
      'LIMIT',
      0,
      BATCH,
    );
    for (const project of over) {
      const writes = (await this.#redis.hkeys(this.#keys.trial(project))).filter((name) => name !== 'bytes');
      // Deleted first and forgotten then, so that nothing stays behind when this process dies in between.
      for (const write of writes) await this.#undo(objects, project, madeBy(write));
      await objects.assistants.tidy(project);
      await objects.threads.tidy(project);
      await objects.recentRuns.clear(project);
      await this.#forget(project, '', writes);
    }
    return over.length;
  }

  async #giveBackChats(objects: Objects, nowMs: number): Promise<void> {
    const [redis, keys] = [this.#redis, this.#keys];
    let due: string[];
    do {
      due = await redis.zrange(keys.trialChats, '-inf', String(nowMs), 'BYSCORE', 'LIMIT', 0, CHATS_BATCH);
      await Promise.all(
        due.map(async (member) => {
          const project = member.slice(0, member.indexOf(' '));
          const name = member.slice(project.length + 1);
          const left = await Promise.all(
            keysOfChat(keys, project, madeBy(name)).map((key) => redis.exists(key)),
          );
          if (left.includes(1)) await redis.zadd(keys.trialChats, 'XX', nowMs + LOOK_FOR_CHAT_MS, member);
          else {
            objects.recentRuns.forgetLater(refOfChat(project, madeBy(name)));
            await this.#forget(project, '', [name]);
          }
        }),
      );
    } while (due.length === CHATS_BATCH);
  }

  async #forget(project: string, proven: '1' | '', writes: readonly string[]): Promise<void> {
    const names = this.#namesOf(project);
    await this.#redis.untrial(names.length, ...names, project, proven, ...writes);
  }

  async #undo(objects: Objects, project: string, made: string): Promise<void> {
    if (made.startsWith('asst_')) await objects.assistants.delete(project, made);
    else if (made.startsWith('thread_')) await objects.threads.delete({ project, threadId: made });
    // Bytes without a file are found later, and those of uploads end by themselves.
    else if (made.startsWith('file-')) await objects.files.delete(project, made);
    // What was read of its files goes when the sweeper looks at the store.
    else if (made.startsWith('vs_')) await objects.vectorStores.delete(project, made);
    else if (made.startsWith(CHAT)) await this.#redis.unlink(...keysOfChat(this.#keys, project, made));
    else if (made.startsWith('answer:'))
      await this.#redis.del(this.#keys.passing(project, 'answer', made.slice('answer:'.length)));
  }

  #know(project: string): void {
    this.#known.add(project);
    const [oldest] = this.#known;
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
  }

  #namesOf(project: string): readonly string[] {
    const keys = this.#keys;
    return [
      keys.proven,
      keys.trials,
      keys.trialSums,
      keys.trial(project),
      keys.trialChats,
      keys.trialFirst(project),
    ];
  }
}

const CHAT = 'chat:';

/** All that there is of a chat without a thread and takes room, in one slot: its run, its log and what it was asked. */
function keysOfChat(keys: RedisKeys, project: string, made: string): readonly string[] {
  const ref = refOfChat(project, made);
  return [keys.run(ref), keys.log(ref), keys.input(ref)];
}

function refOfChat(project: string, made: string): RunRef {
  const [threadId = '', runId = ''] = made.slice(CHAT.length).split('/');
  return { project, threadId, runId };
}

/** What a write is noted as; ids have no blanks. */
const nameOf = (id: string, makes: string): string => `${id} ${makes}`;
const madeBy = (name: string): string => name.slice(name.indexOf(' ') + 1);
