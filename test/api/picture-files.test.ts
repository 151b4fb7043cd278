/** Pictures in messages that are files. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { withService } from '../support/with-service.ts';

const { service, upstream, wire } = withService({
  env: { PROMPT_LIMIT_BYTES: '400000', MESSAGE_LIMIT_BYTES: '200000' },
});

const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(24, 1)]);
const JPEG = Buffer.concat([Buffer.from('ffd8ffe0', 'hex'), Buffer.alloc(24, 2)]);
const GIF = Buffer.from('GIF89a and more bytes of it');
const WEBP = Buffer.from('RIFF\u0001\u0002\u0003\u0004WEBPVP8 and more');

const idSchema = z.looseObject({ id: z.string() });

async function upload(bytes: Uint8Array<ArrayBuffer>, purpose = 'vision'): Promise<string> {
  const body = new FormData();
  body.set('purpose', purpose);
  body.set('file', new Blob([bytes]), 'a.txt');
  const response = await fetch(`${service.baseUrl}/files`, { method: 'POST', body });
  return idSchema.parse(await response.json()).id;
}

const picture = (id: string, detail?: string) => ({
  type: 'image_file',
  image_file: { file_id: id, ...(detail !== undefined && { detail }) },
});
const url = (type: string, bytes: Buffer, detail = 'auto') => ({
  type: 'image_url',
  image_url: { url: `data:${type};base64,${bytes.toString('base64')}`, detail },
});

const messagesSchema = z.array(z.looseObject({ role: z.string(), content: z.unknown() }));

/** What the user says in the latest request to the model, message by message. */
function userContents(): readonly unknown[] {
  const messages = messagesSchema.parse(upstream.requests.at(-1)?.body.messages);
  return messages.filter(({ role }) => role === 'user').map(({ content }) => content);
}
const lastUserContent = (): unknown => userContents().at(-1);

describe('a picture that is a file', () => {
  /** Shows A-FILE-11. */
  test('is shown to the model, and told where it was deleted', async () => {
    const { id: assistant } = await wire.ok('POST', '/assistants', { model: 'm' });
    const ids = [await upload(PNG), await upload(JPEG, 'assistants'), await upload(GIF), await upload(WEBP)];
    const content = [
      { type: 'text', text: 'look' },
      picture(ids[0] ?? '', 'low'),
      ...ids.slice(1).map((id) => picture(id)),
    ];
    const { id: thread } = await wire.ok('POST', '/threads', { messages: [{ role: 'user', content }] });
    const [message] = await wire.list(`/threads/${thread}/messages`);
    expect(message).toMatchObject({
      content: [
        { type: 'text' },
        { type: 'image_file', image_file: { file_id: ids[0], detail: 'low' } },
        { type: 'image_file', image_file: { file_id: ids[1], detail: 'auto' } },
        { type: 'image_file' },
        { type: 'image_file' },
      ],
    });
    await wire.play(thread, { assistant_id: assistant });
    expect(lastUserContent()).toEqual([
      { type: 'text', text: 'look' },
      url('image/png', PNG, 'low'),
      url('image/jpeg', JPEG),
      url('image/gif', GIF),
      url('image/webp', WEBP),
    ]);
    await wire.ok('DELETE', `/files/${ids[1]}`);
    rmSync(join(service.filesFolder, 'default', ids[2] ?? ''));
    await wire.play(thread, { assistant_id: assistant });
    // Behind the answer, nobody has said anything yet.
    expect(userContents()[0]).toEqual([
      { type: 'text', text: 'look' },
      url('image/png', PNG, 'low'),
      { type: 'text', text: `[The picture ${ids[1]} was deleted.]` },
      { type: 'text', text: `[The picture ${ids[2]} was deleted.]` },
      url('image/webp', WEBP),
    ]);
  });

  test('is left out where newer ones need the room, and refused where the question does not fit', async () => {
    const { id: assistant } = await wire.ok('POST', '/assistants', { model: 'm' });
    const large = Buffer.concat([PNG, Buffer.alloc(200_000)]);
    const [first, second] = [await upload(large), await upload(large)];
    const { id: thread } = await wire.ok('POST', '/threads');
    const say = async (...ids: readonly string[]) =>
      wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: ids.map((id) => picture(id)) });
    await say(first);
    await wire.play(thread, { assistant_id: assistant });
    expect(lastUserContent()).toEqual([url('image/png', large)]);
    await say(second);
    await wire.play(thread, { assistant_id: assistant });
    expect(userContents()).toEqual(['[An earlier picture was left out.]', [url('image/png', large)]]);
    await say(first, second);
    const run = await wire.play(thread, { assistant_id: assistant });
    expect(run).toMatchObject({ status: 'failed', last_error: { code: 'invalid_prompt' } });
  });

  test('is refused where it is none, wherever a message is made', async () => {
    const text = await upload(Buffer.from('hello'));
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const { id: thread } = await wire.ok('POST', '/threads');
    const message = (id: string) => ({ role: 'user', content: [{ type: 'text', text: 'a' }, picture(id)] });
    const places: readonly [string, (id: string) => object, string][] = [
      [`/threads/${thread}/messages`, message, 'content[1].image_file.file_id'],
      ['/threads', (id) => ({ messages: [message(id)] }), 'messages[0].content[1].image_file.file_id'],
      [
        '/threads/runs',
        (id) => ({ assistant_id, thread: { messages: [message(id)] } }),
        'thread.messages[0].content[1].image_file.file_id',
      ],
      [
        `/threads/${thread}/runs`,
        (id) => ({ assistant_id, additional_messages: [message(id)] }),
        'additional_messages[0].content[1].image_file.file_id',
      ],
    ];
    for (const [path, body, param] of places) {
      for (const [id, why] of [
        [
          text,
          `${text} is no picture that models are shown. Its first bytes must be those of a PNG, JPEG, GIF or WebP file.`,
        ],
        ['file-none', 'No such File object: file-none.'],
        ['../../a', 'No such File object: ../../a.'],
      ] as const) {
        const reply = await wire.ask('POST', path, { body: body(id) });
        const error = { message: `Invalid '${param}': ${why}`, param, code: 'invalid_value' };
        expect([reply.status, reply.body]).toMatchObject([400, { error }]);
      }
    }
  });
});
