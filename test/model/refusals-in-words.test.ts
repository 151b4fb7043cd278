/**
 * What refusals teach, in more words and shapes than one would think of: as an answer of their own and in a stream, where
 * the status is missing. Values that a server does not want teach nothing.
 */
import { describe, expect, test } from 'vitest';
import { refused, refusedInStream } from '../../src/model/failure.ts';
import { isRecord } from '../../src/runs/record.ts';
import { lessonIn, type Lesson } from '../../src/model/lessons.ts';
import type { Route } from '../../src/model/upstreams.ts';
import type { Body } from './strict.ts';

const there: Route = {
  upstream: {
    name: 'test',
    baseUrl: 'http://127.0.0.1:1/v1',
    models: [],
    aliases: {},
    visionModels: {},
    thinkTags: 'auto',
  },
  model: 'm',
};
const NEVER = { retryable: false, waitMs: null };

/** What is learned from a refusal with its own status, and from the same words in a stream. */
function lessons(status: number, said: unknown, body: Body): readonly (Lesson | null)[] {
  const streamed =
    isRecord(said) || Array.isArray(said) ? [said, { error: said }] : [{ error: { message: said } }];
  return [
    refused(there, { status, said, retry: NEVER }),
    ...streamed.map((value) => refusedInStream(there, value)),
  ].map(({ refusal }) => (refusal === null ? null : lessonIn(refusal, body, {})));
}

const MESSAGES = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hello' },
];
const asking = (more: object): Body => ({ model: 'm', stream: true, messages: MESSAGES, ...more });

const PAGE = '<html><head><title>500</title></head><body><p>Unsupported parameter: seed</p></body></html>';

describe('fields that are refused', () => {
  test.each<[number, unknown, object, (readonly string[])?]>([
    // With what is wrong further down, or beside the message.
    [
      400,
      {
        error: { message: 'It is invalid.', innererror: { message: "'temperature' is not supported here." } },
      },
      { temperature: 1 },
    ],
    [
      400,
      {
        error: {
          message: 'Some fields are invalid.',
          details: [{ target: 'top_p', message: 'It is not supported.' }],
        },
      },
      { top_p: 1 },
    ],
    [
      400,
      {
        error: {
          message: 'Provider returned error',
          metadata: { raw: '{"error":{"message":"Unknown parameter: \'seed\'"}}' },
        },
      },
      { seed: 1 },
    ],
    [
      400,
      {
        statusCode: 400,
        error: 'Bad Request',
        message: 'body must NOT have additional properties',
        validation: [
          { params: { additionalProperty: 'min_p' }, message: 'must NOT have additional properties' },
        ],
      },
      { min_p: 1 },
    ],
    [
      400,
      {
        status: 400,
        error: 'Bad Request',
        message: 'Unrecognized field "seed" (5 known properties: "temperature", "top_k")',
      },
      { seed: 1, temperature: 1, top_k: 1 },
      ['seed'],
    ],
    [
      400,
      { error: { issues: [{ code: 'unrecognized_keys', keys: ['top_k', 'min_p'], path: [] }] } },
      { top_k: 1, min_p: 1 },
    ],
    [
      422,
      { errors: { seed: ['is not a permitted key'] }, message: 'The given data was invalid.' },
      { seed: 1 },
    ],
    [
      400,
      { error: { message: 'There are some.', unsupported_fields: ['top_k', 'seed'] } },
      { top_k: 1, seed: 1 },
    ],
    // Beside the names of those that are known.
    [
      422,
      'Failed to deserialize: unknown field `seed`, expected one of `messages`, `top_k`, `n` at line 1 column 99',
      { seed: 1, top_k: 1 },
      ['seed'],
    ],
    [400, 'temperature is not a supported option for this model', { temperature: 1 }],
    [
      400,
      { error: { message: '`temperature` and `top_p` have been retired for it.' } },
      { temperature: 1, top_p: 1 },
    ],
    [400, { error: "'seed' is not a recognised parameter." }, { seed: 1 }],
    // By what they are about.
    [
      400,
      { error: { message: 'Penalty is not enabled for models/x' } },
      { presence_penalty: 1, seed: 1 },
      ['presence_penalty'],
    ],
    [400, { error: { message: '"llama3:8b" does not support thinking' } }, { reasoning_effort: 'low' }],
    [400, { error: { message: 'Reasoning is not supported for this model' } }, { reasoning_effort: 'low' }],
    // In Chinese.
    [400, { code: 'InvalidParameter', message: '参数 seed 不被该模型支持' }, { seed: 1 }],
    [400, { error_code: 336002, error_msg: '非法参数 top_k，请移除后重试' }, { top_k: 1 }],
    [400, { error: { message: '当前模型暂不支持参数「stop」' } }, { stop: ['x'] }],
    [400, { error: { message: '请求参数错误：seed 字段不允许' } }, { seed: 1 }],
  ])('%i %j', (status, said, fields, gone = Object.keys(fields)) => {
    for (const lesson of lessons(status, said, asking(fields)))
      expect((lesson?.refused ?? []).toSorted()).toEqual(gone.toSorted());
  });

  test.each<[string, object]>([
    ["The parameter 'seed' cannot be honoured by this backend.", { seed: 1 }],
    ["Parameter 'top_k' is only available on dedicated endpoints.", { top_k: 1 }],
    ['It only supports the default sampling: remove temperature and top_p.', { temperature: 1, top_p: 1 }],
    ['logit_bias has been disabled for this deployment', { logit_bias: {} }],
    ['frequency_penalty: this field may not be present', { frequency_penalty: 1 }],
    ['You supplied `store`, but we have no such parameter', { store: true }],
    ['字段 seed 未定义', { seed: 1 }],
    ['参数 top_k 暂未开放', { top_k: 1 }],
    ['请不要传入 logit_bias 参数', { logit_bias: {} }],
  ])('for a reason that is not on any list: %s', (message, fields) => {
    const [lesson] = lessons(400, { error: { message } }, asking(fields));
    expect(lesson?.refused?.toSorted()).toEqual(Object.keys(fields).toSorted());
  });

  test('are found on a page', () => {
    expect(lessons(500, PAGE, asking({ seed: 1 }))[0]?.refused).toEqual(['seed']);
  });
});

describe('values that are refused teach nothing', () => {
  test.each<[unknown, object]>([
    [
      { error: { message: "Invalid key in 'logit_bias': x. Expected a token id.", param: 'logit_bias' } },
      { logit_bias: {} },
    ],
    [{ error: { message: 'temperature 参数取值范围为 [0, 1]' } }, { temperature: 2 }],
    [{ error: { message: '参数 temperature 非法：超出范围' } }, { temperature: 2 }],
    [{ error: { message: 'top_p 参数非法，应大于 0' } }, { top_p: 0 }],
    [{ error: { message: 'top_p 的值无效' } }, { top_p: 0 }],
    [{ error: { message: 'top_p cannot be 0' } }, { top_p: 0 }],
    [{ error: { message: 'Not allowed value 3 for presence_penalty' } }, { presence_penalty: 3 }],
    [{ error: { message: "No way of having 'xhigh' as reasoning_effort" } }, { reasoning_effort: 'xhigh' }],
    [{ error: { message: 'seed must fit into 32 bits' } }, { seed: 1 }],
    [
      { error: { message: "Input should be 'low' or 'medium'", param: 'reasoning_effort' } },
      { reasoning_effort: 'high' },
    ],
    [
      { error: { message: '`reasoning_effort` must be one of `none` or `default`' } },
      { reasoning_effort: 'high' },
    ],
  ])('%j', (said, fields) => {
    expect(new Set(lessons(400, said, asking(fields)))).toEqual(new Set([null]));
  });

  test.each([
    { message: "Invalid 'stop': array too long.", param: 'stop' },
    { message: 'top_p must be in (0, 1], got 0.0.' },
    { message: 'temperature 参数取值范围为 [0, 1]' },
    { message: 'Too many.', param: 'stop', type: 'unknown_value' },
  ])('nor are they the fault of a server in whose stream they are: %j', (error) => {
    expect(refusedInStream(there, { error })).toMatchObject({ code: 'invalid_prompt', retryable: false });
  });
});

const PHOTO = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
const SEEING = asking({
  messages: [
    { role: 'user', content: [PHOTO] },
    { role: 'user', content: 'What?' },
  ],
});

test.each<[number, unknown]>([
  [500, { error: { message: 'unsupported content[].type', code: 500 } }],
  [500, { error: { message: 'Only text content blocks are supported in user messages' } }],
  [400, { error: { message: 'messages 参数非法。content 只能为字符串' } }],
  [
    422,
    {
      detail: [
        {
          type: 'string_type',
          loc: ['body', 'messages', 0, 'user', 'content', 'str'],
          msg: 'Input should be a valid string',
        },
      ],
    },
  ],
  [415, 'vision inputs are turned off on this deployment'],
  [400, { error: { message: 'Invalid image data: x has no vision capability' } }],
  [400, { error: { message: "The model 'x' lacks the 'vision' capability." } }],
  [400, { error: { message: '该模型仅支持文本输入' } }],
  [400, { error: { message: '模型没有视觉能力，无法处理图片' } }],
  [400, { error: { message: 'Multimodal input is not available for this model' } }],
  [400, { error: { message: 'images are not allowed' } }],
  [400, { error: { message: 'mmproj not loaded: image input unavailable' } }],
  [400, { error: { message: 'Input modality image not in supported modalities [text]' } }],
])('pictures that are refused: %i %j', (status, said) => {
  for (const lesson of lessons(status, said, SEEING)) expect(lesson).toEqual({ images: false });
});

test.each([
  '图片格式不支持，仅支持 png/jpg',
  '图片过大，不支持超过 5 MB',
  'unsupported image media type image/tiff',
])('a picture that is broken: %s', (message) => {
  expect(new Set(lessons(400, { error: { message } }, SEEING))).toEqual(new Set([null]));
});

const TOOLS = asking({ tools: [{ type: 'function', function: { name: 'f', parameters: {} } }] });

test.each([
  'tool calling unavailable for base models',
  'This model has not been trained for tool use; remove `tools` from the request.',
  'Tools cannot be used when tool_call_parser is None',
  'The model does not have tool calling capabilities',
  'The tools field is not accepted by this model',
  '此模型未开启工具调用能力',
])('tools that are refused: %s', (message) => {
  for (const lesson of lessons(400, { error: { message } }, TOOLS)) expect(lesson).toEqual({ tools: false });
});

test.each<[number, unknown]>([
  [400, { error: { message: 'Only user, assistant and tool roles are supported, got system' } }],
  [400, { error: { message: '角色信息不正确：不支持 system 角色' } }],
  [
    422,
    {
      detail: [
        {
          loc: ['body', 'messages', 0, 'role'],
          msg: "Input should be 'user', 'assistant' or 'tool'",
          type: 'enum',
        },
      ],
    },
  ],
  [400, { error_code: 336006, error_msg: 'the role of message with odd index must be user' }],
  [500, { error: { message: 'Conversation roles must alternate user/assistant/user/assistant/...' } }],
])('system messages that are refused: %i %j', (status, said) => {
  for (const lesson of lessons(status, said, asking({}))) expect(lesson).toEqual({ systemRole: 'none' });
});
