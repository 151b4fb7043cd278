/**
 * A run's stream byte by byte: what clients without an SDK parse, and what makes SDKs stumble (id and retry lines, blank lines
 * after comments, an `error` key). Also what a stream must never do: hold its run back, or end it.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import OpenAI from 'openai';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { HURRIED, withSharedService } from '../support/shared-service.ts';
import { finish, gate, refuses, says, text, type Script } from '../support/upstream.ts';

/** Nothing but events of one line of data each, and comments that end no event. */
const FRAMES = /^(?:: ping\n|event: [a-z_.]+\ndata: [^\n]+\n\n)+$/;
const LAST_FRAME = 'event: done\ndata: [DONE]\n\n';

let openai: OpenAI;
let assistantId: string;

const { upstream, service } = withSharedService(HURRIED);

beforeAll(async () => {
  openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
  assistantId = (await openai.beta.assistants.create({ model: 'gpt-4o' })).id;
});

interface Wish {
  readonly signal?: AbortSignal;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Starts a run over a new thread that holds `content`; the raw response. */
function stream(content: string, { signal, metadata = {} }: Wish = {}): Promise<Response> {
  const body = { assistant_id: assistantId, stream: true, metadata, thread: threadWith(content) };
  return post('/threads/runs', body, signal);
}

const threadWith = (content: string) => ({ messages: [{ role: 'user' as const, content }] });

function post(path: string, body: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${service.baseUrl}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'accept-encoding': 'gzip, br' },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });
}

const dataSchema = z.looseObject({ id: z.string(), object: z.string() });

interface Frame {
  readonly event: string;
  readonly data: z.infer<typeof dataSchema>;
}

/** The events of a stream, but for its last frame, each with its data. */
function framesOf(bytes: string): readonly Frame[] {
  expect(bytes).toMatch(FRAMES);
  expect(bytes.endsWith(LAST_FRAME)).toBe(true);
  const all = bytes.slice(0, -LAST_FRAME.length).matchAll(/event: (.+)\ndata: (.+)\n\n/g);
  return [...all].map(([, event = '', data = '']) => ({ event, data: dataSchema.parse(JSON.parse(data)) }));
}

/** Names only, neighbours of the same name counted once. */
function namesOf(frames: readonly Frame[]): readonly string[] {
  return frames.map(({ event }) => event).filter((event, index, all) => event !== all[index - 1]);
}

describe('a stream of a run', () => {
  /** Shows A-FRAME-02, A-FRAME-03, A-FRAME-04, A-FRAME-05, A-FRAME-09, A-FRAME-11, A-ORDER-03. */
  /** Shows A-WIRE-13. */
  test('is pairs of event and data, says its charset, and ends with [DONE]', async () => {
    upstream.reply(() => says('晴れ, ', '"quoted"\n', '🌤'));
    const response = await stream('weather?');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('cache-control')).toContain('no-cache');
    expect(response.headers.get('content-encoding')).toBeNull();
    expect(response.headers.get('x-request-id')).toBeTruthy();
    const bytes = await response.text();
    const frames = framesOf(bytes);
    expect(namesOf(frames)[0]).toBe('thread.created');
    expect(namesOf(frames).at(-1)).toBe('thread.run.completed');
    const runs = frames.filter(({ data }) => data.object === 'thread.run');
    expect(runs.map(({ data }) => data['status'])).toEqual(['queued', 'queued', 'in_progress', 'completed']);
    expect(runs[1]?.data).toEqual(runs[0]?.data);
    // Unescaped, so that programs that search the text for words find them.
    expect(bytes).toContain('晴れ');
    expect(frames.filter(({ data }) => 'error' in data)).toEqual([]);
  });

  /** Shows A-FRAME-06. */
  test('pings while the model says nothing, by comments that end no event', async () => {
    const door = gate();
    upstream.reply(() => [text('wait'), door, ...says(' for it')]);
    const response = await stream('slowly');
    let bytes = '';
    for await (const chunk of textOf(response)) {
      bytes += chunk;
      if (bytes.split(': ping\n').length > 3) door.open();
    }
    expect(namesOf(framesOf(bytes)).at(-1)).toBe('thread.run.completed');
  });

  const begins = ['thread.created', 'thread.run.created', 'thread.run.queued', 'thread.run.in_progress'];
  const speaks = [
    ...begins,
    'thread.run.step.created',
    'thread.run.step.in_progress',
    'thread.message.created',
    'thread.message.in_progress',
    'thread.message.delta',
  ];
  const endings: readonly [string, Script, readonly string[], object][] = [
    [
      'fails when the model refuses the prompt',
      refuses(400, 'The prompt is too long'),
      [...begins, 'thread.run.failed'],
      { status: 'failed', last_error: { code: 'invalid_prompt' } },
    ],
    [
      'fails when the model has too much to do',
      refuses(429, 'Rate limit reached'),
      [...begins, 'thread.run.failed'],
      { status: 'failed', last_error: { code: 'rate_limit_exceeded' } },
    ],
    [
      'fails when the model talks nonsense',
      [{ type: 'line', line: 'data: {nonsense' }],
      [...begins, 'thread.run.failed'],
      { status: 'failed', last_error: { code: 'server_error' } },
    ],
    [
      'fails when the model breaks off, after closing what was open',
      [text('Once upon'), { type: 'break' }],
      [...speaks, 'thread.message.incomplete', 'thread.run.step.failed', 'thread.run.failed'],
      { status: 'failed', last_error: { code: 'server_error' } },
    ],
    [
      'is incomplete when the answer was too long',
      [text('Once upon'), finish('length')],
      [...speaks, 'thread.message.incomplete', 'thread.run.step.completed', 'thread.run.incomplete'],
      { status: 'incomplete', incomplete_details: { reason: 'max_completion_tokens' }, completed_at: null },
    ],
    [
      'is incomplete with an empty message when there was no room for a word',
      [finish('length')],
      [...speaks, 'thread.message.incomplete', 'thread.run.step.completed', 'thread.run.incomplete'],
      { status: 'incomplete' },
    ],
  ];

  /** Shows A-FRAME-03, A-FRAME-04, A-FRAME-05, A-FRAME-11, A-ORDER-08, A-ORDER-09, A-ORDER-10. */
  /** Shows A-ORDER-15, A-ORDER-16. */
  test.each(endings)('%s', async (_, script, order, run) => {
    upstream.reply(() => script);
    const frames = framesOf(await (await stream('tell me a story')).text());
    expect(namesOf(frames)).toEqual(order);
    expect(frames.at(-1)?.data).toMatchObject(run);
  });

  /** Shows A-INV-06, A-ORDER-13. */
  test('expires with what was said so far when its time is over', async () => {
    upstream.reply(() => [text('Once upon'), { type: 'stall' }]);
    // Expiry counts whole seconds of the clock, so one second could be over before the model has spoken.
    const response = await stream('a story that never ends', { metadata: { expires_after_s: '2' } });
    const frames = framesOf(await response.text());
    const order = [...speaks, 'thread.message.incomplete', 'thread.run.step.expired', 'thread.run.expired'];
    expect(namesOf(frames)).toEqual(order);
    expect(frames.at(-3)?.data).toMatchObject({
      incomplete_details: { reason: 'run_expired' },
      content: [{ text: { value: 'Once upon' } }],
    });
    const request = await upstream.asked((asked) => asked.text === 'a story that never ends');
    await expect(request.closed).resolves.toMatchObject({ by: 'client' });
  });

  /** Shows A-FRAME-08, A-RUN-19. */
  test('is refused in plain JSON, before anything is streamed', async () => {
    const response = await post('/threads/runs', { assistant_id: 'asst_none', stream: true });
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(await response.json()).toEqual({
      error: {
        message: "No assistant found with id 'asst_none'.",
        type: 'invalid_request_error',
        param: null,
        code: null,
      },
    });
  });

  /** Shows A-FRAME-12. */
  test('that is hung up on leaves its run running', async () => {
    const door = gate();
    upstream.reply(() => [text('half'), door, ...says(' done')]);
    const hangUp = new AbortController();
    const response = await stream('I shall not wait', { signal: hangUp.signal });
    await door.reached;
    hangUp.abort();
    await expect(response.text()).rejects.toThrow('aborted');
    door.open();
    const request = await upstream.asked((asked) => asked.text === 'I shall not wait');
    await expect(request.closed).resolves.toMatchObject({ by: 'server' });
  });

  /** Shows A-FRAME-13. */
  test('that nobody reads does not hold its run back', async () => {
    const paragraph = 'x'.repeat(64 * 1024);
    upstream.reply(() => says(...Array.from({ length: 64 }, () => paragraph)));
    const thread = await openai.beta.threads.create(threadWith('a very long story'));
    const silent = await openWithoutReading(`/threads/${thread.id}/runs`, {
      assistant_id: assistantId,
      stream: true,
    });
    const [run] = (await openai.beta.threads.runs.list(thread.id)).data;
    const ended = await openai.beta.threads.runs.poll(run?.id ?? '', { thread_id: thread.id });
    expect(ended.status).toBe('completed');
    silent.destroy();
  });
});

function textOf(response: Response): ReadableStream<string> {
  if (response.body === null) throw new Error('the answer has no body');
  return response.body.pipeThrough(new TextDecoderStream());
}

/** Posts and leaves the answer's bytes where they are, which fills every buffer on the way. */
function openWithoutReading(path: string, body: object): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const request = httpRequest(`${service.baseUrl}${path}`, { method: 'POST', headers });
    request.once('error', reject);
    request.once('response', (response) => {
      response.once('error', () => {});
      resolve(response.pause());
    });
    request.end(JSON.stringify(body));
  });
}
