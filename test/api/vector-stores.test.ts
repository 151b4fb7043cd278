/** Vector stores and file_search end to end: files are read, found, cited and forgotten, by the official SDK's own helpers. */
import OpenAI, { toFile } from 'openai';
import { describe, expect, test } from 'vitest';
import { calls, says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const { upstream, service, wire } = withService();

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

describe('stores that are made on the way', () => {
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
