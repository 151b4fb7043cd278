/**
 * What a run is writing, as far as it has come. The documents of messages and steps are written when they open and when
 * they close; what is said in between is in the run's log only.
 */
import { inProgress } from '../runs/parts.ts';
import type { RunEvent } from '../runs/event.ts';
import type { Message, RunStep } from '../runs/thread.ts';
import { Unreadable } from './json.ts';
import type { RedisKeys, RunRef, ThreadRef } from './keys.ts';
import { readBack } from './log.ts';
import type { ScriptedRedis } from './scripts.ts';

export class OpenParts {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  constructor(redis: ScriptedRedis, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** The message with what its run has said so far; a closed one as it is. Without a log, as it was opened. */
  async message(ref: ThreadRef, message: Message): Promise<Message> {
    const { status, run_id: runId, id } = message;
    if (status !== 'in_progress' || runId === null) return message;
    const isBegin = (event: RunEvent): boolean => event.type === 'message.created' && event.message_id === id;
    return inProgress(message, await this.#since({ ...ref, runId }, isBegin));
  }

  /** The step with its calls so far, and with the outputs of those that the worker has answered; a closed one as it is. */
  async step(ref: RunRef, step: RunStep): Promise<RunStep> {
    const { status, step_details: details, id } = step;
    // It is written once more when its calls are complete and the client is to answer them.
    if (status !== 'in_progress' || details.type !== 'tool_calls' || details.tool_calls.length > 0)
      return step;
    const isBegin = (event: RunEvent): boolean => event.type === 'step.created' && event.step_id === id;
    return inProgress(step, await this.#since(ref, isBegin));
  }

  async #since(ref: RunRef, isBegin: (event: RunEvent) => boolean): Promise<readonly RunEvent[]> {
    try {
      return await readBack(this.#redis, this.#keys, ref, isBegin);
    } catch (error) {
      if (error instanceof Unreadable) return [];
      throw error;
    }
  }
}
