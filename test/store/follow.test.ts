/**
 * Following a log: every reader gets every event once and in order, whatever happens to the messages that announce them.
 * The watchdog's clock stands still here unless a test moves it, so nothing below is saved by the watchdog unseen.
 */
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { LogGone, type LoggedEvent, type LogHub } from '../../src/store/follow.ts';
import { readLog } from '../../src/store/log.ts';
import { masters, type Feed } from '../../src/store/redis.ts';
import { needsOneServer, startRedis, type RedisServer } from '../support/redis.ts';
import {
  CALL,
  CANCELLING,
  COMPLETED,
  contents,
  create,
  delta,
  must,
  openHub,
  openStore,
  refOf,
  start,
  STARTED,
  startTalking,
  textIn,
  THREAD,
  withMethod,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Longer than the watchdog waits before it looks at a quiet log. */
const WATCHDOG_MS = 5_000;

/** A reader of a run's log that keeps what it is given. */
class Follower {
  readonly entries: LoggedEvent[] = [];
  /** The sequence numbers of those that were passed to it. */
  readonly passed: number[] = [];
  readonly #batches: ReturnType<LogHub['follow']>;
  readonly #controller = new AbortController();

  constructor(hub: LogHub, ref = refOf()) {
    this.#batches = hub.follow(ref, this.#controller.signal);
    onTestFinished(async () => this.leave());
  }

  /** Wants fragments without a wait. */
  wantsPassed(): this {
    this.#batches.pass?.((entries) => {
      this.entries.push(...entries);
      this.passed.push(...entries.map(({ seq }) => seq));
    });
    return this;
  }

  /** Cannot take what is passed. */
  failsAtPassed(): this {
    this.#batches.pass?.(() => {
      throw new Error('no');
    });
    return this;
  }

  /** Reads one batch further. @returns false when the log says no more. */
  async step(): Promise<boolean> {
    const { value, done } = await this.#batches.next();
    if (value) this.entries.push(...value);
    return !done;
  }

  /** Reads until it has `count` entries. */
  async reach(count: number): Promise<this> {
    while (this.entries.length < count && (await this.step()));
    return this;
  }

  /** Stops waiting, as a client does that goes away. */
  async leave(): Promise<void> {
    this.#controller.abort();
    await this.#batches.return();
  }

  get seqs(): readonly number[] {
    return this.entries.map(({ seq }) => seq);
  }
}

const upTo = (last: number): readonly number[] => Array.from({ length: last }, (_, index) => index + 1);

/** How many connections listen to the run's channel: of a Cluster, at the server that has it. */
async function listeners({ redis, keys }: Store): Promise<number> {
  const counts = masters(redis).map(async (server) => {
    const [, count] = await server.pubsub('SHARDNUMSUB', keys.events(refOf()));
    return Number(count);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** Resolves when `count` connections listen to the run's channel. */
async function listenedToBy(store: Store, count: number): Promise<void> {
  while ((await listeners(store)) !== count);
}

/** Commits a text, one fragment a commit, under a run that talks. */
async function say(store: Store, text: string, held = startTalking(store)): Promise<void> {
  let stored = await held;
  for (const letter of text) stored = await store.runs.commit(stored, [delta(letter)]);
  await store.runs.commit(stored, COMPLETED);
}

describe('a reader', () => {
  test('hears the log from its first event, and then each event as it is committed', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    const queued = await create(store);
    const reader = new Follower(hub);
    await reader.step();
    expect(reader.seqs).toStrictEqual([1]);
    const talking = await store.runs.commit(queued, [STARTED]);
    await reader.step();
    expect(reader.seqs).toStrictEqual([1, 2]);
    await store.runs.commit(talking, CALL);
    await reader.reach(6);
    expect(reader.entries).toStrictEqual(await readLog(store.redis, store.keys, refOf(), 1));
  });

  test('that comes late hears everything', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    await say(store, 'Hello');
    const reader = await new Follower(hub).reach(12);
    expect(reader.seqs).toStrictEqual(upTo(12));
    expect(textIn(reader.entries)).toBe('Hello');
  });

  test('that comes in the middle hears everything, and nothing twice', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    const talking = await startTalking(store);
    const early = new Follower(hub);
    await early.reach(4);
    const said = say(store, 'Hello, world', Promise.resolve(talking));
    const late = new Follower(hub);
    await Promise.all([early.reach(19), late.reach(19), said]);
    expect(early.seqs).toStrictEqual(upTo(19));
    expect(late.seqs).toStrictEqual(upTo(19));
    expect(textIn(late.entries)).toBe('Hello, world');
  });

  test('hears an event once that is announced while it reads the log', async () => {
    let meanwhile = async (): Promise<void> => {};
    const store = await openStore(server.url, (redis) =>
      withMethod(redis, 'xrange', async (...args: [string, string, string]) => {
        await meanwhile();
        return redis.xrange(...args);
      }),
    );
    const { hub, feed } = await openHub(store);
    const queued = await create(store);
    const reader = await new Follower(hub).reach(1);
    meanwhile = async () => {
      meanwhile = async () => {};
      const announced = new Promise((resolve) => feed.once('smessage', resolve));
      const started = store.runs.commit(queued, [STARTED]);
      await Promise.all([started, announced]);
    };
    const reading = reader.reach(2);
    vi.advanceTimersByTime(WATCHDOG_MS);
    await reading;
    await store.runs.change(refOf(), () => [CANCELLING]);
    await reader.reach(3);
    expect(reader.seqs).toStrictEqual(upTo(3));
  });

  test('ends when it is told to, whether it waits or not', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    await create(store);
    const controller = new AbortController();
    const batches = hub.follow(refOf(), controller.signal);
    await batches.next();
    const waiting = batches.next();
    controller.abort();
    expect(await waiting).toStrictEqual({ value: undefined, done: true });
    const never = hub.follow(refOf(), AbortSignal.abort());
    expect(await never.next()).toStrictEqual({ value: undefined, done: true });
    await listenedToBy(store, 0);
  });
});

describe('subscriptions', () => {
  test('two readers of one run in one process share one', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    const queued = await create(store);
    const readers = [new Follower(hub), new Follower(hub)];
    await Promise.all(readers.map(async (reader) => reader.reach(1)));
    expect(await listeners(store)).toBe(1);
    await store.runs.commit(queued, [STARTED]);
    await Promise.all(readers.map(async (reader) => reader.reach(2)));
  });

  test('each process has its own', async () => {
    const store = await openStore(server.url);
    const [one, two] = [await openHub(store), await openHub(store)];
    const queued = await create(store);
    const readers = [new Follower(one.hub), new Follower(two.hub)];
    await Promise.all(readers.map(async (reader) => reader.reach(1)));
    expect(await listeners(store)).toBe(2);
    await store.runs.commit(queued, [STARTED]);
    await Promise.all(readers.map(async (reader) => reader.reach(2)));
  });

  test('end with the last reader, not before', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    const queued = await create(store);
    const [first, second] = [new Follower(hub), new Follower(hub)];
    await Promise.all([first.reach(1), second.reach(1)]);
    await first.leave();
    await store.runs.commit(queued, [STARTED]);
    await second.reach(2);
    expect(await listeners(store)).toBe(1);
    await second.leave();
    await expect.poll(async () => listeners(store)).toBe(0);
  });

  test('a reader that comes while the first one’s subscription is on its way misses nothing', async () => {
    const store = await openStore(server.url);
    const gate = Promise.withResolvers<void>();
    const { hub } = await openHub(store, (feed: Feed) =>
      withMethod(feed, 'ssubscribe', async (channel: string) => {
        await gate.promise;
        return feed.ssubscribe(channel);
      }),
    );
    const queued = await create(store);
    const readers = [new Follower(hub), new Follower(hub)];
    const reading = Promise.all(readers.map(async (reader) => reader.reach(2)));
    await store.redis.ping();
    await store.redis.ping();
    await store.runs.commit(queued, [STARTED]);
    gate.resolve();
    await reading;
    expect(readers.map(({ seqs }) => seqs)).toStrictEqual([upTo(2), upTo(2)]);
  });
});

describe('fragments', () => {
  test('are passed to a reader that waits, and all else comes as ever, in order', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    const talking = await startTalking(store);
    const reader = await new Follower(hub).wantsPassed().reach(4);
    const reading = reader.step();
    let held = await store.runs.commit(talking, [delta('a')]);
    held = await store.runs.commit(held, [delta('b'), delta('c')]);
    await store.runs.commit(held, COMPLETED);
    await reading;
    expect(reader.passed).toStrictEqual([5, 6, 7]);
    await reader.reach(10);
    expect(reader.seqs).toStrictEqual(upTo(10));
    expect(textIn(reader.entries)).toBe('abc');
  });

  test('wait for a reader that does not wait for them', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    const talking = await startTalking(store);
    const reader = await new Follower(hub).wantsPassed().reach(4);
    const other = await new Follower(hub).reach(4);
    await store.runs.commit(talking, [delta('a')]);
    await other.reach(5);
    expect(reader.seqs).toStrictEqual(upTo(4));
    await reader.reach(5);
    expect(reader.seqs).toStrictEqual(upTo(5));
    expect(reader.passed).toStrictEqual([]);
  });

  test('behind a gap come with what is missing', async () => {
    const store = await openStore(server.url);
    const { hub, feed } = await openHub(store);
    const talking = await startTalking(store);
    const reader = await new Follower(hub).wantsPassed().reach(4);
    const reading = reader.step();
    await feed.sunsubscribe(store.keys.events(refOf()));
    const held = await store.runs.commit(talking, [delta('un')]);
    await feed.ssubscribe(store.keys.events(refOf()));
    await store.runs.commit(held, [delta('heard')]);
    await reading;
    expect(reader.seqs).toStrictEqual(upTo(6));
    expect(reader.passed).toStrictEqual([]);
  });

  test('that a reader fails at are its own failure, and no other reader’s', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    const talking = await startTalking(store);
    const failing = await new Follower(hub).failsAtPassed().reach(4);
    const other = await new Follower(hub).wantsPassed().reach(4);
    const failed = failing.step().catch(String);
    const reading = other.step();
    const held = await store.runs.commit(talking, [delta('a')]);
    await store.runs.commit(held, COMPLETED);
    expect(await failed).toBe('Error: no');
    await reading;
    expect(other.passed).toStrictEqual([5]);
  });
});

describe('messages that are lost', () => {
  test('while the log cannot be read, too: it is read when Redis is there again', async () => {
    let refused: (() => void) | null = null;
    const store = await openStore(server.url, (redis) =>
      withMethod(redis, 'hmget', async (key: string, ...fields: string[]) => {
        if (refused === null) return redis.hmget(key, ...fields);
        refused();
        throw new Error('LOADING Redis is loading the dataset in memory');
      }),
    );
    const { hub, feed } = await openHub(store);
    const talking = await startTalking(store);
    const reader = await new Follower(hub).reach(4);
    await feed.sunsubscribe(store.keys.events(refOf()));
    await store.runs.commit(talking, [delta('unheard')]);
    const refusal = new Promise<void>((resolve) => {
      refused = resolve;
    });
    const reading = reader.reach(5);
    vi.advanceTimersByTime(WATCHDOG_MS);
    await refusal;
    refused = null;
    // The reader has to learn of the refusal before it is told to look again.
    await store.redis.ping();
    vi.advanceTimersByTime(WATCHDOG_MS);
    expect((await reading).seqs).toStrictEqual(upTo(5));
  });

  test('with their connection: the log is read when it is back, and nothing is missing', async (context) => {
    needsOneServer(context);
    const store = await openStore(server.url);
    const { hub, feed, feedId } = await openHub(store);
    const talking = await startTalking(store);
    const reader = new Follower(hub);
    await reader.reach(4);
    const closed = new Promise((resolve) => feed.once('close', resolve));
    const back = new Promise((resolve) => feed.once('ready', resolve));
    await store.redis.client('KILL', 'ID', feedId);
    await closed;
    const held = await store.runs.commit(talking, [delta('unheard')]);
    await reader.reach(5);
    await back;
    await listenedToBy(store, 1);
    await store.runs.commit(held, COMPLETED);
    await reader.reach(8);
    expect(reader.seqs).toStrictEqual(upTo(8));
    expect(textIn(reader.entries)).toBe('unheard');
  });

  test('in the middle: the gap shows with the next one', async () => {
    const store = await openStore(server.url);
    const { hub, feed } = await openHub(store);
    const talking = await startTalking(store);
    const reader = new Follower(hub);
    await reader.reach(4);
    await feed.sunsubscribe(store.keys.events(refOf()));
    const held = await store.runs.commit(talking, [delta('un'), delta('heard')]);
    await feed.ssubscribe(store.keys.events(refOf()));
    await store.runs.commit(held, COMPLETED);
    await reader.reach(9);
    expect(reader.seqs).toStrictEqual(upTo(9));
  });

  test('at the very end: the watchdog notices', async () => {
    const store = await openStore(server.url);
    const { hub, feed } = await openHub(store);
    const talking = await startTalking(store);
    const reader = new Follower(hub);
    await reader.reach(4);
    await feed.sunsubscribe(store.keys.events(refOf()));
    await store.runs.commit(talking, COMPLETED);
    let heard = false;
    const reading = reader.reach(7).then(() => (heard = true));
    await store.redis.ping();
    await store.redis.ping();
    expect(heard).toBe(false);
    vi.advanceTimersByTime(WATCHDOG_MS);
    await reading;
    expect(reader.seqs).toStrictEqual(upTo(7));
  });

  test('again and again, while many read: everybody hears everything', async () => {
    const store = await openStore(server.url);
    const { hub, feed } = await openHub(store);
    const text = 'It was a dark and stormy night; the rain fell in torrents.';
    const talking = startTalking(store);
    const last = text.length + 7;
    await talking;
    const readers = Array.from({ length: 10 }, () => new Follower(hub));
    const reading = Promise.all(readers.map(async (reader) => reader.reach(last)));
    const said = say(store, text, talking);
    const dropping = { done: false };
    void said.finally(() => (dropping.done = true));
    const dropper = (async () => {
      while (!dropping.done) {
        await feed.sunsubscribe(store.keys.events(refOf()));
        await store.redis.ping();
        await feed.ssubscribe(store.keys.events(refOf()));
        for (let trips = 0; trips < 3; trips++) await store.redis.ping();
      }
    })();
    await Promise.all([said, dropper]);
    vi.advanceTimersByTime(WATCHDOG_MS);
    await reading;
    for (const reader of readers) {
      expect(reader.seqs).toStrictEqual(upTo(last));
      expect(textIn(reader.entries)).toBe(text);
    }
  });
});

describe('a slow reader', () => {
  test('beyond its buffer reads on from the log, and nobody waits for it', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    let held = await startTalking(store);
    const [slow, fast] = [new Follower(hub), new Follower(hub)];
    await Promise.all([slow.reach(4), fast.reach(4)]);
    const many = Array.from({ length: 300 }, () => delta('.'.repeat(300)));
    for (let commits = 0; commits < 5; commits++) {
      held = await store.runs.commit(held, many);
      await fast.reach(held.seq);
    }
    const read = vi.spyOn(store.redis, 'xrange');
    await slow.reach(1_504);
    // A part of it at a time, however much there is.
    expect(read.mock.calls.map((args) => args.at(-1))).toStrictEqual(Array.from({ length: 24 }, () => 64));
    await store.runs.commit(held, COMPLETED);
    await Promise.all([slow.reach(1_507), fast.reach(1_507)]);
    expect(slow.seqs).toStrictEqual(upTo(1_507));
    expect(fast.seqs).toStrictEqual(upTo(1_507));
  });

  test('within its buffer is given it without another look at the log', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    const held = await startTalking(store);
    const [slow, fast] = [new Follower(hub), new Follower(hub)];
    await Promise.all([slow.reach(4), fast.reach(4)]);
    await store.runs.commit(held, [delta('a'), delta('b'), delta('c')]);
    await fast.reach(7);
    const read = vi.spyOn(store.redis, 'xrange');
    await slow.step();
    expect(slow.seqs).toStrictEqual(upTo(7));
    expect(read).not.toHaveBeenCalled();
  });
});

describe('a log that is gone', () => {
  /** Why the log is gone. */
  const goneFor = async (reading: Promise<unknown>): Promise<string> =>
    reading.then(
      () => 'it is not',
      (error: unknown) => (error instanceof LogGone ? error.why : String(error)),
    );

  test('with its run ends its readers at once', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    await startTalking(store);
    const readers = [new Follower(hub), new Follower(hub)];
    await Promise.all(readers.map(async (reader) => reader.reach(4)));
    const reading = readers.map(async (reader) => goneFor(reader.step()));
    await store.objects.threads.delete(THREAD);
    expect(await Promise.all(reading)).toStrictEqual(['deleted', 'deleted']);
    await expect.poll(async () => listeners(store)).toBe(0);
  });

  test('with its run, or that never was, has no readers', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    await start(store);
    await store.objects.threads.delete(THREAD);
    expect(await goneFor(new Follower(hub).step())).toBe('deleted');
    expect(await goneFor(new Follower(hub, refOf('run_2')).step())).toBe('deleted');
    await expect.poll(async () => listeners(store)).toBe(0);
  });

  test('because its run ended long ago says so', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    await say(store, 'Hello');
    await store.redis.pexpire(store.keys.log(refOf()), 0);
    expect(await goneFor(new Follower(hub).step())).toBe('expired');
    await expect.poll(async () => listeners(store)).toBe(0);
  });

  test('in its beginning, because nobody ended its run in time, is gone as a whole', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    await create(store);
    await store.redis.pexpire(store.keys.log(refOf()), 0);
    await store.runs.close(refOf(), { type: 'expired' });
    expect(must((await contents(store))[store.keys.log(refOf())])).toHaveLength(1);
    expect(await goneFor(new Follower(hub).step())).toBe('expired');
  });
});

describe('changes by others', () => {
  test('are told to whoever listens: a cancel is, what the worker commits is not', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    const heard: (string | null)[] = [];
    const first = Promise.withResolvers<void>();
    const stop = await hub.onChange((runId) => {
      heard.push(runId);
      first.resolve();
    });
    await startTalking(store);
    await store.runs.change(refOf(), () => [CANCELLING]);
    await first.promise;
    expect(heard).toStrictEqual(['run_1']);
    stop();
    const next = Promise.withResolvers<void>();
    await hub.onChange(() => next.resolve());
    await store.runs.close(refOf(), { type: 'cancelled' });
    await next.promise;
    expect(heard).toStrictEqual(['run_1']);
  });

  test('may have been missed while the connection was away, and that is told, too', async () => {
    const store = await openStore(server.url);
    const { hub, feed } = await openHub(store);
    const heard = Promise.withResolvers<string | null>();
    await hub.onChange(heard.resolve);
    feed.disconnect(true);
    expect(await heard.promise).toBeNull();
  });

  test('a deletion is one, since a worker may be executing the run', async () => {
    const store = await openStore(server.url);
    const { hub } = await openHub(store);
    const heard = Promise.withResolvers<string | null>();
    await hub.onChange(heard.resolve);
    await startTalking(store);
    await store.objects.threads.delete(THREAD);
    expect(await heard.promise).toBe('run_1');
  });
});
