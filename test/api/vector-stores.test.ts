/** Vector stores and file_search end to end: files are read, found, cited and forgotten, by the official SDK's own helpers. */
import OpenAI, { toFile } from 'openai';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { calls, says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const { upstream, service, wire } = withService();

let redis: Redis;
beforeAll(() => {
  redis = new Redis(inject('redisUrl'));
});
afterAll(async () => redis.quit());

const client = (): OpenAI => new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });

const FOODS = '# Favourite foods\n\nPeople in Naples like pizza with basil.\n\nPeople in Kyoto like yudofu.';
const SHIPS = '# Ships\n\nThe Vasa sank in 1628 after sailing for twenty minutes.';

const upload = async (text: string, name: string): Promise<string> =>
  (await client().files.create({ file: await toFile(Buffer.from(text), name), purpose: 'assistants' })).id;

/** A store with these two files, read. */
async function store(): Promise<{ id: string; foods: string; ships: string }> {
  const [foods, ships] = await Promise.all([upload(FOODS, 'foods.md'), upload(SHIPS, 'ships.md')]);
  const made = await client().vectorStores.create({ name: 'library', file_ids: [] });
  const batch = await client().vectorStores.fileBatches.createAndPoll(made.id, {
    file_ids: [foods, ships],
  });
  expect(batch).toMatchObject({ status: 'completed', file_counts: { completed: 2, total: 2 } });
  return { id: made.id, foods, ships };
}

/** Some text that has this in it. */
const containing = (text: string): unknown => expect.stringContaining(text);
const A_NUMBER: unknown = expect.any(Number);

describe('a vector store', () => {
  /** Shows A-STORE-01. */
  test('is created, listed, retrieved, modified and deleted', async () => {
    const expires_after = { anchor: 'last_active_at', days: 3 } as const;
    const metadata = { team: 'one' };
    const made = await client().vectorStores.create({ name: 'first', expires_after, metadata });
    expect(made).toStrictEqual({
      id: made.id,
      object: 'vector_store',
      created_at: A_NUMBER,
      name: 'first',
      description: null,
      usage_bytes: 0,
      file_counts: { in_progress: 0, completed: 0, failed: 0, cancelled: 0, total: 0 },
      status: 'completed',
      expires_after,
      expires_at: made.created_at + 3 * 86_400,
      last_active_at: made.created_at,
      metadata,
    });
    expect(made.id).toMatch(/^vs_[A-Za-z0-9]{24}$/);
    expect(await client().vectorStores.retrieve(made.id)).toStrictEqual(made);
    const changed = await client().vectorStores.update(made.id, { name: 'second', expires_after: null });
    expect(changed).toMatchObject({ id: made.id, name: 'second', expires_at: null, metadata });
    const later = await client().vectorStores.create({ name: 'third' });
    const { data } = await client().vectorStores.list({ limit: 2 });
    expect(data.map(({ name }) => name)).toStrictEqual(['third', 'second']);
    expect(await client().vectorStores.delete(made.id)).toStrictEqual({
      id: made.id,
      object: 'vector_store.deleted',
      deleted: true,
    });
    expect((await wire.ask('GET', `/vector_stores/${made.id}`)).status).toBe(404);
    expect((await client().vectorStores.list({ limit: 1 })).data).toMatchObject([{ id: later.id }]);
  });

  /** Shows A-STORE-02, A-STORE-03. */
  test('reads files, counts them, finds what is in them, and shows their texts', async () => {
    const { id, foods, ships } = await store();
    expect(await client().vectorStores.retrieve(id)).toMatchObject({
      object: 'vector_store',
      name: 'library',
      status: 'completed',
      usage_bytes: A_NUMBER,
      file_counts: { in_progress: 0, completed: 2, failed: 0, cancelled: 0, total: 2 },
    });
    const found = await client().vectorStores.search(id, { query: 'Which ship sank?' });
    expect(found.data[0]).toMatchObject({
      file_id: ships,
      filename: 'ships.md',
      attributes: {},
      content: [{ type: 'text', text: containing('Vasa') }],
    });
    const content = await client().vectorStores.files.content(foods, { vector_store_id: id });
    expect(content.data.map(({ text }) => text).join('\n')).toContain('Kyoto');
    const listed = await client().vectorStores.files.list(id, { filter: 'completed', order: 'asc' });
    expect(listed.data.map((file) => file.id)).toStrictEqual([foods, ships]);
  });

  /** Shows A-STORE-06. */
  test('finds only files whose attributes fit', async () => {
    const { id, foods, ships } = await store();
    await client().vectorStores.files.update(foods, {
      vector_store_id: id,
      attributes: { topic: 'food', year: 2026 },
    });
    await client().vectorStores.files.update(ships, {
      vector_store_id: id,
      attributes: { topic: 'sea', year: 1628 },
    });
    const search = async (filters: OpenAI.VectorStoreSearchParams['filters']): Promise<readonly string[]> => {
      const found = await client().vectorStores.search(id, { query: 'people ship sank', filters });
      return [...new Set(found.data.map((one) => one.file_id))];
    };
    expect(await search({ type: 'eq', key: 'topic', value: 'food' })).toStrictEqual([foods]);
    expect(
      await search({
        type: 'and',
        filters: [
          { type: 'ne', key: 'topic', value: 'food' },
          { type: 'lt', key: 'year', value: 1700 },
        ],
      }),
    ).toStrictEqual([ships]);
  });

  /** Shows A-STORE-02, A-STORE-08. */
  test('forgets a file that is taken out, and one that is deleted', async () => {
    const { id, foods, ships } = await store();
    const search = async (): Promise<readonly string[]> =>
      (await client().vectorStores.search(id, { query: 'people ship sank basil' })).data.map(
        (one) => one.file_id,
      );
    await client().vectorStores.files.delete(foods, { vector_store_id: id });
    expect(await search()).toStrictEqual([ships]);
    await client().files.delete(ships);
    expect(await search()).toStrictEqual([]);
    expect(await client().vectorStores.retrieve(id)).toMatchObject({
      usage_bytes: 0,
      file_counts: { total: 0 },
    });
  });

  test('lists files by one status, however the query writes it, and refuses several', async () => {
    const { id } = await store();
    const list = async (query: string) => wire.ask('GET', `/vector_stores/${id}/files?${query}`);
    for (const query of ['filter=failed', 'filter[]=failed', 'filter%5B0%5D=failed'])
      expect((await list(query)).body).toMatchObject({ data: [] });
    for (const query of ['filter=failed&filter=completed', 'filter[]=failed&filter[]=completed']) {
      const { status, body } = await list(query);
      expect(status).toBe(400);
      expect(body).toMatchObject({
        error: {
          param: 'filter',
          message: containing('Supported values are: '),
        },
      });
    }
    for (const [query, param] of [
      ['limit=1&limit=2', 'limit'],
      ['after[]=a&after[]=b', 'after'],
    ] as const)
      expect((await list(query)).body).toMatchObject({ error: { param, message: containing('array') } });
  });

  /** Shows A-STORE-07. */
  test('says why a file could not be read', async () => {
    const made = await client().vectorStores.create({});
    expect(made.name).toBe('');
    const file = await upload('\u0000\u0001\u0002', 'noise.bin');
    const read = await client().vectorStores.files.createAndPoll(made.id, { file_id: file });
    expect(read).toMatchObject({
      status: 'failed',
      last_error: { code: 'unsupported_file', message: containing('noise.bin') },
    });
  });

  /** Shows A-STORE-09. */
  test('refuses what it does not have, by name', async () => {
    const made = await client().vectorStores.create({});
    const unknown = await wire.ask('POST', `/vector_stores/${made.id}/files`, {
      body: { file_id: 'file-none' },
    });
    expect(unknown).toMatchObject({
      status: 400,
      body: { error: { param: 'file_id', code: 'file_not_found' } },
    });
    expect((await wire.ask('GET', '/vector_stores/vs_none')).status).toBe(404);
    const rewriting = await wire.ask('POST', `/vector_stores/${made.id}/search`, {
      body: { query: 'x', rewrite_query: true },
    });
    expect(rewriting).toMatchObject({ status: 400, body: { error: { param: 'rewrite_query' } } });
    const overlapping = await wire.ask('POST', '/vector_stores', {
      body: {
        chunking_strategy: {
          type: 'static',
          static: { max_chunk_size_tokens: 100, chunk_overlap_tokens: 51 },
        },
      },
    });
    expect(overlapping.status).toBe(400);
  });
});

describe('a run with file_search', () => {
  /** Shows A-HOSTED-02, A-HOSTED-05, A-HOSTED-09, A-HOSTED-10, A-HOSTED-11. */
  test('finds what is in an attachment, streams the step, and cites the file in the answer', async () => {
    const file = await upload(FOODS, 'foods.md');
    const assistant = await client().beta.assistants.create({ model: 'm', tools: [{ type: 'file_search' }] });
    expect(assistant.tools).toStrictEqual([
      {
        type: 'file_search',
        file_search: { ranking_options: { ranker: 'default_2024_08_21', score_threshold: 0 } },
      },
    ]);
    const thread = await client().beta.threads.create({
      messages: [
        {
          role: 'user',
          content: 'What do people like in Naples?',
          attachments: [{ file_id: file, tools: [{ type: 'file_search' }] }],
        },
      ],
    });
    const [storeId] = thread.tool_resources?.file_search?.vector_store_ids ?? [];
    expect(storeId).toMatch(/^vs_/);
    const asked: string[] = [];
    upstream.reply((request) => {
      const last = request.body.messages.at(-1);
      asked.push(JSON.stringify(last));
      return last?.role === 'tool'
        ? says('They like pizza【1:0†foods.md】.')
        : calls([{ name: 'file_search', arguments: '{"queries":["food in Naples"]}' }]);
    });
    const events: OpenAI.Beta.AssistantStreamEvent[] = [];
    const stream = await client().beta.threads.runs.create(thread.id, {
      assistant_id: assistant.id,
      stream: true,
      include: ['step_details.tool_calls[*].file_search.results[*].content'],
    });
    for await (const event of stream) events.push(event);
    expect(asked[1]).toContain('[1:0] foods.md');
    const steps = events.filter(({ event }) => event.startsWith('thread.run.step'));
    expect(steps.map(({ event }) => event)).toStrictEqual([
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.run.step.delta',
      'thread.run.step.completed',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.run.step.completed',
    ]);
    expect(steps[3]?.data).toMatchObject({
      step_details: {
        tool_calls: [
          {
            type: 'file_search',
            file_search: {
              results: [
                {
                  file_id: file,
                  file_name: 'foods.md',
                  content: [{ type: 'text', text: containing('pizza') }],
                },
              ],
            },
          },
        ],
      },
    });
    const [message] = (await client().beta.threads.messages.list(thread.id)).data;
    expect(message?.content[0]).toMatchObject({
      type: 'text',
      text: {
        value: 'They like pizza【1:0†foods.md】.',
        annotations: [
          { type: 'file_citation', start_index: 15, end_index: 29, file_citation: { file_id: file } },
        ],
      },
    });
    const listed = await client().beta.threads.runs.steps.list(message?.run_id ?? '', {
      thread_id: thread.id,
    });
    expect(JSON.stringify(listed.data)).not.toContain('basil');
  });

  const question = 'What do people like in Naples?';
  test.each<[string, (model: string, threadId: string) => Promise<unknown>]>([
    [
      'chat',
      async (model, thread_id) => {
        const body = { model, thread_id, messages: [{ role: 'user', content: question }] };
        return wire.ok('POST', '/chat/completions', body);
      },
    ],
    [
      'response',
      async (model, threadId) => {
        const conversation = threadId.replace('thread_', 'conv_');
        const response = await client().responses.create({ model, conversation, input: question });
        expect(response.output).toMatchObject([{ queries: ['food in Naples'] }, { type: 'message' }]);
      },
    ],
  ])('a %s searches what is attached to its thread', async (_, ask) => {
    const file = await upload(FOODS, 'foods.md');
    const assistant = await client().beta.assistants.create({ model: 'm', tools: [{ type: 'file_search' }] });
    const attachments = [{ file_id: file, tools: [{ type: 'file_search' as const }] }];
    const thread = await client().beta.threads.create({
      messages: [{ role: 'user', content: 'Here is a list.', attachments }],
    });
    let told = '';
    upstream.reply(({ body: { messages } }) => {
      const last = messages.at(-1);
      told = JSON.stringify(last);
      return last?.role === 'tool'
        ? says('Pizza.')
        : calls([{ name: 'file_search', arguments: '{"queries":["food in Naples"]}' }]);
    });
    await ask(assistant.id, thread.id);
    expect(told).toContain('foods.md');
  });

  test('tells the model when there is nothing to search', async () => {
    const assistant = await client().beta.assistants.create({ model: 'm', tools: [{ type: 'file_search' }] });
    let told = '';
    upstream.reply(({ body: { messages } }) => {
      const last = messages.at(-1);
      told = JSON.stringify(last);
      return last?.role === 'tool'
        ? says('Nothing there.')
        : calls([{ name: 'file_search', arguments: '{}' }]);
    });
    const run = await client().beta.threads.createAndRunPoll({
      assistant_id: assistant.id,
      thread: { messages: [{ role: 'user', content: 'Look it up.' }] },
    });
    expect(run.status).toBe('completed');
    expect(told).toContain('Say what to look for');
  });
});

describe('resources', () => {
  /** Shows A-HOSTED-03. */
  test('of assistants and threads are the files and stores that they name', async () => {
    const { id, ships } = await store();
    const tool_resources = {
      code_interpreter: { file_ids: [ships] },
      file_search: { vector_store_ids: [id] },
    };
    const assistant = await client().beta.assistants.create({ model: 'm', tool_resources });
    expect(assistant.tool_resources).toStrictEqual(tool_resources);
    const thread = await client().beta.threads.create({ tool_resources });
    expect(thread.tool_resources).toStrictEqual(tool_resources);
    const other = await client().vectorStores.create({});
    const file_search = { vector_store_ids: [other.id] };
    const changed = await client().beta.threads.update(thread.id, { tool_resources: { file_search } });
    expect(changed.tool_resources).toMatchObject({ file_search });
  });
});

describe('files that nobody has read yet', () => {
  const idle = withService({ workers: 0 });

  /** Shows A-STORE-02, A-STORE-04, A-STORE-05. */
  test('say when to ask for them again, alone and in batches, until their batch is cancelled', async () => {
    const openai = new OpenAI({ baseURL: idle.service.baseUrl, apiKey: 'none', maxRetries: 0 });
    const file = await toFile(Buffer.from(SHIPS), 'ships.md');
    const { id: file_id } = await openai.files.create({ file, purpose: 'assistants' });
    const made = await idle.wire.ok('POST', '/vector_stores', {});
    const base = `/vector_stores/${made.id}`;
    const batch = await idle.wire.ok('POST', `${base}/file_batches`, { file_ids: [file_id] });
    const paths = [`${base}/files/${file_id}`, `${base}/file_batches/${batch.id}`];
    for (const path of paths) {
      const { headers, body } = await idle.wire.ask('GET', path);
      expect(body).toMatchObject({ status: 'in_progress' });
      expect(headers.get('openai-poll-after-ms')).toMatch(/^[1-9]\d*$/);
    }
    expect(await idle.wire.list(`${base}/file_batches/${batch.id}/files`)).toMatchObject([{ id: file_id }]);
    expect(await idle.wire.ok('POST', `${base}/file_batches/${batch.id}/cancel`)).toMatchObject({
      status: 'cancelled',
      file_counts: { in_progress: 0, cancelled: 1, total: 1 },
    });
    for (const path of paths) {
      const { headers, body } = await idle.wire.ask('GET', path);
      expect(body).toMatchObject({ status: 'cancelled' });
      expect(headers.get('openai-poll-after-ms')).toBeNull();
    }
  });
});

describe('stores that are made on the way', () => {
  /** Shows A-HOSTED-03. */
  test('belong to the assistant that asked for one', async () => {
    const file = await upload(SHIPS, 'ships.md');
    const assistant = await client().beta.assistants.create({
      model: 'm',
      tools: [{ type: 'file_search' }],
      tool_resources: { file_search: { vector_stores: [{ file_ids: [file] }] } },
    });
    const [id = ''] = assistant.tool_resources?.file_search?.vector_store_ids ?? [];
    expect(await client().vectorStores.retrieve(id)).toMatchObject({
      expires_after: null,
      file_counts: { total: 1 },
    });
  });
});

describe('a request that is refused', () => {
  const storeCount = async (): Promise<number> =>
    (await client().vectorStores.list({ limit: 100 })).data.length;

  test('leaves no store behind, and nothing in its thread', async () => {
    const file = await upload(FOODS, 'foods.md');
    const before = await storeCount();
    const messages = [
      { role: 'user', content: 'Look.', attachments: [{ file_id: file, tools: [{ type: 'file_search' }] }] },
    ];
    const unknown = await wire.ask('POST', '/threads/runs', {
      body: { assistant_id: 'asst_none', thread: { messages } },
    });
    expect(unknown.status).toBe(404);
    const assistant = await client().beta.assistants.create({ model: 'm', tools: [{ type: 'file_search' }] });
    const choice = { type: 'function', function: { name: 'none' } };
    const chosen = await wire.ask('POST', '/threads/runs', {
      body: { assistant_id: assistant.id, tool_choice: choice, thread: { messages } },
    });
    expect(chosen.status).toBe(400);
    const thread = await client().beta.threads.create({});
    const added = await wire.ask('POST', `/threads/${thread.id}/runs`, {
      body: { assistant_id: assistant.id, tool_choice: choice, additional_messages: messages },
    });
    expect(added.status).toBe(400);
    expect((await client().beta.threads.retrieve(thread.id)).tool_resources).toStrictEqual({});
    expect(await storeCount()).toBe(before);
  });
});

describe('a store that is deleted while files come into it', () => {
  test('keeps nothing of them', async () => {
    const file = await upload(FOODS, 'foods.md');
    const made = await client().vectorStores.create({});
    const files = Array.from({ length: 5 }, () =>
      wire.ask('POST', `/vector_stores/${made.id}/files`, { body: { file_id: file } }),
    );
    await client().vectorStores.delete(made.id);
    await Promise.all(files);
    await vi.waitFor(
      async () => {
        const left = await redis.keys(`*{${made.id}}:files`);
        const texts = await wire.ask('GET', `/vector_stores/${made.id}/files/${file}/content`);
        expect([left, texts.status]).toStrictEqual([[], 404]);
      },
      { timeout: 100_000, interval: 200 },
    );
  });
});

describe('what is wrong with a request', () => {
  const refusals: readonly [string, object, string, string][] = [
    [
      '/files',
      {
        file_id: 'x',
        chunking_strategy: {
          type: 'static',
          static: { max_chunk_size_tokens: 100, chunk_overlap_tokens: 60 },
        },
      },
      'chunking_strategy.static.chunk_overlap_tokens',
      'at most half',
    ],
    [
      '/file_batches',
      { file_ids: ['x'], files: [{ file_id: 'x' }] },
      'file_ids',
      "either 'file_ids' or 'files'",
    ],
    ['/search', { query: 'x', filters: nested(8) }, 'filters', 'at most 8 levels deep'],
    ['/search', { query: 'x', filters: nested(20) }, 'filters', 'at most 8 levels deep'],
    [
      '/search',
      {
        query: 'x',
        filters: { type: 'or', filters: Array.from({ length: 200 }, () => ({ type: 'and', filters: [] })) },
      },
      'filters',
      'at most 100 comparisons',
    ],
    [
      '/search',
      { query: 'x', filters: { type: 'in', key: 'a', value: Array.from({ length: 1_001 }, String) } },
      'filters',
      'at most 1000 values',
    ],
  ];

  test.each(refusals)('%s %j is told in words', async (path, body, param, words) => {
    const made = await client().vectorStores.create({});
    const reply = await wire.ask('POST', `/vector_stores/${made.id}${path}`, { body });
    expect(reply).toMatchObject({
      status: 400,
      body: { error: { param, message: containing(words), code: 'invalid_value' } },
    });
  });
});

/** A comparison in so many groups. */
function nested(groups: number): object {
  const comparison = { type: 'eq', key: 'a', value: 1 };
  return groups === 0 ? comparison : { type: 'and', filters: [nested(groups - 1)] };
}
