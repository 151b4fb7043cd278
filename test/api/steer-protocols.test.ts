/** Steering as the official SDKs, chats and the Responses API see it, and when workers are lost on the way. */
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { RedisKeys } from '../../src/store/keys.ts';
import { openState } from '../../src/store/redis.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { silent } from '../store/fixture.ts';
import { asking, hear, post, textOf as chatText } from '../support/chat.ts';
import { problemsOf } from '../support/order.ts';
import { SDKS } from '../support/sdks.ts';
import { startService, type Service } from '../support/service.ts';
import { calls, finish, gate, text } from '../support/upstream.ts';
import { textOf, Wire, type WireRun } from '../support/wire.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service, wire } = withSharedService({ UPSTREAM_RETRIES: '0' });

let assistant_id: string;
let redis: ScriptedRedis;
let client: OpenAI;
let scenes = 0;

beforeAll(async () => {
  redis = await openState(inject('redisUrl'), 'wait', silent);
  ({ id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' }));
});

beforeEach(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
});

afterAll(() => redis.disconnect());

const name = (): string => `scene ${(scenes += 1)}`;
const metadata = { multitask: 'steer' };

/** The model stops in the middle of its answer to `first`, until `finishes` lets it go on. */
function stopping(first: string) {
  const door = gate();
  upstream.reply((request) =>
    request.text === first ? [text('Half'), door, text(' and half'), finish('stop')] : undefined,
  );
  return { reached: door.reached, finishes: door.open };
}

/** Waits until these words wait for the run that holds a thread. */
async function waits(threadId: string, words: string, prefix = service.redisPrefix): Promise<void> {
  const keys = new RedisKeys(prefix);
  const ref = { project: 'default', threadId };
  const runId = (await redis.get(keys.active(ref))) ?? '';
  await expect.poll(async () => redis.hget(keys.run({ ...ref, runId }), 'waiting')).toContain(words);
}

async function said(thread: string, on = wire): Promise<readonly string[]> {
  return (await on.list(`/threads/${thread}/messages?order=asc`)).map(textOf);
}

describe.each(SDKS)('$name', ({ connect }) => {
  test('bears a message of its user in the middle of a stream, and a stream that begins with one', async () => {
    const sdk = connect(service.baseUrl, 'any');
    const [first, late] = [name(), name()];
    const { reached, finishes } = stopping(first);
    const { id: thread } = await sdk.createThread([{ role: 'user', content: first }]);
    const stream = sdk.stream(thread, { assistant_id });
    const run = stream.finalRun();
    const messages = stream.finalMessages();
    await reached;
    const body = { assistant_id, metadata, additional_messages: [{ role: 'user', content: late }] };
    const steering = sdk.stream(thread, body);
    const steered = steering.finalMessages();
    await waits(thread, late);
    finishes();
    const answer = `You said: ${late}`;
    expect((await messages).map(textOf)).toEqual(['Half and half', late, answer]);
    expect((await messages).map(({ role }) => role)).toEqual(['assistant', 'user', 'assistant']);
    expect((await steered).map(textOf)).toEqual([late, answer]);
    expect(await steering.finalRun()).toMatchObject({ id: (await run).id, status: 'completed' });
    expect(await said(thread)).toEqual([first, 'Half and half', late, answer]);
  });
});

describe('a chat', () => {
  const url = (): string => `${service.baseUrl}/chat/completions`;
  const turn = (thread_id: string, words: string, more: object = {}): object =>
    asking(words, { thread_id, metadata, ...more });

  test('is answered by the run under way, from where it came in', async () => {
    const [first, late] = [name(), name()];
    const { reached, finishes } = stopping(first);
    const thread = await wire.thread('before');
    const begun = post(url(), turn(thread, first, { stream: true })).then(async (reply) => hear(reply));
    await reached;
    const whole = post(url(), turn(thread, late)).then(chatText);
    await waits(thread, late);
    // The same turn again: it is not said twice.
    const again = post(url(), turn(thread, late, { stream: true })).then(async (reply) => hear(reply));
    const other = post(url(), turn(thread, `${late}!`)).then(chatText);
    await waits(thread, `${late}!`);
    finishes();
    const answer = `You said: ${late}!`;
    expect(await whole).toBe(answer);
    expect((await again).text).toBe(answer);
    expect(await other).toBe(answer);
    expect((await begun).text).toBe(`Half and half\n\n${answer}`);
    expect(await said(thread)).toEqual(['before', first, 'Half and half', late, `${late}!`, answer]);
    expect(await wire.list(`/threads/${thread}/runs`)).toHaveLength(1);
  });

  test('keeps the run going when the caller that began it hangs up', async () => {
    const [first, late] = [name(), name()];
    const { reached, finishes } = stopping(first);
    const thread = await wire.thread('before');
    const hangUp = new AbortController();
    const begun = post(url(), turn(thread, first, { stream: true }), { signal: hangUp.signal });
    await reached;
    await begun;
    const steering = post(url(), turn(thread, late)).then(chatText);
    await waits(thread, late);
    hangUp.abort();
    finishes();
    expect(await steering).toBe(`You said: ${late}`);
  });

  test('hears what the run waits for, where that is its client', async () => {
    const [first, late] = [name(), name()];
    upstream.reply(({ text: asked, outputs }) =>
      asked === first && outputs.length === 0 ? calls([{ name: 'weather', arguments: {} }]) : undefined,
    );
    const tools = [{ type: 'function', function: { name: 'weather' } }];
    const thread = await wire.thread('before');
    const asked = await hear(await post(url(), turn(thread, first, { stream: true, tools })));
    expect(asked.finish).toBe('tool_calls');
    const steered = await hear(await post(url(), turn(thread, late, { stream: true, tools })));
    expect(steered.finish).toBe('tool_calls');
    const [call] = steered.chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
    const tool_call_id = String(Reflect.get(Object(call), 'id'));
    const messages = [{ role: 'tool', tool_call_id, content: 'wet' }];
    const answer = await post(url(), { model: 'm', thread_id: thread, messages, tools, metadata });
    expect(await chatText(answer)).toBe(`You said: ${late}`);
    expect(await said(thread)).toEqual(['before', first, late, `You said: ${late}`]);
  });

  test('comes in once under one key', async () => {
    const [first, late] = [name(), name()];
    const { reached, finishes } = stopping(first);
    const thread = await wire.thread('before');
    const begun = post(url(), turn(thread, first));
    await reached;
    const send = async () => post(url(), turn(thread, late), { headers: { 'idempotency-key': late } });
    const sent = send();
    await waits(thread, late);
    finishes();
    const answer = `You said: ${late}`;
    expect(await chatText(await sent)).toBe(answer);
    expect(await chatText(await send())).toBe(answer);
    await begun;
    expect(await said(thread)).toEqual(['before', first, 'Half and half', late, answer]);
  });
});

describe('a response in a conversation', () => {
  test('is taken in by the one that is being made, which answers both', async () => {
    const [first, late] = [name(), name()];
    const { reached, finishes } = stopping(first);
    const { id: conversation } = await client.conversations.create();
    const begun = client.responses.create({ model: 'm', input: first, conversation });
    await reached;
    const input = [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: late },
    ] as const;
    const whole = client.responses.create({ model: 'm', input: [...input], conversation, metadata });
    await waits(conversation.replace('conv_', 'thread_'), late);
    const background = await client.responses.create({
      model: 'm',
      input: 'and more',
      conversation,
      metadata,
      background: true,
    });
    const stream = client.responses.stream({ model: 'm', input: 'at last', conversation, metadata });
    const events: string[] = [];
    const reading = (async () => {
      for await (const { type } of stream) events.push(type);
    })();
    await waits(conversation.replace('conv_', 'thread_'), 'at last');
    finishes();
    const response = await begun;
    expect(background).toMatchObject({ id: response.id, status: 'in_progress' });
    expect(response.output.map((item) => ('content' in item ? item.content : null))).toMatchObject([
      [{ text: 'Half and half' }],
      [{ text: 'You said: at last' }],
    ]);
    expect(await whole).toEqual(response);
    expect(await stream.finalResponse()).toMatchObject({ id: response.id, output: response.output });
    await reading;
    const replay = await Array.fromAsync(await client.responses.retrieve(response.id, { stream: true }));
    expect(replay.map(({ type }) => type)).toEqual(events);
    expect(replay.map(({ sequence_number: at }) => at)).toEqual([...events.keys()]);
    expect(await Array.fromAsync(await client.responses.retrieve(response.id, { stream: true }))).toEqual(
      replay,
    );
    const items = await client.conversations.items.list(conversation, { order: 'asc' });
    expect(items.data.map((item) => ('role' in item ? item.role : null))).toEqual([
      'user',
      'assistant',
      'developer',
      'user',
      'user',
      'user',
      'assistant',
    ]);
    const { body } = await upstream.asked((request) => request.text === 'at last');
    expect(body.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'system', 'user']);
  });

  test('brings messages only', async () => {
    const first = name();
    const { reached, finishes } = stopping(first);
    const { id: conversation } = await client.conversations.create();
    const begun = client.responses.create({ model: 'm', input: first, conversation });
    await reached;
    const input = [
      { type: 'function_call', call_id: 'call_1', name: 'look_up', arguments: '{}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'news' },
    ] as const;
    const refused = client.responses.create({ model: 'm', input: [...input], conversation, metadata });
    await expect(refused).rejects.toMatchObject({ status: 400, param: 'input[0]', code: 'invalid_value' });
    finishes();
    expect((await begun).output_text).toBe('Half and half');
  });

  test('joins behind calls that are left to the client', async () => {
    const [first, late] = [name(), name()];
    const door = gate();
    upstream.reply(({ text: asked, outputs }) =>
      asked === first && outputs.length === 0
        ? [door, ...calls([{ name: 'look_up', arguments: {} }])]
        : undefined,
    );
    const { id: conversation } = await client.conversations.create();
    const tools = [{ type: 'function', name: 'look_up', parameters: {}, strict: false }] as const;
    const settings = { model: 'm', conversation, tools: [...tools] };
    const begun = client.responses.create({ ...settings, input: first });
    await door.reached;
    const steering = client.responses.create({ ...settings, input: late, metadata });
    await waits(conversation.replace('conv_', 'thread_'), late);
    door.open();
    const [call] = (await begun).output;
    expect(await steering).toEqual(await begun);
    if (call?.type !== 'function_call') throw new Error('it was to call');
    const output = { type: 'function_call_output', call_id: call.call_id, output: 'news' } as const;
    const next = await client.responses.create({ ...settings, input: [output] });
    expect(next.output_text).toBe(`You said: ${late}`);
    const { body } = await upstream.asked((request) => request.text === late);
    expect(body.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'user']);
  });
});

describe('a worker that is killed', () => {
  let own: Service;
  let on: Wire;
  /** The number of the worker that lives. */
  let worker = 0;
  beforeAll(async () => {
    own = await startService({
      redisUrl: inject('redisUrl'),
      upstream,
      env: { DRAIN_MS: '0', UPSTREAM_RETRIES: '0' },
    });
    on = new Wire(own.baseUrl);
  });
  afterAll(() => own?.stop());

  test.each(['while it waits', 'when it has come in'])('loses no message %s', async (when) => {
    const [first, late] = [name(), name()];
    const doors = [gate(), gate()];
    let asked = 0;
    upstream.reply((request) => {
      const isFirst = request.text === first;
      const door = isFirst ? doors[0] : doors[1];
      asked += request.text === late ? 1 : 0;
      if (door === undefined || (!isFirst && (request.text !== late || asked > 1))) return undefined;
      return [text(isFirst ? 'Half' : 'Lost'), door, text(' and half'), finish('stop')];
    });
    const thread = await on.thread(first);
    const { id } = await on.ok('POST', '/assistants', { model: 'm' });
    const run = await on.run(thread, { assistant_id: id });
    await doors[0]?.reached;
    const additional_messages = [{ role: 'user', content: late }];
    const steered: WireRun = await on.run(thread, { assistant_id: id, metadata, additional_messages });
    expect(steered.id).toBe(run.id);
    const isIn = when === 'when it has come in';
    if (isIn) {
      doors[0]?.open();
      await doors[1]?.reached;
    }
    asked = isIn ? 1 : 2;
    await own.killWorker(worker);
    worker = await own.startWorker();
    expect(await on.rested(run)).toMatchObject({ status: 'completed' });
    const half = isIn ? ['Half and half'] : [];
    expect(await said(thread, on)).toEqual([first, ...half, late, `You said: ${late}`]);
    const events = await on.stream('GET', `/threads/${thread}/runs/${run.id}/events`);
    const frames = (await events.rest()).map((frame) => ({ ...frame, id: null }));
    const isOfUser = ({ data }: { data: unknown }): boolean => Reflect.get(Object(data), 'role') === 'user';
    expect(frames.filter(isOfUser)).toHaveLength(2);
    expect(problemsOf(frames.filter((frame) => !isOfUser(frame)))).toEqual([]);
  });
});
