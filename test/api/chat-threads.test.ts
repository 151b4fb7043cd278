/**
 * Conversations that the server remembers: how a chat names its thread, what joins it, and what happens when two requests
 * want the same one at once. And what a request without a thread leaves behind: nothing.
 */
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { answerOf, asking, hear, post, refusalOf, textOf } from '../support/chat.ts';
import { channelsLike, contentsOf, keysLike, openLook } from '../support/contents.ts';
import { calls, finish, gate, refuses, says, text } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const WEATHER = { type: 'function' as const, function: { name: 'weather' } };

const redis = openLook(inject('redisUrl'));
let openai: OpenAI;

const { upstream, service } = withService({ env: { UPSTREAM_RETRIES: '0' } });

beforeAll(async () => {
  openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
});

afterAll(async () => {
  redis.disconnect();
});

const chat = (body: unknown, asked: Parameters<typeof post>[2] = {}): Promise<Response> =>
  post(`${service.baseUrl}/chat/completions`, body, asked);

type Said = readonly [role: 'user' | 'assistant', content: string];
const user = (content: string): Said => ['user', content];
const assistant = (content: string): Said => ['assistant', content];
const messagesOf = (said: readonly Said[]): object[] => said.map(([role, content]) => ({ role, content }));

/** What the upstream was last asked, but for instructions. */
function lastPrompt(): readonly Said[] {
  const messages = upstream.requests.at(-1)?.body.messages ?? [];
  return messages
    .filter(({ role }) => role !== 'system')
    .map(({ role, content }) => [
      role === 'user' ? 'user' : 'assistant',
      typeof content === 'string' ? content : JSON.stringify(content),
    ]);
}

async function shown(threadId: string): Promise<readonly Said[]> {
  const { data } = await openai.beta.threads.messages.list(threadId, { order: 'asc', limit: 100 });
  return data.map(({ role, content: [part] }) => [role, part?.type === 'text' ? part.text.value : '']);
}

describe('a thread', () => {
  test.each<[string, object, Record<string, string>]>([
    ['as an integer', { thread_id: 1 }, {}],
    ['as a string', { thread_id: 'room 1 – 客廳' }, {}],
    ['in the metadata', { metadata: { thread_id: 'meta' } }, {}],
    ['as an integer in the metadata', { metadata: { thread_id: 77 } }, {}],
    ['in a header', {}, { 'x-thread-id': 'header-1' }],
  ])('is named by its caller %s, who then sends only what is new', async (_how, more, headers) => {
    await answerOf(await chat(asking('I drink oolong.', more), { headers }));
    await answerOf(await chat(asking('What do I drink?', more), { headers }));
    expect(lastPrompt()).toEqual([
      user('I drink oolong.'),
      assistant('You said: I drink oolong.'),
      user('What do I drink?'),
    ]);
  });

  test('named 5 is the one named "5"', async () => {
    await answerOf(await chat(asking('five', { thread_id: 5 })));
    await answerOf(await chat(asking('again', { thread_id: '5' })));
    expect(lastPrompt()).toHaveLength(3);
  });

  test('of nobody is a stateless request, also where the header is empty', async () => {
    await answerOf(await chat(asking('one', { thread_id: null }), { headers: { 'x-thread-id': ' ' } }));
    await answerOf(await chat(asking('two', { metadata: null }), { headers: { 'x-thread-id': '' } }));
    expect(lastPrompt()).toEqual([user('two')]);
  });

  test.each([
    ['thread_id', { thread_id: '' }],
    ['thread_id', { thread_id: 1.5 }],
    ['thread_id', { thread_id: {} }],
    ['metadata.thread_id', { metadata: { thread_id: { a: 1 } } }],
    ['metadata.thread_id', { metadata: { thread_id: '' } }],
    ['thread_id', { thread_id: 'x'.repeat(257) }],
  ])('cannot have the %s %j', async (param, more) => {
    await expect(refusalOf(await chat(asking('hi', more)))).resolves.toMatchObject({ status: 400, param });
  });

  test('of the Assistants API is talked to by its id, and shows there what was said', async () => {
    const { id } = await openai.beta.threads.create({ messages: [{ role: 'user', content: 'I am Ada.' }] });
    await answerOf(await chat(asking('Who am I?', { thread_id: id })));
    expect(lastPrompt()).toEqual([user('I am Ada.\n\nWho am I?')]);
    const { id: assistant_id } = await openai.beta.assistants.create({ model: 'any-model' });
    await openai.beta.threads.messages.create(id, { role: 'user', content: 'And you?' });
    await openai.beta.threads.runs.createAndPoll(id, { assistant_id }, { pollIntervalMs: 20 });
    await answerOf(await chat(asking('Bye.', { thread_id: id })));
    expect(await shown(id)).toEqual([
      user('I am Ada.'),
      user('Who am I?'),
      assistant('You said: Who am I?'),
      user('And you?'),
      assistant('You said: And you?'),
      user('Bye.'),
      assistant('You said: Bye.'),
    ]);
    const { data: runs } = await openai.beta.threads.runs.list(id);
    expect(runs.map(({ status }) => status)).toEqual(['completed', 'completed', 'completed']);
  });

  test.each(['thread_nobody', 'thread_with:colon', 'thread_{braces}'])('%s does not exist', async (id) => {
    const refused = await refusalOf(await chat(asking('hi', { thread_id: id })));
    expect(refused).toMatchObject({ status: 404, message: `No thread found with id '${id}'.` });
  });
});

describe('what joins a thread', () => {
  let thread_id: string;
  beforeEach(async () => {
    thread_id = (await openai.beta.threads.create()).id;
  });

  /** Says this in the thread; what it shows then, but for the answer. */
  async function after(...said: readonly Said[]): Promise<readonly Said[]> {
    await answerOf(await chat({ model: 'any-model', thread_id, messages: messagesOf(said) }));
    return (await shown(thread_id)).slice(0, -1);
  }

  const first = [user('one'), assistant('You said: one')];

  test('is all of a conversation that begins elsewhere', async () => {
    expect(await after(user('a'), assistant('b'), user('c'))).toEqual([user('a'), assistant('b'), user('c')]);
  });

  test.each<[string, readonly Said[]]>([
    ['only that', [user('two')]],
    ['the last answer with it', [assistant('You said: one'), user('two')]],
    ['everything with it', [...first, user('two')]],
    ['everything, with other blanks', [user(' one '), assistant('You  said:\none'), user('two')]],
    ['an answer in other words', [user('one'), assistant('You said …'), user('two')]],
  ])('is what is new, when the caller sends %s', async (_what, said) => {
    await after(user('one'));
    expect(await after(...said)).toEqual([...first, user('two')]);
  });

  test('is what the user says twice, as often as it is said', async () => {
    await after(user('ok'));
    expect(await after(user('ok'))).toEqual([user('ok'), assistant('You said: ok'), user('ok')]);
  });

  test('is not what was said before of a thread longer than a page', async () => {
    const long = Array.from({ length: 60 }, (_, index) => [user(`q${index}`), assistant(`a${index}`)]).flat();
    await after(...long, user('last'));
    const whole = [...long, user('last'), assistant('You said: last'), user('new')];
    await answerOf(await chat({ model: 'any-model', thread_id, messages: messagesOf(whole) }));
    expect(lastPrompt()).toEqual(whole);
  });

  test('is never a tool’s business: a whole history with calls in it adds only its news', async () => {
    upstream.reply(({ outputs, text: said }) =>
      said === 'weather?' && outputs.length === 0
        ? calls([{ name: 'weather', arguments: {} }])
        : says(`to ${said}`),
    );
    const ask = async (messages: readonly object[]) => {
      const body = { model: 'any-model', thread_id, tools: [WEATHER], messages };
      return (await answerOf(await chat(body))).choices[0]?.message;
    };
    const history: object[] = [{ role: 'user', content: 'weather?' }];
    const called = await ask(history);
    history.push({ role: 'assistant', ...called });
    history.push({ role: 'tool', tool_call_id: called?.tool_calls?.[0]?.id, content: 'sunny' });
    history.push({ role: 'assistant', ...(await ask(history)) });
    history.push({ role: 'user', content: 'thanks' });
    await ask(history);
    expect(await shown(thread_id)).toEqual([
      user('weather?'),
      assistant('to weather?'),
      user('thanks'),
      assistant('to thanks'),
    ]);
    const roles = upstream.requests.at(-1)?.body.messages.map(({ role }) => role);
    expect(roles).toEqual(['user', 'assistant', 'tool', 'assistant', 'user']);
  });

  test('answers the calls its run waits for, also when only they are sent', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length > 0 ? says(outputs.join()) : calls([{ name: 'weather', arguments: {} }]),
    );
    const body = { model: 'any-model', thread_id, tools: [WEATHER] };
    const asked = await answerOf(await chat({ ...body, ...asking('weather?') }));
    const output = {
      role: 'tool',
      tool_call_id: asked.choices[0]?.message.tool_calls?.[0]?.id,
      content: 'wet',
    };
    await expect(textOf(await chat({ ...body, messages: [output] }))).resolves.toBe('wet');
    const { data: runs } = await openai.beta.threads.runs.list(thread_id);
    expect(runs.map(({ status }) => status)).toEqual(['completed']);
  });

  test('instructs anew with every request, and is not kept', async () => {
    const ask = async (system: string): Promise<unknown> => {
      const messages = [
        { role: 'system', content: system },
        { role: 'user', content: 'hi' },
      ];
      await answerOf(await chat({ model: 'any-model', thread_id, messages }));
      return upstream.requests.at(-1)?.body.messages.filter(({ role }) => role === 'system');
    };
    expect(await ask('Be brief.')).toEqual([{ role: 'system', content: 'Be brief.' }]);
    expect(await ask('Be kind.')).toEqual([{ role: 'system', content: 'Be kind.' }]);
  });
});

describe('two requests for one thread', () => {
  const busy = (thread_id: string, said: string, metadata: object = {}, more: object = {}): object =>
    asking(said, { thread_id, metadata, stream: true, ...more });

  /** The first of two requests, in the middle of its answer to `said`; `finishes` lets it go on. */
  async function first(said: string, body: object, asked: Parameters<typeof post>[2] = {}) {
    const door = gate();
    upstream.reply((request) =>
      request.text === said ? [text('Half'), door, text(' and half'), finish('stop')] : undefined,
    );
    const half = Promise.withResolvers<void>();
    const heard = hear(await chat(body, asked), () => half.resolve());
    await half.promise;
    return { heard, finishes: door.open };
  }

  test('by default, the second interrupts the first', async () => {
    const { heard } = await first('story', busy('interrupt', 'story'));
    await expect(hear(await chat(busy('interrupt', 'stop!')))).resolves.toMatchObject({
      text: 'You said: stop!',
    });
    await expect(heard).resolves.toMatchObject({
      text: 'Half',
      error: { message: 'The answer was cancelled.' },
    });
    const request = await upstream.asked(({ text: said }) => said === 'story');
    await expect(request.closed).resolves.toMatchObject({ by: 'client' });
    // What was said before the interruption stays said.
    expect(lastPrompt()).toEqual([user('story'), assistant('Half'), user('stop!')]);
  });

  test('the first, where it is no stream, gets an error that no client takes for a reason to ask again', async () => {
    upstream.reply((request) => (request.text === 'tale' ? [gate()] : undefined));
    const asked = asking('tale', { thread_id: 'interrupted' });
    const first = chat(asked);
    await upstream.asked(({ text: said }) => said === 'tale');
    await expect(textOf(await chat(asking('stop!', { thread_id: 'interrupted' })))).resolves.toBe(
      'You said: stop!',
    );
    expect(await refusalOf(await first)).toMatchObject({ status: 400, code: 'cancelled' });
  });

  test('the second is refused where it says so, and the first goes on', async () => {
    const { heard, finishes } = await first('story 2', busy('reject', 'story 2'));
    const refused = await refusalOf(await chat(busy('reject', 'hello?', { multitask: 'reject' })));
    expect(refused).toMatchObject({ status: 400, code: 'thread_busy' });
    finishes();
    await expect(heard).resolves.toMatchObject({ text: 'Half and half', finish: 'stop' });
    await expect(textOf(await chat(asking('now?', { thread_id: 'reject' })))).resolves.toBe('You said: now?');
    expect(lastPrompt()).toEqual([user('story 2'), assistant('Half and half'), user('now?')]);
  });

  test('the second waits for its turn where it says so', async () => {
    const { heard, finishes } = await first('story 3', busy('enqueue', 'story 3'));
    const second = chat(busy('enqueue', 'and then?', { multitask: 'enqueue' }));
    // A request that came later is answered, so the second has been looked at.
    await refusalOf(await chat(busy('enqueue', 'now?', { multitask: 'reject' })));
    finishes();
    await expect(heard).resolves.toMatchObject({ text: 'Half and half' });
    await expect(hear(await second)).resolves.toMatchObject({ text: 'You said: and then?' });
    expect(lastPrompt()).toEqual([user('story 3'), assistant('Half and half'), user('and then?')]);
  });

  test('many that wait are all answered, one after the other', async () => {
    const { heard, finishes } = await first('story 4', busy('queue', 'story 4'));
    const others = ['a', 'b', 'c', 'd'].map((said) => chat(busy('queue', said, { multitask: 'enqueue' })));
    finishes();
    await heard;
    const answers = await Promise.all(others.map(async (other) => (await hear(await other)).text));
    expect(answers).toEqual(['You said: a', 'You said: b', 'You said: c', 'You said: d']);
    await answerOf(await chat(asking('done?', { thread_id: 'queue' })));
    expect(lastPrompt()).toHaveLength(11);
  });

  test('a first that waits for its caller is given up for another question', async () => {
    upstream.reply(({ text: said }) =>
      said === 'weather?' ? calls([{ name: 'weather', arguments: {} }]) : undefined,
    );
    for (const multitask of ['interrupt', 'enqueue']) {
      const thread_id = `blocked ${multitask}`;
      await answerOf(await chat(asking('weather?', { thread_id, tools: [WEATHER] })));
      const other = asking('never mind', { thread_id, metadata: { multitask } });
      await expect(textOf(await chat(other))).resolves.toBe('You said: never mind');
    }
  });

  test('one that waited for its caller once is waited for to its end', async () => {
    const door = gate();
    upstream.reply(({ text: said, body: { messages } }) => {
      if (said !== 'rain?') return undefined;
      return messages.at(-1)?.role === 'tool'
        ? [text('Half'), door, text(' and half'), finish('stop')]
        : calls([{ name: 'weather', arguments: {} }]);
    });
    const thread_id = 'answered';
    const { choices } = await answerOf(await chat(asking('rain?', { thread_id, tools: [WEATHER] })));
    const tool_call_id = choices[0]?.message.tool_calls?.[0]?.id;
    const outputs = {
      model: 'm',
      thread_id,
      stream: true,
      messages: [{ role: 'tool', tool_call_id, content: 'no' }],
    };
    const half = Promise.withResolvers<void>();
    const heard = chat(outputs).then((response) => hear(response, () => half.resolve()));
    await half.promise;
    const second = chat(asking('and then?', { thread_id, metadata: { multitask: 'enqueue' } }));
    // As many looks as it would take to give up.
    for (let look = 0; look < 20; look++)
      await refusalOf(await chat(asking('now?', { thread_id, metadata: { multitask: 'reject' } })));
    door.open();
    await expect(heard).resolves.toMatchObject({ text: 'Half and half' });
    await expect(textOf(await second)).resolves.toBe('You said: and then?');
  });

  test('an unknown way to settle is refused', async () => {
    const refused = await refusalOf(await chat(asking('hi', { metadata: { multitask: 'both' } })));
    expect(refused).toMatchObject({ status: 400, param: 'metadata.multitask', code: 'invalid_value' });
  });

  test.each<[string, string, string, object, Record<string, string>]>([
    ['says the same', 'same', 'same', {}, {}],
    ['has the same turn_id', 'turn', 'turn, again', { turn_id: 9 }, {}],
    ['has the same Idempotency-Key', 'key', 'key', {}, { 'idempotency-key': 'k-1' }],
  ])('the second hears the first when it %s', async (_how, said, again, more, headers) => {
    const thread_id = `retried ${said}`;
    const before = upstream.requests.length;
    const { heard, finishes } = await first(said, busy(thread_id, said, {}, more), { headers });
    const half = Promise.withResolvers<void>();
    const second = hear(await chat(busy(thread_id, again, {}, more), { headers }), () => half.resolve());
    await half.promise;
    finishes();
    await expect(heard).resolves.toMatchObject({ text: 'Half and half', finish: 'stop', error: null });
    await expect(second).resolves.toMatchObject({ text: 'Half and half', finish: 'stop', error: null });
    expect(upstream.requests.length - before).toBe(1);
    await answerOf(await chat(asking('done?', { thread_id })));
    expect(lastPrompt()).toEqual([user(said), assistant('Half and half'), user('done?')]);
  });

  test('the second goes on hearing a first that hangs up, until it hangs up itself', async () => {
    const said = 'both leave';
    const [one, two] = [new AbortController(), new AbortController()];
    const { heard } = await first(said, busy(said, said), { signal: one.signal });
    const half = Promise.withResolvers<void>();
    const second = hear(await chat(busy(said, said), { signal: two.signal }), () => half.resolve());
    await half.promise;
    const request = await upstream.asked(({ text: asked }) => asked === said);
    one.abort();
    await expect(heard).rejects.toThrow('aborted');
    // A third is looked at, so the first's leaving has been.
    await refusalOf(await chat(busy(said, 'third', { multitask: 'reject' })));
    two.abort();
    await expect(second).rejects.toThrow('aborted');
    await expect(request.closed).resolves.toMatchObject({ by: 'client' });
    await expect(textOf(await chat(asking('free?', { thread_id: said })))).resolves.toBe('You said: free?');
  });

  test('the second hears all of a first that hangs up', async () => {
    const said = 'first leaves';
    const one = new AbortController();
    const { heard, finishes } = await first(said, busy(said, said), { signal: one.signal });
    const half = Promise.withResolvers<void>();
    const second = hear(await chat(busy(said, said)), () => half.resolve());
    await half.promise;
    one.abort();
    await expect(heard).rejects.toThrow('aborted');
    await refusalOf(await chat(busy(said, 'third', { multitask: 'reject' })));
    finishes();
    await expect(second).resolves.toMatchObject({ text: 'Half and half', finish: 'stop', error: null });
  });

  test('the second hears the end of a first that answered calls, not the calls again', async () => {
    const door = gate();
    upstream.reply(({ outputs }) =>
      outputs.length === 0
        ? calls([{ name: 'weather', arguments: {} }])
        : [text('Half'), door, text(' and half'), finish('stop')],
    );
    const body = { thread_id: 'calls, twice', model: 'any-model', tools: [WEATHER] };
    const asked = await answerOf(await chat({ ...body, ...asking('weather?') }));
    const message = asked.choices[0]?.message;
    const output = { role: 'tool', tool_call_id: message?.tool_calls?.[0]?.id, content: 'sunny' };
    const messages = [{ role: 'user', content: 'weather?' }, { role: 'assistant', ...message }, output];
    const halves = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const heard = halves.map(async (half) =>
      hear(await chat({ ...body, messages, stream: true }), () => half.resolve()),
    );
    await Promise.all(halves.map(({ promise }) => promise));
    door.open();
    for (const each of heard)
      await expect(each).resolves.toMatchObject({ text: 'Half and half', finish: 'stop', error: null });
  });

  test('the second is a turn of its own when its turn_id is', async () => {
    const { heard } = await first('twice', busy('twice', 'twice', {}, { turn_id: 1 }));
    upstream.reply(() => undefined);
    await expect(hear(await chat(busy('twice', 'twice', {}, { turn_id: 2 })))).resolves.toMatchObject({
      text: 'You said: twice',
    });
    expect((await heard).error).not.toBeNull();
  });

  test('the second does not hear the end of a first that hung up, but asks anew', async () => {
    const hangUp = new AbortController();
    const { heard } = await first('retry', busy('hung up', 'retry'), { signal: hangUp.signal });
    upstream.reply(() => undefined);
    hangUp.abort();
    await expect(heard).rejects.toThrow('aborted');
    await expect(hear(await chat(busy('hung up', 'retry')))).resolves.toMatchObject({
      text: 'You said: retry',
    });
  });
});

describe('a request that is sent again', () => {
  test.each(['a stream', 'whole'])('with its Idempotency-Key is answered once: %s', async (how) => {
    const headers = { 'idempotency-key': `key of ${how}` };
    const body = asking('only once', { stream: how === 'a stream' });
    const ask = async (): Promise<string | null> =>
      how === 'whole'
        ? textOf(await chat(body, { headers }))
        : (await hear(await chat(body, { headers }))).text;
    const before = upstream.requests.length;
    expect(await ask()).toBe('You said: only once');
    expect(await ask()).toBe('You said: only once');
    expect(upstream.requests.length - before).toBe(1);
  });

  test('by an SDK that hung up is answered once, where its run goes on without it', async () => {
    const door = gate();
    upstream.reply(() => [door, text('late'), finish('stop')]);
    const body = asking('go on', { metadata: { on_disconnect: 'continue' }, user: 'ann' });
    const hangUp = new AbortController();
    const kept = await keysLike(redis, `${service.redisPrefix}:default:answer:*`);
    const before = upstream.requests.length;
    const lost = chat(body, { headers: { 'x-stainless-retry-count': '0' }, signal: hangUp.signal });
    await door.reached;
    hangUp.abort();
    await expect(lost).rejects.toThrow('aborted');
    // An SDK waits half a second before it tries again; by then the server knows what became of the first.
    await expect
      .poll(async () => keysLike(redis, `${service.redisPrefix}:default:answer:*`))
      .not.toEqual(kept);
    const again = chat(body, { headers: { 'x-stainless-retry-count': '1' } });
    door.open();
    await expect(textOf(await again)).resolves.toBe('late');
    expect(upstream.requests.length - before).toBe(1);
  });

  test('by an SDK that had hung up on a slow answer is answered in full', async () => {
    const door = gate();
    upstream.reply(() => [door, text('late'), finish('stop')]);
    const impatient = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 1, timeout: 500 });
    const answer = impatient.chat.completions.create({
      model: 'any-model',
      messages: [{ role: 'user', content: 'slow' }],
    });
    await door.reached;
    upstream.reply(() => says('on time'));
    expect((await answer).choices[0]?.message.content).toBe('on time');
  });

  test('after it was refused is done anew', async () => {
    const headers = { 'idempotency-key': 'refused first' };
    upstream.reply(() => [{ type: 'refusal', status: 500, headers: {}, body: {} }]);
    expect((await refusalOf(await chat(asking('again'), { headers }))).status).toBe(502);
    upstream.reply(() => undefined);
    await expect(textOf(await chat(asking('again'), { headers }))).resolves.toBe('You said: again');
  });
});

test('a stream that is refused before its first word listens to nothing any more', async () => {
  upstream.reply(() => refuses(400, 'no'));
  for (let turn = 0; turn < 5; turn++) {
    const refused = await chat(asking('hi', { stream: true }));
    expect(refused.status).toBe(400);
  }
  const followed = (): Promise<unknown> => channelsLike(redis, `${service.redisPrefix}:*:events:*`);
  await expect.poll(followed).toEqual([]);
});

test('a request without a thread leaves no thread, and nothing of it stays', async () => {
  const prefix = service.redisPrefix;
  const before = new Set(await keysLike(redis, `*${prefix}*`));
  upstream.reply(({ text: said }) =>
    said === 'call me Ishmael' ? calls([{ name: 'weather', arguments: {} }]) : undefined,
  );
  const headers = { 'idempotency-key': 'kept' };
  await answerOf(await chat(asking('I am Ishmael'), { headers }));
  await hear(await chat(asking('call me Ishmael', { stream: true, tools: [WEATHER] })));
  const held = await contentsOf(redis, prefix);
  const fresh = held.filter(({ key }) => !before.has(key) && key.startsWith(`${prefix}:`));
  expect(fresh.filter(({ text: value }) => value.includes('Ishmael')).length).toBeGreaterThan(1);
  expect(fresh.filter(({ isMortal }) => !isMortal)).toEqual([]);
  expect(fresh.filter(({ key }) => /:(thread|active)$/.test(key))).toEqual([]);
  // What is there for everybody, such as the queue, knows nothing of it.
  const forEver = held.filter(({ isMortal }) => !isMortal);
  expect(forEver.filter(({ text: value }) => value.includes('Ishmael'))).toEqual([]);
});
