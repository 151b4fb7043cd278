/**
 * How late events are heard in this process: every few seconds it says something on a channel, and listens for that on the
 * connection that brings the events of runs. So the delay is measured by one clock, and costs nothing per event. Owns a timer.
 */
import { randomText } from '../runs/ids.ts';
import type { LogHub } from './follow.ts';
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

const EVERY_MS = 5_000;

export interface EchoOptions {
  readonly redis: Pick<ScriptedRedis, 'publish'>;
  readonly keys: RedisKeys;
  readonly hub: Pick<LogHub, 'hear'>;
  readonly everyMs?: number;
}

export class Echo {
  readonly #options: EchoOptions;
  readonly #everyMs: number;
  /** What was said last and has not been heard yet, and when. */
  #awaited: { readonly said: string; readonly atMs: number } | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EchoOptions) {
    this.#options = options;
    this.#everyMs = options.everyMs ?? EVERY_MS;
  }

  /** @param onHeard hears each delay in seconds; of what is not heard in time, how long it was waited for */
  async begin(onHeard: (seconds: number) => void): Promise<void> {
    const { hub, keys } = this.#options;
    const end = (): void => {
      if (this.#awaited !== null) onHeard((performance.now() - this.#awaited.atMs) / 1_000);
      this.#awaited = null;
    };
    await hub.hear(keys.watch.echoes, (said) => {
      // Other processes speak here too.
      if (said !== null && said === this.#awaited?.said) end();
    });
    const say = (): void => {
      end();
      this.#say();
    };
    say();
    this.#timer = setInterval(say, this.#everyMs);
    this.#timer.unref();
  }

  #say(): void {
    const awaited = { said: randomText(12), atMs: performance.now() };
    this.#awaited = awaited;
    this.#options.redis.publish(this.#options.keys.watch.echoes, awaited.said).catch(() => {
      // Redis is away, which its connections report.
      if (this.#awaited === awaited) this.#awaited = null;
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
