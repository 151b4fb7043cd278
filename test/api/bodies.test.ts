/**
 * What request bodies may hold: every field with its type and bounds, refused just outside of them in the hosted API's words, and
 * taken just inside; null for everything that may be left out; and what is echoed of a tool.
 */
/* oxlint-disable vitest/expect-expect -- expectRefusal asserts. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { expectRefusal } from '../support/refusal.ts';
import { startService, type Service } from '../support/service.ts';
import { Wire, type Reply } from '../support/wire.ts';

const toolsSchema = z.object({ tools: z.array(z.unknown()) });

let service: Service;
let wire: Wire;
let assistant: string;
let thread: string;

beforeAll(async () => {
  // Nobody executes the runs: all this is about is whether they are taken.
  service = await startService({ redisUrl: inject('redisUrl'), workers: 0 });
  wire = new Wire(service.baseUrl);
  assistant = (await wire.ok('POST', '/assistants', { model: 'm', metadata: { name: 'the first' } })).id;
  thread = await wire.thread('hello');
});

afterAll(async () => {
  await service?.stop();
});

/** The bodies there are, each with the least it must hold. */
const KINDS = ['assistant', 'assistant change', 'thread', 'message', 'run', 'thread and run'] as const;
type Kind = (typeof KINDS)[number];
const RUNS = ['run', 'thread and run'] as const;
const ASSISTANTS = ['assistant', 'assistant change'] as const;

/** Sends `fields` as part of such a body; every message and run gets a thread of its own. */
async function send(kind: Kind, fields: object): Promise<Reply> {
  switch (kind) {
    case 'assistant':
      return wire.ask('POST', '/assistants', { body: { model: 'm', ...fields } });
    case 'assistant change':
      return wire.ask('POST', `/assistants/${assistant}`, { body: fields });
    case 'thread':
      return wire.ask('POST', '/threads', { body: fields });
    case 'message': {
      const body = { role: 'user', content: 'hello', ...fields };
      return wire.ask('POST', `/threads/${thread}/messages`, { body });
    }
    case 'run': {
      const body = { assistant_id: assistant, ...fields };
      return wire.ask('POST', `/threads/${await wire.thread()}/runs`, { body });
    }
    case 'thread and run':
      return wire.ask('POST', '/threads/runs', { body: { assistant_id: assistant, ...fields } });
  }
}

async function expectTaken(kind: Kind, fields: object): Promise<void> {
  const { status, text } = await send(kind, fields);
  expect(status, `${kind}: ${JSON.stringify(fields).slice(0, 200)} → ${text.slice(0, 300)}`).toBe(200);
}

/** Nothing that can be listed has changed, but what `send` itself prepares. */
async function expectRefused(kind: Kind, fields: object, param: string, code: string, message: RegExp) {
  const picture = async (): Promise<readonly string[]> => {
    const paths = ['/assistants?limit=100', `/threads/${thread}/messages`, `/threads/${thread}/runs`];
    return Promise.all(paths.map(async (path) => (await wire.ask('GET', path)).text));
  };
  const before = await picture();
  expectRefusal(await send(kind, fields), { param, code, message });
  expect(await picture()).toEqual(before);
}

const text = (length: number): string => 'x'.repeat(length);
const list = <T>(length: number, item: T): T[] => Array.from({ length }, () => item);
const pairs = (count: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`key ${n}`, 'value']));
const tool = (fields: object = {}): object => ({ type: 'function', function: { name: 'f', ...fields } });
const said = { role: 'user', content: 'x' };
/** What is echoed of a function that came without a schema. */
const EMPTY = { parameters: { type: 'object', properties: {} }, strict: false };

/** The hosted API's sentences about bounds. */
const SENTENCES: Readonly<Record<string, RegExp>> = {
  string_above_max_length:
    /^Invalid '\S+': (?:string|key) too long\. Expected a (?:string|key) with maximum length \d+, but got a (?:string|key) with length \d+ instead\.$/,
  empty_string:
    /^Invalid '\S+': empty string\. Expected a string with minimum length 1, but got an empty string instead\.$/,
  array_above_max_length:
    /^Invalid '\S+': array too long\. Expected an array with maximum length \d+, but got an array with length \d+ instead\.$/,
  empty_array:
    /^Invalid '\S+': empty array\. Expected an array with minimum length 1, but got an empty array instead\.$/,
  integer_below_min_value:
    /^Invalid '\S+': integer below minimum value\. Expected a value >= \d+, but got -?\d+ instead\.$/,
  integer_above_max_value:
    /^Invalid '\S+': integer above maximum value\. Expected a value <= \d+, but got \d+ instead\.$/,
  decimal_below_min_value:
    /^Invalid '\S+': decimal below minimum value\. Expected a value >= \d+, but got -?[\d.]+ instead\.$/,
  decimal_above_max_value:
    /^Invalid '\S+': decimal above maximum value\. Expected a value <= \d+, but got [\d.]+ instead\.$/,
  object_above_max_properties:
    /^Invalid '\S+': too many properties\. Expected an object with at most \d+ properties, but got an object with \d+ properties instead\.$/,
  missing_required_parameter: /^Missing required parameter: '\S+'\./,
  unknown_parameter: /^Unknown parameter: '\S+'\.$/,
  invalid_type:
    /^Invalid type for '\S+': expected (?:one of )?an? \w+(?: or \w+)*, but got an? (?:\w+|null value) instead\.$/,
  invalid_value: /^Invalid /,
};
const sentence = (code: string): RegExp => SENTENCES[code] ?? /never/;

describe('a field is taken up to its bound and refused beyond', () => {
  type Bound = readonly [readonly Kind[], string, string, unknown, unknown, string?];
  const bounds: readonly Bound[] = [
    [KINDS, 'metadata', 'object_above_max_properties', pairs(16), pairs(17)],
    [KINDS, 'metadata', 'string_above_max_length', { [text(64)]: '' }, { [text(65)]: '' }],
    [KINDS, 'metadata', 'string_above_max_length', { k: text(512) }, { k: text(513) }, 'metadata.k'],
    [ASSISTANTS, 'name', 'string_above_max_length', text(256), text(257)],
    [ASSISTANTS, 'description', 'string_above_max_length', text(512), text(513)],
    [[...ASSISTANTS, ...RUNS], 'model', 'string_above_max_length', text(256), text(257)],
    [[...ASSISTANTS, ...RUNS], 'model', 'empty_string', 'm', ''],
    [[...ASSISTANTS, ...RUNS], 'instructions', 'string_above_max_length', text(256_000), text(256_001)],
    [['run'], 'additional_instructions', 'string_above_max_length', text(256_000), text(256_001)],
    [[...ASSISTANTS, ...RUNS], 'tools', 'array_above_max_length', list(128, tool()), list(129, tool())],
    [
      [...ASSISTANTS, ...RUNS],
      'tools',
      'string_above_max_length',
      [tool({ name: text(64) })],
      [tool({ name: text(65) })],
      'tools[0].function.name',
    ],
    [ASSISTANTS, 'tools', 'empty_string', [], [tool(), tool({ name: '' })], 'tools[1].function.name'],
    [[...ASSISTANTS, ...RUNS], 'temperature', 'decimal_below_min_value', 0, -0.01],
    [[...ASSISTANTS, ...RUNS], 'temperature', 'decimal_above_max_value', 2, 2.01],
    [ASSISTANTS, 'temperature', 'decimal_above_max_value', 1, 3],
    [[...ASSISTANTS, ...RUNS], 'top_p', 'decimal_below_min_value', 0, -1],
    [[...ASSISTANTS, ...RUNS], 'top_p', 'decimal_above_max_value', 1, 1.01],
    [RUNS, 'max_prompt_tokens', 'integer_below_min_value', 1, 0],
    [RUNS, 'max_prompt_tokens', 'integer_above_max_value', 2_147_483_647, 2_147_483_648],
    [RUNS, 'max_completion_tokens', 'integer_below_min_value', 1, -5],
    [RUNS, 'max_completion_tokens', 'integer_above_max_value', 2_147_483_647, 2_147_483_648],
    [
      RUNS,
      'truncation_strategy',
      'integer_below_min_value',
      { type: 'last_messages', last_messages: 1 },
      { type: 'last_messages', last_messages: 0 },
      'truncation_strategy.last_messages',
    ],
    [['run'], 'additional_messages', 'array_above_max_length', list(1_000, said), list(1_001, said)],
    [['thread'], 'messages', 'array_above_max_length', list(10_000, said), list(10_001, said)],
    [['message'], 'content', 'empty_string', 'x', ''],
    [['message'], 'content', 'empty_array', [{ type: 'text', text: '' }], []],
    [
      ['message'],
      'content',
      'array_above_max_length',
      list(1_000, { type: 'text', text: 'x' }),
      list(1_001, { type: 'text', text: 'x' }),
    ],
    [
      [...ASSISTANTS, ...RUNS],
      'response_format',
      'string_above_max_length',
      { type: 'json_schema', json_schema: { name: text(64) } },
      { type: 'json_schema', json_schema: { name: text(65) } },
      'response_format.json_schema.name',
    ],
  ];
  const rows = bounds.flatMap(([kinds, field, code, inside, outside, param]) =>
    kinds.map((kind) => ({ kind, field, code, inside, outside, param: param ?? field })),
  );
  /** Shows A-ASST-11, A-ASST-12, A-ASST-13, A-ERR-09, A-ERR-10, A-MSG-09, A-RUN-17, A-RUN-18, A-RUN-24. */
  test.each(rows)('$param of a $kind: $code', async ({ kind, field, code, inside, outside, param }) => {
    await expectTaken(kind, { [field]: inside });
    await expectRefused(kind, { [field]: outside }, param, code, sentence(code));
  });

  /** Shows A-ERR-04. */
  test('bounds hold inside of threads and of messages that come with a run', async () => {
    const long = [said, { ...said, metadata: { k: text(513) } }];
    const code = 'string_above_max_length';
    await expectRefused('thread', { messages: long }, 'messages[1].metadata.k', code, sentence(code));
    const inRun = 'additional_messages[1].metadata.k';
    await expectRefused('run', { additional_messages: long }, inRun, code, sentence(code));
    const inThread = 'thread.messages[1].metadata.k';
    await expectRefused('thread and run', { thread: { messages: long } }, inThread, code, sentence(code));
  });
});

describe('a value of the wrong type is refused by its path', () => {
  type Wrong = readonly [readonly Kind[], object, string, string?];
  const wrong: readonly Wrong[] = [
    [KINDS, { metadata: 'x' }, 'metadata'],
    [KINDS, { metadata: ['x'] }, 'metadata'],
    [KINDS, { metadata: { k: 5 } }, 'metadata.k'],
    [KINDS, { metadata: { k: null } }, 'metadata.k'],
    [[...ASSISTANTS, ...RUNS], { model: 5 }, 'model'],
    [['assistant'], { model: null }, 'model'],
    [['assistant'], { model: undefined }, 'model', 'missing_required_parameter'],
    [ASSISTANTS, { name: 5 }, 'name'],
    [ASSISTANTS, { description: [] }, 'description'],
    [[...ASSISTANTS, ...RUNS], { instructions: {} }, 'instructions'],
    [[...ASSISTANTS, ...RUNS], { tools: {} }, 'tools'],
    [[...ASSISTANTS, ...RUNS], { tools: ['f'] }, 'tools[0]'],
    [ASSISTANTS, { tools: [{}] }, 'tools[0].type', 'missing_required_parameter'],
    [ASSISTANTS, { tools: [{ type: 'magic' }] }, 'tools[0].type', 'invalid_value'],
    [ASSISTANTS, { tools: [{ type: 'function' }] }, 'tools[0].function', 'missing_required_parameter'],
    [
      ASSISTANTS,
      { tools: [{ type: 'function', function: {} }] },
      'tools[0].function.name',
      'missing_required_parameter',
    ],
    [ASSISTANTS, { tools: [tool({ name: 'a b' })] }, 'tools[0].function.name', 'invalid_value'],
    [ASSISTANTS, { tools: [tool({ description: 5 })] }, 'tools[0].function.description'],
    [ASSISTANTS, { tools: [tool({ parameters: ['x'] })] }, 'tools[0].function.parameters'],
    [ASSISTANTS, { tools: [tool({ strict: 'yes' })] }, 'tools[0].function.strict'],
    [ASSISTANTS, { tools: [tool({ colour: 'red' })] }, 'tools[0].function.colour', 'unknown_parameter'],
    [['assistant', 'thread', ...RUNS], { tool_resources: 'x' }, 'tool_resources'],
    [[...ASSISTANTS, ...RUNS], { temperature: '1' }, 'temperature'],
    [[...ASSISTANTS, ...RUNS], { top_p: true }, 'top_p'],
    [[...ASSISTANTS, ...RUNS], { response_format: 5 }, 'response_format'],
    [[...ASSISTANTS, ...RUNS], { response_format: 'json' }, 'response_format', 'invalid_value'],
    [[...ASSISTANTS, ...RUNS], { response_format: { type: 'xml' } }, 'response_format.type', 'invalid_value'],
    [
      ASSISTANTS,
      { response_format: { type: 'json_schema' } },
      'response_format.json_schema',
      'missing_required_parameter',
    ],
    [
      ASSISTANTS,
      { response_format: { type: 'json_schema', json_schema: {} } },
      'response_format.json_schema.name',
      'missing_required_parameter',
    ],
    [[...ASSISTANTS, ...RUNS], { reasoning_effort: 'huge' }, 'reasoning_effort', 'invalid_value'],
    [RUNS, { assistant_id: undefined }, 'assistant_id', 'missing_required_parameter'],
    [RUNS, { assistant_id: 5 }, 'assistant_id'],
    [RUNS, { assistant_id: '' }, 'assistant_id', 'empty_string'],
    [RUNS, { stream: 'true' }, 'stream'],
    [RUNS, { parallel_tool_calls: 1 }, 'parallel_tool_calls'],
    [RUNS, { max_prompt_tokens: 1.5 }, 'max_prompt_tokens'],
    [RUNS, { max_completion_tokens: 'many' }, 'max_completion_tokens'],
    [RUNS, { truncation_strategy: 'auto' }, 'truncation_strategy'],
    [RUNS, { truncation_strategy: {} }, 'truncation_strategy.type', 'missing_required_parameter'],
    [RUNS, { truncation_strategy: { type: 'half' } }, 'truncation_strategy.type', 'invalid_value'],
    [
      RUNS,
      { truncation_strategy: { type: 'last_messages' } },
      'truncation_strategy.last_messages',
      'missing_required_parameter',
    ],
    [RUNS, { tool_choice: 'any' }, 'tool_choice', 'invalid_value'],
    [RUNS, { tool_choice: 5 }, 'tool_choice'],
    [RUNS, { tool_choice: { type: 'magic' } }, 'tool_choice.type', 'invalid_value'],
    [RUNS, { tool_choice: { type: 'function' } }, 'tool_choice.function', 'missing_required_parameter'],
    [['run'], { additional_instructions: 5 }, 'additional_instructions'],
    [['run'], { additional_messages: said }, 'additional_messages'],
    [
      ['run'],
      { additional_messages: [{ role: 'user' }] },
      'additional_messages[0].content',
      'missing_required_parameter',
    ],
    [['thread and run'], { thread: 'thread_x' }, 'thread'],
    [['thread and run'], { thread: { messages: {} } }, 'thread.messages'],
    [['thread'], { messages: said }, 'messages'],
    [['thread'], { messages: ['x'] }, 'messages[0]'],
    [['message'], { role: undefined }, 'role', 'missing_required_parameter'],
    [['message'], { role: 'system' }, 'role', 'invalid_value'],
    [['message'], { content: undefined }, 'content', 'missing_required_parameter'],
    [['message'], { content: null }, 'content'],
    [['message'], { content: 5 }, 'content'],
    [['message'], { content: ['x'] }, 'content[0]'],
    [['message'], { content: [{ text: 'x' }] }, 'content[0].type', 'missing_required_parameter'],
    [['message'], { content: [{ type: 'video' }] }, 'content[0].type', 'invalid_value'],
    [['message'], { content: [{ type: 'text', text: 5 }] }, 'content[0].text'],
    [['message'], { content: [{ type: 'image_url', image_url: 'https://x' }] }, 'content[0].image_url'],
    [
      ['message'],
      { content: [{ type: 'image_url', image_url: { url: 'ftp://x' } }] },
      'content[0].image_url.url',
      'invalid_value',
    ],
    [
      ['message'],
      { content: [{ type: 'image_url', image_url: { url: 'https://x', detail: 'all' } }] },
      'content[0].image_url.detail',
      'invalid_value',
    ],
    [['message'], { attachments: 'x' }, 'attachments'],
    [KINDS, { colour: 'red' }, 'colour', 'unknown_parameter'],
    [['thread and run'], { additional_instructions: 'x' }, 'additional_instructions', 'unknown_parameter'],
  ];
  const rows = wrong.flatMap(([kinds, fields, param, code = 'invalid_type']) =>
    kinds.map((kind) => ({ kind, fields, param, code })),
  );
  /** Shows A-ASST-13, A-ERR-01, A-ERR-02, A-ERR-04, A-ERR-05, A-ERR-06, A-ERR-07, A-ERR-11, A-ERR-15. */
  /** Shows A-ERR-16, A-MSG-04, A-MSG-06, A-MSG-07, A-RUN-10, A-RUN-24. */
  test.each(rows)('$param of a $kind: $code', async ({ kind, fields, param, code }) => {
    await expectRefused(kind, fields, param, code, sentence(code));
  });

  /** Shows A-OUT-13. */
  test('tool outputs, too', async () => {
    const run = await wire.run(await wire.thread(), { assistant_id: assistant });
    const path = `/threads/${run.thread_id}/runs/${run.id}/submit_tool_outputs`;
    const rows: readonly [object, string, string][] = [
      [{}, 'tool_outputs', 'missing_required_parameter'],
      [{ tool_outputs: null }, 'tool_outputs', 'invalid_type'],
      [{ tool_outputs: ['x'] }, 'tool_outputs[0]', 'invalid_type'],
      [{ tool_outputs: [{ output: 5 }] }, 'tool_outputs[0].output', 'invalid_type'],
      [{ tool_outputs: [{ id: 'x' }] }, 'tool_outputs[0].id', 'unknown_parameter'],
      [{ tool_outputs: list(129, {}) }, 'tool_outputs', 'array_above_max_length'],
      [{ tool_outputs: [], stream: 'yes' }, 'stream', 'invalid_type'],
    ];
    for (const [body, param, code] of rows)
      expectRefusal(await wire.ask('POST', path, { body }), { param, code, message: sentence(code) });
    expect(await wire.get(run)).toEqual(run);
  });

  /** Shows A-ASST-15, A-ERR-08. */
  test('a value that is not one of the known ones is told which those are', async () => {
    const message =
      "Invalid value: 'huge'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', and 'max'.";
    const reply = await send('assistant', { reasoning_effort: 'huge' });
    expectRefusal(reply, { message, param: 'reasoning_effort', code: 'invalid_value' });
  });
});

describe('the hosted tools', () => {
  const ranking_options = { ranker: 'default_2024_08_21', score_threshold: 0 };
  const rows: readonly (readonly [object, object])[] = [
    [{ type: 'code_interpreter' }, { type: 'code_interpreter' }],
    [{ type: 'file_search' }, { type: 'file_search', file_search: { ranking_options } }],
    [
      { type: 'file_search', file_search: { max_num_results: 3, ranking_options: { score_threshold: 0.5 } } },
      {
        type: 'file_search',
        file_search: { max_num_results: 3, ranking_options: { ...ranking_options, score_threshold: 0.5 } },
      },
    ],
  ];
  /** Shows A-HOSTED-01, A-HOSTED-02. */
  test.each(rows)('are taken and echoed: %j', async (given, echoed) => {
    const declared = { type: 'function', function: { name: 'f', description: '', ...EMPTY } };
    const whole = [declared, echoed];
    const made = await wire.ok('POST', '/assistants', { model: 'm', tools: [tool(), given] });
    expect(toolsSchema.parse(made).tools).toStrictEqual(whole);
    const other = await wire.ok('POST', '/assistants', { model: 'm' });
    const changed = await wire.ok('POST', `/assistants/${other.id}`, { tools: [tool(), given] });
    expect(toolsSchema.parse(changed).tools).toStrictEqual(whole);
    for (const kind of RUNS) {
      const reply = await send(kind, { tools: [tool(), given] });
      expect(toolsSchema.parse(reply.body).tools).toStrictEqual(whole);
    }
  });

  test('give room for files to an assistant that has a code interpreter', async () => {
    const room = { code_interpreter: { file_ids: [] } };
    const made = await wire.ok('POST', '/assistants', { model: 'm', tools: [{ type: 'code_interpreter' }] });
    expect(made['tool_resources']).toStrictEqual(room);
    const search = await wire.ok('POST', '/assistants', { model: 'm', tools: [{ type: 'file_search' }] });
    expect(search['tool_resources']).toStrictEqual({});
  });

  /** Shows A-HOSTED-07, A-HOSTED-08. */
  test.each(['file_search', 'code_interpreter'])('can be chosen where they are there: %s', async (type) => {
    for (const kind of RUNS) {
      const reply = await send(kind, { tools: [{ type }], tool_choice: { type } });
      expect(reply).toMatchObject({ status: 200, body: { tool_choice: { type } } });
      const message = `Tool choice '${type}' not found in 'tools' parameter.`;
      const refused = await send(kind, { tools: [tool()], tool_choice: { type } });
      expectRefusal(refused, { message, param: 'tool_choice', code: 'invalid_value' });
    }
  });
});

describe('files and stores that are not there are refused by their place', () => {
  const files = { code_interpreter: { file_ids: ['file-1'] } };
  const stores = { file_search: { vector_store_ids: ['vs_1'] } };
  const noFile = /^No file found with id 'file-1'\./;
  const noStore = /^No vector store found with id 'vs_1'\.$/;
  const resources = [...ASSISTANTS, 'thread', ...RUNS] as const;
  /** Shows A-HOSTED-04. */
  test.each(resources)('as resources of: %s', async (kind) => {
    const ofFiles = 'tool_resources.code_interpreter.file_ids';
    await expectRefused(kind, { tool_resources: files }, ofFiles, 'file_not_found', noFile);
    const ofStores = 'tool_resources.file_search.vector_store_ids';
    await expectRefused(kind, { tool_resources: stores }, ofStores, 'vector_store_not_found', noStore);
  });

  /** Shows A-HOSTED-04. */
  test.each(['assistant', 'thread'] as const)('as files of a new store: %s', async (kind) => {
    const tool_resources = { file_search: { vector_stores: [{ file_ids: ['file-1'] }] } };
    const param = 'tool_resources.file_search.vector_stores[0].file_ids';
    await expectRefused(kind, { tool_resources }, param, 'file_not_found', noFile);
  });

  const attaching = { ...said, attachments: [{ file_id: 'file-1', tools: [{ type: 'file_search' }] }] };
  const attached: readonly (readonly [Kind, object, string])[] = [
    ['message', { attachments: attaching.attachments }, 'attachments[0].file_id'],
    ['message', { attachments: [{ file_id: 'file-1', tools: [] }] }, 'attachments[0].file_id'],
    ['thread', { messages: [said, attaching] }, 'messages[1].attachments[0].file_id'],
    ['run', { additional_messages: [attaching] }, 'additional_messages[0].attachments[0].file_id'],
    [
      'thread and run',
      { thread: { messages: [said, attaching] } },
      'thread.messages[1].attachments[0].file_id',
    ],
  ];
  /** Shows A-HOSTED-06. */
  test.each(attached)('as attachments: %s %j', async (kind, fields, param) => {
    await expectRefused(kind, fields, param, 'file_not_found', noFile);
  });

  test.each([
    ['thread.tool_resources.code_interpreter.file_ids', files, noFile],
    ['thread.tool_resources.file_search.vector_store_ids', stores, noStore],
    [
      'thread.tool_resources.file_search.vector_stores[0].file_ids',
      { file_search: { vector_stores: [{ file_ids: ['file-1'] }] } },
      noFile,
    ],
  ] as const)('as resources of a thread that comes with its run: %s', async (param, tool_resources, text) => {
    const code = text === noStore ? 'vector_store_not_found' : 'file_not_found';
    await expectRefused('thread and run', { thread: { tool_resources } }, param, code, text);
  });
});

/** Shows A-ASST-16. */
test('a strict function whose schema leaves room for more is refused', async () => {
  const message =
    "Invalid schema for function 'f': In context=(), 'additionalProperties' is required to be supplied and to be false.";
  const reply = await send('assistant', { tools: [tool({ parameters: { type: 'object' }, strict: true })] });
  expectRefusal(reply, {
    message,
    param: 'tools[0].function.parameters',
    code: 'invalid_function_parameters',
  });
});

/** Shows A-NOTYET-08. */
test('a run takes tool resources that hold nothing, as assistants and threads do', async () => {
  const empty = { code_interpreter: { file_ids: [] }, file_search: { vector_store_ids: [] } };
  for (const tool_resources of [{}, empty]) await expectTaken('run', { tool_resources });
});

test('an unknown kind of tool resource is refused by its name', async () => {
  const message = "Unknown parameter: 'tool_resources.bogus'.";
  const reply = await send('assistant', { tool_resources: { bogus: [] } });
  expectRefusal(reply, { message, param: 'tool_resources.bogus', code: 'unknown_parameter' });
});

describe('a tool choice that cannot be fulfilled is refused', () => {
  const named = { type: 'function', function: { name: 'g' } };
  const rows: readonly [object, string][] = [
    [
      { tool_choice: 'required' },
      "Invalid value for 'tool_choice': 'required' needs at least one tool in 'tools'.",
    ],
    [
      { tool_choice: 'required', tools: [] },
      "Invalid value for 'tool_choice': 'required' needs at least one tool in 'tools'.",
    ],
    [{ tool_choice: named, tools: [tool()] }, "Tool choice 'g' not found in 'tools' parameter."],
  ];
  /** Shows A-PARAM-09. */
  test.each(rows)('%j', async (fields, message) => {
    for (const kind of RUNS)
      expectRefusal(await send(kind, fields), { message, param: 'tool_choice', code: 'invalid_value' });
    await expectTaken('run', { tool_choice: named, tools: [tool(), tool({ name: 'g' })] });
  });
});

/** Shows A-EXPIRY-01. */
test('a run lives as long as its metadata asks, up to the limit of the server', async () => {
  for (const asked of ['0', '-1', '1.5', 'long', '601', '']) {
    const message = `Invalid 'metadata.expires_after_s': '${asked}'. Expected whole seconds from 1 to 600, this server's limit.`;
    const reply = await send('run', { metadata: { expires_after_s: asked } });
    expectRefusal(reply, { message, param: 'metadata.expires_after_s', code: 'invalid_value' });
  }
  for (const [asked, seconds] of Object.entries({ 1: 1, 600: 600 })) {
    const run = await wire.run(await wire.thread(), {
      assistant_id: assistant,
      metadata: { expires_after_s: asked },
    });
    expect(run['expires_at']).toBe(Number(run['created_at']) + seconds);
  }
});

describe('null is as good as nothing for every field that may be left out', () => {
  const nulls = (...names: readonly string[]): object =>
    Object.fromEntries(names.map((name) => [name, null]));
  const assistantFields =
    'name description instructions tools tool_resources metadata temperature top_p'.split(' ');
  const runFields =
    'model instructions tools tool_resources metadata temperature top_p stream max_prompt_tokens max_completion_tokens truncation_strategy tool_choice parallel_tool_calls response_format reasoning_effort'.split(
      ' ',
    );
  const cases: readonly [Kind, object][] = [
    ['assistant', nulls(...assistantFields, 'response_format', 'reasoning_effort')],
    ['thread', nulls('messages', 'tool_resources', 'metadata')],
    ['message', nulls('attachments', 'metadata')],
    ['run', nulls(...runFields, 'additional_instructions', 'additional_messages')],
    ['thread and run', nulls(...runFields, 'thread')],
    ['thread and run', { thread: nulls('messages', 'tool_resources', 'metadata') }],
  ];
  /** Shows A-RUN-16, A-WIRE-10. */
  test.each(cases)('%s %j', async (kind, fields) => {
    const plain = (reply: Reply): object => {
      expect(reply.status).toBe(200);
      const own = { id: '', created_at: 0, completed_at: 0, expires_at: 0, thread_id: '' };
      return Object.assign({}, reply.body, own);
    };
    expect(plain(await send(kind, fields))).toEqual(plain(await send(kind, {})));
  });

  /** Shows A-WIRE-10. */
  test('deep inside, too', async () => {
    const json = {
      type: 'json_schema',
      json_schema: { name: 'n', description: null, schema: null, strict: null },
    };
    await expectTaken('assistant', { tools: [tool(nulls('description', 'parameters', 'strict'))] });
    await expectTaken('assistant', { response_format: json });
    await expectTaken('run', { truncation_strategy: { type: 'auto', last_messages: null } });
    const image = { type: 'image_url', image_url: { url: 'https://x/y.jpeg', detail: null } };
    await expectTaken('message', { content: [image] });
  });
});

describe('a tool is echoed', () => {
  const rows: readonly [string, object, object][] = [
    ['with an empty schema', {}, { parameters: { type: 'object', properties: {} }, strict: false }],
    [
      'with its description',
      { description: 'd', parameters: null, strict: null },
      { description: 'd', parameters: { type: 'object', properties: {} }, strict: false },
    ],
    [
      'as it was given',
      { parameters: { additionalProperties: false }, strict: true },
      { parameters: { additionalProperties: false }, strict: true },
    ],
    [
      'with every word of its schema',
      { parameters: { type: 'object', properties: { q: { enum: ['*', 1, null] } }, $defs: { x: {} } } },
      {
        parameters: { type: 'object', properties: { q: { enum: ['*', 1, null] } }, $defs: { x: {} } },
        strict: false,
      },
    ],
  ];
  /** Shows A-ASST-09, A-ASST-10, A-RUN-07. */
  test.each(rows)('%s', async (_, given, echoed) => {
    const tools = [{ type: 'function', function: { name: 'f', description: '', ...echoed } }];
    for (const kind of ['assistant', 'run'] as const) {
      const reply = await send(kind, { tools: [tool(given)] });
      expect(toolsSchema.parse(reply.body).tools).toEqual(tools);
    }
  });
});
