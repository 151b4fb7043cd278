/** Tools of the operator, end to end: a file dropped into a folder, the README's own example, and what a bad tool does to others. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { calls, says } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

// Tools' processes come up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const README = fileURLToPath(new URL('../../README.md', import.meta.url));

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longrun-tools-'));
  const readme = await readFile(README, 'utf8');
  await writeFile(join(folder, 'roll_dice.ts'), /```ts\n(.*?roll_dice.*?)```/s.exec(readme)?.[1] ?? '');
  await writeFile(
    join(folder, 'spin.ts'),
    `import { z } from 'zod';
     import { defineTool } from 'longrun/tool';
     export default defineTool({
       name: 'spin', description: 'Never ends.', parameters: z.object({}), timeoutMs: 15_000,
       run: (_args, { log }) => { log.info({}, 'spinning'); for (;;); },
     });`,
  );
});

const { upstream, service, wire } = withService(() => ({ env: { TOOL_FOLDERS: folder } }));

afterAll(async () => {
  await rm(folder, { recursive: true });
});

const assistantSchema = z.looseObject({ model: z.string(), metadata: z.record(z.string(), z.string()) });
const errorSchema = z.object({ error: z.string() });
const pluginsSchema = z.object({
  data: z.array(z.looseObject({ name: z.string() })),
  sources: z.array(z.unknown()),
});

describe('a file dropped into a folder of the configuration', () => {
  test('is listed with its schema, its limits and where it is from', async () => {
    const { data } = pluginsSchema.parse((await wire.ask('GET', '/plugins')).body);
    expect(data.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['SEARCH', 'clock', 'fetch_page', 'take_a_photo', 'roll_dice', 'spin']),
    );
    expect(data.find(({ name }) => name === 'roll_dice')).toEqual({
      id: 'roll_dice',
      object: 'plugin',
      name: 'roll_dice',
      description: 'Rolls dice and tells the numbers.',
      parameters: {
        type: 'object',
        properties: {
          dice: { type: 'integer', minimum: 1, maximum: 20, default: 1, description: 'How many dice' },
        },
      },
      answered_by: 'worker',
      source: { type: 'file', from: `${basename(folder)}/roll_dice.ts` },
      limits: { timeout_ms: 10_000, max_output_bytes: 262_144, cache_s: 0 },
      health: { status: 'ok' },
    });
  });

  test('is used by an assistant that names it as the README does, without declaring it', async () => {
    const readme = await readFile(README, 'utf8');
    const body = /v1\/assistants -d '(\{.*?croupier.*?\})'/s.exec(readme)?.[1] ?? '';
    const assistant = assistantSchema.parse(JSON.parse(body));
    upstream.reply(({ outputs }) =>
      outputs.length === 0
        ? calls([{ name: 'roll_dice', arguments: { dice: 3 } }])
        : says(`You rolled ${outputs[0]}`),
    );
    const client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any' });
    const { id } = await client.beta.assistants.create(assistant);
    const thread = await client.beta.threads.create({ messages: [{ role: 'user', content: 'Roll!' }] });
    const run = await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: id });
    expect(run).toMatchObject({ status: 'completed', tools: [{ function: { name: 'roll_dice' } }] });
    const [message] = (await client.beta.threads.messages.list(thread.id)).data;
    expect(JSON.stringify(message?.content)).toMatch(/You rolled \[[1-6],[1-6],[1-6]\]/);
    expect(JSON.stringify(upstream.requests.at(-1)?.body.tools)).toContain('How many dice');
  });

  test('answers a client by pluginapi, and tells it what is wrong with its arguments', async () => {
    const thread = await wire.thread('dice');
    const ask = async (body: string): Promise<unknown> => {
      const response = await fetch(`${service.baseUrl}/pluginapi?tid=${thread}&pid=roll_dice`, {
        method: 'POST',
        body,
      });
      return response.json();
    };
    expect(await ask('{"dice": 2}')).toEqual([expect.any(Number), expect.any(Number)]);
    expect(errorSchema.parse(await ask('{"dice": 99}')).error).toContain('dice: ');
  });

  test('is told to the caller’s device where only that can answer', async () => {
    const thread = await wire.thread('look');
    const response = await fetch(`${service.baseUrl}/pluginapi?tid=${thread}&pid=take_a_photo`, {
      method: 'POST',
    });
    expect(errorSchema.parse(await response.json()).error).toContain('device');
    upstream.reply(() => calls([{ name: 'take_a_photo', arguments: {} }]));
    const { id } = await wire.ok('POST', '/assistants', {
      model: 'm',
      metadata: { auto_tools: 'take_a_photo' },
    });
    const run = await wire.play(await wire.thread('what is this?'), { assistant_id: id });
    expect(run.status).toBe('requires_action');
  });
});

test('a tool in a loop fails in time, and the streams of other runs on its worker flow on meanwhile', async () => {
  const spun = Promise.withResolvers<void>();
  upstream.reply(({ text, outputs }) => {
    if (text !== 'spin') return says(...Array.from({ length: 50 }, (_, index) => `${index} `));
    if (outputs.length > 0) spun.resolve();
    return outputs.length === 0 ? calls([{ name: 'spin', arguments: {} }]) : says(`It said ${outputs[0]}`);
  });
  const { id: assistant_id } = await wire.ok('POST', '/assistants', {
    model: 'm',
    metadata: { auto_tools: 'spin' },
  });
  const spinning = wire.play(await wire.thread('spin'), { assistant_id });
  await service.waitForLog(({ msg }) => msg === 'spinning');
  let done = 0;
  const others = Array.from({ length: 10 }, async () => {
    const run = await wire.play(await wire.thread('count'), { assistant_id });
    expect(run.status).toBe('completed');
    done += 1;
  });
  const first = await Promise.race([
    spun.promise.then(() => 'spin'),
    Promise.all(others).then(() => 'others'),
  ]);
  expect(first).toBe('others');
  expect(done).toBe(10);
  expect(await spinning).toMatchObject({ status: 'completed' });
  expect(JSON.stringify(upstream.requests.at(-1)?.body.messages)).toContain(
    'spin did not answer within 15 s',
  );
});
