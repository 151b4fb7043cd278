/** Pictures in every form in which clients and devices send them: the model server gets one form. */
import { describe, expect, test } from 'vitest';
import { answerOf, asking, hear, post, refusalOf } from '../support/chat.ts';
import { calls, finish, text } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service } = withSharedService({ UPSTREAM_RETRIES: '0' });

/** Programs, voice engines and glasses. */
const PROGRAM = '/v1/chat/completions';
const VOICE = '/chat/completions';
const GLASSES = '/custom_agent/chat';

const chat = (body: unknown, path = PROGRAM): Promise<Response> => post(service.url + path, body);
const sentMessages = () => upstream.requests.at(-1)?.body.messages;

describe('pictures', () => {
  const bytes = (head: readonly number[]): string =>
    Buffer.from([...head, ...Array.from({ length: 60 }, (_, index) => (index * 67) % 256)]).toString(
      'base64',
    );
  const JPEG = bytes([0xff, 0xd8, 0xff, 0xe0, 0x10, 0x4a, 0xfb, 0xef, 0xbe]);
  const PNG = bytes([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const GIF = bytes([...Buffer.from('GIF89a')]);
  const WEBP = bytes([...Buffer.from('RIFF\u0001\u0002\u0003\u0004WEBPVP8 ')]);
  const url = (type: string, data: string): string => `data:image/${type};base64,${data}`;
  const SHOWN = url('jpeg', JPEG);
  const broken = JPEG.replaceAll(/.{16}/g, '$&\r\n');

  const shown = async (message: object, path: string): Promise<unknown> => {
    const asked = { model: 'm', messages: [{ role: 'user', ...message }], stream: false };
    await answerOf(await chat(asked, path));
    return sentMessages()?.[0]?.content;
  };
  const picture = (address: string) => ({ type: 'image_url', image_url: { url: address, detail: 'auto' } });
  const looking = (part: unknown) => ({ content: [{ type: 'text', text: 'look' }, part] });

  const EVERYWHERE: readonly (readonly [string, object])[] = [
    ['Anthropic’s form', { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: JPEG } }],
    ['the form of the Responses API', { type: 'input_image', image_url: SHOWN }],
    ['an address as a plain text', { type: 'image_url', image_url: SHOWN }],
    ['an engine’s form', { type: 'image', image_url: SHOWN }],
    ['a bare `image`', { type: 'image', image: SHOWN }],
  ];
  const FROM_DEVICES: readonly (readonly [string, unknown])[] = [
    ...EVERYWHERE,
    ['base64 alone', { type: 'image_url', image_url: { url: JPEG } }],
    ['base64 alone as a text', { type: 'image_url', image_url: JPEG }],
    ['base64 alone as an image', { type: 'image', image: JPEG }],
    ['base64 without padding', { type: 'image', image: JPEG.replace(/=+$/, '') }],
    ['base64 for URLs', { type: 'image', image: JPEG.replaceAll('+', '-').replaceAll('/', '_') }],
    ['base64 in lines', { type: 'image_url', image_url: { url: `data:image/jpeg;base64,${broken}` } }],
    ['no media type', { type: 'image_url', image_url: { url: `data:;base64,${JPEG}` } }],
    [
      'the media type of bytes',
      { type: 'image_url', image_url: { url: `data:application/octet-stream;base64,${JPEG}` } },
    ],
    ['a media type that is none', { type: 'image_url', image_url: { url: url('jpg', JPEG) } }],
    ['another media type', { type: 'image_url', image_url: { url: url('png', JPEG) } }],
    ['a source without its type', { type: 'image', source: { data: JPEG } }],
    ['data beside the type', { type: 'image', data: JPEG, mime_type: 'image/png' }],
    ['no type', { image_url: { url: SHOWN } }],
  ];

  test.each(EVERYWHERE)('from programs in %s', async (_form, part) => {
    expect(await shown(looking(part), PROGRAM)).toEqual([{ type: 'text', text: 'look' }, picture(SHOWN)]);
  });

  test.each(FROM_DEVICES)('from devices as %s', async (_form, part) => {
    for (const path of [VOICE, GLASSES])
      expect(await shown(looking(part), path)).toEqual([{ type: 'text', text: 'look' }, picture(SHOWN)]);
  });

  test.each([
    ['png', PNG],
    ['gif', GIF],
    ['webp', WEBP],
    ['jpeg', JPEG],
  ])('are known as %s by their bytes', async (type, data) => {
    expect(await shown({ content: [{ type: 'image', image: data }] }, GLASSES)).toEqual([
      picture(url(type, data)),
    ]);
  });

  test.each([PROGRAM, VOICE, GLASSES])('beside the text, as Ollama has them: %s', async (path) => {
    expect(await shown({ content: 'look', images: [JPEG, url('png', PNG)] }, path)).toEqual([
      { type: 'text', text: 'look' },
      picture(SHOWN),
      picture(url('png', PNG)),
    ]);
    expect(await shown({ images: [JPEG] }, path)).toEqual([picture(SHOWN)]);
  });

  test('that a device’s tool answers with are shown to the model', async () => {
    const take_a_photo = { type: 'function', function: { name: 'take_a_photo', parameters: {} } };
    const called = { id: 'c1', type: 'function', function: { name: 'take_a_photo', arguments: '{}' } };
    const messages = [
      { role: 'user', content: 'look' },
      { role: 'assistant', content: null, tool_calls: [called] },
      { role: 'tool', tool_call_id: 'c1', content: broken },
    ];
    await answerOf(await chat({ model: 'm', messages, tools: [take_a_photo], stream: false }, GLASSES));
    expect(sentMessages()?.at(-1)?.content).toEqual([picture(SHOWN)]);
  });

  test.each<[string, unknown, string]>([
    ['base64 alone, from a program', { type: 'image_url', image_url: { url: JPEG } }, PROGRAM],
    ['lines in what is no base64', { type: 'image_url', image_url: { url: 'cat.jpg' } }, GLASSES],
    ['base64 of a page', { type: 'image', image_url: 'data:text/html;base64,PGI+' }, GLASSES],
    ['base64 of nobody knows what', { type: 'image', image: 'aGVsbG8gd29ybGQ=' }, GLASSES],
    ['no address', { type: 'image' }, GLASSES],
  ])('are refused: %s', async (_what, part, path) => {
    const asked = { model: 'm', messages: [{ role: 'user', content: [part] }] };
    const refused = await refusalOf(await chat(asked, path));
    expect(refused.status).toBe(400);
    expect(refused.param).toMatch(/^messages\[0\]\.content\[0\]/);
  });

  test('that a device answers its camera with, as base64 alone, resume the question', async () => {
    const path = `${GLASSES}?device=forms`;
    upstream.reply(({ body }) =>
      body.messages.some(({ role }) => role === 'tool')
        ? [text('A cat.'), finish('stop')]
        : calls([{ name: 'take_a_photo', arguments: {} }]),
    );
    const tools = [{ type: 'function', function: { name: 'take_a_photo', parameters: {} } }];
    const first = await hear(await chat(asking('What is this?', { tools, stream: true }), path));
    expect(first.finish).toBe('tool_calls');
    const photo = {
      model: 'any-model',
      tools,
      messages: [{ role: 'user', content: [{ type: 'image', image: JPEG }] }],
    };
    const second = await hear(await chat({ ...photo, stream: true }, path));
    expect(second.text).toBe('A cat.');
    expect(sentMessages()?.at(-1)?.content).toEqual([picture(SHOWN)]);
  });
});
