/** `POST /pluginapi`: what its clients make of a call's arguments on the way, and what they can do with the answer. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { calls } from '../support/upstream.ts';
import { outputsOf, type Reply, type WireRun } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

// Tools' processes come up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** Says what it was called with, for whom, and by which call. */
const ECHO = `
import { z } from 'zod';
export default {
  name: 'echo', description: 'x', parameters: z.looseObject({}), isolated: false,
  run: (args, { project, callId, runId }) => ({ args, project, callId, runId }),
};`;
const BIG = `
import { z } from 'zod';
export default {
  name: 'big', description: 'x', parameters: z.object({}), isolated: false,
  run: () => ({ text: '"quoted" * [glob] \\\\ 中文 '.repeat(2_000) }),
};`;

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longrun-pluginapi-'));
  await writeFile(join(folder, 'echo.ts'), ECHO);
  await writeFile(join(folder, 'big.ts'), BIG);
});

const { upstream, wire } = withService(() => ({ env: { TOOL_FOLDERS: folder } }));

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** A run that waits for these calls of `echo`. */
async function waiting(...args: readonly string[]): Promise<WireRun> {
  upstream.reply(() => calls(args.map((text) => ({ name: 'echo', arguments: text }))));
  const tools = [{ type: 'function', function: { name: 'echo' } }];
  const { id } = await wire.ok('POST', '/assistants', { model: 'm', tools });
  return wire.play(await wire.thread('go'), { assistant_id: id });
}

const ask = (thread: string, name: string, body: string): Promise<Reply> =>
  wire.ask('POST', `/pluginapi?tid=${thread}&aid=asst_1&pid=${name}`, { body });

test('a tool that needs no thread is run without one; a thread that is named must exist', async () => {
  const body = JSON.stringify({ q: 'x' });
  const reply = await wire.ask('POST', '/pluginapi?pid=echo', { body });
  expect(reply.status).toBe(200);
  expect(reply.body).toEqual({ args: { q: 'x' }, project: 'default', callId: null, runId: null });
  expect((await wire.ask('POST', '/pluginapi?tid=thread_nobodys&pid=echo', { body })).status).toBe(404);
});

describe('the arguments are', () => {
  const STORED = JSON.stringify({ q: 'say "hi"\nthen\\go', n: 1 });

  const ON_RECORD: unknown = JSON.parse(STORED);

  test.each<readonly [string, string, unknown]>([
    ['the body', '{"q":"other"}', { q: 'other' }],
    ['the body’s JSON in a JSON string', JSON.stringify('{"q":"other"}'), { q: 'other' }],
    ['those on record, when the body is empty', '', ON_RECORD],
    ['those on record, when the body is broken', '{"q": say "hi', ON_RECORD],
    [
      'those on record, when quotes were taken for the shell’s',
      STORED.replaceAll('\\"', '\\\\"'),
      JSON.parse(STORED),
    ],
    ['those on record, when backslashes were doubled', STORED.replaceAll('\\', '\\\\'), ON_RECORD],
  ])('%s', async (_, body, expected) => {
    const run = await waiting(STORED);
    const [{ tool_call_id: callId } = { tool_call_id: '' }] = outputsOf(run, '');
    const { body: answer } = await ask(run.thread_id, 'echo', body);
    expect(answer).toMatchObject({ args: expected, callId, runId: run.id });
  });

  test('of the right one of two calls, however they were quoted', async () => {
    const run = await waiting('{"q":"a \\"b\\""}', '{"q":"c \\"d\\""}');
    const ids = outputsOf(run, '').map(({ tool_call_id: id }) => id);
    const { body } = await ask(run.thread_id, 'echo', '{"q":"c \\\\"d\\\\""}');
    expect(body).toMatchObject({ args: { q: 'c "d"' }, callId: ids[1], runId: run.id });
  });
});

describe('the answer', () => {
  test('is one line of at most 8,000 bytes of valid JSON that a shell leaves alone', async () => {
    const { text } = await ask(await wire.thread('go'), 'big', '{}');
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(8_000);
    expect(Buffer.byteLength(text)).toBeGreaterThan(7_000);
    expect(text).not.toMatch(/[\n*?\\](?!u00)|\\"/);
    expect(JSON.stringify(JSON.parse(text))).toContain('中文');
  });

  test('about a plugin that is not there names those that are', async () => {
    const { status, text } = await ask(await wire.thread('go'), 'nothing', '{}');
    expect(status).toBe(404);
    expect(text).toContain('SEARCH');
  });

  test('about a thread that is not there is 404', async () => {
    expect((await ask('thread_none', 'echo', '{}')).status).toBe(404);
  });
});
