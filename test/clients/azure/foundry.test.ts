/**
 * The classic agents clients of Azure AI Foundry, from PyPI and npm, as applications have them: the documented form of the
 * endpoint, a credential of the application's own, and TLS, without which they send no token.
 */
import { AgentsClient, ToolUtility, type AgentRunResponse } from '@azure/ai-agents';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { KEY, KEYED, withSharedService } from '../../support/shared-service.ts';
import { calls, finish, gate, says, text } from '../../support/upstream.ts';
import { INSTALL_MS, pythonWithAzureAgents, runProgram, type Python } from '../programs.ts';
import { TlsProxy } from './tls.ts';

const PROGRAM = fileURLToPath(new URL('foundry_agents.py', import.meta.url));
/** The events of a run that calls nothing. */
const STREAMED = [
  'thread.run.created',
  'thread.run.queued',
  'thread.run.in_progress',
  'thread.run.step.created',
  'thread.run.step.in_progress',
  'thread.message.created',
  'thread.message.in_progress',
  'thread.message.delta',
  'thread.message.completed',
  'thread.run.step.completed',
  'thread.run.completed',
];

const textSchema = z.object({ type: z.literal('text'), text: z.looseObject({ value: z.string() }) });
const deltaSchema = z.object({ delta: z.object({ content: z.array(z.looseObject(textSchema.shape)) }) });
const waitingSchema = z.object({
  requiredAction: z.object({
    submitToolOutputs: z.object({
      toolCalls: z.array(
        z.object({ id: z.string(), function: z.object({ name: z.string(), arguments: z.string() }) }),
      ),
    }),
  }),
});

const { upstream, service } = withSharedService(KEYED);
let proxy: TlsProxy;
let endpoint: string;

beforeAll(async () => {
  proxy = await TlsProxy.start(service.url);
  endpoint = `${proxy.url}/api/projects/any-project`;
});
afterAll(() => proxy?.stop());

beforeEach(() =>
  upstream.reply(({ text: asked, outputs }) => {
    if (asked === 'never ends') return [text('On and on'), gate()];
    if (asked === 'think first') {
      const silence = gate();
      // Until a sign of life has been on its way to the client.
      proxy.whenever(': ping', silence.open);
      return [silence, text('A thought.'), finish('stop')];
    }
    const [, city] = /^weather in (.*)$/.exec(asked) ?? [];
    if (city === undefined) return undefined;
    return outputs.length > 0
      ? says('It is: ', outputs.join(' and '))
      : calls([{ name: 'weather', arguments: { city } }]);
  }),
);

describe("Python's azure-ai-agents", () => {
  let python: Python;
  beforeAll(async () => {
    python = await pythonWithAzureAgents();
  }, INSTALL_MS);

  async function told(path: string, ...more: readonly string[]): Promise<unknown> {
    const args = [PROGRAM, endpoint, KEY, proxy.certificatePath, ...more];
    const { code, stdout, stderr } = await runProgram(path, args);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    return JSON.parse(stdout);
  }

  test('creates, runs, calls, streams, pages, cancels, and reads what is refused', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    expect(await told(python.path)).toEqual({
      agent: ['plain', 'Be brief.', 'new'],
      processed: ['completed', ['hello', 'You said: hello']],
      steps: ['message_creation'],
      'processed with a toolset': [
        'completed',
        ['weather in Taipei', 'It is: {"weather": "sunny in Taipei"}'],
      ],
      'called by hand': ['{"city":"Paris"}', 'completed', ['weather in Paris', 'It is: wet']],
      handled: ['You said: hello', 'completed', ['done']],
      // Its functions are called and answered within: one stream up to the call, and one from its output on.
      'handled with functions': ['It is: {"weather": "sunny in Tainan"}', 'completed', ['done', 'done']],
      'handled after a silence': ['A thought.', 'completed', ['done']],
      iterated: [...STREAMED, 'done'],
      'with thread': ['completed', ['hello', 'You said: hello']],
      cancelled: 'cancelling',
      agents: true,
      'with hosted tools': ['code_interpreter', 'file_search'],
      pages: ['4', '3', '2', '1', '0'],
      runs: true,
      refused: {
        nobody: ['ResourceNotFoundError', 404, 'not_found', null, "No assistant found with id 'asst_none'."],
        bing: refusedTool('bing_grounding'),
        file: ['ResourceNotFoundError', 404, 'not_found', 'id', 'No such File object: file-none'],
      },
      deleted: 404,
    });
  });

  test('lists threads', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    expect(await told(python.path, 'threads')).toEqual(['2', '1', '0']);
  });
});

function refusedTool(type: string): unknown[] {
  const message = `The tool type '${type}' is not supported by this server yet.`;
  return ['HttpResponseError', 400, 'unsupported', 'tools[0].type', message];
}

describe("npm's @azure/ai-agents", () => {
  const weather = ToolUtility.createFunctionTool({ name: 'weather', parameters: { type: 'object' } });
  const none = { toolResources: {} };
  let client: AgentsClient;
  let agentId: string;
  let helperId: string;

  beforeAll(async () => {
    const credential = {
      getToken: async () => ({ token: KEY, expiresOnTimestamp: Date.now() + 3_600_000 }),
    };
    const tlsOptions = { ca: proxy.certificate };
    client = new AgentsClient(endpoint, credential, { tlsOptions, retryOptions: { maxRetries: 0 } });
    ({ id: agentId } = await client.createAgent('gpt-4o', { name: 'plain', instructions: 'Be brief.' }));
    ({ id: helperId } = await client.createAgent('gpt-4o', { tools: [weather.definition], ...none }));
  });

  async function threadWith(content: string): Promise<string> {
    const { id } = await client.threads.create();
    await client.messages.create(id, 'user', content);
    return id;
  }

  async function textsOf(threadId: string): Promise<readonly string[]> {
    const messages = await Array.fromAsync(client.messages.list(threadId, { order: 'asc' }));
    return messages.map(({ content: [part] }) => textSchema.parse(part).text.value);
  }

  /** The names of a stream's events, neighbours once, and the text of its deltas. */
  async function heard(streaming: AgentRunResponse): Promise<readonly [readonly string[], string]> {
    const events = await Array.fromAsync(await streaming.stream());
    const names = events.map(({ event }) => event);
    const said = events.filter(({ event }) => event === 'thread.message.delta');
    const fragments = said.flatMap(({ data }) => deltaSchema.parse(data).delta.content);
    return [
      names.filter((name, index) => name !== names[index - 1]),
      fragments.map((part) => part.text.value).join(''),
    ];
  }

  test('creates, reads, changes and lists agents', async () => {
    expect(await client.getAgent(agentId)).toMatchObject({ name: 'plain', instructions: 'Be brief.' });
    expect(await client.updateAgent(agentId, { name: 'new' })).toMatchObject({ name: 'new' });
    // It never asks for a second page by itself.
    const [newest] = await Array.fromAsync(client.listAgents({ limit: 1 }));
    const [next] = await Array.fromAsync(client.listAgents({ limit: 1, after: helperId }));
    expect([newest?.id, next?.id]).toEqual([helperId, agentId]);
  });

  test('runs and polls', async () => {
    const threadId = await threadWith('hello');
    const options = { ...none, pollingOptions: { intervalInMs: 20 } };
    const run = await client.runs.createAndPoll(threadId, agentId, options);
    expect(run).toMatchObject({ status: 'completed', lastError: null });
    expect(await textsOf(threadId)).toEqual(['hello', 'You said: hello']);
    const steps = await Array.fromAsync(client.runSteps.list(threadId, run.id));
    expect(steps.map(({ type }) => type)).toEqual(['message_creation']);
    const runs = await Array.fromAsync(client.runs.list(threadId));
    expect(runs.map(({ id }) => id)).toEqual([run.id]);
  });

  test('streams, also after a silence', async () => {
    const plain = client.runs.create(await threadWith('hello'), agentId);
    expect(await heard(plain)).toEqual([[...STREAMED, 'done'], 'You said: hello']);
    const thinking = client.runs.create(await threadWith('think first'), agentId);
    expect(await heard(thinking)).toEqual([[...STREAMED, 'done'], 'A thought.']);
  });

  test('answers calls that a stream ended with', async () => {
    const threadId = await threadWith('weather in Taipei');
    const [asked] = await heard(client.runs.create(threadId, helperId, none));
    expect(asked.slice(-2)).toEqual(['thread.run.requires_action', 'done']);
    const [waiting] = await Array.fromAsync(client.runs.list(threadId));
    const call = waitingSchema.parse(waiting).requiredAction.submitToolOutputs.toolCalls[0];
    expect(call?.function).toMatchObject({ name: 'weather', arguments: '{"city":"Taipei"}' });
    const outputs = [{ toolCallId: call?.id ?? '', output: 'sunny' }];
    const [told, said] = await heard(client.runs.submitToolOutputs(threadId, waiting?.id ?? '', outputs));
    expect(told.slice(-2)).toEqual(['thread.run.completed', 'done']);
    expect(said).toBe('It is: sunny');
  });

  test('reads what is refused, and deletes', async () => {
    const bing = ToolUtility.createBingGroundingTool([{ connectionId: 'c' }]);
    await expect(client.createAgent('m', { tools: [bing.definition] })).rejects.toMatchObject({
      statusCode: 400,
      code: 'unsupported',
      message: "The tool type 'bing_grounding' is not supported by this server yet.",
    });
    const { id } = await client.createAgent('m');
    expect(await client.deleteAgent(id)).toMatchObject({ deleted: true });
    await expect(client.getAgent(id)).rejects.toMatchObject({ statusCode: 404, code: 'not_found' });
  });

  test('lists threads', async () => {
    const made = [
      await client.threads.create(),
      await client.threads.create(),
      await client.threads.create(),
    ];
    const listed = (await Array.fromAsync(client.threads.list({ limit: 100 }))).map(({ id }) => id);
    const ids = made.map(({ id }) => id);
    expect(listed.filter((id) => ids.includes(id))).toEqual(ids.toReversed());
  });
});
