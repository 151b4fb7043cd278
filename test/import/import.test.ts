/** What was exported from the hosted API comes in by `npm run import`, with its ids, times and order. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runProgram, type Ended } from '../clients/programs.ts';
import { assistant, message, pagesOf, thread } from './exports.ts';
import { withSharedService } from '../support/shared-service.ts';

const PROGRAM = fileURLToPath(new URL('../../src/import/main.ts', import.meta.url));

let folder: string;
let client: OpenAI;

const { upstream, service } = withSharedService();

beforeAll(async () => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
  folder = await mkdtemp(join(tmpdir(), 'longrun-import-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

let fileCount = 0;

/** Imports files that hold these texts. */
async function importing(...texts: readonly string[]): Promise<Ended> {
  const files = texts.map((text) => ({ text, path: join(folder, `${(fileCount += 1)}.json`) }));
  for (const { path, text } of files) await writeFile(path, text);
  const paths = files.map(({ path }) => path);
  return runProgram(process.execPath, [PROGRAM, ...paths], { env: { LONGRUN_URL: service.baseUrl } });
}

const json = (value: unknown): string => JSON.stringify(value);

async function idsIn(threadId: string): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { id } of client.beta.threads.messages.list(threadId, { order: 'asc', limit: 7 }))
    ids.push(id);
  return ids;
}

describe('list pages', () => {
  const numbers = [...Array(25).keys()];

  test.for([
    ['newest first', false],
    ['oldest first', true],
  ] as const)('keep ids, times and order when they are %s', async ([name, ascending]) => {
    const key = name.replace(' ', '');
    const listed = numbers.map((number) => message(key, number));
    const pages = pagesOf(listed, 10, ascending).map(json);
    const ended = await importing(json(thread(key, { metadata: { user: 'ann' } })), ...pages);
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stderr).toContain('26 imported, 0 were there already, 0 not taken.');
    const { id } = thread(key);
    expect(await client.beta.threads.retrieve(id)).toEqual(thread(key, { metadata: { user: 'ann' } }));
    expect(await idsIn(id)).toEqual(listed.map((each) => each.id));
    expect(await client.beta.threads.messages.retrieve(`msg_${key}_4`, { thread_id: id })).toMatchObject(
      listed[4] ?? {},
    );
  });

  test('change nothing the second time', async () => {
    const files = [
      json(pagesOf([assistant('again')], 10)),
      json(
        pagesOf(
          numbers.map((each) => message('again', each)),
          100,
        ),
      ),
    ];
    await importing(...files);
    await client.beta.assistants.update('asst_again', { name: 'renamed' });
    const second = await importing(...files);
    expect(second.stderr).toContain('0 imported, 26 were there already, 0 not taken.');
    expect((await client.beta.assistants.retrieve('asst_again')).name).toBe('renamed');
    expect(await idsIn('thread_again')).toHaveLength(25);
  });

  test('may be one per line, and a page may come later than what was said here', async () => {
    await importing(`${json(message('later', 20))}\n${json(thread('later'))}\n`);
    const said = await client.beta.threads.messages.create('thread_later', { role: 'user', content: 'here' });
    await importing(json(pagesOf([message('later', 1), message('later', 2)], 10)));
    expect(await idsIn('thread_later')).toEqual(['msg_later_1', 'msg_later_2', 'msg_later_20', said.id]);
  });
});

describe('an imported thread', () => {
  test('goes on: the model is told what was said', async () => {
    await importing(json(pagesOf([message('on', 0), message('on', 1)], 10)), json(assistant('on')));
    const run = await client.beta.threads.runs.createAndPoll('thread_on', {
      assistant_id: 'asst_on',
      additional_messages: [{ role: 'user', content: 'and now?' }],
    });
    expect(run.status).toBe('completed');
    const asked = upstream.requests
      .at(-1)
      ?.body.messages.map(({ role, content }) => `${role}: ${JSON.stringify(content)}`);
    expect(asked).toEqual([
      'system: "You are a tutor."',
      'user: "message 0"',
      'assistant: "message 1"',
      'user: "and now?"',
    ]);
    expect((await idsIn('thread_on')).slice(0, 2)).toEqual(['msg_on_0', 'msg_on_1']);
  });
});

describe('what cannot be taken', () => {
  test('is told with its reason, and the rest comes in', async () => {
    const file = { type: 'image_file', image_file: { file_id: 'file-1' } };
    const text = { type: 'text', text: { value: 'see', annotations: [{ type: 'new_kind' }] } };
    const ended = await importing(
      json([
        assistant('tools', {
          tools: [{ type: 'web_search' }, { type: 'function', function: { name: 'f' } }],
        }),
        message('parts', 0, {
          content: [file, text, { type: 'song' }],
          attachments: [{ file_id: 'file-2' }],
        }),
        { id: 'run_1', object: 'thread.run' },
        { id: 'vs_1', object: 'something.else' },
        message('parts', 1, { id: 'msg_{}' }),
        { id: 'file-3', object: 'file', filename: 'a.md' },
        'nonsense',
      ]),
    );
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('2 imported, 0 were there already, 5 not taken.');
    for (const line of [
      'Not taken: run_1: runs are over and are not taken in; their messages are.',
      'Not taken: vs_1: its `object` is neither assistant, thread, thread.message, vector_store nor vector_store.file.',
      'Not taken: file-3 (a.md): say in which folder its original lies: npm run import -- --files FOLDER ….',
      "Not taken: msg_{}: 'id' is not an id that begins with 'msg_'.",
      'Not taken: (no id): its `object` is neither',
      "Taken without a part of it: asst_tools: the tool 'web_search': ",
      "Taken without a part of it: msg_parts_0: a part of type 'song'",
      'Taken without a part of it: msg_parts_0: 1 annotation(s)',
      'Taken without a part of it: msg_parts_0: it names file-1, file-2, not here yet; once imported under the same id, it is found.',
    ])
      expect(ended.stderr).toContain(line);
    expect(await idsIn('thread_parts')).toEqual(['msg_parts_0']);
    expect((await client.beta.assistants.retrieve('asst_tools')).tools).toHaveLength(1);
  });

  test.for<[string, object, string]>([
    ['a kind that every object inherits', { id: 'x_1', object: 'constructor' }, 'its `object` is neither'],
    ['another such kind', { id: 'x_2', object: '__proto__' }, 'its `object` is neither'],
    [
      'a format that every run would repeat',
      assistant('f', { response_format: { x: '*'.repeat(200_000) } }),
      "'response_format'",
    ],
    [
      'a schema that every run would repeat',
      assistant('s', {
        tools: [{ type: 'function', function: { name: 'f', parameters: { x: '*'.repeat(200_000) } } }],
      }),
      "'tools",
    ],
    ['a long name', assistant('n', { name: 'n'.repeat(300) }), "'name'"],
    [
      'metadata without end',
      thread('m', { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, ''])) }),
      "'metadata'",
    ],
    ['long metadata', thread('l', { metadata: { k: 'v'.repeat(513) } }), "'metadata.k'"],
    [
      'a picture that is no address',
      message('p', 0, { content: [{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }] }),
      "'content.0.image_url.url'",
    ],
  ])('%s is no more taken than elsewhere', async ([, given, reason]) => {
    const ended = await importing(json(given));
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/^Not taken: /m);
    expect(ended.stderr).toContain(reason);
    expect(ended.stderr).toContain('0 imported, 0 were there already, 1 not taken.');
  });

  test.for([
    ['a file that is not there', [], 'cannot be read (ENOENT). Nothing was sent.'],
    [
      'a file of lines that are not all JSON',
      ['{"a":1}\n{"a":'],
      'cannot be read as JSON: it breaks at line 2, column 6. Nothing was sent.',
    ],
    [
      'a file that is no JSON',
      ['{\n  "data": [\n    {"a" 1}\n  ]\n}\n'],
      'cannot be read as JSON: it breaks at line 3, column 10. Nothing was sent.',
    ],
    ['a file that is empty', ['\n'], 'holds nothing. Nothing was sent.'],
  ] as const)('%s is told before anything is sent', async ([, texts, sentence]) => {
    const ended =
      texts.length > 0
        ? await importing(...texts)
        : await runProgram(process.execPath, [PROGRAM, join(folder, 'missing.json')]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(sentence);
    expect(ended.stderr).not.toContain('    at ');
  });

  test('a folder is told, and how to name the files in it', async () => {
    const ended = await runProgram(process.execPath, [PROGRAM, folder]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toBe(
      `${folder} is a folder, and nothing was sent. Name the files in it: ${folder}/*.json\n`,
    );
  });

  test('a refusal is told in sentences of its own', async () => {
    const locked = createServer((_request, response) => {
      response.writeHead(401).end(json({ error: { message: 'You have no key' } }));
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void locked.close());
    await once(locked, 'listening');
    const address = locked.address();
    const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    const file = join(folder, 'locked.json');
    await writeFile(file, json(assistant('locked')));
    const env = { LONGRUN_URL: origin };
    const ended = await runProgram(process.execPath, [PROGRAM, file], { env });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toBe(
      `1 object in 1 file, on the way to ${origin}/v1.\n` +
        `${origin}/v1 refused (401): You have no key.\n` +
        'Give the key: LONGRUN_API_KEY=… npm run import\nNothing was taken.\n',
    );
  });

  test('a service that is not there is told, and how to name another', async () => {
    const file = join(folder, 'one.json');
    await writeFile(file, json(assistant('nobody')));
    const env = { LONGRUN_URL: 'http://127.0.0.1:1/v1' };
    const ended = await runProgram(process.execPath, [PROGRAM, file], { env });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('No Longrun answers at http://127.0.0.1:1/v1. Start it (npm start)');
  });
});
