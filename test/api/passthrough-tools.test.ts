/**
 * With AUTH=passthrough nobody checks a key before the model's server does, so whoever makes one up finds none of the
 * operator's tools: at no way in, and in runs that were created by a process that still let them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { answerOf, asking, hear, post } from '../support/chat.ts';
import { startService, type Service } from '../support/service.ts';
import { calls, FakeUpstream, says } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';

const SECRET = 'the secret of these tests';
const MADE_UP = { authorization: 'Bearer nonsense' };
const OWN = `export default {
  name: 'own', description: 'Says yes.', parameters: z.object({}), run: () => 'yes' };`;
const NAMES = ['clock', 'SEARCH', 'fetch_page', 'own'];

let folder = '';
let upstream: FakeUpstream;
/** Nothing is said about tools. */
let closed: Service;
/** The operator lets callers have the clock. */
let open: Service;
/** The same Redis as `closed`, of an operator who has let everybody have every tool so far. */
let before: Service;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'longrun-tools-'));
  writeFileSync(join(folder, 'own.ts'), `import { z } from 'zod';\n${OWN}`);
  upstream = await FakeUpstream.start();
  const start = (env: Record<string, string>, workers = 1): Promise<Service> =>
    startService({
      redisUrl: inject('redisUrl'),
      upstream,
      workers,
      env: { AUTH: 'passthrough', SECRET, TOOL_FOLDERS: folder, ...env },
    });
  [closed, open] = await Promise.all([start({}), start({ PASSTHROUGH_TOOLS: 'clock, no_such_tool' })]);
  before = await start({ PASSTHROUGH_TOOLS: '*', REDIS_PREFIX: closed.redisPrefix }, 0);
});

afterAll(async () => {
  await Promise.all([closed?.stop(), open?.stop(), before?.stop()]);
  await upstream?.stop();
  rmSync(folder, { recursive: true });
});

const wireTo = (service: Service): Wire => new Wire(service.baseUrl, MADE_UP);
const listSchema = z.object({
  data: z.array(z.object({ name: z.string() })),
  sources: z.array(z.object({ from: z.string(), tools: z.array(z.string()) })),
});
const listed = async (service: Service): Promise<z.infer<typeof listSchema>> =>
  listSchema.parse((await wireTo(service).ask('GET', '/plugins')).body);
const declared = (name: string) => ({ type: 'function', function: { name, parameters: {} } });

/** The model calls that tool, unless it has an answer or does not know it. */
const callsFor = (name: string): void =>
  upstream.reply(({ outputs, body }) => {
    if (outputs.length > 0) return says(`it said ${outputs.join()}`);
    return JSON.stringify(body.tools ?? []).includes(name) ? calls([{ name, arguments: {} }]) : undefined;
  });

beforeEach(() => upstream.reply(() => undefined));

describe('where the operator says nothing about tools, a caller with a made-up key', () => {
  test('finds none listed but its own camera, and not where the operator keeps them', async () => {
    const { data, sources } = await listed(closed);
    expect(data.map(({ name }) => name)).toEqual(['take_a_photo']);
    expect(sources.map(({ tools }) => tools)).toEqual([['take_a_photo']]);
    expect(JSON.stringify(sources)).not.toContain(folder);
  });

  test.each(NAMES)('runs no %s by pluginapi', async (name) => {
    const wire = wireTo(closed);
    const path = `/pluginapi?tid=${await wire.thread('hi')}&pid=${name}`;
    const reply = await wire.ask('POST', path, { body: {} });
    expect(reply.status).toBe(404);
  });

  test.each(NAMES)('is asked for the output of %s itself, whatever auto_tools says', async (name) => {
    callsFor(name);
    const wire = wireTo(closed);
    for (const auto_tools of ['true', name]) {
      const body = { model: 'm', tools: [declared(name)], metadata: { auto_tools } };
      const { id: assistant_id } = await wire.ok('POST', '/assistants', body);
      const run = await wire.play(await wire.thread('hi'), { assistant_id });
      expect(run.status).toBe('requires_action');
      const metadata = { auto_tools };
      const plain = await wire.ok('POST', '/assistants', { model: 'm' });
      const added = await wire.play(await wire.thread('hi'), { assistant_id: plain.id, metadata });
      // The model was not told of a tool that nobody declared.
      expect(added.status).toBe('completed');
      expect(upstream.requests.at(-1)?.body.tools).toBeUndefined();
    }
  });

  test('runs none by a chat with an assistant, nor by its address as an agent', async () => {
    callsFor('clock');
    const body = { model: 'm', name: 'host', tools: [declared('clock')], metadata: { auto_tools: 'true' } };
    await wireTo(closed).ok('POST', '/assistants', body);
    const headers = MADE_UP;
    const whole = await answerOf(
      await post(`${closed.baseUrl}/chat/completions`, asking('hi', { model: 'host' }), { headers }),
    );
    expect(whole.choices[0]?.finish_reason).toBe('tool_calls');
    const voice = await post(`${closed.url}/chat/completions`, asking('hi', { model: 'host' }), { headers });
    expect((await hear(voice)).finish).toBe('tool_calls');
    const glasses = asking('hi', { model: '<host>' });
    expect((await hear(await post(`${closed.url}/custom_agent/chat`, glasses, { headers }))).finish).toBe(
      'tool_calls',
    );
    const agent = await post(`${closed.baseUrl}/routes/open/host/execute`, { query: 'hi' }, { headers });
    expect(await agent.text()).not.toContain('tool_end');
    expect(upstream.requests.flatMap(({ outputs }) => outputs)).toEqual([]);
  });

  test('has none run by a worker in a run that an API process of old has let it create', async () => {
    callsFor('clock');
    const old = wireTo(before);
    expect((await listed(before)).data.map(({ name }) => name)).toEqual(expect.arrayContaining(NAMES));
    const body = { model: 'm', tools: [declared('clock')], metadata: { auto_tools: 'true' } };
    const { id: assistant_id } = await old.ok('POST', '/assistants', body);
    const run = await old.play(await old.thread('hi'), { assistant_id });
    expect(run.status).toBe('completed');
    expect(upstream.requests.at(-1)?.outputs).toEqual([
      '{"error":"There is no tool \'clock\' now. Go on without it."}',
    ]);
  });
});

describe('where the operator names a tool', () => {
  test('it is listed, and it alone', async () => {
    expect((await listed(open)).data.map(({ name }) => name).toSorted()).toEqual(['clock', 'take_a_photo']);
  });

  test('it runs at every way in, and the others at none', async () => {
    callsFor('clock');
    const wire = wireTo(open);
    const tid = await wire.thread('hi');
    expect((await wire.ask('POST', `/pluginapi?tid=${tid}&pid=clock`, { body: {} })).status).toBe(200);
    expect((await wire.ask('POST', `/pluginapi?tid=${tid}&pid=own`, { body: {} })).status).toBe(404);
    const tools = [declared('clock'), declared('own')];
    const body = { model: 'm', name: 'host', tools, metadata: { auto_tools: 'true' } };
    const { id: assistant_id } = await wire.ok('POST', '/assistants', body);
    expect((await wire.play(tid, { assistant_id })).status).toBe('completed');
    const headers = MADE_UP;
    const turn = asking('hi', { model: 'host' });
    const chat = await answerOf(await post(`${open.baseUrl}/chat/completions`, turn, { headers }));
    expect(chat.choices[0]?.finish_reason).toBe('stop');
    callsFor('own');
    expect((await wire.play(await wire.thread('hi'), { assistant_id })).status).toBe('requires_action');
  });
});
