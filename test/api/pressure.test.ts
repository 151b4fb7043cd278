/** A service that has too much to do says so at once, before anything is stored, and says when to come back. */
import { setImmediate as soon } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { Admission } from '../../src/turns/admission.ts';
import { lookUntil } from '../support/looks.ts';
import { startPrivateRedis } from '../support/redis.ts';
import { expectRefusal } from '../support/refusal.ts';
import { startService, type Service } from '../support/service.ts';
import { FakeUpstream, gate, says } from '../support/upstream.ts';
import { Wire, type Reply } from '../support/wire.ts';

let upstream: FakeUpstream;
let service: Service;
let wire: Wire;
let assistant_id: string;

const ready = (url = service.url): Promise<Reply> => new Wire(url).ask('GET', '/ready');
const readySchema = z.looseObject({ because: z.array(z.string()) });

/** Why the service is not ready. On a busy machine its event loop may be late, too, which only one test is about. */
async function reasons(url = service.url): Promise<readonly string[]> {
  return readySchema.parse((await ready(url)).body).because.filter((reason) => reason !== 'event_loop');
}

/** Starts a service with these limits for the tests of a block. */
function serve(workers: number, env: Readonly<Record<string, string>>): void {
  beforeAll(async () => {
    upstream = await FakeUpstream.start();
    service = await startService({
      redisUrl: inject('redisUrl'),
      upstream,
      workers,
      env: { DRAIN_MS: '0', ...env },
    });
    wire = new Wire(service.baseUrl, { authorization: 'Bearer any' });
    assistant_id = (await wire.ok('POST', '/assistants', { model: 'm', name: 'Helper' })).id;
  });
  afterAll(async () => {
    await service.stop();
    await upstream.stop();
  });
}

describe('a full queue', () => {
  serve(0, { MAX_WAITING_RUNS: '2' });
  const limit = {
    status: 429,
    type: 'requests',
    code: 'rate_limit_exceeded',
    message: 'Too many runs are waiting for a worker. Try again in a few seconds.',
  };

  /** Shows A-RETRY-04. */
  test('refuses further runs of every kind with 429, and stores nothing of them', async () => {
    await wire.run(await wire.thread('1'), { assistant_id });
    await wire.run(await wire.thread('2'), { assistant_id });
    const thread = await wire.thread('3');
    const messages = [{ role: 'user', content: '4' }];
    const replies = [
      await wire.ask('POST', `/threads/${thread}/runs`, { body: { assistant_id } }),
      await wire.ask('POST', '/threads/runs', { body: { assistant_id, stream: true } }),
      await wire.ask('POST', '/chat/completions', { body: { model: 'm', messages } }),
      await wire.ask('POST', '/chat/completions', { body: { model: 'm', messages, stream: true } }),
    ];
    for (const reply of replies) {
      expectRefusal(reply, limit);
      const seconds = Number(reply.headers.get('retry-after'));
      const ms = Number(reply.headers.get('retry-after-ms'));
      expect(ms).toBeGreaterThanOrEqual(2_000);
      expect(seconds).toBe(Math.ceil(ms / 1_000));
    }
    const agent = await wire.ask('POST', `/routes/open/${assistant_id}/execute`, { body: { query: 'x' } });
    expect(agent.status).toBe(429);
    expect(await wire.list(`/threads/${thread}/runs`)).toEqual([]);
    await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'x' });
  });

  test('makes the service not ready, and everything else goes on', async () => {
    const { status, body } = await ready();
    expect(status).toBe(503);
    expect(body).toMatchObject({ status: 'not ready', redis: true });
    expect(await reasons()).toEqual(['workers', 'queue']);
    expect(await wire.ask('GET', '/assistants')).toMatchObject({ status: 200 });
  });

  test('takes runs again when workers have made room, and SDKs wait for that by themselves', async () => {
    const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 5 });
    const messages = [{ role: 'user', content: 'hello' }] as const;
    const answer = openai.chat.completions.create({ model: 'm', messages: [...messages] });
    await service.startWorker();
    expect((await answer).choices[0]?.message.content).toBe('You said: hello');
    expect(await reasons()).toEqual([]);
  });
});

describe('as many open runs as a project may have', () => {
  serve(0, {
    MAX_OPEN_RUNS_PER_PROJECT: '1',
    AUTH: 'passthrough',
    SECRET: 'the secret of these tests',
  });
  /** An assistant, and what asks for a run of it in a thread; the same thread each time. */
  async function asking(key: string): Promise<{ by: Wire; again: () => Promise<Reply>; thread: string }> {
    const by = new Wire(service.baseUrl, { authorization: `Bearer ${key}` });
    const { id } = await by.ok('POST', '/assistants', { model: 'm' });
    const thread = await by.thread('x');
    const again = (): Promise<Reply> =>
      by.ask('POST', `/threads/${thread}/runs`, { body: { assistant_id: id } });
    return { by, again, thread };
  }

  test('refuse further ones of that project with 429, until one of them ends', async () => {
    const { by, again, thread } = await asking('one');
    const first = await again();
    expect(first.status).toBe(200);
    // A run that is created at the moment of a look is counted by the next one; its thread is busy until then.
    const refused = await lookUntil(again, ({ status }) => status !== 400);
    expectRefusal(refused, {
      status: 429,
      type: 'requests',
      code: 'rate_limit_exceeded',
      message: /as many runs open as it may have \(1\)/,
    });
    expect(Number(refused.headers.get('retry-after-ms'))).toBeGreaterThanOrEqual(2_000);
    expect((await (await asking('another')).again()).status).toBe(200);
    const [open] = await by.list(`/threads/${thread}/runs`);
    await by.ok('POST', `/threads/${thread}/runs/${open?.id}/cancel`, {});
    // Counted once a second.
    const next = await lookUntil(again, ({ status }) => status !== 429);
    expect(next.status).toBe(200);
  });
});

describe('as many streams as there may be', () => {
  serve(1, { MAX_STREAMS: '1' });

  /** Shows A-RETRY-03. */
  test('refuse further ones with 503, without a run, until one of them ends', async () => {
    const door = gate();
    upstream.reply(() => [door, ...says('well')]);
    const thread = await wire.thread('1');
    const body = { assistant_id, stream: true };
    const messages = [{ role: 'user', content: 'x' }];
    const first = await wire.stream('POST', '/threads/runs', { body: { ...body, thread: { messages } } });
    await door.reached;
    const path = `/threads/${thread}/runs`;
    const again = { body, headers: { 'idempotency-key': 'again' } };
    const replies = [
      await wire.ask('POST', path, { body }),
      await wire.ask('POST', path, again),
      await wire.ask('POST', '/chat/completions', { body: { model: 'm', messages, stream: true } }),
    ];
    for (const reply of replies) {
      expectRefusal(reply, {
        status: 503,
        type: 'server_error',
        code: 'too_many_streams',
        message:
          'Too many streams are open on this server. Try again in a few seconds, or poll the run instead.',
      });
      expect(reply.headers.get('retry-after')).toBe('1');
    }
    expect((await ready()).status).toBe(503);
    expect(await reasons()).toEqual(['streams']);
    const quiet = await wire.run(thread, { assistant_id });
    const watch = await wire.ask('GET', `${path}/${quiet.id}/events`);
    expect(watch.status).toBe(503);
    door.open();
    await first.rest();
    await lookUntil(ready, ({ status }) => status === 200);
    expect(await wire.rested(quiet)).toMatchObject({ status: 'completed' });
    await lookUntil(ready, ({ status }) => status === 200);
    expect((await wire.ask('POST', path, again)).status).toBe(200);
  });
});

describe('too little memory', () => {
  serve(1, { MAX_MEMORY_MB: '1' });

  test('makes the process not ready, before anything is refused', async () => {
    expect((await ready()).status).toBe(503);
    expect(await reasons()).toEqual(['memory']);
    await wire.run(await wire.thread('hello'), { assistant_id });
  });
});

/** Shows A-RETRY-03. */
test('without Redis everything is refused at once, with the time to come back', async () => {
  const redis = await startPrivateRedis();
  const lonely = await startService({ redisUrl: redis.url, workers: 0 });
  try {
    const api = new Wire(lonely.baseUrl);
    const { id } = await api.ok('POST', '/assistants', { model: 'm' });
    await redis.stop();
    await lonely.waitForLog(({ msg }) => msg === 'lost Redis');
    const thread = { messages: [{ role: 'user', content: 'x' }] };
    const replies = [
      await api.ask('POST', '/threads/runs', { body: { assistant_id: id, thread, stream: true } }),
      await api.ask('GET', `/assistants/${id}`),
    ];
    for (const reply of replies) {
      expectRefusal(reply, { status: 503, type: 'server_error', message: /cannot reach its storage/ });
      expect(reply.headers.get('retry-after')).toBe('1');
      expect(reply.headers.get('retry-after-ms')).toBe('1000');
    }
    expect(await ready(lonely.url)).toMatchObject({ status: 503, body: { redis: false } });
    expect(await reasons(lonely.url)).toEqual(['redis']);
  } finally {
    await redis.stop();
    await lonely.stop();
  }
});

describe('admission', () => {
  function admission(
    waiting = async () => 0,
    openRuns = async (): Promise<ReadonlyMap<string, number>> => new Map(),
    maxOpenRunsPerProject = 0,
  ): Admission {
    const limits = { maxWaitingRuns: 3, maxStreams: 1, maxForwarded: 1, maxOpenRunsPerProject };
    const backlog = async () => ({ waiting: await waiting(), oldestMs: 0 });
    const made = new Admission(limits, { backlog, openRuns });
    onTestFinished(() => made.close());
    return made;
  }

  test('counts the runs that were admitted since the queue was last looked at', async () => {
    let waiting = 1;
    const counted = admission(async () => waiting);
    // Its first look is under way.
    await soon();
    counted.admitRun('p');
    counted.admitRun('p');
    expect(() => counted.admitRun('p')).toThrow('Too many runs');
    waiting = 2;
    await counted.look();
    counted.admitRun('p');
    expect(() => counted.admitRun('p')).toThrow('Too many runs');
  });

  test('counts the open runs of each project, and those admitted since for it', async () => {
    let open = new Map([['busy', 1]]);
    const counted = admission(
      async () => 0,
      async () => open,
      2,
    );
    // Its first look is under way.
    await soon();
    counted.admitRun('busy');
    expect(() => counted.admitRun('busy')).toThrow('as it may have (2)');
    counted.admitRun('idle');
    open = new Map([['idle', 1]]);
    await counted.look();
    counted.admitRun('busy');
    counted.admitRun('idle');
    expect(() => counted.admitRun('idle')).toThrow('as it may have (2)');
  });

  test('counts a run that is admitted while it looks', async () => {
    const counting = Promise.withResolvers<ReadonlyMap<string, number>>();
    const counted = admission(
      async () => 0,
      () => counting.promise,
      1,
    );
    counted.admitRun('p');
    counting.resolve(new Map());
    await soon();
    expect(() => counted.admitRun('p')).toThrow('as it may have (1)');
  });

  test('does not count what nobody limits', async () => {
    let asked = 0;
    const counted = admission(
      async () => 0,
      async () => {
        asked += 1;
        return new Map([['p', 100]]);
      },
    );
    await counted.look();
    counted.admitRun('p');
    expect(asked).toBe(0);
  });

  test('keeps what it knows while Redis is away', async () => {
    let waiting = Promise.resolve(3);
    const counted = admission(() => waiting);
    // Its first look is under way.
    await soon();
    expect(counted.problems).toContain('queue');
    waiting = Promise.reject(new Error('Connection is closed'));
    await counted.look();
    expect(counted.problems).toContain('queue');
  });

  test('comes from an event loop that is late again and again, not from one long moment', async () => {
    const counted = admission();
    const pause = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));
    const block = async (): Promise<void> => {
      const untilMs = performance.now() + 1_200;
      while (performance.now() < untilMs);
      await pause();
    };
    await pause();
    await block();
    expect(counted.problems).toEqual([]);
    await block();
    await block();
    expect(counted.problems).toEqual(['event_loop']);
    expect(counted.loopDelayMs).toBeGreaterThan(1_000);
  });
});
