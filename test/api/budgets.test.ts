/** How many bytes anybody may send, keep or be told: what is beyond is refused in words, and nobody's memory is spent on it. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startService, type Service } from '../support/service.ts';
import { Wire, type AskOptions } from '../support/wire.ts';

let service: Service;
let wire: Wire;
let assistant: string;
let thread: string;

beforeAll(async () => {
  // Nobody executes the runs: all this is about is what is taken and told.
  service = await startService({ redisUrl: inject('redisUrl'), workers: 0 });
  wire = new Wire(service.baseUrl);
  assistant = (await wire.ok('POST', '/assistants', { model: 'm' })).id;
  thread = await wire.thread('hello');
});

afterAll(async () => {
  await service?.stop();
});

describe('an error repeats a little of what the client sent', () => {
  const LONG = 'x'.repeat(8_000);
  const HUGE = 'y'.repeat(1_000_000);
  /** Longer than any sentence of ours with what it quotes. */
  const MAX_ERROR_LENGTH = 1_500;
  type Case = readonly [string, () => readonly [string, string, AskOptions?]];
  const cases: readonly Case[] = [
    ['an unknown path', () => ['GET', `/${LONG}`]],
    ['a wrong method', () => ['DELETE', `/threads/${LONG}/messages`]],
    ['an id of another kind', () => ['GET', `/threads/${LONG}`]],
    ['an id of nobody', () => ['GET', `/threads/thread_${LONG}`]],
    ['an unknown model', () => ['GET', `/models/${LONG}`]],
    ['an unknown agent', () => ['POST', `/routes/open/${LONG}/execute`, { body: { query: 'x' } }]],
    ['an unknown cursor', () => ['GET', `/threads/${thread}/messages?after=${LONG}`]],
    ['an unknown plugin', () => ['POST', `/pluginapi?tid=${thread}&pid=${LONG}`]],
    ['an order', () => ['GET', `/threads/${thread}/messages?order=${LONG}`]],
    ['an assistant of nobody', () => ['POST', `/threads/${thread}/runs`, { body: { assistant_id: HUGE } }]],
    ['an unknown key', () => ['POST', '/threads', { body: { [HUGE]: 1 } }]],
    [
      'an unknown key of a tool',
      () => ['POST', '/assistants', { body: { model: 'm', tools: [{ type: 'function', [HUGE]: 1 }] } }],
    ],
    ['a role', () => ['POST', `/threads/${thread}/messages`, { body: { role: HUGE, content: 'x' } }]],
    [
      'a role that is an object',
      () => ['POST', `/threads/${thread}/messages`, { body: { role: { [HUGE]: HUGE }, content: 'x' } }],
    ],
    ['a key of metadata', () => ['POST', '/threads', { body: { metadata: { [HUGE]: 1 } } }]],
    ['a type of tool', () => ['POST', '/assistants', { body: { model: 'm', tools: [{ type: HUGE }] } }]],
    [
      'a chosen tool',
      () => [
        'POST',
        `/threads/${thread}/runs`,
        {
          body: { assistant_id: assistant, tool_choice: { type: 'function', function: { name: HUGE } } },
        },
      ],
    ],
    [
      'a way to multitask',
      () => [
        'POST',
        '/chat/completions',
        { body: { model: 'm', messages: [{ role: 'user', content: 'x' }], metadata: { multitask: HUGE } } },
      ],
    ],
    [
      'an assistant named as model',
      () => [
        'POST',
        '/chat/completions',
        { body: { model: `asst_${'z'.repeat(250)}`, messages: [{ role: 'user', content: 'x' }] } },
      ],
    ],
    ['a body that is not JSON', () => ['POST', '/threads', { body: HUGE }]],
  ];
  test.each(cases)('%s', async (_, request) => {
    const reply = await wire.ask(...request());
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(reply.status).toBeLessThan(500);
    expect(reply.text.length).toBeLessThan(MAX_ERROR_LENGTH);
  });
});
