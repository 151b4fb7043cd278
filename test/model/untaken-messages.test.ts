/**
 * Models that do not take the messages they are sent: pictures, tools, messages of the system, thoughts. What can be told in another
 * way is told so, at once and from then on.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { isRecord } from '../../src/runs/record.ts';
import type { ModelRequest } from '../../src/runs/model.ts';
import { detail, error, has, startStrict, type Body, type Refusal } from './strict.ts';
import { ask, failureOf, HELLO_PARTS, modelAt, partsOf, TOOL, type TestUpstream } from './upstream.ts';

let upstream: TestUpstream;
afterEach(() => upstream.stop());

async function strict(refuse: (body: Body) => Refusal | null, isStreamed = false): Promise<void> {
  upstream = await startStrict(refuse, isStreamed);
}

const bodies = (): readonly Body[] => upstream.asked.map(({ body }) => body);
const lastBody = (): Body => bodies().at(-1) ?? {};

const PICTURE = {
  type: 'image_url' as const,
  image_url: { url: 'data:image/png;base64,AA', detail: 'auto' },
};
const shown = (text: string) => ({
  role: 'user' as const,
  content: [{ type: 'text' as const, text }, PICTURE],
});
const hasPicture = (body: Body): boolean => has(body, ['messages', 'content', 'image_url']);

describe('a model without eyes', () => {
  test.each<readonly [string, Refusal]>([
    [
      'vLLM',
      [
        400,
        { object: 'error', message: 'smol is not a multimodal model', type: 'BadRequestError', code: 400 },
      ],
    ],
    ['vLLM, a limit', error('At most 0 image(s) may be provided in one prompt.')],
    [
      'llama.cpp',
      error(
        'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj',
        { code: 500, type: 'server_error' },
        500,
      ),
    ],
    [
      'DeepSeek',
      error(
        'Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `image_url`, expected `text` at line 1 column 629',
      ),
    ],
    ['Ollama', [400, { error: 'this model does not support image input (ref: b8bd)' }]],
    ['OpenAI', error('Invalid content type. image_url is only supported by certain models.')],
    ['OpenRouter', error('No endpoints found that support image input', { code: 404 }, 404)],
    [
      'Groq',
      error(
        "'messages.0' : for 'role:user' the following must be satisfied[('messages.0.content' : value must be a string)]",
      ),
    ],
    ['Volcengine', error('Model do not support image input. Request id: 0217')],
    ['Chinese', error('该模型不支持图片输入')],
    ['an enumeration', error("Invalid value: 'image_url'. Supported values are: 'text'.")],
    ['two clauses', error('The model is text only; images given')],
    ['its own words', error('This checkpoint is text-only and cannot process images.')],
  ])('%s', async (_whose, refusal) => {
    await strict((body) => (hasPicture(body) ? refusal : null));
    const model = modelAt(upstream.url, { retries: 2 });
    // The picture that is asked about: refused once, in the server's words.
    const failure = await failureOf(model, ask({ messages: [shown('What is it?')] }));
    expect(failure.code).toBe('invalid_prompt');
    await failureOf(model, ask({ messages: [shown('What is it?')] }));
    expect(upstream.asked).toHaveLength(2);
    // The next question in that thread, at once.
    const later = [shown('What is it?'), { role: 'user' as const, content: 'Never mind. 2+2?' }];
    const answered = [
      shown('What is it?'),
      { role: 'assistant' as const, content: 'A cat.' },
      later[1] ?? shown(''),
    ];
    expect(await partsOf(model, ask({ messages: answered }))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(3);
    // A process that learns it from such a thread.
    expect(await partsOf(modelAt(upstream.url), ask({ messages: answered }))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(5);
  });

  test('is not learned from a picture that cannot be read', async () => {
    await strict((body) => (hasPicture(body) ? error('Invalid image: unsupported image format') : null));
    const model = modelAt(upstream.url);
    await failureOf(model, ask({ messages: [shown('?')] }));
    const later = [
      shown('?'),
      { role: 'assistant' as const, content: 'a' },
      { role: 'user' as const, content: 'b' },
    ];
    await failureOf(model, ask({ messages: later }));
    expect(bodies().map(hasPicture)).toEqual([true, true]);
  });
});

describe('a model without tools', () => {
  const withCalls: ModelRequest['messages'] = [
    { role: 'user', content: 'Weather?' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
    { role: 'assistant', content: 'Sunny.' },
    { role: 'user', content: 'Thanks' },
  ];
  const takesNone = (refusal: Refusal) => (body: Body) =>
    'tools' in body || has(body, ['messages', 'tool_calls']) ? refusal : null;
  const optional = { tools: [TOOL], tools_optional: true };

  test.each<readonly [string, Refusal]>([
    [
      'vLLM',
      [
        400,
        {
          object: 'error',
          message: '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
          type: 'BadRequestError',
          param: null,
          code: 400,
        },
      ],
    ],
    ['Ollama', error('stablelm2:latest does not support tools', { type: 'api_error' })],
    ['llama.cpp', error('tools param requires --jinja flag', { code: 500 }, 500)],
    [
      'OpenRouter',
      error(
        'No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs',
        { code: 404 },
        404,
      ),
    ],
    ['Gemini', error('Function calling is not enabled for models/gemma-3-27b-it')],
    [
      'OpenAI',
      error("Unsupported parameter: 'tools' is not supported with this model.", {
        param: 'tools',
        code: 'unsupported_parameter',
      }),
    ],
    ['Mistral', detail(['body', 'tools'])],
    ['Chinese', error('该模型不支持工具调用')],
    ['a server without a parser', error("Tool choice 'auto' is unsupported: no parser configured")],
    ['other words', error('This endpoint has no tool calling')],
    ['its own words', error("Tool calling isn't supported by this endpoint.")],
  ])('%s', async (_whose, refusal) => {
    await strict(takesNone(refusal));
    const model = modelAt(upstream.url);
    expect(await partsOf(model, ask({ ...optional, messages: withCalls }))).toEqual(HELLO_PARTS);
    expect(lastBody()['messages']).toEqual([
      { role: 'user', content: 'Weather?\n\n[weather({"city":"Oslo"}) answered: sunny]' },
      { role: 'assistant', content: 'Sunny.' },
      { role: 'user', content: 'Thanks' },
    ]);
    await partsOf(model, ask(optional));
    expect(upstream.asked).toHaveLength(3);
    // Whoever needs them is told, each time.
    for (const tool_choice of ['auto', 'required'] as const) {
      const failure = await failureOf(model, ask({ tools: [TOOL], tool_choice }));
      expect(failure.code).toBe('invalid_prompt');
      expect(failure.message).toMatch(/tool|function|工具/i);
      expect(failure.message).toContain('--tool-call-parser');
    }
    expect(upstream.asked).toHaveLength(5);
  });

  test('is believed to have them again once a request with tools gets through', async () => {
    let takes = false;
    await strict((body) => (takes ? null : takesNone(error('m does not support tools'))(body)));
    const model = modelAt(upstream.url);
    await partsOf(model, ask(optional));
    takes = true;
    await partsOf(model, ask({ tools: [TOOL] }));
    await partsOf(model, ask(optional));
    expect(bodies().map((body) => 'tools' in body)).toEqual([true, false, true, true]);
  });

  test("by the operator's will: tools stay out, and a demanded call is refused", async () => {
    await strict(() => null);
    const model = modelAt(upstream.url, { upstream: { tools: false } });
    await partsOf(model, ask({ tools: [TOOL], messages: withCalls }));
    expect(has(lastBody(), ['messages', 'tool_calls'])).toBe(false);
    expect(lastBody()).not.toHaveProperty('tools');
    expect(await failureOf(model, ask({ tools: [TOOL], tool_choice: 'required' }))).toMatchObject({
      code: 'invalid_prompt',
      message: /takes no tools.*tool_choice/,
    });
    expect(upstream.asked).toHaveLength(1);
  });
});

describe('messages of the system', () => {
  const messages: ModelRequest['messages'] = [
    { role: 'system', content: 'Be short.' },
    { role: 'user', content: 'hi' },
    { role: 'system', content: 'It is noon.' },
    { role: 'user', content: 'there' },
  ];
  const roles = (body: Body): readonly unknown[] =>
    Array.isArray(body['messages'])
      ? body['messages'].map((each: unknown) => isRecord(each) && each['role'])
      : [];

  test.each([
    'System message must be at the beginning.',
    'Unable to generate parser for this template. Error: Jinja Exception: System message must be at the beginning.',
    'Only the first message may have the role system: multiple system messages are not supported',
  ])('join at the beginning: %s', async (words) => {
    await strict((body) => (roles(body).lastIndexOf('system') > 0 ? error(words) : null));
    expect(await partsOf(modelAt(upstream.url), ask({ messages }))).toEqual(HELLO_PARTS);
    expect(roles(lastBody())).toEqual(['system', 'user']);
  });

  test.each<readonly [string, Refusal]>([
    [
      'Gemma on vLLM',
      [400, { object: 'error', message: 'System role not supported', type: 'BadRequestError', code: 400 }],
    ],
    ['Gemma on SGLang', error('jinja2.exceptions.TemplateError: System role not supported', {}, 500)],
    [
      'o1-mini',
      error("Unsupported value: 'messages[0].role' does not support 'system' with this model.", {
        param: 'messages[0].role',
        code: 'unsupported_value',
      }),
    ],
    ['Gemini', error('Developer instruction is not enabled for models/gemma-3-27b-it')],
  ])("become the user's: %s", async (_whose, refusal) => {
    await strict((body) => (roles(body).includes('system') ? refusal : null));
    expect(await partsOf(modelAt(upstream.url), ask({ messages }))).toEqual(HELLO_PARTS);
    expect(roles(lastBody())).toEqual(['user']);
  });

  test.each([
    'Failed to deserialize the JSON body: messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`',
    "Invalid value: 'developer'. Supported values are: 'system', 'assistant', 'user' and 'tool'.",
    'Unexpected message role: developer',
  ])('go by their older name: %s', async (words) => {
    await strict((body) => (roles(body).includes('developer') ? error(words) : null));
    const model = modelAt(upstream.url, { upstream: { systemRole: 'developer' } });
    expect(await partsOf(model, ask({ messages }))).toEqual(HELLO_PARTS);
    expect(roles(lastBody())).not.toContain('developer');
  });
});

describe('what models think', () => {
  const call = { id: 'abcdefgh1', type: 'function' as const, function: { name: 'look', arguments: '{}' } };
  const messages: ModelRequest['messages'] = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: call.id, content: 'seen' },
  ];

  test.each([
    'The `reasoning_content` in the thinking mode must be passed back to the API.',
    'Missing `reasoning_content` field in the assistant message at message index 4. For more information, please refer to https://api-docs.deepseek.com/guides/thinking_mode#tool-calls',
    'thinking is enabled but reasoning_content is missing in assistant tool call message at index 1',
  ])('comes back: %s', async (words) => {
    await strict((body) => (has(body, ['messages', 'reasoning_content']) ? null : error(words)));
    expect(await partsOf(modelAt(upstream.url), ask({ messages, tools: [TOOL] }))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(2);
  });

  test.each([
    'Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly.',
    'Unable to submit request because function call `look` in the 2. content block is missing a `thought_signature`.',
  ])('is signed: %s', async (words) => {
    await strict((body) =>
      has(body, ['messages', 'tool_calls', 'extra_content'])
        ? null
        : [400, [{ error: { code: 400, message: words, status: 'INVALID_ARGUMENT' } }]],
    );
    expect(await partsOf(modelAt(upstream.url), ask({ messages, tools: [TOOL] }))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(2);
  });
});
