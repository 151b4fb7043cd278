/**
 * What model servers say beside text and calls: signatures of thoughts, encrypted thoughts, fields of their own. The server
 * here refuses every request in which one is missing or altered, as Gemini and OpenRouter do; so that a conversation ends
 * with words shows that all of it came back.
 */
import { isDeepStrictEqual } from 'node:util';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { answerOf, asking, hear, post, type Chunk } from '../support/chat.ts';
import { refuses, says, type Script, type Step, type UpstreamRequest } from '../support/upstream.ts';
import { outputsOf } from '../support/wire.ts';
import { withSharedService } from '../support/shared-service.ts';

// Tools' processes come up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const { upstream, service, wire } = withSharedService();

type Fields = Readonly<Record<string, unknown>>;

/** How a server says its asides: the fragments of a completion's message and of its call, and what they add up to. */
interface Dialect {
  readonly fragments: (nth: number) => readonly Fields[];
  readonly onCall: (nth: number) => Fields;
  /** Those that come with the end of the call's arguments. */
  readonly behindCall?: (nth: number) => Fields;
  readonly message: (nth: number) => Fields;
  readonly call: (nth: number) => Fields;
}

const opaque = (name: string, nth: number): string => `opaque/${name}+${nth}==`;

const DIALECTS: Readonly<Record<string, Dialect>> = {
  'signatures of calls in extra_content': {
    fragments: () => [],
    onCall: (nth) => ({ extra_content: { google: { thought_signature: opaque('sig', nth) } } }),
    message: () => ({}),
    call: (nth) => ({ extra_content: { google: { thought_signature: opaque('sig', nth) } } }),
  },
  'reasoning_details in fragments': {
    fragments: (nth) => [
      { reasoning: 'opaque a', reasoning_details: [{ type: 'reasoning.text', text: 'opaque a', index: 0 }] },
      { reasoning_details: [{ type: 'reasoning.text', text: `, b${nth}`, index: 0, format: 'claude' }] },
      { reasoning_details: [{ type: 'reasoning.text', signature: opaque('sig', nth), index: 0 }] },
      { reasoning_details: [{ type: 'reasoning.encrypted', data: 'opaque/', index: 1, id: 'rs_1' }] },
      { reasoning_details: [{ type: 'reasoning.encrypted', data: `data${nth}`, index: 1 }] },
    ],
    onCall: () => ({}),
    message: (nth) => ({
      reasoning: 'opaque a',
      reasoning_details: [
        {
          type: 'reasoning.text',
          text: `opaque a, b${nth}`,
          index: 0,
          format: 'claude',
          signature: opaque('sig', nth),
        },
        { type: 'reasoning.encrypted', data: `opaque/data${nth}`, index: 1, id: 'rs_1' },
      ],
    }),
    call: () => ({}),
  },
  'names of its own, late': {
    fragments: (nth) => [
      { thinking_blocks: [{ type: 'redacted_thinking', data: opaque('block', nth) }] },
      { extra_content: { vertex: { thought: true } } },
      { extra_content: { vertex: { thought_signature: opaque('message', nth) } } },
    ],
    onCall: () => ({ function: { thought_signature: null }, provider_specific_fields: null }),
    behindCall: (nth) => ({
      x_state: [opaque('state', nth), nth],
      provider_specific_fields: { a: opaque('field', nth) },
      function: { thought_signature: opaque('inside', nth) },
    }),
    message: (nth) => ({
      thinking_blocks: [{ type: 'redacted_thinking', data: opaque('block', nth) }],
      extra_content: { vertex: { thought: true, thought_signature: opaque('message', nth) } },
    }),
    call: (nth) => ({
      x_state: [opaque('state', nth), nth],
      provider_specific_fields: { a: opaque('field', nth) },
      function: { thought_signature: opaque('inside', nth) },
    }),
  },
};

const chunk = (delta: object, finish: string | null = null): Step => ({ type: 'chunk', delta, finish });

/** The dialect’s `nth` call, with words before it. */
function callsTool(dialect: Dialect, nth: number, name: string): Script {
  const { function: inside, ...beside } = dialect.onCall(nth);
  const called = { name, arguments: '', ...z.looseObject({}).parse(inside ?? {}) };
  const last = dialect.behindCall?.(nth) ?? {};
  return [
    ...dialect.fragments(nth).map((fields) => chunk({ role: 'assistant', ...fields })),
    chunk({ content: 'One moment.' }),
    chunk({
      tool_calls: [{ index: 0, id: `call_${nth}_${name}`, type: 'function', function: called, ...beside }],
    }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: `{"nth":${nth}}` } }] }),
    chunk({ tool_calls: [{ index: 0, ...last }] }),
    chunk({}, 'tool_calls'),
  ];
}

type ChatMessage = UpstreamRequest['body']['messages'][number];
const turnsOf = ({ body }: UpstreamRequest): readonly ChatMessage[] =>
  body.messages.filter(({ tool_calls }) => tool_calls !== undefined);

const callSchema = z.looseObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.looseObject({ name: z.string(), arguments: z.string() }),
});

const without = (fields: Fields, ...names: readonly string[]): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));

/** What of a message with a call is not as the server said it; null where all is. */
function altered(dialect: Dialect, message: ChatMessage, bare = false): string | null {
  const { role, content, reasoning_content } = message;
  const [call] = z.tuple([callSchema]).parse(message['tool_calls']);
  const { nth } = z.object({ nth: z.number() }).parse(JSON.parse(call.function.arguments));
  const inside = without(call.function, 'name', 'arguments');
  const found = {
    message: without(message, 'role', 'content', 'tool_calls'),
    call: {
      ...without(call, 'id', 'type', 'function'),
      ...(Object.keys(inside).length > 0 && { function: inside }),
    },
  };
  const wanted = bare
    ? { message: {}, call: {} }
    : { message: dialect.message(nth), call: dialect.call(nth) };
  if (role !== 'assistant' || content !== 'One moment.') return `${role} ${JSON.stringify(content)}`;
  if (reasoning_content !== undefined) return 'reasoning_content';
  return isDeepStrictEqual(found, wanted) ? null : JSON.stringify(found);
}

const weather = {
  type: 'function' as const,
  function: { name: 'weather', parameters: { type: 'object', properties: {} } },
};
const clock = { ...weather, function: { ...weather.function, name: 'clock' } };

/** A message as a client that keeps whatever it does not know puts it together from a stream. */
function assembled(chunks: readonly Chunk[]): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const { choices } of chunks) {
    for (const [key, value] of Object.entries(choices[0]?.delta ?? {})) {
      const before = message[key];
      message[key] =
        typeof before === 'string' && typeof value === 'string' ? before + value : (value ?? before);
    }
  }
  return message;
}

describe.each(Object.entries(DIALECTS))('a server with %s', (_, dialect) => {
  // It calls the clock, which the worker answers, then twice the weather, which the client answers; then it says it.
  beforeEach(() =>
    upstream.reply((request) => {
      const turns = turnsOf(request);
      const isBare = request.body.model !== 'm';
      for (const turn of turns) {
        const found = altered(dialect, turn, isBare);
        if (found !== null) return refuses(400, `Missing or altered: ${found}`);
      }
      if (isBare || request.outputs.length === 3) return says('Sunny.');
      const isClock = turns.length === 0 && JSON.stringify(request.body.tools).includes('clock');
      return callsTool(dialect, turns.length, isClock ? 'clock' : 'weather');
    }),
  );

  test.each([true, false])(
    'gets all back from an assistant, whose clients see none (stream: %s)',
    async (stream) => {
      const body = { model: 'm', tools: [clock, weather], metadata: { auto_tools: 'clock' } };
      const { id: assistant_id } = await wire.ok('POST', '/assistants', body);
      const thread = await wire.thread('Weather?');
      const path = `/threads/${thread}/runs`;
      const shown: unknown[] = [];
      let run = await wire.play(thread, { assistant_id });
      for (let round = 0; round < 2; round++) {
        expect(run).toMatchObject({ status: 'requires_action', last_error: null });
        const outputs = { tool_outputs: outputsOf(run, 'sunny'), stream };
        const submit = `${path}/${run.id}/submit_tool_outputs`;
        shown.push(run, await wire.list(`${path}/${run.id}/steps`));
        if (stream) shown.push(await (await wire.stream('POST', submit, { body: outputs })).rest());
        else await wire.ok('POST', submit, outputs);
        run = await wire.rested(run);
      }
      expect(run).toMatchObject({ status: 'completed', last_error: null });
      shown.push(
        run,
        await wire.list(`${path}/${run.id}/steps`),
        await wire.list(`/threads/${thread}/messages`),
      );
      shown.push(await (await wire.stream('GET', `${path}/${run.id}/events`)).rest());
      expect(JSON.stringify(shown)).toContain('Sunny.');
      expect(JSON.stringify(shown)).not.toMatch(/opaque|signature|reasoning_details|asides|extra_content/);

      // A later run gets them if it asks the same model; another model is spared.
      await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'And now?' });
      upstream.reply((request) => {
        const isBare = request.body.model !== 'm';
        const found = turnsOf(request).map((turn) => altered(dialect, turn, isBare));
        return says(found.every((one) => one === null) ? `Of ${found.length} all.` : found.join());
      });
      for (const model of ['m', 'another']) {
        await wire.play(thread, { assistant_id, model });
        expect(JSON.stringify(await wire.list(`/threads/${thread}/messages?limit=1`))).toContain('Of 3 all.');
      }
    },
  );

  test.each([true, false])('gets all back from the client of a chat (stream: %s)', async (stream) => {
    const messages: object[] = [{ role: 'user', content: 'Weather?' }];
    for (let round = 0; round < 4; round++) {
      const body = { model: 'm', tools: [weather], messages, stream };
      const response = await post(`${service.baseUrl}/chat/completions`, body);
      const message = stream
        ? assembled((await hear(response)).chunks)
        : (await answerOf(response)).choices[0]?.message;
      messages.push(message ?? {});
      const [call] = z.array(z.looseObject({ id: z.string() })).parse(message?.['tool_calls'] ?? []);
      if (call === undefined) break;
      const said = z.looseObject({}).parse(message);
      expect(said).toMatchObject(dialect.message(round));
      expect(call).toMatchObject(dialect.call(round));
      messages.push({ role: 'tool', tool_call_id: call.id, content: 'sunny' });
    }
    expect(messages).toHaveLength(8);
    expect(messages.at(-1)).toMatchObject({ content: 'Sunny.' });
  });

  test.each([true, false])(
    'gets all back from a chat with a thread and its own tools (stream: %s)',
    async (stream) => {
      const body = { model: 'm', tools: [clock], metadata: { auto_tools: 'clock' } };
      const { id: model } = await wire.ok('POST', '/assistants', body);
      const asked = { model, tools: [weather], thread_id: `asides-${stream}-${model}`, stream };
      let messages: object[] = [{ role: 'user', content: 'Weather?' }];
      let message: Record<string, unknown> = {};
      for (let round = 0; round < 3; round++) {
        const response = await post(`${service.baseUrl}/chat/completions`, { ...asked, messages });
        message = stream
          ? assembled((await hear(response)).chunks)
          : z.looseObject({}).parse((await answerOf(response)).choices[0]?.message);
        const [call] = z.array(z.looseObject({ id: z.string() })).parse(message['tool_calls'] ?? []);
        if (call === undefined) break;
        // Those of the completion with the call; that of the clock was the server’s own.
        expect(message).toMatchObject(without(dialect.message(round + 1), 'reasoning'));
        expect(JSON.stringify(message)).not.toMatch(/\+0==|b0/);
        messages = [{ role: 'tool', tool_call_id: call.id, content: 'sunny' }];
      }
      expect(message).toMatchObject({ content: 'Sunny.' });
    },
  );

  test.each(['/chat/completions', '/custom_agent/chat'])('is not heard by devices at %s', async (path) => {
    const address = `${service.url}${path}?device=asides-${path}`;
    const ask = { model: '<yuntianshiren>', tools: [weather] };
    upstream.reply(() => callsTool(dialect, 0, 'weather'));
    const heard = await hear(await post(address, asking('Weather?', ask)));
    expect(heard.finish).toBe('tool_calls');
    expect(JSON.stringify(heard.chunks)).not.toMatch(/opaque|signature|x_state|extra_content/);
    const said = assembled(heard.chunks);
    const message = { ...said, reasoning_details: [{ text: 'mine' }] };
    const [call] = z.array(z.looseObject({ id: z.string() })).parse(said['tool_calls']);
    const answer = { role: 'tool', tool_call_id: call?.id, content: 'sunny' };
    upstream.reply(() => says('Sunny.'));
    const messages = [{ role: 'user', content: 'Weather?' }, message, answer];
    const second = await hear(await post(address, { ...ask, messages }));
    expect(second.text).toBe('Sunny.');
    expect(
      upstream.requests
        .slice(-1)
        .flatMap(turnsOf)
        .map((turn) => altered(dialect, turn, true)),
    ).toEqual([null]);
  });
});

test('asides of an answer in words are shown, whole, and may come back', async () => {
  const details = [{ type: 'reasoning.text', text: 'Hm.', index: 0 }];
  upstream.reply(() => [chunk({ reasoning_details: details, annotations: [{ x: 1 }] }), ...says('Hello.')]);
  const url = `${service.baseUrl}/chat/completions`;
  const whole = (await answerOf(await post(url, asking('Hi')))).choices[0]?.message;
  expect(whole).toMatchObject({ content: 'Hello.', reasoning_details: details });
  expect(whole).not.toHaveProperty('annotations');
  const { chunks, text, finish } = await hear(await post(url, asking('Hi', { stream: true })));
  expect([text, finish]).toEqual(['Hello.', 'stop']);
  expect(assembled(chunks)).toMatchObject({ reasoning_details: details });
  const messages = [{ role: 'user', content: 'Hi' }, whole, { role: 'user', content: 'Hi again' }];
  await answerOf(await post(url, { model: 'm', messages }));
  expect(upstream.requests.at(-1)?.body.messages[1]).toEqual({
    role: 'assistant',
    content: 'Hello.',
    reasoning_details: details,
  });
});
