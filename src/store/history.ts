/** What a prompt is made from, read from a thread's newest items back to where a budget is used up (history.lua). */
import type { KeptAsides } from '../runs/asides.ts';
import type { ChatMessage } from '../runs/model.ts';
import type { History } from '../runs/prompt.ts';
import type { KeptThought } from '../runs/thoughts.ts';
import type { ThreadItem } from '../runs/thread.ts';
import { listOf } from './collection.ts';
import type { Damage } from './damage.ts';
import { decode, decodePart } from './json.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';
import { withOldInput, withOldPhotos } from './old-photos.ts';

/** How much of a thread is read for one prompt. */
export interface HistoryBudget {
  /** Of the documents, as they are stored. */
  readonly maxBytes: number;
  /** What the prompt is cut to: text beyond it would be thrown away when the prompt is built. */
  readonly maxTokens: number;
}

/** What was read, and how many bytes that was. */
export interface ReadHistory extends History {
  readonly bytes: number;
}

/** More items of a thread than this never go into one prompt; its beginning is kept as well. */
const MAX_PROMPT_ITEMS = 2_000;

/** What no prompt of the run can leave out is above the budget: its own steps and messages, and the question. */
export class HistoryTooLarge extends Error {
  readonly maxBytes: number;

  constructor({ runId }: RunRef, maxBytes: number) {
    super(`the prompt of run ${runId} needs more than ${maxBytes} bytes`);
    this.name = 'HistoryTooLarge';
    this.maxBytes = maxBytes;
  }
}

/** Reads what prompts are made from. */
export class Histories {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #damage: Damage;

  constructor(redis: ScriptedRedis, keys: RedisKeys, damage: Damage) {
    this.#redis = redis;
    this.#keys = keys;
    this.#damage = damage;
  }

  /**
   * The input of a run, and its thread's messages with the tool steps between them. Those that are damaged are left out.
   * @throws {HistoryTooLarge} when what every prompt of the run has is above the budget.
   */
  async read(ref: RunRef, budget: HistoryBudget): Promise<ReadHistory> {
    const found = await this.readSmall(ref, budget, Number.MAX_SAFE_INTEGER);
    if (found === null) throw new Error('nothing is larger than that');
    return found;
  }

  /** The same where it is small; null, and nothing read, where it has more than `largeBytes`. */
  async readSmall(ref: RunRef, budget: HistoryBudget, largeBytes: number): Promise<ReadHistory | null> {
    const { maxBytes, maxTokens } = budget;
    const keys = this.#keys;
    const messages = keys.messages(ref);
    const names = [messages.index, messages.docs, keys.toolSteps(ref), keys.steps(ref), keys.runs(ref)];
    const args = [ref.runId, maxBytes, maxTokens, MAX_PROMPT_ITEMS, largeBytes];
    const found = listOf(await this.#redis.history(names.length + 1, ...names, keys.input(ref), ...args));
    if (found[0] === IS_LARGE) return null;
    if (found[0] !== 1) throw new HistoryTooLarge(ref, maxBytes);
    const input = String(found[1]);
    const placed: { place: number; item: ThreadItem }[] = [];
    let bytes = input.length;
    const thoughts = new Map<string, readonly KeptThought[]>();
    const asides = new Map<string, KeptAsides>();
    for (let at = 2; at + 3 < found.length; at += 4) {
      const [doc, thought, aside] = [String(found[at + 1]), String(found[at + 2]), String(found[at + 3])];
      bytes += doc.length + thought.length + aside.length;
      const place = Number(found[at]);
      const item = this.#damage.skip(() =>
        decodePart<ThreadItem>(doc, `item ${place} of ${ref.threadId}`, ref.threadId),
      );
      if (item === null) continue;
      placed.push({ place, item: withOldPhotos(item) });
      const thoughtBefore = this.#damage.skip(() =>
        decode<readonly KeptThought[]>(thought === '' ? null : thought, `thoughts of ${item.id}`),
      );
      if (thoughtBefore !== null) thoughts.set(item.id, thoughtBefore);
      const saidBeside = this.#damage.skip(() =>
        decode<KeptAsides>(aside === '' ? null : aside, `asides of ${item.id}`),
      );
      if (saidBeside !== null) asides.set(item.id, saidBeside);
    }
    const items = placed.toSorted((a, b) => a.place - b.place).map(({ item }) => item);
    return {
      input: input === '' ? [] : withOldInput(decode<readonly ChatMessage[]>(input)),
      items,
      ...(thoughts.size > 0 && { thoughts }),
      ...(asides.size > 0 && { asides }),
      bytes,
    };
  }
}

const IS_LARGE = -2;
