/**
 * Parameters of model servers on the paths of programs and of devices, names of speakers, parts that only some servers take,
 * and values that mean nothing: what of them reaches the upstream.
 */
import { describe, expect, test } from 'vitest';
import { answerOf, asking, hear, post, refusalOf } from '../support/chat.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service } = withSharedService({ UPSTREAM_RETRIES: '0' });

/** Programs, voice engines and glasses. */
const PROGRAM = '/v1/chat/completions';
const VOICE = '/chat/completions';
const GLASSES = '/custom_agent/chat';

const chat = (body: unknown, path = PROGRAM): Promise<Response> => post(service.url + path, body);
const sent = (): Readonly<Record<string, unknown>> => upstream.requests.at(-1)?.body ?? {};
const sentMessages = () => upstream.requests.at(-1)?.body.messages;

/** What the upstream is asked when the service is asked this; answers that stream are read as streams. */
async function sentFor(more: object, path = PROGRAM): Promise<Readonly<Record<string, unknown>>> {
  await answerOf(await chat({ ...asking('hello'), stream: false, ...more }, path));
  return sent();
}

/** What is always sent to the upstream of these tests. */
const BASE = ['messages', 'model', 'stream', 'stream_options'];

describe('parameters of model servers', () => {
  const VENDORS: readonly (readonly [string, unknown])[] = [
    ['top_k', 20],
    ['min_p', 0.05],
    ['repetition_penalty', 1.1],
    ['mirostat_tau', 5],
    ['dry_multiplier', 0.8],
    ['guided_json', { type: 'object' }],
    ['structured_outputs', { choice: ['a', 'b'] }],
    ['chat_template_kwargs', { enable_thinking: false }],
    ['enable_thinking', false],
    ['thinking', { type: 'disabled' }],
    ['reasoning', { effort: 'low', exclude: true }],
    ['provider', { order: ['a'], allow_fallbacks: false }],
    ['keep_alive', '5m'],
    ['options', { num_ctx: 8192 }],
    ['stop_token_ids', [1, 2]],
    ['google', { thinking_config: { thinking_budget: 0 } }],
  ];

  test.each([PROGRAM, VOICE, GLASSES])('go on as they came: %s', async (path) => {
    const fields = Object.fromEntries(VENDORS);
    expect(await sentFor(fields, path)).toMatchObject(fields);
  });

  test('that nobody has heard of go on from programs, and stay here from devices', async () => {
    const fields = { strange_one: { deep: [1] }, another: 'x', nothing: null };
    const asked = await sentFor(fields);
    expect(Object.keys(asked).toSorted()).toEqual([...BASE, 'another', 'strange_one'].toSorted());
    expect(asked).toMatchObject({ strange_one: { deep: [1] }, another: 'x' });
    for (const path of [VOICE, GLASSES])
      expect(Object.keys(await sentFor(fields, path)).toSorted()).toEqual(BASE);
  });

  test('are not what engines and devices say about themselves', async () => {
    const fields = {
      context: { appId: 'a', userId: 'u', channel: 'c' },
      app_id: 'a',
      user_uid: 'u',
      channel: 'c',
      interruptable: true,
      timestamp: 1,
      elevenlabs_extra_body: { caller: 'x' },
      metadata: { publisher: 'p' },
      turn_id: 3,
      location: 'Taipei',
      localtime: '12:00',
    };
    for (const path of [PROGRAM, VOICE, GLASSES])
      expect(Object.keys(await sentFor({ ...fields, thread_id: `own ${path}` }, path)).toSorted()).toEqual(
        BASE,
      );
  });

  test('in a literal extra_body are read as if they stood beside it, which counts first', async () => {
    const extra_body = { top_k: 7, min_p: 0.1, temperature: 0.3, extra_body: { google: { a: 1 } } };
    const asked = await sentFor({ top_k: 5, extra_body });
    expect(asked).toMatchObject({ top_k: 5, min_p: 0.1, temperature: 0.3, extra_body: { google: { a: 1 } } });
    expect(Object.keys(asked).toSorted()).toEqual(
      [...BASE, 'extra_body', 'min_p', 'temperature', 'top_k'].toSorted(),
    );
    for (const none of [[], null, 'x'])
      expect(Object.keys(await sentFor({ extra_body: none })).toSorted()).toEqual(BASE);
    const wrong = await refusalOf(await chat(asking('hi', { extra_body: { temperature: 'hot' } })));
    expect(wrong).toMatchObject({ status: 400, param: 'temperature', code: 'invalid_type' });
  });

  test('never are what is asked here, how, and with what', async () => {
    const mine = '{"model":"any-model","messages":[{"role":"user","content":"mine"}],"stream":false,';
    const theirs = {
      model: 'other',
      messages: [{ role: 'user', content: 'theirs' }],
      stream: false,
      stream_options: { include_usage: false },
    };
    const extra = JSON.stringify({ ...theirs, extra_body: { ...theirs, google: {} }, top_k: 1 });
    const body = `${mine}"extra_body":${extra},"__proto__":{"top_k":9},"constructor":{"prototype":1}}`;
    await answerOf(await chat(body));
    expect(sent()).toEqual({
      model: 'any-model',
      messages: [{ role: 'user', content: 'mine' }],
      stream: true,
      stream_options: { include_usage: true },
      extra_body: { google: {} },
      top_k: 1,
    });
  });

  test('never say which server a gateway asks, or with which key', async () => {
    const elsewhere = {
      api_base: 'http://127.0.0.1:1',
      base_url: 'x',
      api_key: 'x',
      user_config: { model_list: [] },
    };
    const fields = { ...elsewhere, headers: { a: 'b' }, extra_headers: { a: 'b' } };
    for (const given of [fields, { extra_body: fields }])
      expect(Object.keys(await sentFor(given)).toSorted()).toEqual(BASE);
  });

  test('count once among what a request may have beside messages and tools', async () => {
    const fits = await chat(asking('hi', { strange_one: 'x'.repeat(400 * 1024) }));
    expect(fits.status).toBe(200);
    const refused = await refusalOf(await chat(asking('hi', { strange_one: 'x'.repeat(520 * 1024) })));
    expect(refused).toMatchObject({ status: 400, code: 'request_too_large' });
  });
});

describe('names of speakers', () => {
  test('reach the model, and blank ones do not', async () => {
    const messages = [
      { role: 'system', content: 'You are a translator.' },
      { role: 'system', name: 'example_user', content: 'hello' },
      { role: 'system', name: 'example_assistant', content: 'bonjour' },
      { role: 'user', name: 'Ann', content: 'hi' },
      { role: 'assistant', name: 'bot', content: 'Hello, Ann.' },
      { role: 'user', name: ' ', content: 'and?' },
      { role: 'user', name: 7, content: 'what?' },
    ];
    await sentFor({ messages });
    // Neighbours of one role are one message, which begins with the names where these differ.
    const told = 'You are a translator.\n\nexample_user: hello\n\nexample_assistant: bonjour';
    expect(sentMessages()).toEqual([
      { role: 'system', content: told },
      ...messages.slice(3, 5),
      { role: 'user', content: 'and?\n\nwhat?' },
    ]);
  });

  test('have no place in a thread', async () => {
    const messages = [
      { role: 'system', name: 'example_user', content: 'hello' },
      { role: 'user', name: 'Ann', content: 'hi' },
    ];
    await sentFor({ messages, thread_id: 'names' });
    expect(sentMessages()).toEqual([
      { role: 'system', content: 'hello' },
      { role: 'user', content: 'hi' },
    ]);
  });
});

describe('parts that only some servers take', () => {
  const PARTS: readonly (readonly [string, object])[] = [
    [
      'a file',
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
    ],
    ['a sound', { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } }],
    ['a video', { type: 'video_url', video_url: { url: 'https://example.com/a.mp4' } }],
    ['a sound by its address', { type: 'audio_url', audio_url: { url: 'https://example.com/a.mp3' } }],
  ];

  test.each(PARTS)('%s goes on as it came', async (_what, part) => {
    const content = [{ type: 'text', text: 'What is this?' }, part];
    await sentFor({ messages: [{ role: 'user', content }] });
    expect(sentMessages()).toEqual([{ role: 'user', content }]);
  });

  test('are refused by a server in its own words', async () => {
    const error = {
      message: 'Sounds are not for me.',
      type: 'invalid_request_error',
      param: null,
      code: null,
    };
    upstream.reply(() => [{ type: 'refusal', status: 400, headers: {}, body: { error } }]);
    const content = [PARTS[1]?.[1]];
    for (const stream of [true, false]) {
      const asked = { model: 'm', messages: [{ role: 'user', content }], stream };
      const refused = await refusalOf(await chat(asked));
      expect(refused.status).toBe(400);
      expect(refused.message).toContain('Sounds are not for me.');
    }
  });

  test.each(PARTS)('%s has no place in a thread', async (_what, part) => {
    const asked = { model: 'm', thread_id: 'media', messages: [{ role: 'user', content: [part] }] };
    expect(await refusalOf(await chat(asked))).toMatchObject({ status: 400, code: 'unsupported' });
  });

  test('other answers than texts go on, but for spoken ones', async () => {
    expect(await sentFor({ modalities: ['text', 'image'] })).toMatchObject({ modalities: ['text', 'image'] });
  });
});

describe('values that mean nothing', () => {
  test.each([PROGRAM, VOICE, GLASSES])('are not sent: %s', async (path) => {
    const fields = { temperature: null, top_p: null, tools: [], tool_choice: 'auto', functions: [] };
    for (const limit of [-1, 0])
      for (const name of ['max_tokens', 'max_completion_tokens'])
        for (const stop of ['', []]) {
          const asked = await sentFor({ ...fields, stop, [name]: limit }, path);
          expect(Object.keys(asked).toSorted()).toEqual(BASE);
        }
  });

  test.each([VOICE, GLASSES])(
    'and numbers and yes and no as text are read from devices: %s',
    async (path) => {
      const fields = {
        temperature: '0.5',
        top_p: '',
        max_tokens: '300',
        seed: '7',
        top_k: '40',
        enable_thinking: 'False',
        stream: 'false',
        tool_choice: 'required',
        user: '12',
      };
      const asked = await sentFor(fields, path);
      expect(asked).toMatchObject({
        temperature: 0.5,
        seed: 7,
        top_k: 40,
        enable_thinking: false,
        user: '12',
      });
      expect(asked).toMatchObject({ max_tokens: 300 });
      expect(asked).not.toHaveProperty('top_p');
      expect(asked).not.toHaveProperty('tool_choice');
      const streamed = await hear(await chat(asking('hi', { stream: 'true' }), path));
      expect(streamed.text).toBe('You said: hi');
    },
  );

  test('are exact errors from programs', async () => {
    for (const [name, value] of [
      ['temperature', '0.5'],
      ['max_tokens', '300'],
      ['stream', 'true'],
    ] as const)
      expect(await refusalOf(await chat(asking('hi', { [name]: value })))).toMatchObject({ param: name });
  });

  test.each([null, undefined, []])(
    'a message with the content %j beside others is taken',
    async (content) => {
      for (const path of [PROGRAM, VOICE, GLASSES])
        for (const role of ['user', 'assistant']) {
          const messages = [
            { role: 'user', content: 'Hi' },
            { role: 'assistant', content: 'Hello.' },
            { role, content },
            { role: 'user', content: 'and?' },
          ];
          const asked = { model: 'm', messages, stream: false };
          const answer = await answerOf(await chat(asked, path));
          expect(answer.choices[0]?.message.content).toBe('You said: and?');
        }
    },
  );
});
