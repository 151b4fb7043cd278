/**
 * Arguments of calls that no tool can take: too deep, too long, too many. They are an answer in words, by every way they come
 * in, and neither the API nor a worker ends or loses its other runs.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { calls, finish, gate, says, text, type Script } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

// Tools' processes come up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

const DEEP = nested(50_000);
const ATTACKS: readonly (readonly [string, string, RegExp])[] = [
  ['nested deep', DEEP, /deeper than 64/],
  ['nested deep in an object', `{"url":"https://example.com","a":${nested(20_000)}}`, /deeper than 64/],
  ['too long', `{"url":"${'x'.repeat(600_000)}"}`, /524288 bytes/],
  ['of very many values', `{"url":[${'1,'.repeat(200_000)}1]}`, /20000 values/],
];
/** A call whose arguments come in one piece. */
function callsAtOnce(name: string, args: unknown): Script {
  const call = { index: 0, id: 'call_1', type: 'function', function: { name, arguments: args } };
  return [{ type: 'chunk', delta: { tool_calls: [call] }, finish: null }, finish('tool_calls')];
}

/** In a process of its own, in the process that runs it, and one whose answers are kept. */
const TOOLS = ['fetch_page', 'inside', 'SEARCH'];

const INSIDE = `
import { z } from 'zod';
export default {
  name: 'inside', description: 'x', parameters: z.looseObject({}), isolated: false, run: (args) => args,
};`;
/** Answers with what no JSON writer can write. */
const DEEP_ANSWER = (name: string, isolated: boolean): string => `
import { z } from 'zod';
export default {
  name: '${name}', description: 'x', parameters: z.object({}), isolated: ${isolated}, timeoutMs: 60_000,
  run: () => { let value = []; for (let i = 0; i < 100_000; i++) value = [value]; return value; },
};`;

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longrun-hostile-'));
  await writeFile(join(folder, 'inside.ts'), INSIDE);
  await writeFile(join(folder, 'deep_inside.ts'), DEEP_ANSWER('deep_inside', false));
  await writeFile(join(folder, 'deep_outside.ts'), DEEP_ANSWER('deep_outside', true));
});

const { upstream, service, wire } = withService(() => ({ env: { TOOL_FOLDERS: folder } }));

afterAll(async () => {
  // Says so if a process has crashed.
  await rm(folder, { recursive: true });
});

const errorSchema = z.object({ error: z.string() });

async function pluginapi(name: string, body: string): Promise<string> {
  const thread = await wire.thread('go');
  const reply = await wire.ask('POST', `/pluginapi?tid=${thread}&pid=${name}`, { body });
  expect(reply.status).toBe(200);
  return errorSchema.parse(reply.body).error;
}

describe.each(TOOLS)('%s', (name) => {
  test.each(ATTACKS)('tells a client of pluginapi that its arguments are %s', async (_, body, reason) => {
    expect(await pluginapi(name, body)).toMatch(reason);
    // In a JSON string, as some clients send them.
    expect(await pluginapi(name, JSON.stringify(body))).toMatch(reason);
  });

  test.each(ATTACKS)(
    'tells a model that its arguments are %s, while other runs of the worker go on',
    async (_, args, reason) => {
      const held = gate();
      const asked = upstream.requests.length;
      upstream.reply(({ text: question, outputs }) => {
        if (question === 'other') return [text('still '), held, text('here'), finish('stop')];
        return outputs.length === 0 ? callsAtOnce(name, args) : says(outputs[0] ?? '');
      });
      const { id: assistant_id } = await wire.ok('POST', '/assistants', {
        model: 'm',
        metadata: { auto_tools: name },
      });
      const other = wire.play(await wire.thread('other'), { assistant_id });
      await held.reached;
      const run = await wire.play(await wire.thread('attack'), { assistant_id });
      expect(run.status).toBe('completed');
      expect(upstream.requests.slice(asked).find(({ outputs }) => outputs.length > 0)?.outputs[0]).toMatch(
        reason,
      );
      held.open();
      expect((await other).status).toBe('completed');
    },
  );
});

test('a model server that sends arguments as an object, nested deep, is told to have sent nonsense', async () => {
  const chunk = `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"inside","arguments":{"a":${DEEP}}}}]}}]}`;
  upstream.reply(() => [{ type: 'line', line: `data: ${chunk}` }, finish('tool_calls')]);
  const { id } = await wire.ok('POST', '/assistants', { model: 'm', metadata: { auto_tools: 'inside' } });
  const run = await wire.play(await wire.thread('go'), { assistant_id: id });
  expect(run).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } });
});

test('a run that waits for its client may have such arguments on record, and a plugin is not run with them', async () => {
  upstream.reply(() => calls([{ name: 'fetch_page', arguments: DEEP }]));
  const tools = [{ type: 'function', function: { name: 'fetch_page' } }];
  const { id } = await wire.ok('POST', '/assistants', { model: 'm', tools });
  const run = await wire.play(await wire.thread('go'), { assistant_id: id });
  expect(run.status).toBe('requires_action');
  const reply = await wire.ask('POST', `/pluginapi?tid=${run.thread_id}&pid=fetch_page`, { body: '' });
  expect(errorSchema.parse(reply.body).error).toMatch(/deeper than 64/);
});

test.each(['deep_inside', 'deep_outside'])(
  'an answer that is nested too deep is one in words: %s',
  async (name) => {
    expect(await pluginapi(name, '{}')).toMatch(/deeper than 64/);
  },
);

test('an agent’s caller is shown deep arguments as the text that they are', async () => {
  upstream.reply(({ outputs }) =>
    outputs.length === 0 ? calls([{ name: 'inside', arguments: DEEP }]) : says('well'),
  );
  const { id } = await wire.ok('POST', '/assistants', {
    model: 'm',
    metadata: { auto_tools: 'inside' },
  });
  const response = await fetch(`${service.baseUrl}/routes/open/${id}/execute`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: 'go' }),
  });
  const told = await response.text();
  expect(told).toContain('"type":"tool_end"');
  expect(told).toContain('[[[[');
  expect(told).toContain('well');
  expect(told).not.toContain('"type":"error"');
});
