/** One thread, used in turn by the Assistants API, by responses and by chats: each hears what was said to the others. */
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { beforeAll, expect, test } from 'vitest';
import { INSTALL_MS, pythonWithOpenAi, runProgram, type Python } from '../programs.ts';
import { says } from '../../support/upstream.ts';
import { withSharedService } from '../../support/shared-service.ts';

const { upstream, service } = withSharedService();
const PROGRAM = fileURLToPath(new URL('one_thread.py', import.meta.url));

let python: Python;
beforeAll(async () => {
  python = await pythonWithOpenAi(3);
}, INSTALL_MS);

/** Shows R-CONV-04. */
test('a thread of Assistants, responses and chats is one conversation', async (context) => {
  if ('missing' in python) return context.skip(python.missing);
  // The model tells what it was told by users, and how many messages there were.
  upstream.reply(({ body: { messages } }) => {
    const users = messages
      .filter(({ role }) => role === 'user')
      .map(({ content }) => JSON.stringify(content));
    return says(`heard ${users.join(' ')}`);
  });
  const client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
  const { id: assistant_id } = await client.beta.assistants.create({ model: 'm' });
  const thread = await client.beta.threads.create({ messages: [{ role: 'user', content: 'one' }] });
  await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id });

  const conversation = thread.id.replace('thread_', 'conv_');
  const { code, stdout, stderr } = await runProgram(python.path, [PROGRAM, service.baseUrl, conversation]);
  expect([code, stderr]).toEqual([0, '']);
  expect(JSON.parse(stdout)).toEqual({
    before: ['user', 'assistant'],
    said: 'heard "one" "two"',
    after: ['user', 'assistant', 'user', 'assistant'],
  });

  const named = { thread_id: thread.id };
  const chat = await client.chat.completions.create({
    model: 'm',
    messages: [{ role: 'user', content: 'three' }],
    ...named,
  });
  expect(chat.choices[0]?.message.content).toBe('heard "one" "two" "three"');

  await client.beta.threads.messages.create(thread.id, { role: 'user', content: 'four' });
  const last = await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id });
  expect(last.status).toBe('completed');
  const messages = await Array.fromAsync(client.beta.threads.messages.list(thread.id, { order: 'asc' }));
  const items = await Array.fromAsync(client.conversations.items.list(conversation, { order: 'asc' }));
  const told = messages.map(({ role, content }) => [
    role,
    content[0]?.type === 'text' && content[0].text.value,
  ]);
  expect(told).toHaveLength(8);
  expect(told.at(-1)).toEqual(['assistant', 'heard "one" "two" "three" "four"']);
  const texts = items.map((item) => {
    const part = item.type === 'message' ? item.content[0] : undefined;
    return item.type === 'message' && [item.role, part !== undefined && 'text' in part && part.text];
  });
  expect(texts).toEqual(told);
  // A response is a run, and the other way round.
  const { data: runs } = await client.beta.threads.runs.list(thread.id);
  for (const { id } of runs)
    expect(await client.responses.retrieve(id.replace('run_', 'resp_'))).toMatchObject({
      status: 'completed',
    });
});
