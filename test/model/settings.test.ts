/** What is said to a model server by the settings of its operator, by its family, and by what it says of itself. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { PRESETS } from '../../src/config/presets.ts';
import type { Upstream } from '../../src/model/upstreams.ts';
import type { OpenAiModel } from '../../src/model/openai.ts';
import {
  ask,
  begin,
  failureOf,
  HELLO,
  HELLO_PARTS,
  modelAt,
  partsOf,
  startUpstream,
  TOOL,
  type TestUpstream,
} from './upstream.ts';

let upstream: TestUpstream;
afterEach(() => upstream.stop());

/** An upstream that lists these models; without any it answers 404. */
async function listing(...data: readonly object[]): Promise<void> {
  upstream = await startUpstream((response, _count, { url = '' }) => {
    if (!url.split('?')[0]?.endsWith('/models')) {
      begin(response);
      return void response.end(HELLO);
    }
    if (data.length === 0) return void response.writeHead(404).end();
    return void response.end(JSON.stringify({ object: 'list', data }));
  });
}

const asked = () => upstream.asked.filter(({ path }) => path.includes('/chat/completions'));
const lastBody = () => asked().at(-1)?.body ?? {};

/** A model that knows the families. */
const knowing = (more: Partial<Upstream> = {}): OpenAiModel =>
  modelAt(upstream.url, { upstream: more, families: PRESETS });

const FULL = ask({
  tools: [{ ...TOOL, function: { ...TOOL.function, strict: true } }],
  parallel_tool_calls: false,
  temperature: 0.2,
  max_completion_tokens: 9,
});

describe('nothing is said that nobody said', () => {
  test('of tools: no choice where it is free, nothing of parallel calls', async () => {
    await listing();
    await partsOf(knowing(), ask({ tools: [TOOL] }));
    expect(Object.keys(lastBody()).toSorted()).toEqual(['messages', 'model', 'stream', 'tools']);
  });

  test.each(['none', 'required'] as const)('a choice is: %s', async (tool_choice) => {
    await listing();
    await partsOf(knowing(), ask({ tools: [TOOL], tool_choice }));
    expect(lastBody()).toMatchObject({ tool_choice });
  });

  /** Shows A-MAP-12. */
  test('of usage: it is asked for where the caller does', async () => {
    await listing();
    const stream_options = { include_usage: true };
    await partsOf(knowing(), ask({ passed_on: { stream_options } }));
    expect(lastBody()).toMatchObject({ stream_options });
    await partsOf(knowing({ streamOptions: false }), ask({ passed_on: { stream_options } }));
    expect(lastBody()).not.toHaveProperty('stream_options');
    await partsOf(knowing({ streamOptions: true }));
    expect(lastBody()).toMatchObject({ stream_options });
  });

  test.each([
    [undefined, true, undefined],
    [undefined, false, false],
    [true, true, true],
    [false, false, undefined],
  ])('of parallel calls: setting %s, wanted %s, said %s', async (parallelToolCalls, wanted, said) => {
    await listing();
    await partsOf(knowing({ parallelToolCalls }), ask({ tools: [TOOL], parallel_tool_calls: wanted }));
    expect(lastBody()['parallel_tool_calls']).toBe(said);
  });
});

describe('settings', () => {
  test('of a model win over those of its upstream, and those over the family', async () => {
    await listing();
    const model = knowing({
      preset: 'openai',
      strict: false,
      omit: ['temperature'],
      modelSettings: { 'gpt-test': { maxTokensField: 'max_tokens' } },
    });
    await partsOf(model, FULL);
    expect(lastBody()).toMatchObject({ max_tokens: 9, stream_options: { include_usage: true } });
    expect(JSON.stringify(lastBody())).not.toMatch(/strict|temperature|max_completion_tokens/);
    await partsOf(model, { ...FULL, model: 'other' });
    expect(lastBody()).toMatchObject({ max_completion_tokens: 9 });
  });

  test('add fields that callers may set otherwise, down to the keys of an object', async () => {
    await listing();
    const extraBody = { top_k: 20, chat_template_kwargs: { enable_thinking: false, style: 'short' } };
    const model = knowing({ extraBody });
    await partsOf(model);
    expect(lastBody()).toMatchObject(extraBody);
    await partsOf(model, ask({ passed_on: { top_k: 5, chat_template_kwargs: { enable_thinking: true } } }));
    expect(lastBody()).toMatchObject({
      top_k: 5,
      chat_template_kwargs: { enable_thinking: true, style: 'short' },
    });
  });

  test("omit fields of the caller, and put the operator's in their place", async () => {
    await listing();
    const model = knowing({ omit: ['temperature', 'name', 'strict'], extraBody: { temperature: 1 } });
    const messages = [{ role: 'user' as const, content: 'hi', name: 'Ann' }];
    await partsOf(model, { ...FULL, messages });
    expect(lastBody()).toMatchObject({ temperature: 1, messages: [{ role: 'user', content: 'hi' }] });
    expect(JSON.stringify(lastBody())).not.toMatch(/Ann|strict/);
  });

  test.each([
    ['system', ['system', 'user', 'system', 'user']],
    ['developer', ['developer', 'user', 'developer', 'user']],
    ['first', ['system', 'user']],
    ['none', ['user']],
  ] as const)('say what becomes of system messages: %s', async (systemRole, roles) => {
    await listing();
    const messages = [
      { role: 'system' as const, content: 'Be short.' },
      { role: 'user' as const, content: 'hi' },
      { role: 'system' as const, content: 'Noon.' },
      { role: 'user' as const, content: 'there' },
    ];
    await partsOf(knowing({ systemRole }), ask({ messages }));
    const sent = lastBody()['messages'];
    expect(Array.isArray(sent) ? sent.map(({ role }: { role: string }) => role) : []).toEqual(roles);
  });

  test('carry headers and a query with every request, the list of models among them', async () => {
    await listing({ id: 'm' });
    const model = knowing({
      headers: { 'x-gateway': 'house', authorization: 'Basic abc' },
      query: { 'api-version': '2024-10-21' },
    });
    model.describe();
    await partsOf(model);
    expect(upstream.asked.map(({ path }) => path)).toEqual([
      '/v1/models?api-version=2024-10-21',
      '/v1/chat/completions?api-version=2024-10-21',
    ]);
    for (const { headers } of upstream.asked)
      expect(headers).toMatchObject({
        'x-gateway': 'house',
        authorization: 'Basic abc',
        'user-agent': 'longrun',
      });
  });

  test("name the header of the key; a caller's own key goes without the operator's", async () => {
    await listing();
    const headers = { 'api-key': 'operators-key', 'x-gateway': 'house' };
    await partsOf(knowing({ keyHeader: 'api-key', apiKey: 'the-key' }));
    expect(asked()[0]?.headers).toMatchObject({ 'api-key': 'the-key' });
    expect(asked()[0]?.headers.authorization).toBeUndefined();
    const model = modelAt(upstream.url, {
      upstream: { headers, apiKey: undefined },
      upstreamKey: () => 'sk-callers',
    });
    await partsOf(model, ask({ sealed: 'sealed' }));
    expect(asked()[1]?.headers).toMatchObject({ authorization: 'Bearer sk-callers', 'x-gateway': 'house' });
    expect(asked()[1]?.headers['api-key']).toBeUndefined();
  });

  test('are not in what callers are told, where they are secret', async () => {
    upstream = await startUpstream(
      (response) => void response.writeHead(400).end('{"error":{"message":"bad key-of-the-house"}}'),
    );
    const model = knowing({ headers: { 'x-key': 'key-of-the-house' }, secrets: ['key-of-the-house'] });
    expect((await failureOf(model)).message).toBe('bad [key]');
  });
});

describe('what a server says of itself', () => {
  test.each([
    ['vllm', true],
    ['llamacpp', true],
    ['sglang', true],
    ['library', true],
    ['organization_owner', true],
    ['somebody', false],
  ])('owned by %s: usage is asked for: %s', async (owned_by, isAsked) => {
    await listing({ id: 'gpt-test', owned_by });
    const model = knowing();
    model.describe();
    await partsOf(model, ask({ max_completion_tokens: 8 }));
    expect('stream_options' in lastBody()).toBe(isAsked);
    expect(lastBody()).toMatchObject({ max_tokens: 8 });
  });

  test.each([
    [{ meta: { n_ctx: 4096, n_ctx_train: 8192 } }, 4096],
    [{ max_model_len: 2048 }, 2048],
    [{ context_length: 131_072 }, 131_072],
    [{ context_window: 8192 }, 8192],
    [{ loaded_context_length: 4096, max_context_length: 131_072 }, 4096],
    [{ max_context_length: 32_768 }, 32_768],
    [{ max_model_len: 'much' }, null],
    [{ n_ctx: 0 }, null],
  ])('the context, as in %j', async (said, tokens) => {
    await listing({ id: 'gpt-test', ...said }, { id: 'other' });
    const model = knowing({ aliases: { alias: 'gpt-test' }, modelSettings: { set: { contextTokens: 512 } } });
    expect(model.contextTokens('gpt-test', null, Infinity)).toBe(Infinity);
    model.describe();
    await vi.waitFor(() => expect(upstream.asked).toHaveLength(1));
    await partsOf(model);
    const of = (name: string) => model.contextTokens(name, null, Infinity);
    const told = tokens ?? Infinity;
    expect([of('gpt-test'), of('alias'), of('other'), of('set')]).toEqual([told, told, Infinity, 512]);
    expect(model.contextTokens('gpt-test', 'nobody', Infinity)).toBe(Infinity);
  });

  test('nobody waits for it long, and only once', async () => {
    upstream = await startUpstream((response, _count, { url = '' }) => {
      if (url.endsWith('/models')) return;
      begin(response);
      response.end(HELLO);
    });
    const model = knowing();
    model.describe();
    // The test would exceed its own limit if each waited.
    for (let times = 0; times < 40; times += 1) expect(await partsOf(model)).toEqual(HELLO_PARTS);
    expect(upstream.asked.filter(({ path }) => path.endsWith('/models'))).toHaveLength(1);
  });

  test('a process that stood still reads the answer before it finds it late', async () => {
    upstream = await startUpstream((response, _count, { url = '' }) => {
      if (!url.endsWith('/models')) {
        begin(response);
        return void response.end(HELLO);
      }
      response.end(JSON.stringify({ data: [{ id: 'gpt-test', owned_by: 'vllm' }] }));
      // As when the process or its machine is paused.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);
    });
    const model = knowing();
    model.describe();
    await partsOf(model);
    expect(lastBody()).toHaveProperty('stream_options');
  });
});

describe('families', () => {
  test.each([
    ['openai', 'gpt-4o', 'max_completion_tokens, parallel_tool_calls, stream_options, temperature, strict'],
    ['openai', 'gpt-5.1', 'max_completion_tokens, parallel_tool_calls, stream_options, temperature, strict'],
    [
      'openai',
      'gpt-5-chat-latest',
      'max_completion_tokens, parallel_tool_calls, stream_options, temperature, strict',
    ],
    ['openai', 'gpt-5-mini', 'max_completion_tokens, stream_options, strict'],
    ['openai', 'o3', 'max_completion_tokens, stream_options, strict'],
    ['azure', 'o4-mini-2025-04-16', 'max_completion_tokens, stream_options, strict'],
    ['gemini', 'gemini-3-pro', 'max_tokens, stream_options, temperature'],
    ['deepseek', 'deepseek-v4', 'max_tokens, stream_options, temperature'],
    ['kimi', 'kimi-k2', 'max_tokens, stream_options, temperature, strict'],
    ['mistral', 'mistral-large', 'max_tokens, parallel_tool_calls, temperature, strict'],
    ['fireworks', 'm', 'max_tokens, temperature'],
    ['groq', 'm', 'max_completion_tokens, parallel_tool_calls, stream_options, temperature, strict'],
    ['together', 'm', 'max_tokens, parallel_tool_calls, temperature, strict'],
    ['ollama', 'qwen3:8b', 'max_tokens, stream_options, temperature'],
    ['vllm', 'm', 'max_tokens, parallel_tool_calls, stream_options, temperature, strict'],
    ['transformers', 'm', 'max_tokens, temperature'],
  ])('%s is told of %s: %s', async (preset, name, fields) => {
    await listing();
    await partsOf(knowing({ preset }), { ...FULL, model: name });
    const usual = ['model', 'messages', 'stream', 'tools'];
    const said = Object.keys(lastBody()).filter((field) => !usual.includes(field));
    const isStrict = JSON.stringify(lastBody()).includes('strict');
    expect([...said.toSorted(), ...(isStrict ? ['strict'] : [])].join(', ')).toBe(fields);
  });
});
