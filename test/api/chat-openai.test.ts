/** The `openai` package against the chat endpoint: what an application sees that knows nothing but its base URL. */
import OpenAI, {
  APIError,
  BadRequestError,
  ConflictError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
} from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { calls, finish, refuses, says, text, TURN_USAGE } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

type Messages = OpenAI.Chat.Completions.ChatCompletionMessageParam[];

const WEATHER = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'The weather in a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
} as const;

const { upstream, service } = withSharedService({ UPSTREAM_RETRIES: '0' });

/** Asks for the weather of the cities once; with the outputs at hand, repeats them. */
function weatherOf(...cities: readonly string[]): void {
  upstream.reply(({ outputs }) =>
    outputs.length > 0
      ? says('It is ', outputs.join(' and '), '.')
      : calls(cities.map((city) => ({ name: 'weather', arguments: { city } }))),
  );
}

/** What a call that must fail throws. */
async function failureOf(asking: PromiseLike<unknown>): Promise<unknown> {
  return asking.then(
    () => 'it did not fail',
    (error: unknown) => error,
  );
}

/** Spelt out, because `instanceof` makes every field of this generic class `any`. */
function isApiError(error: unknown): error is APIError {
  return error instanceof APIError;
}

const user = (content: string): Messages => [{ role: 'user', content }];

describe.each(['/v1', '/api/assts/v1'])('under %s', (base) => {
  let openai: OpenAI;
  beforeAll(() => {
    openai = new OpenAI({ baseURL: service.url + base, apiKey: 'any', maxRetries: 0 });
  });

  test('an answer comes whole', async () => {
    const answer = await openai.chat.completions.create({ model: 'any-model', messages: user('hello') });
    expect(answer).toMatchObject({
      object: 'chat.completion',
      model: 'any-model',
      choices: [
        {
          index: 0,
          finish_reason: 'stop',
          message: { role: 'assistant', content: 'You said: hello', refusal: null },
        },
      ],
      usage: TURN_USAGE,
    });
    expect(answer.id).toMatch(/^chatcmpl-/);
    expect(answer.created).toBeGreaterThan(1_700_000_000);
  });

  test('an answer comes in chunks as the model says it, with its usage last', async () => {
    upstream.reply(() => says('Once', ' upon', ' a time'));
    const stream = await openai.chat.completions.create({
      model: 'any-model',
      messages: user('a story'),
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('Once upon a time');
    expect(chunks.at(-2)?.choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: TURN_USAGE });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  test('usage stays unsaid in a stream whose caller did not ask', async () => {
    const stream = await openai.chat.completions.create({
      model: 'any-model',
      messages: user('hello'),
      stream: true,
    });
    const chunks = await Array.fromAsync(stream);
    expect(chunks.some((chunk) => Object.hasOwn(chunk, 'usage'))).toBe(false);
    expect(chunks.every(({ choices }) => choices.length === 1)).toBe(true);
  });

  test('the stream accumulator makes the answer of the chunks', async () => {
    const stream = openai.chat.completions.stream({ model: 'any-model', messages: user('hello') });
    const heard: string[] = [];
    stream.on('content', (delta) => heard.push(delta));
    const answer = await stream.finalChatCompletion();
    expect(answer.choices[0]?.message.content).toBe('You said: hello');
    expect(heard.join('')).toBe('You said: hello');
  });

  test('calls go out, and their answers come back without a thread', async () => {
    weatherOf('Taipei', '台南');
    const messages = user('weather?');
    const asked = await openai.chat.completions.create({ model: 'any-model', messages, tools: [WEATHER] });
    const choice = asked.choices[0];
    expect(choice).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
    const wanted = choice?.message.tool_calls ?? [];
    expect(wanted.map((call) => call.type === 'function' && call.function)).toEqual([
      { name: 'weather', arguments: '{"city":"Taipei"}' },
      { name: 'weather', arguments: '{"city":"台南"}' },
    ]);
    if (choice === undefined) throw new Error('no choice');
    const told = await openai.chat.completions.create({
      model: 'any-model',
      tools: [WEATHER],
      messages: [
        ...messages,
        choice.message,
        ...wanted.map(({ id }, index) => ({
          role: 'tool' as const,
          tool_call_id: id,
          content: ['sunny', 'wet'][index] ?? '',
        })),
      ],
    });
    expect(told.choices[0]?.message.content).toBe('It is sunny and wet.');
    const sent = upstream.requests.at(-1)?.body.messages;
    expect(sent?.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'tool']);
    const calls = wanted.map((call) => ({
      ...call,
      id: expect.stringMatching(/^[A-Za-z0-9]{9}$/) as unknown,
    }));
    expect(sent?.[1]).toMatchObject({ content: null, tool_calls: calls });
    expect(sent?.[2]).toMatchObject({ role: 'tool', content: 'sunny' });
  });

  test('streamed calls add up to the same, in the order they were made', async () => {
    weatherOf('Taipei', 'Paris');
    const stream = openai.chat.completions.stream({
      model: 'any-model',
      messages: user('weather?'),
      tools: [WEATHER],
    });
    const answer = await stream.finalChatCompletion();
    expect(answer.choices[0]?.finish_reason).toBe('tool_calls');
    expect(answer.choices[0]?.message.tool_calls).toMatchObject([
      { type: 'function', function: { name: 'weather', arguments: '{"city":"Taipei"}' } },
      { type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } },
    ]);
  });

  test.each(['stream', 'whole'])('the tool runner of the package gets to its end: %s', async (how) => {
    weatherOf('Taipei');
    const asked: unknown[] = [];
    const body = {
      model: 'any-model',
      messages: user('weather?'),
      tools: [
        {
          type: 'function' as const,
          function: {
            ...WEATHER.function,
            parameters: { type: 'object', properties: { city: { type: 'string' } } },
            function: (args: string) => {
              const { city } = z.object({ city: z.string() }).parse(JSON.parse(args));
              asked.push(city);
              return `sunny in ${city}`;
            },
          },
        },
      ],
    };
    const runner =
      how === 'stream'
        ? openai.chat.completions.runTools({ ...body, stream: true })
        : openai.chat.completions.runTools(body);
    expect(await runner.finalContent()).toBe('It is sunny in Taipei.');
    expect(asked).toEqual(['Taipei']);
  });

  test('a structured answer is asked of the upstream, and parsed', async () => {
    upstream.reply(() => says('{"city":', '"Taipei","degrees":31}'));
    const Weather = z.object({ city: z.string(), degrees: z.number() });
    const answer = await openai.chat.completions.parse({
      model: 'any-model',
      messages: user('weather?'),
      response_format: zodResponseFormat(Weather, 'weather'),
    });
    expect(answer.choices[0]?.message.parsed).toEqual({ city: 'Taipei', degrees: 31 });
    expect(upstream.requests.at(-1)?.body['response_format']).toMatchObject({
      type: 'json_schema',
      json_schema: { name: 'weather', strict: true, schema: { required: ['city', 'degrees'] } },
    });
  });

  test('an answer that is cut short says so', async () => {
    upstream.reply(() => [text('Once upon'), finish('length')]);
    const body = { model: 'any-model', messages: user('a story') };
    const whole = await openai.chat.completions.create(body);
    expect(whole.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: 'Once upon' } });
    const chunks = await Array.fromAsync(await openai.chat.completions.create({ ...body, stream: true }));
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('length');
    upstream.reply(() => [text('Once'), finish('content_filter')]);
    const filtered = await openai.chat.completions.create(body);
    expect(filtered.choices[0]?.finish_reason).toBe('content_filter');
  });

  describe.each([false, true])('an upstream that refuses before the first word (stream: %s)', (stream) => {
    test.each([
      [429, 429, RateLimitError, 'rate_limit_exceeded'],
      [400, 400, BadRequestError, 'invalid_prompt'],
      [422, 400, BadRequestError, 'invalid_prompt'],
      // The key is the operator's, so the caller cannot help it.
      [401, 502, InternalServerError, 'upstream_error'],
      [500, 502, InternalServerError, 'upstream_error'],
    ] as const)('with %i is an HTTP %i of the right class', async (said, status, kind, code) => {
      upstream.reply(() => refuses(said, 'these words'));
      const body = { model: 'any-model', messages: user('hello'), stream };
      const error = await failureOf(openai.chat.completions.create(body));
      expect(error).toBeInstanceOf(kind);
      if (!isApiError(error)) throw error;
      const { headers } = error;
      expect(error).toMatchObject({ status, code });
      expect(error.message).toContain('these words');
      expect(headers?.get('x-should-retry')).toBe('false');
      expect(headers?.get('content-type')).toBe('application/json; charset=utf-8');
    });
  });

  test('an upstream that breaks off in the middle is an error in the stream, not an end', async () => {
    upstream.reply(() => [text('Once upon'), { type: 'break' }]);
    const stream = await openai.chat.completions.create({
      model: 'any-model',
      messages: user('a story'),
      stream: true,
    });
    let heard = '';
    const error = await failureOf(
      (async () => {
        for await (const { choices } of stream) heard += choices[0]?.delta.content ?? '';
      })(),
    );
    expect(heard).toBe('Once upon');
    expect(error).toBeInstanceOf(APIError);
    expect(String(error)).toContain('broke off');
    const whole = openai.chat.completions.create({ model: 'any-model', messages: user('a story') });
    await expect(whole).rejects.toBeInstanceOf(InternalServerError);
  });

  test('an assistant that is nobody’s is not found', async () => {
    const asking = openai.chat.completions.create({ model: 'asst_nobody', messages: user('hello') });
    await expect(asking).rejects.toBeInstanceOf(NotFoundError);
  });

  test('models are listed with the assistants that may be asked like models', async () => {
    const name = `Librarian ${base}`;
    const { id } = await openai.beta.assistants.create({ model: 'any-model', name });
    const models = await Array.fromAsync(openai.models.list());
    expect(models).toContainEqual(expect.objectContaining({ id: 'fake-model' }));
    expect(models).toContainEqual(expect.objectContaining({ id: name, owned_by: id }));
    await expect(openai.models.retrieve(id)).resolves.toMatchObject({ id: name });
  });
});

test('the package repeats nothing by itself that was answered with an error', async () => {
  const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 2 });
  upstream.reply(() => refuses(500, 'no'));
  const before = upstream.requests.length;
  const error = await failureOf(
    openai.chat.completions.create({ model: 'any-model', messages: user('only once') }),
  );
  expect(error).toBeInstanceOf(InternalServerError);
  expect(error).not.toBeInstanceOf(ConflictError);
  expect(upstream.requests.length - before).toBe(1);
});
