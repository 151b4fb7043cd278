/** What is said to a busy thread with `metadata.multitask: "steer"`: the run that answers takes it in, in every protocol alike. */
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { RedisKeys } from '../../src/store/keys.ts';
import { openState } from '../../src/store/redis.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { silent } from '../store/fixture.ts';
import { problemsOf } from '../support/order.ts';
import { calls, finish, gate, text, type UpstreamRequest } from '../support/upstream.ts';
import { namesOf, runIn, saidIn, textOf, type EventStream, type WireRun } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

// Tools' processes come up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const { upstream, service, wire } = withService({ workers: 2, env: { UPSTREAM_RETRIES: '0' } });

let assistant_id: string;
let scenes = 0;
let redis: ScriptedRedis;

beforeAll(async () => {
  redis = await openState(inject('redisUrl'), 'wait', silent);
  const tools = ['weather', 'clock'].map((name) => ({ type: 'function', function: { name } }));
  ({ id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm', tools }));
});

afterAll(() => redis.disconnect());

const pathOf = ({ thread_id, id }: WireRun): string => `/threads/${thread_id}/runs/${id}`;
const eventsOf = async (run: WireRun): Promise<EventStream> => wire.stream('GET', `${pathOf(run)}/events`);

/** Waits for an event of the run. */
async function hears(run: WireRun, name: string): Promise<void> {
  const events = await eventsOf(run);
  await events.until(name);
  events.close();
}

/** A run whose model is in the middle of its answer; `finishes` lets it go on. */
async function speaking(first = `story ${(scenes += 1)}`) {
  const door = gate();
  upstream.reply((request) =>
    request.text === first ? [text('Half'), door, text(' and half'), finish('stop')] : undefined,
  );
  const thread = await wire.thread('before');
  const run = await wire.run(thread, {
    assistant_id,
    additional_messages: [{ role: 'user', content: first }],
  });
  await hears(run, 'thread.message.delta');
  return { thread, run, first, finishes: door.open };
}

const steering = (content: string, more: object = {}): object => ({
  assistant_id,
  additional_messages: [{ role: 'user', content }],
  metadata: { multitask: 'steer' },
  ...more,
});

const steer = async (thread: string, content: string): Promise<WireRun> =>
  wire.run(thread, steering(content));

/** What a thread says, oldest first. */
const said = async (thread: string): Promise<readonly string[]> =>
  (await wire.list(`/threads/${thread}/messages?order=asc`)).map(textOf);

/** What the model was told in the request that asks this. */
async function toldWith(asked: string): Promise<readonly unknown[]> {
  const { body } = await upstream.asked((request: UpstreamRequest) => request.text === asked);
  return body.messages.map(({ role, content }) => [role, content ?? null]);
}

/** Waits until these words wait for the run. */
async function waits({ thread_id: threadId, id: runId }: WireRun, words: string): Promise<void> {
  const key = new RedisKeys(service.redisPrefix).run({ project: 'default', threadId, runId });
  await expect.poll(async () => redis.hget(key, 'waiting')).toContain(words);
}

/** Strict servers want an answer between the outputs of tools and what the user says. */
const BETWEEN = ['assistant', '…'];

const name = (): string => `steer ${(scenes += 1)}`;

describe('a message for a busy thread', () => {
  test('that comes during the last answer has the model asked again', async () => {
    const { thread, run, first, finishes } = await speaking();
    const [one, two] = [name(), name()];
    expect(await steer(thread, one)).toMatchObject({ id: run.id, status: 'in_progress' });
    expect(await steer(thread, two)).toMatchObject({ id: run.id });
    expect(await said(thread)).toEqual(['before', first, 'Half']);
    finishes();
    expect(await wire.rested(run)).toMatchObject({ status: 'completed', usage: { total_tokens: 30 } });
    const told = ['before', first, 'Half and half', one, two];
    expect(await said(thread)).toEqual([...told, `You said: ${two}`]);
    expect(await toldWith(two)).toEqual([
      ['user', `before\n\n${first}`],
      ['assistant', 'Half and half'],
      ['user', `${one}\n\n${two}`],
    ]);
    expect(await wire.list(`/threads/${thread}/runs`)).toHaveLength(1);
    const frames = await (await eventsOf(run)).rest();
    const names = namesOf(frames).filter((each) => !each.endsWith('delta'));
    expect(names).toEqual([
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.completed',
      'thread.run.step.completed',
      'thread.message.created',
      'thread.message.completed',
      'thread.message.created',
      'thread.message.completed',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.completed',
      'thread.run.step.completed',
      'thread.run.completed',
      'done',
    ]);
    expect(await (await eventsOf(run)).rest()).toEqual(frames);
  });

  test('that comes during a round of tools is in the next request, behind the outputs', async () => {
    const [asked, late] = [name(), name()];
    const door = gate();
    upstream.reply((request) =>
      request.text === asked ? [door, ...calls([{ name: 'clock', arguments: {} }])] : undefined,
    );
    const thread = await wire.thread(asked);
    const run = await wire.run(thread, { assistant_id, metadata: { auto_tools: 'clock' } });
    await door.reached;
    expect(await steer(thread, late)).toMatchObject({ id: run.id });
    door.open();
    expect((await wire.rested(run)).status).toBe('completed');
    expect(await toldWith(late)).toEqual([
      ['user', asked],
      ['assistant', null],
      ['tool', expect.any(String)],
      BETWEEN,
      ['user', late],
    ]);
    expect(await said(thread)).toEqual([asked, late, `You said: ${late}`]);
  });

  test('begins a run of its own where none is under way', async () => {
    const { thread, run, finishes } = await speaking();
    finishes();
    await wire.rested(run);
    const late = name();
    const own = await steer(thread, late);
    expect(own.id).not.toBe(run.id);
    expect((await wire.rested(own)).status).toBe('completed');
    expect((await said(thread)).slice(-2)).toEqual([late, `You said: ${late}`]);
  });

  test('is refused, as ever, where it brings nothing, and where too many wait', async () => {
    const { thread, run, finishes } = await speaking();
    const path = `/threads/${thread}/runs`;
    const empty = await wire.ask('POST', path, { body: { ...steering(''), additional_messages: [] } });
    expect(empty.status).toBe(400);
    expect(empty.text).toContain(`already has an active run ${run.id}`);
    const many = Array.from({ length: 17 }, (_, n) => ({ role: 'user', content: `${n}` }));
    const body = { ...steering(''), additional_messages: many };
    expect(await wire.ask('POST', path, { body })).toMatchObject({
      status: 400,
      body: { error: { code: 'thread_busy' } },
    });
    finishes();
    await wire.rested(run);
    expect(await wire.list(path)).toHaveLength(1);
  });

  test('waits with a run for its client, and goes to the model with the outputs', async () => {
    const [asked, late] = [name(), name()];
    upstream.reply(({ text: words, outputs }) =>
      words === asked && outputs.length === 0 ? calls([{ name: 'weather', arguments: {} }]) : undefined,
    );
    const thread = await wire.thread(asked);
    const run = await wire.play(thread, { assistant_id });
    expect(run.status).toBe('requires_action');
    const body = steering(late, { stream: true });
    const frames = await (await wire.stream('POST', `/threads/${thread}/runs`, { body })).rest();
    expect(namesOf(frames)).toEqual(['thread.run.requires_action', 'done']);
    expect(runIn(frames[0])).toMatchObject({ id: run.id, required_action: run.required_action });
    expect(await said(thread)).toEqual([asked, late]);
    await wire.submit(run, 'wet');
    expect((await wire.rested(run)).status).toBe('completed');
    expect((await toldWith(late)).slice(-3)).toEqual([['tool', 'wet'], BETWEEN, ['user', late]]);
    expect(await said(thread)).toEqual([asked, late, `You said: ${late}`]);
  });

  test('is in the thread although the run is cancelled', async () => {
    const { thread, run, first } = await speaking();
    const late = name();
    await steer(thread, late);
    await wire.ok('POST', `${pathOf(run)}/cancel`);
    expect((await wire.rested(run)).status).toBe('cancelled');
    expect(await said(thread)).toEqual(['before', first, 'Half', late]);
    const names = namesOf(await (await eventsOf(run)).rest()).slice(-5);
    expect(names).toEqual([
      'thread.run.step.cancelled',
      'thread.message.created',
      'thread.message.completed',
      'thread.run.cancelled',
      'done',
    ]);
    expect((await wire.play(thread, { assistant_id })).status).toBe('completed');
  });

  test('leaves the thread with the run that is taken back', async () => {
    const { thread, run } = await speaking();
    await steer(thread, name());
    const last = steering('anew', { metadata: { multitask: 'rollback' } });
    expect((await wire.play(thread, last)).status).toBe('completed');
    expect((await wire.get(run)).status).toBe('cancelled');
    expect(await said(thread)).toEqual(['before', 'anew', 'You said: anew']);
  });

  test('comes in once, however often its request is sent under one key', async () => {
    const { thread, run, finishes } = await speaking();
    const late = name();
    const send = async () =>
      wire.ask('POST', `/threads/${thread}/runs`, {
        body: steering(late),
        headers: { 'idempotency-key': late },
      });
    const answers = [await send(), await send()];
    finishes();
    await wire.rested(run);
    answers.push(await send());
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { id: run.id } });
    expect((await said(thread)).slice(-3)).toEqual(['Half and half', late, `You said: ${late}`]);
    expect(await wire.list(`/threads/${thread}/runs`)).toHaveLength(1);
  });

  test('is streamed from where it came in', async () => {
    const { thread, run, finishes } = await speaking();
    const late = name();
    const streaming = wire.stream('POST', `/threads/${thread}/runs`, {
      body: steering(late, { stream: true }),
    });
    await waits(run, late);
    finishes();
    const frames = await (await streaming).rest();
    expect(frames[0]).toMatchObject({ name: 'thread.message.created' });
    expect(frames[1]).toMatchObject({
      name: 'thread.message.completed',
      data: { role: 'user', content: [{ text: { value: late } }] },
    });
    expect(frames.at(-2)).toMatchObject({ name: 'thread.run.completed', data: { id: run.id } });
    expect(saidIn(frames)).toBe(`You said: ${late}`);
    expect(problemsOf(frames.slice(2))).toEqual([]);
  });
});
