/** Files: what clients upload, list, read and delete. */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { containing, matching, objectWith, SOME_NUMBER, SOMETHING } from '../devices/matchers.ts';
import { exchange } from '../support/raw.ts';
import { withService } from '../support/with-service.ts';

const MAX_FILE_BYTES = 200_000;
const MAX_PROJECT_BYTES = 2_000_000;
const { service, wire } = withService({
  workers: 0,
  env: { MAX_FILE_BYTES: String(MAX_FILE_BYTES), MAX_PROJECT_FILES_BYTES: String(MAX_PROJECT_BYTES) },
});

const fileSchema = z.looseObject({ id: z.string(), bytes: z.number(), filename: z.string() });
const listSchema = z.looseObject({ data: z.array(fileSchema), has_more: z.boolean() });
type Made = z.infer<typeof fileSchema>;

/** The keys of the vault, and what is on its way there. */
function kept(): readonly string[] {
  const folders = readdirSync(service.filesFolder);
  return folders.flatMap((folder) => readdirSync(join(service.filesFolder, folder)));
}

interface Sent {
  readonly name?: string;
  readonly bytes?: Uint8Array<ArrayBuffer>;
  readonly fields?: Readonly<Record<string, string>>;
}

function form({
  name = 'notes.txt',
  bytes = Buffer.from('hello'),
  fields = { purpose: 'assistants' },
}: Sent) {
  const made = new FormData();
  for (const [field, value] of Object.entries(fields)) made.set(field, value);
  made.set('file', new Blob([bytes]), name);
  return made;
}

const post = async (body: FormData, path = '/files'): Promise<Response> =>
  fetch(service.baseUrl + path, { method: 'POST', body });
const upload = async (sent: Sent = {}): Promise<Made> => {
  const response = await post(form(sent));
  const answer: unknown = await response.json();
  expect([response.status, answer]).toEqual([200, SOMETHING]);
  return fileSchema.parse(answer);
};
const read = async (id: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> =>
  fetch(`${service.baseUrl}/files/${id}/content`, { headers, method });
const remove = async (...files: readonly Made[]): Promise<void> => {
  for (const { id } of files) await wire.ok('DELETE', `/files/${id}`);
};

describe('a file', () => {
  /** Shows A-FILE-01, A-FILE-02, A-FILE-05. */
  test('is there at once, byte for byte, and gone when it is deleted', async () => {
    const bytes = randomBytes(150_000);
    const file = await upload({ bytes, fields: { purpose: 'user_data' } });
    expect(file).toEqual({
      id: matching(/^file-[A-Za-z0-9]{24}$/),
      object: 'file',
      bytes: 150_000,
      created_at: SOME_NUMBER,
      expires_at: null,
      filename: 'notes.txt',
      purpose: 'user_data',
      status: 'processed',
      status_details: null,
    });
    expect(await wire.ok('GET', `/files/${file.id}`)).toEqual(file);
    const content = await read(file.id);
    expect(Buffer.from(await content.arrayBuffer()).equals(bytes)).toBe(true);
    expect(kept()).toEqual([file.id]);
    expect(await wire.ok('DELETE', `/files/${file.id}`)).toEqual({
      id: file.id,
      object: 'file',
      deleted: true,
    });
    expect(kept()).toEqual([]);
    const gone = {
      error: {
        message: `No such File object: ${file.id}`,
        type: 'invalid_request_error',
        param: 'id',
        code: null,
      },
    };
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/content'],
      ['DELETE', ''],
    ] as const) {
      const reply = await wire.ask(method, `/files/${file.id}${path}`);
      expect([reply.status, reply.body]).toEqual([404, gone]);
    }
  });

  /** Shows A-FILE-10. */
  test('is handed out as bytes to be saved, and never shown', async () => {
    const file = await upload({ name: '图 "1" (a).html', bytes: Buffer.from('<script>') });
    expect(file.filename).toBe('图 "1" (a).html');
    const { headers } = await read(file.id);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': "attachment; filename*=UTF-8''%E5%9B%BE%20%221%22%20%28a%29.html",
      'content-length': '8',
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
    });
    const head = await read(file.id, {}, 'HEAD');
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '8', '']);
    await remove(file);
  });

  const ranges: readonly [string, number, string, string | null][] = [
    ['bytes=0-0', 206, '0', 'bytes 0-0/10'],
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=7-99', 206, '789', 'bytes 7-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=4-2', 200, '0123456789', null],
    ['bytes=0-1,3-4', 200, '0123456789', null],
    ['lines=1-2', 200, '0123456789', null],
  ];
  test('may be read in part', async () => {
    const file = await upload({ bytes: Buffer.from('0123456789') });
    for (const [range, status, text, said] of ranges) {
      const part = await read(file.id, { range });
      expect([range, part.status, await part.text(), part.headers.get('content-range')]).toEqual([
        range,
        status,
        text,
        said,
      ]);
    }
    for (const range of ['bytes=10-', 'bytes=10-20', 'bytes=-0']) {
      const none = await read(file.id, { range });
      expect([none.status, none.headers.get('content-range')]).toEqual([416, 'bytes */10']);
    }
    await remove(file);
  });

  const names: readonly [string, string][] = [
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\me\\a.txt', 'a.txt'],
    ['..', 'file'],
    ['a\u202Egpj.exe', 'agpj.exe'],
    [`${'长'.repeat(300)}.pdf`, `${'长'.repeat(251)}.pdf`],
  ];
  test.each(names)('%j is called %j', async (name, expected) => {
    const file = await upload({ name });
    expect(file.filename).toBe(expected);
    await remove(file);
  });

  test('of another project is not there', async () => {
    const file = await upload();
    expect((await wire.ask('GET', '/files/file-none')).status).toBe(404);
    expect((await wire.ask('GET', '/files/undefined')).status).toBe(404);
    await remove(file);
  });

  /** Shows A-FILE-06. */
  test('may expire', async () => {
    const fields = {
      purpose: 'batch',
      'expires_after[anchor]': 'created_at',
      'expires_after[seconds]': '3600',
    };
    const file = await upload({ fields });
    expect(file).toMatchObject({ expires_at: Number(file['created_at']) + 3600 });
    await remove(file);
  });
});

describe('a list of files', () => {
  test('has those of a purpose, in either order, page by page', async () => {
    const made: Made[] = [];
    for (const purpose of ['vision', 'assistants', 'vision', 'vision'])
      made.push(await upload({ name: `${made.length}.txt`, fields: { purpose } }));
    const list = async (query: string) => {
      const page = listSchema.parse((await wire.ask('GET', `/files${query}`)).body);
      return { names: page.data.map(({ filename }) => filename[0]).join(''), more: page.has_more };
    };
    expect(await list('')).toEqual({ names: '3210', more: false });
    expect(await list('?order=asc')).toEqual({ names: '0123', more: false });
    expect(await list('?purpose=vision')).toEqual({ names: '320', more: false });
    expect(await list('?purpose=evals')).toEqual({ names: '', more: false });
    expect(await list(`?purpose=vision&limit=1&after=${made[3]?.id}`)).toEqual({ names: '2', more: true });
    expect(await list('?limit=10000')).toEqual({ names: '3210', more: false });
    const wrong = await wire.ask('GET', '/files?limit=10001');
    expect(wrong.body).toMatchObject({ error: { code: 'integer_above_max_value', param: 'limit' } });
    const strange = await wire.ask('GET', '/files?purpose=fun');
    expect(strange.body).toMatchObject({ error: { param: 'purpose' } });
    const [, second] = made;
    if (second !== undefined) await remove(second);
    expect(await list(`?after=${second?.id}`)).toEqual({ names: '0', more: false });
    await remove(...made.filter((file) => file !== second));
  });
});

describe('nothing is kept', () => {
  const BOUNDARY = 'x=y z';
  const part = (head: string, body: string): string =>
    `--${BOUNDARY}\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`;
  const end = `--${BOUNDARY}--\r\n`;
  const FILE = part('name="file"; filename="a.txt"', 'hello');
  const PURPOSE = part('name=purpose', 'assistants');
  const send = async (
    body: string,
    type = `multipart/form-data; boundary="${BOUNDARY}"`,
  ): Promise<Response> =>
    fetch(`${service.baseUrl}/files`, { method: 'POST', body, headers: { 'content-type': type } });

  test('of what these are compared with, but that is taken', async () => {
    for (const body of [
      FILE + PURPOSE + end,
      PURPOSE + FILE + end,
      `preamble\r\n${PURPOSE}${FILE}${end}epilogue`,
    ]) {
      const response = await send(body);
      const file = fileSchema.parse(await response.json());
      expect(file).toMatchObject({ bytes: 5, filename: 'a.txt', purpose: 'assistants' });
      await remove(file);
    }
  });

  const wrong: readonly [string, string, object][] = [
    ['a form that is cut off', PURPOSE + FILE.slice(0, -4), { message: containing('It breaks off') }],
    ['a form without an end', PURPOSE + FILE, { message: containing('It breaks off') }],
    ['two files', FILE + PURPOSE + FILE + end, { message: containing('It has two files') }],
    ['no file', PURPOSE + end, { param: 'file', code: 'missing_required_parameter' }],
    [
      'another file',
      part('name="image"; filename="a.png"', 'x') + PURPOSE + end,
      { message: containing("the part 'file'") },
    ],
    [
      'an empty file',
      part('name="file"; filename="a.txt"', '') + PURPOSE + end,
      { message: 'File is empty.', param: 'file' },
    ],
    ['no purpose', FILE + end, { param: 'purpose', code: 'missing_required_parameter' }],
    [
      'a wrong purpose after the file',
      FILE + part('name=purpose', 'fun') + end,
      {
        message:
          "'fun' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] - 'purpose'",
        param: 'purpose',
      },
    ],
    [
      'a wrong purpose before the file',
      part('name=purpose', 'assistants_output') + FILE + end,
      { param: 'purpose' },
    ],
    [
      'an unknown field',
      PURPOSE + part('name=colour', 'red') + FILE + end,
      { param: 'colour', code: 'unknown_parameter' },
    ],
    [
      'a field that is too long',
      PURPOSE + part('name=purpose', 'x'.repeat(5_000)) + FILE + end,
      { message: containing('too long') },
    ],
    [
      'many fields',
      part('name=a', 'x').repeat(17) + FILE + end,
      { message: containing('more than 16 fields') },
    ],
    [
      'an expiry that is too short',
      PURPOSE +
        FILE +
        part('name="expires_after[seconds]"', '3599') +
        part('name="expires_after[anchor]"', 'created_at') +
        end,
      { param: 'expires_after.seconds', code: 'integer_below_min_value' },
    ],
    [
      'an expiry without its anchor',
      PURPOSE + FILE + part('name="expires_after[seconds]"', '3600') + end,
      { param: 'expires_after.anchor' },
    ],
    ['nothing', '', { message: SOMETHING }],
    ['no form', 'hello', { message: containing('It breaks off, or is no form') }],
  ];
  /** Shows A-FILE-04. */
  test.each(wrong)('of %s', async (_what, body, error) => {
    const response = await send(body);
    expect([response.status, await response.json()]).toEqual([400, { error: objectWith(error) }]);
    expect(kept()).toEqual([]);
  });

  test('of what is sent as something else', async () => {
    const json = await send('{"purpose":"assistants"}', 'application/json');
    expect(await json.json()).toMatchObject({ error: { param: 'file', code: 'missing_required_parameter' } });
    const bare = await send(FILE, 'multipart/form-data');
    expect(await bare.json()).toMatchObject({
      error: { message: containing("needs a 'boundary'") },
    });
  });

  /** Shows A-FILE-07. */
  test('of a file that is too large: before it comes where its length is known, else when it is', async () => {
    const declared = await post(form({ bytes: randomBytes(MAX_FILE_BYTES + 200_000) }));
    const passed = await post(form({ bytes: randomBytes(MAX_FILE_BYTES + 1) }));
    for (const response of [declared, passed]) {
      expect([response.status, await response.json()]).toEqual([
        413,
        { error: objectWith({ code: 'request_too_large', param: 'file' }) },
      ]);
    }
    expect(kept()).toEqual([]);
    await remove(await upload({ bytes: randomBytes(MAX_FILE_BYTES) }));
  });

  test('of a file that is refused before it has come, and the connection goes on', async () => {
    const refused =
      PURPOSE.replace('assistants', 'fun') + part('name="file"; filename="a"', 'x'.repeat(190_000)) + end;
    const head = [
      'POST /v1/files HTTP/1.1',
      'Host: 127.0.0.1',
      `Content-Type: multipart/form-data; boundary="${BOUNDARY}"`,
      `Content-Length: ${refused.length}`,
    ];
    const next = 'GET /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n';
    const answers = await exchange(service.url, `${head.join('\r\n')}\r\n\r\n${refused}${next}`);
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400', 'HTTP/1.1 200']);
    expect(kept()).toEqual([]);
  });

  test('of a client that goes away', async () => {
    const aborted = new AbortController();
    async function* half() {
      yield Buffer.from(
        `${PURPOSE}--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n`,
      );
      yield randomBytes(100_000);
      aborted.abort();
      yield randomBytes(10);
    }
    const sending = fetch(`${service.baseUrl}/files`, {
      method: 'POST',
      body: ReadableStream.from(half()),
      duplex: 'half',
      signal: aborted.signal,
      headers: { 'content-type': `multipart/form-data; boundary="${BOUNDARY}"` },
    });
    await expect(sending).rejects.toThrow('abort');
    await expect.poll(kept).toEqual([]);
  });
});

describe('a project', () => {
  test('has room for so many bytes, and again when some are deleted', async () => {
    const files: Made[] = [];
    for (let at = 0; at < 10; at += 1) files.push(await upload({ bytes: randomBytes(MAX_FILE_BYTES) }));
    const response = await post(form({}));
    expect([response.status, await response.json()]).toEqual([
      413,
      { error: objectWith({ code: 'project_files_full' }) },
    ]);
    expect(kept()).toHaveLength(10);
    const [first, ...others] = files;
    if (first !== undefined) await remove(first);
    others.push(await upload());
    await remove(...others);
    expect(kept()).toEqual([]);
  });
});
