/**
 * Clients that begin runs without a pause, each as soon as the one before was acknowledged, while the storage fails;
 * and a report of the outcome: which runs were lost, and for how long no client could begin one.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Wire } from './wire.ts';

/** A run whose creation was acknowledged. */
export interface Begun {
  readonly id: string;
  readonly thread_id: string;
  /** When it was acknowledged, on the clock of `performance.now`. */
  readonly atMs: number;
}

export interface Outcome {
  /** Runs that the server no longer knows. */
  readonly lost: readonly Begun[];
  /** Runs that ended, but not as completed. */
  readonly failed: readonly (Begun & { readonly status: string })[];
  readonly completed: number;
  /** How many requests were refused, or not answered. */
  readonly refused: number;
  /** The longest time between two acknowledgements. */
  readonly outageMs: number;
}

const runSchema = z.object({ id: z.string(), thread_id: z.string(), status: z.string() });
const CLIENTS = 8;
const PAUSE_MS = 20;
const ENDED = new Set(['completed', 'failed', 'incomplete', 'expired', 'cancelled']);

export class Traffic {
  readonly begun: Begun[] = [];
  readonly #wire: Wire;
  readonly #assistantId: string;
  readonly #clients: Promise<readonly void[]>;
  #refused = 0;
  #stopped = false;

  constructor(wire: Wire, assistantId: string) {
    this.#wire = wire;
    this.#assistantId = assistantId;
    this.#clients = Promise.all(Array.from({ length: CLIENTS }, () => this.#client()));
  }

  /** Resolves when `count` more runs have been begun. */
  async more(count: number): Promise<void> {
    const wanted = this.begun.length + count;
    while (this.begun.length < wanted) await delay(PAUSE_MS);
  }

  /** Begins no more runs, and waits for the end of those begun. */
  async outcome(): Promise<Outcome> {
    this.#stopped = true;
    await this.#clients;
    const lost: Begun[] = [];
    const failed: (Begun & { status: string })[] = [];
    for (const run of this.begun) {
      const status = await this.#end(run);
      if (status === null) lost.push(run);
      else if (status !== 'completed') failed.push({ ...run, status });
    }
    const gapsMs = this.begun.map(({ atMs }, index) => atMs - (this.begun[index - 1]?.atMs ?? atMs));
    return {
      lost,
      failed,
      completed: this.begun.length - lost.length - failed.length,
      refused: this.#refused,
      outageMs: Math.round(Math.max(...gapsMs)),
    };
  }

  async #client(): Promise<void> {
    while (!this.#stopped) {
      const body = {
        assistant_id: this.#assistantId,
        thread: { messages: [{ role: 'user', content: 'hello' }] },
      };
      const reply = await this.#wire.ask('POST', '/threads/runs', { body });
      if (reply.status === 200) {
        const { id, thread_id } = runSchema.parse(reply.body);
        this.begun.push({ id, thread_id, atMs: performance.now() });
      } else {
        this.#refused += 1;
        if (reply.status !== 503) throw new Error(`a run was refused with ${reply.status}: ${reply.text}`);
      }
      await delay(PAUSE_MS);
    }
  }

  /** The status in which a run ended; null when there is no such run. */
  async #end({ thread_id, id }: Begun): Promise<string | null> {
    for (;;) {
      const reply = await this.#wire.ask('GET', `/threads/${thread_id}/runs/${id}`);
      if (reply.status === 404) return null;
      if (reply.status === 200) {
        const { status } = runSchema.parse(reply.body);
        if (ENDED.has(status)) return status;
      }
      await delay(PAUSE_MS);
    }
  }
}
