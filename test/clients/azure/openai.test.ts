/**
 * `AzureOpenAI`, as applications have it: Python's, installed from PyPI in two versions, plays the scenarios that
 * test/api/sdk-matrix.test.ts plays with Node's; of Node's, the chat, which has paths of its own at Azure.
 */
import * as OpenAI4 from 'openai-v4';
import * as OpenAI5 from 'openai-v5';
import * as OpenAI6 from 'openai-v6';
import * as OpenAI7 from 'openai';
import { fileURLToPath } from 'node:url';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { KEY, KEYED, withSharedService } from '../../support/shared-service.ts';
import { calls, finish, gate, says, text } from '../../support/upstream.ts';
import { INSTALL_MS, pythonWithOpenAi, runProgram, type Python } from '../programs.ts';

const PROGRAM = fileURLToPath(new URL('openai_azure.py', import.meta.url));
const RUN_BEGINS = ['thread.run.created', 'thread.run.queued', 'thread.run.in_progress'];
const RUN_RESUMES = ['thread.run.step.completed', 'thread.run.queued', 'thread.run.in_progress'];
const STEP_BEGINS = ['thread.run.step.created', 'thread.run.step.in_progress'];
const MESSAGE_BEGINS = ['thread.message.created', 'thread.message.in_progress', 'thread.message.delta'];
const ANSWER = [
  ...STEP_BEGINS,
  ...MESSAGE_BEGINS,
  'thread.message.completed',
  'thread.run.step.completed',
  'thread.run.completed',
];
const CALLS = [...RUN_BEGINS, ...STEP_BEGINS, 'thread.run.step.delta', 'thread.run.requires_action'];

const { upstream, service } = withSharedService(KEYED);

beforeEach(() =>
  upstream.reply(({ text: asked, outputs }) => {
    if (asked === 'a story') return [text('Once upon'), gate(), text(' a time'), finish('stop')];
    const [, cities] = /^weather in (.*)$/.exec(asked) ?? [];
    if (cities === undefined) return undefined;
    return outputs.length > 0
      ? says('It is ', outputs.join(' and '), '.')
      : calls(cities.split(',').map((city) => ({ name: 'weather', arguments: { city } })));
  }),
);

describe.each([2, 3])("Python's openai %i", (major) => {
  let python: Python;
  beforeAll(async () => {
    python = await pythonWithOpenAi(major);
  }, INSTALL_MS);

  test('plays every scenario', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    // Its Assistants classes warn of the end of the hosted API.
    const args = ['-W', 'ignore', PROGRAM, service.url, KEY];
    const { code, stdout, stderr } = await runProgram(python.path, args);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      major,
      polled: ['completed', ['hello', 'You said: hello']],
      streamed: [...RUN_BEGINS, ...ANSWER],
      called: ['requires_action', '{"city":"Taipei"}', 'completed', ['weather in Taipei', 'It is sunny.']],
      'calls streamed': [CALLS, [...RUN_RESUMES, ...ANSWER], ['sunny'], 'It is sunny.'],
      'two calls streamed': [CALLS, [...RUN_RESUMES, ...ANSWER], ['sunny', 'wet'], 'It is sunny and wet.'],
      'with thread, polled': ['completed', ['hello', 'You said: hello']],
      'with thread, streamed': ['thread.created', ...RUN_BEGINS, ...ANSWER],
      cancelled: [
        [
          ...RUN_BEGINS,
          ...STEP_BEGINS,
          ...MESSAGE_BEGINS,
          'thread.run.cancelling',
          'thread.message.incomplete',
          'thread.run.step.cancelled',
          'thread.run.cancelled',
        ],
        ['a story', 'Once upon'],
      ],
      models: ['fake-model', 'yuntianshiren'],
      chat: 'You said: hello',
      'chat of a deployment': ['You said: hello', 'our/deployment'],
      'assistants beside a deployment': true,
      errors: {
        assistant: ['NotFoundError', 404, null],
        file: ['NotFoundError', 404, null],
        key: ['AuthenticationError', 401, 'invalid_api_key'],
      },
    });
  });
});

/** Where a client asks, and with what. */
interface To {
  readonly endpoint: string;
  readonly apiKey: string;
  readonly apiVersion: string;
  readonly maxRetries: number;
  readonly deployment?: string;
}

interface Question {
  readonly model: string;
  readonly messages: { role: 'user'; content: string }[];
}

const STREAM = { stream: true } as const;
const TEXT = { model: 'any', input: 'text' };

describe.each([
  {
    major: 4,
    open: (to: To) => new OpenAI4.AzureOpenAI(to),
    chat: (to: To, asked: Question) => new OpenAI4.AzureOpenAI(to).chat.completions.create(asked),
    stream: (to: To, asked: Question) =>
      new OpenAI4.AzureOpenAI(to).chat.completions.create({ ...asked, ...STREAM }),
  },
  {
    major: 5,
    open: (to: To) => new OpenAI5.AzureOpenAI(to),
    chat: (to: To, asked: Question) => new OpenAI5.AzureOpenAI(to).chat.completions.create(asked),
    stream: (to: To, asked: Question) =>
      new OpenAI5.AzureOpenAI(to).chat.completions.create({ ...asked, ...STREAM }),
  },
  {
    major: 6,
    open: (to: To) => new OpenAI6.AzureOpenAI(to),
    chat: (to: To, asked: Question) => new OpenAI6.AzureOpenAI(to).chat.completions.create(asked),
    stream: (to: To, asked: Question) =>
      new OpenAI6.AzureOpenAI(to).chat.completions.create({ ...asked, ...STREAM }),
  },
  {
    major: 7,
    open: (to: To) => new OpenAI7.AzureOpenAI(to),
    chat: (to: To, asked: Question) => new OpenAI7.AzureOpenAI(to).chat.completions.create(asked),
    stream: (to: To, asked: Question) =>
      new OpenAI7.AzureOpenAI(to).chat.completions.create({ ...asked, ...STREAM }),
  },
])("Node's openai $major", ({ major, open, chat, stream }) => {
  const to = (): To => ({ endpoint: service.url, apiKey: KEY, apiVersion: '2024-10-21', maxRetries: 0 });
  const question = (content: string): Question['messages'] => [{ role: 'user', content }];

  test('chats with the model of the request, or the deployment of the client', async () => {
    const answer = await chat(to(), { model: 'vendor/gpt-4o', messages: question('hello') });
    expect(answer).toMatchObject({ model: 'vendor/gpt-4o', choices: [{ message: { role: 'assistant' } }] });
    const content = `who answers ${major}?`;
    const deployed = { ...to(), deployment: 'ours' };
    for await (const chunk of await stream(deployed, { model: 'theirs', messages: question(content) })) {
      expect(chunk.model).toBe('ours');
    }
    const request = await upstream.asked(({ text: asked }) => asked === content);
    expect(request.body.model).toBe('ours');
  });

  test('lists models, and reads what is refused', async () => {
    const { data } = await open(to()).models.list();
    expect(data.map(({ id }) => id)).toContain('fake-model');
    await expect(open(to()).embeddings.create(TEXT)).resolves.toMatchObject({ object: 'list', data: [] });
    const stranger = open({ ...to(), apiKey: 'wrong' });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
  });
});
