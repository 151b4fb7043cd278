/**
 * The one clock of a deployment is that of Redis. Processes on several machines compare times (when a run ends, when a worker was
 * last seen), and the clocks of machines differ. So each process measures its distance to the time of Redis, and counts on from
 * there by a monotonic clock, which neither an operator nor a time server sets. Owns one timer.
 */
import type { Logger } from '../log.ts';
import type { Clock } from '../runs/ids.ts';
import { insist } from './away.ts';
import type { ScriptedRedis } from './scripts.ts';

const MEASURE_EVERY_MS = 5_000;
/** A measurement that took longer says too little; the next one comes soon. */
const MAX_ROUND_TRIP_MS = 1_000;
/** Machines that are not synchronised drift this far apart; more is worth a line in the log. */
const WORTH_TELLING_MS = 2_000;

export class RedisClock {
  readonly #redis: Pick<ScriptedRedis, 'time'>;
  readonly #log: Logger;
  /** Redis' time less `performance.now`. Begins as this machine's own, which is right where both run on one. */
  #offsetMs = Date.now() - performance.now();
  #timer: NodeJS.Timeout | undefined;
  #isTold = false;

  constructor(redis: Pick<ScriptedRedis, 'time'>, log: Logger) {
    this.#redis = redis;
    this.#log = log;
  }

  /** Measures for the first time, and then every few seconds until {@link close}. Waits until Redis answers. */
  async begin(): Promise<void> {
    await insist(async () => this.#measure(Infinity));
    this.#timer = setInterval(() => {
      // Redis' absence is reported by its connections; meanwhile the time goes on.
      this.#measure(MAX_ROUND_TRIP_MS).catch(() => undefined);
    }, MEASURE_EVERY_MS);
    this.#timer.unref();
  }

  /** Unix milliseconds. */
  readonly nowMs = (): number => Math.floor(performance.now() + this.#offsetMs);

  /** Unix seconds. */
  readonly now: Clock = () => Math.floor(this.nowMs() / 1000);

  /** How far the clock of this machine is ahead of Redis'; negative where it is behind. */
  get skewMs(): number {
    return Date.now() - this.nowMs();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Redis' time was read somewhere in the round trip: what is known of the offset is only corrected where that cannot be. */
  async #measure(maxRoundTripMs: number): Promise<void> {
    const begunMs = performance.now();
    const [seconds, microseconds] = await this.#redis.time();
    const endedMs = performance.now();
    if (endedMs - begunMs > maxRoundTripMs) return;
    const redisMs = Number(seconds) * 1000 + Number(microseconds) / 1000;
    this.#offsetMs = Math.min(Math.max(this.#offsetMs, redisMs - endedMs), redisMs - begunMs);
    this.#tell();
  }

  #tell(): void {
    const { skewMs } = this;
    const isWorth = Math.abs(skewMs) > WORTH_TELLING_MS;
    if (isWorth === this.#isTold) return;
    this.#isTold = isWorth;
    if (!isWorth) this.#log.info({ skew_ms: skewMs }, "this machine's clock agrees with Redis' again");
    else {
      const text = "this machine's clock differs from Redis', which is used instead; synchronise them";
      this.#log.warn({ skew_ms: skewMs }, text);
    }
  }
}
