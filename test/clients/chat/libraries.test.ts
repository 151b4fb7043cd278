/** Node's agent libraries over the chat endpoint: LangChain's ChatOpenAI, and the Vercel AI SDK's OpenAI-compatible provider. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { HumanMessage, ToolMessage, type AIMessageChunk } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { APICallError, generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { answer, WEATHER_TEXT } from './model.ts';
import { withSharedService } from '../../support/shared-service.ts';

const Weather = z.object({ city: z.string(), degrees: z.number() });
const City = z.object({ city: z.string() });

beforeAll(async () => {
  upstream.reply(answer);
});

const { upstream, service } = withSharedService({ UPSTREAM_RETRIES: '0' });

describe('LangChain', () => {
  const weather = {
    type: 'function' as const,
    function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
  };
  let model: ChatOpenAI;
  beforeAll(() => {
    const configuration = { baseURL: service.baseUrl };
    model = new ChatOpenAI({ model: 'any-model', apiKey: 'any', maxRetries: 0, configuration });
  });

  test('is answered, whole and streamed, and knows what it cost', async () => {
    const whole = await model.invoke('你好');
    expect(whole.content).toBe('You said: 你好');
    expect(whole.usage_metadata).toMatchObject({ input_tokens: 10, output_tokens: 5, total_tokens: 15 });
    expect(whole.response_metadata).toMatchObject({ finish_reason: 'stop' });
    let streamed: AIMessageChunk | undefined;
    for await (const chunk of await model.stream('你好')) streamed = streamed?.concat(chunk) ?? chunk;
    expect(streamed?.content).toBe('You said: 你好');
    expect(streamed?.usage_metadata?.total_tokens).toBe(15);
  });

  test('calls tools, whole and streamed, and hears their answers', async () => {
    const armed = model.bindTools([weather]);
    const question = new HumanMessage('weather?');
    const asked = await armed.invoke([question]);
    expect(asked.tool_calls?.map(({ name, args }) => [name, args])).toEqual([
      ['weather', { city: 'Taipei' }],
      ['weather', { city: '台南' }],
    ]);
    let streamed: AIMessageChunk | undefined;
    for await (const chunk of await armed.stream([question])) streamed = streamed?.concat(chunk) ?? chunk;
    expect(streamed?.tool_calls?.map(({ args }) => args)).toEqual([{ city: 'Taipei' }, { city: '台南' }]);
    const outputs = (asked.tool_calls ?? []).map(
      ({ id = '', args }) =>
        new ToolMessage({ tool_call_id: id, content: `sunny in ${City.parse(args).city}` }),
    );
    expect((await armed.invoke([question, asked, ...outputs])).content).toBe(WEATHER_TEXT);
  });

  test('gets typed answers', async () => {
    const typed = model.withStructuredOutput(Weather, { name: 'weather', method: 'jsonSchema' });
    expect(await typed.invoke('json')).toEqual({ city: 'Taipei', degrees: 31 });
    const byTool = model.withStructuredOutput(Weather, { name: 'weather', method: 'functionCalling' });
    expect(await byTool.invoke('typed')).toEqual({ city: 'Taipei', degrees: 31 });
  });

  test('hears of errors', async () => {
    await expect(model.invoke('429')).rejects.toMatchObject({ status: 429 });
    await expect(
      (async () => {
        for await (const chunk of await model.stream('break')) expect(chunk.content).toBe('Once upon');
      })(),
    ).rejects.toThrow('broke off');
  });
});

describe('the AI SDK', () => {
  const weather = tool({
    description: 'The weather in a city.',
    inputSchema: City,
    execute: ({ city }) => `sunny in ${city}`,
  });
  const once = { maxRetries: 0 };
  let model: ReturnType<ReturnType<typeof createOpenAICompatible>>;
  beforeAll(() => {
    const provider = createOpenAICompatible({
      name: 'longrun',
      baseURL: service.baseUrl,
      apiKey: 'any',
      includeUsage: true,
      supportsStructuredOutputs: true,
    });
    model = provider('any-model');
  });

  test('is answered, whole and streamed, and knows what it cost', async () => {
    const whole = await generateText({ model, prompt: '你好', ...once });
    expect(whole).toMatchObject({ text: 'You said: 你好', finishReason: 'stop', usage: { totalTokens: 15 } });
    const streamed = streamText({ model, prompt: '你好', ...once });
    expect((await Array.fromAsync(streamed.textStream)).join('')).toBe('You said: 你好');
    expect(await streamed.finishReason).toBe('stop');
    expect((await streamed.usage).totalTokens).toBe(15);
  });

  test('runs tools and goes on, whole and streamed', async () => {
    const agent = { model, prompt: 'weather?', tools: { weather }, stopWhen: stepCountIs(3), ...once };
    const whole = await generateText(agent);
    expect(whole.text).toBe(WEATHER_TEXT);
    expect(whole.steps.map(({ finishReason }) => finishReason)).toEqual(['tool-calls', 'stop']);
    const streamed = streamText(agent);
    expect((await Array.fromAsync(streamed.textStream)).join('')).toBe(WEATHER_TEXT);
    expect((await streamed.steps)[0]?.toolCalls.map(({ input }) => input)).toEqual([
      { city: 'Taipei' },
      { city: '台南' },
    ]);
  });

  test('gets typed answers', async () => {
    const output = Output.object({ schema: Weather });
    const typed = await generateText({ model, prompt: 'json', output, ...once });
    expect(typed.output).toEqual({ city: 'Taipei', degrees: 31 });
    expect(upstream.requests.at(-1)?.body['response_format']).toMatchObject({ type: 'json_schema' });
  });

  test('hears of errors', async () => {
    const failed = generateText({ model, prompt: '400', ...once });
    await expect(failed).rejects.toSatisfy((error) => APICallError.isInstance(error));
    await expect(failed).rejects.toMatchObject({ statusCode: 400, isRetryable: false });
    const errors: unknown[] = [];
    const streamed = streamText({
      model,
      prompt: 'break',
      ...once,
      onError: ({ error }) => {
        errors.push(error);
      },
    });
    expect((await Array.fromAsync(streamed.textStream)).join('')).toBe('Once upon');
    expect(errors).toHaveLength(1);
    expect(JSON.stringify(errors) + String(errors[0])).toContain('broke off');
  });
});
