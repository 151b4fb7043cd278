/**
 * Tells whoever watches that runs have changed: one message on one sharded channel for each transition, sent in the tick of the
 * commit's reply and waited for by nobody. Messages may be lost with a connection; watchers are told of that, and read again.
 *
 * While nobody listens, hardly anything is sent: Redis says how many heard a message, and after one that nobody heard, the next
 * transitions of that process are not told for {@link QUIET_MS}. So a watcher hears everything from that long after it began to
 * listen; {@link RunNews.hear} waits for it. In a Cluster Redis does not know who listens elsewhere, and everything is sent.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisKeys } from './keys.ts';
import { FEED_IS_BACK, FEED_IS_LOST, isSharded, type Feed } from './redis.ts';
import type { CommittedTransition } from './report.ts';
import type { ScriptedRedis } from './scripts.ts';

const QUIET_MS = 250;
/** Timers are not exact, and a message may have been sent just before this process listened. */
const HEARS_AFTER_MS = 2 * QUIET_MS;

/** That a run has changed: its project, and what is told as JSON. */
interface News {
  readonly project: string;
  readonly json: string;
}

/**
 * `away`: nothing is heard any more. `missed`: everything is heard again, or still, but something may have been missed.
 */
type NewsListener = (news: News | 'away' | 'missed') => void;

export interface RunNewsOptions {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  /** Opens a connection that listens to nothing else. It is closed when nobody watches any more. */
  readonly openFeed: () => Feed;
}

interface Listening {
  readonly feed: Feed;
  readonly standing: Promise<void>;
  /** How often it was lost, and whether it is. */
  losses: number;
  isAway: boolean;
}

export class RunNews {
  readonly #options: RunNewsOptions;
  readonly #listeners = new Set<NewsListener>();
  readonly #isSharded: boolean;
  /** When a message was sent that nobody heard, by the clock of {@link performance}. */
  #unheardMs = -Infinity;
  #listening: Listening | null = null;
  readonly #order = new NewsOrder();

  constructor(options: RunNewsOptions) {
    this.#options = options;
    this.#isSharded = isSharded(options.redis);
  }

  /** Tells a transition. @param cost what the run has cost, in the currency of the configuration; null where that is not known */
  tell(transition: CommittedTransition, cost: number | null): void {
    const nowMs = performance.now();
    if (nowMs - this.#unheardMs < QUIET_MS) return;
    const { redis, keys } = this.#options;
    const { project, run_id, seq } = transition;
    const message = `${project} ${run_id} ${seq} ${JSON.stringify(newsOf(transition, cost))}`;
    redis.spublish(keys.watch.news, message).then(
      (heard) => {
        if (heard === 0 && !this.#isSharded) this.#unheardMs = nowMs;
      },
      // Redis is away, which its connections report; watchers have lost theirs as well, and read again.
      () => undefined,
    );
  }

  /**
   * Calls `listener` for every transition from the moment on in which this resolves, and with `away` at once where Redis is away.
   * @returns how to stop
   * @throws when Redis cannot be listened to
   */
  async hear(listener: NewsListener): Promise<() => void> {
    this.#listeners.add(listener);
    const stop = (): void => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.close();
    };
    try {
      this.#listening ??= this.#listen();
      const listening = this.#listening;
      await listening.standing;
      if (listening.isAway) listener('away');
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  }

  /** How many watch. */
  get watchers(): number {
    return this.#listeners.size;
  }

  close(): void {
    this.#listening?.feed.disconnect();
    this.#listening = null;
  }

  #listen(): Listening {
    const { keys, openFeed } = this.#options;
    const feed = openFeed();
    const subscribe = async (): Promise<void> => void (await feed.ssubscribe(keys.watch.news));
    let stands = false;
    const standing = subscribe().then(async () => {
      stands = true;
      await delay(HEARS_AFTER_MS);
    });
    const listening: Listening = { feed, standing, losses: 0, isAway: false };
    feed.on('smessage', (_channel: string, message: string) => this.#deliver(message));
    const isLost = (): void => {
      // It is closed as well when nobody watches any more.
      if (!stands || this.#listening !== listening) return;
      listening.losses += 1;
      if (listening.isAway) return;
      listening.isAway = true;
      this.#tell('away');
    };
    const isBack = (): void => {
      if (!stands) return;
      const { losses } = listening;
      // ioredis subscribes again by itself, but does not say when that is done; this is answered after it. Others may have
      // found meanwhile that nobody listens.
      subscribe()
        .then(async () => delay(HEARS_AFTER_MS))
        .then(
          () => {
            if (losses !== listening.losses || this.#listening !== listening) return;
            listening.isAway = false;
            this.#tell('missed');
          },
          () => undefined,
        );
    };
    for (const event of FEED_IS_LOST) feed.on(event, isLost);
    for (const event of FEED_IS_BACK) feed.on(event, isBack);
    return listening;
  }

  #deliver(message: string): void {
    const [project = '', runId = '', seq = '', ...rest] = message.split(' ');
    if (this.#order.isOvertaken(runId, Number(seq))) return;
    this.#tell({ project, json: rest.join(' ') });
  }

  #tell(news: Parameters<NewsListener>[0]): void {
    for (const listener of this.#listeners) listener(news);
  }
}

/** Runs whose last news is remembered. */
const MAX_REMEMBERED = 5_000;

/**
 * News of one run come from several processes, each after the reply to its commit, so that an earlier one may come later. What a
 * later one has overtaken is not told: a watcher would take it for what the run is now.
 */
class NewsOrder {
  readonly #lastSeqs = new Map<string, number>();

  isOvertaken(runId: string, seq: number): boolean {
    const last = this.#lastSeqs.get(runId) ?? 0;
    if (seq < last) return true;
    this.#lastSeqs.delete(runId);
    this.#lastSeqs.set(runId, seq);
    const [oldest] = this.#lastSeqs.keys();
    if (this.#lastSeqs.size > MAX_REMEMBERED && oldest !== undefined) this.#lastSeqs.delete(oldest);
    return false;
  }
}

function newsOf(transition: CommittedTransition, cost: number | null): object {
  const { project, run_id: id, type, at, ...run } = transition;
  return { object: 'admin.run', project, id, ...run, event: type, cost, at };
}
