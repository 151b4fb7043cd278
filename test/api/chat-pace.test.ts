/**
 * The silence before an answer: a filler where engines would hang up, heartbeats where proxies would, and headers that say
 * what the time went into.
 */
import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { asking, hear, post, textOf } from '../support/chat.ts';
import { FILLER, HURRIED, withSharedService } from '../support/shared-service.ts';
import { calls, finish, gate, refuses, says, text } from '../support/upstream.ts';

const { upstream, service } = withSharedService(HURRIED);

const voice = (body: object): Promise<Response> => post(`${service.url}/chat/completions`, body);
const chat = (body: object): Promise<Response> => post(`${service.baseUrl}/chat/completions`, body);

/** An assistant with a tool that the server runs. */
async function withClock(): Promise<string> {
  const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any' });
  const tools = [{ type: 'function' as const, function: { name: 'clock' } }];
  return (await openai.beta.assistants.create({ model: 'any-model', tools })).id;
}

describe('on a voice path', () => {
  test('answers stream unless told otherwise', async () => {
    // On a busy machine even this needs the filler.
    const { text: heard } = await hear(await voice(asking('hi')));
    expect(heard.replace(FILLER, '')).toBe('You said: hi');
    await expect(textOf(await voice(asking('hi', { stream: false })))).resolves.toBe('You said: hi');
  });

  test('a slow answer begins with the filler', async () => {
    const door = gate();
    upstream.reply(() => [door, text('Here I am.'), finish('stop')]);
    const heard = await hear(await voice(asking('hello?')), (said) => {
      if (said === FILLER) door.open();
    });
    expect(heard).toMatchObject({ text: `${FILLER}Here I am.`, finish: 'stop', error: null });
    expect(heard.chunks[0]).toMatchObject({
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta: { role: 'assistant', content: FILLER }, finish_reason: null }],
    });
    expect(heard.chunks[1]?.choices[0]?.delta).toEqual({ content: 'Here I am.' });
  });

  test('a tool of the server’s is no answer: the filler comes behind it', async () => {
    const door = gate();
    upstream.reply(({ outputs }) =>
      outputs.length === 0
        ? calls([{ name: 'clock', arguments: {} }])
        : [door, text('Late.'), finish('stop')],
    );
    const body = asking('time?', { model: await withClock() });
    const heard = await hear(await voice(body), (said) => {
      if (said === FILLER) door.open();
    });
    expect(heard.text).toBe(`${FILLER}Late.`);
  });

  test('a slow refusal is spoken behind the filler, and told in the stream', async () => {
    const door = gate();
    upstream.reply(() => [door, ...refuses(500, 'no')]);
    const heard = await hear(await voice(asking('hello?')), () => door.open());
    const sorry = '抱歉，请稍后再试。 Sorry, please try again later.';
    expect(heard).toMatchObject({ text: FILLER + sorry, error: { code: 'upstream_error' } });
  });

  test('the filler is not kept in a thread', async () => {
    const door = gate();
    upstream.reply(({ text: said }) => (said === 'slow' ? [door, ...says('Slowly.')] : undefined));
    await hear(await voice(asking('slow', { thread_id: 'v' })), () => door.open());
    await hear(await voice(asking('next', { thread_id: 'v' })));
    expect(upstream.requests.at(-1)?.body.messages[1]).toEqual({ role: 'assistant', content: 'Slowly.' });
  });
});

test('elsewhere a slow answer has no filler', async () => {
  upstream.reply(() => [{ type: 'delay', delayMs: 600 }, text('At last.'), finish('stop')]);
  await expect(hear(await chat(asking('hello?', { stream: true })))).resolves.toMatchObject({
    text: 'At last.',
  });
});

test('a stream that falls silent is kept alive by comments', async () => {
  const door = gate();
  upstream.reply(() => [text('Well'), door, text(' …'), finish('stop')]);
  const response = await chat(asking('hello?', { stream: true }));
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let raw = '';
  for (;;) {
    const packet = await reader?.read();
    if (packet === undefined || packet.done) break;
    raw += packet.value;
    if (raw.includes(': ping\n')) door.open();
  }
  expect(raw).toContain(': ping\n');
  expect(raw.replaceAll(': ping\n', '')).toMatch(/^(?:data: [^\n]+\n\n)+$/);
  expect(raw.endsWith('data: [DONE]\n\n')).toBe(true);
});

describe.each([true, false])('the headers of an answer (stream: %s)', (stream) => {
  /** The milliseconds of each share. */
  function timingOf(response: Response): Readonly<Record<string, number>> {
    const shares = (response.headers.get('server-timing') ?? '').split(', ');
    return Object.fromEntries(
      shares.map((share) => {
        const [, name = share, ms = ''] = /^(\w+);dur=(\d+\.\d)$/.exec(share) ?? [];
        return [name, Number(ms)];
      }),
    );
  }

  test('say how long the queue, the tools and the upstream took until the first word', async () => {
    const delayMs = 300;
    upstream.reply(({ outputs }) =>
      outputs.length === 0
        ? calls([{ name: 'clock', arguments: {} }])
        : [{ type: 'delay', delayMs }, text('Now.'), { type: 'delay', delayMs: 300 }, finish('stop')],
    );
    const response = await chat(asking('time?', { model: await withClock(), stream }));
    await response.text();
    const timing = timingOf(response);
    expect(Object.keys(timing)).toEqual(['queue', 'tools', 'upstream']);
    expect(timing['queue']).toBeGreaterThan(0);
    // The clock needs less than the tenth of a millisecond that is told.
    expect(timing['tools']).toBeGreaterThanOrEqual(0);
    // Timers may be a millisecond early.
    expect(timing['upstream']).toBeGreaterThanOrEqual(delayMs - 5);
  });
});
