/** News of runs: told to all who listen, hardly sent where nobody does, and with a word where some may be lost. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openFeed } from '../../src/store/redis.ts';
import type { CommittedTransition } from '../../src/store/report.ts';
import { RunNews } from '../../src/store/run-news.ts';
import { startPrivateRedis, startRedis, type RedisServer } from '../support/redis.ts';
import { openStore, PROJECT, silent, type Store } from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const transition = (run_id: string, seq = 1): CommittedTransition => ({
  seq,
  project: PROJECT,
  run_id,
  thread_id: 'thread_1',
  assistant_id: 'asst_1',
  model: 'm',
  backend: null,
  type: 'run.started',
  status: 'in_progress',
  created_at: 1,
  started_at: 2,
  completed_at: null,
  failed_at: null,
  cancelled_at: null,
  last_error: null,
  usage: null,
  at: 2,
});

/** News of a process of its own over the same keys. */
function newsOver(store: Store, redis = store.redis): RunNews {
  const news = new RunNews({ ...store, redis, openFeed: () => openFeed(store.url, silent) });
  onTestFinished(() => news.close());
  return news;
}

/** Listens; what was heard by and by. */
async function listen(news: RunNews) {
  const heard: string[] = [];
  let waits = Promise.withResolvers<void>();
  const stop = await news.hear((told) => {
    const word = typeof told === 'string';
    heard.push(word ? told : `${told.project} ${String(Reflect.get(JSON.parse(told.json), 'id'))}`);
    waits.resolve();
  });
  const until = async (last: string): Promise<readonly string[]> => {
    while (heard.at(-1) !== last) {
      waits = Promise.withResolvers();
      await waits.promise;
    }
    return heard;
  };
  return { stop, until };
}

test('what a later transition of the run has overtaken is not told', async () => {
  const store = await openStore(server.url);
  const [one, other, watcher] = [newsOver(store), newsOver(store), newsOver(store)];
  const { until } = await listen(watcher);
  // Of two processes each tells its own, after the reply to its commit.
  one.tell(transition('run_1', 7), null);
  await until(`${PROJECT} run_1`);
  other.tell(transition('run_1', 2), null);
  other.tell(transition('run_2', 2), null);
  expect(await until(`${PROJECT} run_2`)).toEqual([`${PROJECT} run_1`, `${PROJECT} run_2`]);
});

test('all listeners of all processes hear of every transition', async () => {
  const store = await openStore(server.url);
  const [teller, first, second] = [newsOver(store), newsOver(store), newsOver(store)];
  // Nobody hears this, which must not keep those who come from what follows.
  teller.tell(transition('run_0'), null);
  const readers = await Promise.all([listen(first), listen(first), listen(second)]);
  for (let n = 1; n <= 20; n += 1) teller.tell(transition(`run_${n}`), n / 8);
  const expected = Array.from({ length: 20 }, (_, index) => `${PROJECT} run_${index + 1}`);
  for (const { until } of readers) expect(await until(`${PROJECT} run_20`)).toEqual(expected);
});

test('news say what the run is', async () => {
  const store = await openStore(server.url);
  const news = newsOver(store);
  const told = Promise.withResolvers<unknown>();
  await news.hear((one) => told.resolve(typeof one === 'string' ? one : JSON.parse(one.json)));
  news.tell(transition('run_1'), 0.25);
  expect(await told.promise).toEqual({
    object: 'admin.run',
    project: PROJECT,
    id: 'run_1',
    thread_id: 'thread_1',
    assistant_id: 'asst_1',
    model: 'm',
    backend: null,
    event: 'run.started',
    status: 'in_progress',
    seq: 1,
    created_at: 1,
    started_at: 2,
    completed_at: null,
    failed_at: null,
    cancelled_at: null,
    last_error: null,
    usage: null,
    cost: 0.25,
    at: 2,
  });
});

test('while nobody listens, hardly anything is sent, and the connection is closed', async () => {
  let sent = 0;
  const answered = Promise.withResolvers<void>();
  const store = await openStore(server.url, (redis) => {
    const spublish = redis.spublish.bind(redis);
    return Object.assign(redis, {
      spublish: async (channel: string, message: string) => {
        sent += 1;
        const heard = await spublish(channel, message);
        setImmediate(answered.resolve);
        return heard;
      },
    });
  });
  const news = newsOver(store);
  const { stop } = await listen(news);
  expect(news.watchers).toBe(1);
  stop();
  expect(news.watchers).toBe(0);
  const channels = async (): Promise<unknown> =>
    store.redis.call('PUBSUB', 'SHARDCHANNELS', store.keys.watch.news);
  if (process.env['TEST_REDIS'] === 'cluster') return;
  for (let left = await channels(); Array.isArray(left) && left.length > 0;) left = await channels();
  news.tell(transition('run_1'), null);
  await answered.promise;
  const beganMs = performance.now();
  for (let n = 0; n < 1_000; n += 1) news.tell(transition('run_2'), null);
  expect(sent).toBeLessThanOrEqual(1 + 4 * Math.ceil((performance.now() - beganMs) / 250));
});

test('listeners are told that Redis is away, and after that that they may have missed something, and hear on', async () => {
  const redis = await startPrivateRedis('everysec');
  onTestFinished(async () => redis.stop());
  const store = await openStore(redis.url);
  const news = newsOver(store);
  const { until } = await listen(news);
  news.tell(transition('run_1'), null);
  await until(`${PROJECT} run_1`);
  await redis.crash();
  await until('away');
  const late = await listen(news);
  await late.until('away');
  await redis.restart();
  await Promise.all([until('missed'), late.until('missed')]);
  news.tell(transition('run_2'), null);
  const all = [`${PROJECT} run_1`, 'away', 'missed', `${PROJECT} run_2`];
  expect(await until(`${PROJECT} run_2`)).toEqual(all);
  expect(await late.until(`${PROJECT} run_2`)).toEqual(all.slice(1));
});
