/**
 * A worker that stands still beyond its jobs' locks, and then goes on as if nothing had happened: its runs are another
 * worker's by then, and not one of its writes is taken.
 */
import { Redis } from 'ioredis';
import { expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { startService } from '../support/service.ts';
import { FakeUpstream, finish, gate, says, text } from '../support/upstream.ts';
import { textOf, Wire } from '../support/wire.ts';

const RUNS = 10;
const WORDS_OF_THE_DEAD = 20;
/** What a worker says of itself at level debug. */
const figuresSchema = z.looseObject({ commits: z.record(z.string(), z.number()) });

test('every write of a worker that was given up is refused', async () => {
  const redisUrl = inject('redisUrl');
  const upstream = await FakeUpstream.start();
  const service = await startService({
    redisUrl,
    upstream,
    workers: 0,
    env: { LOG_LEVEL: 'debug' },
  });
  const admin = new Redis(redisUrl);
  onTestFinished(async () => {
    admin.disconnect();
    await service.stop();
    await upstream.stop();
  });
  await service.startWorker();

  const door = gate();
  const dead = Array.from({ length: WORDS_OF_THE_DEAD }, () => text(' dead'));
  const heard = new Set<string>();
  upstream.reply((request) => {
    const { text: said } = request;
    if (heard.has(said)) return says(`${said}, alive`);
    heard.add(said);
    return [text(said), door, ...dead, finish('stop')];
  });
  const wire = new Wire(service.baseUrl);
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const streams = await Promise.all(
    Array.from({ length: RUNS }, async (_, index) => {
      const path = `/threads/${await wire.thread(`story ${index}`)}/runs`;
      const stream = await wire.stream('POST', path, { body: { assistant_id, stream: true } });
      await stream.until('thread.message.delta');
      return { stream, path };
    }),
  );

  const [worker] = service.living.filter(({ name }) => name === 'worker 0');
  worker?.freeze();
  await service.startWorker();
  const ends = await Promise.all(streams.map(async ({ stream }) => stream.rest()));
  expect(ends.map((frames) => frames.at(-2)?.name)).toEqual(streams.map(() => 'thread.run.completed'));

  const logs = await admin.keys(`${service.redisPrefix}:*:log:*`);
  const lengths = async (): Promise<readonly number[]> =>
    Promise.all(logs.map(async (key) => admin.xlen(key)));
  const before = await lengths();
  expect(before).toHaveLength(RUNS);
  // Said while it stands still, so that it wakes with the words before it hears that its runs are others': it will write.
  const asked = upstream.requests.slice(0, RUNS);
  door.open();
  await Promise.all(asked.map(({ closed }) => closed));
  worker?.proceed();
  await Promise.all(
    Array.from({ length: RUNS }, async (_, index) => {
      let seen = 0;
      await service.waitForLog(
        (line) => line.process === 'worker 0' && line.msg === 'job' && (seen += 1) === index + 1,
      );
    }),
  );
  expect(await lengths()).toEqual(before);
  for (const { path } of streams) {
    const messages = await wire.list(path.replace('/runs', '/messages'));
    const [said = '', asked] = messages.map(textOf);
    expect(said).toBe(`${asked}, alive`);
    expect(messages).toHaveLength(2);
  }
  // Some runs it may have given up before it wrote, because it was told; of what it wrote, nothing is there.
  const endedMs = Date.now();
  const beat = await service.waitForLog(
    (line) => line.process === 'worker 0' && line.msg === 'figures' && Number(line['time']) > endedMs,
  );
  const { commits } = figuresSchema.parse(beat);
  expect(commits['refused']).toBeGreaterThan(0);
  expect(commits['run.completed']).toBeUndefined();
});
