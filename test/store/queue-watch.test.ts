/**
 * A worker that has gone deaf: its blocking read never returns, without an error, while its other connection works. Here
 * the network swallows everything that is said on that connection, as a broken path does.
 */
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { JobConsumer, type JobOutcome } from '../../src/store/queue.ts';
import { RUN_JOBS, type RunJob } from '../../src/store/run-jobs.ts';
import { QueueWatch } from '../../src/store/queue-watch.ts';
import { needsOneServer, startRedis, type RedisServer } from '../support/redis.ts';
import { must, openStore, silent, type Store } from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** Shorter than BullMQ's own watchdog, which gives a blocking read up after 3 s. */
const LOOK_MS = 300;

/** A way to Redis that can go deaf where somebody waits for a job. */
class Path {
  url = '';
  private readonly sockets = new Set<Socket>();
  private readonly waiting = new Set<Socket>();
  private readonly deaf = new Set<Socket>();

  /** @param to where it leads */
  static async open(to: string): Promise<Path> {
    const path = new Path();
    const { hostname, port } = new URL(to);
    const listener = createServer((near) => {
      const far = connect(Number(port), hostname);
      for (const socket of [near, far]) {
        path.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => [near, far].forEach((end) => end.destroy()));
      }
      near.on('data', (bytes) => {
        if (bytes.toString('latin1').toLowerCase().includes('bzpopmin')) path.waiting.add(near);
        if (!path.deaf.has(near)) far.write(bytes);
      });
      far.on('data', (bytes) => {
        if (!path.deaf.has(near)) near.write(bytes);
      });
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const address = listener.address();
    if (address === null || typeof address === 'string') throw new Error('there is no port');
    path.url = `redis://127.0.0.1:${address.port}`;
    onTestFinished(() => {
      for (const socket of path.sockets) socket.destroy();
      listener.close();
    });
    return path;
  }

  /** Whoever waits for a job now hears nothing any more. */
  goDeaf(): void {
    if (this.waiting.size === 0) throw new Error('nobody waits');
    for (const socket of this.waiting) this.deaf.add(socket);
  }
}

interface Stage {
  readonly store: Store;
  readonly consumer: JobConsumer<RunJob>;
  readonly path: Path;
}

/** A consumer with two slots, at the end of a path of its own. */
async function onStage(work: (job: RunJob) => Promise<JobOutcome>): Promise<Stage> {
  const store = await openStore(server.url);
  const path = await Path.open(server.url);
  const { keys, nowMs } = store;
  const options = {
    redisUrl: path.url,
    keys,
    log: silent,
    nowMs,
    concurrency: 2,
    holder: 'host/worker',
    lockMs: 10_000,
    work,
  };
  const consumer = new JobConsumer(RUN_JOBS, options);
  onTestFinished(async () => consumer.close());
  await consumer.ready();
  return { store, consumer, path };
}

/** Looks after a consumer. */
function watchOver({ store, consumer }: Stage): QueueWatch {
  const watch = new QueueWatch({
    next: async () => store.queue.next(),
    hasRoom: () => consumer.hasRoom,
    rebuild: () => consumer.rebuild(),
    log: silent,
    lookEveryMs: LOOK_MS,
  });
  onTestFinished(() => watch.stop());
  return watch;
}

const job = (runId: string): RunJob => ({
  project: 'p',
  threadId: 'thread_1',
  runId,
  requestId: 'r',
  turn: 1,
});

/** The lock of a run's job: `<id of a BullMQ worker>:<number>`. */
const lockOf = ({ keys }: Store, runId: string): string => `${keys.queue}:runs:${runId}-1:lock`;

/** Which BullMQ worker has a run's job. */
async function takerOf(store: Store, runId: string): Promise<string> {
  const [id] = must(await store.redis.get(lockOf(store, runId))).split(':');
  return must(id);
}

/** Resolves when somebody waits for a job. */
async function blocked({ redis }: Store): Promise<void> {
  while (!/flags=b .*cmd=bzpopmin/.test(await redis.call('CLIENT', 'LIST').then(String)));
}

describe('a worker that has gone deaf', () => {
  test('takes jobs again through new connections, while the job it has goes on and stays its own', async (context) => {
    needsOneServer(context);
    const taken: string[] = [];
    const first = Promise.withResolvers<JobOutcome>();
    const second = Promise.withResolvers<JobOutcome>();
    const stage = await onStage(async ({ runId }) => {
      taken.push(runId);
      return (runId === 'run_1' ? first : second).promise;
    });
    const { store, consumer, path } = stage;
    const watch = watchOver(stage);
    await store.queue.add(job('run_1'));
    while (taken.length === 0) await store.redis.ping();
    await blocked(store);
    path.goDeaf();
    await store.queue.add(job('run_2'));
    while (taken.length === 1) await store.redis.ping();
    expect(watch.rebuilds).toBe(1);
    expect(await takerOf(store, 'run_2')).not.toBe(await takerOf(store, 'run_1'));
    second.resolve('done');

    // The old worker renews the lock of the job that it still has.
    const leftMs = await store.redis.pttl(lockOf(store, 'run_1'));
    while ((await store.redis.pttl(lockOf(store, 'run_1'))) <= leftMs) await store.redis.ping();
    first.resolve('done');
    while ((await store.redis.exists(`${store.keys.queue}:runs:run_1-1`)) === 1) await store.redis.ping();
    expect(taken).toStrictEqual(['run_1', 'run_2']);
    await consumer.close();
  });
});

describe('a worker is left alone', () => {
  /** Looks twenty times at a queue whose next job is told by `next`. @returns how often the worker was rebuilt. */
  async function lookAt(next: (looks: number) => string, hasRoom = true): Promise<number> {
    const enough = Promise.withResolvers<void>();
    let looks = 0;
    const watch = new QueueWatch({
      next: async () => next(looks),
      hasRoom: () => {
        looks += 1;
        if (looks === 40) enough.resolve();
        return hasRoom;
      },
      rebuild: () => {},
      log: silent,
      lookEveryMs: 1,
    });
    await enough.promise;
    watch.stop();
    return watch.rebuilds;
  }

  test('when it is full', async () => expect(await lookAt(() => 'job', false)).toBe(0));

  test('when what waits changes', async () => expect(await lookAt((looks) => `job ${looks}`)).toBe(0));

  test('for a while after it was rebuilt: where that does not help, more of it would not', async () =>
    expect(await lookAt(() => 'job')).toBe(1));
});
