/**
 * What is no answer of a model server, as every caller hears of it: Assistants clients that poll and that stream, chat
 * clients, voice engines and glasses. What passes by itself is not noticed by any of them.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { post } from '../support/chat.ts';
import { finish, gate, refuses, says, text, type Script, type UpstreamRequest } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const SORRY = { glasses: 'Glasses are sorry.', voice: 'The voice is sorry.' };
const { upstream, service, wire } = withService({
  env: {
    UPSTREAM_RETRIES: '1',
    UPSTREAM_WAIT_MS: '60000',
    SPOKEN_WAIT_MS: '400',
    FILLER_AFTER_MS: '60000',
    APOLOGY: SORRY.glasses,
    VOICE_APOLOGY: SORRY.voice,
  },
});

/** What a caller has heard. */
interface Heard {
  readonly text: string;
  readonly finish: string | null;
  readonly error: { readonly message: string; readonly code: string | null; readonly param?: unknown } | null;
  readonly status: number;
}

type Caller = (said: string) => Promise<Heard>;

async function polled(said: string): Promise<Heard> {
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const thread = await wire.thread(said);
  const run = await wire.play(thread, { assistant_id });
  const messages = await wire.list(`/threads/${thread}/messages?order=asc&run_id=${run.id}`);
  const all = JSON.stringify(messages.map((message) => message['content']));
  const error = run['last_error'];
  return {
    text: /"value":"([^"]*)"/.exec(all)?.[1] ?? '',
    finish: run.status,
    error: isError(error) ? error : null,
    status: 200,
  };
}

async function streamed(said: string): Promise<Heard> {
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const thread = await wire.thread(said);
  const frames = await (
    await wire.stream('POST', `/threads/${thread}/runs`, { body: { assistant_id, stream: true } })
  ).rest();
  const run: unknown = frames.at(-2)?.data;
  const all = JSON.stringify(frames.filter(({ name }) => name === 'thread.message.delta'));
  const error = fieldOf(run, 'last_error');
  return {
    text: [...all.matchAll(/"value":"([^"]*)"/g)].map(([, value]) => value).join(''),
    finish: String(fieldOf(run, 'status')),
    error: isError(error) ? error : null,
    status: 200,
  };
}

const at =
  (path: string, more: object): Caller =>
  async (said) => {
    const response = await post(`${service.url}${path}`, {
      model: 'm',
      messages: [{ role: 'user', content: said }],
      ...more,
    });
    const raw = await response.text();
    const data = raw.startsWith('data:')
      ? [...raw.matchAll(/^data: (\{.*)$/gm)].map(([, json = '']): unknown => JSON.parse(json))
      : [JSON.parse(raw)];
    const choices = data.map((one) => fieldOf(fieldOf(one, 'choices'), '0'));
    const deltas = choices.map((choice) => fieldOf(choice, 'delta') ?? fieldOf(choice, 'message'));
    const error = data.map((one) => fieldOf(one, 'error')).find(isError);
    if (raw.startsWith('data:')) expect(raw.endsWith('data: [DONE]\n\n')).toBe(true);
    return {
      text: deltas.map((delta) => textOf(fieldOf(delta, 'content'))).join(''),
      finish:
        choices
          .map((choice) => fieldOf(choice, 'finish_reason'))
          .find((reason) => typeof reason === 'string') ?? null,
      error: error ?? null,
      status: response.status,
    };
  };

const textOf = (content: unknown): string => (typeof content === 'string' ? content : '');

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function isError(value: unknown): value is NonNullable<Heard['error']> {
  return typeof fieldOf(value, 'message') === 'string';
}

const plain: Readonly<Record<string, Caller>> = {
  polled,
  streamed,
  chat: at('/v1/chat/completions', {}),
  'chat stream': at('/v1/chat/completions', { stream: true }),
};
const spoken: Readonly<Record<string, Caller>> = {
  voice: at('/chat/completions', {}),
  'voice whole': at('/chat/completions', { stream: false }),
  glasses: at('/custom_agent/chat', {}),
  'glasses whole': at('/custom_agent/chat', { stream: false }),
};

/** How often the model server was asked for the answer to these words. */
const tries = (said: string): number => upstream.requests.filter((request) => request.text === said).length;

/** Asks as every caller, at once, while the model server answers these scripts to each, the last one for ever. */
async function hearAll(
  callers: Readonly<Record<string, Caller>>,
  what: string,
  scripts: readonly Script[],
): Promise<readonly (readonly [name: string, heard: Heard, tries: number])[]> {
  upstream.reply(({ text: said }) => scripts[Math.min(tries(said), scripts.length) - 1] ?? []);
  return Promise.all(
    Object.entries(callers).map(async ([name, caller]) => {
      const said = `${what}, ${name}`;
      return [name, await caller(said), tries(said)] as const;
    }),
  );
}

const body = (status: number, error: object): Script => [
  { type: 'refusal', status, headers: {}, body: { error } },
];
const line = (json: object): Script => [{ type: 'line', line: `data: ${JSON.stringify(json)}` }];
const whole = (json: object): Script => [{ type: 'refusal', status: 200, headers: {}, body: json }];

describe('what passes by itself', () => {
  test.each<[string, Script]>([
    [
      'a call that the server could not read',
      body(400, { message: 'Failed to call a function.', code: 'tool_use_failed' }),
    ],
    ['the same in the stream', line({ error: { message: 'no', code: 'tool_use_failed', status_code: 400 } })],
    ['an overload', line({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } })],
    ['an error of a gateway as a whole answer', whole({ code: 1305, msg: 'busy', success: false })],
    ['blanks', [text('\n '), finish('stop')]],
    ['a server that loads', body(503, { message: 'Loading model', code: 503 })],
    ['a server that resets', [{ type: 'break' }]],
  ])('%s is noticed by nobody', async (what, script) => {
    for (const [name, heard, asked] of await hearAll({ ...plain, ...spoken }, what, [
      script,
      says('Hello.'),
    ])) {
      expect([name, heard]).toMatchObject([name, { text: 'Hello.', error: null, status: 200 }]);
      expect(asked).toBe(2);
    }
  });

  test('a server that loads for longer is waited for, but not by those who listen', async () => {
    const loading = body(503, { message: 'Loading model', type: 'unavailable_error' });
    const scripts = [loading, loading, loading, loading, says('Here I am.')];
    const [waiting, speaking] = await Promise.all([
      hearAll(plain, 'long', scripts),
      hearAll(spoken, 'long', scripts),
    ]);
    for (const [name, heard] of waiting) expect([name, heard.text]).toEqual([name, 'Here I am.']);
    for (const [name, heard] of speaking) expect([name, heard.text]).toEqual([name, sorryOf(name)]);
    const told = service.logs.filter(({ msg }) => msg.includes('that cannot answer yet is waited for'));
    expect(new Set(told.map((logged) => logged['run_id'])).size).toBe(told.length);
  });

  test('a run that is cancelled waits no longer', async () => {
    const door = gate();
    upstream.reply(() => {
      door.reach();
      return body(503, { message: 'Loading model' });
    });
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const thread = await wire.thread('cancel me');
    const run = await wire.ok('POST', `/threads/${thread}/runs`, { assistant_id });
    await door.reached;
    await wire.ok('POST', `/threads/${thread}/runs/${run.id}/cancel`, {});
    await expect
      .poll(async () => (await wire.ok('GET', `/threads/${thread}/runs/${run.id}`))['status'])
      .toBe('cancelled');
  });
});

/** How a failed turn ends for those who hear of errors; the others hear a proper end. */
const ENDS = new Map([
  ['polled', 'failed'],
  ['streamed', 'failed'],
  ['chat', 'none'],
  ['chat stream', 'none'],
]);

const sorryOf = (name: string): string => (name.startsWith('voice') ? SORRY.voice : SORRY.glasses);

describe('what is no answer', () => {
  test.each<[string, Script, RegExp]>([
    ['an answer without a word', [finish('stop')], /without a word or a call, with the reason 'stop'/],
    ['blanks alone', [text(' \n'), finish('stop')], /without a word or a call/],
    [
      'thoughts alone',
      [{ type: 'chunk', delta: { reasoning_content: 'Hm.' }, finish: null }, finish('stop')],
      /without a word/,
    ],
    ['an error of a framework', line({ detail: 'GPU on fire' }), /It said: GPU on fire$/],
    [
      'an error as a whole answer',
      whole({ error_code: 336_501, error_msg: 'GPU on fire' }),
      /It said: GPU on fire$/,
    ],
    ['a refusal', refuses(500, 'GPU on fire'), /It said: GPU on fire$/],
  ])('%s fails in words of the server, or in words that are spoken', async (what, script, message) => {
    const said = expect.stringMatching(message) as unknown;
    for (const [name, heard, asked] of await hearAll({ ...plain, ...spoken }, what, [script])) {
      expect([name, asked]).toEqual([name, 2]);
      const fails = name in plain;
      const isEngine = name === 'voice';
      expect([name, heard]).toMatchObject([
        name,
        {
          text: fails ? '' : sorryOf(name),
          error: fails || isEngine ? { message: said } : null,
          // A stream that has begun, be it with thoughts, keeps its status.
          status: name === 'chat' ? 502 : heard.status,
        },
      ]);
      expect([name, heard.finish ?? 'none']).toEqual([name, ENDS.get(name) ?? 'stop']);
    }
  });

  test('an answer that breaks off keeps its words, and devices say that they are sorry', async () => {
    const heard = await hearAll({ ...plain, ...spoken }, 'break', [[text('Once'), { type: 'break' }]]);
    const texts = Object.fromEntries(heard.map(([name, { text: all }]) => [name, all]));
    expect(texts).toEqual({
      polled: 'Once',
      streamed: 'Once',
      chat: '',
      'chat stream': 'Once',
      voice: `Once${SORRY.voice}`,
      'voice whole': SORRY.voice,
      glasses: `Once${SORRY.glasses}`,
      'glasses whole': SORRY.glasses,
    });
    expect(heard.find(([name]) => name === 'voice')?.[1]).toMatchObject({
      finish: 'stop',
      error: { code: 'upstream_error' },
    });
  });
});

describe('a prompt that is too long', () => {
  const fits = ({ body: { messages } }: UpstreamRequest): boolean => messages.length <= 4;
  const refusal = (words: string): Script =>
    body(400, {
      message: words,
      type: 'invalid_request_error',
      param: 'messages',
      code: 'context_length_exceeded',
    });
  const history = Array.from({ length: 20 }, (_, index) => ({
    role: index % 2 ? 'assistant' : 'user',
    content: `${index} ${'All is said and done. '.repeat(20)}`,
  }));
  beforeEach(() => {
    upstream.reply((request) =>
      fits(request) ? undefined : refusal('Range of input length should be [1, 400]'),
    );
  });

  test('is cut and asked again, in chats and in threads', async () => {
    const ask = { model: 'long-1', messages: [...history, { role: 'user', content: 'And?' }] };
    const chat = await post(`${service.baseUrl}/chat/completions`, ask);
    expect(await chat.json()).toMatchObject({ choices: [{ message: { content: 'You said: And?' } }] });
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'long-2' });
    const thread = await wire.thread('First.');
    for (const message of history.slice(0, 10)) await wire.ok('POST', `/threads/${thread}/messages`, message);
    await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'And?' });
    expect(await wire.play(thread, { assistant_id })).toMatchObject({ status: 'completed' });
    // The worker has learned the size: the next prompt fits at once.
    const askedBefore = upstream.requests.length;
    expect((await post(`${service.baseUrl}/chat/completions`, ask)).status).toBe(200);
    expect(upstream.requests.length - askedBefore).toBe(1);
  });

  test('and cannot be cut is refused with the names that the model server has for it', async () => {
    upstream.reply(() => refusal("This model's maximum context length is 4096 tokens."));
    const named = { code: 'context_length_exceeded', param: 'messages', type: 'invalid_request_error' };
    const early = await post(`${service.baseUrl}/chat/completions`, {
      model: 'm',
      messages: [{ role: 'user', content: 'Too long' }],
    });
    expect(early.status).toBe(400);
    expect(await early.json()).toEqual({
      error: { message: "This model's maximum context length is 4096 tokens.", ...named },
    });
  });

  test('an error in the middle of a stream has those names as well', async () => {
    upstream.reply(() => [
      text('Once'),
      ...line({ error: { message: 'No.', param: 'top_k', code: 'unsupported_parameter', status: 400 } }),
    ]);
    const caller = at('/v1/chat/completions', { stream: true });
    expect(await caller('names')).toMatchObject({
      text: 'Once',
      error: { message: 'No.', param: 'top_k', code: 'unsupported_parameter' },
    });
  });
});
