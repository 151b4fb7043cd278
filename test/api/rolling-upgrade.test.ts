/**
 * Two versions on one Redis. `store/fixtures/format-1.json` is what the first version left there (keys without their
 * prefix): a run that waits for a worker, one whose worker is gone, one that waits for its client, and one that has ended.
 * A later version is played by its mark on a run, and by an event of a type that is not known here.
 */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { RedisKeys, type RunRef } from '../../src/store/keys.ts';
import { openState } from '../../src/store/redis.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import formatOne from '../store/fixtures/format-1.json' with { type: 'json' };
import { silent } from '../store/fixture.ts';
import { expectRefusal } from '../support/refusal.ts';
import { startService, type Service } from '../support/service.ts';
import { FakeUpstream } from '../support/upstream.ts';
import { namesOf, saidIn, textOf, Wire } from '../support/wire.ts';

const PREFIX = `rolling-${process.pid}-${Date.now()}`;
const keys = new RedisKeys(PREFIX);
/** How long a run of the fixture had to live when it was written. */
const LIFE_S = 600;

let upstream: FakeUpstream;
let service: Service;
let wire: Wire;
let redis: ScriptedRedis;

beforeAll(async () => {
  redis = await openState(inject('redisUrl'), 'wait', silent);
  upstream = await FakeUpstream.start();
});

afterAll(async () => {
  await service?.stop();
  await upstream?.stop();
  redis.disconnect();
});

const hash = z.record(z.string(), z.string());
const stream = z.array(z.tuple([z.string(), z.tuple([z.string(), z.string()])]));
const scores = z.array(z.string());

/** Writes what a dump holds, alive for as long as its runs were to live. */
async function restore(dump: Readonly<Record<string, unknown>>): Promise<void> {
  const expiresAt = Math.floor(Date.now() / 1000) + LIFE_S;
  const young = JSON.stringify(dump).replaceAll(
    String.raw`\"expires_at\":1600`,
    String.raw`\"expires_at\":${expiresAt}`,
  );
  for (const [name, value] of Object.entries(z.record(z.string(), z.unknown()).parse(JSON.parse(young)))) {
    const key = `${PREFIX}:${name}`;
    const [entries, members] = [stream.safeParse(value), scores.safeParse(value)];
    if (typeof value === 'string') await redis.set(key, value);
    else if (entries.success) for (const [id, fields] of entries.data) await redis.xadd(key, id, ...fields);
    else if (members.success) {
      for (let i = 0; i < members.data.length; i += 2)
        await redis.zadd(key, members.data[i + 1] ?? '', members.data[i] ?? '');
    } else await redis.hset(key, hash.parse(value));
  }
}

const refOf = (name: string): RunRef => ({
  project: 'default',
  threadId: `thread_${name}`,
  runId: `run_${name}`,
});
const run = (name: string) => ({ thread_id: `thread_${name}`, id: `run_${name}` });

/** What a thread says, the newest first. */
const said = async (name: string): Promise<readonly string[]> =>
  (await wire.list(`/threads/thread_${name}/messages`)).map(textOf);

/** Marks a stored run as one of a much later version. */
async function makeNewer(name: string): Promise<string> {
  const key = keys.run(refOf(name));
  const doc: unknown = JSON.parse((await redis.hget(key, 'doc')) ?? '');
  const newer = JSON.stringify({ ...z.looseObject({}).parse(doc), v: 99 });
  await redis.hset(key, 'doc', newer);
  return newer;
}

describe('what the first version left', () => {
  beforeAll(async () => {
    await restore(formatOne);
    service = await startService({
      redisUrl: inject('redisUrl'),
      upstream,
      env: { REDIS_PREFIX: PREFIX },
    });
    wire = new Wire(service.baseUrl);
  });

  test('goes on: a run that waits for a worker, and one whose worker is gone', async () => {
    expect(await wire.rested(run('queued'))).toMatchObject({ status: 'completed' });
    expect(await said('queued')).toEqual(['You said: text of msg_queued', 'text of msg_queued']);
    expect(await wire.rested(run('talking'))).toMatchObject({ status: 'completed' });
    expect(await said('talking')).toEqual(['You said: text of msg_talking', 'text of msg_talking']);
  });

  test('asks at once, though it was to keep calm for a client that polls', async () => {
    const ref = refOf('blocked');
    const doc = z.looseObject({}).parse(JSON.parse((await redis.hget(keys.run(ref), 'doc')) ?? ''));
    const seq = await redis.hincrby(keys.run(ref), 'seq', 1);
    const calm_until_ms = Date.now() + LIFE_S * 1000;
    await redis.hset(keys.run(ref), 'doc', JSON.stringify({ ...doc, calm_until_ms }));
    const calmed = JSON.stringify({ type: 'run.calmed', at: 1001, calm_until_ms });
    await redis.xadd(keys.log(ref), `${seq}-0`, 'e', calmed);
    expect((await wire.get(run('blocked'))).status).toBe('requires_action');
  });

  test('takes the outputs it waits for', async () => {
    const waiting = await wire.get(run('blocked'));
    expect(waiting.status).toBe('requires_action');
    await wire.ok('POST', '/threads/thread_blocked/runs/run_blocked/submit_tool_outputs', {
      tool_outputs: [{ tool_call_id: 'call_1', output: 'news' }],
    });
    const events = await wire.stream('GET', '/threads/thread_blocked/runs/run_blocked/events');
    expect(namesOf(await events.rest()).at(-2)).toBe('thread.run.completed');
    const asked = await upstream.asked(({ outputs }) => outputs.length > 0);
    expect(asked.outputs).toEqual(['news']);
  });

  test('shows the model its photos, which were bare URLs', async () => {
    const ref = refOf('ended');
    const url = 'https://photos.example.com/old.jpeg';
    const [step] = Object.values(await redis.hgetall(keys.steps(ref)));
    const call = {
      id: 'call_1',
      type: 'function',
      function: { name: 'take_a_photo', arguments: '{}', output: url },
    };
    const details = { type: 'tool_calls', tool_calls: [call] };
    const photo = {
      ...z.looseObject({}).parse(JSON.parse(step ?? '')),
      id: 'step_photo',
      step_details: details,
    };
    await redis.hset(keys.steps(ref), 'step_photo', JSON.stringify(photo));
    await redis.zadd(keys.toolSteps(ref), await redis.incr(keys.order(ref)), 'step_photo');
    await wire.ok('POST', '/threads/thread_ended/messages', { role: 'user', content: 'What was it?' });
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const { status } = await wire.play('thread_ended', { assistant_id });
    expect(status).toBe('completed');
    const asked = await upstream.asked(({ text }) => text === 'What was it?');
    expect(asked.body.messages).toContainEqual({
      role: 'user',
      content: [
        { type: 'image_url', image_url: { url, detail: 'auto' } },
        { type: 'text', text: 'What was it?' },
      ],
    });
    const [answer, question] = await wire.list('/threads/thread_ended/messages');
    for (const message of [answer, question])
      await wire.ok('DELETE', `/threads/thread_ended/messages/${message?.['id']}`);
  });

  test('is told again', async () => {
    const events = await wire.stream('GET', '/threads/thread_ended/runs/run_ended/events');
    const frames = await events.rest();
    expect(saidIn(frames)).toBe('Hello');
    expect(namesOf(frames).slice(-2)).toEqual(['thread.run.completed', 'done']);
  });
});

describe('an event of a type that a later version added', () => {
  test('is passed over by streams, and does not keep them from the events behind it', async () => {
    const ref = refOf('ended');
    const log = await redis.xrange(keys.log(ref), '-', '+');
    await redis.del(keys.log(ref));
    const foreign = JSON.stringify({ type: 'run.admired', at: 1, by: 'everybody' });
    const events = log.map(([, fields]) => fields[1] ?? '').toSpliced(2, 0, foreign);
    for (const [index, event] of events.entries())
      await redis.xadd(keys.log(ref), `${index + 1}-0`, 'e', event);
    await redis.hset(keys.run(ref), 'seq', events.length);
    const frames = await (await wire.stream('GET', '/threads/thread_ended/runs/run_ended/events')).rest();
    expect(saidIn(frames)).toBe('Hello');
    const last = frames.filter(({ id }) => id !== null).at(-1);
    expect(last).toMatchObject({ name: 'thread.run.completed', id: String(events.length) });
    await service.waitForLog((line) => line['event'] === 'run.admired');
  });
});

describe('a run of a later version', () => {
  test('is left alone by worker and sweeper, with its job, and taken again when it can be read', async () => {
    await service.killWorker(0, 'SIGTERM');
    const thread = await wire.thread('hello');
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const mine = await wire.run(thread, { assistant_id });
    const name = { project: 'default', threadId: thread, runId: mine.id };
    const key = keys.run(name);
    const doc = (await redis.hget(key, 'doc')) ?? '';
    const later = JSON.stringify({ ...z.looseObject({}).parse(JSON.parse(doc)), v: 99 });
    await redis.hset(key, { doc: later, version: 'later' });
    const before = await redis.hgetall(key);
    await redis.zadd(keys.open, 1, `default/${thread}/${mine.id}`);

    const worker = await service.startWorker();
    await service.waitForLog(
      ({ process, msg, ...line }) =>
        process === `worker ${worker}` &&
        msg === 'leaving a run to a newer worker' &&
        line['run_id'] === mine.id,
    );
    await service.waitForLog(
      ({ process, msg }) => process === `worker ${worker}` && msg === 'leaving runs to a newer worker',
    );
    expect(await redis.hgetall(key)).toMatchObject({ version: before['version'], seq: before['seq'] });
    expect(await redis.zscore(keys.open, `default/${thread}/${mine.id}`)).not.toBeNull();

    await redis.hset(key, 'doc', doc);
    expect(await wire.rested(mine)).toMatchObject({ status: 'completed' });
  });

  test('is answered with 503: another API process may be newer', async () => {
    const newer = await makeNewer('ended');
    const path = '/threads/thread_ended/runs';
    const replies = [
      await wire.ask('GET', path),
      await wire.ask('GET', `${path}/run_ended`),
      await wire.ask('GET', `${path}/run_ended/events`),
      await wire.ask('POST', `${path}/run_ended/cancel`),
    ];
    for (const reply of replies) {
      expectRefusal(reply, {
        status: 503,
        type: 'server_error',
        message:
          'The run was made by a newer version of this server, which is just being rolled out. Try again in a few seconds.',
      });
      expect(reply.headers.get('retry-after')).toBe('1');
    }
    expect(await redis.hget(keys.run(refOf('ended')), 'doc')).toBe(newer);
    expect(await said('ended')).toEqual(['Hello', 'text of msg_ended']);
  });
});
