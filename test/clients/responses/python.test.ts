/** Python's clients of responses and conversations, installed from PyPI and run as programs: `openai`, OpenAI's Agents SDK, and LangChain. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WEATHER_TEXT } from '../chat/model.ts';
import { INSTALL_MS, pythonWith, pythonWithOpenAi, runProgram, type Python } from '../programs.ts';
import { McpServer } from '../../support/mcp-server.ts';
import { withSharedService } from '../../support/shared-service.ts';
import { respond, SEALED } from './model.ts';

beforeAll(async () => {
  upstream.reply(respond);
});

const mcp = new McpServer();
mcp.tools = { remove: { run: ({ q }) => `removed ${String(q)}` } };
beforeAll(() => mcp.listen());
afterAll(() => mcp.stop());

const { upstream, service } = withSharedService(SEALED);

/** What the program told. */
async function told(python: string, script: string): Promise<unknown> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { code, stdout, stderr } = await runProgram(python, [path, service.baseUrl, mcp.url]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

const OF_ANY = ['response.completed', 'response.created', 'response.in_progress'];
const OF_ITEMS = ['response.output_item.added', 'response.output_item.done'];
const OF_PARTS = ['response.content_part.added', 'response.content_part.done'];
const OF_TEXT = ['response.output_text.delta', 'response.output_text.done'];

describe('openai 3', () => {
  let python: Python;
  beforeAll(async () => {
    python = await pythonWithOpenAi(3);
  }, INSTALL_MS);

  /** Shows R-OBJ-01, R-OBJ-02, R-STREAM-05, R-STREAM-06, R-CONV-03. */
  test('answers, streams, types, calls, continues, polls, resumes and converses, strictly read', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    expect(await told(python.path, 'openai_responses.py')).toEqual({
      major: 3,
      whole: 'You said: hello',
      usage: 15,
      again: true,
      streamed: 'You said: hello',
      numbers: true,
      kinds: [...OF_ANY, ...OF_ITEMS, ...OF_PARTS, ...OF_TEXT].toSorted(),
      parsed: { city: 'Taipei', degrees: 31 },
      streamed_parsed: { city: 'Taipei', degrees: 31 },
      calls: ['Taipei', '台南'],
      call_kinds: [
        [
          ...OF_ANY,
          ...OF_ITEMS,
          'response.function_call_arguments.delta',
          'response.function_call_arguments.done',
        ].toSorted(),
        ['function_call', 'function_call'],
      ],
      thought_kinds: [
        [
          ...OF_ANY,
          ...OF_ITEMS,
          ...OF_PARTS,
          ...OF_TEXT,
          'response.reasoning_text.delta',
          'response.reasoning_text.done',
        ].toSorted(),
        ['reasoning', 'message'],
      ],
      sealed: true,
      unsealed: 'You said: on',
      streamed_calls: ['Taipei', '台南'],
      deltas: true,
      answered: WEATHER_TEXT,
      carried: WEATHER_TEXT,
      remembered: '3 messages',
      input: ['I drink tea.'],
      begun: 'queued',
      polled: 'You said: later',
      resumed: true,
      replayed: 'You said: later',
      suffix: true,
      cancelled: 'completed',
      counted: true,
      conversation: ['conversation', { n: '1' }],
      updated: { n: '2' },
      added: ['message', 'function_call', 'function_call_output', 'message'],
      items: [
        ['message', 'user'],
        ['message', 'user'],
        ['message', 'assistant'],
        ['message', 'system'],
        ['function_call', null],
        ['function_call_output', null],
        ['message', 'user'],
      ],
      one: 'my name is Ada',
      removed: 'conversation',
      left: 6,
      deleted: true,
      errors: {
        response: ['NotFoundError', 404, null, null],
        previous: ['BadRequestError', 400, 'previous_response_id', 'previous_response_not_found'],
        conversation: ['NotFoundError', 404, null, null],
        429: ['RateLimitError', 429, null, 'rate_limit_exceeded'],
      },
    });
  });
});

describe('the Agents SDK', () => {
  let python: Python;
  beforeAll(async () => {
    python = await pythonWith('openai-agents-0', 'openai-agents>=0.24,<1');
  }, INSTALL_MS);

  test('runs tools, streams, continues, keeps a session of 48 items, approves, and hands off', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    expect(await told(python.path, 'agents_responses.py')).toEqual({
      answer: WEATHER_TEXT,
      streamed: WEATHER_TEXT,
      kinds: ['message_output_created', 'tool_called', 'tool_output'],
      remembered: '3 messages',
      continued: WEATHER_TEXT,
      // 21 questions with their answers, and one that takes two calls and their outputs.
      session: 48,
      unlike: 48,
      heard: '46 messages',
      popped: ['message', 'assistant'],
      last: 5,
      approved: 'removed tea',
      approving: [
        'mcp_list_tools',
        'mcp_approval_requested',
        'mcp_approval_response',
        'tool_called',
        'message_output_created',
      ],
      handoff: ['You said: hand over', 'Specialist'],
      searched: 'You said: hello',
    });
  });
});

describe('LangChain', () => {
  let python: Python;
  beforeAll(async () => {
    python = await pythonWith('langchain-openai-1', 'langchain-openai>=1,<2');
  }, INSTALL_MS);

  test('answers, streams, calls tools, continues, types and thinks', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    expect(await told(python.path, 'langchain_responses.py')).toEqual({
      whole: 'You said: hello',
      usage: 15,
      id: 'resp',
      streamed: ['You said: hello', 15],
      calls: [
        ['weather', 'Taipei'],
        ['weather', '台南'],
      ],
      answered: WEATHER_TEXT,
      continued: WEATHER_TEXT,
      remembered: '3 messages',
      found: '3 messages',
      parsed: { city: 'Taipei', degrees: 31 },
      kinds: ['reasoning', 'text'],
      error: 'OpenAIRateLimitError',
    });
  });
});
