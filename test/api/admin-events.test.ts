/** `GET /admin/events`: what is told to whom, over several processes, and while Redis is away. */
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { openLook } from '../support/contents.ts';
import { startPrivateRedis, type PrivateRedis } from '../support/redis.ts';
import { startService } from '../support/service.ts';
import { gate, says } from '../support/upstream.ts';
import { namesOf, Wire, type EventStream } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const ADMIN_KEY = 'the key of the operators, and a long one';
const runSchema = z.looseObject({ id: z.string(), project: z.string(), status: z.string() });
const serviceSchema = z.looseObject({
  queue: z.object({
    waiting: z.number(),
    active: z.number(),
    delayed: z.number(),
    oldest_wait_ms: z.number(),
  }),
  workers: z.array(
    z.looseObject({ busy: z.number(), running: z.array(z.object({ run_id: z.string() }).loose()) }),
  ),
  apis: z.array(z.looseObject({ name: z.string() })),
  redis: z.object({ ok: z.boolean() }).loose(),
  first_word: z.looseObject({ count: z.number() }),
  requests: z.object({ count: z.number(), errors_4xx: z.number(), errors_5xx: z.number() }),
  upstreams: z.array(z.looseObject({ name: z.string(), requests: z.number() })),
});

const keyed = (base: () => string, key: string): Wire => new Wire(base, { authorization: `Bearer ${key}` });

async function watch(wire: Wire, query = ''): Promise<EventStream> {
  const stream = await wire.stream('GET', `/admin/events${query}`);
  onTestFinished(() => stream.close());
  return stream;
}

/** The next events of runs, up to the first of this run in this status. */
async function runsUntil(stream: EventStream, id: string, status: string): Promise<readonly string[]> {
  const told: string[] = [];
  for (;;) {
    const frame = (await stream.until('run')).at(-1);
    const run = runSchema.parse(frame?.data);
    told.push(`${run.id} ${run.status}`);
    if (run.id === id && run.status === status) return told;
  }
}

describe('with keys of callers, two APIs and a worker', () => {
  const { upstream, service } = withService({
    apis: 2,
    env: { AUTH: 'passthrough', SECRET: 'the secret of these tests', ADMIN_KEY },
  });
  const at = (index: number, key: string): Wire => keyed(() => `${service.origins[index] ?? ''}/v1`, key);

  test('a caller is told what becomes of the runs of its project, at every API, and nothing else', async () => {
    upstream.reply(() => says('well'));
    const [here, there, other] = [at(0, 'one'), at(1, 'one'), at(1, 'two')];
    const streams = await Promise.all([watch(here), watch(there)]);
    for (const stream of streams) {
      expect(await stream.next()).toMatchObject({
        name: 'hello',
        data: { object: 'admin.hello', operator: false, auth: 'passthrough', demo: false, version: '0.1.0' },
      });
    }
    const { id: others } = await other.ok('POST', '/assistants', { model: 'm' });
    await other.play(await other.thread('hello'), { assistant_id: others });
    const { id: assistant_id } = await here.ok('POST', '/assistants', { model: 'm' });
    const { id } = await here.play(await here.thread('hello'), { assistant_id });
    const order = [`${id} queued`, `${id} in_progress`, `${id} completed`];
    for (const stream of streams) {
      const told = await runsUntil(stream, id, 'completed');
      // In their order; but what the worker's news have overtaken is left out.
      expect(order.filter((each) => told.includes(each))).toEqual(told);
    }
  });

  test('a reader that does not read loses events, is told so, and goes on', async () => {
    const redis = openLook(inject('redisUrl'));
    onTestFinished(() => redis.disconnect());
    const reader = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { authorization: `Bearer ${ADMIN_KEY}` };
      const asking = request(`${service.baseUrl}/admin/events?history_s=0`, { headers, agent: false });
      asking.once('error', reject);
      asking.once('response', (response) => resolve(response));
      asking.end();
    });
    onTestFinished(() => void reader.destroy());
    let read = '';
    reader.setEncoding('utf8').on('data', (text: string) => (read += text));
    const until = async (words: string): Promise<void> => {
      while (!read.includes(words)) await once(reader, 'data');
    };
    await until('event: hello');
    reader.pause();
    const tell = async (words: string): Promise<unknown> =>
      redis.spublish(`${service.redisPrefix}:news`, `default run_told 1 ${JSON.stringify({ words })}`);
    // More than the buffers on the way hold.
    for (let count = 0; count < 400; count += 1) await tell(`lost ${'x'.repeat(100_000)}`);
    const other = await watch(at(0, ADMIN_KEY), '?history_s=0');
    await other.until('hello');
    reader.resume();
    await until('event: lagged');
    await tell('the end');
    await until('the end');
    expect(read.split('lost ').length).toBeLessThan(400);
  });

  test('only operators watch another project, or all', async () => {
    for (const query of ['?project=*', '?project=default'])
      expect(await at(0, 'one').ask('GET', `/admin/events${query}`)).toMatchObject({
        status: 403,
        body: { error: { code: 'operator_needed' } },
      });
    upstream.reply(() => says('well'));
    const all = await watch(at(0, ADMIN_KEY), '?project=*');
    const own = await watch(at(0, ADMIN_KEY));
    await Promise.all([all.until('hello'), own.until('hello')]);
    const caller = at(1, 'one');
    const { id: assistant_id } = await caller.ok('POST', '/assistants', { model: 'm' });
    const { id } = await caller.play(await caller.thread('hello'), { assistant_id });
    expect(await runsUntil(all, id, 'completed')).toContain(`${id} completed`);
    const admin = at(1, ADMIN_KEY);
    const { id: ours } = await admin.ok('POST', '/assistants', { model: 'm' });
    const run = await admin.play(await admin.thread('hello'), { assistant_id: ours });
    expect((await runsUntil(own, run.id, 'completed'))[0]).toBe(`${run.id} queued`);
  });

  test('operators are told of the service: of both APIs, of the worker and its runs', async () => {
    const door = gate();
    upstream.reply(() => [door, ...says('well')]);
    const caller = at(1, 'one');
    const { id: assistant_id } = await caller.ok('POST', '/assistants', { model: 'm' });
    const { id } = await caller.run(await caller.thread('hello'), { assistant_id });
    await door.reached;
    const stream = await watch(at(0, ADMIN_KEY), '?history_s=0');
    expect(await stream.next()).toMatchObject({ name: 'hello', data: { operator: true } });
    for (;;) {
      const view = serviceSchema.parse((await stream.until('service')).at(-1)?.data);
      expect(view.redis.ok).toBe(true);
      const running = view.workers.flatMap((worker) => worker.running.map(({ run_id }) => run_id));
      if (running.includes(id) && view.apis.length === 2) break;
    }
    door.open();
  });
});

test('a stream ends when its process is told to stop, and does not keep it', async () => {
  const service = await startService({
    redisUrl: inject('redisUrl'),
    workers: 0,
    env: { DRAIN_MS: '600000' },
  });
  const stream = await watch(new Wire(service.baseUrl));
  await stream.until('hello');
  const [stopped, rest] = await Promise.all([service.stop(), stream.rest()]);
  expect(stopped).toBeUndefined();
  expect(rest.every(({ name }) => name === 'service')).toBe(true);
});

describe('where Redis goes away', () => {
  let redis: PrivateRedis;
  beforeAll(async () => {
    redis = await startPrivateRedis('everysec');
  });
  afterAll(async () => {
    await redis?.stop();
  });
  const { upstream, wire } = withService(() => ({ redisUrl: redis.url, workers: 1 }));

  test('the stream says so, goes on when it is back, and says that something may be missing', async () => {
    upstream.reply(() => says('well'));
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const thread = await wire.thread('hello');
    const stream = await watch(wire, '?history_s=0');
    await stream.until('hello');
    await redis.crash();
    await stream.until('away');
    await stream.until('service');
    const late = await watch(wire, '?history_s=0');
    expect(namesOf(await late.until('away'))).toEqual(['hello', 'away']);
    await redis.restart();
    await stream.until('lagged');
    await late.until('lagged');
    let { status } = await wire.ask('GET', '/runs');
    while (status !== 200) ({ status } = await wire.ask('GET', '/runs'));
    const { id } = await wire.run(thread, { assistant_id });
    expect(await runsUntil(stream, id, 'completed')).toContain(`${id} queued`);
    const names = namesOf(await stream.until('service'));
    expect(names.at(-1)).toBe('service');
  });
});
