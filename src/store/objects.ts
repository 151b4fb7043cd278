/**
 * Assistants, threads, messages and steps: create, read, change, delete, and pages by cursor. What belongs to a run's
 * life (its messages while it writes them, its steps, the thread's lock) is written by commit.lua, not here.
 */
import type { Assistant, Message, Metadata, Run, RunStep, Thread } from '../runs/thread.ts';
import { readHistory, type HistoryBudget, type ReadHistory } from './history.ts';
import type { Collection, Keys, RunRef, ThreadRef } from './keys.ts';
import type { Damage } from './damage.ts';
import { decode, decodeObject, decodeRun } from './json.ts';
import { GRACE_FIELD, readGrace, runView } from './poll-grace.ts';
import type { State } from './redis.ts';
import type { Threads } from './threads.ts';

/** Which items a client wants: `after` and `before` are ids, meant in the requested order. */
export interface PageQuery {
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  readonly after: string | null;
  readonly before: string | null;
  /** Hears how many bytes a large page has before it is read; what it throws keeps it from being read. */
  readonly admit?: (bytes: number) => void;
}

/** A page that is full of bytes is shorter than its limit. `unknown cursor` carries the id that never named an item of the list. */
export type Page<T> =
  | { readonly type: 'page'; readonly items: readonly T[]; readonly hasMore: boolean }
  | { readonly type: 'unknown cursor'; readonly cursor: string };

/** What became of messages that were to join a thread. */
export type Appended =
  | { readonly type: 'appended' }
  | { readonly type: 'no thread' }
  | { readonly type: 'locked'; readonly runId: string };

export interface ObjectStoreOptions {
  readonly redis: State;
  readonly keys: Keys;
  readonly threads: Threads;
  readonly damage: Damage;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
  /** Of documents in one page of a list. */
  readonly pageLimitBytes: number;
}

/** How many deleted items of a list stay known as cursors. */
const REMEMBERED_GONE = 1_000;
const MAX_SWAP_TRIES = 20;
/** Pages of more bytes are asked about first. Ordinary ones are far smaller, and cost one round trip. */
const LARGE_PAGE_BYTES = 256 * 1024;
/** Where an assistant is looked for whose name leads nowhere. */
const NEWEST_ASSISTANTS: PageQuery = { limit: 100, order: 'desc', after: null, before: null };

export class ObjectStore {
  private readonly redis: State;
  private readonly keys: Keys;
  private readonly threads: Threads;
  private readonly pageLimitBytes: number;
  private readonly damage: Damage;
  private readonly nowMs: () => number;
  private lastOrder = 0;

  constructor({ redis, keys, threads, damage, nowMs, pageLimitBytes }: ObjectStoreOptions) {
    this.threads = threads;
    this.damage = damage;
    this.redis = redis;
    this.keys = keys;
    this.nowMs = nowMs;
    this.pageLimitBytes = pageLimitBytes;
  }

  async createAssistant(project: string, assistant: Assistant): Promise<void> {
    const { docs, index } = this.keys.assistants(project);
    const json = JSON.stringify(assistant);
    // Idempotent when sent twice: the order is the time of creation, and ids of the same millisecond are told apart by
    // the counter of the process that made them.
    await Promise.all([
      this.redis
        .multi()
        .hset(docs, assistant.id, json)
        .zadd(index, 'NX', this.nextOrder(), assistant.id)
        .exec(),
      this.nameAssistant(project, assistant),
    ]);
  }

  async getAssistant(project: string, id: string): Promise<Assistant | null> {
    return decodeObject<Assistant>(
      await this.redis.hget(this.keys.assistants(project).docs, id),
      `assistant ${id}`,
    );
  }

  async updateAssistant(
    project: string,
    id: string,
    change: (old: Assistant) => Assistant,
  ): Promise<Assistant | null> {
    const changed = await this.swap(this.keys.assistants(project).docs, id, change);
    if (changed !== null) await this.nameAssistant(project, changed);
    return changed;
  }

  /** The assistant that was last given this name, in any case; brackets around it are a device's habit. */
  async findAssistant(project: string, name: string): Promise<Assistant | null> {
    const wanted = name.toLowerCase();
    const isWanted = (assistant: Assistant | null): boolean => assistant?.name?.toLowerCase() === wanted;
    const id = await this.redis.hget(this.keys.assistantNames(project), wanted);
    // Most names are those of models, and cost no more than this.
    if (id === null) return null;
    const assistant = await this.getAssistant(project, id);
    if (isWanted(assistant)) return assistant;
    // The index knows one assistant of a name, and that may be gone or have another name by now.
    const page = await this.listAssistants(project, NEWEST_ASSISTANTS);
    return (page.type === 'page' ? page.items : []).find(isWanted) ?? null;
  }

  private async nameAssistant(project: string, { id, name }: Assistant): Promise<void> {
    if (name !== null) await this.redis.hset(this.keys.assistantNames(project), name.toLowerCase(), id);
  }

  async deleteAssistant(project: string, id: string): Promise<boolean> {
    return this.remove(this.keys.assistants(project), id, []);
  }

  /** Forgets the names and places of a project's assistants when there are none any more. */
  async tidyAssistants(project: string): Promise<void> {
    const { docs, index, gone } = this.keys.assistants(project);
    if ((await this.redis.hlen(docs)) > 0) return;
    await this.redis.unlink(index, gone, this.keys.assistantNames(project));
  }

  async listAssistants(project: string, query: PageQuery): Promise<Page<Assistant>> {
    const collection = this.keys.assistants(project);
    return this.page(collection, query, (doc, _, id) => decodeObject<Assistant>(doc, `assistant ${id}`));
  }

  /** Creates a thread with its first messages. */
  async createThread(project: string, thread: Thread, messages: readonly Message[]): Promise<void> {
    await this.append({ project, threadId: thread.id }, JSON.stringify(thread), messages);
  }

  async getThread(ref: ThreadRef): Promise<Thread | null> {
    return decodeObject<Thread>(
      await this.redis.hget(this.keys.thread(ref), ref.threadId),
      `thread ${ref.threadId}`,
    );
  }

  /** Whether there is such a thread, readable or not. */
  async hasThread(ref: ThreadRef): Promise<boolean> {
    return (await this.redis.exists(this.keys.thread(ref))) === 1;
  }

  async updateThread(ref: ThreadRef, change: (old: Thread) => Thread): Promise<Thread | null> {
    return this.swap(this.keys.thread(ref), ref.threadId, change);
  }

  /** Deletes a thread with its messages, runs and steps; a worker that executes one of them stops by itself. */
  async deleteThread(ref: ThreadRef): Promise<boolean> {
    const [answer] = await Promise.all([this.drop(ref, 'any'), this.threads.forget(ref)]);
    return answer === 1;
  }

  /**
   * The same, unless a run holds the thread or something has joined it since its `order` was read.
   * @returns whether the thread is gone, be it since long
   */
  async deleteUnused(ref: ThreadRef, order: string): Promise<boolean> {
    if ((await this.drop(ref, 'unused', order)) === -1) return false;
    await this.threads.forget(ref);
    return true;
  }

  private async drop(ref: ThreadRef, which: 'any' | 'unused', order = ''): Promise<unknown> {
    const { keys } = this;
    const messages = keys.messages(ref);
    const any: RunRef = { ...ref, runId: '' };
    const names = [keys.thread(ref), keys.runs(ref), keys.active(ref), keys.order(ref), keys.labels(ref)];
    names.push(messages.docs, messages.index, messages.gone, keys.steps(ref), keys.toolSteps(ref));
    const perRun = [keys.run(any), keys.log(any), keys.runMessages(any), keys.runSteps(any)];
    return this.redis.drop(names.length, ...names, which, order, keys.changes, keys.events(any), ...perRun);
  }

  /** The id of the run that locks the thread, or null; and whether there is such a thread at all. */
  async activeRun(ref: ThreadRef): Promise<{ readonly exists: boolean; readonly runId: string | null }> {
    const names = [this.keys.thread(ref), this.keys.active(ref)];
    const [exists, runId] = listOf(await this.redis.holder(names.length, ...names, this.runPrefix(ref)));
    return { exists: exists === 1, runId: runId === '' ? null : String(runId) };
  }

  /** Adds a message to a thread that no run holds. */
  async addMessage(ref: ThreadRef, message: Message): Promise<Appended> {
    return this.append(ref, '', [message]);
  }

  async getMessage(ref: ThreadRef, id: string): Promise<Message | null> {
    const [doc, labels] = await Promise.all([
      this.redis.hget(this.keys.messages(ref).docs, id),
      this.redis.hget(this.keys.labels(ref), id),
    ]);
    return doc === null ? null : labelled(decodeObject<Message>(doc, `message ${id}`), labels ?? '');
  }

  /** Deletes a message. A run in progress that has read it already goes on. */
  async deleteMessage(ref: ThreadRef, message: Message): Promise<boolean> {
    const byRun = message.run_id === null ? [] : [this.keys.runMessages({ ...ref, runId: message.run_id })];
    return this.remove(this.keys.messages(ref), message.id, byRun);
  }

  /** Messages of a thread, or only those that one run wrote. */
  async listMessages(ref: ThreadRef, runId: string | null, query: PageQuery): Promise<Page<Message>> {
    const all = this.keys.messages(ref);
    const collection = runId === null ? all : { ...all, index: this.keys.runMessages({ ...ref, runId }) };
    return this.page(
      collection,
      query,
      (doc, label, id) => labelled(decodeObject<Message>(doc, `message ${id}`), label),
      ref,
    );
  }

  /** The metadata that was hung on a message or run since it was created; null when none was. */
  async labels(ref: ThreadRef, id: string): Promise<Metadata | null> {
    return decode<Metadata>(await this.redis.hget(this.keys.labels(ref), id));
  }

  /** Hangs metadata on a message or run that exists; it replaces what was there. @returns false when the thread is gone. */
  async setLabels(ref: ThreadRef, id: string, metadata: Metadata): Promise<boolean> {
    const names = [this.keys.thread(ref), this.keys.labels(ref)];
    return (await this.redis.label(names.length, ...names, id, JSON.stringify(metadata))) === 1;
  }

  async listRuns(ref: ThreadRef, query: PageQuery): Promise<Page<Run>> {
    const collection = permanent(this.keys.runs(ref), this.keys.steps(ref));
    const parseRun = (doc: string, label: string, id: string): Run => labelled(decodeRun(doc, id).run, label);
    const [found, grace] = await Promise.all([
      this.page(collection, query, parseRun, ref, this.runPrefix(ref)),
      this.redis.hget(this.keys.labels(ref), GRACE_FIELD),
    ]);
    if (found.type !== 'page') return found;
    const shown = { labels: null, grace: readGrace(grace) };
    return { ...found, items: found.items.map((run) => runView(run, shown, this.nowMs())) };
  }

  async getStep(ref: ThreadRef, id: string): Promise<RunStep | null> {
    return decodeObject<RunStep>(await this.redis.hget(this.keys.steps(ref), id), `step ${id}`);
  }

  async listSteps(ref: RunRef, query: PageQuery): Promise<Page<RunStep>> {
    const collection = permanent(this.keys.runSteps(ref), this.keys.steps(ref));
    return this.page(collection, query, (doc, _, id) => decodeObject<RunStep>(doc, `step ${id}`));
  }

  /** What a prompt is made from; {@link readHistory}. */
  async history(ref: RunRef, budget: HistoryBudget): Promise<ReadHistory> {
    const found = await this.smallHistory(ref, budget, Number.MAX_SAFE_INTEGER);
    if (found === null) throw new Error('nothing is larger than that');
    return found;
  }

  /** The same where it is small; null, and nothing read, where it has more than `largeBytes`. */
  async smallHistory(ref: RunRef, budget: HistoryBudget, largeBytes: number): Promise<ReadHistory | null> {
    return readHistory(this.redis, this.keys, this.damage, ref, { ...budget, largeBytes });
  }

  private async append(ref: ThreadRef, threadDoc: string, messages: readonly Message[]): Promise<Appended> {
    const { docs, index } = this.keys.messages(ref);
    const names = [this.keys.thread(ref), this.keys.active(ref), this.keys.order(ref), docs, index];
    const pairs = messages.flatMap((message) => [message.id, JSON.stringify(message)]);
    const [, reply] = await Promise.all([
      this.threads.used(ref),
      this.redis.append(names.length, ...names, ref.threadId, threadDoc, this.runPrefix(ref), ...pairs),
    ]);
    const [code, runId] = listOf(reply);
    if (code === -2) return { type: 'locked', runId: String(runId) };
    if (code !== -1) return { type: 'appended' };
    this.threads.forgetLater(ref);
    return { type: 'no thread' };
  }

  private async swap<T>(docs: string, id: string, change: (old: T) => T): Promise<T | null> {
    for (let tries = 0; tries < MAX_SWAP_TRIES; tries++) {
      const old = await this.redis.hget(docs, id);
      if (old === null) return null;
      const changed = change(decodeObject<T>(old, id));
      const answer = await this.redis.swap(1, docs, id, old, JSON.stringify(changed));
      if (answer === 1) return changed;
      if (answer === -1) return null;
    }
    throw new Error(`${id} is being changed by too many at once`);
  }

  private async remove(
    { docs, index, gone }: Collection,
    id: string,
    indexes: readonly string[],
  ): Promise<boolean> {
    const names = [docs, index, gone, ...indexes];
    return (await this.redis.remove(names.length, ...names, id, REMEMBERED_GONE)) !== 0;
  }

  /** What the keys of the thread's runs begin with. */
  private runPrefix(ref: ThreadRef): string {
    return this.keys.run({ ...ref, runId: '' });
  }

  /** Microseconds, strictly increasing within this process: a place for objects that have no thread to count them. */
  private nextOrder(): number {
    this.lastOrder = Math.max(this.lastOrder + 1, this.nowMs() * 1_000);
    return this.lastOrder;
  }

  private async page<T>(
    { docs, index, gone }: Collection,
    { limit, order, after, before, admit }: PageQuery,
    parseItem: (doc: string, label: string, id: string) => T,
    labelsOf?: ThreadRef,
    docPrefix = '',
  ): Promise<Page<T>> {
    const names = [index, gone, docs, ...(labelsOf === undefined ? [] : [this.keys.labels(labelsOf)])];
    const args = [limit, order, after ?? '', before ?? '', docPrefix, this.pageLimitBytes];
    const read = async (largeBytes: number | ''): Promise<readonly unknown[]> =>
      listOf(await this.redis.page(names.length, ...names, ...args, largeBytes));
    let answer = await read(admit === undefined ? '' : LARGE_PAGE_BYTES);
    if (answer[0] === IS_LARGE) {
      admit?.(Number(answer[1]));
      answer = await read('');
    }
    if (answer[0] === 0) return { type: 'unknown cursor', cursor: String(answer[1]) };
    const items: T[] = [];
    for (let position = 2; position < answer.length; position += 3) {
      const [id = '', doc = '', label = ''] = answer.slice(position, position + 3).map(String);
      const item = doc === '' ? null : this.damage.skip(() => parseItem(doc, label, id));
      if (item !== null) items.push(item);
    }
    return { type: 'page', items, hasMore: answer[1] === 1 };
  }
}

/** A collection whose items are never deleted one by one: a place in it is always found in the index itself. */
function permanent(index: string, docs: string): Collection {
  return { docs, index, gone: index };
}

/** What page.lua says of a page that it has not read. */
const IS_LARGE = 2;

/** What a script returned. */
function listOf(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

/** The object with the metadata a client gave it after it was created, if any. */
function labelled<T extends { readonly metadata: Metadata }>(object: T, label: string): T {
  return label === '' ? object : { ...object, metadata: decode<Metadata>(label) };
}
