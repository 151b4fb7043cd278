/**
 * What store tests stand on: a store under key names of its own, with a clock the test sets, closed when the test ends;
 * the objects and events of a short run; and a look at everything that is stored.
 */
import { onTestFinished } from 'vitest';
import { createLog } from '../../src/log.ts';
import { PLAIN_ORIGIN, type RunEvent, type RunOrigin } from '../../src/runs/event.ts';
import type { Message, Run, Thread } from '../../src/runs/thread.ts';
import { ColdThreads } from '../../src/store/cold-threads.ts';
import { Collections } from '../../src/store/collection.ts';
import { Contents } from '../../src/store/contents.ts';
import { Damage } from '../../src/store/damage.ts';
import { Freezer } from '../../src/store/freezer.ts';
import { LogHub, type LoggedEvent } from '../../src/store/follow.ts';
import { RedisKeys, type RunRef, type ThreadRef } from '../../src/store/keys.ts';
import { openObjects, type Objects } from '../../src/store/objects.ts';
import { OpenRuns } from '../../src/store/open-runs.ts';
import { JobQueue } from '../../src/store/queue.ts';
import { masters, openFeed, openState, type Feed } from '../../src/store/redis.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { ThreadIndex } from '../../src/store/thread-index.ts';
import { RecentRuns } from '../../src/store/recent-runs.ts';
import { RUN_JOBS, type RunJob } from '../../src/store/run-jobs.ts';
import type { NewRun } from '../../src/store/new-run.ts';
import { RunStore, type StoredRun } from '../../src/store/runs.ts';
import { keysLike } from '../support/contents.ts';
import { MemoryRows } from './memory-rows.ts';
import { stateAfter, usage } from '../runs/histories.ts';

export const PROJECT = 'p';
export const LOG_KEPT_S = 300;
/** Of documents in one page of a list. */
export const PAGE_LIMIT_BYTES = 20_000;
/** When runs are created; they expire 600 s later. */
export const CREATED_AT = 1_000;
export const EXPIRES_AT = 1_600;

/** What a sweeper ends besides runs: nothing. */
export const NOTHING_TO_END = {
  endTrials: async () => {},
  endThreads: async () => {},
  careForShelves: async () => {},
  careForFiles: () => {},
  endContents: async () => {},
  careForCold: () => {},
};

export const silent = createLog({ logLevel: 'silent' }, 'test');

export interface Store {
  readonly url: string;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly queue: JobQueue<RunJob>;
  readonly open: OpenRuns;
  readonly threadIndex: ThreadIndex;
  readonly recentRuns: RecentRuns;
  readonly contents: Contents;
  /** Where cold threads lie. */
  readonly rows: MemoryRows;
  readonly cold: ColdThreads;
  readonly freezer: Freezer;
  readonly runs: RunStore;
  readonly objects: Objects;
  /** Unix seconds, as runs see them. */
  readonly clock: { s: number };
  /** Unix milliseconds, as reminders and views see them. */
  readonly nowMs: () => number;
}

let stores = 0;

/** A store of its own. @param wrap may listen in on the connection its commands go through. */
export async function openStore(
  url: string,
  wrap = (redis: ScriptedRedis): ScriptedRedis => redis,
): Promise<Store> {
  stores += 1;
  const keys = new RedisKeys(`t${process.pid}-${stores}`);
  const connection = await openState(url, 'wait', silent);
  const redis = wrap(connection);
  const nowMs = (): number => Date.now();
  const queue = new JobQueue(RUN_JOBS, { redis, keys, log: silent, nowMs });
  await queue.ready();
  const open = new OpenRuns(redis, keys, nowMs, silent);
  const damage = new Damage(redis, keys, silent);
  const collections = new Collections({ redis, damage, nowMs, pageLimitBytes: PAGE_LIMIT_BYTES });
  const contents = new Contents(redis, keys, nowMs, silent);
  const threadIndex = new ThreadIndex({ collections, redis, keys, nowMs, log: silent });
  const rows = new MemoryRows();
  const cold = new ColdThreads({ redis, keys, threadIndex, rows, nowMs, log: silent });
  const freezer = new Freezer({ redis, keys, threadIndex, cold, rows, nowMs, log: silent });
  const shared = { collections, contents, cold, redis, keys, damage, nowMs, log: silent };
  const recentRuns = new RecentRuns(shared);
  const clock = { s: CREATED_AT };
  const now = (): number => clock.s;
  const runs = new RunStore({
    redis,
    keys,
    queue,
    open,
    threadIndex,
    recentRuns,
    damage,
    contents,
    cold,
    log: silent,
    now,
    logKeptS: LOG_KEPT_S,
    confirm: null,
  });
  onTestFinished(async () => {
    await queue.close();
    connection.disconnect();
  });
  const objects = openObjects({ ...shared, threadIndex, recentRuns });
  const made = { queue, open, threadIndex, recentRuns, contents, rows, cold, freezer, runs, objects };
  return { url, redis, keys, ...made, clock, nowMs };
}

/** A hub of its own, as another process has one. @param wrap may come between the hub and its subscriptions. */
export async function openHub(
  store: Store,
  wrap = (feed: Feed): Feed => feed,
): Promise<{ hub: LogHub; feed: Feed; feedId: number }> {
  const feed = openFeed(store.url, silent);
  // Asked before the first subscription: a connection that listens takes no other commands.
  const feedId = await feed.client('ID');
  const hub = new LogHub({ ...store, log: silent }, wrap(feed));
  onTestFinished(() => hub.close());
  return { hub, feed, feedId };
}

/** Gives every server of a deployment a setting, as CONFIG SET does for one. */
export async function setEverywhere(
  { redis }: Pick<Store, 'redis'>,
  name: string,
  value: string,
): Promise<void> {
  await Promise.all(masters(redis).map(async (server) => server.config('SET', name, value)));
}

/** An object whose method `name` is `method`, and which is `target` in everything else. */
export function withMethod<T extends object>(target: T, name: keyof T, method: unknown): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (key === name) return method;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** A call of a script that writes to a run. */
export interface Sent {
  readonly script: 'commit' | 'fragments';
  readonly args: readonly (string | number)[];
}

/** A connection whose calls of these scripts go through `hear`, which sends them by {@link send}. */
export function overheard(redis: ScriptedRedis, hear: (sent: Sent) => Promise<unknown>): ScriptedRedis {
  const hearing =
    (script: Sent['script']) =>
    async (...args: (string | number)[]): Promise<unknown> =>
      hear({ script, args });
  return withMethod(withMethod(redis, 'commit', hearing('commit')), 'fragments', hearing('fragments'));
}

export async function send(redis: ScriptedRedis, { script, args }: Sent): Promise<unknown> {
  return redis[script](...args);
}

/** Sends a call that concerns one run once more. @returns the last seq where it was committed, 0 where it was refused. */
export async function sendAgain(redis: ScriptedRedis, sent: Sent): Promise<unknown> {
  const answer = await send(redis, sent);
  const list: readonly unknown[] = Array.isArray(answer) ? answer : [];
  return sent.script === 'commit' && list[0] === 1 ? list[1] : list[0];
}

export const THREAD: ThreadRef = { project: PROJECT, threadId: 'thread_1' };
export const refOf = (runId = 'run_1', { project, threadId } = THREAD): RunRef => ({
  project,
  threadId,
  runId,
});

export function newThread(id = THREAD.threadId): Thread {
  return { id, object: 'thread', created_at: CREATED_AT, metadata: {}, tool_resources: {} };
}

export function newMessage(id: string, threadId = THREAD.threadId): Message {
  return {
    id,
    object: 'thread.message',
    created_at: CREATED_AT,
    thread_id: threadId,
    status: 'completed',
    incomplete_details: null,
    completed_at: CREATED_AT,
    incomplete_at: null,
    role: 'user',
    content: [{ type: 'text', text: { value: `text of ${id}`, annotations: [] } }],
    assistant_id: null,
    run_id: null,
    attachments: [],
    metadata: {},
  };
}

/** A run with its thread; `more` changes what is created. */
export function newRun({ runId, threadId, project }: RunRef = refOf(), more: Partial<NewRun> = {}): NewRun {
  const run: Run = { ...stateAfter([]).run, id: runId, thread_id: threadId };
  const origin: RunOrigin = { ...PLAIN_ORIGIN, project, request_id: 'req_1' };
  return { run, origin, messages: [], thread: newThread(threadId), input: [], ...more };
}

/** Creates a run. @throws when it is not created. */
export async function create(store: Store, ref = refOf(), more: Partial<NewRun> = {}): Promise<StoredRun> {
  const created = await store.runs.create(ref.project, newRun(ref, more));
  if (created.type !== 'created') throw new Error(`not created: ${created.type}`);
  return created.stored;
}

/** Creates a run and starts it as a worker does. */
export async function start(store: Store, ref = refOf(), more: Partial<NewRun> = {}): Promise<StoredRun> {
  return store.runs.commit(await create(store, ref, more), [STARTED]);
}

/** A started run with an open message. */
export async function startTalking(store: Store, ref = refOf()): Promise<StoredRun> {
  return store.runs.commit(await start(store, ref), OPEN_MESSAGE);
}

const AT = { at: CREATED_AT + 1 };
export const STARTED: RunEvent = { type: 'run.started', ...AT };
export const OPEN_MESSAGE: readonly RunEvent[] = [
  { type: 'step.created', ...AT, step_id: 'step_1', message_id: 'msg_1' },
  { type: 'message.created', ...AT, message_id: 'msg_1' },
];
export const delta = (text: string): RunEvent => ({ type: 'message.delta', text });
export const COMPLETED: readonly RunEvent[] = [
  { type: 'message.completed', ...AT },
  { type: 'step.completed', ...AT, usage: usage(1), outputs: null },
  { type: 'run.completed', ...AT },
];
export const CALL: readonly RunEvent[] = [
  { type: 'step.created', ...AT, step_id: 'step_tools', message_id: null },
  { type: 'tool.called', index: 0, call_id: 'call_1', name: 'SEARCH' },
  { type: 'tool.delta', index: 0, arguments: '{}' },
  { type: 'run.blocked', ...AT, usage: usage(1) },
];
export const ANSWERED: readonly RunEvent[] = [
  { type: 'step.completed', ...AT, usage: usage(1), outputs: { call_1: 'news' } },
  { type: 'run.resumed', ...AT, calm_until_ms: 0 },
];
export const CANCELLING: RunEvent = { type: 'run.cancelling', ...AT };

/** What cannot be missing. */
export function must<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('it is missing');
  return value;
}

/** The run as it is stored now. */
export async function read(store: Store, ref = refOf()): Promise<StoredRun> {
  return must(await store.runs.get(ref)).stored;
}

/** The text of a message as it is stored now. */
export async function storedText(store: Store, id = 'msg_1'): Promise<string> {
  const [part] = must(await store.objects.messages.get(THREAD, id)).content;
  return part?.type === 'text' ? part.text.value : '';
}

/** What a log's fragments say together. */
export function textIn(log: readonly Pick<LoggedEvent, 'event'>[]): string {
  return log.map(({ event }) => (event.type === 'message.delta' ? event.text : '')).join('');
}

/** The keys of what is left of a deleted thread with runs: a reminder to look at them, and where it stood in the list. */
export function remindersOf({ keys }: Store): readonly string[] {
  return [keys.open, keys.threadList(PROJECT).gone];
}

/** Every key of the store, the queue's own aside. */
export async function keysOf({ redis, keys }: Store): Promise<readonly string[]> {
  // The index of open runs begins with the prefix, as all but the queue's keys do.
  const prefix = keys.open.slice(0, -'open'.length);
  return (await keysLike(redis, `${prefix}*`)).toSorted();
}

/** Everything that is stored, by key; the queue's own keys aside, and the times in the indexes that go by the clock. */
export async function contents(store: Store): Promise<Readonly<Record<string, unknown>>> {
  const names = await keysOf(store);
  const values = await Promise.all(names.map(async (key) => contentOf(store, key)));
  return Object.fromEntries(names.map((key, index) => [key, values[index]]));
}

async function contentOf({ redis, keys }: Store, key: string): Promise<unknown> {
  if (key === keys.open || key === keys.threads || /\{\w+\/(threads|runs)\}:/.test(key))
    return redis.zrange(key, '0', '-1');
  switch (await redis.type(key)) {
    case 'hash':
      return redis.hgetall(key);
    case 'zset':
      return redis.zrange(key, '0', '-1', 'WITHSCORES');
    case 'stream':
      return redis.xrange(key, '-', '+');
    case 'string':
      return redis.get(key);
  }
  throw new Error(`${key} is of no kind this store knows`);
}
