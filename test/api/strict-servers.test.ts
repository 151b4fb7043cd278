/**
 * A model server that is strict in everything that public reports tell of any: every path works with it, streamed or not,
 * whatever a thread's runs or a client's history left behind.
 */
import { describe, expect, test } from 'vitest';
import { hear, post, textOf } from '../support/chat.ts';
import { complaint } from '../support/strict.ts';
import {
  calls,
  finish,
  refuses,
  says,
  text,
  type Script,
  type UpstreamRequest,
} from '../support/upstream.ts';
import { outputsOf, type WireRun } from '../support/wire.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service, wire } = withSharedService({ UPSTREAM_RETRIES: '0' });

const tool = (name: string) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object', properties: {} } },
});
const CLOCK = { auto_tools: 'clock' };
const TOOLS = [tool('clock'), tool('weather')];

/** The server, which says what it does not take, and else as `reply` says. */
function strictly(reply: (request: UpstreamRequest) => Script | undefined = () => says('Sunny.')): void {
  upstream.reply((request) => {
    const wrong = complaint(request.body.messages, { systemFirst: true });
    return wrong === null ? reply(request) : refuses(400, wrong);
  });
}

/** Text and a call in one completion. */
const telling = (name: string, args: unknown = {}): Script => [
  text('Let me see. '),
  ...calls([{ name, arguments: args }]),
];
/** Looks at the clock, then at the weather, and then says it. */
const inTurn = ({ outputs }: UpstreamRequest): Script =>
  [telling('clock'), telling('weather'), says('Sunny.')][outputs.length] ?? says('What?');

const assistantOf = async (more: object = {}): Promise<string> =>
  (await wire.ok('POST', '/assistants', { model: 'm', instructions: 'Be kind.', tools: TOOLS, ...more })).id;

/** Streams to its end, and is then what it is without. */
async function run(thread: string, body: object, stream: boolean): Promise<WireRun> {
  if (!stream) return wire.play(thread, body);
  const frames = await (
    await wire.stream('POST', `/threads/${thread}/runs`, { body: { ...body, stream } })
  ).rest();
  const [created] = frames;
  return wire.get({ thread_id: thread, id: idOf(created?.data) });
}

const idOf = (data: unknown): string =>
  typeof data === 'object' && data !== null && 'id' in data ? String(data.id) : '';

describe.each([true, false])('an assistant (stream: %s)', (stream) => {
  test('goes through the tools of server and client, and on in its thread', async () => {
    strictly(inTurn);
    const assistant_id = await assistantOf();
    const thread = await wire.thread('Time and weather?', 'In Paris, please.');
    const waiting = await run(thread, { assistant_id, metadata: CLOCK }, stream);
    expect(waiting).toMatchObject({ status: 'requires_action', last_error: null });
    // The ids of the client are those that the model server gave.
    expect(outputsOf(waiting, '')).toMatchObject([
      { tool_call_id: expect.stringMatching(/^call_upstream/) as unknown },
    ]);
    expect(await wire.rested(await wire.submit(waiting, 'sunny'))).toMatchObject({ status: 'completed' });
    await goesOn(thread, stream);
  });

  test.each(['{"timezone": "Eur', '["UTC"]'])(
    'goes on after the arguments %s for a tool of the server',
    async (args) => {
      let told: readonly string[] = [];
      strictly(({ outputs }) => {
        told = outputs;
        return outputs.length === 0 ? telling('clock', args) : says('Sunny.');
      });
      const thread = await wire.thread('Time?');
      const done = await run(thread, { assistant_id: await assistantOf(), metadata: CLOCK }, stream);
      expect(done).toMatchObject({ status: 'completed', last_error: null });
      expect(told.join()).toMatch(/The arguments are not JSON|Wrong arguments/);
      await goesOn(thread, stream);
    },
  );

  test('goes on after broken arguments for a tool of the client, who gets them as they were written', async () => {
    strictly(({ outputs }) => (outputs.length === 0 ? telling('weather', '{"city": "Ber') : says('Sunny.')));
    const thread = await wire.thread('Weather?');
    const waiting = await run(thread, { assistant_id: await assistantOf() }, stream);
    const tool_calls = [{ function: { name: 'weather', arguments: '{"city": "Ber' } }];
    expect(waiting.required_action).toMatchObject({ submit_tool_outputs: { tool_calls } });
    const done = await wire.rested(await wire.submit(waiting, ''));
    expect(done).toMatchObject({ status: 'completed', last_error: null });
    await goesOn(thread, stream);
  });

  test('has tools at a server that knows no ids', async () => {
    const call: Script = [
      {
        type: 'chunk',
        delta: { tool_calls: [{ index: 0, function: { name: 'clock', arguments: '{}' } }] },
        finish: 'tool_calls',
      },
    ];
    strictly(({ outputs }) => (outputs.length === 0 ? call : says('Late.')));
    const thread = await wire.thread('Time?');
    const done = await run(thread, { assistant_id: await assistantOf(), metadata: CLOCK }, stream);
    expect(done).toMatchObject({ status: 'completed' });
    await goesOn(thread, stream);
  });
});

/** The next runs of the thread, with a message before it and without. */
async function goesOn(thread: string, stream: boolean): Promise<void> {
  strictly();
  const assistant_id = await assistantOf();
  await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'Again, please.' });
  for (const metadata of [CLOCK, {}]) {
    expect(await run(thread, { assistant_id, metadata }, stream)).toMatchObject({
      status: 'completed',
      last_error: null,
    });
  }
}

/** What ends a run before its answer: what the model says, and what is done then. */
const ENDS: readonly (readonly [string, string, (request: UpstreamRequest) => Script])[] = [
  ['was refused at once', 'failed', () => refuses(400, 'Capacity exceeded.')],
  [
    'was refused behind its tool',
    'failed',
    ({ outputs }) => (outputs.length === 0 ? telling('clock') : refuses(400, 'Capacity exceeded.')),
  ],
  ['broke off in its answer', 'failed', () => [text('Half'), { type: 'break' }]],
  ['broke off in its calls', 'failed', () => [...telling('weather').slice(0, 2), { type: 'break' }]],
  [
    'broke off behind its tool',
    'failed',
    ({ outputs }) => (outputs.length === 0 ? telling('clock') : [text('Half'), { type: 'break' }]),
  ],
  ['was cut in its answer', 'incomplete', () => [text('Half'), finish('length')]],
  ['was cut in its calls', 'incomplete', () => [...telling('weather').slice(0, 2), finish('length')]],
  ['was cut before a word', 'incomplete', () => [finish('length')]],
  ['was cancelled while the client was to answer', 'cancelled', () => telling('weather')],
  ['was cancelled behind a tool of the server', 'cancelled', inTurn],
  ['expired while the client was to answer', 'expired', inTurn],
  [
    'called tools of both, and was cancelled',
    'cancelled',
    () =>
      calls([
        { name: 'clock', arguments: {} },
        { name: 'weather', arguments: {} },
      ]),
  ],
];

describe.each(ENDS)('a thread whose run %s', (_, status, reply) => {
  test.each([true, false])('goes on (stream: %s)', async (stream) => {
    strictly(reply);
    const thread = await wire.thread('Time and weather?');
    const first = await run(
      thread,
      {
        assistant_id: await assistantOf(),
        metadata: { ...CLOCK, ...(status === 'expired' && { expires_after_s: '1' }) },
      },
      stream,
    );
    if (status === 'cancelled') await wire.ok('POST', `/threads/${thread}/runs/${first.id}/cancel`);
    await expect.poll(async () => (await wire.get(first)).status, { timeout: 30_000 }).toBe(status);
    await goesOn(thread, stream);
  });
});

const call = (id: string | null, args = '{}') => ({
  id,
  type: 'function',
  function: { name: 'f', arguments: args },
});
const user = (content: unknown) => ({ role: 'user', content });
const assistant = (content: unknown, more: object = {}) => ({ role: 'assistant', content, ...more });
const asked = (...all: readonly object[]) => assistant(null, { tool_calls: all });
const answered = (id: string | undefined, content: unknown = 'sunny') => ({
  role: 'tool',
  tool_call_id: id,
  content,
});
const PICTURE = { type: 'image_url', image_url: { url: 'https://example.test/p.jpg' } };

/** What clients send. */
const HISTORIES: readonly (readonly [string, readonly object[]])[] = [
  [
    'begins with a greeting',
    [{ role: 'system', content: 'Be kind.' }, assistant('Hello, how can I help?'), user('Hi.')],
  ],
  ['has a greeting only', [{ role: 'system', content: 'Be kind.' }, assistant('Hello?')]],
  ['has instructions only', [{ role: 'system', content: 'Say hello.' }]],
  [
    'has instructions in the middle',
    [user('1'), assistant('2'), { role: 'system', content: 'Be brief.' }, user('3')],
  ],
  ['has no instructions in them', [{ role: 'system', content: ' ' }, user('1')]],
  ['has a text, a picture and a text', [user('See this.'), user([PICTURE]), user('What is it?')]],
  ['ends in silence', [user('Hi'), assistant('Hello.'), user('')]],
  ['is silence alone', [user('  ')]],
  ['has silence around a picture', [user([{ type: 'text', text: ' ' }, PICTURE])]],
  ['has an answer that was lost', [user('1'), assistant(null), user('2'), assistant(''), user('3')]],
  ['has an answer in pieces', [user('1'), assistant('2'), assistant('3'), user('4')]],
  ['ends with an answer', [user('1'), assistant('2')]],
  ['has a call that was interrupted', [user('1'), asked(call('c1'), call('c2')), answered('c2'), user('2')]],
  ['ends with a call', [user('1'), asked(call('c1'))]],
  ['has an answer to no call', [user('1'), answered('c9'), user('2')]],
  [
    'has two answers to a call',
    [user('1'), asked(call('c1')), answered('c1'), answered('c1'), assistant('2'), user('3')],
  ],
  ['has answers out of order', [user('1'), asked(call('c1'), call('c2')), answered('c2'), answered('c1')]],
  ['has an answer too late', [user('1'), asked(call('c1')), user('2'), answered('c1'), user('3')]],
  ['has an answer too early', [user('1'), answered('c1'), asked(call('c1')), user('2')]],
  ['has ids that come again', [user('1'), asked(call('0')), answered('0'), asked(call('0')), answered('0')]],
  ['has calls without ids', [user('1'), asked(call(null), call('')), answered(undefined), answered('')]],
  ['has broken arguments', [user('1'), asked(call('c1', '{"a":')), answered('c1', 'Wrong.')]],
  ['has no arguments', [user('1'), asked(call('c1', '')), answered('c1')]],
  ['has an empty output', [user('1'), asked(call('c1')), answered('c1', '')]],
  ['has a user behind a tool', [user('1'), asked(call('c1')), answered('c1'), user('2')]],
  ['has a picture behind a tool', [user('1'), asked(call('c1')), answered('c1', [PICTURE])]],
  [
    'has text beside a call',
    [user('1'), assistant('Let me see.', { tool_calls: [call('c1')] }), answered('c1')],
  ],
  ['has empty text beside a call', [user('1'), assistant('', { tool_calls: [call('c1')] }), answered('c1')]],
];
const PATHS = ['/v1/chat/completions', '/chat/completions', '/custom_agent/chat'] as const;

describe.each(PATHS)('a chat at %s', (path) => {
  const ask = async (body: object, stream: boolean): Promise<Response> =>
    post(service.url + path, { model: 'm', stream, ...body });

  const heard = async (body: object, stream: boolean): Promise<string | null> =>
    stream ? (await hear(await ask(body, stream))).text : textOf(await ask(body, stream));

  test.each(HISTORIES)('is answered when its history %s', async (_, messages) => {
    strictly();
    expect(await heard({ messages }, true)).toBe('Sunny.');
    expect(await heard({ messages }, false)).toBe('Sunny.');
  });

  test.each([true, false])('is answered in a thread whose run failed (stream: %s)', async (stream) => {
    const thread_id = `${path} ${stream}`;
    strictly(() => refuses(400, 'Capacity exceeded.'));
    await (await ask({ messages: [user('1')], thread_id }, stream)).text();
    strictly();
    expect(await heard({ messages: [user('2')], thread_id }, stream)).toBe('Sunny.');
    expect(await heard({ messages: [user('')], thread_id }, stream)).toBe('Sunny.');
  });
});

test('the photo of glasses is seen', async () => {
  strictly(({ body, outputs }) => {
    const isSeen = JSON.stringify(body.messages).includes('p.jpg');
    return isSeen || outputs.length > 0 ? says('A rose.') : telling('take_a_photo');
  });
  const camera = { model: 'm', tools: [tool('take_a_photo')] };
  const glasses = `${service.url}/custom_agent/chat?device=strict`;
  const first = await hear(await post(glasses, { ...camera, messages: [user('What is this?')] }));
  expect(first.finish).toBe('tool_calls');
  const second = await hear(await post(glasses, { ...camera, messages: [user([PICTURE])] }));
  expect(second).toMatchObject({ text: 'A rose.', error: null });
});
