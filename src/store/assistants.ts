/** Assistants of a project, found by id and by name. */
import type { Assistant } from '../runs/thread.ts';
import { ProjectCollection, type Collections, type PageQuery } from './collection.ts';
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Where an assistant is looked for whose name leads nowhere. */
const NEWEST: PageQuery = { limit: 100, order: 'desc', after: null, before: null };

export class Assistants extends ProjectCollection<Assistant> {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  constructor(collections: Collections, redis: ScriptedRedis, keys: RedisKeys) {
    super(collections, (project) => keys.assistants(project), 'assistant');
    this.#redis = redis;
    this.#keys = keys;
  }

  override async create(project: string, assistant: Assistant): Promise<void> {
    await Promise.all([super.create(project, assistant), this.#name(project, assistant)]);
  }

  override async update(
    project: string,
    id: string,
    change: (old: Assistant) => Assistant,
  ): Promise<Assistant | null> {
    const changed = await super.update(project, id, change);
    if (changed !== null) await this.#name(project, changed);
    return changed;
  }

  /** The assistant that was last given this name, in any case. */
  async findByName(project: string, name: string): Promise<Assistant | null> {
    const wanted = name.toLowerCase();
    const isWanted = (assistant: Assistant | null): boolean => assistant?.name?.toLowerCase() === wanted;
    const id = await this.#redis.hget(this.#keys.assistantNames(project), wanted);
    // Most names are those of models, and cost no more than this.
    if (id === null) return null;
    const assistant = await this.get(project, id);
    if (isWanted(assistant)) return assistant;
    // The index knows one assistant of a name, and that one may be gone or have another name by now.
    const page = await this.list(project, NEWEST);
    return (page.type === 'page' ? page.items : []).find(isWanted) ?? null;
  }

  /** Forgets the names and places of a project's assistants when there are none any more. */
  async tidy(project: string): Promise<void> {
    await this.collections.tidy(this.keysOf(project), this.#keys.assistantNames(project));
  }

  async #name(project: string, { id, name }: Assistant): Promise<void> {
    if (name !== null) await this.#redis.hset(this.#keys.assistantNames(project), name.toLowerCase(), id);
  }
}
