/**
 * Model servers that refuse tools, pictures or parameters, behind every path: what can be done without is left out,
 * the caller is told of the rest, and `/v1/models` tells what was learned.
 */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { answerOf, asking, hear, post, refusalOf } from '../support/chat.ts';
import { calls, refuses, says, type Script, type UpstreamRequest } from '../support/upstream.ts';
import { outputsOf } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const { upstream, service, wire } = withService();

const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    parameters: { type: 'object', properties: {}, required: [], additionalProperties: false },
    strict: true,
  },
};
const PHOTO = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
const inStream = (message: string): Script => [
  { type: 'line', line: `data: ${JSON.stringify({ error: { message, code: 400 } })}` },
];

/** How each model refuses: `tools …`, `eyes …`, `seed …`, with `stream` in its name within its stream. */
function strict({ body, outputs }: UpstreamRequest): Script {
  const { model, tools, messages } = body;
  const refusing = (message: string): Script =>
    model.includes('stream') ? inStream(message) : refuses(400, message);
  const all = JSON.stringify(messages);
  if (model.startsWith('tools') && (tools !== undefined || all.includes('"tool_calls"')))
    return refusing(`${model} does not support tools`);
  if (model.startsWith('eyes') && all.includes('image_url'))
    return refusing(`${model} is not a multimodal model`);
  if (model.startsWith('seed') && 'seed' in body) return refusing("Unknown parameter: 'seed'.");
  if (model.startsWith('strict') && JSON.stringify(tools ?? []).includes('"strict"'))
    return refusing("tools.0.function.strict: property 'strict' is unsupported");
  return tools === undefined || outputs.length > 0
    ? says('Fine.')
    : calls([{ name: 'weather', arguments: {} }]);
}

beforeEach(() => upstream.reply(strict));

const asked = (model: string) => upstream.requests.filter(({ body }) => body.model === model);
const path = (name: 'glasses' | 'voice' | 'chat'): string =>
  service.url +
  { glasses: '/custom_agent/chat', voice: '/chat/completions', chat: '/v1/chat/completions' }[name];

const listSchema = z.object({
  data: z.array(
    z.looseObject({ id: z.string(), longrun: z.looseObject({ omitted: z.array(z.string()) }).optional() }),
  ),
});

describe.each(['', ' stream'])('a model without tools%s', (how) => {
  test.each(['glasses', 'voice'] as const)(
    'serves %s without them, at the first question',
    async (device) => {
      const model = `tools ${device}${how}`;
      for (const count of [2, 3]) {
        const heard = await hear(
          await post(path(device), asking('Hello?', { model, tools: [weather], stream: true })),
        );
        expect([heard.text.trim(), heard.error]).toEqual(['Fine.', null]);
        expect(asked(model)).toHaveLength(count);
      }
    },
  );

  test("tells an assistant's caller what the server said, and what the operator can do", async () => {
    const model = `tools run${how}`;
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model, tools: [weather] });
    const run = await wire.play(await wire.thread('Weather?'), { assistant_id });
    expect(run).toMatchObject({ status: 'failed', last_error: { code: 'invalid_prompt' } });
    expect(run.last_error?.message).toContain(`${model} does not support tools`);
    expect(run.last_error?.message).toContain('--tool-call-parser');
    expect(asked(model)).toHaveLength(1);
  });

  test('tells a program that chats, streams or not', async () => {
    const model = `tools chat${how}`;
    for (const stream of [false, true]) {
      const reply = await post(path('chat'), asking('Weather?', { model, tools: [weather], stream }));
      expect(await refusalOf(reply)).toMatchObject({
        status: 400,
        message: expect.stringContaining(model) as unknown,
      });
    }
    expect(asked(model)).toHaveLength(2);
  });

  test('a demanded call is not dropped for devices either', async () => {
    const model = `tools forced${how}`;
    const body = asking('Weather?', { model, tools: [weather], tool_choice: 'required', stream: false });
    expect(await (await post(path('voice'), body)).text()).not.toContain('Fine.');
    expect(asked(model).map(({ body: sent }) => sent['tool_choice'])).toEqual(['required']);
  });

  test('answers in a thread where another model has called tools', async () => {
    const { id: other } = await wire.ok('POST', '/assistants', { model: 'any', tools: [weather] });
    const thread = await wire.thread('Weather?');
    const blocked = await wire.play(thread, { assistant_id: other });
    await wire.rested(await wire.submit(blocked, 'sunny'));
    const model = `tools thread${how}`;
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model });
    await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'Thanks!' });
    expect(await wire.play(thread, { assistant_id })).toMatchObject({ status: 'completed' });
    expect(JSON.stringify(asked(model).at(-1)?.body.messages)).toContain('[weather({}) answered: sunny]');
  });
});

describe.each(['', ' stream'])('a model without eyes%s', (how) => {
  test('a picture spoils its question only, in a thread', async () => {
    const model = `eyes run${how}`;
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model });
    const thread = await wire.thread('Hello');
    await wire.ok('POST', `/threads/${thread}/messages`, {
      role: 'user',
      content: [{ type: 'text', text: 'What?' }, PHOTO],
    });
    expect(await wire.play(thread, { assistant_id })).toMatchObject({
      status: 'failed',
      last_error: { code: 'invalid_prompt', message: `${model} is not a multimodal model` },
    });
    await wire.ok('POST', `/threads/${thread}/messages`, { role: 'assistant', content: 'Sorry.' });
    await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'Never mind. 2+2?' });
    expect(await wire.play(thread, { assistant_id })).toMatchObject({ status: 'completed' });
    expect(asked(model)).toHaveLength(2);
  });

  test.each(['chat', 'glasses'] as const)(
    'answers %s about text, with a picture in the past',
    async (where) => {
      const model = `eyes ${where}${how}`;
      const messages = [
        { role: 'user', content: [{ type: 'text', text: 'What?' }, PHOTO] },
        { role: 'assistant', content: 'I cannot see.' },
        { role: 'user', content: '2+2?' },
      ];
      const heard = await hear(await post(path(where), { model, messages, stream: true }));
      expect([heard.text, heard.error]).toEqual(['Fine.', null]);
      expect(asked(model)).toHaveLength(2);
    },
  );
});

describe.each(['', ' stream'])('a server that does not know a field%s', (how) => {
  test('answers chat without it, and is not sent it again', async () => {
    const model = `seed${how}`;
    for (const count of [2, 3]) {
      const reply = await answerOf(await post(path('chat'), asking('Hi', { model, seed: 7 })));
      expect(reply.choices[0]?.message.content).toBe('Fine.');
      expect(asked(model)).toHaveLength(count);
    }
  });

  test("takes an assistant's tools without it, through the whole round", async () => {
    const model = `strict${how}`;
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model, tools: [weather] });
    const run = await wire.play(await wire.thread('Weather?'), { assistant_id });
    expect(run.status).toBe('requires_action');
    await wire.ok('POST', `/threads/${run.thread_id}/runs/${run.id}/submit_tool_outputs`, {
      tool_outputs: outputsOf(run, 'sunny'),
    });
    expect(await wire.rested(run)).toMatchObject({ status: 'completed' });
    expect(asked(model)).toHaveLength(3);
  });
});

test('/v1/models tells what was learned, of configured models, and a model that is not listed is not invented', async () => {
  upstream.reply(({ body }) => {
    if ('seed' in body) return refuses(400, "Unknown parameter: 'seed'.");
    return body.tools === undefined
      ? says('Fine.')
      : refuses(400, 'no support: this model does not support tools');
  });
  const model = 'fake-model';
  const body = asking('Hi', { model, seed: 7, tools: [weather], stream: true });
  expect((await hear(await post(path('voice'), body))).text.trim()).toBe('Fine.');
  await vi.waitFor(async () => {
    const { data } = listSchema.parse((await wire.ask('GET', '/models')).body);
    expect(data.find(({ id }) => id === model)?.longrun).toEqual({
      upstream: 'default',
      server: 'vllm',
      context_tokens: null,
      tools: false,
      images: null,
      omitted: ['seed'],
    });
    expect(data.map(({ id }) => id)).not.toContain('seed');
  });
  // Told once in the log, at a level that is read.
  const told = service.logs.filter(({ msg, model: of }) => of === model && msg.includes('asked differently'));
  expect(told).toHaveLength(1);
  expect(told[0]?.level).toBe(40);
});
