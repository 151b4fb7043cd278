/**
 * What of a chat request reaches the upstream, and what does not: every field of OpenAI's acts or passes, and what belongs
 * to an engine stays here. And whom a request asks: a model, an assistant by id or name, with tools of either side.
 */
import OpenAI from 'openai';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { answerOf, asking, hear, post, refusalOf, textOf } from '../support/chat.ts';
import { keysLike, openLook } from '../support/contents.ts';
import { calls, finish, gate, says, text } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

const WEATHER = { type: 'function' as const, function: { name: 'weather' } };
const SEARCH = { type: 'function' as const, function: { name: 'SEARCH' } };
const CLOCK = { type: 'function' as const, function: { name: 'clock' } };

let openai: OpenAI;

const { upstream, service } = withSharedService({ UPSTREAM_RETRIES: '0' });

beforeAll(async () => {
  openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
});

const chat = (body: unknown): Promise<Response> => post(`${service.baseUrl}/chat/completions`, body);

/** What the upstream is asked when the service is asked this. */
async function sentFor(more: object): Promise<Readonly<Record<string, unknown>>> {
  await answerOf(await chat(asking('hello', more)));
  const request = upstream.requests.at(-1);
  if (request === undefined) throw new Error('the upstream was not asked');
  return request.body;
}

describe('fields', () => {
  test.each<[string, unknown]>([
    ['stop', ['\n', 'END']],
    ['stop', 'END'],
    ['seed', 7],
    ['logprobs', true],
    ['top_logprobs', 3],
    ['logit_bias', { '50256': -100 }],
    ['frequency_penalty', 0.5],
    ['presence_penalty', -0.5],
    ['temperature', 0.2],
    ['temperature', 1],
    ['top_p', 0.9],
    ['top_p', 1],
    ['reasoning_effort', 'low'],
    ['verbosity', 'low'],
    ['service_tier', 'flex'],
    ['user', 'user-1'],
    ['store', true],
    ['prediction', { type: 'content', content: 'hello' }],
    ['prompt_cache_key', 'k'],
    ['prompt_cache_retention', '24h'],
    ['safety_identifier', 's'],
    ['modalities', ['text']],
    ['web_search_options', { search_context_size: 'low' }],
    ['response_format', { type: 'json_object' }],
    [
      'response_format',
      { type: 'json_schema', json_schema: { name: 'n', strict: true, schema: { type: 'object' }, extra: 1 } },
    ],
  ])('%s passes as %j', async (name, value) => {
    expect((await sentFor({ [name]: value }))[name]).toEqual(value);
  });

  test.each(['max_tokens', 'max_completion_tokens'])(
    '%s limits what the upstream may answer',
    async (name) => {
      expect(await sentFor({ [name]: 17 })).toMatchObject({ max_tokens: 17 });
    },
  );

  test('what is not said is not sent', async () => {
    const sent = await sentFor({ temperature: null, stop: null, tools: null, response_format: null });
    expect(Object.keys(sent).toSorted()).toEqual(['messages', 'model', 'stream', 'stream_options']);
  });

  test.each(['none', 'required', { type: 'function', function: { name: 'weather' } }])(
    'tool_choice passes as %j',
    async (choice) => {
      const sent = await sentFor({ tools: [WEATHER], tool_choice: choice });
      expect(sent['tool_choice']).toEqual(choice);
    },
  );

  test('parallel_tool_calls passes where calls are to come one by one', async () => {
    const sent = await sentFor({ tools: [WEATHER], parallel_tool_calls: false });
    expect(sent['parallel_tool_calls']).toBe(false);
  });

  test('what every server does by itself is not said: several calls, and tools where they help', async () => {
    const sent = await sentFor({ tools: [WEATHER], parallel_tool_calls: true, tool_choice: 'auto' });
    expect(Object.keys(sent).toSorted()).toEqual(['messages', 'model', 'stream', 'stream_options', 'tools']);
  });

  test('tools pass with a schema, and without what callers hang on them', async () => {
    const schema = { type: 'object', properties: { a: { type: 'string', enum: ['x'] } }, required: ['a'] };
    const tools = [
      { type: 'function', function: { name: 'empty', parameters: {} } },
      { type: 'function', function: { name: 'none' } },
      {
        type: 'function',
        cache_control: { type: 'ephemeral' },
        function: { name: 'full', description: 'd', parameters: schema, strict: true, example: 1 },
      },
    ];
    const empty = { type: 'object', properties: {} };
    expect((await sentFor({ tools }))['tools']).toEqual([
      { type: 'function', function: { name: 'empty', parameters: empty } },
      { type: 'function', function: { name: 'none', parameters: empty } },
      { type: 'function', function: { name: 'full', description: 'd', parameters: schema, strict: true } },
    ]);
  });

  test('what belongs to an engine stays here, and tools may read every key that means nothing here', async () => {
    const redis = openLook(inject('redisUrl'));
    try {
      const extras = {
        context: { appId: 'a-1' },
        interruptable: true,
        top_k: 3,
        metadata: { publisher: 'p-1' },
      };
      const door = gate();
      upstream.reply(() => [door, text('done'), finish('stop')]);
      const answer = chat(asking('look it up', extras));
      const { body } = await upstream.asked(({ text: said }) => said === 'look it up');
      expect(Object.keys(body).toSorted()).toEqual([
        'messages',
        'model',
        'stream',
        'stream_options',
        'top_k',
      ]);
      const keys = await keysLike(redis, `${service.redisPrefix}:*:run:*`);
      const runs = await Promise.all(keys.map((key) => redis.hget(key, 'doc')));
      const runSchema = z.object({ origin: z.object({ context: z.unknown().optional() }) });
      const contexts = runs.map((doc) => runSchema.parse(JSON.parse(doc ?? 'null')).origin.context);
      expect(contexts).toContainEqual(extras);
      door.open();
      await answerOf(await answer);
    } finally {
      redis.disconnect();
    }
  });
});

describe('messages', () => {
  /** The messages the upstream gets for these. */
  async function messagesFor(...messages: readonly object[]): Promise<unknown> {
    await answerOf(await chat({ model: 'any-model', messages }));
    return upstream.requests.at(-1)?.body.messages;
  }

  test('keep their words, and lose what engines write beside them', async () => {
    const extras = { turn_id: 3, timestamp: 1_700_000_000, metadata: { source: 'asr' }, interrupted: false };
    expect(
      await messagesFor(
        { role: 'user', content: 'hi', ...extras },
        { role: 'assistant', content: 'hello', ...extras },
        { role: 'user', content: 'and?', ...extras },
      ),
    ).toEqual([
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'hello' },
      { role: 'user', content: 'and?' },
    ]);
  });

  test('of systems and developers instruct the model', async () => {
    expect(
      await messagesFor(
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: [{ type: 'text', text: 'Be kind.' }] },
        { role: 'user', content: 'hi' },
      ),
    ).toEqual([
      { role: 'system', content: 'Be brief.\nBe kind.' },
      { role: 'user', content: 'hi' },
    ]);
  });

  test('show pictures in whichever shape they come, without empty texts beside them', async () => {
    const url = 'https://example.com/a.jpg';
    const picture = { type: 'image_url', image_url: { url, detail: 'auto' } };
    const shapes = [
      { type: 'image_url', image_url: { url } },
      { type: 'image_url', image_url: url },
    ];
    for (const part of [...shapes, { type: 'image', image_url: url }]) {
      expect(await messagesFor({ role: 'user', content: [{ type: 'text', text: '' }, part] })).toEqual([
        { role: 'user', content: [picture] },
      ]);
    }
    const data = {
      type: 'image_url',
      image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' },
    };
    expect(await messagesFor({ role: 'user', content: [{ type: 'text', text: 'look' }, data] })).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'look' }, data] },
    ]);
  });

  test('of the assistant come back as they were given: answers, refusals, and calls with arguments of any kind', async () => {
    const call = (id: string, args: unknown): object => ({
      id,
      type: 'function',
      function: { name: 'weather', arguments: args },
    });
    const sent = await messagesFor(
      { role: 'user', content: 'weather?' },
      { role: 'assistant', content: null, refusal: 'I would rather not.', annotations: [] },
      { role: 'user', content: 'please' },
      {
        role: 'assistant',
        tool_calls: [
          call('weather01', '{"city":"Taipei"}'),
          call('weather02', { city: 'Paris' }),
          call('weather03', ''),
        ],
      },
      {
        role: 'tool',
        tool_call_id: 'weather01',
        content: [{ type: 'text', text: 'sunny' }],
        name: 'weather',
      },
      { role: 'tool', tool_call_id: 'weather02', content: 'wet' },
      { role: 'tool', tool_call_id: 'weather03' },
    );
    expect(sent).toEqual([
      { role: 'user', content: 'weather?' },
      { role: 'assistant', content: 'I would rather not.' },
      { role: 'user', content: 'please' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          call('weather01', '{"city":"Taipei"}'),
          call('weather02', '{"city":"Paris"}'),
          call('weather03', '{}'),
        ],
      },
      { role: 'tool', tool_call_id: 'weather01', content: 'sunny' },
      { role: 'tool', tool_call_id: 'weather02', content: 'wet' },
      { role: 'tool', tool_call_id: 'weather03', content: '(no output)' },
    ]);
  });

  test('of the assistant may hold thoughts as parts: beside calls they go back, elsewhere they do not', async () => {
    const call = { id: 'weather01', type: 'function', function: { name: 'weather', arguments: '{}' } };
    const thinking = (said: unknown) => ({ type: 'thinking', thinking: said, signature: 's' });
    const sent = await messagesFor(
      { role: 'user', content: 'weather?' },
      {
        role: 'assistant',
        content: [
          thinking('I '),
          thinking([{ type: 'text', text: 'look.' }]),
          { type: 'text', text: 'Wait.' },
        ],
        tool_calls: [call],
      },
      { role: 'tool', tool_call_id: 'weather01', content: 'sunny' },
      {
        role: 'assistant',
        content: [
          { type: 'redacted_thinking', data: 'x' },
          { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Done.' }] },
          { type: 'text', text: 'Sunny.' },
        ],
      },
      { role: 'user', content: 'thanks' },
    );
    expect(sent).toEqual([
      { role: 'user', content: 'weather?' },
      { role: 'assistant', content: 'Wait.', reasoning_content: 'I look.', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'weather01', content: 'sunny' },
      { role: 'assistant', content: 'Sunny.' },
      { role: 'user', content: 'thanks' },
    ]);
  });

  test.each(['prefix', 'partial'])('of the assistant at the end go on where `%s` says so', async (name) => {
    const begun = { role: 'assistant', content: 'Sun', [name]: true };
    const before = { role: 'user', content: 'weather?' };
    expect(await messagesFor(before, begun)).toEqual([before, begun]);
    expect(await messagesFor(before, { ...begun, [name]: false })).toHaveLength(3);
    const after = { role: 'user', content: 'and?' };
    expect(await messagesFor(before, begun, after)).toEqual([
      before,
      { role: 'assistant', content: 'Sun' },
      after,
    ]);
  });
});

describe('an assistant', () => {
  test('is asked by its id, its name in any case, or its name as glasses write it', async () => {
    const { id } = await openai.beta.assistants.create({
      model: 'its-model',
      name: '云天 Guide',
      instructions: 'You guide.',
      temperature: 0.3,
      tools: [WEATHER],
    });
    for (const model of [id, '云天 Guide', '云天 gUIDE', '<云天 Guide>']) {
      const messages = [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'where?' },
      ];
      await expect(answerOf(await chat({ model, messages }))).resolves.toMatchObject({ model });
      expect(upstream.requests.at(-1)?.body).toMatchObject({
        model: 'its-model',
        temperature: 0.3,
        tools: [{ function: { name: 'weather' } }],
        messages: [
          { role: 'system', content: 'You guide.\nBe brief.' },
          { role: 'user', content: 'where?' },
        ],
      });
    }
  });

  test('lets its caller decide what the request says', async () => {
    const format = { type: 'json_object' as const };
    const { id } = await openai.beta.assistants.create({
      model: 'its-model',
      temperature: 0.3,
      response_format: format,
    });
    await answerOf(await chat(asking('hi', { model: id, temperature: 0.9 })));
    expect(upstream.requests.at(-1)?.body).toMatchObject({ temperature: 0.9, response_format: format });
  });

  test('is no longer found by a name that it gave up', async () => {
    const { id } = await openai.beta.assistants.create({ model: 'its-model', name: 'Former' });
    await openai.beta.assistants.update(id, { name: 'Latter' });
    await answerOf(await chat(asking('hi', { model: 'former' })));
    expect(upstream.requests.at(-1)?.body.model).toBe('former');
    await answerOf(await chat(asking('hi', { model: 'latter' })));
    expect(upstream.requests.at(-1)?.body.model).toBe('its-model');
  });
});

describe('the tools of an assistant', () => {
  let model: string;
  beforeAll(async () => {
    const tools = [SEARCH, CLOCK];
    model = (await openai.beta.assistants.create({ model: 'its-model', tools })).id;
  });

  test('run on the server, pass after pass, and nobody sees them', async () => {
    upstream.reply(({ outputs }) => {
      if (outputs.length === 0) return calls([{ name: 'SEARCH', arguments: { query: { q: 'news' } } }]);
      if (outputs.length === 1) return calls([{ name: 'clock', arguments: { timezone: 'Asia/Taipei' } }]);
      return says('It is ', outputs[1]?.includes('Asia/Taipei') === true ? 'late' : 'unclear', ' news.');
    });
    await expect(textOf(await chat(asking('news?', { model })))).resolves.toBe('It is late news.');
    const heard = await hear(await chat(asking('news?', { model, stream: true })));
    expect(heard.text).toBe('It is late news.');
    expect(JSON.stringify(heard.chunks)).not.toMatch(/tool_calls|SEARCH|clock/);
    expect(heard.finish).toBe('stop');
  });

  test('cost what all passes cost together', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length < 2 ? calls([{ name: 'clock', arguments: {} }]) : says('done'),
    );
    const { usage } = await answerOf(await chat(asking('time?', { model })));
    expect(usage).toMatchObject({ total_tokens: 45 });
  });

  test('come to an end with a model that calls them for ever', async () => {
    upstream.reply(({ body }) =>
      body['tool_choice'] === 'none' ? says('enough') : calls([{ name: 'clock', arguments: {} }]),
    );
    const before = upstream.requests.length;
    await expect(textOf(await chat(asking('time?', { model })))).resolves.toBe('enough');
    expect(upstream.requests.length - before).toBe(9);
  });

  test('mix with the caller’s in one turn: theirs pass out, its own are answered here', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length === 0
        ? calls([
            { name: 'clock', arguments: {} },
            { name: 'weather', arguments: { city: 'Taipei' } },
          ])
        : says(`${outputs.length} answers`),
    );
    const thread = { thread_id: 'mixed', tools: [WEATHER], model };
    const asked = await answerOf(await chat(asking('well?', thread)));
    const wanted = asked.choices[0]?.message.tool_calls ?? [];
    expect(wanted.map((call) => call.function.name)).toEqual(['weather']);
    const output = { role: 'tool', tool_call_id: wanted[0]?.id, content: 'sunny' };
    const told = await chat({
      ...thread,
      messages: [
        { role: 'user', content: 'well?' },
        { role: 'assistant', content: null, tool_calls: wanted },
        output,
      ],
    });
    await expect(textOf(told)).resolves.toBe('2 answers');
    expect(upstream.requests.at(-1)?.outputs[0]).toContain('unix_seconds');
    expect(upstream.requests.at(-1)?.outputs[1]).toBe('sunny');
    // Only the answers: what the calls cost, their own answer has told.
    expect(asked.usage).toMatchObject({ total_tokens: 15 });
  });

  test('are the caller’s where it declares one of the same name', async () => {
    upstream.reply(() => calls([{ name: 'clock', arguments: {} }]));
    const answer = await answerOf(await chat(asking('time?', { model, tools: [CLOCK] })));
    expect(answer.choices[0]?.message.tool_calls?.[0]?.function.name).toBe('clock');
  });

  test('can be chosen, and a choice of none of them is refused', async () => {
    const choose = (name: string): object =>
      asking('x', { model, tool_choice: { type: 'function', function: { name } } });
    await answerOf(await chat(choose('clock')));
    expect(upstream.requests.at(-1)?.body['tool_choice']).toEqual({
      type: 'function',
      function: { name: 'clock' },
    });
    await expect(refusalOf(await chat(choose('nothing')))).resolves.toMatchObject({
      status: 400,
      param: 'tool_choice',
    });
  });
});
