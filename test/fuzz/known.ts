/** The ids that requests are made of: what answers have told, newest last, each kind with what it belongs to. Bounded. */
import { z } from 'zod';
import type { Random } from '../chaos/random.ts';

/** Older ids are forgotten; enough to meet objects in every state. */
const KEPT_OF_EACH = 200;
const MAX_DEPTH = 6;

/** An object inside a thread. */
interface Part {
  readonly thread: string;
  readonly id: string;
}

/** A file, or a batch of files, in a vector store. */
interface InStore {
  readonly store: string;
  readonly id: string;
}

/** A run, and the calls it waited for when it was last seen. */
export interface KnownRun extends Part {
  readonly calls: readonly string[];
}

const objectSchema = z.looseObject({ id: z.string(), object: z.string(), thread_id: z.string().optional() });
const callsSchema = z.looseObject({
  required_action: z.looseObject({
    submit_tool_outputs: z.looseObject({ tool_calls: z.array(z.looseObject({ id: z.string() })) }),
  }),
});
const stepSchema = z.looseObject({ run_id: z.string() });
const inStoreSchema = z.looseObject({ vector_store_id: z.string() });

export class Known {
  readonly assistants: string[] = [];
  readonly threads: string[] = [];
  readonly messages: Part[] = [];
  readonly runs: KnownRun[] = [];
  /** Runs that were waiting for tool outputs. */
  readonly waiting: KnownRun[] = [];
  readonly steps: (Part & { readonly run: string })[] = [];
  readonly files: string[] = [];
  readonly uploads: string[] = [];
  readonly parts: string[] = [];
  readonly stores: string[] = [];
  readonly responses: string[] = [];
  readonly conversations: string[] = [];
  readonly shelved: InStore[] = [];
  readonly batches: InStore[] = [];

  /** Remembers every object in an answer. */
  learn(value: unknown, depth = 0): void {
    if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return;
    for (const inner of Object.values(value)) this.learn(inner, depth + 1);
    const { data } = objectSchema.safeParse(value);
    if (data === undefined) return;
    const { id, object, thread_id: thread = '' } = data;
    if (object.endsWith('.deleted') || 'deleted' in value) this.#forget(id);
    else keep(this.#listOf(object), id);
    if (object === 'thread.message') keep(this.messages, { thread, id });
    if (object === 'thread.run.step')
      keep(this.steps, { thread, id, run: stepSchema.safeParse(value).data?.run_id ?? '' });
    this.#learnOfStore(data, value);
    if (object !== 'thread.run') return;
    const action = callsSchema.safeParse(value).data?.required_action;
    const run = { thread, id, calls: action?.submit_tool_outputs.tool_calls.map((call) => call.id) ?? [] };
    keep(this.runs, run);
    if (run.calls.length > 0) keep(this.waiting, run);
  }

  #learnOfStore({ id, object }: z.infer<typeof objectSchema>, value: object): void {
    const store = inStoreSchema.safeParse(value).data?.vector_store_id ?? '';
    if (object === 'vector_store.file') keep(this.shelved, { store, id });
    if (object === 'vector_store.files_batch') keep(this.batches, { store, id });
  }

  /** Ids that belong to nothing else. */
  #listOf(object: string): string[] {
    const lists: Readonly<Record<string, string[]>> = {
      assistant: this.assistants,
      thread: this.threads,
      file: this.files,
      upload: this.uploads,
      'upload.part': this.parts,
      vector_store: this.stores,
      response: this.responses,
      conversation: this.conversations,
    };
    return lists[object] ?? [];
  }

  /** What is gone is named less often: an id that is not found hides everything behind it. */
  #forget(id: string): void {
    remove(this.assistants, (one) => one === id);
    remove(this.threads, (one) => one === id);
    remove(this.files, (one) => one === id);
    remove(this.stores, (one) => one === id);
    remove(this.responses, (one) => one === id);
    remove(this.conversations, (one) => one === id);
    remove(this.shelved, (one) => one.id === id || one.store === id);
    remove(this.batches, ({ store }) => store === id);
    const isOf = (part: Part): boolean => part.id === id || part.thread === id;
    remove(this.messages, isOf);
    remove(this.runs, isOf);
    remove(this.waiting, isOf);
    remove(this.steps, isOf);
  }

  /** Any id that there is, of any kind, or what clients send instead of one. */
  anyId(random: Random): string {
    return random.pick([
      oneOf(random, this.assistants) ?? 'asst_none',
      oneOf(random, this.threads) ?? 'thread_none',
      oneOf(random, this.messages)?.id ?? 'msg_none',
      oneOf(random, this.runs)?.id ?? 'run_none',
      oneOf(random, this.steps)?.id ?? 'step_none',
      oneOf(random, this.files) ?? 'file-none',
      oneOf(random, this.stores) ?? 'vs_none',
      oneOf(random, this.batches)?.id ?? 'vsfb_none',
      'undefined',
      'null',
      'thread_',
      'run_{}',
      '__proto__',
      'thread_a:b',
      '0',
    ]);
  }
}

/** One of those there are; undefined when there are none. */
export function oneOf<T>(random: Random, items: readonly T[]): T | undefined {
  return items[random.between(0, Math.max(0, items.length - 1))];
}

function keep<T>(items: T[], item: T): void {
  items.push(item);
  if (items.length > KEPT_OF_EACH) items.shift();
}

function remove<T>(items: T[], isGone: (item: T) => boolean): void {
  items.splice(0, items.length, ...items.filter((item) => !isGone(item)));
}
