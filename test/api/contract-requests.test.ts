/**
 * Small promises about requests of every kind that no larger story shows: how many items a page has when nobody says, what
 * may be modified, what is looked at first, and the habits of clients in other languages.
 */
/* oxlint-disable vitest/expect-expect -- expectRefusal asserts. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { keysLike, openLook } from '../support/contents.ts';
import { expectRefusal } from '../support/refusal.ts';
import { calls, gate, says, text } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';
import { runIn, type WireRun } from '../support/wire.ts';

const { upstream, service, wire } = withSharedService();

const TOOLS = [{ type: 'function', function: { name: 'f' } }];
/** What the .NET client adds to the creation of every run, and to every look at its steps. */
const INCLUDE = `include[]=${encodeURIComponent('step_details.tool_calls[*].file_search.results[*].content')}`;

async function assistantOf(fields: object = {}): Promise<string> {
  return (await wire.ok('POST', '/assistants', { model: 'm', ...fields })).id;
}

const pathOf = ({ thread_id, id }: WireRun): string => `/threads/${thread_id}/runs/${id}`;

/** A run that waits for the answer to its call. */
async function waitingRun(): Promise<WireRun> {
  upstream.reply(({ outputs }) =>
    outputs.length > 0 ? says('done') : calls([{ name: 'f', arguments: {} }]),
  );
  return wire.play(await wire.thread('hello'), { assistant_id: await assistantOf({ tools: TOOLS }) });
}

/** Shows A-LIST-08. */
test('a page has twenty items where nobody says how many', async () => {
  const thread = await wire.thread(...Array.from({ length: 21 }, (_, n) => `message ${n}`));
  const { body } = await wire.ask('GET', `/threads/${thread}/messages`);
  expect(body).toMatchObject({ has_more: true });
  expect(await wire.list(`/threads/${thread}/messages`)).toHaveLength(20);
});

describe('of what exists', () => {
  /** Shows A-MSG-11, A-RUN-12, A-THREAD-10. */
  test('nothing but the metadata of messages, runs and threads can be modified', async () => {
    const run = await waitingRun();
    const base = `/threads/${run.thread_id}`;
    const [message] = await wire.list(`${base}/messages`);
    const rows: readonly [string, object, string][] = [
      [`${base}/messages/${message?.id}`, { content: 'other' }, 'content'],
      [`${base}/messages/${message?.id}`, { role: 'assistant' }, 'role'],
      [pathOf(run), { instructions: 'other' }, 'instructions'],
      [pathOf(run), { status: 'completed' }, 'status'],
      [base, { messages: [] }, 'messages'],
    ];
    for (const [path, body, param] of rows) {
      const before = await wire.ok('GET', path);
      expectRefusal(await wire.ask('POST', path, { body }), {
        message: `Unknown parameter: '${param}'.`,
        param,
        code: 'unknown_parameter',
      });
      expect(await wire.ok('GET', path)).toEqual(before);
    }
  });

  /** Shows A-STEP-10. */
  test('steps are to be looked at only', async () => {
    const run = await waitingRun();
    const [step] = await wire.list(`${pathOf(run)}/steps`);
    const one = `${pathOf(run)}/steps/${step?.id}`;
    for (const [method, path] of [
      ['POST', `${pathOf(run)}/steps`],
      ['POST', one],
      ['DELETE', one],
    ] as const)
      expectRefusal(await wire.ask(method, path), {
        status: 405,
        message: `Not allowed to ${method} on /v1${path}. Allowed: GET.`,
        code: 'method_not_supported',
      });
    expect(await wire.list(`${pathOf(run)}/steps`)).toEqual([step]);
  });

  /** Shows A-STEP-17. */
  test('a step stays as it is when the message that it wrote is deleted', async () => {
    const run = await wire.play(await wire.thread('hello'), { assistant_id: await assistantOf() });
    const steps = await wire.list(`${pathOf(run)}/steps`);
    const [answer] = await wire.list(`/threads/${run.thread_id}/messages`);
    await wire.ok('DELETE', `/threads/${run.thread_id}/messages/${answer?.id}`);
    expect(await wire.list(`${pathOf(run)}/steps`)).toEqual(steps);
    expect(steps).toMatchObject([{ step_details: { message_creation: { message_id: answer?.id } } }]);
  });

  /** Shows A-MSG-15. */
  test('a message can be retrieved while it is being written', async () => {
    const door = gate();
    upstream.reply(() => [text('Once'), door, ...says(' upon a time')]);
    const body = { assistant_id: await assistantOf(), stream: true };
    const stream = await wire.stream('POST', `/threads/${await wire.thread('hello')}/runs`, { body });
    const run = runIn((await stream.until('thread.message.delta'))[0]);
    const [message] = await wire.list(`/threads/${run.thread_id}/messages`);
    const open = { status: 'in_progress', role: 'assistant', run_id: run.id, completed_at: null };
    expect(message).toMatchObject(open);
    expect(await wire.ok('GET', `/threads/${run.thread_id}/messages/${message?.id}`)).toMatchObject(open);
    expect(await wire.list(`${pathOf(run)}/steps`)).toMatchObject([{ status: 'in_progress', usage: null }]);
    door.open();
    await stream.rest();
  });
});

describe('a run of which the request says nothing but its assistant', () => {
  /** Shows A-PARAM-11, A-RUN-06. */
  test('has what the assistant says, and so is the model asked', async () => {
    const said = { model: 'm3', temperature: 0.5, top_p: 0.25, reasoning_effort: 'low' };
    const response_format = { type: 'json_object' };
    const assistant_id = await assistantOf({ ...said, response_format });
    const run = await wire.play(await wire.thread('hello'), { assistant_id });
    expect(run).toMatchObject({ ...said, response_format, status: 'completed' });
    expect(upstream.requests.at(-1)?.body).toMatchObject({ ...said, response_format });
  });

  /** Shows A-PARAM-18. */
  test('has no metadata, whatever the assistant has', async () => {
    const assistant_id = await assistantOf({ metadata: { of: 'the assistant' } });
    const run = await wire.run(await wire.thread('hello'), { assistant_id });
    expect(run['metadata']).toEqual({});
    await wire.rested(run);
  });
});

describe('what is wrong with a body', () => {
  /** Shows A-ERR-14. */
  test('is told before the run that has the thread is', async () => {
    const run = await waitingRun();
    const missing = (param: string) => ({
      message: `Missing required parameter: '${param}'.`,
      param,
      code: 'missing_required_parameter',
    });
    const base = `/threads/${run.thread_id}`;
    expectRefusal(await wire.ask('POST', `${base}/messages`, { body: { role: 'user' } }), missing('content'));
    expectRefusal(await wire.ask('POST', `${base}/runs`, { body: {} }), missing('assistant_id'));
  });

  /** Shows A-NOTYET-08. */
  test('is not that it names files, stores and attachments, where it names none', async () => {
    const tool_resources = { code_interpreter: { file_ids: [] }, file_search: { vector_store_ids: [] } };
    const assistant = { model: 'm', tool_resources };
    expect((await wire.ok('POST', '/assistants', assistant))['tool_resources']).toEqual(tool_resources);
    const messages = [{ role: 'user', content: 'hello', attachments: [] }];
    const thread = await wire.ok('POST', '/threads', { messages, tool_resources });
    expect(thread['tool_resources']).toEqual(tool_resources);
    expect(await wire.list(`/threads/${thread.id}/messages`)).toMatchObject([{ attachments: [] }]);
  });
});

describe('the habits of clients', () => {
  /** Shows A-HELP-07. */
  test('in .NET, which send what they do not use with every run', async () => {
    const thread = await wire.thread('hello');
    const body = { assistant_id: await assistantOf(), additional_messages: [] };
    const run = runIn({
      id: null,
      name: '',
      data: await wire.ok('POST', `/threads/${thread}/runs?${INCLUDE}`, body),
    });
    expect(await wire.rested(run)).toMatchObject({ status: 'completed' });
    const [step] = await wire.list(`${pathOf(run)}/steps?${INCLUDE}`);
    expect(await wire.ok('GET', `${pathOf(run)}/steps/${step?.id}?${INCLUDE}`)).toEqual(step);
    expect(await wire.list(`/threads/${thread}/messages`)).toHaveLength(2);
  });

  /** Shows A-WIRE-08. */
  test('in Python, which say that there is JSON where there is no body', async () => {
    const run = await waitingRun();
    const headers = { 'content-type': 'application/json' };
    const cancelled = await wire.ask('POST', `${pathOf(run)}/cancel`, { body: '', headers });
    expect(cancelled).toMatchObject({ status: 200, body: { status: 'cancelling' } });
    const deleted = await wire.ask('DELETE', `/threads/${run.thread_id}`, { headers });
    expect(deleted).toMatchObject({ status: 200, body: { deleted: true } });
  });
});

/** Shows A-WIRE-12. */
test('what is not a stream is JSON and says so', async () => {
  const run = await waitingRun();
  const base = `/threads/${run.thread_id}`;
  const replies = [
    await wire.ask('POST', '/assistants', { body: { model: 'm' } }),
    await wire.ask('GET', '/assistants'),
    await wire.ask('GET', base),
    await wire.ask('GET', `${base}/messages`),
    await wire.ask('GET', pathOf(run)),
    await wire.ask('GET', `${pathOf(run)}/steps`),
    await wire.ask('POST', `${pathOf(run)}/cancel`),
    await wire.ask('DELETE', base),
  ];
  for (const { status, headers } of replies)
    expect([status, headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
});

describe('a fault of the server', () => {
  let redis: ReturnType<typeof openLook>;
  beforeAll(() => {
    redis = openLook(inject('redisUrl'));
  });
  afterAll(() => redis?.disconnect());

  /** Shows A-RETRY-02, A-ERR-03. */
  test('is a 500 that no SDK repeats by itself, since the request may have had its effect', async () => {
    const thread = await wire.thread('hello');
    const [key = ''] = await keysLike(redis, `${service.redisPrefix}:*${thread}}:thread`);
    expect(key).not.toBe('');
    // Of a type that nothing of ours can read.
    await redis.set(key, 'x');
    const reply = await wire.ask('GET', `/threads/${thread}`);
    expectRefusal(reply, {
      status: 500,
      type: 'server_error',
      message: /^The server had an error while processing your request\./,
    });
    expect(reply.headers.get('x-should-retry')).toBe('false');
    await redis.del(key);
  });
});
