/**
 * The objects of the wire, key by key: what is always there, with which type and default; what a modification changes and what it
 * leaves; and in which order things are listed.
 */
import { describe, expect, inject, test } from 'vitest';
import { startService } from '../support/service.ts';
import { calls, says, text, TURN_USAGE } from '../support/upstream.ts';
import { textOf, Wire, type WireObject } from '../support/wire.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service, wire } = withSharedService();

const id = (prefix: string): unknown => expect.stringMatching(new RegExp(`^${prefix}_[A-Za-z0-9]{24}$`));
const seconds: unknown = expect.toSatisfy(
  (value) => Number.isInteger(value) && Math.abs(Number(value) - Date.now() / 1000) < 1_000,
  'unix seconds, of about now',
);

const USAGE = {
  ...TURN_USAGE,
  prompt_token_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 },
};
const NO_USAGE = {
  prompt_tokens: 0,
  completion_tokens: 0,
  total_tokens: 0,
  prompt_token_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 },
};
const TOOL = {
  type: 'function',
  function: { name: 'f', description: '', parameters: { type: 'object', properties: {} }, strict: false },
};
const ASSISTANT = {
  id: id('asst'),
  object: 'assistant',
  created_at: seconds,
  name: null,
  description: null,
  model: 'm',
  instructions: null,
  tools: [],
  tool_resources: {},
  metadata: {},
  temperature: 1,
  top_p: 1,
  reasoning_effort: null,
  response_format: 'auto',
};
const THREAD = { id: id('thread'), object: 'thread', created_at: seconds, metadata: {}, tool_resources: {} };
const MESSAGE = {
  id: id('msg'),
  object: 'thread.message',
  created_at: seconds,
  thread_id: id('thread'),
  status: 'completed',
  incomplete_details: null,
  completed_at: seconds,
  incomplete_at: null,
  role: 'user',
  content: [{ type: 'text', text: { value: 'hello', annotations: [] } }],
  assistant_id: null,
  run_id: null,
  attachments: [],
  metadata: {},
};
const RUN = {
  id: id('run'),
  object: 'thread.run',
  created_at: seconds,
  assistant_id: id('asst'),
  thread_id: id('thread'),
  status: 'queued',
  started_at: null,
  expires_at: seconds,
  cancelled_at: null,
  failed_at: null,
  completed_at: null,
  required_action: null,
  last_error: null,
  incomplete_details: null,
  model: 'm',
  instructions: '',
  tools: [],
  tool_resources: {},
  metadata: {},
  temperature: 1,
  top_p: 1,
  reasoning_effort: null,
  max_completion_tokens: null,
  max_prompt_tokens: null,
  truncation_strategy: { type: 'auto', last_messages: null },
  usage: null,
  response_format: 'auto',
  tool_choice: 'auto',
  parallel_tool_calls: true,
};
const STEP = {
  id: id('step'),
  object: 'thread.run.step',
  created_at: seconds,
  run_id: id('run'),
  assistant_id: id('asst'),
  thread_id: id('thread'),
  type: 'message_creation',
  status: 'completed',
  step_details: { type: 'message_creation', message_creation: { message_id: id('msg') } },
  last_error: null,
  cancelled_at: null,
  completed_at: seconds,
  failed_at: null,
  expired_at: null,
  expires_at: null,
  metadata: {},
  usage: USAGE,
};

/** An assistant of these fields; its id. */
async function assistantOf(fields: object = {}): Promise<string> {
  return (await wire.ok('POST', '/assistants', { model: 'm', ...fields })).id;
}

async function messagesOf(thread: string): Promise<string[]> {
  return (await wire.list(`/threads/${thread}/messages?order=asc`)).map(textOf);
}

describe('every key is always there', () => {
  /** Shows A-ASST-01, A-ASST-03, A-ASST-08, A-ID-01, A-ID-07, A-WIRE-15. */
  test('of an assistant', async () => {
    const created = await wire.ok('POST', '/assistants', { model: 'm' });
    expect(created).toEqual(ASSISTANT);
    expect(await wire.ok('GET', `/assistants/${created.id}`)).toEqual(created);
    expect(await wire.ok('POST', `/assistants/${created.id}`, {})).toEqual(created);
    expect(await wire.list('/assistants?limit=1')).toEqual([created]);
    const deleted = { id: created.id, object: 'assistant.deleted', deleted: true };
    expect(await wire.ok('DELETE', `/assistants/${created.id}`)).toEqual(deleted);
    expect((await wire.ask('DELETE', `/assistants/${created.id}`)).status).toBe(404);
  });

  /** Shows A-ASST-02, A-ASST-10, A-ASST-14, A-ASST-15, A-ASST-17. */
  test('of an assistant with everything', async () => {
    const given = {
      model: 'a/model:latest',
      name: '名前',
      description: 'd',
      instructions: 'Answer "briefly" \\ *now*',
      tools: [TOOL],
      metadata: { k: 'v', '': '' },
      temperature: 0.25,
      top_p: 0.5,
      reasoning_effort: 'xhigh',
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { a: [1] }, strict: true } },
    };
    expect(await wire.ok('POST', '/assistants', given)).toEqual({ ...ASSISTANT, ...given });
  });

  /** Shows A-ID-02, A-ID-07, A-LIST-02, A-THREAD-02, A-THREAD-03, A-THREAD-05, A-THREAD-07, A-WIRE-15. */
  test('of a thread', async () => {
    const created = await wire.ok('POST', '/threads', { messages: [] });
    expect(created).toEqual(THREAD);
    expect(await wire.ok('GET', `/threads/${created.id}`)).toEqual(created);
    const empty = { object: 'list', data: [], first_id: null, last_id: null, has_more: false };
    expect((await wire.ask('GET', `/threads/${created.id}/messages`)).body).toEqual(empty);
    expect((await wire.ask('GET', `/threads/${created.id}/runs`)).body).toEqual(empty);
    const deleted = { id: created.id, object: 'thread.deleted', deleted: true };
    expect(await wire.ok('DELETE', `/threads/${created.id}`)).toEqual(deleted);
    expect((await wire.ask('GET', `/threads/${created.id}`)).status).toBe(404);
  });

  /** Shows A-ID-03, A-ID-07, A-LIST-01, A-MSG-01, A-MSG-02, A-MSG-03, A-MSG-10, A-MSG-12, A-WIRE-15. */
  test('of a message', async () => {
    const thread = await wire.thread();
    const path = `/threads/${thread}/messages`;
    const created = await wire.ok('POST', path, { role: 'user', content: 'hello' });
    expect(created).toEqual({ ...MESSAGE, thread_id: thread });
    expect(created['completed_at']).toBe(created['created_at']);
    expect(await wire.ok('GET', `${path}/${created.id}`)).toEqual(created);
    const page = { object: 'list', data: [created], first_id: created.id, last_id: created.id };
    expect((await wire.ask('GET', path)).body).toEqual({ ...page, has_more: false });
    const deleted = { id: created.id, object: 'thread.message.deleted', deleted: true };
    expect(await wire.ok('DELETE', `${path}/${created.id}`)).toEqual(deleted);
    expect((await wire.ask('GET', `${path}/${created.id}`)).status).toBe(404);
    expect(await wire.list(path)).toEqual([]);
  });

  /** Shows A-MSG-04, A-MSG-05, A-MSG-06, A-MSG-07, A-MSG-08. */
  test('of a message with pictures, and of one the assistant is said to have written', async () => {
    const path = `/threads/${await wire.thread()}/messages`;
    const image = (url: string, detail?: string) => ({ type: 'image_url', image_url: { url, detail } });
    const photo = 'data:image/jpeg;base64,/9j/4AAQ';
    const content = [{ type: 'text', text: '' }, image('https://a.example//b.jpeg', 'low'), image(photo)];
    expect(await wire.ok('POST', path, { role: 'user', content })).toEqual({
      ...MESSAGE,
      content: [
        { type: 'text', text: { value: '', annotations: [] } },
        image('https://a.example//b.jpeg', 'low'),
        image(photo, 'auto'),
      ],
    });
    const message = { role: 'assistant', content: 'hello', metadata: { from: 'elsewhere' } };
    expect(await wire.ok('POST', path, message)).toEqual({
      ...MESSAGE,
      ...message,
      content: MESSAGE.content,
    });
  });

  /** Shows A-ID-04, A-ID-05, A-ID-07, A-LIFE-04, A-MSG-14, A-RUN-01, A-RUN-02, A-RUN-03, A-RUN-13. */
  /** Shows A-RUN-15, A-RUN-16, A-STEP-01, A-STEP-02, A-STEP-16, A-RUN-25. */
  test('of a run and its step, from its beginning to its end', async () => {
    upstream.reply(() => says('hello'));
    const thread = await wire.thread('hello');
    const assistant = await assistantOf();
    const queued = await wire.run(thread, { assistant_id: assistant });
    expect(queued).toEqual({ ...RUN, thread_id: thread, assistant_id: assistant });
    expect(queued['expires_at']).toBe(Number(queued['created_at']) + 600);

    const path = `/threads/${thread}/runs/${queued.id}`;
    const ended = await wire.rested(queued);
    const changes = { status: 'completed', started_at: seconds, completed_at: seconds, expires_at: null };
    expect(ended).toEqual({ ...queued, ...changes, usage: USAGE });
    expect(await wire.list(`/threads/${thread}/runs`)).toEqual([ended]);

    const steps = await wire.list(`${path}/steps`);
    const [answer] = await wire.list(`/threads/${thread}/messages`);
    const details = { type: 'message_creation', message_creation: { message_id: answer?.id } };
    expect(steps).toEqual([{ ...STEP, run_id: queued.id, step_details: details }]);
    expect(await wire.ok('GET', `${path}/steps/${steps[0]?.id}`)).toEqual(steps[0]);
    const own = { role: 'assistant', assistant_id: assistant, run_id: queued.id, thread_id: thread };
    expect(answer).toEqual({ ...MESSAGE, ...own });
  });

  /** Shows A-EXPIRY-02, A-LIFE-02, A-OUT-06, A-OUT-10, A-RUN-04, A-RUN-05, A-STEP-01, A-STEP-03. */
  /** Shows A-STEP-05, A-STEP-06, A-STEP-08. */
  test('of a run that waits, and of its step before and after the answer', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length > 0 ? says('hello') : calls([{ name: 'f', arguments: { a: '*' } }]),
    );
    const thread = await wire.thread('hello');
    const run = await wire.play(thread, { assistant_id: await assistantOf({ tools: [TOOL] }) });
    const call = {
      id: expect.any(String) as unknown,
      type: 'function',
      function: { name: 'f', arguments: '{"a":"*"}' },
    };
    expect(run).toEqual({
      ...RUN,
      status: 'requires_action',
      started_at: seconds,
      tools: [TOOL],
      required_action: { type: 'submit_tool_outputs', submit_tool_outputs: { tool_calls: [call] } },
    });
    const path = `/threads/${thread}/runs/${run.id}/steps`;
    const step = (status: string, output: string | null) => ({
      ...STEP,
      type: 'tool_calls',
      status,
      step_details: {
        type: 'tool_calls',
        tool_calls: [{ ...call, function: { ...call.function, output } }],
      },
    });
    const open = { ...step('in_progress', null), completed_at: null, usage: null };
    expect(await wire.list(path)).toEqual([{ ...open, expires_at: run['expires_at'] }]);

    const queued = await wire.submit(run, 'a "b" \\ *\n');
    expect(queued).toEqual({ ...run, status: 'queued', required_action: null });
    const ended = await wire.rested(run);
    expect(ended).toMatchObject({
      status: 'completed',
      usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 },
    });
    expect(await wire.list(path)).toEqual([STEP, step('completed', 'a "b" \\ *\n')]);
  });

  /** Shows A-RUN-08, A-RUN-09, A-WIRE-15, A-WIRE-19. */
  test('of a run that is created with its thread', async () => {
    const thread = { messages: [{ role: 'user', content: 'hello' }], metadata: { of: 'thread' } };
    const body = { assistant_id: await assistantOf(), thread, metadata: { of: 'run' } };
    const run = await wire.ok('POST', '/threads/runs', body);
    expect(run).toEqual({ ...RUN, metadata: { of: 'run' } });
    const threadId = String(run['thread_id']);
    expect(await wire.ok('GET', `/threads/${threadId}`)).toEqual({ ...THREAD, metadata: { of: 'thread' } });
    await wire.rested({ id: run.id, thread_id: threadId });
    expect(await messagesOf(threadId)).toEqual(['hello', 'You said: hello']);
    const assistant_id = await assistantOf({ instructions: 'Greet.' });
    const alone = await wire.ok('POST', '/threads/runs', { assistant_id });
    expect(alone).toEqual({ ...RUN, instructions: 'Greet.' });
  });

  /** Shows A-STEP-09. */
  test('of a run that says something before it calls', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length > 0 ? says('Done.') : [text('Let me see.'), ...calls([{ name: 'f', arguments: {} }])],
    );
    const thread = await wire.thread('hello');
    const run = await wire.play(thread, { assistant_id: await assistantOf({ tools: [TOOL] }) });
    const ended = await wire.rested(await wire.submit(run, 'x'));
    const steps = await wire.list(`/threads/${thread}/runs/${run.id}/steps?order=asc`);
    expect(steps.map(({ type, usage }) => ({ type, usage }))).toEqual([
      { type: 'message_creation', usage: NO_USAGE },
      { type: 'tool_calls', usage: USAGE },
      { type: 'message_creation', usage: USAGE },
    ]);
    expect(ended['usage']).toMatchObject({ prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 });
    expect(await messagesOf(thread)).toEqual(['hello', 'Let me see.', 'Done.']);
  });
});

describe('a modification', () => {
  /** Shows A-ASST-04, A-ASST-05, A-ASST-06, A-ASST-07, A-ASST-14. */
  test('of an assistant changes what it names, and null resets', async () => {
    const given = {
      model: 'm',
      name: 'n',
      description: 'd',
      instructions: 'i',
      tools: [TOOL],
      metadata: { a: '1', b: '2' },
      temperature: 0.5,
      top_p: 0.5,
      reasoning_effort: 'low',
      response_format: { type: 'json_object' },
    };
    const created = await wire.ok('POST', '/assistants', given);
    const path = `/assistants/${created.id}`;
    const changes: readonly object[] = [
      { name: 'other' },
      { metadata: { c: '3' } },
      { tools: [] },
      { model: 'm2', temperature: 0, top_p: 0 },
      { instructions: '' },
      { response_format: 'auto' },
      {},
    ];
    let expected: object = created;
    for (const change of changes) {
      expected = { ...expected, ...change };
      expect(await wire.ok('POST', path, change)).toEqual(expected);
    }
    // A model has no default to go back to.
    expect(await wire.ok('POST', path, { model: null })).toEqual(expected);
    const nulls = Object.fromEntries(Object.keys(given).map((name) => [name, null]));
    expect(await wire.ok('POST', path, nulls)).toEqual({ ...ASSISTANT, model: 'm2' });
    expect(await wire.ok('GET', path)).toEqual({ ...ASSISTANT, model: 'm2' });
  });

  /** Shows A-MSG-17, A-THREAD-06. */
  test('of metadata replaces all of it; absent it stays, null empties it', async () => {
    const thread = await wire.ok('POST', '/threads', { metadata: { a: '1' } });
    const message = await wire.ok('POST', `/threads/${thread.id}/messages`, {
      role: 'user',
      content: 'hello',
      metadata: { a: '1' },
    });
    const run = await wire.play(thread.id, { assistant_id: await assistantOf(), metadata: { a: '1' } });
    const objects: readonly [string, WireObject][] = [
      [`/threads/${thread.id}`, thread],
      [`/threads/${thread.id}/messages/${message.id}`, message],
      [`/threads/${thread.id}/runs/${run.id}`, run],
    ];
    for (const [path, object] of objects) {
      const steps: readonly [object, object][] = [
        [{}, { a: '1' }],
        [{ metadata: { b: '2' } }, { b: '2' }],
        [{ metadata: {} }, {}],
        [{ metadata: { c: '3', d: '4' } }, { c: '3', d: '4' }],
        [{ metadata: null }, {}],
        [{ metadata: { e: '5' } }, { e: '5' }],
      ];
      for (const [body, metadata] of steps) {
        expect(await wire.ok('POST', path, body)).toEqual({ ...object, metadata });
        expect(await wire.ok('GET', path)).toEqual({ ...object, metadata });
      }
    }
    const list = async (name: string) => wire.list(`/threads/${thread.id}/${name}?order=asc`);
    expect((await list('messages'))[0]).toMatchObject({ metadata: { e: '5' } });
    expect((await list('runs'))[0]).toMatchObject({ metadata: { e: '5' } });
  });

  /** Shows A-RUN-11. */
  test('of a run’s metadata is allowed in every state', async () => {
    upstream.reply(() => calls([{ name: 'f', arguments: {} }]));
    const run = await wire.play(await wire.thread('x'), {
      assistant_id: await assistantOf({ tools: [TOOL] }),
    });
    const path = `/threads/${run.thread_id}/runs/${run.id}`;
    const labelled = { ...run, metadata: { a: '1' } };
    expect(await wire.ok('POST', path, { metadata: { a: '1' } })).toEqual(labelled);
    expect(await wire.ok('POST', `${path}/cancel`)).toMatchObject({ metadata: { a: '1' } });
    expect(await wire.rested(run)).toMatchObject({ status: 'cancelled', metadata: { a: '1' } });
  });
});

describe('lists', () => {
  /** Shows A-LIST-03, A-LIST-04, A-MSG-16, A-THREAD-04. */
  test('are in the order of creation, however fast that was', async () => {
    const names = Array.from({ length: 7 }, (_, n) => `message ${n}`);
    const messages = names.map((content) => ({ role: 'user', content }));
    const thread = (await wire.ok('POST', '/threads', { messages })).id;
    for (const name of ['message 7', 'message 8'])
      await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: name });
    const expected = [...names, 'message 7', 'message 8'];
    expect(await messagesOf(thread)).toEqual(expected);
    const newestFirst = await wire.list(`/threads/${thread}/messages`);
    expect(newestFirst.map(textOf)).toEqual(expected.toReversed());
  });

  /** Shows A-LIST-11. */
  test('go on behind an item that was deleted while one paged', async () => {
    const thread = await wire.thread('0', '1', '2', '3');
    const path = `/threads/${thread}/messages`;
    const [, second] = await wire.list(`${path}?order=asc`);
    await wire.ok('DELETE', `${path}/${second?.id}`);
    const after = await wire.list(`${path}?order=asc&after=${second?.id}`);
    expect(after.map(textOf)).toEqual(['2', '3']);
    const before = await wire.list(`${path}?order=asc&before=${second?.id}`);
    expect(before.map(textOf)).toEqual(['0']);
  });

  /** Shows A-LIST-14, A-LOCK-05. */
  test('of messages can be of one run only', async () => {
    const thread = await wire.thread('first');
    const assistant_id = await assistantOf();
    await wire.play(thread, { assistant_id });
    const additional_messages = [{ role: 'user', content: 'second' }];
    const run = await wire.play(thread, { assistant_id, additional_messages });
    const own = await wire.list(`/threads/${thread}/messages?run_id=${run.id}`);
    expect(own.map(textOf)).toEqual(['You said: second']);
    expect(await wire.list(`/threads/${thread}/messages?run_id=run_none`)).toEqual([]);
  });

  /** Shows A-WIRE-11. */
  test('take include in every spelling', async () => {
    const run = await wire.play(await wire.thread('x'), { assistant_id: await assistantOf() });
    const value = 'step_details.tool_calls[*].file_search.results[*].content';
    const steps = `/threads/${run.thread_id}/runs/${run.id}/steps`;
    for (const name of ['include[]', 'include%5B%5D', 'include']) {
      for (const text of [value, encodeURIComponent(value)])
        expect(await wire.list(`${steps}?${name}=${text}&${name}=${text}`)).toHaveLength(1);
    }
    const created = `/threads/${await wire.thread('x')}/runs?include[]=${encodeURIComponent(value)}`;
    expect(await wire.ok('POST', created, { assistant_id: await assistantOf() })).toEqual(RUN);
  });
});

/** Shows A-WIRE-01. */
test('the same objects are served under the base path of the older clients', async () => {
  const older = new Wire(`${service.url}/api/assts/v1`);
  const assistant = await older.ok('POST', '/assistants', { model: 'm' });
  expect(await wire.ok('GET', `/assistants/${assistant.id}`)).toEqual(assistant);
  const thread = await wire.thread('hello');
  expect(await older.play(thread, { assistant_id: assistant.id })).toMatchObject({ status: 'completed' });
});

describe('a server told to be lenient', () => {
  /** Shows A-ERR-17. */
  test('drops parameters it does not know, and still checks the others', async () => {
    const redisUrl = inject('redisUrl');
    const lenient = await startService({ redisUrl, workers: 0, env: { STRICT_PARAMETERS: 'false' } });
    try {
      const loose = new Wire(lenient.baseUrl);
      expect(await loose.ok('POST', '/assistants', { model: 'm', colour: 'red', file_ids: [] })).toEqual(
        ASSISTANT,
      );
      expect(await loose.ok('POST', '/threads', { colour: 'red' })).toEqual(THREAD);
      const reply = await loose.ask('POST', '/assistants', { body: { model: 5, colour: 'red' } });
      expect(reply.body).toMatchObject({ error: { param: 'model', code: 'invalid_type' } });
    } finally {
      await lenient.stop();
    }
  });
});
