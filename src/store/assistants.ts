/** Assistants of a project, found by id and by name. */
import type { Assistant } from '../runs/thread.ts';
import { AssistantMemory } from './assistant-memory.ts';
import { ProjectCollection, type Collections, type PageQuery } from './collection.ts';
import type { LogHub } from './follow.ts';
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Where an assistant is looked for whose name leads nowhere. */
const NEWEST: PageQuery = { limit: 100, order: 'desc', after: null, before: null };

export class Assistants extends ProjectCollection<Assistant> {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  #memory: AssistantMemory | null = null;

  constructor(collections: Collections, redis: ScriptedRedis, keys: RedisKeys) {
    super(collections, (project) => keys.assistants(project), 'assistant');
    this.#redis = redis;
    this.#keys = keys;
  }

  /** From now on remembers what {@link recall} and {@link recallByName} find, until it changes. */
  async remember(hub: LogHub): Promise<void> {
    this.#memory = await AssistantMemory.open(hub, this.#keys.assistantChanges);
  }

  /** As {@link get}, but a change by another process may take a moment to be seen (assistant-memory.ts). */
  async recall(project: string, id: string): Promise<Assistant | null> {
    const read = async (): Promise<Assistant | null> => this.get(project, id);
    return this.#memory === null ? read() : this.#memory.find(project, `id ${id}`, read);
  }

  /** The assistant that was last given this name, in any case. Seen as {@link recall} sees it. */
  async recallByName(project: string, name: string): Promise<Assistant | null> {
    const wanted = name.toLowerCase();
    const read = async (): Promise<Assistant | null> => this.#findByName(project, wanted);
    return this.#memory === null ? read() : this.#memory.find(project, `name ${wanted}`, read);
  }

  override async create(project: string, assistant: Assistant): Promise<void> {
    await this.changing(project, async () =>
      Promise.all([super.create(project, assistant), this.#name(project, assistant)]),
    );
  }

  override async update(
    project: string,
    id: string,
    change: (old: Assistant) => Assistant,
  ): Promise<Assistant | null> {
    return this.changing(project, async () => {
      const changed = await super.update(project, id, change);
      if (changed !== null) await this.#name(project, changed);
      return changed;
    });
  }

  override async delete(project: string, id: string): Promise<boolean> {
    return this.changing(project, async () => super.delete(project, id));
  }

  /** Does what changes assistants of a project, so that every process forgets what it remembers of them. */
  async changing<T>(project: string, change: () => Promise<T>): Promise<T> {
    this.#memory?.forget(project);
    try {
      return await change();
    } finally {
      // Also where it failed: its command may have arrived.
      this.#memory?.forget(project);
      // Where nobody hears this, memories end by themselves.
      await this.#redis.publish(this.#keys.assistantChanges, project).catch(() => {});
    }
  }

  /** Forgets the names and places of a project's assistants when there are none any more. */
  async tidy(project: string): Promise<void> {
    await this.collections.tidy(this.keysOf(project), this.#keys.assistantNames(project));
  }

  async #findByName(project: string, wanted: string): Promise<Assistant | null> {
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

  async #name(project: string, { id, name }: Assistant): Promise<void> {
    if (name !== null) await this.#redis.hset(this.#keys.assistantNames(project), name.toLowerCase(), id);
  }
}
