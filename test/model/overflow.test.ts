/** Prompts that are longer than the context, in the words of servers, and what is learned from them. */
import { afterEach, describe, expect, test } from 'vitest';
import { overflowIn } from '../../src/model/overflow.ts';
import { ModelError } from '../../src/runs/model.ts';
import { ask, modelAt, partsOf, startUpstream, type TestUpstream } from './upstream.ts';

/** [status, what is said, the context, the prompt]. */
const SAID: readonly (readonly [number, unknown, number | null, number | null])[] = [
  [
    400,
    "This model's maximum context length is 1024 tokens. However, your prompt contains at least 1025 input tokens, which exceeds this limit even without any output tokens.",
    1024,
    null,
  ],
  // OpenAI and vLLM
  [
    400,
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 10012 tokens. Please reduce the length of the messages.",
    8192,
    10_012,
  ],
  [
    400,
    "This model's maximum context length is 4,097 tokens. However, you requested 5,360 tokens (4,360 in the messages, 1,000 in the completion).",
    4097,
    4360,
  ],
  [
    400,
    "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum context length is 4096 tokens and your request has 1200 input tokens (4000 > 4096 - 1200).",
    4096,
    1200,
  ],
  [
    400,
    "You passed 5000 input tokens and requested 100 output tokens. However, the model's context length is only 4096 tokens.",
    4096,
    5000,
  ],
  [400, { message: 'Please reduce.', code: 'context_length_exceeded' }, null, null],
  // llama.cpp and llama-cpp-python
  [
    400,
    {
      error: {
        code: 400,
        message: 'the request exceeds the available context size, try increasing it',
        type: 'exceed_context_size_error',
        n_prompt_tokens: 1234,
        n_ctx: 1024,
      },
    },
    1024,
    1234,
  ],
  [
    400,
    'request (5207 tokens) exceeds the available context size (4096 tokens), try increasing it',
    4096,
    5207,
  ],
  [500, 'the request exceeds the available context size', null, null],
  [400, 'Requested tokens (3012) exceed context window of 2048', 2048, 3012],
  // Anthropic
  [400, 'prompt is too long: 215000 tokens > 200000 maximum', 200_000, 215_000],
  [
    400,
    'input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length',
    200_000,
    190_000,
  ],
  // Gemini, Mistral, xAI, Cohere, Bedrock
  [
    400,
    'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
    1_048_576,
    1_200_000,
  ],
  [
    400,
    'Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length',
    32_768,
    40_000,
  ],
  [
    400,
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    131_072,
    200_000,
  ],
  [
    400,
    'too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000',
    4081,
    5000,
  ],
  [400, 'Input is too long for requested model.', null, null],
  // TGI, SGLang, LM Studio, Ollama
  [
    422,
    'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1500 `inputs` tokens and 1000 `max_new_tokens`',
    2048,
    1500,
  ],
  [422, 'Input validation error: `inputs` must have less than 1024 tokens. Given: 1234', 1024, 1234],
  [400, "The input (5000 tokens) is longer than the model's context length (4096 tokens).", 4096, 5000],
  [
    400,
    "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 5000 tokens: 4000 tokens from the input messages and 1000 tokens for the completion.",
    4096,
    4000,
  ],
  [
    400,
    'Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.',
    4096,
    5000,
  ],
  [400, 'input length exceeds the context length', null, null],
  [500, 'input length 9001 exceeds maximum context length 8192', 8192, 9001],
  // DashScope and other servers that speak Chinese
  [400, { code: 'InvalidParameter', message: 'Range of input length should be [1, 30720]' }, 30_720, null],
  [400, '输入长度超过模型最大上下文长度 8192，当前 9000 tokens', 8192, 9000],
  [400, '提示词过长，请缩短后重试', null, null],
  // Groq and OpenAI, of a single request
  [
    413,
    'Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 7004, please reduce your message size',
    6000,
    7004,
  ],
  [
    429,
    'Request too large for gpt on tokens per min (TPM): Limit 10000, Requested 15000. The input or output tokens must be reduced',
    10_000,
    15_000,
  ],
  // Vertex, ERNIE
  [
    400,
    'Unable to submit request because the input token count is 8097 but model only supports up to 3000.',
    3000,
    8097,
  ],
  [400, { error: { code: 'tokens_too_long', message: 'messages total length too long' } }, null, null],
  [400, 'The prompt has 9000 tokens but the window is only 4096', 4096, 9000],
  [400, '对话过长，请新开会话', null, null],
  [400, 'the prompt (9000) is bigger than the context (4096)', 4096, 9000],
  [400, { error_code: 336_007, error_msg: 'the max input characters is 4800' }, 4800, null],
  [
    400,
    {
      error: {
        message: 'Provider returned error',
        metadata: { raw: 'prompt is too long: 9000 tokens > 3000' },
      },
    },
    3000,
    9000,
  ],
  [413, { error: { type: 'request_too_large', message: 'Request exceeds the maximum size' } }, null, null],
];

test.each(SAID)('%i %j', (status, said, limitTokens, askedTokens) => {
  expect(overflowIn(status, said)).toEqual({ limitTokens, askedTokens });
});

test.each<[number, unknown]>([
  [400, 'temperature: Input should be less than or equal to 2'],
  [400, 'max_tokens is too large: 100000. This model supports at most 16384 completion tokens'],
  [400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."],
  [400, { message: "Invalid 'user': string too long.", code: 'string_above_max_length', param: 'user' }],
  [400, 'The model has no vision.'],
  [400, 'Too long.'],
  [404, 'context length exceeded'],
  [429, 'Rate limit reached: too many tokens per minute. Limit 10000'],
  [429, 'You exceeded your current quota'],
  [413, '<html>413 Request Entity Too Large</html>'],
  [422, { detail: [{ loc: ['body', 'top_k'], msg: 'Extra inputs are not permitted' }] }],
])('not %i %j', (status, said) => {
  expect(overflowIn(status, said)).toBeNull();
});

describe('a model', () => {
  let upstream: TestUpstream;
  afterEach(() => upstream.stop());
  const body = JSON.stringify({
    error: {
      message: 'This model has a maximum context length of 1,000 tokens; the prompt has 4,000 tokens.',
    },
  });

  test.each([400, 500, 200])(
    'whose server refuses a prompt (%i) is asked once, and its context is remembered',
    async (status) => {
      const sent = status === 200 ? `data: ${body}\n\n` : body;
      upstream = await startUpstream((response) => void response.writeHead(status).end(sent));
      const model = modelAt(upstream.url, {
        retries: 2,
        waitMs: 1_000,
        upstream: { aliases: { mine: 'gpt-test' } },
      });
      expect(model.contextTokens('gpt-test', null, Infinity)).toBe(Infinity);
      const content = 'A story of many words. '.repeat(300);
      const failed = await partsOf(model, ask({ messages: [{ role: 'user', content }] })).catch(String);
      const error = await partsOf(model, ask()).catch((thrown: unknown) => thrown);
      expect(failed).toContain('This model has a maximum context length of 1,000 tokens');
      expect(upstream.asked).toHaveLength(2);
      expect(error).toBeInstanceOf(ModelError);
      expect(error).toMatchObject({
        code: 'invalid_prompt',
        overflow: { limitTokens: 1_000, askedTokens: 4_000 },
      });
      // In our tokens, of which the first prompt had half as many as in those of the server.
      for (const name of ['gpt-test', 'mine']) {
        expect(model.contextTokens(name, null, Infinity)).toBeLessThan(600);
        expect(model.contextTokens(name, 'test', Infinity)).toBeGreaterThanOrEqual(256);
      }
      expect(model.contextTokens('other', null, Infinity)).toBe(Infinity);
      expect(model.contextTokens('gpt-test', 'nowhere', Infinity)).toBe(Infinity);
    },
  );
});
