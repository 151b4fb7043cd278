/** Python's chat clients, installed from PyPI and run as programs: the `openai` package in two versions, and Pydantic AI. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { INSTALL_MS, pythonWith, pythonWithOpenAi, runProgram, type Python } from '../programs.ts';
import { answer, WEATHER_TEXT } from './model.ts';
import { withSharedService } from '../../support/shared-service.ts';

beforeAll(async () => {
  upstream.reply(answer);
});

const { upstream, service } = withSharedService({ UPSTREAM_RETRIES: '0' });

/** What the program told. */
async function told(python: string, script: string): Promise<unknown> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { code, stdout, stderr } = await runProgram(python, [path, service.baseUrl]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

describe.each([2, 3])('openai %i', (major) => {
  let python: Python;
  beforeAll(async () => {
    python = await pythonWithOpenAi(major);
  }, INSTALL_MS);

  test('answers, streams, calls, types, errors and threads', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    const before = upstream.requests.length;
    expect(await told(python.path, 'openai_chat.py')).toEqual({
      major,
      whole: 'You said: 你好',
      usage: 15,
      chunks: 'You said: 你好',
      stream_usage: 15,
      accumulated: 'You said: hello',
      events: ['content.delta', 'content.done'],
      calls: ['Taipei', '台南'],
      answered: WEATHER_TEXT,
      streamed_calls: ['{"city":"Taipei"}', '{"city":"台南"}'],
      parsed: { city: 'Taipei', degrees: 31 },
      errors: {
        429: twice(['RateLimitError', 429, 'rate_limit_exceeded']),
        400: twice(['BadRequestError', 400, 'invalid_prompt']),
        401: twice(['InternalServerError', 502, 'upstream_error']),
        500: twice(['InternalServerError', 502, 'upstream_error']),
        break: ['APIError', 'upstream_error'],
      },
      remembered: '3 messages',
      async: ['You said: 0', 'You said: 1', 'You said: 2'],
    });
    // One question each: nothing was repeated, though the client would have, twice.
    expect(upstream.requests.length - before).toBe(21);
  });
});

const twice = (value: unknown): unknown[] => [value, value];

describe('Pydantic AI', () => {
  let python: Python;
  beforeAll(async () => {
    python = await pythonWith('pydantic-ai-2', 'pydantic-ai-slim[openai]>=2,<3');
  }, INSTALL_MS);

  test('runs an agent with a tool, a history, a stream and a typed answer', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    expect(await told(python.path, 'pydantic_ai_chat.py')).toEqual({
      answer: WEATHER_TEXT,
      asked: ['Taipei', '台南'],
      tokens: 30,
      second: 'You said: and then?',
      streamed: WEATHER_TEXT,
      typed: { city: 'Taipei', degrees: 31 },
    });
  });
});
