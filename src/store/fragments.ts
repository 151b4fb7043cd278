/**
 * Appends fragments to the logs of runs. Fragments of many runs that come at the same moment leave as one command, because
 * the command costs more than what is in it. On a Cluster every thread has one of its own: no script may touch two slots.
 */
import type { RedisKeys, RunRef } from './keys.ts';
import { isSharded } from './redis.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Runs in one command. Redis does nothing else meanwhile, so that it takes a fraction of a millisecond. */
const MAX_RUNS = 64;

/** The run as its worker holds it (StoredRun). */
interface Held {
  readonly ref: RunRef;
  readonly version: string;
  readonly seq: number;
}

/** The number of the last event in the log, or why there is none. */
type FragmentAnswer = number | 'conflict' | 'gone';

interface WaitingFragments extends Held {
  readonly events: readonly string[];
  readonly answered: PromiseWithResolvers<FragmentAnswer>;
}

export class FragmentLog {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  #waiting: WaitingFragments[] = [];

  constructor(redis: ScriptedRedis, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /**
   * Appends to the run as it is held; at most one call at a time for a run.
   * @param events fragments, as JSON
   */
  async append({ ref, version, seq }: Held, events: readonly string[]): Promise<FragmentAnswer> {
    const answered = Promise.withResolvers<FragmentAnswer>();
    if (this.#waiting.push({ ref, version, seq, events, answered }) === 1)
      queueMicrotask(() => this.#sendAll());
    return answered.promise;
  }

  #sendAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const together = isSharded(this.#redis) ? 1 : MAX_RUNS;
    for (let from = 0; from < waiting.length; from += together)
      void this.#send(waiting.slice(from, from + together));
  }

  async #send(all: readonly WaitingFragments[]): Promise<void> {
    try {
      const answers = await this.#redis.fragments(...this.#callOf(all));
      for (const [index, { answered }] of all.entries()) {
        const answer: unknown = Array.isArray(answers) ? answers[index] : undefined;
        if (typeof answer === 'number') answered.resolve(answerOf(answer));
        else answered.reject(new Error(String(answer)));
      }
    } catch (error) {
      for (const { answered } of all) answered.reject(error);
    }
  }

  /** What fragments.lua is called with. */
  #callOf(all: readonly WaitingFragments[]): readonly (string | number)[] {
    const call: (string | number)[] = [2 * all.length];
    for (const { ref } of all) call.push(this.#keys.run(ref), this.#keys.log(ref));
    for (const { ref, version, seq, events } of all)
      call.push(version, seq, this.#keys.events(ref), events.length, ...events);
    return call;
  }
}

/** What fragments.lua said of one run. */
function answerOf(answer: number): FragmentAnswer {
  if (answer > 0) return answer;
  return answer === 0 ? 'conflict' : 'gone';
}
