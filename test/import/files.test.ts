/** Files, vector stores, and what names them, come in by `npm run import --files FOLDER` and are used as before. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { runProgram, type Ended } from '../clients/programs.ts';
import { calls, says } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';
import { assistant, message, thread } from './exports.ts';

const PROGRAM = fileURLToPath(new URL('../../src/import/main.ts', import.meta.url));
const PNG = Buffer.from('89504e470d0a1a0a0000000d', 'hex');

const { upstream, service } = withSharedService();

let client: OpenAI;
let folder: string;
beforeAll(async () => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
  folder = await mkdtemp(join(tmpdir(), 'longrun-import-files-'));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

let count = 0;

/** Imports these objects, with a folder that has these originals. */
async function importing(
  objects: readonly object[],
  originals: Readonly<Record<string, string | Buffer>> | null,
): Promise<Ended> {
  const own = join(folder, String((count += 1)));
  await mkdir(join(own, 'deeper'), { recursive: true });
  for (const [name, content] of Object.entries(originals ?? {})) await writeFile(join(own, name), content);
  const list = join(folder, `${count}.json`);
  await writeFile(list, JSON.stringify({ object: 'list', data: objects }));
  const args = originals === null ? [] : ['--files', own];
  return runProgram(process.execPath, [PROGRAM, ...args, list], { env: { LONGRUN_URL: service.baseUrl } });
}

const file = (name: string, filename: string, bytes: number, changes: object = {}) => ({
  id: `file-${name}`,
  object: 'file',
  bytes,
  created_at: 1_699_061_776,
  expires_at: null,
  filename,
  purpose: 'assistants',
  status: 'processed',
  status_details: null,
  ...changes,
});

const store = (name: string, changes: object = {}) => ({
  id: `vs_${name}`,
  object: 'vector_store',
  created_at: 1_699_061_776,
  name: 'Handbook',
  description: null,
  usage_bytes: 123,
  file_counts: { in_progress: 0, completed: 1, failed: 0, cancelled: 0, total: 1 },
  status: 'completed',
  expires_after: null,
  expires_at: null,
  last_active_at: 1_699_061_776,
  metadata: { team: 'hr' },
  ...changes,
});

const shelved = (fileName: string, storeName: string, changes: object = {}) => ({
  id: `file-${fileName}`,
  object: 'vector_store.file',
  usage_bytes: 123,
  created_at: 1_699_061_777,
  vector_store_id: `vs_${storeName}`,
  status: 'completed',
  last_error: null,
  chunking_strategy: { type: 'static', static: { max_chunk_size_tokens: 400, chunk_overlap_tokens: 100 } },
  attributes: { year: 2023 },
  ...changes,
});

const HANDBOOK = 'Everybody has thirty days of holidays.';

/** Resolves when the files of a store were read. */
async function isRead(storeId: string): Promise<void> {
  await vi.waitUntil(
    async () => (await client.vectorStores.retrieve(storeId)).file_counts.in_progress === 0,
    { timeout: 60_000, interval: 50 },
  );
}

describe('an export with files', () => {
  const citation = {
    type: 'file_citation',
    text: '【4:0†handbook.md】',
    start_index: 12,
    end_index: 29,
    file_citation: { file_id: 'file-hand' },
  };
  const said = message('all', 1, {
    content: [{ type: 'text', text: { value: 'Thirty days.【4:0†handbook.md】', annotations: [citation] } }],
  });
  const asked = message('all', 0, {
    content: [
      { type: 'image_file', image_file: { file_id: 'file-photo', detail: 'auto' } },
      { type: 'text', text: { value: 'How many days?', annotations: [] } },
    ],
    attachments: [{ file_id: 'file-table', tools: [{ type: 'code_interpreter' }] }],
  });
  const helper = assistant('all', {
    tools: [
      {
        type: 'file_search',
        file_search: { max_num_results: 5, ranking_options: { ranker: 'auto', score_threshold: 0 } },
      },
      { type: 'code_interpreter' },
    ],
    tool_resources: {
      file_search: { vector_store_ids: ['vs_all'] },
      code_interpreter: { file_ids: ['file-table'] },
    },
  });
  const place = thread('all', { tool_resources: { code_interpreter: { file_ids: ['file-table'] } } });
  const files = [
    file('hand', 'handbook.md', HANDBOOK.length),
    file('table', 'table.csv', 4),
    file('photo', 'photo.png', PNG.length, { purpose: 'vision' }),
  ];
  // In the order in which nobody needs what comes later.
  const everything = [said, asked, place, helper, shelved('hand', 'all'), store('all'), ...files];
  const originals = {
    // By its name, where another of that name has another size.
    'deeper/handbook.md': HANDBOOK,
    'handbook.md': 'An older one.',
    // By its id.
    'file-table': 'a,b\n',
    'file-photo.png': PNG,
  };

  test('is here as it was there', async () => {
    const ended = await importing(everything, originals);
    expect(ended.stderr).toContain('9 imported, 0 were there already, 0 not taken.');
    expect(ended.code).toBe(0);
    expect(ended.stderr).not.toContain('Taken without');
    for (const each of files) expect(await client.files.retrieve(each.id)).toStrictEqual(each);
    expect(await (await client.files.content('file-table')).text()).toBe('a,b\n');
    await isRead('vs_all');
    const { usage_bytes, last_active_at, ...kept } = await client.vectorStores.retrieve('vs_all');
    expect(store('all')).toMatchObject(kept);
    expect(usage_bytes).toBe(HANDBOOK.length);
    expect(last_active_at).toBeGreaterThan(1_700_000_000);
    const { usage_bytes: _own, ...inStore } = await client.vectorStores.files.retrieve('file-hand', {
      vector_store_id: 'vs_all',
    });
    expect(shelved('hand', 'all')).toMatchObject(inStore);
    expect(await client.beta.assistants.retrieve('asst_all')).toStrictEqual(helper);
    expect(await client.beta.threads.retrieve('thread_all')).toMatchObject(place);
    const { data } = await client.beta.threads.messages.list('thread_all', { order: 'asc' });
    expect(data).toMatchObject([asked, said]);
  });

  test('is used by runs', async () => {
    upstream.reply(({ body: { messages } }) =>
      messages.some(({ role }) => role === 'tool')
        ? says('Thirty.')
        : calls([{ name: 'file_search', arguments: '{"queries":["How many holidays?"]}' }]),
    );
    const run = await client.beta.threads.runs.createAndPoll('thread_all', { assistant_id: 'asst_all' });
    expect(run.status).toBe('completed');
    expect(JSON.stringify(upstream.requests.at(-1)?.body.messages)).toContain('thirty days of holidays');
    expect(JSON.stringify(upstream.requests.at(-1)?.body.messages)).toContain('data:image/png;base64,');
  });

  test('changes nothing the second time', async () => {
    const ended = await importing(everything, originals);
    expect(ended.stderr).toContain('0 imported, 9 were there already, 0 not taken.');
    expect(ended.code).toBe(0);
  });
});

describe('what is missing', () => {
  test('is told by name, and found where it comes later', async () => {
    const names = { tool_resources: { file_search: { vector_store_ids: ['vs_late'] } } };
    const hidden = file('late', 'late.md', 5);
    const objects = [
      hidden,
      store('late'),
      shelved('late', 'late'),
      assistant('late', { ...names, tools: [{ type: 'file_search' }] }),
      message('late', 0, { attachments: [{ file_id: 'file-late', tools: [{ type: 'file_search' }] }] }),
    ];
    const first = await importing(objects, {});
    expect(first.code).toBe(1);
    for (const line of [
      /^Not taken: file-late \(late\.md\): \S+ has no late\.md, or file-late\.$/m,
      /^Not taken: file-late in vs_late: the file is not here: import its bytes as well\.$/m,
      /^Taken without a part of it: msg_late_0: it names file-late, not here yet;/m,
    ])
      expect(first.stderr).toMatch(line);
    expect(first.stderr).not.toContain('asst_late');
    const second = await importing(objects, { 'late.md': 'hello' });
    expect(second.stderr).toContain('2 imported, 3 were there already, 0 not taken.');
    expect(second.code).toBe(0);
    await isRead('vs_late');
    expect((await client.vectorStores.search('vs_late', { query: 'hello' })).data).toHaveLength(1);
  });

  test.for<[string, readonly object[], Readonly<Record<string, string>> | null, string]>([
    [
      'a store whose files nobody listed',
      [store('bare')],
      null,
      'Taken without a part of it: vs_bare: 1 file of it: none of the lists names them (GET /v1/vector_stores/vs_bare/files).',
    ],
    [
      'a file of another size',
      [file('size', 'size.md', 5)],
      { 'size.md': 'longer' },
      'Not taken: file-size (size.md): the one in',
    ],
    [
      'two originals that fit',
      [file('two', 'two.md', 5)],
      { 'two.md': 'hello', 'deeper/two.md': 'world' },
      'has it 2 times; rename the right one to file-two.',
    ],
    [
      'a store that has expired',
      [store('gone', { status: 'expired' })],
      null,
      "Not taken: vs_gone: 'status' is 'expired'",
    ],
    [
      'a file that has expired',
      [file('old', 'old.md', 5, { expires_at: 1_700_000_000 })],
      { 'old.md': 'hello' },
      "Not taken: file-old: Invalid 'expires_at': file-old has expired.",
    ],
    [
      'a file of a purpose that is not known',
      [file('odd', 'odd.md', 5, { purpose: 'fun' })],
      { 'odd.md': 'hello' },
      "Not taken: file-odd: Invalid value: 'fun'",
    ],
    [
      'a file whose id leads elsewhere',
      [file('x', 'x.md', 5, { id: '../x' })],
      { 'x.md': 'hello' },
      "Not taken: ../x: Invalid 'id'",
    ],
  ])('%s is told', async ([, objects, originals, sentence]) => {
    const ended = await importing(objects, originals);
    expect(ended.stderr).toContain(sentence);
  });

  test('nothing is, where an older list lacks fields that came later', async () => {
    const bare = (object: string, own: object) => ({ object, created_at: 1_699_061_776, ...own });
    const ended = await importing(
      [
        bare('file', { id: 'file-bare', filename: 'bare.md' }),
        bare('vector_store', { id: 'vs_fields' }),
        bare('vector_store.file', { id: 'file-bare', vector_store_id: 'vs_fields' }),
        bare('assistant', { id: 'asst_bare', model: 'm' }),
        bare('thread', { id: 'thread_bare' }),
        bare('thread.message', { id: 'msg_bare', thread_id: 'thread_bare', role: 'user', content: [] }),
      ],
      { 'bare.md': 'hello' },
    );
    expect(ended.stderr).toContain('6 imported, 0 were there already, 0 not taken.');
    expect(ended.stderr).not.toContain('Taken without');
  });

  test('attachments bring the store of a thread that was not exported', async () => {
    const objects = [
      file('loose', 'loose.md', 5),
      message('loose', 0, { attachments: [{ file_id: 'file-loose', tools: [{ type: 'file_search' }] }] }),
    ];
    await importing(objects, { 'loose.md': 'hello' });
    const { tool_resources } = await client.beta.threads.retrieve('thread_loose');
    const [storeId = ''] = tool_resources?.file_search?.vector_store_ids ?? [];
    const { data } = await client.vectorStores.files.list(storeId);
    expect(data).toMatchObject([{ id: 'file-loose' }]);
  });
});

test('files of a folder that is not there, and unknown options, are told before anything is sent', async () => {
  const list = join(folder, 'one.json');
  await writeFile(list, JSON.stringify(file('none', 'none.md', 5)));
  const run = async (...args: readonly string[]): Promise<Ended> =>
    runProgram(process.execPath, [PROGRAM, ...args]);
  const nowhere = await run('--files', join(folder, 'nowhere'), list);
  expect(nowhere.code).toBe(1);
  expect(nowhere.stderr).toContain(`${join(folder, 'nowhere')} cannot be read (ENOENT). Nothing was sent.`);
  const unknown = await run('--file', list);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toMatch(/^Usage: npm run import -- \[--files FOLDER\] FILE…/);
});
