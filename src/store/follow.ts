/**
 * Read a run's log and follow it as it grows. One subscription hub per process: however many readers a run has, its
 * channel is subscribed once, and each reader holds a bounded buffer. A reader that falls behind loses its buffer, not
 * events: it reads on from the log. The writer never waits for a reader.
 *
 * Channels may lose messages (a dropped connection); gaps show in the sequence numbers, and a quiet log is looked at
 * every now and then, so nothing that was committed stays unseen.
 */
import type { Logger } from '../log.ts';
import type { RunEvent } from '../runs/event.ts';
import { isKnown } from '../runs/format.ts';
import type { ColdThreads } from './cold-threads.ts';
import type { ItemSource } from './item.ts';
import { decode } from './json.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import { readLog, type LoggedEvent } from './log.ts';
import { isUnavailable } from './away.ts';
import type { Passing } from './passing.ts';
import { FEED_IS_BACK, type Feed } from './redis.ts';
import type { ScriptedRedis } from './scripts.ts';

export type { LoggedEvent };

/** There is nothing to follow any more: the run was `deleted` with its thread, its log has `expired`, or it is
 * `damaged` and was given up. */
export class LogGone extends Error {
  readonly why: 'deleted' | 'expired' | 'damaged';

  constructor(ref: RunRef, why: LogGone['why']) {
    super(`the log of run ${ref.runId} is gone: ${why}`);
    this.name = 'LogGone';
    this.why = why;
  }
}

/** What a reader may have waiting for it, in characters of the messages it came in; more is in the log. */
const MAX_BUFFERED_LENGTH = 256 * 1024;
/** Longer messages are not passed: their frames might have to be written in pieces. */
const MAX_PASSED_LENGTH = 8 * 1024;
/** Events of the log that are read at a time, and so the most that a slow reader holds. */
const PAGE = 64;
/** A loss of the very last message shows no gap; this bounds how long it stays unnoticed. */
const WATCHDOG_MS = 2_000;
/** Changes have no numbers, and ioredis does not say when another node of a Cluster begins to pass them on. */
const WATCHDOGS_PER_DOUBT = 5;

/** Hears what is said on a channel, such as the id of a run that was changed; null when something may have been missed. */
type ChangeListener = (changed: string | null) => void;

/** A channel this process listens to, and its readers. */
interface Subscription {
  readonly readers: Set<Reader>;
  /** Resolves when the subscription stands. */
  readonly standing: Promise<unknown>;
}

type LogHubOptions = ItemSource & { readonly log: Logger };

export class LogHub {
  readonly #redis: ScriptedRedis;
  readonly #feed: Feed;
  readonly #keys: RedisKeys;
  readonly #cold: ColdThreads;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #watchdog: NodeJS.Timeout;
  #watchdogs = 0;
  /** By the channels of changes that this process listens to. */
  readonly #changeListeners = new Map<string, Set<ChangeListener>>();
  #isHearing = false;
  /** The types of events that were passed over; each is told once. */
  readonly #unknown = new Set<string>();
  readonly #log: Logger;

  /** @param feed a connection of its own, used for nothing but this hub's subscriptions */
  constructor({ redis, keys, cold, log }: LogHubOptions, feed: Feed) {
    this.#cold = cold;
    this.#log = log;
    this.#redis = redis;
    this.#feed = feed;
    this.#keys = keys;
    feed.on('smessage', (channel: string, message: string) => this.#deliver(channel, message));
    feed.on('message', (channel: string, changed: string) => this.#tell(channel, changed));
    for (const event of FEED_IS_BACK) feed.on(event, () => void this.#resume());
    feed.on('close', () => (this.#isHearing = false));
    this.#watchdog = setInterval(() => this.#lookAtQuiet(), WATCHDOG_MS);
    this.#watchdog.unref();
  }

  /**
   * The log of a run from its first event, followed as it grows, in batches. It does not end by itself: the consumer
   * leaves the loop at the event that ends its business.
   * @param signal ends the wait; the loop then simply ends
   * @throws {LogGone} when the run is deleted, or has ended so long ago that its log has expired.
   */
  follow(
    ref: RunRef,
    signal: AbortSignal,
  ): AsyncGenerator<readonly LoggedEvent[], void> & Passing<readonly LoggedEvent[]> {
    const reader = new Reader();
    return Object.assign(this.#follow(ref, signal, reader), { pass: reader.pass });
  }

  /** Whether the log of a run is still there. */
  async has(ref: RunRef): Promise<boolean> {
    return (await this.#redis.exists(this.#keys.log(ref))) === 1;
  }

  async *#follow(
    ref: RunRef,
    signal: AbortSignal,
    reader: Reader,
  ): AsyncGenerator<readonly LoggedEvent[], void> {
    const channel = this.#keys.events(ref);
    const stop = (): void => reader.wake();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await this.#add(channel, reader);
      while (!signal.aborted) {
        if (reader.behind) {
          reader.behind = false;
          const entries = await this.#readIfThere(ref, reader.next);
          if (entries.length === PAGE) reader.behind = true;
          if (entries.length > 0) yield this.#known(reader.advance(entries));
        } else {
          const batch = reader.take();
          if (batch !== null) yield this.#known(batch);
          else await reader.wait();
        }
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#remove(channel, reader);
    }
  }

  /** Calls `listener` for every run that is changed by another than its worker. @returns how to stop. */
  async onChange(listener: ChangeListener): Promise<() => void> {
    return this.hear(this.#keys.changes, listener);
  }

  /**
   * Calls `listener` with what is said on a channel of changes, and now and then with null, because such messages have no
   * numbers that would show a gap. @returns how to stop.
   */
  async hear(channel: string, listener: ChangeListener): Promise<() => void> {
    const listeners = this.#changeListeners.get(channel) ?? new Set();
    this.#changeListeners.set(channel, listeners.add(listener));
    if (listeners.size === 1) await this.#stand(channel);
    this.#isHearing = this.#feed.status === 'ready';
    return () => listeners.delete(listener);
  }

  /**
   * Subscribes to a channel of changes, and to a shard channel of its name, on which nothing is said: without any shard
   * channel left, ioredis takes the connection for no subscriber any more, and passes on no message of the others.
   */
  async #stand(channel: string): Promise<void> {
    await Promise.all([this.#feed.subscribe(channel), this.#feed.ssubscribe(channel)]);
  }

  /** Whether changes would be heard now, as far as is known. Before it is true again after a loss, all listeners hear null. */
  get isHearing(): boolean {
    return this.#isHearing;
  }

  close(): void {
    clearInterval(this.#watchdog);
    this.#feed.disconnect();
  }

  /** Without the events of types that only a newer version of this service knows. */
  #known(entries: readonly LoggedEvent[]): readonly LoggedEvent[] {
    if (entries.every(({ event }) => isKnown(event))) return entries;
    return entries.filter(({ event }) => {
      if (isKnown(event)) return true;
      if (!this.#unknown.has(event.type)) {
        this.#unknown.add(event.type);
        this.#log.warn({ event: event.type }, 'passing over events of a type that is not known here');
      }
      return false;
    });
  }

  /** Nothing while Redis is away: all readers look again when it is back, and every now and then. */
  async #readIfThere(ref: RunRef, next: number): Promise<readonly LoggedEvent[]> {
    const miss = this.#cold.miss(ref);
    for (;;) {
      try {
        return await this.#read(ref, next);
      } catch (error) {
        if (isUnavailable(error)) return [];
        // It seems to be gone where its thread is cold.
        if (!(error instanceof LogGone && (await miss()))) throw error;
      }
    }
  }

  /** The run is read before the log: whatever the run knows of, the log read after it has. */
  async #read(ref: RunRef, next: number): Promise<readonly LoggedEvent[]> {
    const [[seq, givenUp], entries] = await Promise.all([
      this.#redis.hmget(this.#keys.run(ref), 'seq', 'given_up'),
      readLog(this.#redis, this.#keys, ref, next, PAGE),
    ]);
    if (!seq) throw new LogGone(ref, 'deleted');
    if (entries.length === 0 && givenUp) throw new LogGone(ref, 'damaged');
    const first = entries[0]?.seq ?? Number(seq) + 1;
    if (first > next) throw new LogGone(ref, 'expired');
    return entries;
  }

  async #add(channel: string, reader: Reader): Promise<void> {
    let subscription = this.#subscriptions.get(channel);
    if (subscription === undefined) {
      subscription = { readers: new Set(), standing: this.#feed.ssubscribe(channel) };
      this.#subscriptions.set(channel, subscription);
    }
    subscription.readers.add(reader);
    // Reading before the subscription is active would miss the events in between.
    await subscription.standing;
  }

  /** Not waited for: a stream that has said its last word must not linger for it. */
  #remove(channel: string, reader: Reader): void {
    const readers = this.#subscriptions.get(channel)?.readers;
    readers?.delete(reader);
    if (readers?.size !== 0) return;
    this.#subscriptions.delete(channel);
    this.#feed.sunsubscribe(channel).catch(() => {
      // The connection is down or closed; the subscription goes with it, and an unread message is dropped in deliver.
    });
  }

  /** The connection is back. What was said meanwhile is in the log, to be read when the subscriptions stand again. */
  async #resume(): Promise<void> {
    // ioredis subscribes again by itself, but does not say when that is done; this is answered after it. One by one,
    // because in a Cluster each lives on the node of its run.
    await Promise.allSettled([
      ...[...this.#subscriptions.keys()].map(async (channel) => this.#feed.ssubscribe(channel)),
      ...[...this.#changeListeners.keys()].map(async (channel) => this.#stand(channel)),
    ]);
    this.#lookAgain();
    this.#tellDoubt();
    this.#isHearing = this.#feed.status === 'ready';
  }

  #tell(channel: string, changed: string | null): void {
    for (const listener of this.#changeListeners.get(channel) ?? []) listener(changed);
  }

  #tellDoubt(): void {
    for (const channel of this.#changeListeners.keys()) this.#tell(channel, null);
  }

  #deliver(channel: string, message: string): void {
    const readers = this.#subscriptions.get(channel)?.readers;
    if (readers === undefined) return;
    const entries = parseMessage(message);
    const isPassed = entries !== null && message.length <= MAX_PASSED_LENGTH && entries.every(isFragment);
    for (const reader of readers) {
      if (entries === null) reader.lookAgain();
      else if (!isPassed || !reader.takes(entries)) reader.offer(entries, message.length);
    }
  }

  #lookAgain(): void {
    for (const { readers } of this.#subscriptions.values()) for (const reader of readers) reader.lookAgain();
  }

  #lookAtQuiet(): void {
    this.#watchdogs += 1;
    if (this.#watchdogs % WATCHDOGS_PER_DOUBT === 0) this.#tellDoubt();
    for (const { readers } of this.#subscriptions.values()) {
      for (const reader of readers) {
        if (reader.quiet) reader.lookAgain();
        reader.quiet = true;
      }
    }
  }
}

/** One reader's place in one log. */
class Reader {
  /** The next sequence number the consumer needs. */
  next = 1;
  /** The buffer does not continue at `next`: read the log. */
  behind = true;
  /** Nothing came since the watchdog last looked. */
  quiet = false;
  /** The buffer: what the messages brought, which other readers of the run may share. */
  #waiting: (readonly LoggedEvent[])[] = [];
  /** How many events wait there. */
  #count = 0;
  /** How long the messages were in which they came. */
  #length = 0;
  #waits: PromiseWithResolvers<void> | null = null;
  #take: ((entries: readonly LoggedEvent[]) => void) | null = null;

  /** Has fragments passed on by `take`. */
  readonly pass = (take: ((entries: readonly LoggedEvent[]) => void) | null): void => {
    this.#take = take;
  };

  /**
   * Passes fragments on, where the consumer waits for just these. Then nothing lies before them: it has asked for more only
   * when it was through with everything else.
   */
  takes(entries: readonly LoggedEvent[]): boolean {
    const last = entries.at(-1);
    if (this.#take === null || this.#waits === null || entries[0]?.seq !== this.next || last === undefined)
      return false;
    this.quiet = false;
    this.next = last.seq + 1;
    try {
      this.#take(entries);
    } catch (error) {
      // Of the consumer's own: it hears of it as if it had been given them.
      this.#waits?.reject(error);
      this.#waits = null;
    }
    return true;
  }

  /** Events as they are announced, in a message of that length. */
  offer(entries: readonly LoggedEvent[], length: number): void {
    const expected = this.next + this.#count;
    const fresh = from(expected, entries);
    const [first] = fresh;
    if (first === undefined) return;
    this.quiet = false;
    if (first.seq !== expected || this.#length + length > MAX_BUFFERED_LENGTH) {
      this.lookAgain();
      return;
    }
    this.#waiting.push(fresh);
    this.#count += fresh.length;
    this.#length += length;
    this.wake();
  }

  lookAgain(): void {
    this.behind = true;
    this.#clear();
    this.wake();
  }

  /** The buffered events, or null when there are none. */
  take(): readonly LoggedEvent[] | null {
    const [first] = this.#waiting;
    if (first === undefined) return null;
    const batch = this.#waiting.length === 1 ? first : this.#waiting.flat();
    this.#clear();
    return this.advance(batch);
  }

  /** Moves past `entries`, which the consumer is about to be given, and past what the buffer repeats of them. */
  advance(entries: readonly LoggedEvent[]): readonly LoggedEvent[] {
    this.next = (entries.at(-1)?.seq ?? this.next - 1) + 1;
    if (this.#count > 0) {
      const left = from(this.next, this.#waiting.flat());
      this.#waiting = left.length === 0 ? [] : [left];
      this.#count = left.length;
    }
    return entries;
  }

  #clear(): void {
    this.#waiting = [];
    this.#count = 0;
    this.#length = 0;
  }

  async wait(): Promise<void> {
    this.#waits = Promise.withResolvers();
    return this.#waits.promise;
  }

  wake(): void {
    this.#waits?.resolve();
    this.#waits = null;
  }
}

function isFragment({ event: { type } }: LoggedEvent): boolean {
  return type === 'message.delta' || type === 'thought.delta';
}

/** The entries from `seq` on, which are in order. */
function from(seq: number, entries: readonly LoggedEvent[]): readonly LoggedEvent[] {
  const [first] = entries;
  return first === undefined || first.seq >= seq ? entries : entries.filter((entry) => entry.seq >= seq);
}

/** `<first seq>[event,event…]`, as commit.lua and fragments.lua publish it; null for anything else, such as `gone`. */
function parseMessage(message: string): readonly LoggedEvent[] | null {
  const start = message.indexOf('[');
  const first = Number(message.slice(0, start));
  if (start < 1 || !Number.isInteger(first)) return null;
  const events = decode<RunEvent[]>(message.slice(start));
  return events.map((event, index) => ({ seq: first + index, event }));
}
