/** Uploads: files that come in parts. */
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { containing, matching, objectWith, SOME_NUMBER } from '../devices/matchers.ts';
import { withService } from '../support/with-service.ts';

const { service, wire } = withService({
  workers: 0,
  env: { MAX_FILE_BYTES: '100000', MAX_PROJECT_FILES_BYTES: '3000000' },
});

const idSchema = z.looseObject({ id: z.string() });
const completedSchema = z.looseObject({ file: z.looseObject({ id: z.string() }) });

function kept(): readonly string[] {
  const folders = readdirSync(service.filesFolder);
  return folders.flatMap((folder) => readdirSync(join(service.filesFolder, folder)));
}

const begin = async (bytes: number, more: object = {}): Promise<string> => {
  const body = { bytes, filename: 'a/b.jsonl', mime_type: 'text/jsonl', purpose: 'fine-tune', ...more };
  return idSchema.parse(await wire.ok('POST', '/uploads', body)).id;
};
const send = async (upload: string, bytes: Uint8Array<ArrayBuffer>): Promise<Response> => {
  const body = new FormData();
  body.set('data', new Blob([bytes]), 'blob');
  return fetch(`${service.baseUrl}/uploads/${upload}/parts`, { method: 'POST', body });
};
const part = async (upload: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> => {
  const response = await send(upload, bytes);
  const answer: unknown = await response.json();
  expect([response.status, answer]).toEqual([
    200,
    {
      id: matching(/^part_/),
      object: 'upload.part',
      created_at: SOME_NUMBER,
      upload_id: upload,
    },
  ]);
  return idSchema.parse(answer).id;
};
const complete = async (upload: string, ids: readonly string[], more: object = {}) =>
  wire.ask('POST', `/uploads/${upload}/complete`, { body: { part_ids: ids, ...more } });

describe('an upload', () => {
  /** Shows A-FILE-08. */
  test('becomes a file of its parts, in the order that is said, and its parts are gone', async () => {
    const bytes = randomBytes(300_000);
    const upload = await begin(bytes.length, { expires_after: { anchor: 'created_at', seconds: 7200 } });
    const [second, first] = await Promise.all([
      part(upload, bytes.subarray(100_000)),
      part(upload, bytes.subarray(0, 100_000)),
    ]);
    const md5 = createHash('md5').update(bytes).digest('hex');
    const reply = await complete(upload, [first, second], { md5 });
    expect(reply.body).toEqual({
      id: upload,
      object: 'upload',
      bytes: bytes.length,
      created_at: SOME_NUMBER,
      expires_at: SOME_NUMBER,
      filename: 'b.jsonl',
      purpose: 'fine-tune',
      status: 'completed',
      file: objectWith({
        object: 'file',
        bytes: bytes.length,
        filename: 'b.jsonl',
        status: 'processed',
      }),
    });
    const { file } = completedSchema.parse(reply.body);
    expect(file).toMatchObject({ expires_at: Number(file['created_at']) + 7200 });
    const content = await fetch(`${service.baseUrl}/files/${file.id}/content`);
    expect(Buffer.from(await content.arrayBuffer()).equals(bytes)).toBe(true);
    expect(kept()).toEqual([file.id]);
    // The answer may have been lost.
    expect((await complete(upload, [first, second])).body).toEqual(reply.body);
    await wire.ok('DELETE', `/files/${file.id}`);
    expect(kept()).toEqual([]);
  });

  /** Shows A-FILE-09. */
  test('that is cancelled leaves nothing, and takes nothing more', async () => {
    const upload = await begin(10);
    const id = await part(upload, Buffer.from('0123456789'));
    const cancelled = await wire.ok('POST', `/uploads/${upload}/cancel`);
    expect(cancelled).toMatchObject({ status: 'cancelled', file: null });
    expect(kept()).toEqual([]);
    expect(await wire.ok('POST', `/uploads/${upload}/cancel`)).toEqual(cancelled);
    const message = `Upload ${upload} is cancelled. Create a new one with POST /uploads.`;
    expect((await complete(upload, [id])).body).toMatchObject({
      error: { message, code: 'upload_not_pending' },
    });
    expect(await (await send(upload, Buffer.from('x'))).json()).toMatchObject({ error: { message } });
    expect(kept()).toEqual([]);
  });

  test('is refused while it is not what was announced, and may be mended', async () => {
    const upload = await begin(6);
    const [one, two] = [await part(upload, Buffer.from('abc')), await part(upload, Buffer.from('def'))];
    const wrong: readonly [readonly string[], object, object][] = [
      [[one], {}, { param: 'part_ids', message: containing('3 bytes together, but 6') }],
      [[one, one], {}, { param: 'part_ids[1]' }],
      [[one, 'part_none'], {}, { param: 'part_ids[1]' }],
      [[], {}, { param: 'part_ids' }],
      [[one, two], { md5: '0'.repeat(32) }, { param: 'md5' }],
    ];
    for (const [ids, more, error] of wrong) {
      const reply = await complete(upload, ids, more);
      expect([reply.status, reply.body]).toEqual([400, { error: objectWith(error) }]);
    }
    expect(kept().toSorted()).toEqual([one, two].toSorted());
    const md5 = createHash('md5').update('defabc').digest('base64');
    const { file } = completedSchema.parse((await complete(upload, [two, one], { md5 })).body);
    await wire.ok('DELETE', `/files/${file.id}`);
  });

  test('of several that are completed at once becomes one file', async () => {
    const upload = await begin(3);
    const id = await part(upload, Buffer.from('abc'));
    const replies = await Promise.all(Array.from({ length: 5 }, async () => complete(upload, [id])));
    const done = replies.filter(({ status }) => status === 200);
    const files = new Set(done.map(({ body }) => completedSchema.parse(body).file.id));
    expect(files.size).toBe(1);
    expect(kept()).toEqual([...files]);
    for (const file of files) await wire.ok('DELETE', `/files/${file}`);
  });

  test('has room for each part twice, and no more', async () => {
    const upload = await begin(4);
    for (let sent = 0; sent < 2; sent += 1) await part(upload, Buffer.from('abcd'));
    expect(await (await send(upload, Buffer.from('abcd'))).json()).toMatchObject({
      error: { code: 'upload_too_large' },
    });
    await wire.ok('POST', `/uploads/${upload}/cancel`);
    expect(kept()).toEqual([]);
  });

  test('counts for its project until it has ended', async () => {
    const uploads = [await begin(1_500_000), await begin(1_500_000)];
    for (const upload of uploads) await part(upload, randomBytes(1_500_000));
    const full = { error: objectWith({ code: 'project_files_full' }) };
    const third = await wire.ask('POST', '/uploads', {
      body: { bytes: 1, filename: 'a', mime_type: 'text/plain', purpose: 'batch' },
    });
    expect([third.status, third.body]).toEqual([413, full]);
    expect(await (await send(uploads[0] ?? '', Buffer.from('x'))).json()).toEqual(full);
    for (const upload of uploads) await wire.ok('POST', `/uploads/${upload}/cancel`);
    await wire.ok('POST', `/uploads/${await begin(3_000_000 - 1_600_000)}/cancel`);
    expect(kept()).toEqual([]);
  });

  test('is refused where it could never be completed, and an unknown one is not there', async () => {
    const body = { bytes: 1_600_001, filename: 'a', mime_type: 'text/plain', purpose: 'batch' };
    const wrong: readonly [object, object][] = [
      [body, { param: 'bytes', code: 'integer_above_max_value' }],
      [
        { ...body, bytes: 0 },
        { param: 'bytes', code: 'integer_below_min_value' },
      ],
      [{ ...body, bytes: 1, purpose: 'batch_output' }, { param: 'purpose' }],
      [
        { ...body, bytes: 1, colour: 'red' },
        { param: 'colour', code: 'unknown_parameter' },
      ],
    ];
    for (const [sent, error] of wrong) {
      const reply = await wire.ask('POST', '/uploads', { body: sent });
      expect([reply.status, reply.body]).toEqual([400, { error: objectWith(error) }]);
    }
    const unknown = await complete('upload_none', ['part_1']);
    expect([unknown.status, unknown.body]).toMatchObject([
      404,
      { error: { message: "No upload found with id 'upload_none'." } },
    ]);
    expect((await send('upload_none', Buffer.from('x'))).status).toBe(404);
  });
});
