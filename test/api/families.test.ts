/**
 * Every row of the matrix in docs/servers.md: an imitation that is as strict as the family, told to Longrun by its preset
 * alone. Nothing is refused on the way, so nothing has to be learned.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answerOf, hear, post } from '../support/chat.ts';
import { FAMILIES, FamilyServer, slugOf } from '../support/families.ts';
import { textOf } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const server = new FamilyServer();
const folder = mkdtempSync(path.join(tmpdir(), 'longrun-test-'));
const LONGRUN_CONFIG = path.join(folder, 'longrun.config.json');

beforeAll(async () => {
  const address = await server.listen();
  const upstreams = Object.entries(FAMILIES).map(([row, { settings }]) => {
    const name = slugOf(row);
    const deployments = settings['preset'] === 'azure' ? '/deployments/m' : '/v1';
    return { name, baseUrl: `${address}/${name}${deployments}`, models: [name], ...settings };
  });
  writeFileSync(LONGRUN_CONFIG, JSON.stringify({ upstreams }));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  server.refusals.length = 0;
});

const { service, wire } = withService({ env: { LONGRUN_CONFIG, PARALLEL_TOOL_CALLS: 'true' } });

const weather = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
    strict: true,
  },
};

test('the matrix has these rows, and names this test', () => {
  const document = readFileSync(path.join(import.meta.dirname, '../../docs/servers.md'), 'utf8');
  const matrix = document.slice(document.indexOf('| Server or family |')).split('\n\n')[0] ?? '';
  const rows = matrix
    .split('\n')
    .slice(2)
    .map((line) =>
      line
        .split('|')[1]
        ?.replaceAll(/[[\]]|\(.*?\)/g, '')
        .trim(),
    );
  expect(rows).toEqual(Object.keys(FAMILIES));
  expect(document).toContain('test/api/families.test.ts');
});

describe.each(Object.keys(FAMILIES))('%s', (row) => {
  const model = slugOf(row);

  test('a thread goes through two rounds of tools', async () => {
    const assistant = await wire.ok('POST', '/assistants', { model, tools: [weather] });
    const thread = await wire.thread('How is the weather in Oslo?');
    for (const output of ['sunny', 'wet']) {
      const run = await wire.play(thread, {
        assistant_id: assistant.id,
        temperature: 0.5,
        max_completion_tokens: 100,
      });
      expect([run.status, run.last_error]).toEqual(['requires_action', null]);
      expect((await wire.rested(await wire.submit(run, output))).status).toBe('completed');
      expect(textOf((await wire.list(`/threads/${thread}/messages`))[0])).toBe(`It is ${output}.`);
      await wire.ok('POST', `/threads/${thread}/messages`, { role: 'user', content: 'And now?' });
    }
    expect(server.refusals).toEqual([]);
  });

  test('a chat sends back what it got, and hears the answer', async () => {
    const ask = async (messages: readonly object[], more: object) =>
      post(`${service.baseUrl}/chat/completions`, {
        model,
        messages,
        tools: [weather],
        max_tokens: 100,
        ...more,
      });
    const question = { role: 'user', content: 'How is the weather in Oslo?', name: 'ann' };
    const { choices } = await answerOf(await ask([question], {}));
    const message = choices[0]?.message;
    const answers = (message?.tool_calls ?? []).map(({ id }) => ({
      role: 'tool',
      tool_call_id: id,
      content: 'sunny',
    }));
    const heard = await hear(await ask([question, message ?? {}, ...answers], { stream: true }));
    expect([heard.text, heard.error]).toEqual(['It is sunny.', null]);
    expect(server.refusals).toEqual([]);
  });
});
