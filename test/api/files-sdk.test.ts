/** Files and uploads as the official Node SDKs of four major versions use them. */
import { createHash, randomBytes } from 'node:crypto';
import * as OpenAI4 from 'openai-v4';
import * as OpenAI5 from 'openai-v5';
import * as OpenAI6 from 'openai-v6';
import * as OpenAI7 from 'openai';
import { describe, expect, test } from 'vitest';
import { withService } from '../support/with-service.ts';

const { service } = withService({ workers: 0 });
const options = () => ({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });

type Bytes = Uint8Array<ArrayBuffer>;
type SdkFile = OpenAI7.OpenAI.FileObject;
type SdkUpload = OpenAI7.OpenAI.Upload;
type Purpose = 'assistants' | 'user_data';

/** What a program does with files, by one version of the SDK. */
interface FilesClient {
  create(bytes: Bytes, name: string, purpose: Purpose): Promise<SdkFile>;
  processed(id: string): Promise<SdkFile>;
  list(purpose: Purpose): Promise<readonly string[]>;
  content(id: string): Promise<ArrayBuffer>;
  remove(id: string): Promise<{ readonly deleted: boolean }>;
  upload(parts: readonly Bytes[], name: string, md5: string): Promise<SdkUpload>;
}

function modern(
  openai: OpenAI5.OpenAI | OpenAI6.OpenAI | OpenAI7.OpenAI,
  fileOf: (bytes: Bytes, name: string) => Promise<File>,
): FilesClient {
  return {
    create: async (bytes, name, purpose) => openai.files.create({ file: await fileOf(bytes, name), purpose }),
    processed: async (id) => openai.files.waitForProcessing(id),
    list: async (purpose) => {
      const ids: string[] = [];
      for await (const { id } of openai.files.list({ purpose, limit: 2 })) ids.push(id);
      return ids;
    },
    content: async (id) => (await openai.files.content(id)).arrayBuffer(),
    remove: async (id) => openai.files.delete(id),
    upload: async (parts, filename, md5) => {
      const bytes = parts.reduce((sum, { length }) => sum + length, 0);
      const { id } = await openai.uploads.create({
        bytes,
        filename,
        mime_type: 'text/plain',
        purpose: 'assistants',
      });
      const sent = await Promise.all(
        parts.map(async (part) => openai.uploads.parts.create(id, { data: await fileOf(part, 'blob') })),
      );
      return openai.uploads.complete(id, { part_ids: sent.map((part) => part.id), md5 });
    },
  };
}

function legacy(): FilesClient {
  const openai = new OpenAI4.OpenAI(options());
  return {
    create: async (bytes, name, purpose) =>
      openai.files.create({ file: await OpenAI4.toFile(bytes, name), purpose }),
    processed: async (id) => openai.files.waitForProcessing(id),
    list: async (purpose) => {
      const ids: string[] = [];
      for await (const { id } of openai.files.list({ purpose, limit: 2 })) ids.push(id);
      return ids;
    },
    content: async (id) => (await openai.files.content(id)).arrayBuffer(),
    remove: async (id) => openai.files.del(id),
    upload: async (parts, filename, md5) => {
      const bytes = parts.reduce((sum, { length }) => sum + length, 0);
      const { id } = await openai.uploads.create({
        bytes,
        filename,
        mime_type: 'text/plain',
        purpose: 'assistants',
      });
      const sent = await Promise.all(
        parts.map(async (part) =>
          openai.uploads.parts.create(id, { data: await OpenAI4.toFile(part, 'blob') }),
        ),
      );
      return openai.uploads.complete(id, { part_ids: sent.map((part) => part.id), md5 });
    },
  };
}

const CLIENTS: readonly (readonly [string, () => FilesClient])[] = [
  [
    'openai 7',
    () => modern(new OpenAI7.OpenAI(options()), async (bytes, name) => OpenAI7.toFile(bytes, name)),
  ],
  [
    'openai 6',
    () => modern(new OpenAI6.OpenAI(options()), async (bytes, name) => OpenAI6.toFile(bytes, name)),
  ],
  [
    'openai 5',
    () => modern(new OpenAI5.OpenAI(options()), async (bytes, name) => OpenAI5.toFile(bytes, name)),
  ],
  ['openai 4', legacy],
];

describe.each(CLIENTS)('%s', (_name, connect) => {
  /** Shows A-FILE-01, A-FILE-02, A-FILE-03. */
  test('uploads, lists, reads and deletes files', async () => {
    const client = connect();
    const bytes = randomBytes(300_000);
    const files = [
      await client.create(bytes, '说明 "1".txt', 'user_data'),
      await client.create(Buffer.from('second'), 'b.txt', 'user_data'),
      await client.create(Buffer.from('third'), 'c.txt', 'user_data'),
      await client.create(Buffer.from('other'), 'd.txt', 'assistants'),
    ];
    const [first, second, third] = files.map(({ id }) => id);
    expect(files[0]).toMatchObject({ filename: '说明 "1".txt', bytes: 300_000, status: 'processed' });
    expect(await client.processed(first ?? '')).toEqual(files[0]);
    expect(await client.list('user_data')).toEqual([third, second, first]);
    expect(Buffer.from(await client.content(first ?? '')).equals(bytes)).toBe(true);
    for (const { id } of files) expect(await client.remove(id)).toMatchObject({ deleted: true });
    await expect(client.content(first ?? '')).rejects.toMatchObject({ status: 404 });
  });

  /** Shows A-FILE-08. */
  test('uploads a file in parts, at once', async () => {
    const client = connect();
    const bytes = randomBytes(250_000);
    const parts = [0, 100_000, 200_000].map((at) => bytes.subarray(at, at + 100_000));
    const upload = await client.upload(parts, 'large.txt', createHash('md5').update(bytes).digest('hex'));
    expect(upload).toMatchObject({ status: 'completed', file: { bytes: 250_000, filename: 'large.txt' } });
    const id = upload.file?.id ?? '';
    expect(Buffer.from(await client.content(id)).equals(bytes)).toBe(true);
    await client.remove(id);
  });
});
