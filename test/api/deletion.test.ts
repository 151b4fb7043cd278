/** What is deleted is gone: on disk, in the library with its index of words, in Redis, and never was in a log. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Redis } from 'ioredis';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { embeddings } from '../support/embeddings.ts';
import { OtherEndpoints } from '../support/endpoints.ts';
import { needsOneServer } from '../support/redis.ts';
import { calls, says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

/** In the file that is deleted, its name, and all that is said of it. */
const SECRET = 'quixotic';
/** In a file that stays, so that a search for what is left can find something. */
const KEPT = 'marmalade';

const folder = mkdtempSync(join(tmpdir(), 'deletion-'));
const LONGRUN_CONFIG = join(folder, 'longrun.config.json');
const LIBRARY_URL = join(folder, 'library', 'library.sqlite');

const server = new OtherEndpoints();
let redis: Redis;
beforeAll(() => {
  redis = new Redis(inject('redisUrl'));
});
beforeEach(needsOneServer);
afterAll(async () => {
  await server.stop();
  await redis.quit();
  rmSync(folder, { recursive: true, force: true });
});
// Its address is known before the service starts.
beforeAll(async () => server.listen());

const { upstream, service } = withService(() => {
  const upstreams = [
    { name: 'words', baseUrl: upstream.baseUrl, models: ['m'] },
    { name: 'meaning', baseUrl: server.baseUrl, models: ['meaning'] },
  ];
  writeFileSync(LONGRUN_CONFIG, JSON.stringify({ upstreams }));
  return {
    env: { LONGRUN_CONFIG, LIBRARY_URL, EMBEDDING_MODEL: 'meaning', LOG_LEVEL: 'debug', POLL_AFTER_MS: '20' },
  };
});

/** Files below a folder whose names or bytes have the text in them. */
function filesWith(below: string, text: string): readonly string[] {
  return readdirSync(below, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => path.includes(text) || readFileSync(path).includes(text));
}

/** Keys of the service that have one of the texts in their names or values. */
async function keysWith(...texts: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const key of await redis.keys(`*${service.redisPrefix}*`)) {
    const value = `${key} ${JSON.stringify(await valueOf(key))}`;
    if (texts.some((text) => value.includes(text))) found.push(key);
  }
  return found;
}

async function valueOf(key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, '0', '-1');
    case 'list':
      return redis.lrange(key, '0', '-1');
    case 'stream':
      return redis.xrange(key, '-', '+');
    default:
      // It has expired since.
      return null;
  }
}

function rowsOfLibrary(): unknown {
  const database = new DatabaseSync(LIBRARY_URL, { timeout: 30_000 });
  try {
    database.exec("INSERT INTO word_index (word_index, rank) VALUES ('integrity-check', 1)");
    const count = (table: string): string => `(SELECT count(*) FROM ${table}) AS ${table}`;
    const tables = ['stores', 'files', 'chunks', 'vectors'];
    return { ...database.prepare(`SELECT ${tables.map(count).join()}`).get() };
  } finally {
    database.close();
  }
}

describe('a file, its stores and the thread in which it was searched', () => {
  test('are gone from disk, library and Redis when they are deleted, and no log has their words', async () => {
    server.reply(embeddings([SECRET, KEPT]));
    const client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
    const upload = async (word: string): Promise<string> => {
      const file = await toFile(
        Buffer.from(`A ${word} tale.\n\n${'More of it. '.repeat(400)}`),
        `${word}.md`,
      );
      return (await client.files.create({ file, purpose: 'assistants' })).id;
    };
    const [secret, kept] = [await upload(SECRET), await upload(KEPT)];
    const [store, other] = [
      await client.vectorStores.create({ name: SECRET }),
      await client.vectorStores.create({}),
    ];
    await client.vectorStores.files.createAndPoll(store.id, {
      file_id: secret,
      attributes: { about: SECRET },
    });
    await client.vectorStores.files.createAndPoll(other.id, { file_id: kept });
    const both = await client.vectorStores.fileBatches.createAndPoll(other.id, { file_ids: [secret] });
    expect(both.file_counts.completed).toBe(1);
    const assistant = await client.beta.assistants.create({
      model: 'm',
      tools: [{ type: 'file_search' }],
      tool_resources: { file_search: { vector_store_ids: [store.id] } },
    });
    upstream.reply(({ outputs }) =>
      outputs.length > 0
        ? says(`A ${SECRET} tale【1:0†${SECRET}.md】.`)
        : calls([{ name: 'file_search', arguments: { queries: [SECRET] } }]),
    );
    const thread = await client.beta.threads.create({
      messages: [
        {
          role: 'user',
          content: `Which tale is ${SECRET}?`,
          attachments: [{ file_id: secret, tools: [{ type: 'file_search' }] }],
        },
      ],
    });
    const [own = ''] = thread.tool_resources?.file_search?.vector_store_ids ?? [];
    const run = await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
    expect(run.status).toBe('completed');
    for (const where of [service.filesFolder, join(folder, 'library')])
      expect(filesWith(where, SECRET)).not.toEqual([]);
    expect(await keysWith(SECRET)).not.toEqual([]);

    await client.files.delete(secret);
    expect(filesWith(service.filesFolder, SECRET)).toEqual([]);
    expect(filesWith(service.filesFolder, secret)).toEqual([]);
    for (const id of [store.id, own, other.id]) {
      const { data } = await client.vectorStores.search(id, { query: `${SECRET} tale` });
      expect([...new Set(data.map(({ file_id }) => file_id))]).toEqual(id === other.id ? [kept] : []);
    }
    await expect.poll(() => filesWith(join(folder, 'library'), SECRET)).toEqual([]);
    expect(filesWith(join(folder, 'library'), KEPT)).not.toEqual([]);

    for (const id of [store.id, own]) await client.vectorStores.delete(id);
    await client.beta.threads.delete(thread.id);
    await client.beta.assistants.delete(assistant.id);
    const gone = [secret, store.id, own, thread.id, run.id, SECRET];
    // Ids of what was deleted are remembered for lists that are read page by page, and that of a run for a while, so that its usage
    // counts once. Answers may be asked for again for some seconds.
    const isMark = (key: string): boolean => key.endsWith(':gone') || key.endsWith(`:counted:${run.id}`);
    await expect
      .poll(async () => (await keysWith(...gone)).filter((key) => !isMark(key)), { interval: 500 })
      .toEqual([]);
    expect(await keysWith(SECRET)).toEqual([]);
    expect(await keysWith(KEPT)).not.toEqual([]);
    expect(rowsOfLibrary()).toMatchObject({ stores: 1, files: 1 });
    for (const where of [service.filesFolder, join(folder, 'library')])
      for (const text of [SECRET, secret, store.id, own]) expect(filesWith(where, text)).toEqual([]);
    expect(service.logs.filter((line) => JSON.stringify(line).includes(SECRET))).toEqual([]);
  });
});
