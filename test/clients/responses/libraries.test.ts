/** Node's agent libraries over responses: OpenAI's Agents SDK, the Vercel AI SDK's OpenAI provider, and LangChain. */
import { fileURLToPath } from 'node:url';
import { createOpenAI } from '@ai-sdk/openai';
import { HumanMessage, ToolMessage, type AIMessageChunk } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { WEATHER_TEXT } from '../chat/model.ts';
import { runProgram } from '../programs.ts';
import { McpServer } from '../../support/mcp-server.ts';
import { withSharedService } from '../../support/shared-service.ts';
import { respond, SEALED } from './model.ts';

const Weather = z.object({ city: z.string(), degrees: z.number() });
const City = z.object({ city: z.string() });

beforeAll(async () => {
  upstream.reply(respond);
});

const mcp = new McpServer();
mcp.tools = { remove: { run: ({ q }) => `removed ${String(q)}` } };
beforeAll(() => mcp.listen());
afterAll(() => mcp.stop());

const { upstream, service } = withSharedService(SEALED);

describe('the Agents SDK', () => {
  test('runs tools, streams, continues, keeps a session of 48 items, approves, and hands off', async () => {
    const path = fileURLToPath(new URL('agents-responses.ts', import.meta.url));
    const { code, stdout, stderr } = await runProgram(process.execPath, [path, service.baseUrl, mcp.url]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      answer: WEATHER_TEXT,
      streamed: [WEATHER_TEXT, WEATHER_TEXT],
      remembered: '3 messages',
      continued: WEATHER_TEXT,
      // As messages, what was called in one completion is one.
      heard: '46 messages',
      session: 48,
      popped: ['message', 'assistant'],
      last: 5,
      approved: 'removed tea',
      handoff: ['You said: hand over', 'Specialist'],
    });
  });
});

describe('the AI SDK', () => {
  const weather = tool({
    description: 'The weather in a city.',
    inputSchema: City,
    execute: ({ city }) => `sunny in ${city}`,
  });
  const once = { maxRetries: 0 };
  let model: ReturnType<ReturnType<typeof createOpenAI>>;
  /** The bodies of its requests. */
  const sent: string[] = [];
  beforeAll(() => {
    const listening: typeof fetch = async (input, init) => {
      if (typeof init?.body === 'string') sent.push(init.body);
      return fetch(input, init);
    };
    model = createOpenAI({ baseURL: service.baseUrl, apiKey: 'any', fetch: listening })('m');
  });

  test('runs tools and goes on by references to items, whole and streamed', async () => {
    const agent = { model, prompt: 'weather?', tools: { weather }, stopWhen: stepCountIs(3), ...once };
    const whole = await generateText(agent);
    expect(whole.text).toBe(WEATHER_TEXT);
    expect(whole.steps.map(({ finishReason }) => finishReason)).toEqual(['tool-calls', 'stop']);
    expect(whole.totalUsage).toMatchObject({ inputTokens: 20, outputTokens: 10, totalTokens: 30 });
    const streamed = streamText(agent);
    expect((await Array.fromAsync(streamed.textStream)).join('')).toBe(WEATHER_TEXT);
    expect((await streamed.steps)[0]?.toolCalls.map(({ input }) => input)).toEqual([
      { city: 'Taipei' },
      { city: '台南' },
    ]);
    const again = await generateText({
      model,
      messages: [
        { role: 'user', content: 'weather?' },
        ...whole.steps.flatMap((step) => step.response.messages),
        { role: 'user', content: 'What do I drink?' },
      ],
      tools: { weather },
      ...once,
    });
    expect(again.text).toBe('6 messages');
    expect(sent.at(-1)).toContain('"item_reference"');
  });

  test('gets back what the model thought', async () => {
    const { reasoningText, text, response } = await generateText({ model, prompt: 'think', ...once });
    expect([reasoningText ?? '', text]).toEqual(['', 'I have thought.']);
    const messages = [...response.messages, { role: 'user', content: 'hello' } as const];
    expect((await generateText({ model, messages, ...once })).text).toBe('You said: hello');
  });

  test('gets typed answers', async () => {
    const output = Output.object({ schema: Weather });
    const typed = await generateText({ model, prompt: 'json', output, ...once });
    expect(typed.output).toEqual({ city: 'Taipei', degrees: 31 });
    expect(upstream.requests.at(-1)?.body['response_format']).toMatchObject({ type: 'json_schema' });
  });

  test('hears of errors', async () => {
    const failed = generateText({ model, prompt: '400', ...once });
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
    expect(JSON.stringify(errors) + String(errors[0])).toContain('broke off');
  });
});

describe('LangChain', () => {
  const weather = {
    type: 'function' as const,
    function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
  };
  let model: ChatOpenAI;
  beforeAll(() => {
    const configuration = { baseURL: service.baseUrl };
    const once = { apiKey: 'any', maxRetries: 0 };
    model = new ChatOpenAI({ model: 'm', useResponsesApi: true, configuration, ...once });
  });

  test('is answered, whole and streamed, and knows what it cost', async () => {
    const whole = await model.invoke('你好');
    expect(whole.text).toBe('You said: 你好');
    expect(whole.usage_metadata).toMatchObject({ input_tokens: 10, output_tokens: 5, total_tokens: 15 });
    let streamed: AIMessageChunk | undefined;
    for await (const chunk of await model.stream('你好')) streamed = streamed?.concat(chunk) ?? chunk;
    expect(streamed?.text).toBe('You said: 你好');
    expect(streamed?.usage_metadata?.total_tokens).toBe(15);
  });

  test('calls tools, whole and streamed, and hears their answers', async () => {
    const armed = model.bindTools([weather]);
    const question = new HumanMessage('weather?');
    const asked = await armed.invoke([question]);
    expect(asked.tool_calls?.map(({ args }) => args)).toEqual([{ city: 'Taipei' }, { city: '台南' }]);
    let streamed: AIMessageChunk | undefined;
    for await (const chunk of await armed.stream([question])) streamed = streamed?.concat(chunk) ?? chunk;
    expect(streamed?.tool_calls?.map(({ args }) => args)).toEqual([{ city: 'Taipei' }, { city: '台南' }]);
    const outputs = (asked.tool_calls ?? []).map(
      ({ id = '', args }) =>
        new ToolMessage({ tool_call_id: id, content: `sunny in ${City.parse(args).city}` }),
    );
    expect((await armed.invoke([question, asked, ...outputs])).text).toBe(WEATHER_TEXT);
  });

  test('gets typed answers', async () => {
    const typed = model.withStructuredOutput(Weather, { name: 'weather' });
    expect(await typed.invoke('json')).toEqual({ city: 'Taipei', degrees: 31 });
  });
});
