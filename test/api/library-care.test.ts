/** A library that is another one than before, and another model of embeddings, in the processes that notice them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { OtherEndpoints, sendJson } from '../support/endpoints.ts';
import { withService } from '../support/with-service.ts';

const models = new OtherEndpoints();
let folder: string;
beforeAll(async () => {
  await models.listen();
});
afterAll(async () => {
  await models.stop();
  rmSync(folder, { recursive: true, force: true });
});

const library = (name: string): string =>
  join((folder ??= mkdtempSync(join(tmpdir(), 'longrun-care-'))), name);
const { service } = withService(() => ({ env: { LIBRARY_URL: library('first.sqlite') } }));
const clientOf = (origin: string): OpenAI =>
  new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'none', maxRetries: 0 });

const asked = z.looseObject({ model: z.string(), input: z.array(z.string()) });
/** Sleep and night mean the same; the model says so. */
const vectorOf = (text: string): readonly number[] => (/sleep|night/i.test(text) ? [1, 0] : [0, 1]);

test('what a lost library had is read again, and then embedded for the model that is set', async () => {
  const first = clientOf(service.url);
  const store = await first.vectorStores.create({ name: 'kept' });
  for (const [name, text] of [
    ['bed.md', 'Everybody needs eight hours in bed at night.'],
    ['food.md', 'Soup is eaten with a spoon.'],
  ] as const)
    await first.vectorStores.files.uploadAndPoll(store.id, await toFile(Buffer.from(text), name));

  const lost = { LIBRARY_URL: library('second.sqlite') };
  await service.killWorker(0, 'SIGTERM');
  const worker = await service.startWorker(lost);
  await service.waitForLog(({ msg }) => msg.startsWith('files of vector stores were missing'));
  const second = clientOf(await service.startApi(undefined, lost));
  const found = async (client: OpenAI, query: string): Promise<readonly string[]> =>
    (await client.vectorStores.search(store.id, { query })).data.map(({ filename }) => filename);
  await expect.poll(async () => found(second, 'eight spoon'), { timeout: 60_000 }).toHaveLength(2);
  expect(await found(second, 'How much sleep?')).toEqual([]);

  models.reply((response, _request, { path, body }) => {
    if (path !== '/v1/embeddings') return sendJson(response, 404, { error: { message: 'no' } });
    const { input } = asked.parse(JSON.parse(body.toString()));
    const data = input.map((text, index) => ({ object: 'embedding', index, embedding: vectorOf(text) }));
    sendJson(response, 200, { object: 'list', data });
  });
  const meaning = { ...lost, EMBEDDING_MODEL: 'meaning', OPENAI_BASE_URL: models.baseUrl };
  await service.killWorker(worker, 'SIGTERM');
  await service.startWorker(meaning);
  const origin = await service.startApi(undefined, meaning);
  await expect
    .poll(async () => (await found(clientOf(origin), 'How much sleep?'))[0], { timeout: 60_000 })
    .toBe('bed.md');
  await service.waitForLog(({ msg }) => msg === 'all files are embedded');
  const metrics = await (await fetch(`${origin}/metrics`)).text();
  expect(metrics).toContain('longrun_library_files_lost_total 2\n');
  expect(metrics).toContain('longrun_library_files_to_embed 0\n');
});
