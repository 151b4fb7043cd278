/**
 * The photo relay of glasses (sharge): the run that asked for a photo waits, and the next request that brings one resumes
 * it. With every way in which a photo comes late, twice, elsewhere or never.
 */
import OpenAI from 'openai';
import { beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { keysLike, openLook } from '../support/contents.ts';
import { startService, type Service } from '../support/service.ts';
import { calls, says, type UpstreamRequest } from '../support/upstream.ts';
import { Device, endOf, textIn } from './device.ts';
import { matching, SOME_TEXT } from './matchers.ts';
import { KEY, KEYED, PASSTHROUGH, withSharedService, type SharedService } from '../support/shared-service.ts';
import { withService } from '../support/with-service.ts';

const QUESTION = '眼前的植物叫什么？';
const PHOTO_URL = 'https://photos.example.com//fool.jpeg';
const SECOND_URL = 'https://photos.example.com//second.jpeg';
const DATA_URL = 'data:image/jpeg;base64,/9j/4AAQSkZJRg==';
const CAMERA = {
  type: 'function',
  function: { name: 'take_a_photo', description: '拍照', parameters: {} },
} as const;
const TURN = {
  model: '<yuntianshiren>',
  messages: [{ role: 'user', content: QUESTION }],
  tools: [CAMERA],
  stream: true,
};

const image = (url: string): object => ({ type: 'image_url', image_url: { url } });
/** What glasses send once they have photographed: no question, no call, the same tools. */
const photo = (url = PHOTO_URL, text = ''): object => ({
  ...TURN,
  messages: [{ role: 'user', content: [{ type: 'text', text }, image(url)] }],
});

/** The key that all glasses here have. */
const SHARED = { authorization: `Bearer ${KEY}` };

let openai: OpenAI;

/** The keys of those who wait for a photo, each with its milliseconds. */
async function waitsIn({ redisPrefix }: { readonly redisPrefix: string }): Promise<Map<string, number>> {
  const redis = openLook(inject('redisUrl'));
  try {
    const keys = await keysLike(redis, `${redisPrefix}*photo*`);
    return new Map(await Promise.all(keys.map(async (key) => [key, await redis.pttl(key)] as const)));
  } finally {
    redis.disconnect();
  }
}

const { upstream, service } = withSharedService();

beforeAll(async () => {
  openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none' });
});

// A model that looks before it answers, and says what it was shown.
beforeEach(() =>
  upstream.reply((request) => {
    const [url] = picturesIn(request);
    if (url !== undefined) return says('我看到了 ', url);
    return request.body.tools === undefined ? undefined : calls([{ name: 'take_a_photo', arguments: {} }]);
  }),
);

let devices = 0;
/** Glasses of somebody new, who has typed the device's name into the address, as docs/devices.md says. */
const glasses = (url = service.url): Device =>
  new Device(`${url}/custom_agent/chat?device=glasses-${(devices += 1)}`, SHARED);

/** The device asks, and is told to photograph. */
async function asks(device: Device, turn: object = TURN): Promise<void> {
  expect(endOf((await device.ask(turn)).data)).toEqual({ reason: 'tool_calls', tools: ['take_a_photo'] });
}

const hears = async (device: Device, turn: object): Promise<string> => textIn((await device.ask(turn)).data);

function picturesIn({ body }: UpstreamRequest): readonly string[] {
  return [...JSON.stringify(body.messages).matchAll(/"image_url":\{"url":"([^"]+)"/g)].map(
    ([, url = '']) => url,
  );
}

const last = (): UpstreamRequest => {
  const request = upstream.requests.at(-1);
  if (request === undefined) throw new Error('the model was not asked');
  return request;
};

/** What the model is told when a photo has answered the question: all of it, in this order. */
function expectQuestionWithPhoto({ body: { messages, tools } }: UpstreamRequest, url = PHOTO_URL): void {
  expect(messages).toEqual([
    { role: 'user', content: QUESTION },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        {
          id: SOME_TEXT,
          type: 'function',
          function: { name: 'take_a_photo', arguments: '{}' },
        },
      ],
    },
    { role: 'tool', tool_call_id: SOME_TEXT, content: matching(/picture/) },
    // Many model servers take no user right behind a tool.
    { role: 'assistant', content: '…' },
    { role: 'user', content: [{ type: 'image_url', image_url: { url, detail: 'auto' } }] },
  ]);
  expect(tools).toBeUndefined();
}

describe('a photo', () => {
  test('answers the question that caused it, and the camera is not offered again', async () => {
    const device = glasses();
    await asks(device);
    const heard = await device.ask(photo());
    expect(textIn(heard.data)).toBe(`我看到了 ${PHOTO_URL}`);
    expect(endOf(heard.data)).toEqual({ reason: 'stop', tools: [] });
    expectQuestionWithPhoto(last());
  });

  test('may come as a data URL', async () => {
    const device = glasses();
    await asks(device);
    expect(await hears(device, photo(DATA_URL))).toBe(`我看到了 ${DATA_URL}`);
    expectQuestionWithPhoto(last(), DATA_URL);
  });

  test('brings along what the user said meanwhile', async () => {
    const device = glasses();
    await asks(device);
    await hears(device, photo(PHOTO_URL, '左边那个'));
    expect(last().body.messages.at(-1)?.content).toEqual([
      { type: 'text', text: '左边那个' },
      { type: 'image_url', image_url: { url: PHOTO_URL, detail: 'auto' } },
    ]);
    expect(last().body.messages[0]).toEqual({ role: 'user', content: QUESTION });
  });

  test('of other glasses answers nothing of mine', async () => {
    const mine = glasses();
    await asks(mine);
    await hears(glasses(), photo());
    expect(last().body.messages).toHaveLength(1);
    await hears(mine, photo());
    expectQuestionWithPhoto(last());
  });

  test('is told apart by the user that the request names, where glasses share a key', async () => {
    const shared = new Device(`${service.url}/custom_agent/chat`, SHARED);
    await asks(shared, { ...TURN, user: 'ann' });
    await asks(shared, { ...TURN, user: 'bob' });
    expect(await hears(shared, { ...photo(), user: 'ann' })).toBe(`我看到了 ${PHOTO_URL}`);
    expectQuestionWithPhoto(last());
    await hears(shared, { ...photo(SECOND_URL), user: 'bob' });
    expectQuestionWithPhoto(last(), SECOND_URL);
  });

  test('that comes a second time is a question of its own', async () => {
    const device = glasses();
    await asks(device);
    await hears(device, photo());
    expect(await hears(device, photo(SECOND_URL))).toBe(`我看到了 ${SECOND_URL}`);
    expect(last().body.messages).toMatchObject([{ role: 'user', content: [image(SECOND_URL)] }]);
  });

  test('that nobody asked for is a question of its own', async () => {
    await hears(glasses(), photo());
    expect(last().body.messages).toMatchObject([{ role: 'user', content: [image(PHOTO_URL)] }]);
    expect(last().body.tools).toBeUndefined();
  });

  test('after the photo the next question may need another', async () => {
    const device = glasses();
    await asks(device);
    await hears(device, photo());
    await asks(device);
    expect(await hears(device, photo(SECOND_URL))).toBe(`我看到了 ${SECOND_URL}`);
    expectQuestionWithPhoto(last(), SECOND_URL);
  });

  test('in a request that brings its own history is seen in that history', async () => {
    const device = glasses();
    await asks(device);
    const messages = [
      { role: 'user', content: '这是第一个问题' },
      { role: 'assistant', content: '好的' },
      { role: 'user', content: [{ type: 'text', text: '那这个呢？' }, image(PHOTO_URL)] },
    ];
    await hears(device, { ...TURN, messages });
    expect(last().body.messages).toMatchObject(messages);
    // The run that waited is not waited for any more: the next photo is a question of its own.
    await hears(device, photo(SECOND_URL));
    expect(last().body.messages).toHaveLength(1);
  });

  test.each([
    ['a URL', PHOTO_URL],
    ['a data URL', DATA_URL],
    ['an image part', [image(PHOTO_URL)]],
  ])('that an OpenAI client sends as a tool message with %s is seen', async (_, content) => {
    const call = { id: 'c1', type: 'function', function: { name: 'take_a_photo', arguments: '{}' } };
    const messages = [
      { role: 'user', content: QUESTION },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content },
    ];
    const url = content === DATA_URL ? DATA_URL : PHOTO_URL;
    expect(await hears(glasses(), { ...TURN, messages })).toBe(`我看到了 ${url}`);
    expectQuestionWithPhoto(last(), url);
  });
});

describe('a photo that never comes', () => {
  test('is not waited for when the user asks something else', async () => {
    const device = glasses();
    await asks(device);
    upstream.reply(() => says('好'));
    expect(await hears(device, { ...TURN, messages: [{ role: 'user', content: '算了' }] })).toBe('好');
    await hears(device, photo());
    expect(last().body.messages).toHaveLength(1);
  });

  test('is waited for no longer than two minutes', async () => {
    const before = await waitsIn(service);
    await asks(glasses());
    const waits = await waitsIn(service);
    const made = [...waits].filter(([key]) => !before.has(key));
    expect(made.length).toBeGreaterThan(0);
    for (const [, ms] of made) {
      expect(ms).toBeGreaterThan(0);
      expect(ms).toBeLessThanOrEqual(120_000);
    }
  });
});

describe('where runs expire soon', () => {
  const { service: brief } = withService(() => ({ upstream, env: { RUN_EXPIRES_AFTER_S: '3' } }));

  test('a photo that comes too late is a question of its own', async () => {
    const device = glasses(brief.url);
    await asks(device);
    // The first that expires there.
    await brief.waitForLog(({ event }) => event === 'run.expired');
    expect(await hears(device, photo())).toBe(`我看到了 ${PHOTO_URL}`);
    expect(last().body.messages).toHaveLength(1);
  });

  test('a photo that never comes lets its run expire, and leaves the thread free', async () => {
    const sdk = new OpenAI({ baseURL: brief.baseUrl, apiKey: 'none' });
    const { id } = await sdk.beta.threads.create({});
    const device = glasses(brief.url);
    await asks(device, { ...TURN, thread_id: id });
    const [run] = (await sdk.beta.threads.runs.list(id)).data;
    expect(await ended(sdk, id, run?.id ?? '')).toBe('expired');
    upstream.reply(() => says('好'));
    expect(await hears(device, { ...TURN, tools: [], thread_id: id })).toBe('好');
  });
});

/** How the run ended; follows it until then. */
async function ended(sdk: OpenAI, threadId: string, runId: string): Promise<string> {
  const response = await fetch(`${sdk.baseURL}/threads/${threadId}/runs/${runId}/events`);
  await response.text();
  return (await sdk.beta.threads.runs.retrieve(runId, { thread_id: threadId })).status;
}

describe('a session in a thread', () => {
  test('from question to photo to answer is what the Assistants SDK then reads', async () => {
    const { id } = await openai.beta.threads.create({});
    const device = glasses();
    await asks(device, { ...TURN, thread_id: id });
    await hears(device, { ...photo(), thread_id: id });
    expectQuestionWithPhoto(last());

    const messages = await openai.beta.threads.messages.list(id, { order: 'asc' });
    expect(messages.data.map(({ role, content }) => [role, content])).toMatchObject([
      ['user', [{ type: 'text', text: { value: QUESTION } }]],
      ['assistant', [{ type: 'text', text: { value: `我看到了 ${PHOTO_URL}` } }]],
    ]);
    const [run, ...others] = (await openai.beta.threads.runs.list(id)).data;
    expect(others).toEqual([]);
    expect(run?.status).toBe('completed');
    const steps = await openai.beta.threads.runs.steps.list(run?.id ?? '', { thread_id: id });
    expect(steps.data.map(({ type, status }) => `${type} ${status}`)).toEqual([
      'message_creation completed',
      'tool_calls completed',
    ]);

    upstream.reply(() => says('月季'));
    const assistant = await openai.beta.assistants.create({ model: 'any' });
    await openai.beta.threads.messages.create(id, { role: 'user', content: '再说一遍？' });
    await openai.beta.threads.runs.createAndPoll(id, { assistant_id: assistant.id });
    expect(last().body.messages.map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'tool',
      'assistant',
      'user',
      'assistant',
      'user',
    ]);
    expect(picturesIn(last())).toEqual([PHOTO_URL]);
  });

  test.each([
    ['a URL', PHOTO_URL, PHOTO_URL],
    ['a data URL', DATA_URL, DATA_URL],
    ['image_url in JSON', JSON.stringify({ image_url: PHOTO_URL }), PHOTO_URL],
    [
      'a whole image part in JSON',
      JSON.stringify({ type: 'image_url', image_url: { url: DATA_URL } }),
      DATA_URL,
    ],
  ])('an Assistants client may answer take_a_photo with %s', async (_, output, url) => {
    const assistant = await openai.beta.assistants.create({ model: 'any', tools: [CAMERA] });
    const { id } = await openai.beta.threads.create({ messages: [{ role: 'user', content: QUESTION }] });
    const { runs } = openai.beta.threads;
    const waiting = await runs.createAndPoll(id, { assistant_id: assistant.id });
    const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
    const done = await runs.submitToolOutputsAndPoll(waiting.id, {
      thread_id: id,
      tool_outputs: [{ tool_call_id: call?.id ?? '', output }],
    });
    expect(done.status).toBe('completed');
    expect(last().body.messages.map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'tool',
      'assistant',
      'user',
    ]);
    expect(last().body.messages.at(-1)?.content).toEqual([
      { type: 'image_url', image_url: { url, detail: 'auto' } },
    ]);
  });

  test('an Assistants client may answer the call that glasses got', async () => {
    const { id } = await openai.beta.threads.create({});
    await asks(glasses(), { ...TURN, thread_id: id });
    const { runs } = openai.beta.threads;
    const [run] = (await runs.list(id)).data;
    const [call] = run?.required_action?.submit_tool_outputs.tool_calls ?? [];
    const done = await runs.submitToolOutputsAndPoll(run?.id ?? '', {
      thread_id: id,
      tool_outputs: [{ tool_call_id: call?.id ?? '', output: PHOTO_URL }],
    });
    expect(done.status).toBe('completed');
    expectQuestionWithPhoto(last());
  });

  test('an output that is no picture stays what the client said', async () => {
    const assistant = await openai.beta.assistants.create({ model: 'any', tools: [CAMERA] });
    const { id } = await openai.beta.threads.create({ messages: [{ role: 'user', content: QUESTION }] });
    const { runs } = openai.beta.threads;
    const waiting = await runs.createAndPoll(id, { assistant_id: assistant.id });
    const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
    upstream.reply(() => says('好'));
    await runs.submitToolOutputsAndPoll(waiting.id, {
      thread_id: id,
      tool_outputs: [{ tool_call_id: call?.id ?? '', output: 'the camera is broken' }],
    });
    expect(last().body.messages.at(-1)).toMatchObject({ role: 'tool', content: 'the camera is broken' });
  });
});

describe('when the API process is another one by the time the photo comes', () => {
  /** API processes that come and go beside the worker of `service`. */
  const anotherApi = (): Promise<Service> =>
    startService({
      redisUrl: inject('redisUrl'),
      upstream,
      workers: 0,
      env: { REDIS_PREFIX: service.redisPrefix },
    });

  test('the photo still answers the question', async () => {
    const before = await anotherApi();
    try {
      await asks(new Device(`${before.url}/custom_agent/chat?device=that-stays`));
    } finally {
      await before.stop();
    }
    const after = await anotherApi();
    try {
      const device = new Device(`${after.url}/custom_agent/chat?device=that-stays`);
      expect(await hears(device, photo())).toBe(`我看到了 ${PHOTO_URL}`);
    } finally {
      await after.stop();
    }
    expectQuestionWithPhoto(last());
  });
});

describe('glasses that nothing tells apart', () => {
  /** Photographs of two people who ask at the same time, and one who was not asked for any. */
  async function expectNoneRelayed(alice: Device, bob: Device): Promise<void> {
    await asks(alice);
    await hears(alice, photo());
    expect(last().body.messages, 'the only one who waits').toHaveLength(1);
    await asks(bob);
    await hears(alice, photo());
    expect(last().body.messages, 'a photo nobody asked for').toHaveLength(1);
    await asks(alice);
    await asks(bob);
    await hears(alice, photo());
    expect(last().body.messages, 'of two who wait').toHaveLength(1);
    await hears(bob, photo(SECOND_URL));
    expect(last().body.messages).toMatchObject([{ role: 'user', content: [image(SECOND_URL)] }]);
  }

  const { service: keyed } = withSharedService(KEYED, upstream);
  const { service: passthrough } = withSharedService(PASSTHROUGH, upstream);

  test.each([
    ['without any key', service, {}],
    ['with one key that nobody checks', service, SHARED],
    ['with the key of AUTH=key', keyed, SHARED],
  ])('%s have each photo taken as a question of its own', async (_, at, headers) => {
    const before = await waitsIn(at);
    const pair = (): Device => new Device(`${at.url}/custom_agent/chat`, headers);
    await expectNoneRelayed(pair(), pair());
    const empty = new Device(`${at.url}/custom_agent/chat?device=%20`, headers);
    await asks(empty, { ...TURN, user: '' });
    await hears(empty, { ...photo(), user: '' });
    expect(last().body.messages).toHaveLength(1);
    // Nothing is left waiting for anybody.
    const after = await waitsIn(at);
    expect([...after.keys()].filter((key) => !before.has(key))).toEqual([]);
  });

  test('but for keys of their own are told apart by these', async () => {
    const [alice, bob] = ['alice', 'bob'].map(
      (name) =>
        new Device(`${passthrough.url}/custom_agent/chat`, { authorization: `Bearer key-of-${name}` }),
    );
    if (alice === undefined || bob === undefined) throw new Error('two were named');
    await asks(alice);
    await asks(bob);
    expect(await hears(alice, photo())).toBe(`我看到了 ${PHOTO_URL}`);
    expectQuestionWithPhoto(last());
    await hears(bob, photo(SECOND_URL));
    expectQuestionWithPhoto(last(), SECOND_URL);
  });

  test('are told apart by a header that a gateway puts in, too', async () => {
    const [ann, bob] = ['ann', 'bob'].map(
      (name) => new Device(`${service.url}/custom_agent/chat`, { ...SHARED, 'x-device-id': name }),
    );
    if (ann === undefined || bob === undefined) throw new Error('two were named');
    await asks(ann);
    await asks(bob);
    expect(await hears(ann, photo())).toBe(`我看到了 ${PHOTO_URL}`);
    expectQuestionWithPhoto(last());
    await hears(bob, photo(SECOND_URL));
    expectQuestionWithPhoto(last(), SECOND_URL);
  });
});

describe('glasses behind a proxy that TRUST_PROXY names', () => {
  /** Two pairs that say the same of themselves, at two addresses. */
  const pair = (at: Service | SharedService, from: string, path = ''): Device =>
    new Device(`${at.url}/custom_agent/chat${path}`, { ...SHARED, 'x-forwarded-for': from });
  const [ALICE, BOB] = ['192.0.2.1', '192.0.2.2'] as const;
  const TRUST_PROXY = 'loopback';
  const { service: keyed } = withService(() => ({ upstream, env: { ...KEYED, TRUST_PROXY } }));
  const { service: passthrough } = withService(() => ({ upstream, env: { ...PASSTHROUGH, TRUST_PROXY } }));

  test.each([
    ['with one user', keyed, { user: 'app' }],
    ['with one key of the model server', passthrough, {}],
  ])('are told apart by their addresses: %s', async (_, at, same) => {
    const [alice, bob] = [pair(at, ALICE), pair(at, BOB)];
    await asks(bob, { ...TURN, ...same });
    await hears(alice, { ...photo(), ...same });
    expect(last().body.messages, 'a photo of somebody else').toHaveLength(1);
    expect(await hears(bob, { ...photo(SECOND_URL), ...same })).toBe(`我看到了 ${SECOND_URL}`);
    expectQuestionWithPhoto(last(), SECOND_URL);
  });

  test('are not known by an address alone, and a device that is named is the same at any', async () => {
    const nameless = pair(keyed, ALICE);
    await asks(nameless);
    await hears(nameless, photo());
    expect(last().body.messages).toHaveLength(1);
    await asks(pair(keyed, ALICE, '?device=mine'));
    await hears(pair(keyed, BOB, '?device=mine'), photo());
    expectQuestionWithPhoto(last());
  });

  test('but not by what anybody may write where no proxy is trusted', async () => {
    const headers = { ...SHARED, 'x-forwarded-for': ALICE };
    await asks(new Device(`${service.url}/custom_agent/chat`, headers), { ...TURN, user: 'of the app' });
    const heard = await hears(pair(service, BOB), { ...photo(), user: 'of the app' });
    expect(heard).toBe(`我看到了 ${PHOTO_URL}`);
    expectQuestionWithPhoto(last());
  });
});
