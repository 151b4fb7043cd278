/**
 * Model servers that refuse something we send, each in its own words: what is not needed is left out and not sent again,
 * what is needed is refused to the caller.
 */
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { isRecord } from '../../src/runs/record.ts';
import type { Lesson } from '../../src/model/lessons.ts';
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

/** A request that has every field there is. */
const FULL: Partial<ModelRequest> = {
  tools: [{ ...TOOL, function: { ...TOOL.function, strict: true } }],
  parallel_tool_calls: false,
  temperature: 0.2,
  top_p: 0.9,
  reasoning_effort: 'low',
  passed_on: {
    stream_options: { include_usage: true },
    seed: 7,
    top_k: 20,
    user: 'me',
    stop: ['x'],
    frequency_penalty: 1,
    logit_bias: {},
    reasoning: { effort: 'low' },
    store: true,
  },
};

describe('a field that the server does not know', () => {
  test.each<readonly [string, string, Refusal]>([
    [
      'OpenAI',
      'parallel_tool_calls',
      error("Unsupported parameter: 'parallel_tool_calls' is not supported with this model.", {
        param: 'parallel_tool_calls',
        code: 'unsupported_parameter',
      }),
    ],
    [
      'OpenAI, a value',
      'temperature',
      error(
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
        { param: 'temperature', code: 'unsupported_value' },
      ),
    ],
    [
      'a gateway with 500',
      'temperature',
      error(
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported. (request id: 20250817)",
        { param: 'temperature', code: 'unsupported_value' },
        500,
      ),
    ],
    ['older OpenAI', 'top_k', error('Unrecognized request argument supplied: top_k')],
    ['Azure', 'user', error("Unknown parameter: 'user'.", { param: 'user', code: 'unknown_parameter' })],
    ['Fireworks', 'stream_options', error("Extra inputs are not permitted, field: 'stream_options'")],
    [
      'a validator',
      'stream_options',
      error('Validation error at #/stream_options: Extra inputs are not permitted'),
    ],
    ['FastAPI', 'stream_options', detail(['body', 'stream_options'])],
    [
      'Mistral',
      'reasoning_effort',
      [
        422,
        {
          object: 'error',
          message: {
            detail: [
              {
                type: 'extra_forbidden',
                loc: ['body', 'reasoning_effort'],
                msg: 'Extra inputs are not permitted',
              },
            ],
          },
          type: 'invalid_request_error',
        },
      ],
    ],
    [
      'SGLang',
      'seed',
      [
        400,
        {
          object: 'error',
          message:
            "1 validation error:\n  {'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted', 'input': 7}\n",
          type: 'BadRequestError',
          code: 400,
        },
      ],
    ],
    [
      'Gemini',
      'frequency_penalty',
      [
        400,
        [
          {
            error: {
              code: 400,
              message: 'Invalid JSON payload received. Unknown name "frequency_penalty": Cannot find field.',
              status: 'INVALID_ARGUMENT',
            },
          },
        ],
      ],
    ],
    [
      'Gemini, in words',
      'parallel_tool_calls',
      [
        400,
        [
          {
            error: {
              code: 400,
              message: 'Parallel tool calls are not supported.',
              status: 'INVALID_ARGUMENT',
            },
          },
        ],
      ],
    ],
    [
      'xAI',
      'frequency_penalty',
      [
        400,
        {
          code: 'Client specified an invalid argument',
          error: 'Argument not supported on this model: frequencyPenalty',
        },
      ],
    ],
    ['Groq', 'logit_bias', error("property 'logit_bias' is unsupported")],
    [
      'LiteLLM',
      'parallel_tool_calls',
      error(
        "litellm.UnsupportedParamsError: openai does not support parameters: ['parallel_tool_calls'], for model=o3. To drop these, set `litellm.drop_params=True`",
      ),
    ],
    [
      'LiteLLM, a value',
      'temperature',
      error(
        "litellm.UnsupportedParamsError: gpt-5-nano doesn't support temperature=0.2 while reasoning is active. Only temperature=1 is supported unless reasoning.effort resolves to 'none'",
      ),
    ],
    ['Kimi', 'temperature', error('invalid temperature: only 1 is allowed for this model')],
    [
      'Python',
      'stream_options',
      error("create_chat_completion() got an unexpected keyword argument 'stream_options'", {}, 500),
    ],
    ['deprecated', 'top_p', error('`top_p` is deprecated for this model.')],
    [
      'strict of a tool',
      'tools.function.strict',
      error('Unknown name "strict" at \'tools[0].function\': Cannot find field.'),
    ],
    ['strict, by its place', 'tools.function.strict', detail(['body', 'tools', 0, 'function', 'strict'])],
    [
      'strict, in words',
      'tools.function.strict',
      error("tools.0.function.strict: property 'strict' is unsupported", {
        param: 'tools[0].function.strict',
      }),
    ],
    ['Chinese', 'top_k', error('参数 top_k 不支持')],
    [
      'a list of lines',
      'seed',
      error('The following parameters are not supported by this deployment:\n - seed'),
    ],
    ['two sentences', 'store', error('Request rejected: unknown field. Field: "store".')],
    [
      'a plain word',
      'stop',
      error("The 'stop' parameter isn't available for reasoning models, it is not supported."),
    ],
    ["a sentence of one's own", 'reasoning', error('This deployment does not accept the field `reasoning`.')],
    ['a schema', 'top_k', error("Additional properties are not allowed ('top_k' was unexpected)")],
    ['Zod', 'seed', [422, { message: "Unrecognized key(s) in object: 'seed'" }]],
    ['a list of fields', 'store', [400, { errors: [{ field: 'store', message: 'unknown field' }] }]],
    [
      'a list of paths',
      'user',
      error('Input validation failed', { details: [{ path: 'user', message: 'is not allowed' }] }),
    ],
    [
      'a printed list',
      'stop',
      error(
        "Error code: 422 - {'detail': [{'type': 'extra_forbidden', 'loc': ['body', 'stop'], 'msg': 'Extra inputs are not permitted', 'input': 'seed'}]}",
      ),
    ],
    ['a backend', 'top_k', error('The keyword argument top_k was rejected by the backend')],
    ['text', 'seed', [400, 'unknown field "seed"']],
  ])('%s: %s', async (_whose, path, refusal) => {
    for (const isStreamed of [false, true]) {
      const before = path.split('.');
      await strict((body) => (has(body, before) ? refusal : null), isStreamed && isRecord(refusal[1]));
      const lessons: Lesson[] = [];
      const model = modelAt(upstream.url, { tellLesson: (...[, , lesson]) => void lessons.push(lesson) });
      expect(await partsOf(model, ask(FULL))).toEqual(HELLO_PARTS);
      expect(bodies().map((body) => has(body, before))).toEqual([true, false]);
      // Nothing else is missing.
      expect(Object.keys(lastBody())).toEqual(Object.keys(bodies()[0] ?? {}).filter((name) => name !== path));
      expect(await partsOf(model, ask(FULL))).toEqual(HELLO_PARTS);
      expect(upstream.asked).toHaveLength(3);
      expect(lessons).toEqual([{ refused: [path] }]);
      // The test's own hook stops the last one.
      if (!isStreamed) await upstream.stop();
    }
  });

  test('several in one refusal, and one after another', async () => {
    await strict((body) => {
      if (has(body, ['seed']))
        return error('Unknown name "seed": Cannot find field.\nUnknown name "top_k": Cannot find field.');
      return has(body, ['user']) ? detail(['body', 'user'], ['body', 'stop']) : null;
    });
    expect(await partsOf(modelAt(upstream.url), ask(FULL))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(3);
    expect(['seed', 'top_k', 'user', 'stop'].filter((name) => has(lastBody(), [name]))).toEqual([]);
    expect(has(lastBody(), ['frequency_penalty'])).toBe(true);
  });

  test('names of messages, and thoughts in them', async () => {
    await strict((body) => {
      if (has(body, ['messages', 'name']))
        return error(
          "'messages.0' : for 'role:user' the following must be satisfied[('messages.0' : property 'name' is unsupported)]",
        );
      return has(body, ['messages', 'reasoning_content'])
        ? [
            422,
            {
              detail: [
                {
                  type: 'extra_forbidden',
                  loc: ['body', 'messages', 1, 'assistant', 'reasoning_content'],
                  msg: 'Extra inputs are not permitted',
                },
              ],
            },
          ]
        : null;
    });
    const call = { id: 'abcdefgh1', type: 'function' as const, function: { name: 'look', arguments: '{}' } };
    const messages = [
      { role: 'user' as const, content: 'hi', name: 'Ann' },
      { role: 'assistant' as const, content: null, tool_calls: [call], reasoning_content: 'hm' },
      { role: 'tool' as const, tool_call_id: call.id, content: 'seen' },
    ];
    expect(await partsOf(modelAt(upstream.url), ask({ messages, tools: [TOOL] }))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(3);
    expect(has(lastBody(), ['messages', 'name'])).toBe(false);
    expect(has(lastBody(), ['messages', 'tool_calls'])).toBe(true);
  });

  test('lessons of one model say nothing about another', async () => {
    await strict((body) =>
      body['model'] === 'old' && has(body, ['seed']) ? error("Unknown parameter: 'seed'.") : null,
    );
    const model = modelAt(upstream.url);
    await partsOf(model, ask({ ...FULL, model: 'old' }));
    await partsOf(model, ask({ ...FULL, model: 'new' }));
    expect(bodies().map((body) => [body['model'], has(body, ['seed'])])).toEqual([
      ['old', true],
      ['old', false],
      ['new', true],
    ]);
  });

  test.each([
    ['`temperature` and `top_p` cannot both be specified for this model', 'top_p'],
    ["'temperature' is not supported when 'top_p' is set", 'temperature'],
    ['Only one of temperature, top_p is allowed', 'temperature'],
    ['Unsupported combination of parameters: temperature together with top_p', 'top_p'],
  ])('that it refuses beside another is left out of that request only: %s', async (words, alone) => {
    await strict((body) => (has(body, ['temperature']) && has(body, ['top_p']) ? error(words) : null));
    const model = modelAt(upstream.url);
    expect(await partsOf(model, ask({ temperature: 0.2, top_p: 0.9 }))).toEqual(HELLO_PARTS);
    expect(await partsOf(model, ask({ [alone]: 0.5 }))).toEqual(HELLO_PARTS);
    expect(lastBody()).toHaveProperty(alone, 0.5);
  });

  test('is no lesson when the request is refused all the same', async () => {
    await strict(() => error("Unknown parameter: 'seed'."));
    const lessons: Lesson[] = [];
    const model = modelAt(upstream.url, { tellLesson: (...[, , lesson]) => void lessons.push(lesson) });
    expect(await failureOf(model, ask(FULL))).toMatchObject({ message: "Unknown parameter: 'seed'." });
    expect(upstream.asked).toHaveLength(2);
    expect(lessons).toEqual([]);
  });

  test('is told in the log once, by its name only', async () => {
    await strict((body) => (has(body, ['seed']) ? error("Unknown parameter: 'seed'. me@example.com") : null));
    const lines: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
    const model = modelAt(upstream.url, { log });
    for (let times = 0; times < 3; times += 1) await partsOf(model, ask(FULL));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      upstream: 'test',
      model: 'gpt-test',
      lesson: { refused: ['seed'] },
    });
    expect(lines[0]).not.toContain('example.com');
  });
});

describe('the cap on tokens', () => {
  const capped = { max_completion_tokens: 8 };

  test.each([
    [
      'max_tokens',
      'max_completion_tokens',
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    ],
    ['max_completion_tokens', 'max_tokens', 'Unrecognized request argument supplied: max_completion_tokens'],
  ] as const)('%s is said as %s', async (field, other, words) => {
    await strict((body) => (field in body ? error(words, { param: field }) : null));
    const model = modelAt(upstream.url, { upstream: { maxTokensField: field } });
    expect(await partsOf(model, ask(capped))).toEqual(HELLO_PARTS);
    expect(lastBody()).toMatchObject({ [other]: 8 });
    await partsOf(model, ask(capped));
    expect(upstream.asked).toHaveLength(3);
  });

  test('is never dropped', async () => {
    await strict((body) => {
      const field = Object.keys(body).find((name) => name.startsWith('max_'));
      return field === undefined ? null : error(`Unknown parameter: '${field}'.`, { param: field });
    });
    expect(await failureOf(modelAt(upstream.url), ask(capped))).toMatchObject({
      message: "Unknown parameter: 'max_completion_tokens'.",
    });
    expect(upstream.asked).toHaveLength(2);
  });
});

describe('the caller is told, in the words of the server', () => {
  test.each<readonly [string, Partial<ModelRequest>, Refusal]>([
    [
      'a bad value',
      FULL,
      error("Invalid value for 'temperature': must be less than or equal to 2.", { param: 'temperature' }),
    ],
    [
      'a value of several',
      FULL,
      error(
        "Unsupported value: 'reasoning_effort' does not support 'low' with this model. Supported values are: 'medium' and 'high'.",
        { param: 'reasoning_effort', code: 'unsupported_value' },
      ),
    ],
    [
      'a value that is too high',
      FULL,
      [
        422,
        {
          detail: [
            {
              type: 'less_than_equal',
              loc: ['body', 'temperature'],
              msg: 'Input should be less than or equal to 1',
            },
          ],
        },
      ],
    ],
    [
      'a form of answers',
      { response_format: { type: 'json_object' } },
      error("Unsupported parameter: 'response_format' is not supported.", {
        param: 'response_format',
        code: 'unsupported_parameter',
      }),
    ],
    [
      'a demanded call',
      { tools: [TOOL], tool_choice: 'required' },
      error("tool_choice 'required' is not supported by this server.", { param: 'tool_choice' }),
    ],
    [
      'probabilities',
      { passed_on: { logprobs: true } },
      error('logprobs is not supported', { param: 'logprobs' }),
    ],
    ['a guided answer', { passed_on: { guided_regex: 'a|b' } }, detail(['body', 'guided_regex'])],
    ['a policy', FULL, error('Your request was flagged: this content is not allowed.')],
    ['the order of roles', FULL, error("Unexpected role 'user' after role 'tool'")],
    [
      'a schema of a tool',
      FULL,
      error("tools[0].function.parameters: 'additionalProperties' is not supported"),
    ],
    ['a broken server', FULL, error('An unexpected error happened while sampling: store failed', {}, 500)],
  ])('%s', async (_what, request, refusal) => {
    await strict(() => refusal);
    await failureOf(modelAt(upstream.url), ask(request));
    expect(upstream.asked).toHaveLength(1);
  });
});

test('the context that a refusal names is told, and the prompt stays as it is', async () => {
  await strict(() =>
    error("This model's maximum context length is 4096 tokens. However, you requested 8639 tokens."),
  );
  const lessons: Lesson[] = [];
  const model = modelAt(upstream.url, { tellLesson: (...[, , lesson]) => void lessons.push(lesson) });
  await failureOf(model);
  expect(upstream.asked).toHaveLength(1);
  expect(lessons).toEqual([{ contextTokens: 4096 }]);
});
